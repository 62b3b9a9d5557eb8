"""Which precision suits a device: bfloat16 autocast where the device computes in it, float32 elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments
from transformers.utils import is_torch_bf16_gpu_available, is_torch_xla_available, logging

logger = logging.get_logger(__name__)

# Instructions that multiply matrices of bfloat16, as `torch.cpu.get_capabilities` names them.
CPU_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")


def computes_in_bfloat16(device: torch.device | str) -> bool:
    """Tell whether a device computes in bfloat16, rather than converting to float32 and back.

    Args:
        device: A processor, or a GPU of any kind.

    Returns:
        Whether bfloat16 autocast can be expected to be faster there than float32.

    Example:
        >>> TrainingArguments("output", use_cpu=True, bf16=computes_in_bfloat16("cpu"))
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in CPU_INSTRUCTIONS)
    return is_torch_bf16_gpu_available()


def warn_of_slow_bfloat16(args: TrainingArguments) -> None:
    """Warn once if bfloat16 was asked for on a device that does not compute in it.

    Args:
        args: The Trainer's arguments.
    """
    if args.bf16 and not computes_in_bfloat16(args.device):
        logger.warning_once(
            f"bf16=True, but this device ({args.device.type}) does not compute in bfloat16: on a processor with AVX2 "
            "alone, training takes about 5 times as long as in float32. Use `bf16=False`, or leave `--bf16` out."
        )


@dataclass
class PreciseTrainingArguments(TrainingArguments):
    """`TrainingArguments` whose `bf16` depends on the device unless it is given, and runs on every device if it is.

    Memory is pinned only for a device that copies from it.
    """

    bf16: bool | None = field(  # type: ignore[assignment]
        default=None,
        metadata={"help": "Train under bfloat16 autocast; by default where the device computes in bfloat16."},
    )

    def __post_init__(self) -> None:
        has_gpu = not self.use_cpu and torch.accelerator.is_available()
        if self.bf16 is None:
            device = torch.accelerator.current_accelerator() if has_gpu else None
            self.bf16 = not self.fp16 and computes_in_bfloat16(device or torch.device("cpu"))
        if self.bf16 and not has_gpu and not is_torch_xla_available():
            self.use_cpu = True  # Otherwise the stock class wants a GPU for it.
        if not has_gpu:
            self.dataloader_pin_memory = False  # It does nothing without one, but torch warns of it.
        super().__post_init__()
