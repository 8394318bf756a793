from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from drawn import SEEDS, draw_into
from liveavatar.dit.codecs.vae import VAE, StreamingDecoder
from liveavatar.dit.plan.config import VAEConfig
from liveavatar.errors import OptionError

GOLDEN_FOLDER = Path(__file__).parents[2] / "golden"
GOLDEN = load_file(GOLDEN_FOLDER / "vae.safetensors")


@pytest.fixture(scope="module")
def vae() -> VAE:
    model = VAE(VAEConfig(width=6))
    draw_into(model, SEEDS["vae"])
    return model


def assert_near(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=2e-5)


def halved(video: Tensor) -> Tensor:
    return video[..., ::2, ::2]


def test_encodes_as_the_reference_does(vae: VAE) -> None:
    assert_near(vae.encode(GOLDEN["video"]), GOLDEN["latent"])


@pytest.mark.parametrize(
    ("copies", "first", "name"), [(1, 0, "ref1"), (5, 1, "ref5_1"), (73, 0, "motion73_tail")]
)
def test_encodes_a_still_video_as_the_reference_does(vae: VAE, copies: int, first: int, name: str) -> None:
    still = GOLDEN["video"][:, :, :1].expand(-1, -1, copies, -1, -1)
    assert_near(vae.encode(still)[:, :, first:], GOLDEN[name])


def test_decodes_as_the_reference_does(vae: VAE) -> None:
    assert_near(halved(vae.decode(GOLDEN["latent"])), GOLDEN["decoded_half"])


def test_decodes_blocks_after_a_warm_up_as_the_reference_does(vae: VAE) -> None:
    decoder = StreamingDecoder(vae)
    primed = decoder.push(GOLDEN["prime"])
    assert_near(halved(primed[:, :, -12:]), GOLDEN["prime_out_last12_half"])
    for block in range(3):
        frames = decoder.push(GOLDEN[f"block{block}"])
        assert_near(halved(frames), GOLDEN[f"block{block}_out_half"])


@given(cuts=st.lists(st.integers(1, 4), min_size=1, max_size=3))
@settings(max_examples=6, deadline=None)
def test_streaming_equals_decoding_at_once_bit_for_bit(vae: VAE, cuts: list[int]) -> None:
    latent = torch.randn(1, 16, sum(cuts), 2, 2, generator=torch.Generator().manual_seed(3))
    decoder = StreamingDecoder(vae)
    pieces = [decoder.push(piece) for piece in torch.split(latent, cuts, dim=2)]
    assert torch.equal(torch.cat(pieces, dim=2), vae.decode(latent))


def test_sessions_share_weights_alone(vae: VAE) -> None:
    latents = torch.randn(2, 1, 16, 4, 2, 2, generator=torch.Generator().manual_seed(4))
    decoders = [StreamingDecoder(vae) for _ in latents]
    frames: list[list[Tensor]] = [[], []]
    for step in range(4):
        for index, decoder in enumerate(decoders):
            frames[index].append(decoder.push(latents[index][:, :, step : step + 1]))
    for index, latent in enumerate(latents):
        assert torch.equal(torch.cat(frames[index], dim=2), vae.decode(latent))


def test_a_reset_starts_a_new_video(vae: VAE) -> None:
    latent = GOLDEN["latent"][..., :2, :2]
    decoder = StreamingDecoder(vae)
    decoder.push(GOLDEN["prime"])
    decoder.reset()
    assert torch.equal(decoder.push(latent), vae.decode(latent))


def test_later_latents_never_change_earlier_frames(vae: VAE) -> None:
    latent = GOLDEN["latent"][..., :2, :2].clone()
    before = vae.decode(latent)
    latent[:, :, -1] += 1
    after = vae.decode(latent)
    assert torch.equal(after[:, :, :-4], before[:, :, :-4])
    assert not torch.equal(after[:, :, -4:], before[:, :, -4:])


def test_frames_beyond_the_last_group_of_four_have_no_latent(vae: VAE) -> None:
    video = GOLDEN["video"][..., :16, :16]
    assert torch.equal(vae.encode(video[:, :, :12]), vae.encode(video[:, :, :9]))


def test_a_batch_equals_its_members(vae: VAE) -> None:
    video = torch.randn(2, 3, 5, 16, 16, generator=torch.Generator().manual_seed(5))
    singly = torch.cat([vae.encode(clip[None]) for clip in video])
    assert_near(vae.encode(video), singly)


def test_computes_in_the_dtype_of_its_weights_and_returns_float32(vae: VAE) -> None:
    model = VAE(VAEConfig(width=6))
    model.load_state_dict(vae.state_dict())
    model.bfloat16()
    latent = model.encode(GOLDEN["video"])
    frames = model.decode(GOLDEN["latent"])
    assert latent.dtype == frames.dtype == torch.float32
    assert (latent - GOLDEN["latent"]).abs().mean() < 0.02
    assert (halved(frames) - GOLDEN["decoded_half"]).abs().mean() < 0.02


@pytest.mark.parametrize("shape", [(1, 3, 0, 16, 16), (1, 3, 1, 20, 16)])
def test_refuses_what_cannot_be_encoded(vae: VAE, shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="multiples of 8"):
        vae.encode(torch.zeros(shape))


def test_every_name_of_the_full_size_is_the_checkpoints() -> None:
    with torch.device("meta"):
        model = VAE(VAEConfig())
    official = dict(line.split("\t") for line in (GOLDEN_FOLDER / "vae_keys.txt").read_text().splitlines())
    assert len(official) == 194
    assert {name: str(list(tensor.shape)) for name, tensor in model.state_dict().items()} == official
