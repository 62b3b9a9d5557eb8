"""The objectives: how far the scores of a document's sentences are from saying its order."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def squared_errors(scores: torch.Tensor, targets: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Sum the squared errors between scores and targets.

    Args:
        scores: Float32, shape `(documents, sentences)`.
        targets: Positions, raw or scaled, floats of the same shape.
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
    each with a probability proportional to `exp(-score)` among those that are left, for a lower score is read earlier.

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
    # A slot without a sentence has only itself left, for the logarithm of no probability at all has no gradient.
    is_left = is_left | torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device)
    left = (-scores[:, None, :]).masked_fill(~is_left, torch.finfo(scores.dtype).min)
    return ((left.logsumexp(dim=2) + scores) * valid).sum(dim=1)


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": squared_errors,
    "pairwise_logistic": pairwise_logistic,
    "list_mle": list_mle,
}
