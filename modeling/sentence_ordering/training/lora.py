"""Low-rank adapters (LoRA, Hu et al. 2022) around an orderer, with the extra `lora`: train few weights, save few."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedConfig, TrainerCallback

from ..model.adapter import ADAPTER, PREFIX, find_adapter, has_weights, name_encoder, read_adapter_config
from ..model.modeling_sentence_ordering import SentenceOrderingModel, hub_keywords

if TYPE_CHECKING:
    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments


PEFT_MISSING = "LoRA needs peft: `pip install 'sentence-ordering[lora]'`."


def load_lora(name: str, rank: int, **kwargs: Any) -> Any:
    """Load an orderer that was saved as an adapter, to go on training that: what it gives is one adapter again.

    Args:
        name: Folder or Hub id.
        rank: Rank of the adapter.
        **kwargs: As for `SentenceOrderingModel.from_adapter`.

    Returns:
        The model to train, a `peft.PeftModel`, or None if there is no adapter.

    Raises:
        ImportError: If peft is not installed.
        ValueError: If the adapter has another rank, or is not that of the whole weights beside it.

    Example:
        >>> model = load_lora("user/orderer", rank=16)
    """
    hub_kwargs = hub_keywords(kwargs)
    folder = find_adapter(name, hub_kwargs)
    if folder is None:
        return None
    check_adapter(name, hub_kwargs)
    saved_rank = read_adapter_config(name, hub_kwargs)["r"]
    if rank != saved_rank:
        raise ValueError(
            f"The adapter of {name!r} has rank {saved_rank}, not {rank}. Go on with it: `lora_rank` {saved_rank}; or "
            "train all weights, without `lora_rank`."
        )
    peft = _import_peft()
    model = SentenceOrderingModel.from_adapter(name, merge=False, **kwargs)
    return peft.PeftModel.from_pretrained(model, str(folder), is_trainable=True)


def check_adapter(name: str | os.PathLike[str], hub_kwargs: Mapping[str, Any]) -> None:
    """Refuse an adapter beside whole weights that are others, because they were trained on or saved anew.

    Args:
        name: Folder or Hub id of an orderer with an adapter.
        hub_kwargs: Keywords of `from_pretrained` that say where files come from.

    Raises:
        OSError: If the adapter's encoder cannot be found.
        ValueError: If encoder and adapter do not make the whole weights.
    """
    if not has_weights(name, hub_kwargs):
        return
    whole = SentenceOrderingModel.from_pretrained(name, **hub_kwargs)
    merged = SentenceOrderingModel.from_adapter(name, dtype=torch.float32, **hub_kwargs).state_dict()
    for key, saved in whole.state_dict().items():
        if not saved.is_floating_point():
            continue
        difference = (merged[key] - saved.float()).norm()
        # Not `>`: weights that are not finite are others, too.
        if not difference <= 16 * torch.finfo(saved.dtype).eps * saved.float().norm():
            raise ValueError(
                f"The adapter of {str(name)!r} does not make the weights beside it: {key} is another. They were "
                f"trained on or saved there later; remove {ADAPTER!r} from the folder, or save them into another."
            )


def add_lora(model: SentenceOrderingModel, rank: int) -> Any:
    """Freeze an orderer's backbone, and put adapters beside all its linear layers; the head is trained whole.

    `save_pretrained` of the result writes the adapters and the head alone. `PeftModel.from_pretrained(model, folder)`
    puts them onto a fresh model around the same encoder, and `merge_and_unload()` makes a plain orderer of it.

    Args:
        model: The orderer, which is changed in place.
        rank: Rank of the adapters, which are scaled by 2.

    Returns:
        The model to train, a `peft.PeftModel`.

    Raises:
        ImportError: If peft is not installed.
        ValueError: If the encoder could not be loaded again to add the adapters to it: it has no name, lies in a
            subfolder, or its vocabulary was changed.

    Example:
        >>> model = add_lora(AutoModelForSentenceOrdering.from_pretrained("roberta-large"), rank=16)
    """
    peft = _import_peft()
    _check_origin(model)
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        modules_to_save=["ordering_head"],
        revision=model.loaded_from.get("revision"),
    )
    adapted = peft.get_peft_model(model, config)
    config.base_model_name_or_path = name_encoder(_origin(model))
    return adapted


def _import_peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise ImportError(PEFT_MISSING) from error
    return peft


def _check_origin(model: SentenceOrderingModel) -> None:
    """Refuse a model whose encoder could not be found again by what an adapter says of it."""
    name, place = _origin(model), model.loaded_from
    if not name:
        raise ValueError("Adapters name the encoder that they are for, but this model was not loaded from anywhere.")
    if "subfolder" in place:
        raise ValueError(
            f"Adapters name the encoder that they are for, but cannot name the subfolder {place['subfolder']!r} of "
            f"{name!r}. Copy the encoder into a folder or repository of its own."
        )
    saved, _ = PreTrainedConfig.get_config_dict(name, **place)
    size = saved.get("backbone_config", saved).get("vocab_size")
    if size is not None and size != model.config.backbone_config.vocab_size:
        raise ValueError(
            f"The vocabulary was changed from {size} to {model.config.backbone_config.vocab_size} tokens, which is no "
            "part of an adapter. Save the model, and load it from there before you add adapters to it."
        )


class WeakenAdapters(TrainerCallback):
    """Weakens adapters after the last step, and before confidence is fitted if it stands before `OrderingCallback`.

    Weights between those of the encoder and those that were trained order text that neither was trained on better than
    both (WiSE-FT: Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).

    Args:
        strength: How much of the difference to the encoder is kept, above 0 and at most 1.

    Raises:
        ValueError: If the strength is none.

    Example:
        >>> trainer = ordering_trainer(name, args, train_dataset=rows, lora_rank=16, callbacks=[WeakenAdapters(0.7)])
    """

    def __init__(self, strength: float) -> None:
        if not 0 < strength <= 1:
            raise ValueError(f"lora_strength={strength} must be above 0 and at most 1.")
        self.strength = strength

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Scale what the adapters add: the second of their two factors."""
        model: Any = kwargs["model"]
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if ".lora_B." in name:
                    weight.mul_(self.strength)


