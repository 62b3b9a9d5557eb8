"""Low-rank adapters (LoRA, Hu et al. 2022) around an orderer, with the extra `lora`: train few weights, save few."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..model.adapter import ADAPTER, name_encoder
from ..model.modeling_sentence_ordering import SentenceOrderingModel

if TYPE_CHECKING:
    from transformers import Trainer


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
        raise ImportError("LoRA needs peft: `pip install 'sentence-ordering[lora]'`.") from error
    return get_peft_model(
        model,
        LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            target_modules="all-linear",
            modules_to_save=["ordering_head"],
        ),
    )


def merge_lora(trainer: Trainer) -> None:
    """Save what a trainer has trained as `adapter` in its output folder, and make its model a plain orderer of it.

    The adapter is rounded to bfloat16 and the sum taken in float32, whatever precision the frozen encoder was trained
    in; so the orderer is the same whether it is loaded from the folder's weights or from encoder and adapter.

    Args:
        trainer: Its model, made by `add_lora`, becomes a `SentenceOrderingModel`.
    """
    model: Any = trainer.model
    folder = Path(str(trainer.args.output_dir))
    weights = trainer.accelerator.get_state_dict(model)  # From all processes, which may hold shards of it.
    loaded_from = model.config.name_or_path or model.config.backbone_config.name_or_path
    if trainer.is_world_process_zero():
        rounded = {name: weight.to(torch.bfloat16) if ".lora_" in name else weight for name, weight in weights.items()}
        adapter = model.peft_config["default"]
        adapter.base_model_name_or_path = name_encoder(loaded_from)
        model.save_pretrained(str(folder / ADAPTER), state_dict=rounded)
        model.config.save_pretrained(str(folder))
    trainer.accelerator.wait_for_everyone()
    merged = SentenceOrderingModel.from_adapter(folder, dtype=torch.float32)
    merged.config.name_or_path = loaded_from
    trainer.model = trainer.model_wrapped = merged.to(trainer.args.device)
