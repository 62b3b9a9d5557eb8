"""What is known of finished shards: a small file for each, in a hidden folder beside the outputs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = ".sentence-ordering"
# Files of a model's folder that say what it answers; checkpoints and cards are left out.
MODEL_FILES = (".json", ".safetensors", ".model", ".txt")


class Shard(NamedTuple):
    """A file to order.

    Args:
        input: The file.
        output: Where its documents go.
    """

    input: Path
    output: Path

    @property
    def rejects(self) -> Path:
        """The file for pieces of the input that are no documents; its name is none of a file of documents."""
        return self.output.with_name(f"{self.output.name}.rejects")

    @property
    def manifest(self) -> Path:
        """The file that says how the output was made."""
        return self.output.parent / FOLDER / f"{self.output.name}.json"


@dataclass
class Manifest:
    """How a shard was ordered. It gets its name before the output does, which is so never there without it.

    Args:
        input: The input's `path`, size in `bytes`, time of last change `modified` in ns, and `sha256`.
        output_bytes: Size of the output.
        model: Name of the orderer.
        version: Version of this package.
        settings: What answers depend on; a shard is not ordered again with the same ones.
        documents: Number of documents and other pieces of the input.
        ordered: Number of those in the output.
        rejected: Number of those in the rejects.
    """

    input: dict[str, Any]
    output_bytes: int
    model: str
    version: str
    settings: dict[str, Any]
    documents: int
    ordered: int
    rejected: int

    def to_json(self) -> bytes:
        """Return the file's content."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def find_finished(shard: Shard, settings: Mapping[str, Any]) -> Manifest | None:
    """Find out whether a shard was ordered before.

    Args:
        shard: The shard.
        settings: What answers depend on.

    Returns:
        Its manifest; None if it is to be ordered.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If its output is there, but was made in another way, of another input, or not by this program.
    """
    if not os.path.lexists(shard.output):
        return None
    manifest = _read_manifest(shard.manifest)
    if manifest is None:
        raise ValueError(
            f"{shard.output} is there already, but {shard.manifest} does not say how it was made. Choose another "
            "--output_dir, or remove the file."
        )
    differences = [
        f"{name} was {manifest.settings.get(name)!r} and is now {settings.get(name)!r}"
        for name in {**manifest.settings, **settings}
        if manifest.settings.get(name) != settings.get(name)
    ]
    if not _is_same_input(manifest.input, shard.input):
        differences.append(f"the input {shard.input} has changed since then")
    if shard.output.stat().st_size != manifest.output_bytes:
        differences.append(f"it had {manifest.output_bytes:,} bytes then and has {shard.output.stat().st_size:,} now")
    if differences:
        raise ValueError(
            f"{shard.output} is there already, but differs: {'; '.join(differences)}. Choose another --output_dir, or "
            "remove the file to order its shard again."
        )
    return manifest


def describe_input(path: Path) -> dict[str, Any]:
    """Describe an input, so that a later run can tell whether it is the same.

    Args:
        path: The file.

    Returns:
        `Manifest.input`.

    Raises:
        OSError: If it cannot be read.
    """
    status = path.stat()
    return {
        "path": str(path),
        "bytes": status.st_size,
        "modified": status.st_mtime_ns,
        "sha256": _hash_file(path).hex(),
    }


def fingerprint_model(name: str) -> str:
    """Tell models apart by what they hold.

    Args:
        name: A folder or Hub id.

    Returns:
        The commit of a model of the Hub; for a folder a hash of its configuration, tokenizer and weights. The encoder
        of an adapter, which lies elsewhere, counts by its name.

    Raises:
        OSError: If there is no such model.

    Example:
        >>> fingerprint_model("output/quickstart")
        '0f4cf1c9b3b9a1f0'
    """
    from transformers.utils import CONFIG_NAME, cached_file
    from transformers.utils.hub import extract_commit_hash

    config = cached_file(name, CONFIG_NAME)
    folder = Path(name)
    if not folder.is_dir():
        return str(extract_commit_hash(config, None))
    digest = hashlib.sha256()
    for path in sorted((*folder.glob("*"), *folder.glob("adapter/*"))):
        if path.suffix in MODEL_FILES and path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + _hash_file(path))
    return digest.hexdigest()[:16]


def _read_manifest(path: Path) -> Manifest | None:
    try:
        manifest = Manifest(**json.loads(path.read_bytes()))
    except (FileNotFoundError, TypeError, ValueError):
        return None
    return manifest if isinstance(manifest.input, dict) and isinstance(manifest.settings, dict) else None


def _is_same_input(known: Mapping[str, Any], path: Path) -> bool:
    """Compare what is cheap to know first; files that were copied anew have other times and the same content."""
    status = path.stat()
    if status.st_size != known["bytes"]:
        return False
    return status.st_mtime_ns == known["modified"] or _hash_file(path).hex() == known["sha256"]


def _hash_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
