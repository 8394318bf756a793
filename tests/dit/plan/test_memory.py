import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.dit.loader import choose_cache_factory
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.performance.assembly import TransformerLayout, assemble_transformer
from liveavatar.dit.plan.config import DitConfig, StreamConfig
from liveavatar.dit.plan.memory import (
    AUDIO_ENCODER_BYTES,
    CUDA_CONTEXT_BYTES,
    MEMORY_PROFILES,
    TRANSFORMER_PARAMETERS,
    VAE_BYTES,
    MemoryPlan,
    MemoryProfile,
    Workload,
    choose_memory_plan,
    estimate_memory,
    find_memory_profile,
    find_smaller_profile,
)
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.streaming.kv_cache import RingKVCache, RingShape
from liveavatar.errors import EngineError, OptionError

GIB = 1 << 30
JOB = Workload()
CONFIG = DitConfig()
TOKENS = 44 * 24


def card(gib: float, **asked: object) -> MemoryPlan:
    return choose_memory_plan(int(gib * GIB) - CUDA_CONTEXT_BYTES, JOB, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gib", "name"),
    [(139.8, "96"), (94.0, "96"), (79.1, "80"), (44.5, "48"), (31.4, "24"), (23.6, "24"), (15.7, "16")],
)
def test_cards_that_are_sold_have_their_rung(gib: float, name: str) -> None:
    """H200, RTX PRO 6000, H100, L40S, 5090, 4090, 4080: what nvidia-smi says they have."""
    plan = card(gib)
    assert plan.profile.name == name
    assert plan.estimate.gpu_total < gib * GIB
    assert plan.summary.startswith(f"memory {name}: ")
    assert "\n" not in plan.summary


def test_a_rung_may_be_asked_for_and_must_fit() -> None:
    assert card(79.1, name="24").profile.name == "24"
    with pytest.raises(EngineError, match="are needed"):
        card(23.6, name="80")
    with pytest.raises(OptionError, match="no memory profile"):
        find_memory_profile("32")
    with pytest.raises(OptionError, match="no memory profile"):
        DitOptions(memory="32")


def test_host_memory_counts_too() -> None:
    assert card(23.6, host_bytes=64 * GIB).estimate.host < 64 * GIB
    with pytest.raises(EngineError, match="of the machine's"):
        card(23.6, host_bytes=16 * GIB)


@given(st.integers(10, 200), st.integers(1, 6))
def test_what_is_chosen_fits_and_the_rung_above_does_not(gigabytes: int, steps: int) -> None:
    job = Workload(stream=StreamConfig(steps=steps))
    try:
        plan = choose_memory_plan(gigabytes * 10**9, job)
    except EngineError:
        return
    assert plan.estimate.gpu_total <= gigabytes * 10**9
    above = MEMORY_PROFILES[: MEMORY_PROFILES.index(plan.profile)]
    assert all(
        job.estimate_memory(rung, rung.max_offloaded_blocks).gpu_total > 0.96 * gigabytes * 10**9
        for rung in above
    )


def test_the_ladder_goes_down() -> None:
    totals = [JOB.estimate_memory(rung, rung.max_offloaded_blocks).gpu_total for rung in MEMORY_PROFILES]
    assert totals == sorted(totals, reverse=True)
    assert [find_smaller_profile(rung) for rung in MEMORY_PROFILES] == [*MEMORY_PROFILES[1:], None]


def shape(steps: int = 4) -> RingShape:
    return RingShape(
        layers=CONFIG.layers,
        steps=steps,
        blocks=4,
        block_tokens=3 * TOKENS,
        sink_tokens=TOKENS * 5 // 2,
        portrait_tokens=TOKENS,
        heads=CONFIG.heads,
        head_dim=CONFIG.head_dim,
    )


LIKE = torch.zeros(0, dtype=torch.bfloat16, device="meta")


