"""Augmentation of speech: speed, room, microphone, noise, babble, telephone. Only speed moves sounds in time.

Separate from training/rate/damage.py, which filters and resamples in one FFT: merging them would change the random
draws of both, and with them the training data.
"""

from dataclasses import dataclass

import numpy as np
import soxr  # type: ignore[import-untyped, unused-ignore]
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]

PEAK_LOG10 = (-1.4, -0.3, 0.0)
"""log10 of the peak amplitude, triangular distribution: minimum, mode, maximum. Streams arrive nearly levelled."""

NOISY_SNR_DB, QUIET_SNR_DB = (4.0, 28.0), (28.0, 70.0)
"""Range of the signal-to-noise ratio in dB, of most recordings and of those made in quiet rooms."""

ROOM_TONE_WINDOW = 1024
"""Samples from which the spectrum of room tone is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmenter:
    """Draws different degradations for every recording. `others` supply babble."""

    random: np.random.Generator
    others: list[Sound]

    def degrade(self, sound: Sound) -> Sound:
        """The sound through a random room, microphone, noise and channel, without delay."""
        sound = self._distort(self._add_noise(self.filter_randomly(self._add_reverb(sound))))
        loudest = float(np.abs(sound).max()) + 1e-9
        return np.asarray(sound / loudest * 10 ** self.random.triangular(*PEAK_LOG10), np.float32)

    def _draw_chance(self, chance: float) -> bool:
        return bool(self.random.random() < chance)

    def change_speed(self, sound: Sound) -> tuple[Sound, float]:
        """Change pitch, formants and tempo together by resampling; returns the sound and its speed."""
        if not self._draw_chance(0.6):
            return sound, 1.0
        factor = float(self.random.uniform(0.87, 1.16))
        return soxr.resample(sound, SAMPLE_RATE * factor, SAMPLE_RATE, "HQ").astype(np.float32), factor

    def _add_reverb(self, sound: Sound) -> Sound:
        """Add reverberation: exponentially decaying noise after the direct sound."""
        if not self._draw_chance(0.4):
            return sound
        time = np.arange(int(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
        tail = self.random.normal(0, 1, len(time)) * 10 ** (-3 * time / self.random.uniform(0.1, 0.6))
        tail[: int(self.random.integers(20, 120))] = 0.0
        tail *= 10 ** (self.random.uniform(-14, 2) / 20) / np.sqrt(np.sum(tail**2))
        tail[0] = 1.0
        return apply_response(sound, np.fft.rfft(tail, fast_length(len(sound) + len(tail))))

    def filter_randomly(self, sound: Sound) -> Sound:
        """Filter with a smooth random frequency response, sometimes band-limited."""
        size = fast_length(len(sound))
        hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
        octaves = np.log2(np.maximum(hertz, 40.0) / 1000.0)
        gain = sum(
            a * np.cos(octaves * b + c)
            for a, b, c in self.random.uniform((-5, 0.3, 0), (5, 1.5, 6.28), (3, 3))
        )
        gain = gain + octaves * self.random.uniform(-3, 3)
        if self._draw_chance(0.3):
            top = self.random.choice([3400.0, 4000.0, 5500.0])
            gain = gain - np.maximum(0.0, np.log2(np.maximum(hertz, 1.0) / top)) * 200.0
        if self._draw_chance(0.25):
            gain = (
                gain - np.maximum(0.0, np.log2(self.random.uniform(80, 320) / np.maximum(hertz, 1.0))) * 24.0
            )
        return apply_response(sound, 10 ** (np.maximum(gain, -90.0) / 20))

    def _add_noise(self, sound: Sound) -> Sound:
        noisy = self._draw_chance(0.65)
        noise = self._make_noise(len(sound)) if noisy else self.make_hiss(len(sound))
        snr_db = self.random.uniform(*(NOISY_SNR_DB if noisy else QUIET_SNR_DB))
        speech = np.sqrt(np.mean(np.sort(sound**2)[-len(sound) // 2 :]) + 1e-12)
        level = speech * 10 ** (-snr_db / 20) / (np.sqrt(np.mean(noise**2)) + 1e-9)
        return np.asarray(sound + level * noise, np.float32)

    def _make_noise(self, length: int) -> Sound:
        """Babble, hiss and hum, or white noise."""
        kind = float(self.random.random())
        if kind < 0.25:
            return self._make_babble(length)
        return self.make_hiss(length) if kind < 0.7 else self.random.normal(0, 1, length).astype(np.float32)

    def make_hiss(self, length: int) -> Sound:
        """Noise of a random spectral slope with mains hum and a slow modulation."""
        size = fast_length(length)
        hertz = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 30.0)
        spectrum = np.fft.rfft(self.random.normal(0, 1, size)) * (hertz / 1000.0) ** -self.random.uniform(
            0, 1.2
        )
        noise = np.fft.irfft(spectrum, size)[:length]
        time = np.arange(length) / SAMPLE_RATE
        swell = 1.0 + self.random.uniform(0, 0.9) * np.sin(
            6.28 * (self.random.uniform(0.1, 3) * time + self.random.random())
        )
        hum = sum(np.sin(6.28 * n * self.random.choice([50.0, 60.0]) * time) / n for n in range(1, 6))
        return np.asarray(
            noise * swell + self.random.choice([0.0, 0.0, 1.0]) * np.std(noise) * hum, np.float32
        )

    def _make_babble(self, length: int) -> Sound:
        """Three to six speakers at once."""
        out = np.zeros(length, np.float32)
        for _ in range(int(self.random.integers(3, 7))):
            other = self.others[int(self.random.integers(len(self.others)))]
            out += np.resize(np.roll(other, int(self.random.integers(len(other)))), length)
        return out

    def _distort(self, sound: Sound) -> Sound:
        """Quantise to 8-bit mu-law (ITU-T G.711), or clip; usually neither."""
        if self._draw_chance(0.12):
            peak = float(np.abs(sound).max()) + 1e-9
            companded = np.sign(sound) * np.log1p(255 * np.abs(sound) / peak) / np.log(256)
            companded = np.rint(companded * 127) / 127
            return np.asarray(
                np.sign(companded) * np.expm1(np.abs(companded) * np.log(256)) / 255 * peak, np.float32
            )
        if self._draw_chance(0.08):
            return (
                np.clip(sound, -1, 1)
                if (top := np.abs(sound).max()) < 1e-6
                else np.clip(sound, -top / 3, top / 3)
            )
        return sound


def fast_length(length: int) -> int:
    """The next multiple of 4096, for a fast FFT."""
    return -(-length // 4096) * 4096


def apply_response(sound: Sound, response: NDArray[np.complex128] | NDArray[np.float64]) -> Sound:
    """Filter with a frequency response given at the bins of an FFT; keeps the length."""
    size = 2 * (len(response) - 1)
    return np.fft.irfft(np.fft.rfft(sound, size) * response, size)[: len(sound)].astype(np.float32)


def make_room_tone(sound: Sound, length: int, random: np.random.Generator) -> Sound:
    """Steady noise with the spectrum of the quietest ROOM_TONE_WINDOW samples of `sound`, which must be longer."""
    windows = sliding_window_view(sound, ROOM_TONE_WINDOW)[:: ROOM_TONE_WINDOW // 4]
    quietest = windows[np.argmin(np.sum(windows**2, axis=1))]
    spectrum = np.abs(np.fft.rfft(quietest * np.hanning(ROOM_TONE_WINDOW))) * np.sqrt(
        8 / 3 / ROOM_TONE_WINDOW
    )
    bins = np.linspace(0, len(spectrum) - 1, fast_length(length) // 2 + 1)
    response = np.interp(bins, np.arange(len(spectrum)), spectrum)
    return apply_response(random.normal(0, 1, length).astype(np.float32), response)


def make_background(random: np.random.Generator, seconds: float) -> Sound:
    """Sound without speech: digital silence, hiss, hum, or clicks."""
    length = int(seconds * SAMPLE_RATE)
    augmenter = Augmenter(random=random, others=[])
    noise = augmenter.make_hiss(length) * random.choice([0.0, 0.01, 0.1, 0.3])
    clicks = (random.random(length) < random.choice([0.0, 2e-4])) * random.normal(0, 3, length)
    return augmenter.filter_randomly(np.asarray(noise + clicks * (np.abs(noise).mean() + 1e-4), np.float32))
