"""Fit how sure a model may be of its orders, on documents that it was not trained on."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from transformers import EvalPrediction
from transformers.trainer_utils import PredictionOutput
from transformers.utils import logging

from ..model.encoding import IGNORE_INDEX
from .gaps import choose_pairs
from .metrics import join_batches, refuse_metrics

logger = logging.get_logger(__name__)


def fit_confidence(prediction: EvalPrediction | PredictionOutput) -> float | None:
    """Fit the slope that turns gaps between scores into probabilities (`model.confidence`).

    Args:
        prediction: What `trainer.predict` returns for held-out documents: `predictions`, scores of shape
            `(documents, sentences)`, and `label_ids`, 0-based positions of the same shape with -100 for padding.

    Returns:
        The slope, for `model.config.confidence_slope`; 0 for a model that is no better than chance, `None` if there is
        no pair of sentences to learn from. Scores that are not finite are left out, with a warning.

    Raises:
        TypeError: If it is metrics, and not what they were computed from.

    Example:
        >>> model.config.confidence_slope = fit_confidence(trainer.predict(documents["validation"]))
    """
    refuse_metrics(prediction)
    gaps = score_gaps(join_batches(prediction.predictions), join_batches(prediction.label_ids))
    finite = np.isfinite(gaps)
    if not finite.all():
        logger.warning(f"{(~finite).sum()} of {len(gaps)} gaps between scores are not finite: training has diverged.")
    gaps = gaps[finite]
    if len(gaps) == 0:
        return None
    scale = np.sqrt(np.square(gaps).mean())
    if scale == 0:
        return 0.0
    # Each pair stands there in both directions, because the fit needs both outcomes. The gaps are brought to one unit
    # so that the penalty, which keeps the slope finite where no pair is wrong, is as weak for every model.
    both = np.concatenate([gaps, -gaps])[:, None] / scale
    outcomes = np.repeat([True, False], len(gaps))
    slope = LogisticRegression(fit_intercept=False).fit(both, outcomes).coef_[0, 0] / scale
    return max(float(slope), 0.0)


def score_gaps(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Collect the gaps of pairs of sentences: the later one's score minus the earlier one's.

    Of a long document 100 pairs are chosen at random, so that it does not outweigh the others.

    Args:
        scores: Shape `(documents, sentences)`.
        labels: 0-based positions of the same shape, -100 for padding.

    Returns:
        One gap per pair, shape `(pairs,)`; positive where the model has the pair in the right order.

    Example:
        >>> score_gaps(np.array([[0.5, 2.0, -100.0]]), np.array([[1, 0, -100]]))
        array([-1.5])
    """
    rng = np.random.default_rng(0)
    gaps = [np.empty(0)]
    for document_scores, document_labels in zip(scores, labels, strict=True):
        labelled = np.flatnonzero(document_labels != IGNORE_INDEX)
        if len(labelled) >= 2:
            one, other = (labelled[chosen] for chosen in choose_pairs(len(labelled), rng))
            direction = np.sign(document_labels[other] - document_labels[one])
            gaps.append(direction * (document_scores[other] - document_scores[one]))
    return np.concatenate(gaps)
