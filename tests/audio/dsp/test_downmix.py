"""The downmix keeps a voice whatever the polarity and balance of its channels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.sounds import babble, noise
from liveavatar.audio.dsp.downmix import Downmixer, default_layout

RATE = 16_000
STEREO = ("FL", "FR")
SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR")


def mix(
    samples: NDArray[np.float32], layout: tuple[str, ...] = STEREO, rate: int = RATE
) -> NDArray[np.float32]:
    downmix = Downmixer(rate, layout)
    return np.concatenate([downmix.push(samples), downmix.flush()])


def level(samples: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


@pytest.mark.parametrize(
    ("left", "right", "loss"), [(1, 1, 0), (1, -1, 0), (-1, 1, 0), (1, 0, 6.02), (0, 1, 6.02), (0.5, -1, 2.5)]
)
def test_no_position_of_a_voice_cancels(left: float, right: float, loss: float) -> None:
    voice = babble(RATE, 3)
    mono = mix(voice * np.array([[left, right]], np.float32))
    assert len(mono) == len(voice)
    assert abs(level(voice[:, 0]) - level(mono) - loss) < 0.1


def test_two_speakers_one_on_each_side_both_remain() -> None:
    one, two = babble(RATE, 4, seed=1), noise(RATE, 4, level=0.1)
    mono = mix(np.concatenate([one, two], axis=1))
    assert np.abs(mono - (one + two)[:, 0] / 2).max() < 1e-6


def test_a_change_of_polarity_is_followed() -> None:
    voice = babble(RATE, 8)
    right = voice.copy()
    right[4 * RATE :] *= -1
    mono = mix(np.concatenate([voice, right], axis=1))
    settled = np.r_[0 : 4 * RATE, 5 * RATE : 8 * RATE]
    assert np.abs(mono - voice[:, 0])[settled].max() < 1e-6
    assert np.abs(np.diff(mono)).max() < 1.5 * np.abs(np.diff(voice[:, 0])).max()  # it turns without a click


def test_inverted_steps_are_counted() -> None:
    voice = babble(RATE, 2)
    downmix = Downmixer(RATE, STEREO)
    downmix.push(np.concatenate([voice, -voice], axis=1))
    assert downmix.inverted_step_count == downmix.step_count == 100


@given(
    cuts=st.lists(st.integers(0, 12_000), max_size=10),
    rate=st.sampled_from([8_000, 11_025, 44_100]),
    layout=st.sampled_from([("FC",), STEREO, SURROUND, ("NONE",) * 3]),
)
def test_chunks_give_the_same_bits(cuts: list[int], rate: int, layout: tuple[str, ...]) -> None:
    sound = noise(rate, 12_000 / rate, len(layout))
    sound[6_000:, -1] = -sound[6_000:, 0]
    downmix = Downmixer(rate, layout)
    pieces = [downmix.push(piece) for piece in np.split(sound, sorted(cuts))]
    assert np.array_equal(np.concatenate([*pieces, downmix.flush()]), mix(sound, layout, rate))


def test_the_latency_is_under_20_ms() -> None:
    downmix = Downmixer(RATE, STEREO)
    output_count = sum(len(downmix.push(noise(RATE, 0.001, 2))) for _ in range(1000))
    assert RATE - output_count < 0.02 * RATE


def test_surround_follows_the_standard_weights() -> None:
    weights = {"FL": 1.0, "FR": 1.0, "FC": 2**0.5, "LFE": 0.0, "BL": 0.5**0.5, "BR": 0.5**0.5}
    total = sum(weights.values())
    for index, name in enumerate(SURROUND):
        sound = np.zeros((RATE, 6), np.float32)
        sound[:, index] = 1
        assert abs(mix(sound, SURROUND)[-1] - weights[name] / total) < 1e-6


def test_a_voice_in_the_middle_survives_out_of_phase_music_at_the_sides() -> None:
    voice, music = babble(RATE, 3), noise(RATE, 3)
    sound = np.zeros((3 * RATE, 6), np.float32)
    sound[:, 2], sound[:, 0], sound[:, 1] = voice[:, 0], music[:, 0], -music[:, 0]
    mono = mix(sound, SURROUND)
    assert np.corrcoef(mono, voice[:, 0])[0, 1] > 0.5


def test_full_scale_is_not_exceeded() -> None:
    for channels in (1, 2, 3, 6, 8):
        sound = np.ones((RATE, channels), np.float32)
        assert mix(sound, default_layout(channels)).max() <= 1 + 1e-6
