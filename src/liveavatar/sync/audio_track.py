"""Features of the sound that predict the lips: loudness, jaw, closed lips, voice activity; one value every 10 ms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.speech_downmix import SpeechDownmixer
from liveavatar.audio.dsp.vad import VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.audio.io.decode import open_audio
from liveavatar.audio.spectral.framing import StreamFramer
from liveavatar.audio.spectral.spectrum import compute_power_spectrum, make_hann_window
from liveavatar.frames import Samples
from liveavatar.speech.stream import SpeechStream
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, SpeechTrack
from liveavatar.timeline import SAMPLE_RATE

Rows = NDArray[np.float32]

_FRAME_SAMPLES = 400
"""Samples of one spectrum, 25 ms."""
_BAND_HERTZ = (500, 4000)
"""Band in which an open mouth is louder than a closed one."""
_FULL_PERCENTILE = 95
"""Percentile of the loudness that is scaled to 1."""
_MAX_LOUDNESS = 1.5
_POWER_FLOOR = 1e-14  # full scale 1: digital silence has loudness 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """One value for every step of 10 ms, at the middle of the step; all columns are float32 [n].

    `loudness` is the power between 500 and 4,000 Hz to the fourth root, 1 in loud passages. `jaw` and `closure`, 0…1,
    come from the articulation network. `voice` is the probability of speech.
    """

    loudness: Rows
    jaw: Rows
    closure: Rows
    voice: Rows

    def __len__(self) -> int:
        return len(self.loudness)

    @property
    def expected_opening(self) -> NDArray[np.float64]:
        """Predicted opening of the lips, [n], in no particular unit."""
        return np.asarray((self.loudness + self.jaw) * (1 - self.closure), np.float64)


def extract_audio_track(
    path: Path, on_progress: Callable[[float], None] = lambda _seconds: None, track: int | None = None
) -> AudioTrack:
    """The features of a file's sound; `on_progress` gets the seconds that are done.

    Raises:
        AudioError: the file has no sound, or the sound cannot be read.
    """
    builder = _AudioTrackBuilder()
    for samples in stream_mono_audio(path, track):
        builder.push(samples)
        on_progress(builder.sample_count / SAMPLE_RATE)
    return builder.finish_track()


def stream_mono_audio(path: Path, track: int | None = None) -> Iterator[Samples]:
    """The sound of a file as 16 kHz mono; invalid samples are silenced. `track` as in `open_audio`."""
    with open_audio(path, silence_invalid=True, track=track) as stream:
        mix = SpeechDownmixer(stream.info.rate, stream.info.layout)
        for chunk in stream:
            yield mix.push(chunk.samples)
        yield mix.flush()


class _AudioTrackBuilder:
    """Collects the features of one stream. It keeps no sound but the samples of the next spectrum."""

    def __init__(self) -> None:
        self.sample_count = 0
        self._speech_stream = SpeechStream()
        self._voice_activity = VoiceActivityDetector()
        self._framer = StreamFramer(_FRAME_SAMPLES, STEP_SAMPLES)
        self._framer.push(np.zeros((_FRAME_SAMPLES - STEP_SAMPLES) // 2, np.float32))
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
        loudness = (power / max(float(np.percentile(power, _FULL_PERCENTILE)), _POWER_FLOOR)) ** 0.25
        window = ((np.arange(count) + 0.5) * STEP_SAMPLES / VAD_WINDOW_SAMPLES).astype(np.intp)
        voice = np.concatenate(self._voice_probabilities)
        return AudioTrack(
            loudness=np.minimum(loudness, _MAX_LOUDNESS).astype(np.float32),
            jaw=controls[:, 0],
            closure=controls[:, 1],
            voice=voice[np.minimum(window, len(voice) - 1)],
        )

    def _append_controls(self, speech: SpeechTrack) -> None:
        columns = [CONTROLS.index("jaw"), CONTROLS.index("closure")]
        self._controls.append(speech.controls[:, columns])

    def _append_band_power(self, samples: Samples) -> None:
        self._band_powers.append(_compute_band_power(self._framer.push(samples)))


def _compute_band_power(windows: Rows) -> Rows:
    power = compute_power_spectrum(windows, make_hann_window(_FRAME_SAMPLES, _FRAME_SAMPLES), _FRAME_SAMPLES)
    hertz = np.fft.rfftfreq(_FRAME_SAMPLES, 1 / SAMPLE_RATE)
    band = (hertz >= _BAND_HERTZ[0]) & (hertz < _BAND_HERTZ[1])
    return np.asarray(power[:, band].sum(axis=1), np.float32)
