"""The field's metrics, for all documents at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from transformers import EvalPrediction

from ..model.encoding import IGNORE_INDEX, invert_order, scale_positions, sort_scores

# Metrics whose mean is over all sentences; that of the others is over documents.
PER_SENTENCE = ("accuracy", "within_1")

# What those that are shown to readers are called.
TITLES = {
    "kendall_tau": "Kendall's tau",
    "pmr": "perfect match ratio",
    "accuracy": "accuracy",
    "spearman": "Spearman's rho",
    "lcs": "LCS ratio",
    "first": "first sentence right",
    "last": "last sentence right",
}


def compute_metrics(prediction: EvalPrediction, *, target_range: float | None = None) -> dict[str, float]:
    """Compare predicted with true orders; made for the Trainer's `compute_metrics`.

    Documents of fewer than two sentences say nothing about order: they are left out of everything, and counted.
    Sentences are ranked by a stable sort of their scores. Labels of a document from which some are missing are
    re-ranked, but for `mse`.

    Args:
        prediction: `predictions`, scores of shape `(documents, sentences)`, and `label_ids`, 0-based positions of
            the same shape with -100 for padding.
        target_range: The model's, if it has one, so that `mse` compares the scores with its targets:
            `partial(compute_metrics, target_range=model.config.target_range)`.

    Returns:
        Means over documents: `kendall_tau` (Kendall, "A New Measure of Rank Correlation", 1938), `pmr` (share of
        documents in exactly the right order), `accuracy_macro`, `spearman`, `lcs` (longest common subsequence by
        number of sentences), `first` and `last` (share of documents whose first, last sentence is right). Means over
        sentences: `accuracy` (share at the right place), `within_1` (displaced by at most one), `mse`, `mean_logits`,
        `std_logits` (the scores' standard deviation within documents, near 0 while training is still on its plateau).
        Counts: `documents`, `documents_skipped`. Means over nothing are NaN.

    Raises:
        ValueError: If scores and labels differ in shape.

    Example:
        >>> scores, labels = np.array([[0.1, 2.0, 0.9]]), np.array([[0, 2, 1]])
        >>> compute_metrics(EvalPrediction(scores, labels))["kendall_tau"]
        1.0
    """
    scores, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    if scores.shape != labels.shape or labels.ndim != 2:
        raise ValueError(
            f"Scores of shape {scores.shape} and labels of shape {labels.shape} must both be (documents, sentences)."
        )
    counted = (labels != IGNORE_INDEX).sum(axis=1) >= 2
    scores, labels = scores[counted].astype(np.float64), labels[counted]
    valid = labels != IGNORE_INDEX
    counts = valid.sum(axis=1)
    predicted = invert_order(sort_scores(scores, valid))
    true = invert_order(sort_scores(labels, valid))

    # The model's targets, which it has for documents that are labelled in part, too.
    sentences = (valid | (scores != IGNORE_INDEX)).sum(axis=1, keepdims=True)
    targets = scale_positions(labels.astype(np.float64), sentences, target_range)
    per_sentence = {"mse": (scores - targets)[valid] ** 2, "mean_logits": scores[valid]}
    means = (scores * valid).sum(axis=1, keepdims=True) / counts[:, None]
    return (
        average_documents(measure_documents(predicted, true, counts), counts)
        | {name: float(values.mean()) if values.size else float("nan") for name, values in per_sentence.items()}
        | {
            "std_logits": float(np.sqrt(np.square(scores - means)[valid].mean())) if valid.any() else float("nan"),
            "documents": float(len(labels)),
            "documents_skipped": float((~counted).sum()),
        }
    )


def random_metrics(labels: np.ndarray, seed: int, draws: int = 100) -> dict[str, float]:
    """Measure what random orders reach.

    Args:
        labels: Positions of shape `(documents, sentences)`, -100 for padding.
        seed: Seed of the random scores.
        draws: Number of random orders per document to average over.

    Returns:
        The metrics of `compute_metrics`, averaged.
    """
    rng = np.random.default_rng(seed)
    drawn = [compute_metrics(EvalPrediction(rng.random(labels.shape), labels)) for _ in range(draws)]
    return {name: float(np.mean([metrics[name] for metrics in drawn])) for name in drawn[0]}


def measure_documents(predicted: np.ndarray, true: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compare the predicted with the true order of each document.

    Args:
        predicted: 0-based places of the sentences, shape `(documents, sentences)`; each row is a permutation, in which
            slots without a sentence have the places from `count` on.
        true: Likewise.
        counts: Number of sentences of each document, at least 2; shape `(documents,)`.

    Returns:
        For each metric its values, floats of shape `(documents,)`.

    Example:
        >>> measure_documents(np.array([[0, 2, 1]]), np.array([[0, 1, 2]]), np.array([3]))["kendall_tau"]
        array([0.33333333])
    """
    valid = true < counts[:, None]
    displaced = np.abs(predicted - true)
    right = (displaced == 0) & valid
    true_in_predicted_order = np.take_along_axis(true, invert_order(predicted), axis=1)
    accuracy = right.sum(axis=1) / counts
    return {
        "kendall_tau": 1 - 4 * _count_inversions(true_in_predicted_order, counts) / (counts * (counts - 1)),
        "pmr": (accuracy == 1).astype(np.float64),
        "accuracy": accuracy,
        "accuracy_macro": accuracy,
        "spearman": 1 - 6 * (displaced**2 * valid).sum(axis=1) / (counts * (counts**2 - 1)),
        "lcs": _longest_increasing_subsequence(true_in_predicted_order, counts) / counts,
        "first": ((true == 0) & right).any(axis=1).astype(np.float64),
        "last": ((true == counts[:, None] - 1) & right).any(axis=1).astype(np.float64),
        "within_1": ((displaced <= 1) & valid).sum(axis=1) / counts,
    }


def average_documents(values: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, float]:
    """Average what `measure_documents` returned: over documents, or over sentences (`PER_SENTENCE`).

    Args:
        values: For each metric its values, shape `(documents,)`.
        counts: Number of sentences of each document, shape `(documents,)`.

    Returns:
        The means; NaN if there are no documents.
    """
    if not counts.size:
        return dict.fromkeys(values, float("nan"))
    return {
        name: float(np.average(value, weights=counts if name in PER_SENTENCE else None))
        for name, value in values.items()
    }


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
