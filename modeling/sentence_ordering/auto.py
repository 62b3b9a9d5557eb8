"""`AutoModelForSentenceOrdering`, the Auto class of our own."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .model.backbones import backbone_of
from .model.configuration_sentence_ordering import SentenceOrderingConfig
from .model.encoder import backbone_auto_class, encoder_of
from .model.encoding import load_tokenizer
from .model.modeling_sentence_ordering import SentenceOrderingModel, hub_keywords, hub_place
from .orderers import locate_orderer

# `target_range` is the name that version 0.1.0 had for `scale_positions`.
OWN_FIELDS = frozenset({*inspect.signature(SentenceOrderingConfig).parameters, "target_range"}) - {
    "backbone_config",
    "kwargs",
}


# Attributes by which a model says that its weights are quantised.
QUANTIZATION = (
    "is_quantized",
    "quantization_method",
    "hf_quantizer",
    "is_loaded_in_4bit",
    "is_loaded_in_8bit",
    "is_4bit_serializable",
    "is_8bit_serializable",
)


class AutoModelForSentenceOrdering:
    """Loads a `SentenceOrderingModel` from a saved orderer, or puts a new ordering head on any plain encoder.

    Example:
        >>> model = AutoModelForSentenceOrdering.from_pretrained("bert-base-uncased", pooling="mean")
        >>> model.save_pretrained("orderer")
        >>> model = AutoModelForSentenceOrdering.from_pretrained("orderer")
    """

    def __init__(self) -> None:
        raise OSError(
            "AutoModelForSentenceOrdering has no instances. Use `AutoModelForSentenceOrdering.from_pretrained(name)`, "
            "or `from_config(config)`."
        )

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        config: PreTrainedConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Load a model's weights.

        Args:
            pretrained_model_name_or_path: A folder or Hub id, or `"general"`: a saved orderer, of which everything is
                restored, or a plain encoder, whose pretrained weights become the backbone of a model with a new head.
            config: Configuration to use instead of the saved one.
            **kwargs: Fields of `SentenceOrderingConfig`; anything else (`dtype`, `attn_implementation`, `revision`,
                `token`, ...) goes to the `from_pretrained` of the orderer or of the backbone. For a plain encoder
                `sentence_token_id` is by default the CLS token of the tokenizer beside it, or else its BOS or SEP
                token.

        Returns:
            The `SentenceOrderingModel`, in evaluation mode; with `output_loading_info=True` a tuple of it and that.

        Raises:
            ValueError: If the encoder's tokenizer is missing, or has no token to put in front of sentences, and
                `sentence_token_id` is not given; if the encoder is of a type that cannot work.
        """
        pretrained_model_name_or_path = locate_orderer(pretrained_model_name_or_path)
        hub_kwargs = hub_keywords(kwargs)
        if config is None:
            _refuse_bare_adapter(Path(pretrained_model_name_or_path))
            _refuse_remote_code(pretrained_model_name_or_path, hub_kwargs)
        saved = config or AutoConfig.from_pretrained(pretrained_model_name_or_path, **hub_kwargs)
        if saved.model_type == SentenceOrderingConfig.model_type:
            given = {} if config is None else {"config": config}
            return SentenceOrderingModel.from_pretrained(pretrained_model_name_or_path, **given, **kwargs)

        fields = {name: kwargs.pop(name) for name in OWN_FIELDS & kwargs.keys()}
        if fields.get("sentence_token_id") is None:
            fields["sentence_token_id"] = _find_sentence_token(pretrained_model_name_or_path, hub_kwargs)
        # A wrong field fails here, before the weights are loaded.
        adapted = SentenceOrderingConfig(saved, **fields).backbone_config
        kwargs |= backbone_of(saved).fields if config is None else {"config": adapted}
        auto_class = backbone_auto_class(saved)
        loaded: Any = auto_class.from_pretrained(pretrained_model_name_or_path, **kwargs)
        pretrained, *loading_info = loaded if isinstance(loaded, tuple) else (loaded,)
        backbone = encoder_of(pretrained)
        name = str(pretrained_model_name_or_path)
        wrapped = SentenceOrderingConfig(backbone.config, dtype=backbone.dtype, name_or_path=name, **fields)
        model = SentenceOrderingModel(wrapped, backbone=backbone)
        if backbone.device.type != "meta":  # Where offloaded weights are while they are not in use.
            model.ordering_head.to(backbone.device)
        _take_over(model, pretrained)
        model.loaded_from = hub_place(hub_kwargs)
        return (model.eval(), *loading_info) if loading_info else model.eval()

    @classmethod
    def from_config(cls, config: PreTrainedConfig, **kwargs: Any) -> SentenceOrderingModel:
        """Build a randomly initialised model.

        Args:
            config: A `SentenceOrderingConfig`, or a plain encoder's configuration.
            **kwargs: For a plain encoder's configuration, fields of `SentenceOrderingConfig`, `sentence_token_id`
                among them; anything else (`dtype`, `attn_implementation`) as for `AutoModel.from_config`.

        Returns:
            The model, in training mode.

        Raises:
            ValueError: If a plain encoder's configuration comes without `sentence_token_id`.
        """
        fields = {name: kwargs.pop(name) for name in OWN_FIELDS & kwargs.keys()}
        if config.model_type != SentenceOrderingConfig.model_type:
            config = SentenceOrderingConfig(config, **fields)
        elif fields:
            raise ValueError(
                f"{', '.join(sorted(fields))}: set fields of a SentenceOrderingConfig on the configuration itself."
            )
        return SentenceOrderingModel._from_config(config, **kwargs)


