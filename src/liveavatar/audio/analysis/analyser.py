"""Measures a recording in one pass and constant memory; the result is an `AudioReport`."""

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
from liveavatar.audio.dsp.gain import SignalLevel
from liveavatar.audio.dsp.level_meter import LevelMeter
from liveavatar.audio.dsp.speech_downmix import SpeechDownmixer
from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.audio.io.decode import AudioInfo, StreamDamage, open_audio
from liveavatar.audio.spectral.framing import StreamFramer
from liveavatar.audio.spectral.spectrum import power_to_decibels
from liveavatar.frames import Samples
from liveavatar.report import Finding
from liveavatar.timeline import SAMPLE_RATE, rescale_count

_DENSE_SAMPLES = 20 * SAMPLE_RATE  # speech is detected in all of the first 20 s,
_SPARSE_PERIOD_SAMPLES, _SPARSE_SPAN_SAMPLES = 30 * SAMPLE_RATE, SAMPLE_RATE  # then 1 s of every 30: the
# detector of speech is the slowest part of the analysis
_VOICELESS_AFTER_WINDOWS = SAMPLE_RATE // VAD_WINDOW_SAMPLES  # without a voice, a second: its echo has gone
_VOICE_TAIL_PROBABILITY = 0.3  # over it, a voice may still be heard
_POWER_FLOOR = 1e-20  # -200 dB, the level of a silent channel


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioReport:
    """Measurements of a recording, and the findings on them.

    Attributes:
        path: the file.
        info: the format that the file declares.
        damage: faults of the data and its time stamps.
        sample_count: decoded samples per channel, at `info.rate`.
        duration: of the decoded samples, in seconds.
        level: of the recording as it is, all channels.
        mono_level: of the 16 kHz mono mix for engines, before its gain.
        clipped_share: share of samples on flat tops, 0…1.
        speech_share: share of time with speech, 0…1; an estimate beyond the first 20 s.
        opposite_polarity_share: share of time in which the channels have opposite polarity, 0…1.
        channel_levels: power of each channel in dB of full scale.
        channel_offsets: constant offset of each channel, full scale 1.
        band_limit: the highest frequency with sound; None for silence.
        background: noise, reverberation and silence.
        texture: the kind of sound if it is not speech; None for silence.
        voiceless_texture: the kind of sound where nobody speaks; None for less than half a second of it.
        dropout_count: digital dropouts in all channels.
        dropout_seconds: their duration in the channel with the most.
        rate_guess: the sample rate as detected from the voices.
        corrected_speech_share: `speech_share` at the guessed rate; None where that is the declared one.
        findings: the worst first.
        fixes: one line for each repair by the policy.
        remaining_findings: findings that the policy does not repair.
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
    channel_offsets: tuple[float, ...] = ()
    voiceless_texture: SoundTexture | None = None
    corrected_speech_share: float | None = None
    findings: tuple[Finding, ...] = ()
    fixes: tuple[str, ...] = ()
    remaining_findings: tuple[Finding, ...] = ()

    @property
    def speech_sample_count(self) -> int:
        """Number of samples at 16 kHz that `read_speech` yields."""
        return max(1, rescale_count(self.sample_count, self.info.rate, SAMPLE_RATE))


class SpeechShareMeter:
    """Estimates the share of speech in one stream at 16 kHz, its texture, and that where nobody speaks."""

    def __init__(self) -> None:
        self._detector = VoiceActivityDetector()
        self._texture = SoundTextureMeter()
        self._voiceless_texture = SoundTextureMeter()
        self._framer = StreamFramer(VAD_WINDOW_SAMPLES, VAD_WINDOW_SAMPLES)
        self._voiceless_count = _VOICELESS_AFTER_WINDOWS
        self._position = 0
        self._speech_weight = 0.0
        self._total_weight = 0.0

    def push(self, samples: Samples) -> None:
        """Take the next float32 [n]."""
        while len(samples):
            is_analysed, weight, left = self._find_span()
            piece, samples = samples[:left], samples[left:]
            self._position += len(piece)
            if is_analysed:
                self._texture.push(piece)
                probabilities = self._detector.push(piece)
                self._add_probabilities(probabilities, weight)
                self._add_voiceless(self._framer.push(piece), probabilities)

    def finish(self) -> tuple[float, SoundTexture | None, SoundTexture | None]:
        """Share of time with speech, 0…1, the texture, and that where nobody speaks."""
        self._add_probabilities(self._detector.flush(), 1.0)
        share = self._speech_weight / self._total_weight if self._total_weight else 0.0
        return share, self._texture.finish(), self._voiceless_texture.finish()

    def _find_span(self) -> tuple[bool, float, int]:
        """Whether the next samples are analysed, the weight of a decision there, and for how many samples."""
        if self._position < _DENSE_SAMPLES:
            return True, 1.0, _DENSE_SAMPLES - self._position
        phase = (self._position - _DENSE_SAMPLES) % _SPARSE_PERIOD_SAMPLES
        if phase < _SPARSE_SPAN_SAMPLES:
            return True, _SPARSE_PERIOD_SAMPLES / _SPARSE_SPAN_SAMPLES, _SPARSE_SPAN_SAMPLES - phase
        return False, 0.0, _SPARSE_PERIOD_SAMPLES - phase

    def _add_voiceless(self, windows: NDArray[np.float32], probabilities: NDArray[np.float32]) -> None:
        """Measure the windows of the detector that no voice precedes for `_VOICELESS_AFTER_WINDOWS`."""
        for window, probability in zip(windows, probabilities.tolist(), strict=True):
            self._voiceless_count = 0 if probability > _VOICE_TAIL_PROBABILITY else self._voiceless_count + 1
            if self._voiceless_count > _VOICELESS_AFTER_WINDOWS:
                self._voiceless_texture.push(window)

    def _add_probabilities(self, probabilities: NDArray[np.float32], weight: float) -> None:
        self._speech_weight += weight * float((probabilities > SPEECH_THRESHOLD).sum())
        self._total_weight += weight * len(probabilities)


class RecordingAnalyser:
    """All analysers of one recording, chunk by chunk."""

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
        """Take the next float32 [n, channels]."""
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
        """The report on all samples, without findings."""
        self._push_mono(self._mix.flush())
        channel_levels = power_to_decibels(self._energy / sample_count, _POWER_FLOOR)
        speech, texture, voiceless = self._speech_share.finish()
        return AudioReport(
            path=path,
            info=info,
            damage=damage,
            sample_count=sample_count,
            duration=Fraction(sample_count, info.rate),
            level=self._level.finish(),
            channel_offsets=self._level.channel_offsets,
            mono_level=self._mono_level.finish(),
            clipped_share=self._clipped_count / (sample_count * len(channel_levels)),
            speech_share=speech,
            opposite_polarity_share=self._mix.inverted_share,
            channel_levels=tuple(float(level) for level in channel_levels),
            band_limit=self._bandwidth.finish(),
            background=self._background.finish(),
            texture=texture,
            voiceless_texture=voiceless,
            dropout_count=sum(dropouts.count for dropouts in self._dropouts),
            rate_guess=self._rate_detector.finish(),
            dropout_seconds=max(dropouts.sample_count for dropouts in self._dropouts) / info.rate,
        )

    def _push_mono(self, mono: Samples) -> None:
        self._mono_level.push(mono[None])
        self._speech_share.push(mono)
        self._background.push(mono)
        self._rate_detector.push(mono)


def measure_speech_share(path: Path, fix: bool, true_rate: int, track: int | None = None) -> float:
    """Share of speech in the first 20 s of a recording, 0…1, if its samples were taken at `true_rate`.

    Raises:
        AudioError: as `open_audio`.
    """
    share, left = SpeechShareMeter(), _DENSE_SAMPLES
    with open_audio(path, fix, true_rate, track) as stream:
        mix = SpeechDownmixer(stream.info.rate, stream.info.layout)
        for chunk in stream:
            mono = mix.push(chunk.samples)[:left]
            share.push(mono)
            left -= len(mono)
            if not left:
                break
    return share.finish()[0]


def analyse_recording(
    path: str | Path, fix: bool, true_rate: int | None = None, track: int | None = None
) -> AudioReport:
    """Measure a recording; the report has no findings yet. The other arguments are as in `open_audio`.

    Raises:
        AudioError: as `open_audio`; without `fix`, also for samples that are not numbers.
    """
    with open_audio(path, fix, true_rate, track) as stream:
        analyser = RecordingAnalyser(stream.info)
        for chunk in stream:
            analyser.push(chunk.samples)
        return analyser.build_report(Path(path), stream.info, stream.damage, stream.sample_count)
