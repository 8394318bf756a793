"""Log-mel features at 100 Hz, relative to the level of the speaker.

The window of step k has 400 samples and is centred on it: [160k - 120, 160k + 280). The level reference rises fast with
louder speech and falls slowly, so that neither the gain of the microphone nor a pause changes the features.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.spectral.filter_bank import hertz_to_htk_mel, make_triangles
from liveavatar.audio.spectral.framing import slice_windows
from liveavatar.audio.spectral.spectrum import compute_power_spectrum, make_hann_window, power_to_decibels
from liveavatar.frames import Samples
from liveavatar.speech.track import STEP_SAMPLES
from liveavatar.timeline import SAMPLE_RATE

WINDOW_SAMPLES = 400
WINDOW_MARGIN_SAMPLES = (WINDOW_SAMPLES - STEP_SAMPLES) // 2
"""Samples of the window before its step, and as many after it."""

MEL_BANDS = 48
MEL_LOW_HERTZ, MEL_HIGH_HERTZ = 60.0, 7600.0
FFT_SIZE = 512
POWER_FLOOR = 1e-10
"""Power added to every band, about -100 dBFS."""

MIN_REFERENCE_DB = -45.0
"""The reference never falls below this, so that hiss in silence is not taken for a whisper."""

INITIAL_REFERENCE_DB = -25.0
"""The reference before the first sound. Speech of -20 LUFS, the level after the front end, settles at -19 dB. From the
minimum up, noise before the first word would be taken for speech."""

ATTACK_RATE = 0.25
"""Share of the way that the reference rises in a step towards a louder sound. A click hardly moves it."""

RELEASE_DB_PER_STEP = 0.03
"""Fall of the reference, 3 dB a second."""

RELATIVE_SCALE_DB = 25.0
"""A difference of 1 in relative log-mel."""

RELATIVE_RANGE = (-2.0, 1.5)

QUIET_RELATIVE_MEL = -0.2
"""Relative log-mel of a band 30 dB under the reference. Noise of a room is not louder; what is louder is speech."""


@cache
def make_mel_filters() -> NDArray[np.float32]:
    """Triangular filters of equal width in HTK mel with a peak of 1, [257, 48]."""
    ends = hertz_to_htk_mel(np.array([MEL_LOW_HERTZ, MEL_HIGH_HERTZ]))
    bins = hertz_to_htk_mel(np.arange(FFT_SIZE // 2 + 1) * SAMPLE_RATE / FFT_SIZE)
    return make_triangles(bins, np.linspace(ends[0], ends[1], MEL_BANDS + 2)).astype(np.float32)


@cache
def _make_scaled_window() -> NDArray[np.float32]:
    return make_hann_window(WINDOW_SAMPLES, FFT_SIZE)


def extract_windows(samples: Samples) -> NDArray[np.float32]:
    """The windows of all ceil(samples / 160) steps of a recording, [n, 400]."""
    steps = -(-len(samples) // STEP_SAMPLES)
    padded = np.zeros(steps * STEP_SAMPLES + WINDOW_SAMPLES, np.float32)
    padded[WINDOW_MARGIN_SAMPLES : WINDOW_MARGIN_SAMPLES + len(samples)] = samples
    return slice_windows(padded, WINDOW_SAMPLES, STEP_SAMPLES, steps)


def matmul_rowwise(rows: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows @ weight`, one row at a time.

    A product of whole matrices rounds differently for different numbers of rows; this one does not.
    """
    return np.asarray(np.matmul(rows[:, None, :], weight)[:, 0], np.float32)


def compute_log_mel(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windows of sound [n, 400] to decibels in mel bands [n, 48]."""
    power = compute_power_spectrum(windows, _make_scaled_window(), FFT_SIZE)
    bands = matmul_rowwise(power, make_mel_filters())
    return np.asarray(power_to_decibels(bands, POWER_FLOOR), np.float32)


def mel_to_loudness(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel decibels [n, 48] to the decibels of all bands together, [n]."""
    return np.asarray(10.0 * np.log10(np.sum(10.0 ** (mel / 10.0), axis=1)), np.float32)


class LevelReference:
    """Level of the speaker's loud passages, step by step, from the past alone."""

    def __init__(self) -> None:
        self._reference = INITIAL_REFERENCE_DB

    def track_levels(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Loudness of steps to the reference at each step, both in dB [n]."""
        out = np.empty_like(levels)
        for i, value in enumerate(levels.tolist()):
            rise = max(0.0, value - self._reference) * ATTACK_RATE
            self._reference = max(self._reference + (rise or -RELEASE_DB_PER_STEP), MIN_REFERENCE_DB)
            out[i] = self._reference
        return out


FLOOR_FALL_RATE, FLOOR_RISE_RATE = 0.1, 0.006
"""Share of the way that the noise floor of a band moves in a step towards a quieter sound, and towards a louder one."""

MEAN_RATE = 0.01
"""Share of the way that the mean of a band moves in a step towards a sound as loud as the reference."""


class NoiseFloorTracker:
    """Noise floor and mean of each band, step by step, from the past alone.

    The floor follows the quietest sound, the noise of the room. The mean is over loud steps only, and depends on voice
    and microphone.
    """

    def __init__(self) -> None:
        self._floor = self._mean = np.full(MEL_BANDS, np.nan, np.float32)
        self._voiced_steps = 0.0

    def track_bands(self, relative_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Floor and mean at each step of relative log-mel [n, 48], side by side, [n, 96]."""
        out = np.empty((len(relative_mel), 2 * MEL_BANDS), np.float32)
        voiced = np.minimum(relative_mel.max(axis=1, initial=0.0), 1.0).tolist()
        if len(relative_mel) and np.isnan(self._floor[0]):
            self._floor = self._mean = relative_mel[0]
        for row, share, result in zip(relative_mel, voiced, out, strict=True):
            above = row - self._floor
            self._floor = self._floor + np.minimum(FLOOR_FALL_RATE * above, FLOOR_RISE_RATE * above)
            self._voiced_steps += share
            rate = max(MEAN_RATE * share, share / (1.0 + self._voiced_steps))
            self._mean = self._mean + rate * (row - self._mean)
            result[:MEL_BANDS], result[MEL_BANDS:] = self._floor, self._mean
        return out


def make_initial_context(first_mel: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """Features that stand for the time before the first step [1, 48] of relative log-mel, [steps, 144].

    They are as quiet as the first step, and at most QUIET_RELATIVE_MEL; floor and mean equal them.
    """
    return np.tile(np.minimum(first_mel, QUIET_RELATIVE_MEL), (steps, 3))


def to_relative_mel(mel: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel decibels [n, 48] to about -2…1; 1 is as loud as the reference [n]."""
    relative = (mel - reference[:, None]) / RELATIVE_SCALE_DB + 1.0
    return np.asarray(np.minimum(np.maximum(relative, RELATIVE_RANGE[0]), RELATIVE_RANGE[1]), np.float32)
