from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from liveavatar.dit.codecs import clock
from liveavatar.dit.codecs.frame_features import bucket_by_clip, resample_to_30_hz, resample_to_pictures

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "audio_bucket.safetensors")
RATES = st.sampled_from([Fraction(25), Fraction(16), Fraction(24), Fraction(30_000, 1001)])


@pytest.mark.parametrize("length", [149, 199, 333])
def test_deals_out_as_the_reference_does(length: int) -> None:
    resampled = resample_to_30_hz(GOLDEN[f"h{length}"])
    torch.testing.assert_close(resampled, GOLDEN[f"z{length}"], rtol=0, atol=1e-6)
    columns = bucket_by_clip(resampled)
    assert columns.shape[2] == 48 * int(GOLDEN[f"n{length}"])
    torch.testing.assert_close(columns, GOLDEN[f"bucket{length}"], rtol=0, atol=1e-6)


def ramp(count: int) -> torch.Tensor:
    """One layer, one channel, whose value is the number of the step."""
    return torch.arange(count, dtype=torch.float64)[None, :, None]


@given(st.integers(0, 200), st.integers(1, 40), RATES)
def test_a_picture_hears_exactly_its_step(first: int, count: int, fps: Fraction) -> None:
    columns = resample_to_pictures(ramp(clock.count_steps_needed(first + count, fps)), first, count, fps)
    expected = [float(clock.picture_to_step(first + index, fps)) for index in range(count)]
    torch.testing.assert_close(columns[0, 0], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-5)


@given(st.integers(0, 100), RATES)
def test_steps_may_begin_anywhere(first: int, fps: Fraction) -> None:
    begin = int(clock.picture_to_step(first, fps))
    whole = ramp(clock.count_steps_needed(first + 12, fps))
    assert torch.equal(
        resample_to_pictures(whole[:, begin:], first, 12, fps, first_step=begin),
        resample_to_pictures(whole, first, 12, fps),
    )


def test_pictures_after_the_last_step_hear_it() -> None:
    assert resample_to_pictures(ramp(5), 0, 6, Fraction(25))[0, 0].tolist() == [0, 2, 4, 4, 4, 4]
