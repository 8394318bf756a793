"""Log-mel features at 100 Hz, relative to how loud the speaker has been.

Step k is seen through a window of 400 samples centred on it, [160k - 120, 160k + 280). The level reference
rises with the loudest speech and forgets slowly, so that neither the microphone's gain nor a pause changes
the picture.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.filter_bank import hertz_to_htk_mel, make_triangles
from liveavatar.audio.dsp.spectrum import compute_power_spectrum, make_hann_window
from liveavatar.audio.dsp.windows import slice_windows
from liveavatar.frames import Samples
from liveavatar.speech.track import STEP_SAMPLES
from liveavatar.timeline import SAMPLE_RATE

WINDOW_SAMPLES = 400
WINDOW_MARGIN_SAMPLES = (WINDOW_SAMPLES - STEP_SAMPLES) // 2
"""Samples before a step that its window reaches back; as many follow the step."""

MEL_BANDS = 48
MEL_LOW_HERTZ, MEL_HIGH_HERTZ = 60.0, 7600.0
FFT_SIZE = 512
POWER_FLOOR = 1e-10
"""Power added to every band: about -100 dBFS, under which nothing is told apart."""

MIN_REFERENCE_DB = -45.0
"""dB: the reference never falls below this, so that hiss in silence is not mistaken for a whisper."""

INITIAL_REFERENCE_DB = -25.0
"""dB: the reference before anything was heard, a little under the -19 dB at which speech of -20 LUFS settles, the level
that the front end gives it. From the quietest up, a room's noise before the first word would be taken for speech."""

ATTACK_RATE = 0.25
"""Share of the way the reference rises in a step towards a louder sound, so that a click does not count."""

RELEASE_DB_PER_STEP = 0.03
"""dB a step by which the reference falls, 3 dB a second."""


QUIET_RELATIVE_MEL = -0.2
"""What `relative` gives for a band 30 dB under the reference: a room's noise is no louder, what is louder has begun."""


@cache
def mel_filters() -> NDArray[np.float32]:
    """Triangular filters of equal width in mel, each with a peak of 1, [257, BANDS]."""
    ends = hertz_to_htk_mel(np.array([MEL_LOW_HERTZ, MEL_HIGH_HERTZ]))
    bins = hertz_to_htk_mel(np.arange(FFT_SIZE // 2 + 1) * SAMPLE_RATE / FFT_SIZE)
    return make_triangles(bins, np.linspace(ends[0], ends[1], MEL_BANDS + 2)).astype(np.float32)


@cache
def _hann_window() -> NDArray[np.float32]:
    return make_hann_window(WINDOW_SAMPLES, FFT_SIZE)


def extract_windows(samples: Samples) -> NDArray[np.float32]:
    """The windows of all ceil(samples / 160) steps of a whole recording, [n, 400]."""
    steps = -(-len(samples) // STEP_SAMPLES)
    padded = np.zeros(steps * STEP_SAMPLES + WINDOW_SAMPLES, np.float32)
    padded[WINDOW_MARGIN_SAMPLES : WINDOW_MARGIN_SAMPLES + len(samples)] = samples
    return slice_windows(padded, WINDOW_SAMPLES, STEP_SAMPLES, steps)


def matmul_rowwise(rows: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows @ weight` one row at a time, so that a row's bits do not depend on how many come with it: a product of
    whole matrices rounds differently for different numbers of rows."""
    return np.asarray(np.matmul(rows[:, None, :], weight)[:, 0], np.float32)


def compute_log_mel(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windows of sound [n, 400] to decibels in mel bands [n, BANDS]."""
    power = compute_power_spectrum(windows, _hann_window(), FFT_SIZE)
    return np.asarray(10.0 * np.log10(matmul_rowwise(power, mel_filters()) + POWER_FLOOR), np.float32)


def mel_to_loudness(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Decibels of all bands together, [n]."""
    return np.asarray(10.0 * np.log10(np.sum(10.0 ** (mel / 10.0), axis=1)), np.float32)


class LevelReference:
    """How loud the speaker's loud passages are, step by step, from the past alone."""

    def __init__(self) -> None:
        self._reference = INITIAL_REFERENCE_DB

    def track_levels(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reference in dB at each step, given the steps' loudness in dB, [n]."""
        out = np.empty_like(levels)
        for i, value in enumerate(levels.tolist()):
            rise = max(0.0, value - self._reference) * ATTACK_RATE
            self._reference = max(self._reference + (rise or -RELEASE_DB_PER_STEP), MIN_REFERENCE_DB)
            out[i] = self._reference
        return out


FLOOR_FALL_RATE, FLOOR_RISE_RATE = 0.1, 0.006
"""Share of the way the noise floor of a band goes in a step towards something quieter, and towards something louder."""

MEAN_RATE = 0.01
"""Share of the way a band's mean goes in a step towards what is heard, when that is as loud as the speaker gets."""


class NoiseFloorTracker:
    """What every band is like apart from what is being said: how quiet it gets, which is the room's noise, and what it
    is on average while somebody speaks, which is voice and microphone; step by step, from the past alone."""

    def __init__(self) -> None:
        self._floor = self._mean = np.full(MEL_BANDS, np.nan, np.float32)
        self._voiced_steps = 0.0

    def track_bands(self, relative_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Floor and mean at each step of relative log-mel [n, 48], side by side, [n, 96]."""
        out = np.empty((len(relative_mel), 2 * MEL_BANDS), np.float32)
        voiced = np.minimum(relative_mel.max(axis=1, initial=0.0), 1.0).tolist()
        if len(relative_mel) and np.isnan(self._floor[0]):
            self._floor = self._mean = relative_mel[0]
        for row, share, there in zip(relative_mel, voiced, out, strict=True):
            above = row - self._floor
            self._floor = self._floor + np.minimum(FLOOR_FALL_RATE * above, FLOOR_RISE_RATE * above)
            self._voiced_steps += share
            self._mean = self._mean + max(MEAN_RATE * share, share / (1.0 + self._voiced_steps)) * (
                row - self._mean
            )
            there[:MEL_BANDS], there[MEL_BANDS:] = self._floor, self._mean
        return out


def make_initial_context(first_mel: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """What to take for heard before the `first` step [1, 48] of relative log-mel: a room as quiet as that, and known to
    be, side by side with its `Surroundings`, [steps, 144]."""
    return np.tile(np.minimum(first_mel, QUIET_RELATIVE_MEL), (steps, 3))


def to_relative_mel(mel: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel decibels to what the network sees: about -2…1, 1 where a band is as loud as the reference."""
    raised = (mel - reference[:, None]) / 25.0 + 1.0
    return np.asarray(np.minimum(np.maximum(raised, -2.0), 1.5), np.float32)
