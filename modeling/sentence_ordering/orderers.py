"""The trained orderers that come with the package, by name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model.modeling_sentence_ordering import SentenceOrderingModel

FOLDER = Path(__file__).parent / "orderers"
# The orderer that is used where none is named.
DEFAULT_ORDERER = "general"
# All of them; each is a folder.
ORDERERS = (DEFAULT_ORDERER, "general-base")


def locate_orderer(name: str | os.PathLike[str]) -> str:
    """Return the folder of an orderer that comes with the package; any other name as it is.

    Args:
        name: `"general"`, the general English orderer, `"general-base"`, a larger one, or a folder or Hub id. A folder
            of that name comes first.

    Returns:
        A folder or a Hub id, for `from_pretrained`; the folder has the orderer's model card, `README.md`.

    Example:
        >>> order = pipeline("sentence-ordering", model=locate_orderer("general"))
    """
    shipped = FOLDER / str(name)
    is_shipped = str(name) in ORDERERS and not Path(name).exists()
    return str(shipped) if is_shipped else str(name)


def load_whole(name: str | os.PathLike[str], **options: Any) -> SentenceOrderingModel:
    """Load an orderer, and check that all of its weights are there; others would be random.

    Args:
        name: As for `locate_orderer`.
        **options: As for `SentenceOrderingModel.from_pretrained`.

    Returns:
        The model, in evaluation mode.

    Raises:
        OSError: If it cannot be found or read, or weights are missing.
        ValueError: If it is no orderer.
    """
    from .model.modeling_sentence_ordering import SentenceOrderingModel

    model, loading_info = SentenceOrderingModel.from_pretrained(
        locate_orderer(name), output_loading_info=True, **options
    )
    if missing := sorted(loading_info["missing_keys"] & model.state_dict().keys()):
        raise OSError(f"The orderer {name} lacks the weights {', '.join(missing[:3])}{', ...' if missing[3:] else ''}.")
    return model


def name_orderer(folder: str | os.PathLike[str]) -> str:
    """Say what an orderer that was loaded from a folder is, without saying where the folder is.

    Args:
        folder: The folder.

    Returns:
        A noun phrase; one that comes with the package is named.
    """
    if Path(folder).parent == FOLDER:
        return f"`{Path(folder).name}`, an orderer that comes with sentence-ordering"
    return "an orderer that was trained before"


def describe_orderer(name: str) -> str:
    """Describe an orderer that comes with the package in a few words, and say where its model card is.

    Args:
        name: Its name.

    Returns:
        A noun phrase.
    """
    adapter = json.loads((FOLDER / name / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    return (
        f"the orderer {name!r} (English; {adapter['base_model_name_or_path']} with our adapter); "
        f"`sentence-ordering card {name}` shows its model card"
    )


def read_card(name: str | os.PathLike[str]) -> str:
    """Return the model card of an orderer that comes with the package, or that lies in a folder.

    Args:
        name: Its name or folder.

    Returns:
        The Markdown text below the metadata.

    Raises:
        OSError: If there is none.
        UnicodeDecodeError: If it is not UTF-8.
    """
    text = Path(locate_orderer(name), "README.md").read_text(encoding="utf-8")
    if text.startswith("---\n"):
        text = text.split("\n---\n", 1)[-1]
    return text.strip() + "\n"
