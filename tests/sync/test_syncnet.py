from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from drawn import draw
from liveavatar.errors import WeightsError
from liveavatar.sync import syncnet
from liveavatar.sync.mfcc import mfcc
from liveavatar.sync.syncnet import build, compare, embed_lips, embed_sound, load

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "syncnet.safetensors")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    net = build()
    net.load_state_dict(draw({name: p.shape for name, p in net.named_parameters()}, 31), strict=False)
    return net


def test_has_the_size_of_the_public_network(network: torch.nn.Module) -> None:
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(13.63e6, rel=1e-3)


def test_embeds_sound_as_the_reference_does(network: torch.nn.Module) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(
            embed_sound(network, GOLDEN["aud_in"]), GOLDEN["aud_out"], rtol=1e-4, atol=1e-4
        )


def test_embeds_lips_as_the_reference_does(network: torch.nn.Module) -> None:
    pictures = torch.rand(1, 3, 5, 224, 224, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        torch.testing.assert_close(embed_lips(network, pictures), GOLDEN["lip_out"], rtol=1e-4, atol=1e-3)
