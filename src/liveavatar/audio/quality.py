"""What a recording is like: measured in one pass, in constant memory."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.background import Background, BackgroundMeter
from liveavatar.audio.bandwidth import Band, Bandwidth
from liveavatar.audio.clipping import clipped
from liveavatar.audio.decode import AudioInfo, Damage, open_audio
from liveavatar.audio.dropouts import Dropouts
from liveavatar.audio.level import Level
from liveavatar.audio.loudness import Loudness
from liveavatar.audio.mix import SpeechMix
from liveavatar.audio.peak import TruePeak
from liveavatar.audio.rate import RateDetector, RateGuess
from liveavatar.audio.texture import Texture, TextureMeter
from liveavatar.audio.vad import SPEECH, VoiceActivity
from liveavatar.frames import Samples
from liveavatar.report import Finding
from liveavatar.timeline import SAMPLE_RATE, rescale

_LISTEN = 20 * SAMPLE_RATE  # the first 20 s are searched for speech all through,
_EVERY, _SPAN = 30 * SAMPLE_RATE, SAMPLE_RATE  # then 1 s of every 30: the detector is the slowest part


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioReport:
    """What was measured on a recording, and what to say about it.

    Attributes:
        path: the file.
        info: what the file says of itself.
        damage: what was wrong with the stream of data.
        samples: how many were decoded, at `info.rate`.
        duration: their duration in seconds.
        level: of the recording as it is, all channels.
        mono: of the 16 kHz mono mix that engines hear, before it is levelled.
        clipping: share of samples that lie on tops cut off flat, 0…1.
        speech: share of time with speech, 0…1; estimated beyond the first 20 s.
        turned: share of time in which the channels had opposite polarity, 0…1.
        channel_levels: power of each channel in dB of full scale.
        band: up to which pitch it carries sound; None for silence.
        background: noise, echo and silence behind the voice.
        texture: what it sounds like beside speech; None for silence.
        dropouts: how often sound breaks off to nothing and comes back at once, all channels.
        dropped: seconds that this lasts.
        guess: what the voices say of the rate.
        speech_if: share of time with speech, were that guess right; None where it agrees with the file.
        findings: what to say, the graver first.
        mended: one line for each thing that reading by the policy mends.
        left: findings that it does not mend.
    """

    path: Path
    info: AudioInfo
    damage: Damage
    samples: int
    duration: Fraction
    level: Level
    mono: Level
    clipping: float
    speech: float
    turned: float
    channel_levels: tuple[float, ...]
    band: Band | None
    background: Background
    texture: Texture | None
    dropouts: int
    dropped: float
    guess: RateGuess
    speech_if: float | None = None
    findings: tuple[Finding, ...] = ()
    mended: tuple[str, ...] = ()
    left: tuple[Finding, ...] = ()

    @property
    def speech_samples(self) -> int:
        """Samples at 16 kHz that `read_speech` gives of it."""
        return max(1, rescale(self.samples, self.info.rate, SAMPLE_RATE))


class LevelMeter:
    """Measures the `Level` of one stream."""

    def __init__(self, rate: int, layout: tuple[str, ...]) -> None:
        self._loudness = Loudness(rate, layout)
        self._peak = TruePeak(rate, len(layout))
        self._sum = np.zeros(len(layout))
        self._count = 0

    def push(self, planes: NDArray[np.float32]) -> None:
        """Hear float32 [channels, n]."""
        self._loudness.push(planes)
        self._peak.push(planes)
        self._sum += planes.sum(axis=1, dtype=np.float64)
        self._count += planes.shape[1]

    def finish(self) -> Level:
        """The level of everything heard; the offset is that of the channel with the largest."""
        means = self._sum / max(self._count, 1)
        dc = float(means[np.abs(means).argmax()])
        return Level(loudness=self._loudness.finish(), true_peak=self._peak.finish(), dc=dc)


class SpeechShare:
    """Estimates how much of one stream at 16 kHz is speech, and what it sounds like besides."""

    def __init__(self) -> None:
        self._detector = VoiceActivity()
        self._texture = TextureMeter()
        self._position = 0
        self._speech = 0.0
        self._heard = 0.0

    def push(self, samples: Samples) -> None:
        """Hear float32 [n]."""
        while len(samples):
            inside, weight, left = self._here()
            piece, samples = samples[:left], samples[left:]
            self._position += len(piece)
            if inside:
                self._texture.push(piece)
                self._count(self._detector.push(piece), weight)

    def finish(self) -> tuple[float, Texture | None]:
        """Share of time with speech, 0…1, and the texture."""
        self._count(self._detector.flush(), 1.0)
        return self._speech / self._heard if self._heard else 0.0, self._texture.finish()

    def _here(self) -> tuple[bool, float, int]:
        """Whether this place is listened to, the weight of it, and how many samples it goes on so."""
        if self._position < _LISTEN:
            return True, 1.0, _LISTEN - self._position
        phase = (self._position - _LISTEN) % _EVERY
        if phase < _SPAN:
            return True, _EVERY / _SPAN, _SPAN - phase
        return False, 0.0, _EVERY - phase

    def _count(self, probabilities: NDArray[np.float32], weight: float) -> None:
        self._speech += weight * float((probabilities > SPEECH).sum())
        self._heard += weight * len(probabilities)


class Measurement:
    """Everything that is measured on one recording, chunk by chunk."""

    def __init__(self, info: AudioInfo) -> None:
        channels = len(info.layout)
        self._mix = SpeechMix(info.rate, info.layout)
        self._whole = LevelMeter(info.rate, info.layout)
        self._mono = LevelMeter(SAMPLE_RATE, ("FC",))
        self._speech = SpeechShare()
        self._background = BackgroundMeter()
        self._guess = RateDetector(info.rate)
        self._band = Bandwidth(info.rate, channels)
        self._dropouts = [Dropouts(info.rate) for _ in range(channels)]
        self._clipped = 0
        self._energy = np.zeros(channels)

    def push(self, samples: NDArray[np.float32]) -> None:
        """Hear float32 [n, channels]."""
        planes = np.ascontiguousarray(samples.T)
        self._whole.push(planes)
        self._band.push(planes)
        self._clipped += sum(clipped(channel) for channel in planes)
        for channel, dropouts in zip(planes, self._dropouts, strict=True):
            dropouts.push(channel)
        self._energy += np.square(planes, dtype=np.float64).sum(axis=1)
        self._hear(self._mix.push(samples))

    def report(self, path: Path, info: AudioInfo, damage: Damage, samples: int) -> AudioReport:
        """What was measured on all `samples`; without findings."""
        self._hear(self._mix.flush())
        power = self._energy / samples + 1e-20
        speech, texture = self._speech.finish()
        return AudioReport(
            path=path,
            info=info,
            damage=damage,
            samples=samples,
            duration=Fraction(samples, info.rate),
            level=self._whole.finish(),
            mono=self._mono.finish(),
            clipping=self._clipped / (samples * len(power)),
            speech=speech,
            turned=self._mix.turned,
            channel_levels=tuple(float(level) for level in 10 * np.log10(power)),
            band=self._band.finish(),
            background=self._background.finish(),
            texture=texture,
            dropouts=sum(dropouts.count for dropouts in self._dropouts),
            guess=self._guess.finish(),
            dropped=max(dropouts.samples for dropouts in self._dropouts) / info.rate,
        )

    def _hear(self, mono: Samples) -> None:
        self._mono.push(mono[None])
        self._speech.push(mono)
        self._background.push(mono)
        self._guess.push(mono)


def speech_share(path: Path, mend: bool, true_rate: int) -> float:
    """Share of speech in the beginning of a recording, 0…1, were its samples taken at `true_rate`.

    Raises:
        AudioError: as `open_audio`.
    """
    share, left = SpeechShare(), _LISTEN
    with open_audio(path, mend, true_rate) as stream:
        mix = SpeechMix(stream.info.rate, stream.info.layout)
        for chunk in stream:
            mono = mix.push(chunk.samples)[:left]
            share.push(mono)
            left -= len(mono)
            if not left:
                break
    return share.finish()[0]


def measure(path: str | Path, mend: bool, true_rate: int | None = None) -> AudioReport:
    """Read a recording once and measure it; the report has no findings yet. For `true_rate` see `open_audio`.

    Raises:
        AudioError: as `open_audio`; samples that are not numbers are one only without `mend`.
    """
    with open_audio(path, mend, true_rate) as stream:
        measurement = Measurement(stream.info)
        for chunk in stream:
            measurement.push(chunk.samples)
        return measurement.report(Path(path), stream.info, stream.damage, stream.samples)
