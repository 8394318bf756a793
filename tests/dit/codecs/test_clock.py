from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from liveavatar.dit.codecs.clock import WAV2VEC2_CLOCK

RATES = st.sampled_from(
    [Fraction(25), Fraction(16), Fraction(24), Fraction(30), Fraction(30_000, 1001), Fraction(60)]
)


def test_counts_as_the_networks_convolutions_do() -> None:
    steps = [WAV2VEC2_CLOCK.steps_within(n) for n in (0, 399, 400, 719, 720, 16_000)]
    assert steps == [0, 0, 1, 1, 2, 49]


def test_there_are_50_steps_a_second() -> None:
    assert WAV2VEC2_CLOCK.steps_per_second == 50


@given(st.integers(0, 10**8), RATES)
def test_a_picture_is_drawn_from_the_sound_12_ms_after_its_start(picture: int, fps: Fraction) -> None:
    step = WAV2VEC2_CLOCK.frame_to_step(picture, fps)
    centre = step * WAV2VEC2_CLOCK.stride + WAV2VEC2_CLOCK.field // 2
    assert centre - Fraction(picture * 16_000) / fps == 200


def test_at_25_a_second_every_other_step_is_a_picture() -> None:
    assert [WAV2VEC2_CLOCK.frame_to_step(i, Fraction(25)) for i in range(3)] == [0, 2, 4]
    assert WAV2VEC2_CLOCK.steps_for_frames(12, Fraction(25)) == 23
    assert WAV2VEC2_CLOCK.steps_for_frames(0, Fraction(25)) == 0
