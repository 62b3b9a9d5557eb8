"""Documents of any length: overlapping windows of sentences that fit into a row, and one order from all their votes.

Every sentence is first read with random others, which gives a coarse order of the whole document, and then with its
neighbours in that order. Each row votes on all its pairs, and a Bradley-Terry model of the votes is the order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from .encoding import invert_order, sentence_lengths
from .passes import Plan

# A row has room for at least this many sentences: longer ones are shortened.
ROW_SENTENCES = 4
# A window holds at most this many, as the documents do that orderers are trained on.
WINDOW_SENTENCES = 16
# Number of windows in which every sentence is read with random others.
RANDOM_WINDOWS = 4
# Of the fit: votes that keep it finite, and its number of steps.
PRIOR = 0.1
ITERATIONS = 300
# Between the scores of neighbours, where the model cannot tell sentences apart.
SMALLEST_STEP = 1e-6


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


def plan_windows(lengths: np.ndarray, limit: int, num_shuffles: int, rng: np.random.Generator) -> Plan:
    """Plan to read a document in windows.

    Args:
        lengths: Number of tokens of each sentence, its sentence token included.
        limit: Longest row in tokens.
        num_shuffles: Factor on the number of windows.
        rng: Generator of the windows.

    Yields:
        The windows as rows; first random ones, then those of neighbours.

    Returns:
        For each sentence its place in the document's order, times the gap by which the scores of windows grow from one
        place to the next. So the gap between two sentences is about the one that a window has for sentences so far
        apart, and `confidence_slope` fits it.

    Raises:
        ValueError: If no two sentences fit into a row.
    """
    if limit < 2:
        raise ValueError(f"No two sentences can be compared in rows of {limit} tokens. Raise `max_tokens`.")
    count = len(lengths)
    shuffled = (int(index) for _ in range(RANDOM_WINDOWS * num_shuffles) for index in rng.permutation(count))
    rows = list(_cut(shuffled, lengths, limit, WINDOW_SENTENCES))
    scores = yield rows
    strengths = fit_bradley_terry(_votes(rows, scores), np.ones(count))
    coarse = np.argsort(-strengths, kind="stable").tolist()
    blocks = list(_cut(coarse, lengths, limit // 2, WINDOW_SENTENCES // 2))
    pairs = [np.concatenate(pair) for pair in pairwise(blocks)]
    near = [rng.permutation(pair) for pair in pairs for _ in range(num_shuffles)]
    rows, scores = rows + near, scores + (yield near)
    strengths = fit_bradley_terry(_votes(rows, scores), strengths)
    # All pairs of a block, and of a block and the next, were compared; so all neighbours are, if blocks stay in place.
    order = np.concatenate([block[np.argsort(-strengths[block], kind="stable")] for block in blocks])
    places = invert_order(order).astype(np.float64)
    return places * _score_per_place(rows, scores, places)


def _score_per_place(rows: list[np.ndarray], scores: list[np.ndarray], places: np.ndarray) -> float:
    """Fit the scores of rows, up to a constant for each row, to the places of their sentences by least squares.

    Returns:
        By how much a score grows from one place to the next; positive, because the order has to be that of the scores.
    """
    centred_places = np.concatenate([places[row] - places[row].mean() for row in rows])
    centred_scores = np.concatenate([row_scores - row_scores.mean() for row_scores in scores])
    slope = centred_places @ centred_scores / max(np.square(centred_places).sum(), 1.0)
    return max(float(slope), SMALLEST_STEP)


def _cut(sentences: Iterable[int], lengths: np.ndarray, limit: int, size: int) -> Iterator[np.ndarray]:
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


def _votes(rows: list[np.ndarray], scores: list[np.ndarray]) -> np.ndarray:
    """Turn the scores of rows into votes on their pairs.

    Returns:
        The earlier and the later sentence of each pair, integers of shape `(2, votes)`.
    """
    votes = []
    for row, row_scores in zip(rows, scores, strict=True):
        order = row[np.argsort(row_scores, kind="stable")]
        votes.append(order[np.stack(np.triu_indices(len(order), 1))])
    return np.concatenate(votes, axis=1)


def fit_bradley_terry(votes: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Fit strengths to pairwise votes, such that a sentence of strength a comes before one of b with odds of a to b.

    The minorization-maximization algorithm of Hunter (2004), "MM algorithms for generalized Bradley-Terry models", with
    `PRIOR` votes for and against each sentence beside one of strength 1, which keep strengths finite. Its time is
    linear in the number of votes.

    Args:
        votes: The earlier and the later sentence of each vote, integers of shape `(2, votes)`.
        start: Strengths to start from, positive floats of shape `(sentences,)`.

    Returns:
        The strengths, of the same shape.
    """
    earlier, later = votes
    count = len(start)
    won = np.bincount(earlier, minlength=count) + PRIOR
    strengths = start
    for _ in range(ITERATIONS):
        weights = 1 / (strengths[earlier] + strengths[later])
        met = np.bincount(earlier, weights, count) + np.bincount(later, weights, count)
        strengths = won / (met + 2 * PRIOR / (strengths + 1))
    return strengths
