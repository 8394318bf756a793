"""Simulates recordings at any speed: microphone, room, narrow band, music, noise and distortion.

Everything linear and the change of speed are one pass through an FFT.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from training.rate.sources import Voice

from liveavatar.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSimulator:
    """Simulates recordings, each with other conditions. `voices` supply babble; `clean` changes only the speed."""

    random: np.random.Generator
    voices: list[Voice]
    clean: bool = False

    def simulate(self, voice: Voice, seconds: float, speed: float) -> Sound:
        """`seconds` at 16 kHz of a voice at `speed` times its own."""
        sound = self.resample_filtered(self.join_clips(voice, seconds * speed), voice.rate, speed)
        if self.clean:
            return sound[: round(seconds * SAMPLE_RATE)]
        sound = self._distort(self._add_noise(self._add_music(sound, speed), speed))
        return np.asarray(
            sound[: round(seconds * SAMPLE_RATE)] * 10 ** self.random.uniform(-1.2, 0), np.float32
        )

    def _draw_chance(self, chance: float) -> bool:
        return not self.clean and bool(self.random.random() < chance)

    def join_clips(self, voice: Voice, seconds: float) -> Sound:
        """Clips of one speaker in random order, with or without pauses."""
        length, joined_length, pieces = int(seconds * voice.rate), 0, []
        pause = self.random.choice([0.0, 0.1, 0.4])
        order = self.random.permutation(len(voice.clips))
        start = int(self.random.integers(max(1, len(voice.clips[order[0]]) // 2)))
        while joined_length < length:
            for index in order:
                piece = trim_silence(
                    voice.clips[index][start:], voice.rate, float(self.random.uniform(0.02, 0.2))
                )
                gap = np.zeros(int(self.random.uniform(0, 2 * pause) * voice.rate), np.float32)
                pieces += [piece, gap]
                joined_length += len(piece) + len(gap)
                start = 0
                if joined_length >= length:
                    break
        joined = np.concatenate(pieces)[:length]
        return np.asarray(joined / (np.abs(joined).max() + 1e-6), np.float32)

    def resample_filtered(self, sound: Sound, rate: int, speed: float) -> Sound:
        """The sound at 16 kHz and `speed`, with a random frequency response and, at times, reverberation."""
        size = fast_length(len(sound))
        spectrum = np.fft.rfft(sound, size)
        hertz = np.fft.rfftfreq(size, 1 / rate).astype(np.float32)
        if not self.clean:
            spectrum = spectrum * 10 ** (self._draw_response(hertz, speed) / 20)
        if self._draw_chance(0.35):
            spectrum = spectrum * np.fft.rfft(self._make_reverb(rate), size)
        out = round(size * SAMPLE_RATE / rate / speed / 512) * 512  # at most 0.4 % off; fast for an FFT
        resampled = np.zeros(out // 2 + 1, np.complex64)
        common = min(len(resampled), len(spectrum))
        resampled[:common] = spectrum[:common]
        played = np.fft.irfft(resampled, out)[: round(len(sound) * SAMPLE_RATE / rate / speed)]
        return np.asarray(played / (np.abs(played).max() + 1e-6), np.float32)

    def _draw_response(self, hertz: Sound, speed: float) -> Sound:
        octaves = np.log2(np.maximum(hertz, 40.0) / 1000.0)
        ripples = self.random.uniform((-4, 0.3, 0), (4, 1.5, 6.28), (3, 3))
        gain = np.sum([a * np.cos(octaves * b + c) for a, b, c in ripples], axis=0)
        gain = gain + octaves * self.random.uniform(-3, 3)
        if self._draw_chance(0.5):  # before or after the change of speed, so that the edge does not show it
            edge = float(np.exp(self.random.uniform(np.log(1500), np.log(9000))))
            edge = max(1500.0, edge / speed) if self._draw_chance(0.5) else edge
            steep = self.random.choice([40.0, 200.0])
            gain = gain - np.maximum(0.0, np.log2(np.maximum(hertz, 1.0) / edge)) * steep
        if self._draw_chance(0.3):
            gain = (
                gain - np.maximum(0.0, np.log2(self.random.uniform(80, 350) / np.maximum(hertz, 1.0))) * 24.0
            )
        return np.asarray(np.maximum(gain, -90.0), np.float32)

    def _make_reverb(self, rate: int) -> Sound:
        time = np.arange(int(0.5 * rate)) / rate
        tail = self.random.normal(0, 1, len(time)) * 10 ** (-3 * time / self.random.uniform(0.12, 0.8))
        tail[: int(self.random.integers(20, 120))] = 0.0
        tail *= 10 ** (self.random.uniform(-14, 0) / 20) / np.sqrt(np.sum(tail**2))
        tail[0] = 1.0
        return np.asarray(tail, np.float32)

    def _add_noise(self, sound: Sound, speed: float) -> Sound:
        if not self._draw_chance(0.75):
            return sound + self.random.normal(0, 2e-5, len(sound)).astype(np.float32)
        babble = self._draw_chance(0.2)
        noise = self._make_babble(len(sound), speed) if babble else make_hiss(self.random, len(sound), speed)
        return mix_noise(sound, noise, float(self.random.uniform(8 if babble else 2, 45)))

    def _make_babble(self, length: int, speed: float) -> Sound:
        """Three other speakers at the same speed."""
        out = np.zeros(length, np.float32)
        for _ in range(3):
            other = self.voices[int(self.random.integers(len(self.voices)))]
            seconds = length / SAMPLE_RATE * speed
            piece = self.resample_filtered(self.join_clips(other, min(seconds, 20.0)), other.rate, speed)
            out += np.resize(piece, length)
        return out

    def _add_music(self, sound: Sound, speed: float) -> Sound:
        if not self._draw_chance(0.12):
            return sound
        return mix_noise(
            sound, make_chords(self.random, len(sound), speed), float(self.random.uniform(5, 25))
        )

    def _distort(self, sound: Sound) -> Sound:
        """The quantisation of G.711, or clipping."""
        if self._draw_chance(0.1):
            bent = np.sign(sound) * np.log1p(255 * np.minimum(np.abs(sound), 1.0)) / np.log(256)
            bent = np.rint(bent * 127) / 127
            return np.asarray(np.sign(bent) * np.expm1(np.abs(bent) * np.log(256)) / 255, np.float32)
        top = np.abs(sound).max() * (self.random.uniform(0.2, 0.7) if self._draw_chance(0.06) else 1.0)
        return np.asarray(np.clip(sound, -top, top), np.float32)


def trim_silence(clip: Sound, rate: int, margin: float) -> Sound:
    """The clip without silence at its ends, except for `margin` seconds."""
    loud = np.flatnonzero(np.abs(clip) > 0.03 * (np.abs(clip).max() + 1e-6))
    if not len(loud):
        return clip
    keep = int(margin * rate)
    return clip[max(0, loud[0] - keep) : loud[-1] + keep]


def mix_noise(sound: Sound, noise: Sound, decibels: float) -> Sound:
    """The sound with noise `decibels` below the louder half of its samples."""
    loud = np.sqrt(np.mean(np.sort(sound**2)[-len(sound) // 2 :]) + 1e-12)
    level = loud * 10 ** (-decibels / 20) / (np.sqrt(np.mean(noise**2)) + 1e-9)
    both = sound + level * noise
    return np.asarray(both / max(1.0, float(np.abs(both).max())), np.float32)


def make_hiss(random: np.random.Generator, length: int, speed: float) -> Sound:
    """Noise of a random spectral slope, at times with mains hum at `speed`."""
    size = fast_length(length)
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE).astype(np.float32), 30.0)
    spectrum = np.fft.rfft(random.standard_normal(size, np.float32)) * (hertz / 1000.0) ** -random.uniform(
        0, 1.3
    )
    noise = np.fft.irfft(spectrum, size)[:length]
    time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    noise *= 1.0 + random.uniform(0, 0.9) * np.sin(6.28 * (random.uniform(0.1, 3) * time + random.random()))
    if random.random() < 0.3:
        mains = random.choice([50.0, 60.0]) * speed
        hum = np.sum(
            [np.sin(6.28 * n * mains * time) * random.uniform(0, 1) / n for n in range(1, 6)], axis=0
        )
        noise += hum * np.std(noise) * random.uniform(0.3, 2.0)
    return np.asarray(noise, np.float32)


def make_chords(random: np.random.Generator, length: int, speed: float = 1.0) -> Sound:
    """Synthetic music: decaying notes of a scale, and a beat."""
    out = np.zeros(length, np.float32)
    beat = int(SAMPLE_RATE * random.uniform(0.2, 0.7) / speed)
    root = random.uniform(60, 130) * speed
    for start in range(0, length, beat):
        span = np.arange(min(3 * beat, length - start), dtype=np.float32) / SAMPLE_RATE
        for _ in range(int(random.integers(1, 4))):
            pitch = root * 2 ** (random.choice([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 19, 24]) / 12)
            tone = np.sum([np.sin(6.28 * n * pitch * span) / n for n in range(1, 7)], axis=0)
            out[start : start + len(span)] += tone * np.exp(-span * random.uniform(1, 8) * speed)
        out[start : start + len(span)] += random.normal(0, 0.4, len(span)) * np.exp(-span * 60 * speed)
    return out


def fast_length(length: int) -> int:
    """The next length that is fast for an FFT."""
    return -(-length // 8192) * 8192
