"""Configuration of a sentence-ordering model: any encoder's configuration plus the ordering head's."""

from __future__ import annotations

import os
import re
from collections.abc import Set
from typing import Any

from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging

from .backbones import backbone_of

logger = logging.get_logger(__name__)

__version__ = "0.1.0"

POOLINGS = ("cls", "mean")
LOSS_TYPES = ("mse", "pairwise_logistic", "list_mle")
LOSS_REDUCTIONS = ("sentence", "document")

# The range of targets that the head is trained on whenever targets are scaled: that of a five-sentence document.
# Training steps have a fixed size, so that a smaller range would drown in their noise.
REFERENCE_RANGE = 4.0

# Keys by which a file could choose the code of attention or experts.
IMPLEMENTATIONS = frozenset({"attn_implementation", "experts_implementation"})

# Where `pipeline` finds the task's code in a folder, on a machine that does not have this package.
CUSTOM_PIPELINES = {
    "sentence-ordering": {
        "impl": "pipeline_sentence_ordering.SentenceOrderingPipeline",
        "pt": ["AutoModel"],
        "type": "text",
    }
}


class SentenceOrderingConfig(PreTrainedConfig):
    """Everything that training, pipeline and Hub have to agree on.

    Args:
        backbone_config: The encoder's whole configuration, as an object or as a dict with its `model_type`.
        sentence_token_id: Id of the token in front of every sentence, usually the tokenizer's CLS token.
        max_tokens: Longest row in tokens. `None`: as many as the backbone was made for. More than that only has an
            effect if the backbone's positions are relative or rotary, so that it runs on rows of any length.
        pooling: What the head reads of a sentence: `"cls"`, the hidden state at its sentence token, or `"mean"`, the
            mean of the hidden states of all its tokens, its sentence token included.
        head_dropout: Dropout probability in front of the head.
        loss_type: `"mse"`, the masked mean squared error between scores and positions; `"pairwise_logistic"`, RankNet's
            logistic loss of each pair of sentences; or `"list_mle"`, the Plackett-Luce likelihood of the whole order.
        loss_reduction: `"sentence"`, the mean over all labelled sentences, or `"document"`, the sum over each document
            averaged over documents; under gradient accumulation exact only for documents of equal length.
        target_range: `None` to predict the raw positions 0..n-1, or c to predict `position * c / (n - 1)`. With c = 4
            the targets of a five-sentence document are its raw positions, and longer ones do not dominate the loss.
            The scores reach from 0 to c, while training is the same for every c. Only for `"mse"`.
        confidence_slope: What a gap between two scores is multiplied by to become the log-odds that their sentences
            are in the right order; `fit_confidence` finds it after training. `None`: the pipeline tells no confidence.
        **kwargs: Fields of `PreTrainedConfig`.

    Raises:
        ValueError: If the backbone's type is missing, unknown, or cannot work, or a field has a value that it cannot
            have.

    Example:
        >>> from transformers import BertConfig
        >>> config = SentenceOrderingConfig(BertConfig(), sentence_token_id=101, pooling="mean")
        >>> config.token_limit
        512
    """

    model_type = "sentence-ordering"
    sub_configs = {"backbone_config": AutoConfig}
    has_no_defaults_at_init = True
    # So that the Trainer's predictions stay one array of scores.
    keys_to_ignore_at_inference = ["hidden_states", "attentions"]

    def __init__(
        self,
        backbone_config: PreTrainedConfig | dict[str, Any] | None = None,
        sentence_token_id: int | None = None,
        max_tokens: int | None = None,
        pooling: str = "cls",
        head_dropout: float = 0.0,
        loss_type: str = "mse",
        loss_reduction: str = "sentence",
        target_range: float | None = None,
        confidence_slope: float | None = None,
        **kwargs: Any,
    ) -> None:
        _warn_of_newer_version(kwargs.pop("sentence_ordering_version", None))
        # With this key in sight `pipeline` insists on running the folder's code; the installed package needs none.
        if not type(self).__module__.startswith("transformers_modules."):
            kwargs.pop("custom_pipelines", None)
        self.backbone_config = _build_backbone_config(backbone_config)
        self.sentence_token_id: int = sentence_token_id  # type: ignore[assignment]  # check_fields refuses None
        self.max_tokens = max_tokens
        self.pooling = pooling
        self.head_dropout = head_dropout
        self.loss_type = loss_type
        self.loss_reduction = loss_reduction
        self.target_range = target_range
        self.confidence_slope = confidence_slope
        # The base class spreads its attention over the backbone's, also where none was asked for.
        kwargs.setdefault("attn_implementation", self.backbone_config._attn_implementation)
        super().__init__(**kwargs)
        self.check_fields()

    def check_fields(self) -> None:
        """Check the fields, which loading sets one by one after construction.

        Raises:
            ValueError: If a field has a value that it cannot have.
        """
        if self.sentence_token_id is None or self.sentence_token_id < 0:
            raise ValueError(
                f"sentence_token_id={self.sentence_token_id} is no token id. Pass the id of the token to put in front "
                "of every sentence, usually `sentence_token_id=tokenizer.cls_token_id`."
            )
        for name, allowed in (
            ("pooling", POOLINGS),
            ("loss_type", LOSS_TYPES),
            ("loss_reduction", LOSS_REDUCTIONS),
        ):
            if getattr(self, name) not in allowed:
                choices = " or ".join(f'"{choice}"' for choice in allowed)
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown. Use {choices}.")
        if self.target_range is not None and self.loss_type != "mse":
            raise ValueError(
                f'target_range={self.target_range} goes with loss_type="mse"; {self.loss_type!r} predicts no positions.'
            )
        if not 0 <= self.head_dropout < 1:
            raise ValueError(f"head_dropout={self.head_dropout} is no probability. Use a number from 0 to below 1.")
        if self.confidence_slope is not None and self.confidence_slope < 0:
            raise ValueError(
                f"confidence_slope={self.confidence_slope} must not be negative. Fit it anew, or use None."
            )
        for name in ("max_tokens", "target_range"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name}={value} must be positive, or None.")

    @property
    def position_limit(self) -> int | None:
        """Longest row in tokens that the backbone has positions for; `None` if it takes any length."""
        return backbone_of(self.backbone_config).position_limit(self.backbone_config)

    @property
    def score_scale(self) -> float:
        """What the head's output is multiplied by to reach from 0 to `target_range`."""
        return 1.0 if self.target_range is None else self.target_range / REFERENCE_RANGE

    @property
    def token_limit(self) -> int | None:
        """Longest row in tokens that is encoded: `max_tokens`, or what the backbone was made for, and can run on."""
        made_for = getattr(self.backbone_config, "max_position_embeddings", None)
        wanted = self.max_tokens or (made_for if made_for and made_for > 0 else None)
        limits = [limit for limit in (wanted, self.position_limit) if limit is not None]
        return min(limits, default=None)

    @property
    def padding_sensitive(self) -> bool:
        """Do the scores of a document depend on the padding that its batch gives it?"""
        return backbone_of(self.backbone_config).padding_sensitive

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """Return the backbone's text configuration, which owns the vocabulary size."""
        return self.backbone_config.get_text_config(decoder=decoder, encoder=encoder)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and what a folder must say to work on machines without this package."""
        output = super().to_dict()
        # Where the encoder came from tells something if it is on the Hub; a path of this machine is nobody's business.
        origin = output["backbone_config"].get("_name_or_path", "")
        if os.path.isabs(origin) or os.path.exists(origin):
            output["backbone_config"]["_name_or_path"] = ""
        output["custom_pipelines"] = CUSTOM_PIPELINES
        output["sentence_ordering_version"] = __version__
        return output

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Build a configuration from what a file holds.

        Which implementation of attention or experts to run is for the user to choose, not for a file: the choice can
        name code on the Hub. Nor does a backbone bring code of its own.
        """
        file = _drop_keys(config_dict, IMPLEMENTATIONS)
        if "backbone_config" in file:
            file["backbone_config"] = _drop_keys(file["backbone_config"], {"auto_map"})
        return super().from_dict(file, **kwargs)

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read the configuration file, and refuse that of another kind of model.

        Raises:
            ValueError: If the file is a plain encoder's: its weights have no ordering head, and reading it as ours
                would start a randomly initialised backbone.
        """
        config_dict, kwargs = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        model_type = config_dict.get("model_type")
        if model_type != cls.model_type:
            raise ValueError(
                f"{str(pretrained_model_name_or_path)!r} holds a {model_type!r} model, not a saved sentence orderer. "
                "To put a new ordering head on it, call "
                f"`AutoModelForSentenceOrdering.from_pretrained({str(pretrained_model_name_or_path)!r})`."
            )
        return config_dict, kwargs


def _warn_of_newer_version(version: str | None) -> None:
    """Warn if a file was written by a newer version of this package, whose fields may mean more than this one knows."""
    if version is not None and _release(version) > _release(__version__):
        logger.warning_once(
            f"This model was saved by sentence-ordering {version}, but {__version__} is loading it. Upgrade the "
            "package if it behaves differently."
        )


def _release(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _drop_keys(value: Any, keys: Set[str]) -> Any:
    """Drop what stands under some keys in a dict and the dicts in it, with underscores in front of the keys or not."""
    if not isinstance(value, dict):
        return value
    return {name: _drop_keys(value[name], keys) for name in value if str(name).lstrip("_") not in keys}


def _build_backbone_config(backbone_config: PreTrainedConfig | dict[str, Any] | None) -> PreTrainedConfig:
    """Turn the dict of a configuration file into the backbone's configuration, with what its type needs."""
    if not isinstance(backbone_config, PreTrainedConfig):
        backbone_config = AutoConfig.for_model(**_check_backbone_dict(backbone_config))
    backbone = backbone_of(backbone_config)
    if backbone.refused is not None:
        raise ValueError(f"A {backbone_config.model_type!r} model cannot be a backbone: {backbone.refused}.")
    if type(backbone_config).__module__.startswith("transformers_modules."):
        raise ValueError(
            f"The code of this {backbone_config.model_type!r} model came with its checkpoint, so that an orderer "
            "around it could not be loaded again. Use a type that transformers knows, without `trust_remote_code`."
        )
    for name, value in backbone.fields.items():
        setattr(backbone_config, name, value)
    if backbone.bidirectional:
        backbone_config.is_causal = False
    return backbone_config


def _check_backbone_dict(backbone_config: Any) -> dict[str, Any]:
    """Check that the dict of a configuration file says which type of encoder it is."""
    if not isinstance(backbone_config, dict):
        raise ValueError(
            f"backbone_config must be an encoder's configuration or its dict, but is {backbone_config!r}. "
            'Pass, for example, `AutoConfig.from_pretrained("bert-base-uncased")`.'
        )
    model_type = backbone_config.get("model_type")
    if model_type is None:
        raise ValueError('backbone_config has no "model_type", so its encoder is unknown. Add, for example, "bert".')
    if model_type not in CONFIG_MAPPING:
        raise ValueError(
            f"backbone_config has model_type={model_type!r}, which this version of transformers does not know. "
            "Correct the type, or install a version that has it."
        )
    return backbone_config


__all__ = ["SentenceOrderingConfig"]
