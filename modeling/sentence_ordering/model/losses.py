"""The objectives: what scores are compared with, how far off they are, and how that becomes one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from .configuration_sentence_ordering import SentenceOrderingConfig
from .encoding import IGNORE_INDEX

# The range of scaled positions: that of the raw ones of five sentences. Training steps have a fixed size, so that a
# smaller range would drown in their noise.
SCALED_RANGE = 4.0

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def ordering_loss(
    scores: torch.Tensor,
    labels: torch.Tensor,
    exists: torch.Tensor,
    config: SentenceOrderingConfig,
    num_items_in_batch: torch.Tensor | int | None = None,
) -> torch.Tensor:
    """Compute the objective that `config.loss_type` names, reduced as `config.loss_reduction` says.

    With `loss_reduction="document"` it is summed within documents and averaged over documents. Under gradient
    accumulation the Trainer tells the number of labels, not of documents; then that average is exact for documents of
    equal length, and otherwise each batch counts by its share of the labels.

    Args:
        scores: The head's, before `config.score_unit`; float32, shape `(documents, sentences)`.
        labels: 0-based positions, integers of the same shape, -100 where there is none.
        exists: Which slots have a sentence, booleans of the same shape.
        config: The model's configuration.
        num_items_in_batch: Number of labels of all batches of the accumulated step; by default of this batch.

    Returns:
        Scalar of dtype float32; 0 if no sentence has a label.

    Example:
        >>> scores, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([[0, 2]])
        >>> ordering_loss(scores, labels, torch.tensor([[True, True]]), SentenceOrderingConfig(BertConfig(), 101))
        tensor(2.5000)
    """
    valid = exists & (labels != IGNORE_INDEX)
    targets = regression_targets(labels.float(), exists.sum(dim=1, keepdim=True), config.scale_positions)
    total = LOSSES[config.loss_type](scores, targets, valid).sum()
    sentences = valid.sum().clamp(min=1)
    num_items: torch.Tensor | int = sentences
    if isinstance(num_items_in_batch, torch.Tensor):
        # DataParallel hands every replica a tensor of shape (1, 1).
        num_items = num_items_in_batch.to(scores.device).max().clamp(min=1)
    elif num_items_in_batch is not None:
        num_items = max(num_items_in_batch, 1)
    if config.loss_reduction == "sentence":
        return total / num_items
    documents = valid.any(dim=1).sum().clamp(min=1)
    return total / documents * (sentences / num_items)


def regression_targets(positions: Array, counts: Array, scale_positions: bool) -> Array:
    """Turn positions into what scores are trained to be.

    Args:
        positions: 0-based positions, floats of shape `(documents, sentences)`, NumPy or torch.
        counts: Number of sentences of each document, shape `(documents, 1)`, of the same library.
        scale_positions: The configuration's field.

    Returns:
        `positions`, or `positions * 4 / (counts - 1)`.

    Example:
        >>> regression_targets(np.array([[0.0, 1.0, 2.0]]), np.array([[3]]), scale_positions=True)
        array([[0., 2., 4.]])
    """
    if not scale_positions:
        return positions
    return positions * (SCALED_RANGE / (counts - 1).clip(min=1))


def squared_errors(scores: torch.Tensor, targets: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Sum the squared errors between scores and targets.

    Args:
        scores: Float32, shape `(documents, sentences)`.
        targets: Positions, raw or scaled (`regression_targets`), floats of the same shape.
        valid: Which slots have a sentence and a label, booleans of the same shape.

    Returns:
        One sum per document, shape `(documents,)`.

    Example:
        >>> squared_errors(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([[True, True]]))
        tensor([5.])
    """
    return ((scores - targets).square() * valid).sum(dim=1)


def pairwise_logistic(scores: torch.Tensor, targets: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Sum the logistic losses of all pairs of sentences, times 2 / (n - 1) for a document of n sentences.

    RankNet (Burges et al., "Learning to Rank using Gradient Descent", 2005): a pair's earlier sentence comes first with
    probability `sigmoid(later score - earlier score)`. A document has n (n - 1) / 2 pairs, so that with this factor
    each of its sentences weighs as much as one of any other document.

    Args:
        scores: Float32, shape `(documents, sentences)`.
        targets: Positions, floats of the same shape; only their order counts.
        valid: Which slots have a sentence and a label, booleans of the same shape.

    Returns:
        One sum per document, shape `(documents,)`; 0 for documents of fewer than two sentences.

    Example:
        >>> pairwise_logistic(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([[True, True]]))
        tensor([1.3863])
    """
    is_pair = (targets[:, :, None] < targets[:, None, :]) & valid[:, :, None] & valid[:, None, :]
    gaps = scores[:, None, :] - scores[:, :, None]
    losses = (nn.functional.softplus(-gaps) * is_pair).sum(dim=(1, 2))
    return losses * 2 / (valid.sum(dim=1) - 1).clamp(min=1)


def list_mle(scores: torch.Tensor, targets: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Compute the negative log-likelihood of the right order in the Plackett-Luce model.

    ListMLE (Xia et al., "Listwise Approach to Learning to Rank", 2008): the order is read off one sentence at a time,
    each with a probability proportional to `exp(-score)` among those that are left, because a lower score is read
    earlier.

    Args:
        scores: Float32, shape `(documents, sentences)`.
        targets: Positions, floats of the same shape; only their order counts.
        valid: Which slots have a sentence and a label, booleans of the same shape.

    Returns:
        One likelihood per document, shape `(documents,)`.

    Example:
        >>> list_mle(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([[True, True]]))
        tensor([0.6931])
    """
    is_left = (targets[:, None, :] >= targets[:, :, None]) & valid[:, None, :]
    # A slot without a sentence has only itself left, because the logarithm of no probability at all has no gradient.
    is_left = is_left | torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device)
    left = (-scores[:, None, :]).masked_fill(~is_left, torch.finfo(scores.dtype).min)
    return ((left.logsumexp(dim=2) + scores) * valid).sum(dim=1)


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": squared_errors,
    "pairwise_logistic": pairwise_logistic,
    "list_mle": list_mle,
}

__all__ = ["ordering_loss", "regression_targets"]
