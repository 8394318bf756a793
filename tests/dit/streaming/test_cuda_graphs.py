import torch

from liveavatar.dit.performance.offload import BlockSwapper
from liveavatar.dit.streaming.cuda_graphs import CudaGraphCache, LaunchThrottle
from liveavatar.dit.streaming.latents import LatentStream
from small_dit import small_dit
from small_stream import SMALL, block_features, small_conditioning

CPU = torch.device("cpu")


def test_without_recording_functions_are_called_every_time() -> None:
    calls: list[int] = []
    graphs = CudaGraphCache(enabled=False)
    for number in range(3):
        graphs.run_recorded(0, lambda number=number: calls.append(number))  # type: ignore[misc]
    assert calls == [0, 1, 2]


def test_a_cpu_needs_no_throttle() -> None:
    throttle = LaunchThrottle(CPU)
    for _ in range(3):
        throttle.wait_previous_step()
    assert not throttle._step_events


def test_steps_are_recorded_once_the_ring_is_full_unless_weights_are_offloaded() -> None:
    dit = small_dit()
    stream = LatentStream(dit, small_conditioning(dit), SMALL, 0)
    assert [stream._can_record(block) for block in range(4)] == [False, False, True, True]
    dit.blocks[1] = BlockSwapper(CPU).add(dit.blocks[1])
    assert not stream._can_record(3)


def test_tensors_of_a_step_keep_their_addresses() -> None:
    """Else a recorded step would read what is no longer there."""
    dit = small_dit()
    stream = LatentStream(dit, small_conditioning(dit), SMALL, 0)

    def addresses() -> list[int]:
        audio = [
            part for hearing in stream._audio for part in (hearing.shift, hearing.scale, *hearing.key_value)
        ]
        slots = [
            part
            for step in range(3)
            for layer in stream._cache.prepare_layers(step, 0)
            for part in layer.slots  # type: ignore[attr-defined]
        ]
        indices = [stream._cache.prepare_layers(step, 0)[0].write_index for step in range(3)]  # type: ignore[attr-defined]
        tensors = [*stream._latents, *stream._block_rope.move_to(0), *audio, *slots, *indices]
        return [tensor.data_ptr() for tensor in tensors]

    list(stream.denoise_block(0, block_features(0)))
    before = addresses()
    for block in range(1, 4):
        stream.set_sink(small_conditioning(dit, seed=block).sink)
        list(stream.denoise_block(block, block_features(block)))
    assert addresses() == before
