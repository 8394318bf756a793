import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.dit.assembly import Layout, assemble
from liveavatar.dit.cache import Rings, RingShape
from liveavatar.dit.config import DitConfig, StreamConfig
from liveavatar.dit.memory import (
    AUDIO,
    CONTEXT,
    PARAMETERS,
    RUNGS,
    VAE,
    Job,
    Plan,
    Rung,
    below,
    choose,
    find_rung,
    predict,
)
from liveavatar.dit.model import DiT
from liveavatar.dit.models import memory_maker
from liveavatar.dit.options import DitOptions
from liveavatar.errors import EngineError, OptionError

GIB = 1 << 30
JOB = Job()
CONFIG = DitConfig()
TOKENS = 44 * 24


def card(gib: float, **asked: object) -> Plan:
    return choose(int(gib * GIB) - CONTEXT, JOB, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gib", "name"),
    [(139.8, "96"), (94.0, "96"), (79.1, "80"), (44.5, "48"), (31.4, "24"), (23.6, "24"), (15.7, "16")],
)
def test_cards_that_are_sold_have_their_rung(gib: float, name: str) -> None:
    """H200, RTX PRO 6000, H100, L40S, 5090, 4090, 4080: what nvidia-smi says they have."""
    plan = card(gib)
    assert plan.rung.name == name
    assert plan.memory.total < gib * GIB
    assert plan.line.startswith(f"memory {name}: ")
    assert "\n" not in plan.line


def test_a_rung_may_be_asked_for_and_must_fit() -> None:
    assert card(79.1, name="24").rung.name == "24"
    with pytest.raises(EngineError, match="are needed"):
        card(23.6, name="80")
    with pytest.raises(OptionError, match="no rung"):
        find_rung("32")
    with pytest.raises(OptionError, match="no rung"):
        DitOptions(memory="32")


def test_host_memory_counts_too() -> None:
    assert card(23.6, host=64 * GIB).memory.host < 64 * GIB
    with pytest.raises(EngineError, match="of the machine's"):
        card(23.6, host=16 * GIB)


@given(st.integers(10, 200), st.integers(1, 6))
def test_what_is_chosen_fits_and_the_rung_above_does_not(gigabytes: int, steps: int) -> None:
    job = Job(stream=StreamConfig(steps=steps))
    try:
        plan = choose(gigabytes * 10**9, job)
    except EngineError:
        return
    assert plan.memory.total <= gigabytes * 10**9
    above = RUNGS[: RUNGS.index(plan.rung)]
    assert all(job.memory(rung, rung.streams).total > 0.96 * gigabytes * 10**9 for rung in above)


def test_the_ladder_goes_down() -> None:
    totals = [JOB.memory(rung, rung.streams).total for rung in RUNGS]
    assert totals == sorted(totals, reverse=True)
    assert [below(rung) for rung in RUNGS] == [*RUNGS[1:], None]


def shape(steps: int = 4) -> RingShape:
    return RingShape(
        layers=CONFIG.layers, steps=steps, blocks=4, block=3 * TOKENS, sink=TOKENS * 5 // 2, portrait=TOKENS,
        heads=CONFIG.heads, head_dim=CONFIG.head_dim,
    )  # fmt: skip


LIKE = torch.zeros(0, dtype=torch.bfloat16, device="meta")


@pytest.mark.parametrize("rung", RUNGS[:3], ids=lambda rung: rung.name)
@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_session_is_predicted_as_it_is_allocated(rung: Rung, steps: int) -> None:
    rings = memory_maker(rung)(shape(steps), LIKE)
    assert isinstance(rings, Rings)
    predicted = predict(CONFIG, StreamConfig(steps=steps), JOB.size, rung)
    sink = 5 * TOKENS // 2 * 2 * 40 * 5120 * 2
    portrait = TOKENS * 40 * 5120 * 2
    besides = portrait + sink + (0 if rung.frugal else sink)
    assert predicted.rings + predicted.sink == rings.bytes + besides


@pytest.mark.parametrize("rung", RUNGS[:2], ids=lambda rung: rung.name)
def test_weights_are_predicted_as_they_are_laid_out(rung: Rung) -> None:
    """On the meta device: every tensor of the full size in its place, without its numbers."""
    with torch.device("meta"):
        dit = DiT(DitConfig()).bfloat16()
    layout = Layout(device=LIKE.device, kind="fp8" if rung.eight else "bf16")
    assemble(dit, lambda _name, _part: None, layout)
    taken = sum(tensor.nbytes for tensor in (*dit.parameters(), *dit.buffers()))
    memory = predict(CONFIG, JOB.stream, JOB.size, rung)
    predicted = memory.weights + memory.host - VAE - 2 * AUDIO  # nothing is parked here
    assert abs(taken - predicted) < 20e6  # the scales of the rows


def test_what_is_needed_once_a_prompt_is_only_on_the_largest_device() -> None:
    largest, large, small = (JOB.memory(rung, 0) for rung in RUNGS[:3])
    once = 40 * 2 * 5120 * 5120
    assert (largest.host, large.host) == (0, once)
    assert large.weights - small.weights == AUDIO


@pytest.mark.parametrize("rung", RUNGS[:3], ids=lambda rung: rung.name)
def test_what_is_put_aside_is_predicted(rung: Rung) -> None:
    rings = memory_maker(rung)(shape(), LIKE)
    assert isinstance(rings, Rings)
    kept = sum(part.nbytes for part in rings._slots(0, 0))
    assert JOB.memory(rung, 0).ahead == kept
    assert Job(wavefront=True).memory(rung, 0).ahead == 0


def test_only_what_lies_on_the_device_is_recorded() -> None:
    on_device, streamed = (JOB.memory(RUNGS[2], count) for count in (0, 2))
    assert on_device.working == 2 * streamed.working


def test_the_full_size_has_as_many_numbers_as_the_checkpoint() -> None:
    with torch.device("meta"):
        model = DiT(DitConfig())
    assert sum(weight.numel() for weight in model.parameters()) == PARAMETERS


def test_streamed_blocks_leave_the_device() -> None:
    rung = RUNGS[-1]
    none, half, all_of_them = (JOB.memory(rung, count) for count in (0, 20, 40))
    block = 6 * 5120 * 5120 + 2 * 5120 * 13824  # numbers of a block that are streamed
    assert half.weights - all_of_them.weights == 20 * block
    assert none.total > half.total > all_of_them.total
    assert none.host < half.host < all_of_them.host


def test_fewer_steps_and_smaller_frames_take_less() -> None:
    usual = JOB.memory(RUNGS[0], 0).total
    assert Job(stream=StreamConfig(steps=3)).memory(RUNGS[0], 0).total < usual
    assert Job(size=(512, 256)).memory(RUNGS[0], 0).total < usual


def test_the_wavefront_has_a_sink_for_every_step_and_works_on_all_at_once() -> None:
    one, all_steps = (Job(wavefront=wavefront).memory(RUNGS[0], 0) for wavefront in (False, True))
    assert all_steps.sink - one.sink == 2 * TOKENS * 5 // 2 * 2 * 40 * 5120 * 2
    assert all_steps.working == 2 * one.working  # which is recorded
