import pytest
import torch

from drawn import SEEDS, draw_into
from liveavatar.dit.model.frame_packer import FramePacker
from liveavatar.dit.plan.config import DitConfig
from small_dit import golden, max_error

GOLDEN = golden("motioner")


@pytest.fixture(scope="module")
def packer() -> FramePacker:
    module = FramePacker(DitConfig(dim=64, heads=4, layers=1, inject=()))
    draw_into(module, SEEDS["motioner"])
    return module.requires_grad_(False)


@pytest.mark.parametrize("frames", [19, 5])
def test_tokens_are_those_of_the_reference(packer: FramePacker, frames: int) -> None:
    assert max_error(packer(GOLDEN[f"motion{frames}"]), GOLDEN[f"tokens{frames}"]) < 1e-5


def test_only_the_last_19_frames_count(packer: FramePacker) -> None:
    older = torch.randn(1, 16, 7, 8, 16)
    longer = torch.cat([older, GOLDEN["motion19"]], dim=2)
    assert torch.equal(packer(longer), packer(GOLDEN["motion19"]))
