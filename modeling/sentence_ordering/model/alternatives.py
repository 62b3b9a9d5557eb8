"""Which other orders are possible: the most probable ones, one by one, and groups of sentences that nearly tie.

The probability of an order is proportional to exp(slope * sum(scores[i] * place[i])); `coherence` tells why.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from .confidence import gap_probabilities

# The orders of so many sentences are summed up exactly, in about two milliseconds.
SUMMED_SENTENCES = 12


class RankedOrder(NamedTuple):
    """One of the possible orders.

    Args:
        order: Indices of the sentences in reading order, shape `(sentences,)`.
        log_odds: Logarithm of its probability divided by that of the best order; at most 0.
    """

    order: np.ndarray
    log_odds: float


def best_orders(scores: np.ndarray, slope: float) -> Iterator[RankedOrder]:
    """Go through the orders of a document from the most to the least probable, as they are asked for.

    An order other than that of the scores has a first place where a sentence of higher rank stands right in front of
    one of lower rank. Turning these two makes it no less probable, by the log-odds of the pair. So each order has one
    parent, all go back to the order of the scores, and a heap that takes up the children of each order that it gives
    out gives out every order once, by its probability (best-first search of a tree). An order has fewer children than
    there are sentences: time for the first k orders of n sentences is O(k n (n + log(k n))), 100 of 50 sentences take
    under 10 ms, and memory O(k n n).

    Args:
        scores: One per sentence, floats of shape `(sentences,)`.
        slope: `config.confidence_slope`.

    Yields:
        Every order once, the first by a stable sort of the scores.

    Example:
        >>> for order, log_odds in best_orders(np.array([2.0, 0.0, 1.5]), slope=1.0):
        ...     print(order, log_odds)
        [1 2 0] 0.0
        [1 0 2] -0.5
        [2 1 0] -1.5
        [0 1 2] -2.5
        [2 0 1] -3.5
        [0 2 1] -4.0
    """
    sentences = np.argsort(scores, kind="stable")
    costs = (slope * np.sort(scores)).tolist()
    heap = [(0.0, tuple(range(len(costs))))]
    while heap:
        cost, ranks = heappop(heap)
        yield RankedOrder(sentences[list(ranks)], 0.0 - cost)
        for k in range(1, len(ranks)):
            before, first, second = ranks[k - 2] if k > 1 else -1, ranks[k - 1], ranks[k]
            # Turned, these two must be the first that stand against their ranks: all in front of them is in order.
            if before < second and first < second:
                turned = (*ranks[: k - 1], second, first, *ranks[k + 1 :])
                heappush(heap, (cost + (costs[second] - costs[first]), turned))
            if before > first:
                break


def sum_orders(scores: np.ndarray, slope: float) -> float:
    """Sum the odds of all orders to the best one.

    The log-odds of an order are, up to the slope, the sum over k of how much the scores of its first k sentences exceed
    the k lowest scores. So the sum over all orders of a set goes over its last sentence, as in the algorithm of Held
    and Karp ("A Dynamic Programming Approach to Sequencing Problems", 1962): 2 ** n * n steps for n sentences.

    Args:
        scores: One per sentence, floats of shape `(sentences,)`, at most `SUMMED_SENTENCES` (12) of them.
        slope: `config.confidence_slope`.

    Returns:
        The sum; the best order has the probability of 1 divided by it, and any other one of exp(log-odds) divided by
        it.

    Raises:
        ValueError: If there are more sentences.

    Example:
        >>> round(sum_orders(np.array([0.0, 1.0]), slope=np.log(3)), 3)
        1.333
    """
    count = len(scores)
    if count > SUMMED_SENTENCES:
        raise ValueError(
            f"The orders of {count} sentences are too many to be summed up; those of {SUMMED_SENTENCES} are not. "
            "Compare orders by their log-odds."
        )
    bits = 1 << np.arange(count)
    sets = np.arange(1 << count)
    members = (sets[:, None] & bits) > 0
    sizes = members.sum(axis=1)
    lowest = np.concatenate([[0.0], np.cumsum(np.sort(scores))])
    weights = np.exp(-slope * (members @ scores - lowest[sizes]).clip(min=0))
    sums = np.ones(1 << count)
    for size in range(1, count + 1):
        of_size = sets[sizes == size]
        without_last = sums[of_size[:, None] & ~bits]
        sums[of_size] = weights[of_size] * (without_last * members[of_size]).sum(axis=1)
    return float(sums[-1])


def tie_groups(scores: np.ndarray, slope: float, threshold: float) -> list[list[int]]:
    """Group sentences whose order is hardly known: neighbours that are in the right order with too low a probability.

    Only neighbours are compared, so that the ends of a long group may be told apart well. Time is that of sorting.

    Args:
        scores: One per sentence, floats of shape `(sentences,)`.
        slope: `config.confidence_slope`.
        threshold: The probability that is enough to part two neighbours, from 0.5 (all are parted) to 1.

    Returns:
        The groups in reading order, each the indices of its sentences in reading order.

    Example:
        >>> tie_groups(np.array([2.0, 0.0, 1.9]), slope=1.0, threshold=0.6)
        [[1], [2, 0]]
    """
    order = np.argsort(scores, kind="stable")
    sure = gap_probabilities(np.diff(scores[order]), slope) >= threshold
    return [group.tolist() for group in np.split(order, np.flatnonzero(sure) + 1) if len(group)]
