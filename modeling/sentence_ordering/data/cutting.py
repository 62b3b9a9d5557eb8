"""Windows of consecutive sentences, cut from documents that are too long to be put in order whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset
from transformers.utils import logging

from .caching import map_fingerprint
from .preparation import check_columns

logger = logging.get_logger(__name__)


def cut_windows(
    dataset: Dataset,
    min_sentences: int = 5,
    max_sentences: int = 20,
    *,
    sentences_column: str = "sentences",
    seed: int = 0,
) -> Dataset:
    """Cut books or other long documents into windows of consecutive sentences, without overlap.

    The windows of a document follow each other without a gap, their lengths are random. A document that is shorter
    than `min_sentences` gives none, and where no window fits at the end of one, its last sentences are left out; a
    warning says how many sentences that were.

    Args:
        dataset: A document a row.
        min_sentences: Least number of sentences of a window.
        max_sentences: Greatest number of sentences of a window.
        sentences_column: Column of the lists of sentences.
        seed: The lengths depend on this seed and on the row's number.

    Returns:
        A window a row, with all columns of its document, and `document`, the row of the document.

    Raises:
        ValueError: If the column is missing, if there is one named `document`, or if the lengths are not `2 <=
            min_sentences <= max_sentences`.

    Example:
        >>> book = Dataset.from_dict({"sentences": [[f"Sentence {i}." for i in range(100)]]})
        >>> [len(sentences) for sentences in cut_windows(book)["sentences"]]
        [18, 15, 13, 9, 9, 5, 6, 5, 15, 5]
    """
    check_window_sizes(min_sentences, max_sentences)
    check_columns(dataset.column_names, sentences_column)
    if "document" in dataset.column_names:
        raise ValueError(
            "There is a column 'document' already, which the number of the row would overwrite. Rename it."
        )

    def cut(batch: dict[str, list[Any]], indices: list[int]) -> dict[str, list[Any]]:
        windows: dict[str, list[Any]] = {name: [] for name in (*batch, "document")}
        for place, row in enumerate(indices):
            sentences, start = batch[sentences_column][place], 0
            for length in draw_lengths(
                len(sentences), min_sentences, max_sentences, np.random.default_rng((seed, row))
            ):
                for name in batch:
                    windows[name].append(batch[name][place])
                windows[sentences_column][-1] = sentences[start : start + length]
                windows["document"].append(row)
                start += length
        return windows

    fingerprint = map_fingerprint(dataset, "cut_windows", min_sentences, max_sentences, sentences_column, seed)
    windows = dataset.map(
        cut, batched=True, batch_size=16, with_indices=True, desc="Cutting windows", new_fingerprint=fingerprint
    )
    total, kept = (sum(map(len, rows[sentences_column])) for rows in (dataset, windows))
    if kept < total:
        logger.warning(f"{total - kept} of {total} sentences did not make a window of {min_sentences} or more.")
    return windows


def draw_lengths(count: int, shortest: int, longest: int, rng: np.random.Generator) -> list[int]:
    """Draw lengths of windows that use up a document's sentences where that is possible.

    Args:
        count: Number of sentences.
        shortest: Least length.
        longest: Greatest length.
        rng: Generator.

    Returns:
        Lengths; fewer than `shortest` sentences are left over.
    """
    lengths = []
    while count >= shortest:
        # Leave what further windows can use up: so many that the shortest ones do not exceed it.
        rests = {n: count - n for n in range(shortest, min(longest, count) + 1)}
        fitting = [n for n, rest in rests.items() if -(-rest // longest) * shortest <= rest]
        lengths.append(int(rng.choice(fitting)) if fitting else min(longest, count))
        count -= lengths[-1]
    return lengths


def check_window_sizes(min_sentences: int, max_sentences: int) -> None:
    """Refuse sizes of windows that cannot be.

    Args:
        min_sentences: The least number of sentences.
        max_sentences: The greatest.

    Raises:
        ValueError: If the least is below 2, or above the greatest.
    """
    if not 2 <= min_sentences <= max_sentences:
        raise ValueError(f"Windows of {min_sentences} to {max_sentences} sentences: need 2 <= minimum <= maximum.")