@pytest.mark.parametrize("rung", MEMORY_PROFILES[:3], ids=lambda rung: rung.name)
@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_session_is_predicted_as_it_is_allocated(rung: MemoryProfile, steps: int) -> None:
    rings = choose_cache_factory(rung)(shape(steps), LIKE)
    assert isinstance(rings, RingKVCache)
    predicted = estimate_memory(CONFIG, StreamConfig(steps=steps), JOB.size, rung)
    sink = 5 * TOKENS // 2 * 2 * 40 * 5120 * 2
    portrait = TOKENS * 40 * 5120 * 2
    besides = portrait + sink + (0 if rung.offloads_sink else sink)
    assert predicted.kv_cache + predicted.sink == rings.bytes + besides


@pytest.mark.parametrize("rung", MEMORY_PROFILES[:2], ids=lambda rung: rung.name)
def test_weights_are_predicted_as_they_are_laid_out(rung: MemoryProfile) -> None:
    """On the meta device: every tensor of the full size in its place, without its numbers."""
    with torch.device("meta"):
        dit = DiT(DitConfig()).bfloat16()
    layout = TransformerLayout(device=LIKE.device, weight_format="fp8" if rung.eight_bit_weights else "bf16")
    assemble_transformer(dit, lambda _name, _part: None, layout)
    taken = sum(tensor.nbytes for tensor in (*dit.parameters(), *dit.buffers()))
    memory = estimate_memory(CONFIG, JOB.stream, JOB.size, rung)
    predicted = memory.weights + memory.host - VAE_BYTES - 2 * AUDIO_ENCODER_BYTES  # nothing is parked here
    assert abs(taken - predicted) < 20e6  # the scales of the rows


def test_what_is_needed_once_a_prompt_is_only_on_the_largest_device() -> None:
    largest, large, small = (JOB.estimate_memory(rung, 0) for rung in MEMORY_PROFILES[:3])
    once = 40 * 2 * 5120 * 5120
    assert (largest.host, large.host) == (0, once)
    assert large.weights - small.weights == AUDIO_ENCODER_BYTES


@pytest.mark.parametrize("rung", MEMORY_PROFILES[:3], ids=lambda rung: rung.name)
def test_what_is_put_aside_is_predicted(rung: MemoryProfile) -> None:
    rings = choose_cache_factory(rung)(shape(), LIKE)
    assert isinstance(rings, RingKVCache)
    kept = sum(part.nbytes for part in rings._block_slots(0, 0))
    assert JOB.estimate_memory(rung, 0).snapshot == kept
    assert Workload(wavefront=True).estimate_memory(rung, 0).snapshot == 0


def test_only_what_lies_on_the_device_is_recorded() -> None:
    on_device, streamed = (JOB.estimate_memory(MEMORY_PROFILES[2], count) for count in (0, 2))
    assert on_device.activations == 2 * streamed.activations


def test_the_full_size_has_as_many_numbers_as_the_checkpoint() -> None:
    with torch.device("meta"):
        model = DiT(DitConfig())
    assert sum(weight.numel() for weight in model.parameters()) == TRANSFORMER_PARAMETERS


def test_streamed_blocks_leave_the_device() -> None:
    rung = MEMORY_PROFILES[-1]
    none, half, all_of_them = (JOB.estimate_memory(rung, count) for count in (0, 20, 40))
    block = 6 * 5120 * 5120 + 2 * 5120 * 13824  # numbers of a block that are streamed
    assert half.weights - all_of_them.weights == 20 * block
    assert none.gpu_total > half.gpu_total > all_of_them.gpu_total
    assert none.host < half.host < all_of_them.host


def test_fewer_steps_and_smaller_frames_take_less() -> None:
    usual = JOB.estimate_memory(MEMORY_PROFILES[0], 0).gpu_total
    assert Workload(stream=StreamConfig(steps=3)).estimate_memory(MEMORY_PROFILES[0], 0).gpu_total < usual
    assert Workload(size=(512, 256)).estimate_memory(MEMORY_PROFILES[0], 0).gpu_total < usual


def test_the_wavefront_has_a_sink_for_every_step_and_works_on_all_at_once() -> None:
    one, all_steps = (
        Workload(wavefront=wavefront).estimate_memory(MEMORY_PROFILES[0], 0) for wavefront in (False, True)
    )
    assert all_steps.sink - one.sink == 2 * TOKENS * 5 // 2 * 2 * 40 * 5120 * 2
    assert all_steps.activations == 2 * one.activations  # which is recorded
