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
def still(dit: DiT) -> PreparedPortrait:
    vae = VAE(VAEConfig(width=6))
    draw_into(vae, SEEDS["vae"])
    portrait = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(8)) * 2 - 1
    return encode_portrait(dit, vae, portrait, golden("e2e_offline")["context"])


def columns(block: int) -> Tensor:
    return AUDIO[..., 12 * block : 12 * block + 12]


def opened(dit: DiT, still: PreparedPortrait, adaptive: bool = True, seed: int = 1) -> VideoStream:
    return VideoStream(dit, still, CONFIG, seed, renew_sink=adaptive)


def drawn(stream: VideoStream, block: int, heard: int | None = None) -> Tensor:
    pending = stream.draw_block(block, columns(block if heard is None else heard))
    assert pending is not None
    return pending.video


def test_a_block_drawn_again_is_the_same_even_after_the_ring_rolled_over(
    dit: DiT, still: PreparedPortrait
) -> None:
    stream = opened(dit, still)
    for block in range(5):
        first = drawn(stream, block)
        drawn(stream, block, heard=7)  # what was said was not meant
        assert torch.equal(drawn(stream, block), first)


class AfterTwo:
    """Cancels after two denoising steps."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self) -> bool:
        self.steps += 1
        return self.steps == 2


def test_a_cancelled_block_leaves_no_trace(dit: DiT, still: PreparedPortrait) -> None:
    stream, other = opened(dit, still), opened(dit, still)
    for block in range(4):
        cancelled = AfterTwo()
        assert stream.draw_block(block, columns(7), cancelled) is None
        assert cancelled.steps == 2
        assert torch.equal(drawn(stream, block), drawn(other, block))


def test_the_portrait_is_renewed_after_the_first_clip_only_if_asked(
    dit: DiT, still: PreparedPortrait
) -> None:
    plain, adaptive = opened(dit, still, adaptive=False), opened(dit, still, adaptive=True)
    equal = [torch.equal(drawn(plain, block), drawn(adaptive, block)) for block in range(4)]
    assert equal == [True, True, False, False]


def test_streams_share_a_still_and_do_not_change_it(dit: DiT, still: PreparedPortrait) -> None:
    first = drawn(opened(dit, still), 0)
    drawn(opened(dit, still, seed=2), 0)
    assert torch.equal(drawn(opened(dit, still), 0), first)


@pytest.mark.parametrize("clip_blocks", [1, 2, 4])
def test_a_block_begun_ahead_is_the_same_and_can_be_undone(
    dit: DiT, still: PreparedPortrait, clip_blocks: int
) -> None:
    config = replace(CONFIG, clip_blocks=clip_blocks)
    plain, ahead = (VideoStream(dit, still, config, 1, renew_sink=True) for _ in range(2))
    for block in range(6):
        expected = drawn(plain, block)
        assert torch.equal(drawn(ahead, block), expected)
        ahead.begin_block(block + 1, columns(7))  # what was said was not meant
        if block % 2:
            assert torch.equal(drawn(ahead, block), expected)
        ahead.discard_from(block + 1)
        ahead.begin_block(block + 1, columns(block + 1))


def test_a_block_that_was_begun_is_not_begun_again(dit: DiT, still: PreparedPortrait) -> None:
    stream = opened(dit, still)
    drawn(stream, 0)
    stream.begin_block(1, columns(1))
    calls: list[object] = []
    hook = dit.register_forward_hook(lambda *_: calls.append(None))
    drawn(stream, 1)
    hook.remove()
    assert len(calls) == CONFIG.steps - 1


def test_bytes_are_rounded_or_cut_off_as_the_reference_does() -> None:
    video = torch.tensor([-1.0, -0.001, 0.0, 0.999, 1.0]).view(1, 1, 1, 1, 5).expand(1, 3, 1, 1, 5)
    assert video_to_rgb(video)[0, 0, :, 0].tolist() == [0, 127, 128, 255, 255]
    assert video_to_rgb(video, rounded=False)[0, 0, :, 0].tolist() == [0, 127, 127, 254, 255]
    assert video_to_rgb(video).dtype is torch.uint8
    assert video_to_rgb(video).shape == (1, 1, 5, 3)


def test_bytes_are_those_of_the_video(dit: DiT, still: PreparedPortrait) -> None:
    pending = opened(dit, still).draw_block(0, columns(0))
    assert pending is not None
    assert np.array_equal(pending.wait_for_pictures(), video_to_rgb(pending.video).numpy())


def full(_layer: nn.Module, _args: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_step_ahead_that_runs_out_of_memory_leaves_the_block_before_as_it_was(
    dit: DiT, still: PreparedPortrait
) -> None:
    stream = opened(dit, still)
    for block in range(4):
        first = drawn(stream, block)
    hook = dit.blocks[-1].register_forward_pre_hook(full)  # after the first layers have written into the ring
    with pytest.raises(torch.OutOfMemoryError):
        stream.begin_block(4, columns(4))
    hook.remove()
    assert torch.equal(drawn(stream, 3), first)
