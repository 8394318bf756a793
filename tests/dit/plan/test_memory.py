import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.dit.loader import choose_cache_factory
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.performance.assembly import TransformerLayout, assemble_transformer
from liveavatar.dit.performance.quantise import WeightFormat
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
WORKLOAD = Workload()
CONFIG = DitConfig()
TOKENS = 44 * 24


def plan_card(gib: float, **limits: object) -> MemoryPlan:
    return choose_memory_plan(int(gib * GIB) - CUDA_CONTEXT_BYTES, WORKLOAD, **limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gib", "name"),
    [(139.8, "96"), (94.0, "96"), (79.1, "80"), (44.5, "48"), (31.4, "24"), (23.6, "24"), (15.7, "16")],
)
def test_common_cards_get_their_profile(gib: float, name: str) -> None:
    """H200, RTX PRO 6000, H100, L40S, 5090, 4090, 4080: what nvidia-smi says they have."""
    plan = plan_card(gib)
    assert plan.profile.name == name
    assert plan.estimate.gpu_total < gib * GIB
    assert plan.summary.startswith(f"memory {name}: ")
    assert "\n" not in plan.summary


def test_a_named_profile_must_fit() -> None:
    assert plan_card(79.1, name="24").profile.name == "24"
    with pytest.raises(EngineError, match="are needed"):
        plan_card(23.6, name="80")
    with pytest.raises(OptionError, match="no memory profile"):
        find_memory_profile("32")
    with pytest.raises(OptionError, match="no memory profile"):
        DitOptions(memory="32")


def test_host_memory_is_limited_too() -> None:
    assert plan_card(23.6, host_bytes=64 * GIB).estimate.host < 64 * GIB
    with pytest.raises(EngineError, match="of the machine's"):
        plan_card(23.6, host_bytes=16 * GIB)


@given(st.integers(10, 200), st.integers(1, 6))
def test_the_chosen_profile_fits_and_the_one_above_does_not(gigabytes: int, steps: int) -> None:
    workload = Workload(stream=StreamConfig(steps=steps))
    try:
        plan = choose_memory_plan(gigabytes * 10**9, workload)
    except EngineError:
        return
    assert plan.estimate.gpu_total <= gigabytes * 10**9
    above = MEMORY_PROFILES[: MEMORY_PROFILES.index(plan.profile)]
    assert all(
        workload.estimate_memory(profile, profile.max_offloaded_blocks).gpu_total > 0.96 * gigabytes * 10**9
        for profile in above
    )


def test_each_profile_takes_less_than_the_one_above() -> None:
    totals = [
        WORKLOAD.estimate_memory(profile, profile.max_offloaded_blocks).gpu_total
        for profile in MEMORY_PROFILES
    ]
    assert totals == sorted(totals, reverse=True)
    assert [find_smaller_profile(profile) for profile in MEMORY_PROFILES] == [*MEMORY_PROFILES[1:], None]


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


TEMPLATE = torch.zeros(0, dtype=torch.bfloat16, device="meta")


@pytest.mark.parametrize("profile", MEMORY_PROFILES[:3], ids=lambda profile: profile.name)
@pytest.mark.parametrize("steps", [1, 3, 4])
def test_the_estimate_of_a_session_is_what_is_allocated(profile: MemoryProfile, steps: int) -> None:
    cache = choose_cache_factory(profile)(shape(steps), TEMPLATE)
    assert isinstance(cache, RingKVCache)
    predicted = estimate_memory(CONFIG, StreamConfig(steps=steps), WORKLOAD.size, profile)
    sink = 5 * TOKENS // 2 * 2 * 40 * 5120 * 2
    portrait = TOKENS * 40 * 5120 * 2
    other_bytes = portrait + sink + (0 if profile.offloads_sink else sink)
    assert predicted.kv_cache + predicted.sink == cache.bytes + other_bytes