def merge_lora(trainer: Trainer) -> None:
    """Save what a trainer has trained as `adapter` in its output folder, and make its model a plain orderer of it.

    The adapter is rounded to bfloat16 and the sum taken in float32, whatever precision the frozen encoder was trained
    in; so the orderer is the same whether it is loaded from the folder's weights or from encoder and adapter.

    Args:
        trainer: Its model, made by `load_lora` or `add_lora`, becomes a `SentenceOrderingModel`.

    Raises:
        ValueError: If there are no adapters, or the encoder that they name is not the one that they were trained
            beside.
    """
    model: Any = trainer.model
    if not hasattr(model, "peft_config"):
        raise ValueError("The trainer's model has no adapters to merge: give `ordering_trainer` a `lora_rank`.")
    folder = Path(str(trainer.args.output_dir))
    weights = trainer.accelerator.get_state_dict(model)  # From all processes, which may hold shards of it.
    loaded_from = _origin(model)
    if trainer.is_world_process_zero():
        rounded = {name: weight.to(torch.bfloat16) if ".lora_" in name else weight for name, weight in weights.items()}
        model.save_pretrained(str(folder / ADAPTER), state_dict=rounded, save_embedding_layers=False)
        model.config.save_pretrained(str(folder))
    trainer.accelerator.wait_for_everyone()
    merged = SentenceOrderingModel.from_adapter(folder, dtype=torch.float32, **_cache_of(model))
    if trainer.is_world_process_zero():
        _check_encoder(weights, merged)
    merged.config.name_or_path = loaded_from
    merged.adapter_rank = model.peft_config["default"].r  # For the model card.
    trainer.model = trainer.model_wrapped = merged.to(trainer.args.device)


def _cache_of(model: Any) -> dict[str, Any]:
    """Return where on this machine the encoder was loaded from, if not from the usual place."""
    return {name: value for name, value in model.loaded_from.items() if name == "cache_dir"}


def _check_encoder(trained: dict[str, torch.Tensor], merged: SentenceOrderingModel) -> None:
    """Refuse to go on if a weight that has no adapter, a bias for example, is not what it was in training."""
    loaded = merged.state_dict()
    for name, weight in trained.items():
        found = loaded.get(name.removeprefix(PREFIX))
        if found is None or "ordering_head" in name:
            continue
        if not torch.equal(found.to(weight.device, weight.dtype), weight):
            raise ValueError(
                f"The encoder was changed before it got adapters: {name.removeprefix(PREFIX)} is not what "
                f"{merged.config.backbone_config.name_or_path!r} holds. Save the changed model, and load it from there."
            )


def _origin(model: Any) -> str:
    """Return the folder or Hub id that a model was loaded from."""
    return model.config.name_or_path or model.config.backbone_config.name_or_path
