"""Pairs of sentences: how often they are in the right order, against the gap between their scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model.confidence import gap_probabilities

MAX_PAIRS = 100


@dataclass
class GapGroup:
    """A tenth of the pairs of sentences, by the gap of their scores.

    Args:
        gap: The mean gap.
        right: The share in the right order.
        probability: The mean of the model's probabilities that they are; None if it tells none.
        pairs: Number of pairs.
    """

    gap: float
    right: float
    probability: float | None
    pairs: int


def choose_pairs(count: int, rng: np.random.Generator, limit: int = MAX_PAIRS) -> tuple[np.ndarray, np.ndarray]:
    """Choose pairs of sentences: all, or of a long document some at random, so that it does not outweigh the others.

    Args:
        count: Number of sentences, at least 2.
        rng: Random generator.
        limit: Largest number of pairs.

    Returns:
        The first and the second index of each pair, the first smaller.

    Example:
        >>> choose_pairs(3, np.random.default_rng(0))
        (array([0, 0, 1]), array([1, 2, 2]))
    """
    if count * (count - 1) // 2 <= limit:
        first, second = np.triu_indices(count, 1)
        return first, second
    one = rng.integers(count, size=limit)
    other = rng.integers(count - 1, size=limit)
    other += other >= one
    return np.minimum(one, other), np.maximum(one, other)


def sample_gaps(
    scores: np.ndarray, places: np.ndarray, true: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the score gaps of (at most 100) pairs of each document, and whether they are in the right order.

    Args:
        scores: Shape `(documents, shuffles, sentences)`; all documents have that many sentences.
        places: Predicted places, of the same shape.
        true: Right places, shape `(documents, sentences)`.
        rng: Chooses the pairs.

    Returns:
        The absolute gaps, and whether the pair is in the right order; shape `(pairs,)`.
    """
    first, second = choose_pairs(true.shape[1], rng)
    gaps = np.abs(scores[..., first] - scores[..., second])
    right = (places[..., first] < places[..., second]) == (true[:, None, first] < true[:, None, second])
    return gaps.ravel(), right.ravel()


def group_gaps(
    gaps: np.ndarray, right: np.ndarray, confidence_slope: float | None = None, groups: int = 10
) -> list[GapGroup]:
    """Group pairs of sentences by the gap of their scores into groups of equally many.

    Args:
        gaps: Absolute differences of scores, shape `(pairs,)`.
        right: Whether the pair is in the right order, of the same shape.
        confidence_slope: The model's, which turns gaps into probabilities (`gap_probabilities`).
        groups: Number of groups; fewer if there are fewer pairs.

    Returns:
        The groups, the smallest gaps first.
    """
    probabilities = None if confidence_slope is None else gap_probabilities(gaps, confidence_slope)
    return [
        GapGroup(
            gap=float(gaps[pairs].mean()),
            right=float(right[pairs].mean()),
            probability=None if probabilities is None else float(probabilities[pairs].mean()),
            pairs=len(pairs),
        )
        for pairs in np.array_split(np.argsort(gaps, kind="stable"), groups)
        if len(pairs)
    ]


def expected_calibration_error(probabilities: np.ndarray, right: np.ndarray, groups: int = 10) -> float:
    """Average the difference between what was said and what came true.

    The expected calibration error (Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning",
    2015), with groups of equally many.

    Args:
        probabilities: What was said, shape `(cases,)`; at least one.
        right: Whether it was so, of the same shape.
        groups: Number of groups; fewer if there are fewer cases.

    Returns:
        The mean over all cases of the difference between their group's mean probability and its share of right ones.

    Example:
        >>> expected_calibration_error(np.array([0.9, 0.9]), np.array([True, False]), groups=1)
        0.4
    """
    excess = (probabilities - right)[np.argsort(probabilities, kind="stable")]
    return float(sum(abs(group.sum()) for group in np.array_split(excess, groups)) / len(excess))
