from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from drawn import SEEDS, draw_into
from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import StreamConfig, VAEConfig
from liveavatar.dit.streaming.decoding import video_to_rgb
from liveavatar.dit.streaming.video import PreparedPortrait, VideoStream, encode_portrait
from small_dit import golden, small_dit

AUDIO = golden("e2e_offline")["audio_emb"]
CONFIG = StreamConfig(steps=3, clip_blocks=2)


@pytest.fixture(scope="module")
def dit() -> DiT:
    return small_dit()


@pytest.fixture(scope="module")
def portrait(dit: DiT) -> PreparedPortrait:
    vae = VAE(VAEConfig(width=6))
    draw_into(vae, SEEDS["vae"])
    portrait = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(8)) * 2 - 1
    return encode_portrait(dit, vae, portrait, golden("e2e_offline")["context"])


def columns(block: int) -> Tensor:
    return AUDIO[..., 12 * block : 12 * block + 12]


def open_stream(dit: DiT, portrait: PreparedPortrait, renew_sink: bool = True, seed: int = 1) -> VideoStream:
    return VideoStream(dit, portrait, CONFIG, seed, renew_sink=renew_sink)


def draw_video(stream: VideoStream, block: int, heard: int | None = None) -> Tensor:
    pending = stream.draw_block(block, columns(block if heard is None else heard))
    assert pending is not None
    return pending.video


@pytest.mark.slow
def test_a_block_drawn_again_is_the_same_after_the_ring_rolled_over(
    dit: DiT, portrait: PreparedPortrait
) -> None:
    stream = open_stream(dit, portrait)
    for block in range(5):
        first = draw_video(stream, block)
        draw_video(stream, block, heard=7)  # other sound, to be drawn over
        assert torch.equal(draw_video(stream, block), first)


class CancelAfterTwo:
    """Cancels after two denoising steps."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self) -> bool:
        self.steps += 1
        return self.steps == 2


@pytest.mark.slow
def test_a_cancelled_block_leaves_no_trace(dit: DiT, portrait: PreparedPortrait) -> None:
    stream, other = open_stream(dit, portrait), open_stream(dit, portrait)
    for block in range(4):
        cancelled = CancelAfterTwo()
        assert stream.draw_block(block, columns(7), cancelled) is None
        assert cancelled.steps == 2
        assert torch.equal(draw_video(stream, block), draw_video(other, block))


@pytest.mark.slow
def test_the_portrait_is_renewed_after_the_first_clip_if_enabled(
    dit: DiT, portrait: PreparedPortrait
) -> None:
    plain, renew_sink = (
        open_stream(dit, portrait, renew_sink=False),
        open_stream(dit, portrait, renew_sink=True),
    )
    equal = [torch.equal(draw_video(plain, block), draw_video(renew_sink, block)) for block in range(4)]
    assert equal == [True, True, False, False]


def test_streams_share_a_portrait_and_do_not_change_it(dit: DiT, portrait: PreparedPortrait) -> None:
    first = draw_video(open_stream(dit, portrait), 0)
    draw_video(open_stream(dit, portrait, seed=2), 0)
    assert torch.equal(draw_video(open_stream(dit, portrait), 0), first)


@pytest.mark.slow
@pytest.mark.parametrize("clip_blocks", [1, 2, 4])
def test_a_block_begun_ahead_is_the_same_and_can_be_undone(
    dit: DiT, portrait: PreparedPortrait, clip_blocks: int
) -> None:
    config = replace(CONFIG, clip_blocks=clip_blocks)
    plain, ahead = (VideoStream(dit, portrait, config, 1, renew_sink=True) for _ in range(2))
    for block in range(6):
        expected = draw_video(plain, block)
        assert torch.equal(draw_video(ahead, block), expected)
        ahead.begin_block(block + 1, columns(7))  # other sound, to be drawn over
        if block % 2:
            assert torch.equal(draw_video(ahead, block), expected)
        ahead.discard_from(block + 1)
        ahead.begin_block(block + 1, columns(block + 1))


def test_a_block_that_was_begun_is_not_begun_again(dit: DiT, portrait: PreparedPortrait) -> None:
    stream = open_stream(dit, portrait)
    draw_video(stream, 0)
    stream.begin_block(1, columns(1))
    calls: list[object] = []
    hook = dit.register_forward_hook(lambda *_: calls.append(None))
    draw_video(stream, 1)
    hook.remove()
    assert len(calls) == CONFIG.steps - 1


def test_bytes_are_rounded_or_truncated_like_the_reference() -> None:
    video = torch.tensor([-1.0, -0.001, 0.0, 0.999, 1.0]).view(1, 1, 1, 1, 5).expand(1, 3, 1, 1, 5)
    assert video_to_rgb(video)[0, 0, :, 0].tolist() == [0, 127, 128, 255, 255]
    assert video_to_rgb(video, rounded=False)[0, 0, :, 0].tolist() == [0, 127, 127, 254, 255]
    assert video_to_rgb(video).dtype is torch.uint8
    assert video_to_rgb(video).shape == (1, 1, 5, 3)


def test_bytes_are_those_of_the_video(dit: DiT, portrait: PreparedPortrait) -> None:
    pending = open_stream(dit, portrait).draw_block(0, columns(0))
    assert pending is not None
    assert np.array_equal(pending.wait_for_pictures(), video_to_rgb(pending.video).numpy())


def full(_layer: nn.Module, _args: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_begun_block_that_runs_out_of_memory_leaves_the_block_before_intact(
    dit: DiT, portrait: PreparedPortrait
) -> None:
    stream = open_stream(dit, portrait)
    for block in range(4):
        first = draw_video(stream, block)
    hook = dit.blocks[-1].register_forward_pre_hook(full)  # after the first layers have written into the ring
    with pytest.raises(torch.OutOfMemoryError):
        stream.begin_block(4, columns(4))
    hook.remove()
    assert torch.equal(draw_video(stream, 3), first)