@pytest.mark.slow
@pytest.mark.parametrize("profile", MEMORY_PROFILES[:2], ids=lambda profile: profile.name)
def test_the_estimate_of_the_weights_is_what_is_allocated(profile: MemoryProfile) -> None:
    """On the meta device: every tensor of the full size in its place, without its numbers."""
    with torch.device("meta"):
        dit = DiT(DitConfig()).bfloat16()
    weight_format: WeightFormat = "fp8" if profile.eight_bit_weights else "bf16"
    layout = TransformerLayout(device=TEMPLATE.device, weight_format=weight_format)
    assemble_transformer(dit, lambda _name, _part: None, layout)
    allocated = sum(tensor.nbytes for tensor in (*dit.parameters(), *dit.buffers()))
    memory = estimate_memory(CONFIG, WORKLOAD.stream, WORKLOAD.size, profile)
    predicted = memory.weights + memory.host - VAE_BYTES - 2 * AUDIO_ENCODER_BYTES  # nothing is parked here
    assert abs(allocated - predicted) < 20e6  # the scales of the rows


def test_text_weights_lie_on_the_largest_device_only() -> None:
    largest, large, small = (WORKLOAD.estimate_memory(profile, 0) for profile in MEMORY_PROFILES[:3])
    text_bytes = 40 * 2 * 5120 * 5120
    assert (largest.host, large.host) == (0, text_bytes)
    assert large.weights - small.weights == AUDIO_ENCODER_BYTES


@pytest.mark.parametrize("profile", MEMORY_PROFILES[:3], ids=lambda profile: profile.name)
def test_the_estimate_of_the_snapshot_is_its_size(profile: MemoryProfile) -> None:
    cache = choose_cache_factory(profile)(shape(), TEMPLATE)
    assert isinstance(cache, RingKVCache)
    slot_bytes = sum(part.nbytes for part in cache._block_slots(0, 0))
    assert WORKLOAD.estimate_memory(profile, 0).snapshot == slot_bytes
    assert Workload(wavefront=True).estimate_memory(profile, 0).snapshot == 0


def test_graphs_are_recorded_only_without_offloaded_blocks() -> None:
    on_device, streamed = (WORKLOAD.estimate_memory(MEMORY_PROFILES[2], count) for count in (0, 2))
    assert on_device.activations == 2 * streamed.activations


def test_the_full_size_has_the_checkpoints_parameters() -> None:
    with torch.device("meta"):
        model = DiT(DitConfig())
    assert sum(weight.numel() for weight in model.parameters()) == TRANSFORMER_PARAMETERS


def test_offloaded_blocks_leave_the_device() -> None:
    profile = MEMORY_PROFILES[-1]
    none, half, all_of_them = (WORKLOAD.estimate_memory(profile, count) for count in (0, 20, 40))
    block = 6 * 5120 * 5120 + 2 * 5120 * 13824  # numbers of a block that are streamed
    assert half.weights - all_of_them.weights == 20 * block
    assert none.gpu_total > half.gpu_total > all_of_them.gpu_total
    assert none.host < half.host < all_of_them.host


def test_fewer_steps_and_smaller_frames_take_less() -> None:
    default = WORKLOAD.estimate_memory(MEMORY_PROFILES[0], 0).gpu_total
    assert Workload(stream=StreamConfig(steps=3)).estimate_memory(MEMORY_PROFILES[0], 0).gpu_total < default
    assert Workload(size=(512, 256)).estimate_memory(MEMORY_PROFILES[0], 0).gpu_total < default


def test_the_wavefront_has_a_sink_and_activations_for_every_step() -> None:
    one, all_steps = (
        Workload(wavefront=wavefront).estimate_memory(MEMORY_PROFILES[0], 0) for wavefront in (False, True)
    )
    assert all_steps.sink - one.sink == 2 * TOKENS * 5 // 2 * 2 * 40 * 5120 * 2
    assert all_steps.activations == 2 * one.activations  # which is recorded
