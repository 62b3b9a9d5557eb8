"""The model: any encoder backbone, a regression head on its sentence tokens, and the loss."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput, logging

from .adapter import has_weights, locate_encoder, merge_adapter, read_adapter_config
from .backbones import backbone_of
from .configuration_sentence_ordering import SentenceOrderingConfig
from .encoder import backbone_auto_class, build_encoder, encoder_of, freeze_unused, prepare_encoder
from .encoding import IGNORE_INDEX
from .head import OrderingHead
from .int8 import replace_linear_layers
from .losses import ordering_loss, regression_targets

# Imported so that its file travels with every saved model.
from .pipeline_sentence_ordering import SentenceOrderingPipeline  # noqa: F401

logger = logging.get_logger(__name__)

# Keywords of `from_pretrained` that say where files come from.
HUB_KEYWORDS = frozenset(
    {
        "cache_dir",
        "force_download",
        "local_files_only",
        "proxies",
        "revision",
        "subfolder",
        "token",
        "trust_remote_code",
        "code_revision",
    }
)
# Those of them that belong to the orderer's repository, not to that of the encoder below an adapter.
ORDERER_KEYWORDS = frozenset(
    {"revision", "subfolder", "trust_remote_code", "code_revision", "adapter_kwargs", "_commit_hash"}
)


@dataclass
class SentenceOrderingOutput(ModelOutput):
    """What `SentenceOrderingModel` returns.

    Args:
        loss: Scalar of dtype float32; only if labels were given.
        logits: Scores of shape `(batch, sentences)` and dtype float32, in input order; a lower score is read earlier.
            Slots without a sentence hold -100, the value with which the Trainer pads too, so do not sort them by hand:
            `pipeline("sentence-ordering")` does it right.
        hidden_states: The backbone's, each of shape `(batch, tokens, hidden)`, if `output_hidden_states=True`.
        attentions: The backbone's, each of shape `(batch, heads, tokens, tokens)`, if `output_attentions=True`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class SentenceOrderingPreTrainedModel(PreTrainedModel):
    """What the model declares to transformers; the backbone itself refuses what it does not support."""

    config: SentenceOrderingConfig
    config_class = SentenceOrderingConfig
    base_model_prefix = "backbone"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _keep_in_fp32_modules_strict = ["ordering_head"]
    # Besides its name, where it was loaded from; the tokenizer lies there, too.
    loaded_from: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str] | None, *args: Any, **kwargs: Any
    ) -> Any:
        """Load a saved orderer, from safetensors only: a pickle can run code while it is loaded.

        Args:
            pretrained_model_name_or_path: A folder or Hub id.
            *args: As for `PreTrainedModel.from_pretrained`.
            **kwargs: Likewise; fields of the configuration may be overridden.

        Returns:
            The model, in evaluation mode. One that was saved as an adapter has whole weights: the encoder's with the
            adapter merged into them.

        Raises:
            ValueError: If it is a plain encoder, or if a pickle is asked for.
            OSError: If there are no weights in safetensors, or they cannot be read.
        """
        if not kwargs.setdefault("use_safetensors", True):
            raise ValueError("Weights are loaded from safetensors only: a pickle can run code while it is loaded.")
        if pretrained_model_name_or_path is not None and kwargs.get("config") is not None:
            # With a configuration given nobody reads the folder's own, which says if there is an orderer in it.
            SentenceOrderingConfig.get_config_dict(pretrained_model_name_or_path, **hub_keywords(kwargs))
        try:
            if pretrained_model_name_or_path is not None and not has_weights(
                pretrained_model_name_or_path, hub_keywords(kwargs)
            ):
                return cls.from_adapter(pretrained_model_name_or_path, **kwargs)
            with_loading_info = kwargs.pop("output_loading_info", False)
            loaded: Any = super().from_pretrained(
                pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs
            )
        except SafetensorError as error:
            raise OSError(
                f"The weights of {str(pretrained_model_name_or_path)!r} cannot be read ({error}). They are damaged, or "
                "a pointer in a Git clone, in whose place `git lfs pull` puts them."
            ) from error
        model, loading_info = loaded
        freeze_unused(model.backbone)
        model.ordering_head.is_new = any(key.startswith("ordering_head.") for key in loading_info["missing_keys"])
        model.loaded_from = hub_place(kwargs)
        return (model, loading_info) if with_loading_info else model

    @classmethod
    def from_adapter(cls, name: str | os.PathLike[str], *, merge: bool = True, **kwargs: Any) -> Any:
        """Load an orderer from its difference to an encoder (`adapter.py`), and merge the two.

        `from_pretrained` does the same where an orderer has no whole weights.

        Args:
            name: A folder or Hub id.
            merge: Whether to merge them. Otherwise the weights are the encoder's and those of the head random, for
                peft to put the adapter beside them and the saved head in its place.
            **kwargs: As for `from_pretrained`; those that say where files come from, but for `revision` and
                `subfolder`, hold for the encoder, too.

        Returns:
            The model, in evaluation mode.

        Raises:
            OSError: If there is no adapter.
            ValueError: If it is no plain LoRA, or does not fit its encoder.
        """
        hub_kwargs = hub_keywords(kwargs)
        adapter = read_adapter_config(name, hub_kwargs)
        config, dtype = kwargs.pop("config", None), kwargs.pop("dtype", None)
        if config is None:
            config, kwargs = SentenceOrderingConfig.from_pretrained(name, return_unused_kwargs=True, **kwargs)
        kwargs = {key: value for key, value in kwargs.items() if key not in ORDERER_KEYWORDS}
        with_loading_info = kwargs.pop("output_loading_info", False)
        base = locate_encoder(adapter["base_model_name_or_path"])
        kwargs |= {
            "dtype": dtype or config.dtype or "auto",
            "revision": adapter.get("revision") or "main",
            "output_loading_info": True,
        }
        base_config, _ = PreTrainedConfig.get_config_dict(base, **hub_keywords(kwargs))
        model: Any
        if base_config.get("model_type") == config.model_type:  # Trained on from an orderer.
            model, loading_info = cls.from_pretrained(base, config=config, **kwargs)
        else:
            auto_class = backbone_auto_class(config.backbone_config)
            encoder, loading_info = auto_class.from_pretrained(base, config=config.backbone_config, **kwargs)
            model = cls(config, backbone=encoder_of(encoder))
            model.ordering_head.to(encoder.device)
        if merge:
            merge_adapter(model, name, adapter, hub_kwargs)
        model.ordering_head.is_new = False
        # As transformers does for whole weights: what is trained on from here tells by it where it came from.
        model.config._name_or_path = model.name_or_path = str(name)
        model.loaded_from = hub_place(hub_kwargs)
        return (model.eval(), loading_info) if with_loading_info else model.eval()


