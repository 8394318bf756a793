from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.dit.codecs.clock import WAV2VEC2_CLOCK
from liveavatar.dit.codecs.frame_features import resample_to_pictures

RATES = st.sampled_from([Fraction(25), Fraction(16), Fraction(24), Fraction(30_000, 1001)])


def ramp(count: int) -> torch.Tensor:
    """One layer, one channel, whose value is the number of the step."""
    return torch.arange(count, dtype=torch.float64)[None, :, None]


@given(st.integers(0, 200), st.integers(1, 40), RATES)
def test_a_picture_takes_exactly_its_step(first: int, count: int, fps: Fraction) -> None:
    columns = resample_to_pictures(
        ramp(WAV2VEC2_CLOCK.steps_for_frames(first + count, fps)), first, count, fps
    )
    expected = [float(WAV2VEC2_CLOCK.frame_to_step(first + index, fps)) for index in range(count)]
    torch.testing.assert_close(columns[0, 0], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-5)


@given(st.integers(0, 100), RATES)
def test_steps_may_begin_anywhere(first: int, fps: Fraction) -> None:
    begin = int(WAV2VEC2_CLOCK.frame_to_step(first, fps))
    states = ramp(WAV2VEC2_CLOCK.steps_for_frames(first + 12, fps))
    assert torch.equal(
        resample_to_pictures(states[:, begin:], first, 12, fps, first_step=begin),
        resample_to_pictures(states, first, 12, fps),
    )


def test_pictures_after_the_last_step_take_the_last_step() -> None:
    assert resample_to_pictures(ramp(5), 0, 6, Fraction(25))[0, 0].tolist() == [0, 2, 4, 4, 4, 4]
