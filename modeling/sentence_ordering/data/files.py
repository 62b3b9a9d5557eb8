"""Which files a name or a glob means, and which form they have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from .atomic import Name

FORMATS = {
    ".jsonl": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".text": "text",
}


def find_files(names: Name | Sequence[Name]) -> list[str]:
    """Resolve globs, each to its matches in alphabetical order.

    Args:
        names: Files and globs; a file that exists is no glob.

    Returns:
        The files, each once; a glob may also match folders.

    Raises:
        FileNotFoundError: If a file does not exist, or a glob matches nothing.

    Example:
        >>> find_files("books/*.txt")
        ['books/1.txt', 'books/2.txt']
    """
    found: dict[str, str] = {}
    for path in [names] if isinstance(names, (str, os.PathLike)) else names:
        name = os.fspath(path)
        matches = [name] if Path(name).exists() and not Path(name).is_dir() else sorted(glob(name, recursive=True))
        if not matches:
            raise FileNotFoundError(f"There is no file {name!r}.")
        for match in matches:
            found.setdefault(os.path.abspath(match), match)
    return list(found.values())


def form_of(name: str) -> str | None:
    """Tell the form of a file from its name.

    Args:
        name: The name, which may also end in `.gz`.

    Returns:
        One of the values of `FORMATS`, or None if the name has no ending.

    Raises:
        ValueError: If it has another ending.

    Example:
        >>> form_of("stories.csv.gz")
        'csv'
    """
    suffix = _suffix(name)
    if suffix and suffix not in FORMATS:
        raise ValueError(f"{name}: expected a file that ends in {', '.join(FORMATS)}, or these with .gz.")
    return FORMATS.get(suffix)


def names_form(name: str) -> bool:
    """Tell whether a name ends as one of the forms does."""
    return _suffix(name) in FORMATS


def is_packed(name: str) -> bool:
    """Tell from a file's name whether it is packed with gzip."""
    return name.lower().endswith(".gz")


def _suffix(name: str) -> str:
    return Path(name[:-3] if is_packed(name) else name).suffix.lower()
