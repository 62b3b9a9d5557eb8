"""Configuration of a sentence-ordering model: any encoder's configuration plus the ordering head's."""

# No `from __future__ import annotations` here: `strict` checks types, which that would turn into strings.
import copy
import inspect
import os
import re
import sys
from collections.abc import Callable, Set
from functools import wraps
from typing import Any, Literal, TypeVar

from huggingface_hub.dataclasses import strict, validated_field
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging

from .backbones import adapt_config, backbone_of

logger = logging.get_logger(__name__)

__version__ = "0.2.0.dev0"

# Tokens may be added to the vocabulary after the configuration was made, but not so many.
ADDED_TOKENS = 1000
# Whole numbers may be larger, but cannot be computed with.
LARGEST = sys.float_info.max

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


Class = TypeVar("Class", bound=type)


def _raise_value_errors(cls: Class) -> Class:
    """Let a strict dataclass raise ValueErrors, which is what the callers of a configuration expect."""

    def converted(method: Callable[..., None]) -> Callable[..., None]:
        @wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                method(self, *args, **kwargs)
            except StrictDataclassError as error:
                raise ValueError(str(error)) from error

        return call

    for name in ("__init__", "__setattr__", "validate"):
        setattr(cls, name, converted(getattr(cls, name)))
    return cls


def _check_count(value: int | None) -> None:
    if value is not None and value <= 0:
        raise ValueError(f"{value} must be positive, or None.")


