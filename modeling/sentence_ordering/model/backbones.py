"""What is special about each type of backbone: the one place that knows exceptions.

A type that is not listed is treated as a generic encoder, with a warning. `tests/model/test_backbones.py` proves every
line of the table on a tiny random model, and `scripts/backbones.py` writes it into docs/backbones.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedConfig


def absolute(config: PreTrainedConfig) -> int | None:
    """Return the number of position embeddings; `None` for rotary positions, or if the configuration has no number."""
    rotary = getattr(config, "rope_parameters", None) is not None
    limit = getattr(config, "max_position_embeddings", None)
    return None if rotary or limit is None or limit <= 0 else limit


def after_padding(config: PreTrainedConfig) -> int | None:
    """Return the limit of types that number positions from `pad_token_id + 1`."""
    return config.max_position_embeddings - config.pad_token_id - 1


def after_two(config: PreTrainedConfig) -> int | None:
    """Return the limit of MPNet, which numbers positions from 2, whatever the id of its pad token."""
    return config.max_position_embeddings - 2


def unless_relative(config: PreTrainedConfig) -> int | None:
    """Return the limit of DeBERTa, whose checkpoints have relative positions only, or absolute ones too."""
    return config.max_position_embeddings if config.position_biased_input else None


def of_encoder(config: PreTrainedConfig) -> int | None:
    """Return the limit of LED, whose encoder and decoder have different ones."""
    return config.max_encoder_position_embeddings


@dataclass(frozen=True)
class Backbone:
    """How a type of backbone differs from a generic encoder.

    Args:
        position_limit: Computes, from the configuration, the longest row in tokens; `None` if any length runs.
        fields: Values that fields of its configuration need to have.
        bidirectional: Is it a decoder whose `is_causal` has to be switched off?
        global_attention: Does it need to be told that the sentence tokens attend to, and are seen by, all tokens?
        padding_sensitive: Do scores depend on how much padding a row has?
        shortest_row: Rows of fewer tokens are padded to as many.
        unused: Regular expression for the names of parameters that no score depends on.
        refused: Why it cannot work.
        note: What a user should know besides, for the table in the docs.
    """

    position_limit: Callable[[PreTrainedConfig], int | None] = absolute
    fields: Mapping[str, Any] = field(default_factory=dict)
    bidirectional: bool = False
    global_attention: bool = False
    padding_sensitive: bool = False
    shortest_row: int = 1
    unused: str | None = None
    refused: str | None = None
    note: str = ""


GENERIC = Backbone()
OFFSET = Backbone(after_padding)
# Keys and values of earlier tokens are of no use where nothing is generated.
DECODER = Backbone(fields={"use_cache": False}, bidirectional=True)
NEEDS_BOXES = Backbone(refused="it needs the place of every token on a page")
NEEDS_IMAGES = Backbone(refused="it needs images besides text")
NOT_PER_TOKEN = Backbone(refused="it gives no hidden state for every token")

BACKBONES: Mapping[str, Backbone] = {
    "albert": GENERIC,
    "bart": GENERIC,
    "bert": GENERIC,
    # Block-sparse attention depends on padding, and a first short batch would switch it off for good.
    "big_bird": Backbone(fields={"attention_type": "original_full"}, note="full instead of block-sparse attention"),
    "bros": NEEDS_BOXES,
    "camembert": OFFSET,
    "canine": Backbone(padding_sensitive=True, shortest_row=8, note="reads characters"),
    "convbert": Backbone(padding_sensitive=True),
    "data2vec-text": OFFSET,
    "deberta": Backbone(unless_relative, note="no bfloat16"),
    "deberta-v2": Backbone(unless_relative),
    "distilbert": GENERIC,
    "dpr": NOT_PER_TOKEN,
    "electra": GENERIC,
    "ernie": GENERIC,
    "eurobert": GENERIC,
    "flaubert": GENERIC,
    "fnet": Backbone(padding_sensitive=True, note="has no attention mask; no bfloat16"),
    "funnel": Backbone(padding_sensitive=True, shortest_row=8, note="not the `-base` checkpoints"),
    "gemma2": DECODER,
    "gemma3_text": DECODER,
    "gpt2": DECODER,
    "gte": GENERIC,
    "ibert": OFFSET,
    "jina_embeddings_v3": GENERIC,
    "layoutlmv2": NEEDS_IMAGES,
    "led": Backbone(of_encoder, global_attention=True),
    "llama": DECODER,
    "longformer": Backbone(after_padding, global_attention=True),
    "longt5": GENERIC,
    "luke": Backbone(
        after_padding, unused=r"entity_embeddings\.|\.(w2e|e2w|e2e)_query\.", note="words only, no entities"
    ),
    "lxmert": NEEDS_IMAGES,
    "mbart": GENERIC,
    "megatron-bert": GENERIC,
    "mistral": DECODER,
    # The embeddings of a token's neighbours are part of its own, and padding's need not be zero.
    "mobilebert": Backbone(padding_sensitive=True),
    "modernbert": GENERIC,
    "modernbert-decoder": DECODER,
    "mpnet": Backbone(after_two),
    "mt5": GENERIC,
    "nomic_bert": GENERIC,
    # With as many landmarks as tokens it computes the attention that it otherwise approximates, for rows of any length.
    "nystromformer": Backbone(
        fields={"num_landmarks": 1, "segment_means_seq_len": 1},
        padding_sensitive=True,
        note="full instead of approximate attention",
    ),
    "perceiver": NOT_PER_TOKEN,
    "qwen2": DECODER,
    "qwen3": DECODER,
    "rembert": GENERIC,
    "roberta": OFFSET,
    "roberta-prelayernorm": OFFSET,
    "roformer": Backbone(unused=r"embed_positions\."),
    "squeezebert": GENERIC,
    "t5": GENERIC,
    "umt5": GENERIC,
    "vilt": NEEDS_IMAGES,
    "xlm": GENERIC,
    "xlm-roberta": OFFSET,
    "xlm-roberta-xl": OFFSET,
    # Memories, as the cache of decoders, are of no use.
    "xlnet": Backbone(
        fields={"use_mems_eval": False, "use_mems_train": False},
        unused=r"mask_emb|\.(r_s_bias|seg_embed)",
        note="bfloat16 by autocast only",
    ),
    "xmod": Backbone(after_padding, note="needs `default_language`"),
    "yoso": Backbone(padding_sensitive=True),
}


def backbone_of(config: PreTrainedConfig) -> Backbone:
    """Look up what is special about a backbone.

    Args:
        config: Its configuration.

    Returns:
        The line of the table, or that of a generic encoder.

    Example:
        >>> backbone_of(AutoConfig.from_pretrained("roberta-base")).position_limit(config)
        512
    """
    return BACKBONES.get(config.model_type, GENERIC)


def adapt_config(config: PreTrainedConfig) -> None:
    """Set what the fields of a backbone's configuration need to be, in place."""
    backbone = backbone_of(config)
    for name, value in backbone.fields.items():
        setattr(config, name, value)
    if backbone.bidirectional:
        config.is_causal = False


__all__ = ["BACKBONES", "Backbone", "adapt_config", "backbone_of"]
