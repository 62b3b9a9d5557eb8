"""Splits of a corpus that share no source."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from datasets import Dataset, DatasetDict

from .preparation import check_columns


def split_by_group(
    dataset: Dataset,
    group_column: str | None = None,
    *,
    held_out: float = 0.2,
    validation: float = 0.5,
    seed: int = 42,
    sentences_column: str = "sentences",
) -> DatasetDict:
    """Split a corpus so that no source stands in two splits, and no text does.

    Documents are of one group if they have the same source, or the same text but for case, spacing and punctuation,
    also by way of further documents. Groups are dealt out whole. Split books before you cut them (`cut_windows`): the
    windows of one that is there twice begin at other places each time, and are not equal.

    Args:
        dataset: A document a row.
        group_column: Column that names a document's source, for example its book, as `source_key` tells them apart; by
            default only texts count, as for documents whose source is not known: None, NaN or an empty string.
        held_out: Share of the groups, or from 1 on their number, that is kept from training.
        validation: Share (number) of these for validation; the others are for the test.
        seed: Seed.
        sentences_column: Column of the lists of sentences.

    Returns:
        The splits `train`, `validation` and `test`, each with its rows in the given order.

    Raises:
        ValueError: If a column is missing, a size is none, or there are not enough groups.

    Example:
        >>> splits = split_by_group(books, "author")
        >>> set(splits["train"]["author"]) & set(splits["test"]["author"])
        set()
        >>> windows = {name: cut_windows(split) for name, split in splits.items()}
    """
    check_size("held_out", held_out)
    check_size("validation", validation)
    check_columns(dataset.column_names, sentences_column, group_column)
    sources = [None] * len(dataset) if group_column is None else list(dataset[group_column])
    groups = _join_groups(sources, [normalize_text(sentences) for sentences in dataset[sentences_column]])
    rows = np.arange(len(dataset))
    kept_out, train = _take_groups(rows, groups, held_out, seed)
    chosen, rest = _take_groups(kept_out, groups, validation, seed)
    return DatasetDict(train=dataset.select(train), validation=dataset.select(chosen), test=dataset.select(rest))


def split_by_row(dataset: Dataset, *, held_out: float = 0.2, validation: float = 0.5, seed: int = 42) -> DatasetDict:
    """Split a corpus row by row with `datasets`' `train_test_split`, for published splits that were made with it.

    Args:
        dataset: A document a row.
        held_out: Share of the rows, or from 1 on their number, that is kept from training.
        validation: Share (number) of these for validation; the others are for the test.
        seed: Seed.

    Returns:
        The splits `train`, `validation` and `test`. A text or source that occurs twice may stand in two of them.

    Raises:
        ValueError: If a size is none, or there are not enough rows.

    Example:
        >>> {name: len(rows) for name, rows in split_by_row(stories, held_out=0.2, validation=0.3).items()}
        {'train': 42132, 'validation': 3160, 'test': 7373}
    """
    check_size("held_out", held_out)
    check_size("validation", validation)
    first = dataset.train_test_split(test_size=_share_or_count(held_out), seed=seed)
    second = first["test"].train_test_split(test_size=_share_or_count(validation), seed=seed)
    return DatasetDict(train=first["train"], validation=second["test"], test=second["train"])


def normalize_text(sentences: Sequence[str]) -> str:
    """Reduce a document to its letters and digits, without case, to compare it with others.

    Args:
        sentences: The document.

    Returns:
        The characters that are left; the text itself if it has no letters or digits.

    Example:
        >>> normalize_text(["Tom  ate - a cake!", "Why?"])
        'tomateacakewhy'
    """
    text = "".join(sentences)
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold()) or text


def _join_groups(sources: list[object], texts: list[str]) -> np.ndarray:
    """Number the connected groups of rows that share a source or a text."""
    # Here, for scipy and scikit-learn are slow to import, and most programs need neither.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers: dict[tuple[str, object], int] = {}
    count = len(sources)
    keys = map(source_key, sources)
    named = (("row", row) if key is None else ("source", key) for row, key in enumerate(keys))
    ends = [numbers.setdefault(name, len(numbers)) for name in named]
    ends += [numbers.setdefault(("text", text), len(numbers)) for text in texts]
    rows = np.tile(np.arange(count), 2)
    size = count + len(numbers)
    graph = coo_array((np.ones(2 * count), (rows, count + np.asarray(ends, dtype=np.int64))), shape=(size, size))
    return connected_components(graph, directed=False)[1][:count]


def source_key(source: object) -> str | None:
    """Write a document's source in one way, whichever way its file does.

    Args:
        source: A value of any type. Files of one corpus may have the number 3 as 3, as text, and as 3.0, which tables
            make of numbers beside empty cells.

    Returns:
        Text, equal for equal sources; None if the source is not known: for None, NaN and blanks.

    Example:
        >>> source_key(3.0), source_key(" 3"), source_key(["Austen", 1813])
        ('3', '3', '["Austen", 1813]')
    """
    if source is None or source != source:
        return None
    if isinstance(source, float) and source.is_integer():
        source = int(source)
    text = str(source) if isinstance(source, (int, str)) else json.dumps(source, sort_keys=True, default=str)
    return unicodedata.normalize("NFKC", text).strip() or None


def _take_groups(rows: np.ndarray, groups: np.ndarray, size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Take some of the rows' groups at random; return the rows that were taken, and those that were left."""
    from sklearn.model_selection import GroupShuffleSplit

    count = len(np.unique(groups[rows]))
    try:
        splitter = GroupShuffleSplit(n_splits=1, test_size=_share_or_count(size), random_state=seed)
        left, taken = next(splitter.split(rows, groups=groups[rows]))
    except ValueError as error:
        raise ValueError(
            f"{size} of {count} sources cannot be taken for a split ({error}). Splits need at least one source each; "
            "texts that are equal but for case and punctuation count as one source."
        ) from error
    return rows[taken], rows[left]


def check_size(name: str, size: float) -> None:
    """Refuse a size of a split that is neither a share nor a number.

    Args:
        name: What to call it.
        size: The size.

    Raises:
        ValueError: If it is not above 0, or from 1 on not whole.
    """
    if not 0 < size < float("inf"):
        raise ValueError(f"{name} must be a share or a number above 0, but is {size}.")
    if size > 1 and size % 1:
        raise ValueError(f"{name} is a number of sources from 1 on, and must be whole: {size}.")


def _share_or_count(size: float) -> float | int:
    return int(size) if size >= 1 else size
