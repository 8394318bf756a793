import pytest
import torch
from torch import Tensor

from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import Rope
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.streaming.conditioning import Conditioning
from liveavatar.dit.streaming.kv_cache import RingKVCache, RingShape
from liveavatar.dit.streaming.latents import LatentStream
from small_dit import golden, small_dit

DATA = golden("dit_kv")


@pytest.fixture(scope="module")
def dit() -> DiT:
    return small_dit()


def make_conditioning(dit: DiT, height: int, width: int) -> Conditioning:
    past = torch.randn(1, 16, 19, height, width, generator=torch.Generator().manual_seed(4))
    text = dit.project_text(DATA["context"])
    return Conditioning(
        text=text, sink=dit.compute_sink(past[:, :, :1], past, text), height=height, width=width
    )


def denoise(stream: LatentStream, block: int) -> Tensor:
    *_, latent = stream.denoise_block(block, DATA["audio0"])
    return latent


@pytest.mark.slow
def test_sizes_that_crash_the_reference_work(dit: DiT) -> None:
    stream = LatentStream(
        dit, make_conditioning(dit, 64, 104), StreamConfig(steps=1, clip_blocks=1), 0
    )  # 512x832
    latent = denoise(stream, 0)
    assert latent.shape == (1, 16, 3, 64, 104)
    assert torch.isfinite(latent).all()


def test_a_stream_has_no_end(dit: DiT) -> None:
    """The reference stops after 44,970 latent frames, two hours."""
    stream = LatentStream(dit, make_conditioning(dit, 8, 8), StreamConfig(steps=1, clip_blocks=2), 0)
    assert torch.isfinite(denoise(stream, 1_000_000)).all()


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("clip_blocks", [1, 4])
def test_every_step_and_clip_size_is_reproducible(dit: DiT, steps: int, clip_blocks: int) -> None:
    config = StreamConfig(steps=steps, clip_blocks=clip_blocks)
    streams = [LatentStream(dit, make_conditioning(dit, 8, 8), config, 0) for _ in range(2)]
    for block in range(clip_blocks + 2):
        assert torch.equal(denoise(streams[0], block), denoise(streams[1], block))


def test_the_portrait_distance_comes_from_the_seed(dit: DiT) -> None:
    conditioning = make_conditioning(dit, 8, 8)
    runs = [
        LatentStream(dit, conditioning, StreamConfig(steps=1, clip_blocks=1, sink_distance=distance), 0)
        for distance in ((4, 4), (4, 30), (30, 30))
    ]
    at_start, later = ([denoise(run, block) for run in runs] for block in (0, 20))
    assert torch.equal(at_start[0], at_start[2])
    assert not torch.equal(later[0], later[2])
    assert not torch.equal(later[0], later[1]) or not torch.equal(later[1], later[2])


def filled_cache(shape: RingShape, blocks: int, steps_per_sink: int) -> RingKVCache:
    """Rings in which every key is the number of its step and block, and -1 in the sink."""
    cache = RingKVCache(shape, like=torch.zeros(0), steps_per_sink=steps_per_sink)
    unrotated = Rope(torch.ones(shape.sink_tokens, 1), torch.zeros(shape.sink_tokens, 1))
    sink_mark = torch.full((1, shape.sink_tokens, 1, 2), -1.0)
    cache.set_sink([KeyValue(sink_mark, sink_mark)] * shape.layers, unrotated)
    for block in range(blocks):
        for step in range(shape.steps):
            block_mark = torch.full((1, shape.block_tokens, 1, 2), 100.0 * step + block)
            for layer in cache.prepare_layers(step, block):
                layer.attend(block_mark, block_mark, block_mark)
    return cache


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("blocks", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("steps_per_sink", [1, 2])
def test_a_block_attends_to_the_sink_and_the_last_blocks_of_its_step(
    steps: int, blocks: int, steps_per_sink: int
) -> None:
    shape = RingShape(
        layers=2, steps=steps, blocks=4, block_tokens=6, sink_tokens=5, portrait_tokens=2, heads=1, head_dim=2
    )
    cache = filled_cache(shape, blocks, steps_per_sink)
    for step in range(steps):
        for layer in cache.prepare_layers(step, blocks - 1):
            expected = {-1.0} | {100.0 * step + block for block in range(max(0, blocks - 4), blocks)}
            for slots in layer.slots:
                visible = slots[0, layer.visible_range, 0, 0]
                assert set(visible.tolist()) == expected
                assert len(visible) == shape.sink_tokens + shape.block_tokens * min(4, blocks)


def test_bytes_are_those_of_the_rings_and_sinks() -> None:
    shape = RingShape(
        layers=3, steps=4, blocks=4, block_tokens=6, sink_tokens=5, portrait_tokens=2, heads=2, head_dim=4
    )
    cache = RingKVCache(shape, like=torch.zeros(0, dtype=torch.bfloat16))
    assert cache.bytes == 3 * (4 * 24 + 2 * 5) * 2 * 4 * 2 * 2
