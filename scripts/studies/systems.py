"""The systems that are compared: what each changes in the model of this package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from sentence_ordering import SentenceOrderingConfig, SentenceOrderingModel


@dataclass(frozen=True)
class System:
    """A way to order sentences.

    Args:
        fields: Of the model's configuration.
        model: The model's class; `None` for the pairwise classifier.
        fresh_shuffles: Whether each epoch has shuffles of its own.
        head_rate: Learning rate of what is not pretrained, as a multiple of the backbone's.
        fitted_head: Whether the head starts as the ridge regression on the pretrained encoder's sentence vectors.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    model: type[SentenceOrderingModel] | None = SentenceOrderingModel
    fresh_shuffles: bool = True
    head_rate: float = 1.0
    fitted_head: bool = False

    @property
    def sampling(self) -> str:
        """The Trainer's sampling strategy: rows with fresh shuffles come grouped by length, and pairs one by one."""
        if self.model is None:
            return "random"
        return "sequential" if self.fresh_shuffles else "group_by_length"


class SummedPooling(SentenceOrderingModel):
    """Adds the state at the sentence token to the mean over the sentence's tokens."""

    def _pool(self, hidden_states: Any, input_ids: Any, attention_mask: Any, labels: Any) -> Any:
        means, exists = super()._pool(hidden_states, input_ids, attention_mask, labels)
        is_start = (input_ids == self.config.sentence_token_id) & attention_mask.bool()
        slots = torch.arange(1, exists.shape[1] + 1, device=input_ids.device)[:, None]
        starts = ((is_start.cumsum(dim=1)[:, None] == slots) & is_start[:, None]).float()
        with torch.autocast(hidden_states.device.type, enabled=False):
            return means + starts @ hidden_states.float(), exists


class AttentionPooling(SentenceOrderingModel):
    """Weighs the tokens of a sentence by a learnt attention, which starts as the mean."""

    def __init__(self, config: SentenceOrderingConfig, backbone: Any = None) -> None:
        super().__init__(config, backbone)
        self.attention = nn.Linear(config.backbone_config.hidden_size, 1)
        nn.init.zeros_(self.attention.weight)

    def _pool(self, hidden_states: Any, input_ids: Any, attention_mask: Any, labels: Any) -> Any:
        with torch.autocast(hidden_states.device.type, enabled=False):
            weights = self.attention(hidden_states.float()).clamp(-20, 20).exp()
            # Means of weight * state and of weight have the same denominator, which cancels.
            joint = torch.cat([hidden_states.float() * weights, weights], dim=2)
            means, exists = super()._pool(joint, input_ids, attention_mask, labels)
            return means[..., :-1] / means[..., -1:].clamp(min=1e-9), exists


class PlainHead(SentenceOrderingModel):
    """A linear map from each sentence's vector alone, as in the tutorial."""

    def __init__(self, config: SentenceOrderingConfig, backbone: Any = None) -> None:
        super().__init__(config, backbone)
        self.bias = nn.Parameter(torch.zeros(()))

    def _score(self, vectors: torch.Tensor, exists: torch.Tensor) -> torch.Tensor:
        with torch.autocast(vectors.device.type, enabled=False):
            return self.ordering_head.projection(vectors).squeeze(-1) + self.bias


class SentenceLayers(SentenceOrderingModel):
    """Two position-free transformer layers over the sentence vectors (RankTxNet, arXiv 2001.00056)."""

    def __init__(self, config: SentenceOrderingConfig, backbone: Any = None) -> None:
        super().__init__(config, backbone)
        size = config.backbone_config.hidden_size
        layer = nn.TransformerEncoderLayer(size, size // 64 or 1, 4 * size, 0.1, "gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def _pool(self, hidden_states: Any, input_ids: Any, attention_mask: Any, labels: Any) -> Any:
        vectors, exists = super()._pool(hidden_states, input_ids, attention_mask, labels)
        return self.layers(vectors, src_key_padding_mask=~exists), exists


class ZeroHead(SentenceOrderingModel):
    """Starts from equal scores."""

    def __init__(self, config: SentenceOrderingConfig, backbone: Any = None) -> None:
        super().__init__(config, backbone)
        nn.init.zeros_(self.ordering_head.projection.weight)


MEAN = {"pooling": "mean"}
SYSTEMS = {
    "tutorial": System({"pooling": "cls", "loss_reduction": "document"}, PlainHead, fresh_shuffles=False),
    "cls, plain head": System({"pooling": "cls"}, PlainHead),
    "mean, plain head": System(MEAN, PlainHead),
    "cls, fitted head": System({"pooling": "cls"}, fitted_head=True),
    "mean, fitted head": System(MEAN, fitted_head=True),
    "cls": System({"pooling": "cls"}),
    "mean": System(MEAN),
    "cls + mean": System(MEAN, SummedPooling),
    "attention": System(MEAN, AttentionPooling),
    "mean, head x10": System(MEAN, head_rate=10),
    "mean, zero head": System(MEAN, ZeroHead),
    "mean, scaled": System(MEAN | {"scale_positions": True}),
    "mean, layers": System(MEAN, SentenceLayers),
    "mean, logistic": System(MEAN | {"loss_type": "pairwise_logistic"}),
    "mean, list_mle": System(MEAN | {"loss_type": "list_mle"}),
    "cls, logistic": System({"pooling": "cls", "loss_type": "pairwise_logistic"}),
    "cls, list_mle": System({"pooling": "cls", "loss_type": "list_mle"}),
    "pairwise": System(model=None),
}
