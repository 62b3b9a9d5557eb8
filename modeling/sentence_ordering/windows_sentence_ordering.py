"""Documents of any length: overlapping windows of sentences that fit into a row, and their votes as one order.

Sentences are first read with random others, which gives a coarse order of the whole document; then passes over the
order so far read every sentence with its neighbours, and sort within blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from .encoding_sentence_ordering import invert_order, scale_positions
from .looks_sentence_ordering import Plan

# A row has room for at least this many sentences: longer ones are shortened.
ROW_SENTENCES = 4
# A window holds at most this many, as the documents do that orderers are trained on.
WINDOW_SENTENCES = 16
# Windows of random sentences that every sentence is read in.
RANDOM_VOTES = 4
# Passes over the order so far.
PASSES = 4


def sentence_lengths(token_ids: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the number of tokens of each sentence, its sentence token included."""
    return np.array([len(ids) + 1 for ids in token_ids], dtype=np.int64)


def needs_windows(token_ids: Sequence[Sequence[int]], limit: int | None) -> bool:
    """Tell whether a document does not fit into a row even with its long sentences shortened as windows have them.

    Args:
        token_ids: The token ids of each sentence.
        limit: Longest row in tokens; `None` for any length.

    Returns:
        Whether it takes windows.
    """
    return limit is not None and bool(sentence_lengths(token_ids).clip(max=_longest(limit)).sum() > limit)


def shorten_long_sentences(token_ids: list[list[int]], limit: int) -> tuple[list[list[int]], int]:
    """Shorten sentences to the length at which `ROW_SENTENCES` of them fit into a row.

    Args:
        token_ids: The token ids of each sentence.
        limit: Longest row in tokens.

    Returns:
        The token ids that each sentence keeps, and the number of those that did not fit.
    """
    kept = [ids[: _longest(limit) - 1] for ids in token_ids]
    return kept, int((sentence_lengths(token_ids) - sentence_lengths(kept)).sum())


def _longest(limit: int) -> int:
    return max(limit // ROW_SENTENCES, 1)


def plan_windows(
    lengths: np.ndarray, limit: int, num_shuffles: int, rng: np.random.Generator, target_range: float | None
) -> Plan:
    """Plan to read a document in windows.

    Args:
        lengths: Number of tokens of each sentence, its sentence token included.
        limit: Longest row in tokens.
        num_shuffles: Factor on the number of windows.
        rng: Generator of the windows.
        target_range: The configuration's field.

    Yields:
        The windows as rows; first random ones, then those of each pass.

    Returns:
        For each sentence its place in the document's order, on the scale of the model's scores.

    Raises:
        ValueError: If no two sentences fit into a row.
    """
    if limit < 2:
        raise ValueError(f"No two sentences can be compared in rows of {limit} tokens. Raise `max_tokens`.")
    count = len(lengths)
    rows = list(_cut(_repeat_shuffled(count, RANDOM_VOTES * num_shuffles, rng), lengths, limit, WINDOW_SENTENCES))
    scores = yield rows
    order = np.argsort(_mean_ranks(rows, scores, count), kind="stable")
    for number in range(PASSES):
        blocks = _cut_blocks(order, lengths, limit, shift=number % 2 == 1)
        pairs = [np.concatenate(pair) for pair in pairwise(blocks)] or blocks
        rows = [rng.permutation(pair) for pair in pairs for _ in range(num_shuffles)]
        scores = yield rows
        votes = _mean_ranks(rows, scores, count)
        order = np.concatenate([block[np.argsort(votes[block], kind="stable")] for block in blocks])
    positions = invert_order(order).astype(np.float64)
    return scale_positions(positions[None], np.array([[count]]), target_range)[0]


def _repeat_shuffled(count: int, times: int, rng: np.random.Generator) -> Iterator[int]:
    for _ in range(times):
        yield from rng.permutation(count).tolist()


def _cut(sentences: Iterator[int], lengths: np.ndarray, limit: int, size: int) -> Iterator[np.ndarray]:
    """Cut a sequence of sentences into rows of different ones."""
    row: list[int] = []
    tokens = 0
    for sentence in sentences:
        if row and (tokens + lengths[sentence] > limit or len(row) == size or sentence in row):
            yield np.array(row)
            row, tokens = [], 0
        row.append(sentence)
        tokens += int(lengths[sentence])
    yield np.array(row)


def _cut_blocks(order: np.ndarray, lengths: np.ndarray, limit: int, *, shift: bool) -> list[np.ndarray]:
    """Cut an order into blocks of which two fit into a row; a shift moves the cuts by half a block."""
    blocks = list(_cut(iter(order.tolist()), lengths, limit // 2, WINDOW_SENTENCES // 2))
    head = blocks[0][: len(blocks[0]) // 2]
    if shift and len(head):
        blocks = [head, *_cut(iter(order[len(head) :].tolist()), lengths, limit // 2, WINDOW_SENTENCES // 2)]
    return blocks


def _mean_ranks(rows: list[np.ndarray], scores: list[np.ndarray], count: int) -> np.ndarray:
    """Borda count: the mean rank of each sentence in its rows, counted from their middles in units of their lengths."""
    total, weight = np.zeros(count), np.zeros(count)
    for row, row_scores in zip(rows, scores, strict=True):
        ranks = invert_order(np.argsort(row_scores, kind="stable"))
        total[row] += ranks - (len(row) - 1) / 2
        weight[row] += (len(row) + 1) / 2
    return total / weight