def _refuse_bare_adapter(folder: Path) -> None:
    """Refuse what peft saves by itself: adapters, without the configuration of the orderer that they are for."""
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise ValueError(
            f"{folder} holds adapters alone. After training, `merge_lora(trainer)` of "
            "`sentence_ordering.training.lora` makes an orderer of them, before `trainer.save_model()`. These can be "
            "put on the model that they were trained with: `PeftModel.from_pretrained(model, folder)`."
        )


def _refuse_remote_code(pretrained_model_name_or_path: str | os.PathLike[str], hub_kwargs: dict[str, Any]) -> None:
    """Refuse an encoder whose type transformers does not know, before it proposes to run the encoder's own code."""
    config, _ = PreTrainedConfig.get_config_dict(pretrained_model_name_or_path, **hub_kwargs)
    model_type = config.get("model_type")
    if "auto_map" in config and model_type not in CONFIG_MAPPING:
        raise ValueError(
            f"{str(pretrained_model_name_or_path)!r} is of type {model_type!r}, which this version of transformers "
            "does not know. It brings code of its own, but an orderer around it could not be loaded again. Use an "
            "encoder of a type that transformers knows."
        )


def _find_sentence_token(pretrained_model_name_or_path: str | os.PathLike[str], hub_kwargs: dict[str, Any]) -> int:
    """Find a special token to put in front of sentences in the tokenizer beside an encoder."""
    name = str(pretrained_model_name_or_path)
    advice = f"Pass the id of the sentence token: `AutoModelForSentenceOrdering.from_pretrained({name!r}, "
    tokenizer = load_tokenizer(name, advice + "sentence_token_id=...)`.", **hub_kwargs)
    special = (tokenizer.cls_token_id, tokenizer.bos_token_id, tokenizer.sep_token_id)
    # GPT-2 has one token for all that is special. In a sentence it is dropped, and as padding it is masked, so that it
    # will do where there is none that is nothing else.
    for others in ({tokenizer.pad_token_id, tokenizer.unk_token_id}, set()):
        for token_id in special:
            if token_id is not None and token_id not in others:
                return token_id
    raise ValueError(
        f"The tokenizer of {name!r} has no special token that could stand in front of every sentence. Add one, load "
        "the model with it, and let the embeddings grow:\n"
        '    tokenizer.add_special_tokens({"cls_token": "[CLS]"})\n'
        f"    model = AutoModelForSentenceOrdering.from_pretrained({name!r}, "
        "sentence_token_id=tokenizer.cls_token_id)\n"
        "    model.resize_token_embeddings(len(tokenizer))"
    )


def _take_over(model: Any, pretrained: Any) -> None:
    """Let a model say of itself how its backbone was loaded: the Trainer and PEFT ask the outermost model."""
    for name in QUANTIZATION:
        if hasattr(pretrained, name):
            setattr(model, name, getattr(pretrained, name))
    if getattr(pretrained, "is_quantized", False):
        model.config.quantization_config = pretrained.config.quantization_config
    if hasattr(pretrained, "hf_device_map"):
        places = {f"backbone.{name}".rstrip("."): place for name, place in pretrained.hf_device_map.items()}
        model.hf_device_map = places | {"ordering_head": next(model.ordering_head.parameters()).device}
