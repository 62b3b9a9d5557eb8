"""The files of a saved orderer that `publish` sends."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from .leaks import check_links, clean_trainer_state

# The code that every save of this version writes.
CODE = sorted(path.name for path in Path(__file__).parents[1].glob("model/*.py") if path.stem != "__init__")
REQUIRED = (
    "config.json",
    *CODE,
    "tokenizer_config.json",
    "README.md",
)
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER = ("adapter/adapter_config.json", "adapter/adapter_model.safetensors")
PUBLISHED = (
    *REQUIRED,
    "*.safetensors",
    WEIGHTS_INDEX,
    "*_sentence_ordering.py",
    # Files of tokenizers; no *.model, which may as well be a pickle.
    *("tokenizer.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
    *("vocab.txt", "vocab.json", "merges.txt", "bpe.codes"),
    *("sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model"),
    *("*_results.json", "metrics.json"),
    *("LICENSE*", "NOTICE*"),
)
TRAINER_STATE = "trainer_state.json"  # Goes up as a cleaned copy.
IMAGE = re.compile(r"""!\[[^\]]*\]\(\s*<?([^)>\s]+)|<img\b[^>]*?\bsrc=["']([^"']+)""", re.IGNORECASE)
IMAGE_SUFFIXES = (".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp")


def choose_files(folder: Path, *, adapter: bool = False) -> list[str]:
    """List the files of an orderer's folder that are published as they are; end the process if something is missing.

    Args:
        folder: The folder of a saved orderer.
        adapter: Whether to publish the adapter, which is loaded onto its encoder, instead of whole weights.

    Returns:
        Their paths in the folder, sorted, with `/` between the parts.
    """
    if not folder.is_dir():
        sys.exit(f"{folder} is no folder. Name the folder of a saved orderer.")
    names = (path.name for path in folder.iterdir() if path.is_file())
    chosen = {name for name in names if any(fnmatchcase(name, pattern) for pattern in PUBLISHED)}
    weights = [WEIGHTS]
    if WEIGHTS_INDEX in chosen:
        weights = sorted(set(_read_json(folder / WEIGHTS_INDEX).get("weight_map", {}).values()))
    if adapter:
        chosen = {name for name in chosen if name != WEIGHTS_INDEX and not name.endswith(".safetensors")}
        weights = [*ADAPTER]
        chosen.update(name for name in weights if (folder / name).is_file())
    missing = [name for name in (*REQUIRED, *weights) if name not in chosen]
    if missing:
        sys.exit(f"{folder} lacks {', '.join(missing)}, without which an orderer is not published.")
    config = _read_json(folder / "config.json")
    missing = [key for key in ("auto_map", "custom_pipelines") if not config.get(key)]
    if missing:
        sys.exit(
            f"{folder / 'config.json'} lacks {' and '.join(missing)}, without which the code is not found. Load the "
            "orderer and save it again with this version."
        )
    files = sorted(chosen | set(_shown_images(folder)))
    check_links(folder, files)
    for name in files:
        if name.endswith(".safetensors"):
            _check_weights(folder / name)
    return files


def _check_weights(path: Path) -> None:
    """End the process if a file of weights is damaged: then its header and its length do not fit each other."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except (OSError, SafetensorError) as error:
        sys.exit(
            f"{path} cannot be read ({error}). It is damaged, or a pointer in a Git clone, in whose place `git lfs "
            "pull` puts the weights. Nothing was sent."
        )


def read_contents(folder: Path, files: Iterable[str]) -> dict[str, Path | bytes]:
    """Take what is sent: files as they are, and a copy of the Trainer's state from which local paths are taken out.

    Args:
        folder: The folder of a saved orderer.
        files: Paths in it.

    Returns:
        A file or bytes for each path, sorted. A state that is no JSON object is left out.
    """
    contents: dict[str, Path | bytes] = {file: folder / file for file in files}
    if (folder / TRAINER_STATE).is_file():
        check_links(folder, [TRAINER_STATE])
        state = clean_trainer_state(folder / TRAINER_STATE)
        if state is not None:
            contents[TRAINER_STATE] = state
    return dict(sorted(contents.items()))


def _shown_images(folder: Path) -> Iterator[str]:
    """List the images in the folder that the card shows; end the process if one is not there."""
    for match in IMAGE.finditer((folder / "README.md").read_text(encoding="utf-8", errors="replace")):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:|//", target, re.IGNORECASE):  # on the web
            continue
        path = PurePosixPath(unquote(re.split("[?#]", target)[0]))
        inside = not path.is_absolute() and ".." not in path.parts and path.suffix.lower() in IMAGE_SUFFIXES
        if not inside or not (folder / path).is_file():
            sys.exit(f"{folder / 'README.md'} shows {target}, which is no image in {folder}.")
        yield str(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        sys.exit(f"{path} is not JSON: {error}")
    if not isinstance(content, dict):
        sys.exit(f"{path} holds no JSON object.")
    return content
