from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from liveavatar.dit.codecs import clock

RATES = st.sampled_from(
    [Fraction(25), Fraction(16), Fraction(24), Fraction(30), Fraction(30_000, 1001), Fraction(60)]
)


@given(st.integers(0, 10**9))
def test_steps_and_samples_are_each_others_inverse(count: int) -> None:
    assert clock.count_steps_within(clock.count_samples_needed(count)) == count
    assert count == 0 or clock.count_steps_within(clock.count_samples_needed(count) - 1) == count - 1


def test_counts_as_the_networks_convolutions_do() -> None:
    assert [clock.count_steps_within(n) for n in (0, 399, 400, 719, 720, 16_000)] == [0, 0, 1, 1, 2, 49]


def test_a_step_is_centred_on_what_it_hears() -> None:
    assert clock.step_centre(0) == 200
    assert clock.step_centre(50) - clock.step_centre(0) == 16_000


@given(st.integers(0, 10**8), RATES)
def test_a_picture_is_drawn_from_what_sounds_12_ms_after_its_beginning(picture: int, fps: Fraction) -> None:
    heard = clock.picture_to_step(picture, fps) * clock.STEP_SAMPLES + clock.RECEPTIVE_SAMPLES // 2
    assert heard - Fraction(picture * 16_000) / fps == 200


@given(st.integers(1, 10**7), RATES)
def test_needed_steps_are_enough_and_no_more(pictures: int, fps: Fraction) -> None:
    needed = clock.count_steps_needed(pictures, fps)
    assert clock.count_pictures_within(needed, fps) >= pictures
    assert clock.count_pictures_within(needed - 1, fps) < pictures


def test_at_25_a_second_every_other_step_is_a_picture() -> None:
    assert [clock.picture_to_step(i, Fraction(25)) for i in range(3)] == [0, 2, 4]
    assert clock.count_steps_needed(12, Fraction(25)) == 23
    assert clock.count_steps_needed(0, Fraction(25)) == clock.count_pictures_within(0, Fraction(25)) == 0