def _check_probability(value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{value} is no probability. Use a number from 0 to below 1.")


def _check_slope(value: float | None) -> None:
    if value is not None and not 0 <= value <= LARGEST:
        raise ValueError(f"{value} must be a finite number, not negative. Fit it again, or use None.")


def _check_unit(value: float) -> None:
    if not 0 < value <= LARGEST:
        raise ValueError(f"{value} must be a finite, positive number.")


def _check_backbone_type(config: PreTrainedConfig) -> None:
    refused = backbone_of(config).refused
    if refused is not None:
        raise ValueError(f"A {config.model_type!r} model cannot be a backbone: {refused}.")
    if type(config).__module__.startswith("transformers_modules."):
        raise ValueError(
            f"The code of this {config.model_type!r} model came with its checkpoint, so that an orderer around it "
            "could not be loaded again. Use a type that transformers knows, without `trust_remote_code`."
        )


@_raise_value_errors
@strict
class SentenceOrderingConfig(PreTrainedConfig):
    """Everything that training, pipeline and Hub have to agree on.

    Fields are checked whenever they are set: here, by a file, as a keyword of `from_pretrained`, or by assignment.

    Args:
        backbone_config: The encoder's whole configuration, as an object, which is copied, or as a dict with its
            `model_type`.
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
        scale_positions: Whether to predict positions scaled to the range 0..4 for documents of any length, instead of
            0..n-1. A document of five sentences keeps its raw positions, and longer ones do not dominate the loss.
            Only for `"mse"`.
        confidence_slope: What a gap between two scores is multiplied by to become the log-odds that their sentences
            are in the right order; `fit_confidence` finds it after training. `None`: the pipeline tells no confidence.
        score_unit: What scores are multiplied by; other than 1 only in models that version 0.1.0 saved with a
            `target_range` other than 4, so that their scores stay what they were.
        int8: Whether the backbone's linear layers have weights of 8 bits, as `quantize_int8` leaves them.
        **kwargs: Fields of `PreTrainedConfig`. `target_range=c`, of version 0.1.0, stands for `scale_positions=True`
            and `score_unit=c / 4`, and `target_range=None` for neither.

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

    backbone_config: PreTrainedConfig = validated_field(_check_backbone_type)
    sentence_token_id: int
    max_tokens: int | None = validated_field(_check_count)
    pooling: Literal["cls", "mean"]
    head_dropout: float | int = validated_field(_check_probability)
    loss_type: Literal["mse", "pairwise_logistic", "list_mle"]
    loss_reduction: Literal["sentence", "document"]
    scale_positions: bool
    confidence_slope: float | int | None = validated_field(_check_slope)
    score_unit: float | int = validated_field(_check_unit)
    int8: bool

    # Written out because a dataclass of transformers takes no argument by position.
    def __init__(
        self,
        backbone_config: PreTrainedConfig | dict[str, Any] | None = None,
        sentence_token_id: int | None = None,
        max_tokens: int | None = None,
        pooling: str = "cls",
        head_dropout: float = 0.0,
        loss_type: str = "mse",
        loss_reduction: str = "sentence",
        scale_positions: bool = False,
        confidence_slope: float | None = None,
        score_unit: float = 1.0,
        int8: bool = False,
        **kwargs: Any,
    ) -> None:
        _warn_of_newer_version(kwargs.pop("sentence_ordering_version", None))
        # With this key in sight `pipeline` insists on running the folder's code; the installed package needs none.
        if not type(self).__module__.startswith("transformers_modules."):
            kwargs.pop("custom_pipelines", None)
        if "target_range" in kwargs:
            scale_positions, score_unit = _read_target_range(kwargs.pop("target_range"))
        self.backbone_config = _build_backbone_config(backbone_config)
        if sentence_token_id is None:
            raise ValueError(
                "sentence_token_id=None is no token id. Pass the id of the token to put in front of every sentence, "
                "usually `sentence_token_id=tokenizer.cls_token_id`."
            )
        self.sentence_token_id = sentence_token_id
        self.max_tokens = max_tokens
        self.pooling = pooling  # type: ignore[assignment]  # any other word is refused there
        self.head_dropout = head_dropout
        self.loss_type = loss_type  # type: ignore[assignment]
        self.loss_reduction = loss_reduction  # type: ignore[assignment]
        self.scale_positions = scale_positions
        self.confidence_slope = confidence_slope
        self.score_unit = score_unit
        self.int8 = int8
        # The base class spreads its attention over the backbone's, also where none was asked for.
        kwargs.setdefault("attn_implementation", self.backbone_config._attn_implementation)
        super().__init__(**kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a field, of which `strict` has checked that it can have the value; this one depends on another."""
        if name == "sentence_token_id":
            _check_sentence_token(value, self.backbone_config)
        if name == "target_range":
            raise AttributeError("`target_range`, of version 0.1.0, is now `scale_positions`, True or False.")
        super().__setattr__(name, value)

    def validate_scale_positions(self) -> None:
        """Refuse scaled positions for a loss that predicts none; called after construction and before saving."""
        if self.scale_positions and self.loss_type != "mse":
            raise ValueError(
                f'scale_positions=True goes with loss_type="mse"; {self.loss_type!r} predicts no positions.'
            )

    @property
    def position_limit(self) -> int | None:
        """Longest row in tokens that the backbone has positions for; `None` if it takes any length."""
        return backbone_of(self.backbone_config).position_limit(self.backbone_config)

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
        name code on the Hub. Nor does a backbone bring code of its own. Keywords that are fields of the backbone's
        configuration alone are set there.

        Raises:
            ValueError: If a field has a value that it cannot have, or `int8` is not what the weights are.
        """
        saved_int8 = config_dict.get("int8", False)
        if kwargs.get("int8", saved_int8) != saved_int8:
            raise ValueError(
                f"int8={kwargs['int8']!r} is not what the saved weights are. Round them when they are loaded: "
                '`quantize_int8(model)`, or `pipeline("sentence-ordering", model=..., int8=True)`.'
            )
        file = _drop_keys(config_dict, IMPLEMENTATIONS)
        if "backbone_config" in file:
            backbone = _drop_keys(file["backbone_config"], {"auto_map"})
            others = kwargs.keys() - inspect.signature(cls).parameters.keys() - PreTrainedConfig().to_dict().keys()
            fields = others & _build_backbone_config(backbone).to_dict().keys() if others else set()
            file["backbone_config"] = backbone | {name: kwargs.pop(name) for name in fields}
        if "target_range" in kwargs:  # Its number would change the unit of scores that the confidence was fitted to.
            kwargs["scale_positions"], _ = _read_target_range(kwargs.pop("target_range"))
        loaded: Any = super().from_dict(file, **kwargs)
        # Keywords are set one by one after construction.
        (loaded[0] if isinstance(loaded, tuple) else loaded).validate()
        return loaded

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read the configuration file, and refuse that of another kind of model.

        Raises:
            ValueError: If the file is a plain encoder's: its weights have no ordering head, and reading it as ours
                would start a randomly initialised backbone. Or if it holds no JSON object.
        """
        config_dict, kwargs = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if not isinstance(config_dict, dict):
            raise ValueError(
                f"The configuration of {str(pretrained_model_name_or_path)!r} is no JSON object, but "
                f"{config_dict!r:.80}. Save the orderer again."
            )
        model_type = config_dict.get("model_type")
        if model_type != cls.model_type:
            raise ValueError(
                f"{str(pretrained_model_name_or_path)!r} holds a {model_type!r} model, not a saved sentence orderer. "
                "To put a new ordering head on it, call "
                f"`AutoModelForSentenceOrdering.from_pretrained({str(pretrained_model_name_or_path)!r})`."
            )
        return config_dict, kwargs


def _check_sentence_token(token_id: int, backbone_config: PreTrainedConfig) -> None:
    vocab_size = getattr(backbone_config.get_text_config(), "vocab_size", None)
    if token_id < 0 or (vocab_size is not None and token_id >= vocab_size + ADDED_TOKENS):
        raise ValueError(
            f"sentence_token_id={token_id} is no token id of the backbone, whose vocabulary has {vocab_size} tokens. "
            "Use the id of the token to put in front of every sentence, usually `tokenizer.cls_token_id`."
        )


def _read_target_range(target_range: Any) -> tuple[bool, float]:
    """Turn a field of version 0.1.0 into those that it has become: `scale_positions` and `score_unit`."""
    if target_range is None:
        return False, 1.0
    is_number = isinstance(target_range, (int, float)) and not isinstance(target_range, bool)
    if not (is_number and 0 < target_range <= LARGEST):
        raise ValueError(f"target_range={target_range!r} must be a positive number, or None.")
    return True, target_range / 4


def _warn_of_newer_version(version: Any) -> None:
    """Warn if a file was written by a newer version of this package, whose fields may mean more than this one knows."""
    if version is None:
        return
    if not isinstance(version, str):
        raise ValueError(f'sentence_ordering_version={version!r} must be a string, such as "{__version__}".')
    if _release(version) > _release(__version__):
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
    """Copy the backbone's configuration, or build it of the dict in a file, with what its type needs."""
    if isinstance(backbone_config, PreTrainedConfig):
        backbone_config = copy.deepcopy(backbone_config)
    else:
        backbone_config = AutoConfig.for_model(**_check_backbone_dict(backbone_config))
    adapt_config(backbone_config)
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
