"""What the sound lets expect of the lips: loudness of the voice, jaw, closed lips, whether somebody speaks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.audio.dsp.speech_downmix import SpeechDownmixer
from liveavatar.audio.dsp.vad import VAD_WINDOW_SAMPLES as VOICE_WINDOW
from liveavatar.audio.dsp.vad import VoiceActivityDetector
from liveavatar.audio.io.decode import open_audio
from liveavatar.frames import Samples
from liveavatar.speech.stream import SpeechStream
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, SpeechTrack
from liveavatar.timeline import SAMPLE_RATE

Rows = NDArray[np.float32]

_FRAME_SAMPLES = 400
"""Samples of one spectrum: 25 ms."""
_BAND_HERTZ = (500, 4000)
"""Hertz in which an open mouth is louder than a shut one."""
_FULL_PERCENTILE = 95
"""Percentile of the loudness that counts as 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """One value for every 10 ms, each about the middle of its step: [n] float32 each.

    `loudness` is the power between 500 and 4,000 Hz to the fourth root, 1 in loud passages; `jaw` and `closure`
    are 0…1 from the articulation network; `voice` is the probability that somebody speaks.
    """

    loudness: Rows
    jaw: Rows
    closure: Rows
    voice: Rows

    def __len__(self) -> int:
        return len(self.loudness)

    @property
    def expected_opening(self) -> NDArray[np.float64]:
        """How far the lips should be open, in no particular unit."""
        return np.asarray((self.loudness + self.jaw) * (1 - self.closure), np.float64)


def extract_audio_track(
    path: Path, on_progress: Callable[[float], None] = lambda _seconds: None
) -> AudioTrack:
    """Hear the sound of a file; `tell` is called with the seconds done.

    Raises:
        AudioError: it has no sound, or the sound cannot be read.
    """
    ear = _AudioTrackBuilder()
    for samples in stream_mono_audio(path):
        ear.push(samples)
        on_progress(ear.sample_count / SAMPLE_RATE)
    return ear.finish_track()


def stream_mono_audio(path: Path) -> Iterator[Samples]:
    """The sound of a file as 16 kHz mono, damaged samples silenced."""
    with open_audio(path, silence_invalid=True) as stream:
        mix = SpeechDownmixer(stream.info.rate, stream.info.layout)
        for chunk in stream:
            yield mix.push(chunk.samples)
        yield mix.flush()


class _AudioTrackBuilder:
    """Keeps four numbers for every 10 ms, never the sound."""

    def __init__(self) -> None:
        self.sample_count = 0
        self._speech_stream = SpeechStream()
        self._voice_activity = VoiceActivityDetector()
        self._pending = np.zeros((_FRAME_SAMPLES - STEP_SAMPLES) // 2, np.float32)
        self._band_powers: list[Rows] = []
        self._controls: list[Rows] = []
        self._voice_probabilities: list[Rows] = []

    def push(self, samples: Samples) -> None:
        self.sample_count += len(samples)
        self._append_controls(self._speech_stream.push(samples))
        self._voice_probabilities.append(self._voice_activity.push(samples))
        self._append_band_power(samples)

    def finish_track(self) -> AudioTrack:
        self._append_controls(self._speech_stream.flush())
        self._voice_probabilities.append(self._voice_activity.flush())
        self._append_band_power(np.zeros(_FRAME_SAMPLES + STEP_SAMPLES, np.float32))
        controls = np.concatenate(self._controls)
        count = len(controls)
        power = np.concatenate(self._band_powers)[:count]
        root = (power / max(float(np.percentile(power, _FULL_PERCENTILE)), 1e-9)) ** 0.25
        step = ((np.arange(count) + 0.5) * STEP_SAMPLES / VOICE_WINDOW).astype(np.intp)
        voices = np.concatenate(self._voice_probabilities)
        return AudioTrack(
            loudness=np.minimum(root, 1.5).astype(np.float32),
            jaw=controls[:, 0],
            closure=controls[:, 1],
            voice=voices[np.minimum(step, len(voices) - 1)],
        )

    def _append_controls(self, speech: SpeechTrack) -> None:
        columns = [CONTROLS.index("jaw"), CONTROLS.index("closure")]
        self._controls.append(speech.controls[:, columns])

    def _append_band_power(self, samples: Samples) -> None:
        self._pending = np.concatenate([self._pending, samples])
        count = max(0, (len(self._pending) - _FRAME_SAMPLES) // STEP_SAMPLES + 1)
        if count:
            windows = sliding_window_view(self._pending, _FRAME_SAMPLES)[::STEP_SAMPLES][:count]
            self._band_powers.append(_compute_band_power(windows))
            self._pending = self._pending[count * STEP_SAMPLES :].copy()


def _compute_band_power(windows: Rows) -> Rows:
    spectrum = np.fft.rfft(windows * np.hanning(_FRAME_SAMPLES).astype(np.float32), axis=1)
    hertz = np.fft.rfftfreq(_FRAME_SAMPLES, 1 / SAMPLE_RATE)
    band = (hertz >= _BAND_HERTZ[0]) & (hertz < _BAND_HERTZ[1])
    return np.asarray((np.abs(spectrum[:, band]) ** 2).sum(axis=1), np.float32)
