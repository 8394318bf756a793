import pytest
import torch

from drawn import SEEDS, draw_into
from liveavatar.dit.model.audio_injector import CausalAudioEncoder
from liveavatar.dit.plan.config import DitConfig
from small_dit import golden, max_error

GOLDEN = golden("causal_audio_encoder")


@pytest.fixture(scope="module")
def encoder() -> CausalAudioEncoder:
    module = CausalAudioEncoder(DitConfig(dim=64, heads=4, audio_dim=24, inject=(), layers=1))
    draw_into(module, SEEDS["causal_audio_encoder"])
    return module.requires_grad_(False)


def test_tokens_are_those_of_the_reference(encoder: CausalAudioEncoder) -> None:
    tokens = encoder(GOLDEN["feats"])
    assert max_error(tokens.global_token, GOLDEN["global"][:, :, 0]) < 1e-5
    assert max_error(tokens.local_tokens, GOLDEN["local"]) < 1e-5


def test_a_short_lead_equals_the_long_one_of_the_reference(encoder: CausalAudioEncoder) -> None:
    block = GOLDEN["feats"][..., -12:]
    long = encoder(torch.cat([block[..., :1].expand(-1, -1, -1, 73), block], dim=-1))
    short = encoder.encode_block(block)
    for part, whole in zip(short, long, strict=True):
        assert part.shape[1] == 3
        assert max_error(part, whole[:, 19:]) < 1e-5


def test_later_sound_does_not_change_earlier_tokens(encoder: CausalAudioEncoder) -> None:
    block = GOLDEN["feats"][..., :12].clone()
    before = encoder.encode_block(block)
    block[..., 8:] += 1
    after = encoder.encode_block(block)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[:, :2], new[:, :2])
        assert not torch.equal(old[:, 2], new[:, 2])
