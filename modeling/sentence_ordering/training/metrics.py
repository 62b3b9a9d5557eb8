"""The field's metrics, for all documents at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from transformers import EvalPrediction

from ..model.configuration_sentence_ordering import SentenceOrderingConfig
from ..model.encoding import IGNORE_INDEX
from ..model.losses import regression_targets
from .document_metrics import measure_documents

# Metrics whose mean is over all sentences; that of the others is over documents.
PER_SENTENCE = ("accuracy", "within_1", "displacement")

# Sentences that are measured at once, where the same documents are measured again and again.
MAX_SENTENCES = 2**20

# What those that are shown to readers are called.
TITLES = {
    "kendall_tau": "Kendall's tau",
    "pmr": "perfect match ratio",
    "accuracy": "accuracy",
    "spearman": "Spearman's rho",
    "lcs": "LCS ratio",
    "first": "first sentence right",
    "last": "last sentence right",
    "adjacent": "neighbours right",
    "moves": "moves needed",
    "displacement": "places off",
}


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Compare predicted with true orders; made for the Trainer's `compute_metrics`.

    Documents of fewer than two sentences say nothing about order: they are left out of everything, and counted.
    Labels of a document from which some are missing are re-ranked, but for `mse`.

    Sentences of equal score have no order, and get no credit from the one in which they were given: every metric is
    its mean over all orders that such sentences can be put in (so a tied pair counts 0 for Kendall's tau, and the first
    sentence among three of equal score as a third right), but for `lcs` and `moves`, which are those of the worst one.

    Args:
        prediction: `predictions`, scores of shape `(documents, sentences)`, and `label_ids`, 0-based positions of
            the same shape with -100 for padding; or lists of such arrays, as the Trainer gives them with
            `eval_do_concat_batches=False`.

    Returns:
        Means over documents: `kendall_tau` (Kendall, "A New Measure of Rank Correlation", 1938), `pmr` (share of
        documents in exactly the right order), `accuracy_macro`, `spearman`, `lcs` (longest common subsequence by
        number of sentences), `first` and `last` (share of documents whose first, last sentence is right), `adjacent`
        (share of the n - 1 pairs of neighbours that are neighbours again, in the same order; what the exam PTE Academic
        gives its credit for), `moves` (number of sentences to move until the order is right: n less the longest common
        subsequence; Ulam, "Some Ideas and Prospects in Biomathematics", 1972; divide by n - 1, that of the reverse
        order, to compare lengths), `displacement_first` and `displacement_last` (places that the first, last sentence
        is off). Means over sentences: `accuracy` (share at the right place), `within_1` (displaced by at most one),
        `displacement` (places that a sentence is off), `mse` (squared difference between score and position; for a
        model with `scale_positions` use `metrics_for`), `mean_logits`,
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


def refuse_metrics(prediction: Any) -> None:
    """Refuse what `trainer.evaluate` returns where what `trainer.predict` returns is needed.

    Args:
        prediction: What was given.

    Raises:
        TypeError: If it is metrics.
    """
    if isinstance(prediction, dict):
        raise TypeError(
            "These are metrics, which `trainer.evaluate` returns. Give what `trainer.predict(rows)` returns."
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
    # Few documents take as long as many, and all orders of very many do not fit into memory.
    at_once = draws if draws * labels.size <= MAX_SENTENCES else 1
    repeated = np.tile(labels, (at_once, 1))
    drawn = [compute_metrics(EvalPrediction(rng.random(repeated.shape), repeated)) for _ in range(draws // at_once)]
    means = {name: float(np.mean([metrics[name] for metrics in drawn])) for name in drawn[0]}
    return means | {name: means[name] / at_once for name in ("documents", "documents_skipped")}


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
