"""Low-rank adapters (LoRA, Hu et al. 2022) around an orderer, with the extra `lora`: train few weights, save few."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..model.adapter import ADAPTER, find_adapter, name_encoder, read_adapter_config
from ..model.modeling_sentence_ordering import SentenceOrderingModel, hub_keywords

if TYPE_CHECKING:
    from transformers import Trainer


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
        ValueError: If the adapter has another rank.

    Example:
        >>> model = load_lora("user/orderer", rank=16)
    """
    hub_kwargs = hub_keywords(kwargs)
    folder = find_adapter(name, hub_kwargs)
    if folder is None:
        return None
    saved_rank = read_adapter_config(name, hub_kwargs)["r"]
    if rank != saved_rank:
        raise ValueError(
            f"The adapter of {name!r} has rank {saved_rank}, not {rank}. Go on with it: `lora_rank` {saved_rank}; or "
            "train all weights, without `lora_rank`."
        )
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ImportError(PEFT_MISSING) from error
    model = SentenceOrderingModel.from_adapter(name, merge=False, **kwargs)
    return PeftModel.from_pretrained(model, str(folder), is_trainable=True)


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

    Example:
        >>> model = add_lora(AutoModelForSentenceOrdering.from_pretrained("roberta-large"), rank=16)
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ImportError(PEFT_MISSING) from error
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", modules_to_save=["ordering_head"])
    adapted = get_peft_model(model, config)
    config.base_model_name_or_path = name_encoder(_origin(model))
    return adapted


def merge_lora(trainer: Trainer) -> None:
    """Save what a trainer has trained as `adapter` in its output folder, and make its model a plain orderer of it.

    The adapter is rounded to bfloat16 and the sum taken in float32, whatever precision the frozen encoder was trained
    in; so the orderer is the same whether it is loaded from the folder's weights or from encoder and adapter.

    Args:
        trainer: Its model, made by `load_lora` or `add_lora`, becomes a `SentenceOrderingModel`.
    """
    model: Any = trainer.model
    folder = Path(str(trainer.args.output_dir))
    weights = trainer.accelerator.get_state_dict(model)  # From all processes, which may hold shards of it.
    loaded_from = _origin(model)
    if trainer.is_world_process_zero():
        rounded = {name: weight.to(torch.bfloat16) if ".lora_" in name else weight for name, weight in weights.items()}
        model.save_pretrained(str(folder / ADAPTER), state_dict=rounded, save_embedding_layers=False)
        model.config.save_pretrained(str(folder))
    trainer.accelerator.wait_for_everyone()
    merged = SentenceOrderingModel.from_adapter(folder, dtype=torch.float32)
    merged.config.name_or_path = loaded_from
    trainer.model = trainer.model_wrapped = merged.to(trainer.args.device)


def _origin(model: Any) -> str:
    """Return the folder or Hub id that a model was loaded from."""
    return model.config.name_or_path or model.config.backbone_config.name_or_path
