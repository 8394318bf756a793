"""What the sound lets expect of the lips: loudness of the voice, jaw, closed lips, whether somebody speaks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.audio.decode import open_audio
from liveavatar.audio.mix import SpeechMix
from liveavatar.audio.vad import WINDOW as VOICE_WINDOW
from liveavatar.audio.vad import VoiceActivity
from liveavatar.frames import Samples
from liveavatar.speech.stream import SpeechStream
from liveavatar.speech.track import CONTROLS, STEP, Speech
from liveavatar.timeline import SAMPLE_RATE

Rows = NDArray[np.float32]

_FRAME = 400
"""Samples of one spectrum: 25 ms."""
_BAND = (500, 4000)
"""Hertz in which an open mouth is louder than a shut one."""
_FULL = 95
"""Percentile of the loudness that counts as 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
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
    def expected(self) -> NDArray[np.float64]:
        """How far the lips should be open, in no particular unit."""
        return np.asarray((self.loudness + self.jaw) * (1 - self.closure), np.float64)


def listen(path: Path, tell: Callable[[float], None] = lambda _seconds: None) -> Heard:
    """Hear the sound of a file; `tell` is called with the seconds done.

    Raises:
        AudioError: it has no sound, or the sound cannot be read.
    """
    ear = _Ear()
    for samples in sound_of(path):
        ear.push(samples)
        tell(ear.samples / SAMPLE_RATE)
    return ear.finish()


def sound_of(path: Path) -> Iterator[Samples]:
    """The sound of a file as 16 kHz mono, damaged samples silenced."""
    with open_audio(path, mend=True) as stream:
        mix = SpeechMix(stream.info.rate, stream.info.layout)
        for chunk in stream:
            yield mix.push(chunk.samples)
        yield mix.flush()


class _Ear:
    """Keeps four numbers for every 10 ms, never the sound."""

    def __init__(self) -> None:
        self.samples = 0
        self._speech = SpeechStream()
        self._voice = VoiceActivity()
        self._waiting = np.zeros((_FRAME - STEP) // 2, np.float32)
        self._power: list[Rows] = []
        self._controls: list[Rows] = []
        self._voices: list[Rows] = []

    def push(self, samples: Samples) -> None:
        self.samples += len(samples)
        self._keep(self._speech.push(samples))
        self._voices.append(self._voice.push(samples))
        self._measure(samples)

    def finish(self) -> Heard:
        self._keep(self._speech.flush())
        self._voices.append(self._voice.flush())
        self._measure(np.zeros(_FRAME + STEP, np.float32))
        controls = np.concatenate(self._controls)
        count = len(controls)
        power = np.concatenate(self._power)[:count]
        root = (power / max(float(np.percentile(power, _FULL)), 1e-9)) ** 0.25
        step = ((np.arange(count) + 0.5) * STEP / VOICE_WINDOW).astype(np.intp)
        voices = np.concatenate(self._voices)
        return Heard(
            loudness=np.minimum(root, 1.5).astype(np.float32),
            jaw=controls[:, 0],
            closure=controls[:, 1],
            voice=voices[np.minimum(step, len(voices) - 1)],
        )

    def _keep(self, speech: Speech) -> None:
        columns = [CONTROLS.index("jaw"), CONTROLS.index("closure")]
        self._controls.append(speech.controls[:, columns])

    def _measure(self, samples: Samples) -> None:
        self._waiting = np.concatenate([self._waiting, samples])
        count = max(0, (len(self._waiting) - _FRAME) // STEP + 1)
        if count:
            windows = sliding_window_view(self._waiting, _FRAME)[::STEP][:count]
            self._power.append(_band_power(windows))
            self._waiting = self._waiting[count * STEP :].copy()


def _band_power(windows: Rows) -> Rows:
    spectrum = np.fft.rfft(windows * np.hanning(_FRAME).astype(np.float32), axis=1)
    hertz = np.fft.rfftfreq(_FRAME, 1 / SAMPLE_RATE)
    band = (hertz >= _BAND[0]) & (hertz < _BAND[1])
    return np.asarray((np.abs(spectrum[:, band]) ** 2).sum(axis=1), np.float32)
