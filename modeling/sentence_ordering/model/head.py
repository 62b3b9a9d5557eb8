"""The head: from the vectors of a document's sentences to their scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class OrderingHead(nn.Module):
    """Dropout and a linear map from a sentence's vector to its score, centred on its document, always in float32.

    The mean position of a document's sentences is known. A head that has to learn it spends its first steps on that,
    and its later ones on documents instead of sentences.

    In half precision the scores of neighbouring sentences tie (bfloat16 has a step of 1/64 near 2), and ties are wrong
    orders.

    Args:
        hidden_size: Size of a sentence's vector.
        dropout: Dropout probability.

    Attributes:
        is_new: Whether the weights are still random: neither loaded, nor fitted, nor trained.
    """

    def __init__(self, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.is_new = True
        self.register_load_state_dict_post_hook(_mark_as_loaded)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(hidden_size, 1, bias=False, dtype=torch.float32)

    def forward(self, sentence_vectors: torch.Tensor, exists: torch.Tensor) -> torch.Tensor:
        """Map the vectors of documents to scores.

        Args:
            sentence_vectors: Shape `(batch, sentences, hidden)`.
            exists: Which slots have a sentence, booleans of shape `(batch, sentences)`.

        Returns:
            Float32 scores of shape `(batch, sentences)`, which add up to 0 over the sentences of a document.
        """
        with torch.autocast(sentence_vectors.device.type, enabled=False):
            # The module is called, and not its weight read: what wraps or replaces it (offloading, adapters,
            # quantisation) acts when it is called.
            scores = self.projection(self.dropout(sentence_vectors.float())).float().squeeze(-1) * exists
            means = scores.sum(dim=1, keepdim=True) / exists.sum(dim=1, keepdim=True).clamp(min=1)
            return scores - means

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> OrderingHead:
        """Follow what moves or casts the model, but for its dtype: `model.half()` leaves the head in float32."""

        def keep_float32(tensor: torch.Tensor) -> torch.Tensor:
            result = fn(tensor)
            is_cast = tensor.dtype == torch.float32 and result.is_floating_point() and result.dtype != torch.float32
            return tensor.to(result.device) if is_cast else result

        super()._apply(keep_float32, recurse)
        return self


def _mark_as_loaded(head: OrderingHead, keys: Any) -> None:
    missing = any(key.rpartition("ordering_head.")[-1] == "projection.weight" for key in keys.missing_keys)
    head.is_new = head.is_new and missing


__all__ = ["OrderingHead"]
