# ruff: noqa: N803, N806, SLF001  (names carry their shape, by the legend below; these products have no public name)
"""Linear layers in eight bits: FP8 (e4m3) or int8, one scale for each row of the weight and for each token.

Weights are quantised once. Activations are quantised in each call, by the largest magnitude of their row, so that a
token with large values does not cost the others precision. Products are exact, sums are float32, and scales are
applied to the sums. GPUs with such products use `torch._scaled_mm` and `torch._int_mm`; elsewhere the same is computed
in float32 or float64.

Small layers and those that affect every token keep their type: embeddings, projections of the noise level, the head,
the weighting of the audio encoder's layers. Source: FP8 formats (arXiv 2209.05433).

Shapes: N rows (tokens), K inputs, M outputs.
"""

from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from liveavatar.dit.streaming.kv_ops import FP8_DTYPE, FP8_MAX

WeightFormat = Literal["bf16", "fp8", "int8"]
"""Number format of large weights; bf16 stands for the type of the model."""

UNQUANTISED_PARTS = ("text_embedding", "time_embedding", "time_projection", "head", "casual_audio_encoder")
"""Parts of the transformer that are not quantised."""

_FORMAT_DTYPES = {"fp8": FP8_DTYPE, "int8": torch.int8}
_MAX_VALUES = {FP8_DTYPE: FP8_MAX, torch.int8: 127.0}
_MIN_ROW_MAX = 1e-12
"""Keeps the scale of a row of zeros finite."""

_MIN_INT8_ROWS = 32
"""Rows are padded with zeros to at least this many: `torch._int_mm` refuses 16 and fewer."""


def quantise_rows(x_NK: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Rows in `dtype`, and the scales [N, 1] float32 to multiply them by."""
    largest = _MAX_VALUES[dtype]
    scale = x_NK.abs().amax(dim=-1, keepdim=True).float().clamp_min(_MIN_ROW_MAX) / largest
    steps = (x_NK / scale).clamp(-largest, largest)
    return (steps.round() if dtype is torch.int8 else steps).to(dtype), scale


def multiply_quantised(
    x_NK: Tensor, weight_MK: Tensor, x_scale: Tensor, weight_scale: Tensor, bias: Tensor
) -> Tensor:
    """`x · weightᵀ` of quantised numbers, times scales [N, 1] and [1, M], plus the bias; [N, M] float32."""
    if weight_MK.dtype is torch.int8:
        sums = _multiply_int8(x_NK, weight_MK).float()
    else:
        sums = functional.linear(x_NK.float(), weight_MK.float())
    return sums * x_scale * weight_scale + bias


def _multiply_int8(x_NK: Tensor, weight_MK: Tensor) -> Tensor:
    if x_NK.device.type == "cpu":  # oneDNN's product saturates on CPUs without VNNI; float64 is exact
        return functional.linear(x_NK.double(), weight_MK.double())
    rows = len(x_NK)
    padded = functional.pad(x_NK, (0, 0, 0, max(0, _MIN_INT8_ROWS - rows)))
    return torch._int_mm(padded, weight_MK.t())[:rows]


class EightBitLinear(nn.Module):
    """A linear layer with a weight in eight bits, in place of an `nn.Linear`."""

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Linear, weight_format: Literal["fp8", "int8"], *, scaled_mm: bool) -> None:
        """`scaled_mm` is whether the GPU has FP8 products."""
        super().__init__()
        self.scaled_mm = scaled_mm and weight_format == "fp8"
        weight, scale = quantise_rows(layer.weight.detach(), _FORMAT_DTYPES[weight_format])
        own_bias: Tensor | None = layer.bias  # typed as a Tensor by PyTorch, even without a bias
        bias = layer.weight.new_zeros(layer.out_features) if own_bias is None else own_bias.detach()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale.t().contiguous())
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """The type of `x`; its last dimension are the inputs."""
        x_NK = x.reshape(-1, x.shape[-1])
        rounded, scale = quantise_rows(x_NK, self.weight.dtype)
        if self.scaled_mm:
            y_NM = multiply_scaled_fp8(rounded, self.weight, scale, self.scale, self.bias)
        else:
            y_NM = multiply_quantised(rounded, self.weight, scale, self.scale, self.bias)
        return y_NM.to(x.dtype).view(*x.shape[:-1], -1)


def multiply_scaled_fp8(
    x_NK: Tensor, weight_MK: Tensor, x_scale: Tensor, weight_scale: Tensor, bias: Tensor
) -> Tensor:
    """Like `multiply_quantised`, by the FP8 units of the GPU; [N, M] bfloat16."""
    return torch._scaled_mm(
        x_NK, weight_MK.t(), scale_a=x_scale, scale_b=weight_scale, bias=bias.bfloat16(),
        out_dtype=torch.bfloat16, use_fast_accum=True,
    )  # fmt: skip


def quantise_linears(module: nn.Module, weight_format: WeightFormat, *, scaled_mm: bool = False) -> nn.Module:
    """Quantise the linear layers inside `module`, in place, except in `UNQUANTISED_PARTS`; returns it.

    Each layer's weight is freed before the next is quantised, so memory never grows.
    """
    if weight_format == "bf16":
        return module
    for name, child in module.named_children():
        if name in UNQUANTISED_PARTS:
            continue
        if isinstance(child, nn.Linear):
            setattr(module, name, EightBitLinear(child, weight_format, scaled_mm=scaled_mm))
        else:
            quantise_linears(child, weight_format, scaled_mm=scaled_mm)
    return module


@cache
def find_weight_format(device: torch.device) -> WeightFormat:
    """The eight-bit format that this device multiplies, found by trial; bf16 if there is none.

    A CPU gets FP8, computed in float32, which tests compare with.
    """
    if device.type != "cuda":
        return "fp8"
    for weight_format in ("fp8", "int8"):
        if has_fast_matmul(device, weight_format):
            return weight_format
    return "bf16"


@cache
def has_fast_matmul(device: torch.device, weight_format: Literal["fp8", "int8"]) -> bool:
    """Whether the device has products in this format, and they are right (within 2 % of those on the CPU)."""
    if device.type != "cuda" or (
        weight_format == "fp8" and torch.cuda.get_device_capability(device) < (8, 9)
    ):
        return False
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(512, 256, dtype=torch.bfloat16)
    x = torch.randn(300, 512, generator=generator).bfloat16()
    expected = EightBitLinear(layer, weight_format, scaled_mm=False)(x).float()
    try:
        on_device = EightBitLinear(layer, weight_format, scaled_mm=True).to(device)
        actual = on_device(x.to(device)).float().cpu()
    except (RuntimeError, NotImplementedError, ValueError):
        return False  # an older GPU, or a PyTorch without the kernel
    return bool((actual - expected).norm() < 0.02 * expected.norm())