class SentenceOrderingModel(SentenceOrderingPreTrainedModel):
    """An encoder with a regression head that gives every sentence of a document a score: its place in the order.

    Load a saved orderer with `from_pretrained`; put a new head on a plain encoder with `AutoModelForSentenceOrdering`.

    Args:
        config: The model's configuration.
        backbone: An encoder with its weights; by default a randomly initialised one of `config.backbone_config`.

    Example:
        >>> model = SentenceOrderingModel.from_pretrained("user/orderer")
        >>> inputs = encode_documents([["He ate it.", "Tom bought a cake."]], tokenizer, model.config)
        >>> model(**{name: torch.tensor(rows) for name, rows in inputs.items()}).logits
        tensor([[0.9, 0.1]])
    """

    def __init__(self, config: SentenceOrderingConfig, backbone: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        config.validate()
        if backbone is None:
            backbone = build_encoder(config.backbone_config)
        self.backbone = prepare_encoder(backbone)
        if config.int8:
            replace_linear_layers(self.backbone)
        # One object, so that resizing the embeddings or changing the attention reaches what is saved.
        config.backbone_config = self.backbone.config
        self._accepts = frozenset(inspect.signature(self.backbone.forward).parameters)
        self._special = backbone_of(config.backbone_config)
        self.ordering_head = OrderingHead(config.backbone_config.hidden_size, config.head_dropout)
        self.post_init()

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.LongTensor | None = None,
        position_ids: torch.LongTensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SentenceOrderingOutput | tuple[Any, ...]:
        """Score the sentences of a batch of documents.

        Args:
            input_ids: Token ids of shape `(batch, tokens)`; every sentence begins with the sentence token.
            attention_mask: 1 for tokens, 0 for padding, same shape; by default no padding.
            token_type_ids: Handed to backbones that take them, same shape.
            position_ids: Handed to backbones that take them, same shape.
            labels: 0-based positions of the input sentences, integers of shape `(batch, sentences)`, -100 where there
                is none. They set the width of `logits`: labels beyond a row's sentences are ignored, and sentences
                beyond the labels are left out. A row's padding may stand before its labels, where a collator of
                transformers puts it if the tokenizer pads on the left; then so does that of its logits.
            **kwargs: `num_items_in_batch`, the number of labels of all batches of an accumulated step, which the
                Trainer passes; `return_dict`; anything else goes to the backbone.

        Returns:
            `SentenceOrderingOutput`, or a tuple of what it holds if `return_dict=False`.

        Raises:
            ValueError: If `input_ids` are missing, or longer than the backbone has positions for, or it gives no hidden
                state for every token.
        """
        if input_ids is None:
            raise ValueError("input_ids are required: the sentences are found by their sentence tokens.")
        limit = self.config.position_limit
        if limit is not None and input_ids.shape[1] > limit:
            raise ValueError(
                f"Rows of {input_ids.shape[1]} tokens exceed the {limit} positions of the "
                f"{self.config.backbone_config.model_type} backbone. `encode_documents` shortens them fairly."
            )
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        num_items_in_batch = kwargs.pop("num_items_in_batch", None)
        return_dict = kwargs.pop("return_dict", self.config.return_dict)
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
        }
        outputs = self._encode({name: rows for name, rows in inputs.items() if rows is not None}, kwargs)

        # On several devices the backbone's last layer may be on another than its inputs.
        states = outputs.last_hidden_state
        labels = None if labels is None else labels.to(states.device)
        vectors, exists = self._pool(states, input_ids.to(states.device), attention_mask.to(states.device), labels)
        scores = self._score(vectors, exists)
        loss = None
        if labels is not None:
            loss = ordering_loss(scores, labels, exists, self.config, num_items_in_batch)
        output = SentenceOrderingOutput(
            loss=loss,
            logits=(scores * self.config.score_unit).masked_fill(~exists, IGNORE_INDEX),
            hidden_states=outputs.get("hidden_states"),
            attentions=outputs.get("attentions"),
        )
        return output.to_tuple() if return_dict is False else output

    def _encode(self, inputs: dict[str, torch.Tensor], kwargs: dict[str, Any]) -> Any:
        """Run the backbone, with what is special about it.

        Args:
            inputs: Tensors of shape `(batch, tokens)`, `input_ids` and `attention_mask` among them; those that the
                backbone does not take are withheld from it.
            kwargs: Handed to the backbone.

        Returns:
            Its output.
        """
        tokens = inputs["input_ids"].shape[1]
        for name in ("output_hidden_states", "output_attentions"):
            if getattr(self.config, name):
                kwargs.setdefault(name, True)
        if self._special.global_attention:
            is_sentence_token = inputs["input_ids"] == self.config.sentence_token_id
            inputs["global_attention_mask"] = is_sentence_token & inputs["attention_mask"].bool()
        missing = max(self._special.shortest_row - tokens, 0)
        if missing:
            inputs = {name: nn.functional.pad(rows, (0, missing)) for name, rows in inputs.items()}
        accepted = {name: rows for name, rows in inputs.items() if name in self._accepts}
        outputs = self.backbone(**accepted, **kwargs, return_dict=True)
        states = outputs.get("last_hidden_state")
        if states is None or states.shape[1] != tokens + missing:
            raise ValueError(
                f"{type(self.backbone).__name__} cannot be a backbone: it gives no hidden state for every token."
            )
        if missing:
            outputs["last_hidden_state"] = states[:, :tokens]
        return outputs

    def _pool(
        self,
        hidden_states: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one vector per sentence from the hidden states of its tokens.

        Pooling is a product with a `(batch, sentences, tokens)` matrix of zeros and ones: no data-dependent shape where
        there are labels, as in training, and a deterministic backward pass on every device.

        Args:
            hidden_states: Shape `(batch, tokens, hidden)`.
            input_ids: Shape `(batch, tokens)`.
            attention_mask: Shape `(batch, tokens)`.
            labels: Shape `(batch, width)`; by default there is a slot for each sentence of the longest document.

        Returns:
            Float32 vectors of shape `(batch, width, hidden)`, and booleans of shape `(batch, width)`: is there a
            sentence in this slot?
        """
        is_token = attention_mask.bool()
        is_sentence_token = (input_ids == self.config.sentence_token_id) & is_token
        sentence_of_token = is_sentence_token.cumsum(dim=1)
        if labels is None:
            sentence_of_slot = _number_slots(sentence_of_token)
        else:
            sentence_of_slot = _number_labels(labels, sentence_of_token[:, -1:])
        pooled = is_sentence_token if self.config.pooling == "cls" else is_token
        pooled = pooled & (sentence_of_token > 0)
        members = (sentence_of_token[:, None, :] == sentence_of_slot[:, :, None]) & pooled[:, None, :]
        counts = members.sum(dim=2)
        # A backbone may leave NaN or infinity at padding, and zero times those is NaN.
        hidden_states = hidden_states.masked_fill(~pooled[:, :, None], 0)
        with torch.autocast(hidden_states.device.type, enabled=False):
            sums = members.float() @ hidden_states.float()
        return sums / counts.clamp(min=1)[:, :, None], counts > 0

    def _score(self, vectors: torch.Tensor, exists: torch.Tensor) -> torch.Tensor:
        """Score sentence vectors; the scores of a document have the mean that its targets have."""
        counts = exists.sum(dim=1, keepdim=True)
        middle = regression_targets((counts - 1) / 2, counts, self.config.scale_positions)
        return self.ordering_head(vectors, exists) + middle


def _number_slots(sentence_of_token: torch.Tensor) -> torch.Tensor:
    """Number a slot for each sentence of the longest document, from 1; shape `(1, sentences)`."""
    if torch.jit.is_tracing():
        logger.warning_once(
            "A traced model answers only for as many sentences as its example has. Use `torch.export.export`, or "
            "`torch.onnx.export(..., dynamo=True)`, which keep their number dynamic."
        )
    # Not `int(...)`, which torch.export refuses.
    width = sentence_of_token.max().item()
    torch._check(width >= 0)
    return torch.arange(1, width + 1, device=sentence_of_token.device)[None]


def _number_labels(labels: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Number the sentences that labels belong to, from 1, without waiting for a value on the device.

    Labels that are padded on the left (`DataCollatorForSeq2Seq` does it for a tokenizer that pads there) are told by
    this: a slot beyond the row's sentences has a label, and the slots that have no sentence then have none.

    Args:
        labels: Integers of shape `(batch, width)`, -100 where there is none.
        counts: Number of sentences of each row, shape `(batch, 1)`.

    Returns:
        Integers of shape `(batch, width)`; below 1 for padding on the left.
    """
    width = labels.shape[1]
    slots = torch.arange(width, device=labels.device)
    labelled = labels != IGNORE_INDEX
    missing = (width - counts).clamp(min=0)
    padded_left = (labelled & (slots >= counts)).any(dim=1) & ~(labelled & (slots < missing)).any(dim=1)
    return slots + 1 - missing * padded_left[:, None]


def hub_keywords(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Pick those keywords of `from_pretrained` that say where files come from.

    Args:
        kwargs: All keywords.

    Returns:
        Those that configuration and tokenizer have to be loaded with, too.
    """
    return {name: kwargs[name] for name in HUB_KEYWORDS & kwargs.keys()}


def hub_place(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Pick those keywords of `from_pretrained` that say which files of a repository a model was loaded from."""
    return {name: kwargs[name] for name in ("cache_dir", "revision", "subfolder") if kwargs.get(name) is not None}


__all__ = ["SentenceOrderingModel", "SentenceOrderingOutput", "SentenceOrderingPreTrainedModel"]
