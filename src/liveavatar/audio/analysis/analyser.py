"""What a recording is like: measured in one pass, in constant memory."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.analysis.bandwidth import BandLimit, BandwidthMeter
from liveavatar.audio.analysis.clipping import count_clipped_samples
from liveavatar.audio.analysis.dropouts import DropoutCounter
from liveavatar.audio.analysis.noise import Background, BackgroundMeter
from liveavatar.audio.analysis.sample_rate import RateDetector, RateGuess
from liveavatar.audio.analysis.texture import SoundTexture, SoundTextureMeter
from liveavatar.audio.dsp.decibels import power_to_decibels
from liveavatar.audio.dsp.gain import SignalLevel
from liveavatar.audio.dsp.level_meter import LevelMeter
from liveavatar.audio.dsp.speech_downmix import SpeechDownmixer
from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VoiceActivityDetector
from liveavatar.audio.io.decode import AudioInfo, StreamDamage, open_audio
from liveavatar.frames import Samples
from liveavatar.report import Finding
from liveavatar.timeline import SAMPLE_RATE, rescale_count

_DENSE_SAMPLES = 20 * SAMPLE_RATE  # the first 20 s are searched for speech all through,
_SPARSE_PERIOD_SAMPLES, _SPARSE_SPAN_SAMPLES = 30 * SAMPLE_RATE, SAMPLE_RATE  # then 1 s of every 30: the
# detector of speech is the slowest part of the analysis
_POWER_FLOOR = 1e-20  # -200 dB, the level of a silent channel


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
    damage: StreamDamage
    sample_count: int
    duration: Fraction
    level: SignalLevel
    mono_level: SignalLevel
    clipped_share: float
    speech_share: float
    opposite_polarity_share: float
    channel_levels: tuple[float, ...]
    band_limit: BandLimit | None
    background: Background
    texture: SoundTexture | None
    dropout_count: int
    dropout_seconds: float
    rate_guess: RateGuess
    corrected_speech_share: float | None = None
    findings: tuple[Finding, ...] = ()
    fixes: tuple[str, ...] = ()
    remaining_findings: tuple[Finding, ...] = ()

    @property
    def speech_sample_count(self) -> int:
        """Samples at 16 kHz that `read_speech` gives of it."""
        return max(1, rescale_count(self.sample_count, self.info.rate, SAMPLE_RATE))


class SpeechShareMeter:
    """Estimates how much of one stream at 16 kHz is speech, and what it sounds like besides."""

    def __init__(self) -> None:
        self._detector = VoiceActivityDetector()
        self._texture = SoundTextureMeter()
        self._position = 0
        self._speech_weight = 0.0
        self._total_weight = 0.0

    def push(self, samples: Samples) -> None:
        """Hear float32 [n]."""
        while len(samples):
            inside, weight, left = self._find_span()
            piece, samples = samples[:left], samples[left:]
            self._position += len(piece)
            if inside:
                self._texture.push(piece)
                self._add_probabilities(self._detector.push(piece), weight)

    def finish(self) -> tuple[float, SoundTexture | None]:
        """Share of time with speech, 0…1, and the texture."""
        self._add_probabilities(self._detector.flush(), 1.0)
        return self._speech_weight / self._total_weight if self._total_weight else 0.0, self._texture.finish()

    def _find_span(self) -> tuple[bool, float, int]:
        """Whether this place is listened to, the weight of it, and how many samples it goes on so."""
        if self._position < _DENSE_SAMPLES:
            return True, 1.0, _DENSE_SAMPLES - self._position
        phase = (self._position - _DENSE_SAMPLES) % _SPARSE_PERIOD_SAMPLES
        if phase < _SPARSE_SPAN_SAMPLES:
            return True, _SPARSE_PERIOD_SAMPLES / _SPARSE_SPAN_SAMPLES, _SPARSE_SPAN_SAMPLES - phase
        return False, 0.0, _SPARSE_PERIOD_SAMPLES - phase

    def _add_probabilities(self, probabilities: NDArray[np.float32], weight: float) -> None:
        self._speech_weight += weight * float((probabilities > SPEECH_THRESHOLD).sum())
        self._total_weight += weight * len(probabilities)


class RecordingAnalyser:
    """Everything that is measured on one recording, chunk by chunk."""

    def __init__(self, info: AudioInfo) -> None:
        channels = len(info.layout)
        self._mix = SpeechDownmixer(info.rate, info.layout)
        self._level = LevelMeter(info.rate, info.layout)
        self._mono_level = LevelMeter(SAMPLE_RATE, ("FC",))
        self._speech_share = SpeechShareMeter()
        self._background = BackgroundMeter()
        self._rate_detector = RateDetector(info.rate)
        self._bandwidth = BandwidthMeter(info.rate, channels)
        self._dropouts = [DropoutCounter(info.rate) for _ in range(channels)]
        self._clipped_count = 0
        self._energy = np.zeros(channels)

    def push(self, samples: NDArray[np.float32]) -> None:
        """Hear float32 [n, channels]."""
        planes = np.ascontiguousarray(samples.T)
        self._level.push(planes)
        self._bandwidth.push(planes)
        self._clipped_count += sum(count_clipped_samples(channel) for channel in planes)
        for channel, dropouts in zip(planes, self._dropouts, strict=True):
            dropouts.push(channel)
        self._energy += np.square(planes, dtype=np.float64).sum(axis=1)
        self._push_mono(self._mix.push(samples))

    def build_report(
        self, path: Path, info: AudioInfo, damage: StreamDamage, sample_count: int
    ) -> AudioReport:
        """What was measured on all `samples`; without findings."""
        self._push_mono(self._mix.flush())
        channel_levels = power_to_decibels(self._energy / sample_count, _POWER_FLOOR)
        speech, texture = self._speech_share.finish()
        return AudioReport(
            path=path,
            info=info,
            damage=damage,
            sample_count=sample_count,
            duration=Fraction(sample_count, info.rate),
            level=self._level.finish(),
            mono_level=self._mono_level.finish(),
            clipped_share=self._clipped_count / (sample_count * len(channel_levels)),
            speech_share=speech,
            opposite_polarity_share=self._mix.inverted_share,
            channel_levels=tuple(float(level) for level in channel_levels),
            band_limit=self._bandwidth.finish(),
            background=self._background.finish(),
            texture=texture,
            dropout_count=sum(dropouts.count for dropouts in self._dropouts),
            rate_guess=self._rate_detector.finish(),
            dropout_seconds=max(dropouts.sample_count for dropouts in self._dropouts) / info.rate,
        )

    def _push_mono(self, mono: Samples) -> None:
        self._mono_level.push(mono[None])
        self._speech_share.push(mono)
        self._background.push(mono)
        self._rate_detector.push(mono)


def measure_speech_share(path: Path, fix: bool, true_rate: int) -> float:
    """Share of speech in the beginning of a recording, 0…1, were its samples taken at `true_rate`.

    Raises:
        AudioError: as `open_audio`.
    """
    share, left = SpeechShareMeter(), _DENSE_SAMPLES
    with open_audio(path, fix, true_rate) as stream:
        mix = SpeechDownmixer(stream.info.rate, stream.info.layout)
        for chunk in stream:
            mono = mix.push(chunk.samples)[:left]
            share.push(mono)
            left -= len(mono)
            if not left:
                break
    return share.finish()[0]


def analyse_recording(path: str | Path, fix: bool, true_rate: int | None = None) -> AudioReport:
    """Read a recording once and measure it; the report has no findings yet. For `true_rate` see `open_audio`.

    Raises:
        AudioError: as `open_audio`; samples that are not numbers are one only without `mend`.
    """
    with open_audio(path, fix, true_rate) as stream:
        measurement = RecordingAnalyser(stream.info)
        for chunk in stream:
            measurement.push(chunk.samples)
        return measurement.build_report(Path(path), stream.info, stream.damage, stream.sample_count)
