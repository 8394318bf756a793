from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from liveavatar.dit.checkpoint import package_weights
from liveavatar.dit.checkpoint.package_weights import (
    fill_network,
    pack_weights,
    read_small_weights,
    unpack_weights,
)
from liveavatar.errors import WeightsError


def test_packed_weights_are_a_quarter_and_come_back_within_half_a_step() -> None:
    weights = {
        "a.weight": torch.randn(6, 4, 3, 3) * torch.logspace(-3, 2, 6).view(-1, 1, 1, 1),
        "a.bias": torch.randn(6),
        "norm.weight": torch.rand(8),
        "zero.weight": torch.zeros(2, 5),
    }
    packed = pack_weights(weights)
    assert packed["a.weight"].dtype is torch.int8
    assert {packed[name].dtype for name in ("a.bias", "norm.weight")} == {torch.float16}
    unpacked = unpack_weights(packed)
    assert unpacked.keys() == weights.keys()
    step = weights["a.weight"].flatten(1).abs().amax(1) / 127
    error = (unpacked["a.weight"] - weights["a.weight"]).flatten(1).abs().amax(1)
    assert bool((error <= 0.501 * step).all())
    torch.testing.assert_close(unpacked["norm.weight"], weights["norm.weight"], rtol=1e-3, atol=0)
    assert not unpacked["zero.weight"].any()


def test_a_network_takes_its_own_weights_alone() -> None:
    weights = {"one.weight": torch.ones(2, 3), "one.bias": torch.zeros(2), "two.weight": torch.zeros(1)}
    with torch.device("meta"):
        layer = nn.Linear(3, 2)
    fill_network(layer, weights, "one.")
    assert layer(torch.ones(3)).tolist() == [3, 3]
    assert not layer.weight.requires_grad
    with pytest.raises(WeightsError, match="not of this version"):
        fill_network(nn.Linear(3, 2), weights, "two.")


def test_the_package_has_the_weights_it_promises() -> None:
    weights = read_small_weights()
    assert {name.partition(".")[0] for name in weights} == {"transformer", "autoencoder", "audio"}
    assert all(torch.isfinite(part).all() for part in weights.values())


def test_damaged_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_weights, "SMALL_SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="missing or damaged; install liveavatar again"):
        read_small_weights()


def test_own_weights_come_from_a_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is missing"):
        read_small_weights(tmp_path)
    file = tmp_path / package_weights.SMALL_FILE
    file.write_bytes(save(pack_weights({"a.weight": torch.ones(2, 2)})))
    torch.testing.assert_close(read_small_weights(tmp_path)["a.weight"], torch.ones(2, 2))
    file.write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="is damaged"):
        read_small_weights(tmp_path)
