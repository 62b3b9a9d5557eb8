"""From the gap between two scores to the probability that their sentences are in the right order."""

from __future__ import annotations

import numpy as np


def gap_probabilities(gaps: np.ndarray, slope: float) -> np.ndarray:
    """Compute the probability that sentences are read in the order of their scores.

    The logistic function of the gap between the scores, times the slope that was fitted on validation data
    (temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", 2017).

    Args:
        gaps: The later score minus the earlier one, floats of any shape.
        slope: `config.confidence_slope`.

    Returns:
        Probabilities of the same shape; 0.5 where there is no gap.

    Example:
        >>> gap_probabilities(np.array([0.0, 1.0]), slope=np.log(3)).round(2)
        array([0.5 , 0.75])
    """
    # A tanh, because the exponential of a large gap would overflow.
    return 0.5 + 0.5 * np.tanh(0.5 * slope * gaps)


def pair_probabilities(scores: np.ndarray, slope: float) -> np.ndarray:
    """Compute for each pair of a document's sentences the probability that the first comes before the second.

    Args:
        scores: One per sentence, floats of shape `(sentences,)`; a lower score is read earlier.
        slope: `config.confidence_slope`.

    Returns:
        Probabilities of shape `(sentences, sentences)`; 0.5 on the diagonal, and `p[i, j] + p[j, i] == 1`.

    Example:
        >>> pair_probabilities(np.array([0.0, 1.0]), slope=np.log(3)).round(2)
        array([[0.5 , 0.75],
               [0.25, 0.5 ]])
    """
    return gap_probabilities(scores[None, :] - scores[:, None], slope)


def order_confidence(scores: np.ndarray, slope: float) -> float:
    """Compute the share of a document's pairs that is expected to be in the right order when sorted by score.

    Args:
        scores: One per sentence, floats of shape `(sentences,)`.
        slope: `config.confidence_slope`.

    Returns:
        From 0.5, a random order, to 1; twice it minus 1 is the Kendall's tau to be expected. 1 for documents of fewer
        than two sentences, which have one order only.

    Example:
        >>> order_confidence(np.array([0.0, 1.0]), slope=np.log(3))
        0.75
    """
    count = len(scores)
    if count < 2:
        return 1.0
    # Sentence by sentence, because the matrix of all pairs of a long document would not fit into memory.
    right = sum(gap_probabilities(np.abs(scores[i + 1 :] - scores[i]), slope).sum() for i in range(count - 1))
    return float(right / (count * (count - 1) / 2))
