import torch

from liveavatar.dit.graphs import Graphs, Pace
from liveavatar.dit.offload import Carousel
from liveavatar.dit.stream import LatentStream
from small_dit import small_dit
from small_stream import SMALL, heard, small_scene

CPU = torch.device("cpu")


def test_without_recording_functions_are_called_every_time() -> None:
    calls: list[int] = []
    graphs = Graphs(enabled=False)
    for number in range(3):
        graphs.run(0, lambda number=number: calls.append(number))  # type: ignore[misc]
    assert calls == [0, 1, 2]


def test_a_cpu_is_never_ahead() -> None:
    pace = Pace(CPU)
    for _ in range(3):
        pace.step()
    assert not pace._marks


def test_steps_are_recorded_once_the_ring_is_full_and_not_when_weights_have_moved() -> None:
    dit = small_dit()
    stream = LatentStream(dit, small_scene(dit), SMALL, 0)
    assert [stream._may_be_recorded(block) for block in range(4)] == [False, False, True, True]
    dit.blocks[1] = Carousel(CPU).add(dit.blocks[1])
    assert not stream._may_be_recorded(3)


def test_what_a_step_reads_and_writes_stays_where_it_is() -> None:
    """Else a recorded step would read what is no longer there."""
    dit = small_dit()
    stream = LatentStream(dit, small_scene(dit), SMALL, 0)

    def places() -> list[int]:
        heard_there = [
            part for hearing in stream._hearing for part in (hearing.shift, hearing.scale, *hearing.given)
        ]
        memory = [part for step in range(3) for layer in stream._rings.step(step, 0) for part in layer.slots]  # type: ignore[attr-defined]
        where = [stream._rings.step(step, 0)[0].where for step in range(3)]  # type: ignore[attr-defined]
        tensors = [*stream._latents, *stream._rope.place(0), *heard_there, *memory, *where]
        return [tensor.data_ptr() for tensor in tensors]

    list(stream.draw(0, heard(0)))
    before = places()
    for block in range(1, 4):
        stream.set_sink(small_scene(dit, seed=block).sink)
        list(stream.draw(block, heard(block)))
    assert places() == before
