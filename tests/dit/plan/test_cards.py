import pytest

from liveavatar.dit.plan.cards import (
    CARDS,
    count_copied_bytes,
    count_step_operations,
    find_card,
    forecast_speed,
    match_card,
)
from liveavatar.dit.plan.config import DitConfig, StreamConfig
from liveavatar.dit.plan.memory import (
    CUDA_CONTEXT_BYTES,
    MEMORY_PROFILES,
    MemoryPlan,
    Workload,
    choose_memory_plan,
)
from liveavatar.errors import EngineError, OptionError

SIZE = (704, 384)
WORKLOAD = Workload(size=SIZE)


def plan_for_card(name: str, profile: str = "auto", steps: int = 4) -> MemoryPlan:
    workload = Workload(stream=StreamConfig(steps=steps), size=SIZE)
    return choose_memory_plan(
        int(find_card(name).memory_gib * 2**30) - CUDA_CONTEXT_BYTES, workload, name=profile
    )


def fps(name: str, profile: str = "auto", steps: int = 4) -> float:
    return forecast_speed(
        find_card(name), plan_for_card(name, profile, steps), StreamConfig(steps=steps), SIZE
    ).fps


@pytest.mark.parametrize(
    ("name_given", "name"),
    [
        ("NVIDIA GeForce RTX 4090", "RTX 4090"), ("4090", "RTX 4090"), ("rtx-3090", "RTX 3090"),
        ("NVIDIA GeForce RTX 3090 Ti", "RTX 3090 Ti"), ("NVIDIA H100 80GB HBM3", "H100"), ("h100 pcie", "H100 PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100"), ("NVIDIA L40S", "L40S"), ("NVIDIA L40", "L40"), ("NVIDIA L4", "L4"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"), ("NVIDIA RTX A6000", "RTX A6000"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000"),
    ],
)  # fmt: skip
def test_cards_are_found_by_short_and_driver_names(name_given: str, name: str) -> None:
    assert find_card(name_given).name == name


def test_an_unknown_card_matches_none() -> None:
    assert match_card("") is None
    assert match_card("Quadro K620") is None
    with pytest.raises(OptionError, match="H100"):
        find_card("Voodoo 2")


@pytest.mark.parametrize(
    ("tokens", "linear", "attention"),
    [(1056, 81.9, 41.1), (1120, 86.7, 46.1), (1024, 79.5, 38.7), (1456, 112.1, 77.4), (384, 31.2, 5.7)],
)
def test_operations_are_those_of_the_cost_model(tokens: int, linear: float, attention: float) -> None:
    """Which counts 2.2 for the text's keys and values, kept here, and 0.1 for what is small."""
    ours = [count / 1e12 for count in count_step_operations(DitConfig(), StreamConfig(), tokens)]
    assert ours[0] == pytest.approx(linear - 2.2, abs=0.3)
    assert ours[1] == pytest.approx(attention, abs=0.1)


def test_every_card_of_the_list_has_a_profile_and_a_speed() -> None:
    for card in CARDS:
        assert fps(card.name) > 0.5


def test_faster_cards_fewer_steps_and_eight_bits_are_faster() -> None:
    assert fps("H100") > fps("A100") > fps("3090")
    assert fps("4090", steps=3) > fps("4090")
    assert fps("H200", "80") > fps("H200", "96")
    assert 12 < fps("H100") < 20  # 16, at a realistic efficiency


def test_offloaded_blocks_are_copied_every_step() -> None:
    stream, profile = StreamConfig(), MEMORY_PROFILES[-1]
    some, more = (
        MemoryPlan(profile=profile, offloaded_blocks=count, estimate=WORKLOAD.estimate_memory(profile, count))
        for count in (2, 4)
    )
    block = 6 * 5120**2 + 2 * 5120 * 13824
    assert count_copied_bytes(more, stream, 1056) - count_copied_bytes(some, stream, 1056) == 2 * block
    assert count_copied_bytes(plan_for_card("H100"), stream, 1056) == 0


def test_a_tiny_card_is_refused() -> None:
    with pytest.raises(EngineError):
        choose_memory_plan(6 * 2**30, WORKLOAD)
