"""What is measured about the predicted order of each document, for all documents at once."""

from __future__ import annotations

import numpy as np

from ..model.encoding import invert_order, sort_scores


def measure_documents(scores: np.ndarray, labels: np.ndarray, valid: np.ndarray) -> dict[str, np.ndarray]:
    """Compare the predicted with the true order of each document; equal scores as `compute_metrics` says.

    Args:
        scores: What the sentences are sorted by, numbers of shape `(documents, sentences)`.
        labels: Their positions, of the same shape; ranked anew where some are missing.
        valid: Which slots have a sentence, at least two in each row; booleans of the same shape.

    Returns:
        For each metric its values, floats of shape `(documents,)`.

    Raises:
        ValueError: If scores are NaN or infinite.

    Example:
        >>> everywhere = np.array([[True, True, True]])
        >>> measure_documents(np.array([[0.1, 2.0, 0.9]]), np.array([[0, 1, 2]]), everywhere)["kendall_tau"]
        array([0.33333333])
    """
    check_finite(scores[valid])
    counts = valid.sum(axis=1)
    true = invert_order(sort_scores(labels, valid))
    order, first, last = _read(scores, true, valid)
    size = last - first + 1
    is_right = (first <= true) & (true <= last)
    right = (is_right & valid) / size
    near = (np.minimum(last, true + 1) - np.maximum(first, true - 1) + 1).clip(min=0) / size
    # Twelve times the mean of the squared distance to all places from `first` to `last`, a whole number.
    squared = 3 * (first + last - 2 * true) ** 2 + size**2 - 1
    # In how many orders equal sentences can be put: the product over groups of them of 1 * 2 * ... * size.
    with np.errstate(over="ignore"):  # Of 171 and more, of which one order is as good as none.
        orders = (invert_order(order) - first + 1.0).prod(axis=1)
    accuracy = right.sum(axis=1) / counts
    off = (_sum_distances(last - true) - _sum_distances(first - true - 1)) / size
    is_first, is_last = (true == 0) & valid, (true == counts[:, None] - 1) & valid
    true_in_read_order = np.take_along_axis(true, order, axis=1)
    # Equal sentences are read in the wrong order there; of their pairs, half are wrong in the mean.
    wrong_pairs = _count_inversions(true_in_read_order, counts) - (size - 1).sum(axis=1) / 4
    common = _longest_increasing_subsequence(true_in_read_order, counts)
    return {
        "kendall_tau": 1 - 4 * wrong_pairs / (counts * (counts - 1)),
        "pmr": (is_right | ~valid).all(axis=1) / orders,
        "accuracy": accuracy,
        "accuracy_macro": accuracy,
        "spearman": 1 - (squared * valid).sum(axis=1) / (2 * counts * (counts**2 - 1)),
        "lcs": common / counts,
        "first": (right * is_first).sum(axis=1),
        "last": (right * is_last).sum(axis=1),
        "adjacent": _count_neighbours(first, last, true, counts) / (counts - 1),
        "moves": (counts - common).astype(np.float64),
        "displacement": (off * valid).sum(axis=1) / counts,
        "displacement_first": (off * is_first).sum(axis=1),
        "displacement_last": (off * is_last).sum(axis=1),
        "within_1": (near * valid).sum(axis=1) / counts,
    }


def _sum_distances(end: np.ndarray) -> np.ndarray:
    """Sum |k| for k from 1 to `end`; below 0 what is left out is subtracted, so that differences are sums, too."""
    return np.where(end < 0, -1, 1) * end * (end + 1) / 2


def _count_neighbours(first: np.ndarray, last: np.ndarray, true: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Count the neighbours of the right order that are neighbours in the predicted one, in the same order.

    Args:
        first: First of the places that a sentence shares with those of equal score, shape `(documents, sentences)`.
        last: Last of them, of the same shape.
        true: Right places, of the same shape; padding comes behind.
        counts: Shape `(documents,)`.

    Returns:
        Means over the orders of sentences of equal score, shape `(documents,)`.
    """
    by_place = invert_order(true)
    first, last = (np.take_along_axis(places, by_place, axis=1) for places in (first, last))
    size = last - first + 1
    tied = first[:, :-1] == first[:, 1:]
    # Of s sentences of equal score, two stand next to each other in that order in (s - 1) of s * (s - 1) cases.
    apart = (last[:, :-1] + 1 == first[:, 1:]) / (size[:, :-1] * size[:, 1:])
    neighbours = np.where(tied, 1 / size[:, 1:], apart)
    return (neighbours * (np.arange(1, true.shape[1]) < counts[:, None])).sum(axis=1)


def check_finite(scores: np.ndarray) -> None:
    """Refuse scores that cannot be ranked.

    Args:
        scores: Floats of any shape, of sentences and not of padding.

    Raises:
        ValueError: If some are NaN or infinite.
    """
    wrong = int((~np.isfinite(scores)).sum())
    if wrong:
        raise ValueError(
            f"{wrong} of {scores.size} scores are NaN or infinite, so that they say nothing about order. If a training "
            "step made them so, lower the learning rate."
        )


def _read(scores: np.ndarray, true: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort sentences by score, those of equal score in the reverse of their right order, and padding to the end.

    Returns:
        The order, and for each sentence the first and the last of the places that it shares with those of equal score;
        shape `(documents, sentences)`.
    """
    order = np.lexsort((-true, scores, ~valid), axis=-1)
    sorted_scores = np.take_along_axis(scores, order, axis=1)
    # A slot of padding shares its place with none.
    starts = np.diff(sorted_scores, axis=1, prepend=np.nan) != 0
    starts |= ~np.take_along_axis(valid, order, axis=1)
    ends = np.roll(starts, -1, axis=1)
    ends[:, -1:] = True
    places = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    first = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, scores.shape[1])[:, ::-1], axis=1)[:, ::-1]
    back = invert_order(order)
    return order, np.take_along_axis(first, back, axis=1), np.take_along_axis(last, back, axis=1)


def _count_inversions(sequences: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Count the pairs in the wrong order.

    Args:
        sequences: Permutations of 0..count-1, padded at the end; shape `(documents, sentences)`.
        counts: Shape `(documents,)`.

    Returns:
        Number of inversions, shape `(documents,)`.
    """
    padded = np.where(np.arange(sequences.shape[1]) < counts[:, None], sequences, sequences.shape[1])
    inversions = np.zeros(len(sequences), dtype=np.int64)
    for k in range(sequences.shape[1] - 1):
        rows = np.flatnonzero(k + 1 < counts)  # One long document does not make the others long.
        inversions[rows] += (padded[rows, k : k + 1] > padded[rows, k + 1 :]).sum(axis=1)
    return inversions


def _longest_increasing_subsequence(sequences: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Measure the longest increasing subsequence: for permutations, the longest one common with the right order.

    Schensted's algorithm ("Longest Increasing and Decreasing Subsequences", 1961), for all documents in step.

    Args:
        sequences: Permutations of 0..count-1, padded at the end; shape `(documents, sentences)`.
        counts: Shape `(documents,)`.

    Returns:
        Lengths, shape `(documents,)`.
    """
    documents, width = sequences.shape
    # smallest_end[d, l] is the smallest last element of the increasing subsequences of length l + 1 so far.
    smallest_end = np.full((documents, width), width)
    for k in range(width):
        rows = np.flatnonzero(k < counts)
        element = sequences[rows, k]
        smallest_end[rows, (smallest_end[rows] < element[:, None]).sum(axis=1)] = element
    return (smallest_end < width).sum(axis=1)
