"""Encoders fit to be a backbone: built, or taken out of a model, and rid of what is not read."""

from __future__ import annotations

import inspect
import re

from transformers import (
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    AutoModel,
    AutoModelForTextEncoding,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from .backbones import BACKBONES, adapt_config, backbone_of

logger = logging.get_logger(__name__)


def backbone_auto_class(backbone_config: PreTrainedConfig) -> type[AutoModel] | type[AutoModelForTextEncoding]:
    """Return the auto class that builds or loads the encoder of a configuration.

    Args:
        backbone_config: The encoder's configuration.

    Returns:
        `AutoModelForTextEncoding` where it has the type (T5's encoder has a class of its own), else `AutoModel`.
    """
    return AutoModelForTextEncoding if type(backbone_config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel


def encoder_of(model: PreTrainedModel) -> PreTrainedModel:
    """Return the encoder of an encoder-decoder, whose own hidden states are the decoder's; any other model as it is."""
    # AutoModelForTextEncoding has loaded the encoder alone, though its configuration (UMT5's) may not say so.
    whole = model.config.is_encoder_decoder and backbone_auto_class(model.config) is AutoModel
    return model.get_encoder() if whole else model


def build_encoder(backbone_config: PreTrainedConfig) -> PreTrainedModel:
    """Build a randomly initialised encoder.

    Args:
        backbone_config: Its configuration.

    Returns:
        The encoder.
    """
    # By this name the classes of Funnel are told apart, and None cannot be searched.
    backbone_config.architectures = backbone_config.architectures or []
    return encoder_of(backbone_auto_class(backbone_config).from_config(backbone_config))


def prepare_encoder(encoder: PreTrainedModel) -> PreTrainedModel:
    """Make an encoder a backbone: check that it can be one, adapt its configuration, and drop what is not read.

    Args:
        encoder: An encoder of text.

    Returns:
        The same object, without pooler, and with all parameters frozen that no score depends on.

    Raises:
        ValueError: If it takes no token ids, or does not say the size of its hidden states.
    """
    _check_takes_text(encoder)
    _warn_of_type(encoder.config)
    adapt_config(encoder.config)
    set_attention_type = getattr(encoder, "set_attention_type", None)
    if callable(set_attention_type):  # BigBird's layers were built of the configuration as it was.
        set_attention_type(encoder.config.attention_type)
    if getattr(encoder, "pooler", None) and "add_pooling_layer" in inspect.signature(type(encoder).__init__).parameters:
        encoder.register_module("pooler", None)
    freeze_unused(encoder)
    return encoder


def freeze_unused(encoder: PreTrainedModel) -> None:
    """Freeze the parameters that no score depends on: without a gradient they would stop distributed training.

    Args:
        encoder: A backbone. Loading weights has to be followed by this, because it makes all parameters trainable.
    """
    unused = backbone_of(encoder.config).unused
    for name, parameter in encoder.named_parameters():
        if name.startswith("pooler.") or (unused is not None and re.search(unused, name)):
            parameter.requires_grad_(False)


def _check_takes_text(encoder: PreTrainedModel) -> None:
    """Refuse what is no text encoder."""
    takes_text = "input_ids" in inspect.signature(encoder.forward).parameters
    if not (takes_text and hasattr(encoder.config, "hidden_size")):
        raise ValueError(
            f"{type(encoder).__name__} cannot be a backbone: it is no encoder of text alone. Of a model of several "
            "kinds of input, take the part for text."
        )


def _warn_of_type(config: PreTrainedConfig) -> None:
    """Warn once of a type that is not in the table, or whose scores depend on padding."""
    if config.model_type not in BACKBONES:
        logger.warning_once(
            f"{config.model_type!r} is not among the backbones that this package has been tested with, and is treated "
            "as a generic encoder. docs/backbones.md lists those that are."
        )
    if backbone_of(config).padding_sensitive:
        logger.warning_once(
            f"The scores of a {config.model_type!r} backbone depend on padding: they are exact only in batches of rows "
            "of the same number of tokens, for example with batch size 1."
        )


__all__ = ["backbone_auto_class", "build_encoder", "encoder_of", "prepare_encoder", "freeze_unused"]
