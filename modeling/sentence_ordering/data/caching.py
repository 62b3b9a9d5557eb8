"""Names for what the `datasets` library keeps in its cache, so that no other version's rows come back from it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.fingerprint import Hasher

from ..model import configuration_sentence_ordering as configuration


def map_fingerprint(dataset: Dataset, *settings: Any) -> str:
    """Make the fingerprint of the rows that one of our functions makes of a dataset.

    By itself `datasets` knows a function of a package by its name only, and would give back the rows that an older
    version of it made.

    Args:
        dataset: The dataset that is mapped.
        *settings: What the function is, and all that its rows depend on.

    Returns:
        A hash of these, of the package's version and of its code.

    Example:
        >>> dataset.map(cut, new_fingerprint=map_fingerprint(dataset, "cut_windows", 5, 20))
    """
    return Hasher.hash([dataset._fingerprint, configuration.__version__, _code(), *settings])


@lru_cache(maxsize=1)
def _code() -> list[bytes]:
    """Read the code that rows come from: of the rooms `data` and `model`."""
    package = Path(__file__).parents[1]
    return [path.read_bytes() for room in ("data", "model") for path in sorted((package / room).glob("*.py"))]
