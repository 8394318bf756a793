"""The contract of time, exactly."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.errors import OptionError
from liveavatar.timeline import SAMPLE_RATE, StepClock, Timeline, parse_fps, rescale_count, round_half_up

RATES = [Fraction(16), Fraction(24), Fraction(25), Fraction(30), Fraction(30_000, 1001)]
HOURS = 10_000 * SAMPLE_RATE

frame_rates = st.sampled_from(RATES)
lengths = st.integers(1, HOURS)


@given(frame_rates, st.integers(0, 10_000 * 30))
def test_frames_tile_the_clock_without_gap_or_overlap(fps: Fraction, index: int) -> None:
    timeline = Timeline(fps=fps)
    start, end = timeline.frame_span(index)
    assert end == timeline.frame_start(index + 1)
    assert end > start
    assert abs(start - index * SAMPLE_RATE / fps) <= Fraction(1, 2)


@given(frame_rates, lengths)
def test_frame_count_is_the_duration_rounded_up(fps: Fraction, samples: int) -> None:
    count = Timeline(fps=fps).frame_count(samples)
    duration = Fraction(samples, SAMPLE_RATE)
    assert (count - 1) / fps < duration <= count / fps


@pytest.mark.parametrize("fps", RATES)
def test_after_ten_thousand_seconds_the_clock_is_off_by_nothing(fps: Fraction) -> None:
    timeline = Timeline(fps=fps)
    last = timeline.frame_count(HOURS)
    assert timeline.frame_start(int(10_000 * fps)) == round_half_up(int(10_000 * fps) * SAMPLE_RATE / fps)
    assert last == -(-(10_000 * fps).numerator // (10_000 * fps).denominator)


@pytest.mark.parametrize("fps", RATES)
def test_one_sample_is_one_frame(fps: Fraction) -> None:
    assert Timeline(fps=fps).frame_count(1) == 1
    assert Timeline(fps=fps).frame_count(0) == 0


@given(frame_rates, lengths)
def test_a_stream_may_emit_what_is_wholly_heard_and_no_more(fps: Fraction, samples: int) -> None:
    timeline = Timeline(fps=fps)
    ready = timeline.frames_within(samples)
    assert timeline.frame_start(ready) <= samples < timeline.frame_start(ready + 1)


@given(frame_rates, st.lists(st.integers(1, 100_000), min_size=1, max_size=30))
def test_chunking_does_not_change_when_frames_are_due(fps: Fraction, chunks: list[int]) -> None:
    timeline = Timeline(fps=fps)
    heard = emitted = 0
    for chunk in chunks:
        heard += chunk
        ready = timeline.frames_within(heard)
        assert ready >= emitted
        emitted = ready
    assert emitted == timeline.frames_within(sum(chunks))
    assert timeline.frame_count(heard) - emitted in {0, 1}


@given(lengths, st.sampled_from([8000, 11_025, 22_050, 24_000, 44_100, 48_000, 192_000]))
def test_rescaling_keeps_the_duration_to_half_a_sample(samples: int, rate: int) -> None:
    there = rescale_count(samples, SAMPLE_RATE, rate)
    assert abs(Fraction(there, rate) - Fraction(samples, SAMPLE_RATE)) <= Fraction(1, 2 * rate)


@given(st.fractions(min_value=-1000, max_value=1000))
def test_rounding_goes_to_the_nearest_and_halves_go_up(value: Fraction) -> None:
    rounded = round_half_up(value)
    assert -Fraction(1, 2) < rounded - value <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("text", "fps"),
    [
        ("25", Fraction(25)),
        ("29.97", Fraction(30_000, 1001)),
        ("23.976", Fraction(24_000, 1001)),
        ("30000/1001", Fraction(30_000, 1001)),
        ("12.5", Fraction(25, 2)),
        (16, Fraction(16)),
        (59.94, Fraction(60_000, 1001)),
    ],
)
def test_frame_rates_people_write_are_exact(text: str | float, fps: Fraction) -> None:
    assert parse_fps(text) == fps


@pytest.mark.parametrize("text", ["0", "-25", "1000", "fast", "1/0", "nan", "inf", ""])
def test_impossible_frame_rates_are_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(OptionError, match="use 16, 24, 25, 30"):
        parse_fps(text)


def test_a_clock_needs_positive_rates() -> None:
    with pytest.raises(OptionError):
        Timeline(fps=Fraction(25), rate=0)


@given(frame_rates, frame_rates, st.integers(0, 10_000 * 30))
def test_the_frame_at_the_middle_is_shown_there(fps: Fraction, other: Fraction, index: int) -> None:
    shown = Timeline(fps=fps).frame_at_middle(index, other)
    middle = (index + Fraction(1, 2)) / fps
    assert shown / other <= middle < (shown + 1) / other


@pytest.mark.parametrize(
    ("fps", "shown"),
    [(25, [0, 1, 2, 3, 4]), (50, [0, 0, 1, 1, 2]), (5, [2, 7, 12, 17, 22]), (30, [0, 1, 2, 2, 3])],
)
def test_other_rates_show_the_picture_at_the_middle_of_a_frame(fps: int, shown: list[int]) -> None:
    timeline = Timeline(fps=Fraction(fps))
    assert [timeline.frame_at_middle(frame, Fraction(25)) for frame in range(5)] == shown


@given(frame_rates)
def test_half_a_frame_is_rounded_down(fps: Fraction) -> None:
    half = Timeline(fps=fps).half_frame
    assert 2 * half <= SAMPLE_RATE / fps < 2 * (half + 1)


@pytest.mark.parametrize("fps", RATES)
def test_seconds_are_converted_to_frames_without_rounding(fps: Fraction) -> None:
    assert Timeline(fps=fps).frames_in(2.0) == pytest.approx(float(2 * fps))


step_clocks = st.builds(StepClock, stride=st.integers(1, 1000), field=st.integers(1, 2000))


@given(step_clocks, st.integers(0, 10**9))
def test_steps_and_samples_are_each_others_inverse(steps: StepClock, count: int) -> None:
    needed = steps.samples_needed(count)
    assert steps.steps_within(needed) == count
    assert count == 0 or steps.steps_within(needed - 1) == count - 1


@given(step_clocks, st.integers(0, 10**6), st.integers(1, 10**4))
def test_the_steps_of_a_span_cover_it_and_no_more(steps: StepClock, start: int, length: int) -> None:
    first, end = steps.step_span(start, start + length)
    assert steps.step_start(first) <= start < steps.step_start(first + 1)
    assert steps.step_start(end - 1) < start + length <= steps.step_start(end)


@given(step_clocks, st.integers(0, 10**6))
def test_the_middle_of_a_step_has_its_number(steps: StepClock, step: int) -> None:
    middle = np.array([steps.step_start(step) + steps.field / 2])
    assert steps.step_positions(middle)[0] == pytest.approx(step, abs=1e-6)


@given(step_clocks, st.integers(0, 10**8), frame_rates)
def test_a_frame_starts_with_its_step_exactly(steps: StepClock, index: int, fps: Fraction) -> None:
    assert steps.frame_to_step(index, fps) * steps.stride == Fraction(index * SAMPLE_RATE) / fps


@given(step_clocks, st.integers(1, 10**7), frame_rates)
def test_needed_steps_are_enough_and_no_more(steps: StepClock, count: int, fps: Fraction) -> None:
    last = steps.steps_for_frames(count, fps) - 1
    assert last - 1 < steps.frame_to_step(count - 1, fps) <= last
    assert steps.steps_for_frames(0, fps) == 0


def test_a_step_clock_needs_positive_sizes() -> None:
    with pytest.raises(OptionError, match="positive stride"):
        StepClock(stride=0, field=400)
