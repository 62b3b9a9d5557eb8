"""Metrics, beside the tutorial's loop over documents."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from .materials import FEWEST, MOST
from .measuring import Row, compare

if TYPE_CHECKING:
    import numpy as np

DOCUMENTS = 10_000


def benchmark_metrics(args: Namespace, _: str) -> list[Row]:
    """Compute all metrics, beside the tutorial's two in a loop over SciPy's tau."""
    import numpy as np
    from transformers import EvalPrediction

    from sentence_ordering import compute_metrics

    rng = np.random.default_rng(0)
    count = 50 if args.smoke else DOCUMENTS
    sentences = rng.integers(FEWEST, MOST + 1, size=(count, 1))
    exists = np.arange(MOST) < sentences
    scores = np.where(exists, rng.normal(size=exists.shape), -100)
    labels = np.where(exists, rng.random(exists.shape), 2).argsort().argsort()
    labels[~exists] = -100
    prediction = EvalPrediction(scores, labels)
    sides = (lambda _: loop_over_documents(scores, labels), lambda _: compute_metrics(prediction))
    return [compare(f"metrics of {count} documents / a loop over SciPy", sides, args.rounds, count, 50)]


def loop_over_documents(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute Kendall's tau, accuracy, and mean and deviation of the scores, document by document."""
    import numpy as np
    from scipy.stats import kendalltau

    taus, accuracies, means, deviations = [], [], [], []
    for document_scores, document_labels in zip(scores, labels, strict=True):
        exists = document_labels != -100
        places = document_scores[exists].argsort().argsort()
        taus.append(kendalltau(document_labels[exists], places).statistic)
        accuracies.append((document_labels[exists] == places).mean())
        means.append(document_scores[exists].mean())
        deviations.append(document_scores[exists].std())
    names = ("kendall_tau", "accuracy", "mean_logits", "std_logits")
    return dict(zip(names, map(float, map(np.mean, (taus, accuracies, means, deviations))), strict=True))
