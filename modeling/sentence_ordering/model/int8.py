"""Linear layers whose weights are 8-bit integers, for faster inference on processors.

A weight of shape `(out, in)` is stored as integers from -127 to 127 and one scale for each output. The vector of each
token is rounded to 8 bits when it comes, with a scale of its own (dynamic quantisation), so that scores hardly depend
on the other documents of a batch; the product is float32.

Integers and scales are plain tensors, saved in safetensors like any others. Only multiplying needs
`torch.ops.quantized`, into whose layout weights are packed when they are first used: `torch.ao.quantization` is
deprecated, and its models are saved as pickles.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

LARGEST_INTEGER = 127
SMALLEST = torch.finfo(torch.float32).tiny


class Int8Linear(nn.Module):
    """A linear layer with weights of 8 bits; runs on processors only, and is not trained.

    Args:
        linear: The layer that it stands for.

    Attributes:
        weight: Integers of dtype int8 and shape `(out, in)`.
        scale: What they are multiplied by, float32 of shape `(out,)`.
        bias: Float32 of shape `(out,)`, or `None`.
    """

    weight: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach().float()
        scale = (weight.abs().amax(dim=1) / LARGEST_INTEGER).clamp(min=SMALLEST)
        self.register_buffer("weight", (weight / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())
        self._packed: Any = None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Multiply.

        Args:
            inputs: Shape `(..., in)`, of a floating-point dtype.

        Returns:
            Shape `(..., out)`, of the same dtype.
        """
        if self._packed is None:
            self._packed = self._pack()
        # The kernel has one scale for all that it multiplies: made equally long before, tokens have one each.
        peaks = inputs.float().abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST)
        # On processors with AVX2 alone it adds two products of 8 bits in 16, which may overflow: 7 are safe.
        outputs = torch.ops.quantized.linear_dynamic(inputs / peaks, self._packed, not _has_vnni()).mul_(peaks)
        return (outputs if self.bias is None else outputs.add_(self.bias)).to(inputs.dtype)

    def _pack(self) -> Any:
        if self.weight.device.type != "cpu":
            raise ValueError(
                f"8-bit layers run on processors only, but this one is on {str(self.weight.device)!r}. Use "
                '`device="cpu"`, or the model as it was before `quantize_int8`.'
            )
        chosen = torch.backends.quantized.engine
        # oneDNN's kernels are the fastest where there are such instructions, and as slow as float32 elsewhere.
        torch.backends.quantized.engine = "onednn" if _has_vnni() else chosen
        try:
            with warnings.catch_warnings(category=UserWarning, action="ignore"):  # Such tensors are deprecated.
                zeros = torch.zeros(self.out_features, dtype=torch.int64)
                weight = torch._make_per_channel_quantized_tensor(self.weight, self.scale.double(), zeros, 0)
                return torch.ops.quantized.linear_prepack(weight, None)
        finally:
            torch.backends.quantized.engine = chosen

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._packed = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is packed, which is neither copied nor pickled."""
        return self.__dict__ | {"_packed": None}

    def extra_repr(self) -> str:
        """Describe the layer as `nn.Linear` does."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def replace_linear_layers(module: nn.Module) -> int:
    """Put `Int8Linear` layers in the place of a module's linear layers.

    Args:
        module: Changed in place.

    Returns:
        The number of layers that were replaced.
    """
    replaced = 0
    for name, child in module.named_children():
        if name == "pooler":  # No score depends on it.
            continue
        if type(child) is nn.Linear:
            setattr(module, name, Int8Linear(child))
            replaced += 1
        else:
            replaced += replace_linear_layers(child)
    return replaced


def quantize_int8(model: Any) -> None:
    """Round the weights of an orderer's backbone to 8 bits, in place; its head stays in float32.

    The model then takes less memory, is faster on a processor, and can be saved and loaded again, but not trained.

    Args:
        model: A `SentenceOrderingModel`.

    Raises:
        TypeError: If it is no torch model.
        ValueError: If its backbone has no linear layers, or is not on a processor.

    Example:
        >>> model = SentenceOrderingModel.from_pretrained("user/orderer")
        >>> quantize_int8(model)
        >>> model.save_pretrained("orderer-int8")
    """
    is_torch_model = isinstance(model, nn.Module)  # In a variable, so that the type of `model` stays open.
    if not is_torch_model:
        raise TypeError(
            f"Only a torch model's weights can be rounded to 8 bits, but this is a {type(model).__name__}. An exported "
            "orderer has them from the start: `sentence-ordering export --int8`."
        )
    if model.config.int8:
        return
    if model.device.type != "cpu":
        raise ValueError(
            f'8-bit layers run on processors only, but the model is on {model.device}. Use `device="cpu"`.'
        )
    if not replace_linear_layers(model.backbone.float()):
        raise ValueError(
            f"A {model.config.backbone_config.model_type!r} backbone has no linear layers to round to 8 bits."
        )
    model.config.int8 = True


def _has_vnni() -> bool:
    return bool(torch.cpu.get_capabilities().get("avx512_vnni", False))


__all__ = ["Int8Linear", "quantize_int8", "replace_linear_layers"]
