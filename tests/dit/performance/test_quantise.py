import pytest
import torch
from torch import Tensor, nn

from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.performance.quantise import (
    EightBitLinear,
    multiply_quantised,
    quantise_linears,
    quantise_rows,
)
from liveavatar.dit.plan.presets import TINY_PRESET
from small_dit import golden

FP8 = torch.float8_e4m3fn
DATA = golden("fp8")


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual.float() - expected.float()).norm() / expected.float().norm())


def random_linear(inputs: int = 64, outputs: int = 48, *, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=bias)
    generator = torch.Generator().manual_seed(3)
    for parameter in layer.parameters():
        parameter.data.normal_(0, 0.2, generator=generator)
    return layer.requires_grad_(False)


def fp8_tensor(name: str) -> Tensor:
    return DATA[name].view(FP8)


def test_eight_bit_products_are_those_of_the_reference() -> None:
    """It has one scale a tensor; ours may all be that one."""
    x_scale, w_scale = DATA["x_scale"].expand(48, 1), DATA["w_scale"].expand(1, 32)
    y = multiply_quantised(
        fp8_tensor("xq_u8"), fp8_tensor("wq_u8"), x_scale, w_scale, DATA["b"].float()
    ).bfloat16()
    difference = (y.float() - DATA["y"].float()).abs() / DATA["y"].float().abs().clamp_min(1e-3)
    assert float(difference.max()) <= 2**-7  # one place of bfloat16
    assert float((y == DATA["y"]).float().mean()) > 0.99


def test_the_largest_row_has_the_scale_of_the_reference() -> None:
    row = int(DATA["x"].float().abs().amax(dim=1).argmax())
    quantised, scale = quantise_rows(DATA["x"], FP8)
    torch.testing.assert_close(scale[row, 0], DATA["x_scale"], rtol=4e-3, atol=0)  # a place of bfloat16
    assert set(quantised.float().abs().amax(dim=1).tolist()) == {448.0}
    assert relative_error(quantised.float() * scale, DATA["x"]) <= relative_error(
        fp8_tensor("xq_u8").float() * DATA["x_scale"], DATA["x"]
    )


def test_a_scale_a_row_is_more_exact_than_one_for_all() -> None:
    layer = nn.Linear(64, 32, dtype=torch.bfloat16)
    layer.weight.data, layer.bias.data = DATA["w"], DATA["b"]
    y = EightBitLinear(layer, "fp8", scaled_mm=False)(DATA["x"])
    exact = nn.functional.linear(DATA["x"].float(), DATA["w"].float(), DATA["b"].float())
    assert y.dtype is torch.bfloat16
    assert relative_error(y, exact) <= relative_error(DATA["y"], exact)


@pytest.mark.parametrize("kind", ["fp8", "int8"])
@pytest.mark.parametrize("shape", [(1, 64), (3, 5, 64), (2, 40, 64)])
@pytest.mark.parametrize("bias", [True, False])
def test_an_eight_bit_layer_is_near_its_original(kind: str, shape: tuple[int, ...], bias: bool) -> None:
    layer, x = random_linear(bias=bias), torch.randn(shape, generator=torch.Generator().manual_seed(4))
    y = EightBitLinear(layer, kind, scaled_mm=False)(x)  # type: ignore[arg-type]
    assert y.shape == layer(x).shape
    assert y.dtype == x.dtype
    assert 0 < relative_error(y, layer(x)) < {"fp8": 0.06, "int8": 0.02}[kind]


@pytest.mark.parametrize("kind", [FP8, torch.int8])
def test_a_large_token_costs_the_others_no_precision(kind: torch.dtype) -> None:
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(5))
    scaled = torch.cat([x[:3], 1e4 * x[3:]])
    plain, large = quantise_rows(x, kind), quantise_rows(scaled, kind)
    assert torch.equal(plain[0][:3].float(), large[0][:3].float())
    assert torch.equal(plain[1][:3], large[1][:3])


@pytest.mark.parametrize("kind", [FP8, torch.int8])
def test_zeros_stay_zeros(kind: torch.dtype) -> None:
    quantised, scale = quantise_rows(torch.zeros(2, 16), kind)
    assert torch.equal(quantised.float() * scale, torch.zeros(2, 16))


def test_integer_products_are_exact() -> None:
    generator = torch.Generator().manual_seed(6)
    x, w = (
        torch.randint(-127, 128, size, generator=generator, dtype=torch.int8) for size in ((5, 64), (16, 64))
    )
    y = multiply_quantised(x, w, torch.ones(5, 1), torch.ones(1, 16), torch.zeros(16))
    assert torch.equal(y, (x.long() @ w.long().t()).float())


@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_large_layers_are_quantised_and_the_rest_is_not(kind: str) -> None:
    model = quantise_linears(DiT(TINY_PRESET.dit).requires_grad_(False), kind)  # type: ignore[arg-type]
    small = {name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    quantised_layers = [name for name, layer in model.named_modules() if isinstance(layer, EightBitLinear)]
    assert small == {
        "text_embedding.0", "text_embedding.2", "time_embedding.0", "time_embedding.2", "time_projection.1",
        "head.head", "casual_audio_encoder.encoder.final_linear",
    }  # fmt: skip
    assert len(quantised_layers) == 10 * TINY_PRESET.dit.layers + 5 * len(TINY_PRESET.dit.inject)


@pytest.mark.slow
def test_full_size_weights_shrink_as_predicted() -> None:
    """15.94 of 16.30 thousand million numbers become bytes."""
    with torch.device("meta"):
        model = quantise_linears(DiT(type(TINY_PRESET.dit)()).bfloat16().requires_grad_(False), "fp8")
    tensors = [*model.parameters(), *model.buffers()]
    quantised_layers = sum(tensor.numel() for tensor in tensors if tensor.dtype is FP8)
    assert round(quantised_layers / 1e9, 2) == 15.94
    assert round(sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e9, 2) == 16.66
