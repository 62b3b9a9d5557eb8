"""The field's metrics, for all documents at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from transformers import EvalPrediction

from ..model.configuration_sentence_ordering import SentenceOrderingConfig
from ..model.encoding import IGNORE_INDEX, invert_order, sort_scores
from ..model.losses import regression_targets

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


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Compare predicted with true orders; made for the Trainer's `compute_metrics`.

    Documents of fewer than two sentences say nothing about order: they are left out of everything, and counted.
    Labels of a document from which some are missing are re-ranked, but for `mse`.

    Sentences of equal score have no order, and get no credit from the one in which they were given: every metric is
    its mean over all orders that such sentences can be put in (so a tied pair counts 0 for Kendall's tau, and the first
    sentence among three of equal score as a third right), but for `lcs`, which is its least value over them.

    Args:
        prediction: `predictions`, scores of shape `(documents, sentences)`, and `label_ids`, 0-based positions of
            the same shape with -100 for padding; or lists of such arrays, as the Trainer gives them with
            `eval_do_concat_batches=False`.

    Returns:
        Means over documents: `kendall_tau` (Kendall, "A New Measure of Rank Correlation", 1938), `pmr` (share of
        documents in exactly the right order), `accuracy_macro`, `spearman`, `lcs` (longest common subsequence by
        number of sentences), `first` and `last` (share of documents whose first, last sentence is right). Means over
        sentences: `accuracy` (share at the right place), `within_1` (displaced by at most one), `mse` (squared
        difference between score and position; for a model with `scale_positions` use `metrics_for`), `mean_logits`,
        `std_logits` (the scores' standard deviation within documents, near 0 while training is still on its plateau).
        Counts: `documents`, `documents_skipped`. Means over nothing are NaN.

    Raises:
        ValueError: If scores and labels differ in shape, or scores are NaN or infinite.

    Example:
        >>> scores, labels = np.array([[0.1, 2.0, 0.9]]), np.array([[0, 2, 1]])
        >>> compute_metrics(EvalPrediction(scores, labels))["kendall_tau"]
        1.0
    """
    return _compute_metrics(prediction, scale_positions=False, score_unit=1.0)


def metrics_for(config: SentenceOrderingConfig) -> Callable[[EvalPrediction], dict[str, float]]:
    """Return `compute_metrics` for a model, of which it knows what the scores are trained to be, for `mse`.

    Args:
        config: The model's configuration.

    Returns:
        A function for the Trainer's `compute_metrics`.

    Example:
        >>> trainer = Trainer(model, args, compute_metrics=metrics_for(model.config), ...)
    """

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        return _compute_metrics(prediction, scale_positions=config.scale_positions, score_unit=config.score_unit)

    return compute


def _compute_metrics(prediction: EvalPrediction, *, scale_positions: bool, score_unit: float) -> dict[str, float]:
    scores, labels = join_batches(prediction.predictions), join_batches(prediction.label_ids)
    if scores.shape != labels.shape or labels.ndim != 2:
        raise ValueError(
            f"Scores of shape {scores.shape} and labels of shape {labels.shape} must both be (documents, sentences)."
        )
    counted = (labels != IGNORE_INDEX).sum(axis=1) >= 2
    scores, labels = scores[counted].astype(np.float64), labels[counted]
    valid = labels != IGNORE_INDEX
    counts = valid.sum(axis=1)

    # The model's targets, which it has for documents that are labelled in part, too.
    sentences = (valid | (scores != IGNORE_INDEX)).sum(axis=1, keepdims=True)
    targets = regression_targets(labels.astype(np.float64), sentences, scale_positions) * score_unit
    per_document = measure_documents(scores, labels, valid)
    per_sentence = {"mse": (scores - targets)[valid] ** 2, "mean_logits": scores[valid]}
    means = (scores * valid).sum(axis=1, keepdims=True) / counts[:, None]
    return (
        average_documents(per_document, counts)
        | {name: float(values.mean()) if values.size else float("nan") for name, values in per_sentence.items()}
        | {
            "std_logits": float(np.sqrt(np.square(scores - means)[valid].mean())) if valid.any() else float("nan"),
            "documents": float(len(labels)),
            "documents_skipped": float((~counted).sum()),
        }
    )


def join_batches(batches: Any) -> np.ndarray:
    """Join the batches that a Trainer with `eval_do_concat_batches=False` gives to one array.

    Args:
        batches: Scores or labels: one array of shape `(documents, sentences)`, or a list of such arrays.

    Returns:
        One array, padded with -100 to the width of the widest batch.
    """
    if not isinstance(batches, (list, tuple)) or not batches or np.ndim(batches[0]) != 2:
        return np.asarray(batches)
    width = max(np.shape(batch)[1] for batch in batches)
    return np.concatenate(
        [
            np.pad(batch, ((0, 0), (0, width - np.shape(batch)[1])), constant_values=IGNORE_INDEX)
            for batch in map(np.asarray, batches)
        ]
    )


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
    orders = (invert_order(order) - first + 1.0).prod(axis=1)
    accuracy = right.sum(axis=1) / counts
    true_in_read_order = np.take_along_axis(true, order, axis=1)
    # Equal sentences are read in the wrong order there; of their pairs, half are wrong in the mean.
    wrong_pairs = _count_inversions(true_in_read_order, counts) - (size - 1).sum(axis=1) / 4
    return {
        "kendall_tau": 1 - 4 * wrong_pairs / (counts * (counts - 1)),
        "pmr": (is_right | ~valid).all(axis=1) / orders,
        "accuracy": accuracy,
        "accuracy_macro": accuracy,
        "spearman": 1 - (squared * valid).sum(axis=1) / (2 * counts * (counts**2 - 1)),
        "lcs": _longest_increasing_subsequence(true_in_read_order, counts) / counts,
        "first": (right * (true == 0)).sum(axis=1),
        "last": (right * (true == counts[:, None] - 1)).sum(axis=1),
        "within_1": (near * valid).sum(axis=1) / counts,
    }


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
