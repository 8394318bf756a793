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


def scene(dit: DiT, height: int, width: int) -> Conditioning:
    past = torch.randn(1, 16, 19, height, width, generator=torch.Generator().manual_seed(4))
    text = dit.project_text(DATA["context"])
    return Conditioning(
        text=text, sink=dit.compute_sink(past[:, :, :1], past, text), height=height, width=width
    )


def last(stream: LatentStream, block: int) -> Tensor:
    *_, latent = stream.denoise_block(block, DATA["audio0"])
    return latent


def test_sizes_that_the_reference_crashes_on_work(dit: DiT) -> None:
    stream = LatentStream(dit, scene(dit, 64, 104), StreamConfig(steps=1, clip_blocks=1), 0)  # 512x832
    latent = last(stream, 0)
    assert latent.shape == (1, 16, 3, 64, 104)
    assert torch.isfinite(latent).all()


def test_a_stream_has_no_end(dit: DiT) -> None:
    """The reference stops after 44,970 latent frames, two hours."""
    stream = LatentStream(dit, scene(dit, 8, 8), StreamConfig(steps=1, clip_blocks=2), 0)
    assert torch.isfinite(last(stream, 1_000_000)).all()


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("clip_blocks", [1, 4])
def test_every_step_and_clip_has_its_own_memory(dit: DiT, steps: int, clip_blocks: int) -> None:
    config = StreamConfig(steps=steps, clip_blocks=clip_blocks)
    streams = [LatentStream(dit, scene(dit, 8, 8), config, 0) for _ in range(2)]
    for block in range(clip_blocks + 2):
        assert torch.equal(last(streams[0], block), last(streams[1], block))


def test_the_distance_is_drawn_from_the_seed_once_the_stream_is_near(dit: DiT) -> None:
    where = scene(dit, 8, 8)
    runs = [
        LatentStream(dit, where, StreamConfig(steps=1, clip_blocks=1, sink_distance=distance), 0)
        for distance in ((4, 4), (4, 30), (30, 30))
    ]
    at_start, later = ([last(run, block) for run in runs] for block in (0, 20))
    assert torch.equal(at_start[0], at_start[2])
    assert not torch.equal(later[0], later[2])
    assert not torch.equal(later[0], later[1]) or not torch.equal(later[1], later[2])


def filled(shape: RingShape, blocks: int, shared: int) -> RingKVCache:
    """Rings in which every key is the number of its step and block, and -1 in the sink."""
    rings = RingKVCache(shape, like=torch.zeros(0), steps_per_sink=shared)
    still = Rope(torch.ones(shape.sink_tokens, 1), torch.zeros(shape.sink_tokens, 1))
    marker = torch.full((1, shape.sink_tokens, 1, 2), -1.0)
    rings.set_sink([KeyValue(marker, marker)] * shape.layers, still)
    for block in range(blocks):
        for step in range(shape.steps):
            marks = torch.full((1, shape.block_tokens, 1, 2), 100.0 * step + block)
            for layer in rings.prepare_layers(step, block):
                layer.attend(marks, marks, marks)
    return rings


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("blocks", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("shared", [1, 2])
def test_a_block_sees_the_sink_and_its_own_step_s_last_blocks(steps: int, blocks: int, shared: int) -> None:
    shape = RingShape(
        layers=2, steps=steps, blocks=4, block_tokens=6, sink_tokens=5, portrait_tokens=2, heads=1, head_dim=2
    )
    rings = filled(shape, blocks, shared)
    for step in range(steps):
        for layer in rings.prepare_layers(step, blocks - 1):
            expected = {-1.0} | {100.0 * step + block for block in range(max(0, blocks - 4), blocks)}
            for slots in layer.slots:
                seen = slots[0, layer.visible_range, 0, 0]
                assert set(seen.tolist()) == expected
                assert len(seen) == shape.sink_tokens + shape.block_tokens * min(4, blocks)


def test_memory_is_what_the_rings_and_the_sinks_between_them_take() -> None:
    shape = RingShape(
        layers=3, steps=4, blocks=4, block_tokens=6, sink_tokens=5, portrait_tokens=2, heads=2, head_dim=4
    )
    rings = RingKVCache(shape, like=torch.zeros(0, dtype=torch.bfloat16))
    assert rings.bytes == 3 * (4 * 24 + 2 * 5) * 2 * 4 * 2 * 2
