"""Fit how sure a model may be of its orders, on documents that it was not trained on."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from transformers import EvalPrediction
from transformers.trainer_utils import PredictionOutput

from .encoding_sentence_ordering import IGNORE_INDEX


def fit_confidence(prediction: EvalPrediction | PredictionOutput) -> float | None:
    """Fit the slope that turns gaps between scores into probabilities (`confidence_sentence_ordering`).

    Args:
        prediction: What `trainer.predict` returns for held-out documents: `predictions`, scores of shape
            `(documents, sentences)`, and `label_ids`, 0-based positions of the same shape with -100 for padding.

    Returns:
        The slope, for `model.config.confidence_slope`; 0 for a model that is no better than chance, `None` if there is
        no pair of sentences to learn from.

    Example:
        >>> model.config.confidence_slope = fit_confidence(trainer.predict(documents["validation"]))
    """
    gaps = score_gaps(np.asarray(prediction.predictions), np.asarray(prediction.label_ids))
    if len(gaps) == 0:
        return None
    scale = np.sqrt(np.square(gaps).mean())
    if scale == 0:
        return 0.0
    # Each pair stands there in both directions, for the fit needs both outcomes. The gaps are brought to one unit so
    # that the penalty, which keeps the slope finite where no pair is wrong, is as weak for every model.
    both = np.concatenate([gaps, -gaps])[:, None] / scale
    outcomes = np.repeat([True, False], len(gaps))
    slope = LogisticRegression(fit_intercept=False).fit(both, outcomes).coef_[0, 0] / scale
    return max(float(slope), 0.0)


def score_gaps(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Collect the gaps of all pairs of sentences: the later one's score minus the earlier one's.

    Args:
        scores: Shape `(documents, sentences)`.
        labels: 0-based positions of the same shape, -100 for padding.

    Returns:
        One gap per pair, shape `(pairs,)`; positive where the model has the pair in the right order.

    Example:
        >>> score_gaps(np.array([[0.5, 2.0, -100.0]]), np.array([[1, 0, -100]]))
        array([-1.5])
    """
    gaps = []
    for first in range(scores.shape[1]):
        for second in range(first):
            valid = (labels[:, first] != IGNORE_INDEX) & (labels[:, second] != IGNORE_INDEX)
            direction = np.sign(labels[valid, first] - labels[valid, second])
            gaps.append(direction * (scores[valid, first] - scores[valid, second]))
    return np.concatenate(gaps) if gaps else np.empty(0)
