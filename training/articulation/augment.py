"""What microphones, rooms, telephones and neighbours do to speech; all of it keeps sounds where they are in time,
except for a change of speed."""

from dataclasses import dataclass

import numpy as np
import soxr  # type: ignore[import-untyped, unused-ignore]
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from liveavatar.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]

PEAK_LOG10 = (-1.4, -0.3, 0.0)
"""Powers of ten of the loudest sample, least, likeliest and most: streams come levelled, nearly."""

NOISY_SNR_DB, QUIET_SNR_DB = (4.0, 28.0), (28.0, 70.0)
"""dB from speech down to the noise of most recordings, and of the others, made in quiet rooms."""

ROOM_TONE_WINDOW = 1024
"""Samples from which the sound of a room is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmenter:
    """Draws a different mishap for every recording. `others` supply babble."""

    random: np.random.Generator
    others: list[Sound]

    def degrade(self, sound: Sound) -> Sound:
        """A copy as some other microphone would have heard it, without delay."""
        sound = self._distort(self._add_noise(self.filter_randomly(self._add_reverb(sound))))
        loudest = float(np.abs(sound).max()) + 1e-9
        return np.asarray(sound / loudest * 10 ** self.random.triangular(*PEAK_LOG10), np.float32)

    def _draw_chance(self, chance: float) -> bool:
        return bool(self.random.random() < chance)

    def change_speed(self, sound: Sound) -> tuple[Sound, float]:
        """A larger or smaller speaker, pitch, formants and tempo together; and how much shorter it became."""
        if not self._draw_chance(0.6):
            return sound, 1.0
        factor = float(self.random.uniform(0.87, 1.16))
        return soxr.resample(sound, SAMPLE_RATE * factor, SAMPLE_RATE, "HQ").astype(np.float32), factor

    def _add_reverb(self, sound: Sound) -> Sound:
        """Noise that decays exponentially, after the direct sound."""
        if not self._draw_chance(0.4):
            return sound
        time = np.arange(int(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
        tail = self.random.normal(0, 1, len(time)) * 10 ** (-3 * time / self.random.uniform(0.1, 0.6))
        tail[: int(self.random.integers(20, 120))] = 0.0
        tail *= 10 ** (self.random.uniform(-14, 2) / 20) / np.sqrt(np.sum(tail**2))
        tail[0] = 1.0
        return apply_response(sound, np.fft.rfft(tail, fast_length(len(sound) + len(tail))))

    def filter_randomly(self, sound: Sound) -> Sound:
        """A smooth random frequency response, sometimes with a narrow band."""
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
        below = self.random.uniform(*(NOISY_SNR_DB if noisy else QUIET_SNR_DB))
        speech = np.sqrt(np.mean(np.sort(sound**2)[-len(sound) // 2 :]) + 1e-12)
        level = speech * 10 ** (-below / 20) / (np.sqrt(np.mean(noise**2)) + 1e-9)
        return np.asarray(sound + level * noise, np.float32)

    def _make_noise(self, length: int) -> Sound:
        """Other speakers, hiss and hum, or white noise."""
        kind = float(self.random.random())
        if kind < 0.25:
            return self._make_babble(length)
        return self.make_hiss(length) if kind < 0.7 else self.random.normal(0, 1, length).astype(np.float32)

    def make_hiss(self, length: int) -> Sound:
        """Steady noise with a random slope, hum, and a slow swell."""
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
        """Three to six other speakers at once."""
        out = np.zeros(length, np.float32)
        for _ in range(int(self.random.integers(3, 7))):
            other = self.others[int(self.random.integers(len(self.others)))]
            out += np.resize(np.roll(other, int(self.random.integers(len(other)))), length)
        return out

    def _distort(self, sound: Sound) -> Sound:
        """G.711's 8 bits in mu-law steps, or clipping."""
        if self._draw_chance(0.12):
            peak = float(np.abs(sound).max()) + 1e-9
            bent = np.sign(sound) * np.log1p(255 * np.abs(sound) / peak) / np.log(256)
            bent = np.rint(bent * 127) / 127
            return np.asarray(np.sign(bent) * np.expm1(np.abs(bent) * np.log(256)) / 255 * peak, np.float32)
        if self._draw_chance(0.08):
            return (
                np.clip(sound, -1, 1)
                if (top := np.abs(sound).max()) < 1e-6
                else np.clip(sound, -top / 3, top / 3)
            )
        return sound


def fast_length(length: int) -> int:
    """A length at least as large that an FFT likes: a multiple of 4096."""
    return -(-length // 4096) * 4096


def apply_response(sound: Sound, response: NDArray[np.complex128] | NDArray[np.float64]) -> Sound:
    """The sound through a frequency response given at the bins of an FFT; keeps the length."""
    size = 2 * (len(response) - 1)
    return np.fft.irfft(np.fft.rfft(sound, size) * response, size)[: len(sound)].astype(np.float32)


def make_room_tone(sound: Sound, length: int, random: np.random.Generator) -> Sound:
    """Steady noise with the spectrum of the quietest moment of a recording of at least one: what its microphone hears
    while nobody speaks."""
    moments = sliding_window_view(sound, ROOM_TONE_WINDOW)[:: ROOM_TONE_WINDOW // 4]
    quietest = moments[np.argmin(np.sum(moments**2, axis=1))]
    spectrum = np.abs(np.fft.rfft(quietest * np.hanning(ROOM_TONE_WINDOW))) * np.sqrt(
        8 / 3 / ROOM_TONE_WINDOW
    )
    bins = np.linspace(0, len(spectrum) - 1, fast_length(length) // 2 + 1)
    response = np.interp(bins, np.arange(len(spectrum)), spectrum)
    return apply_response(random.normal(0, 1, length).astype(np.float32), response)


def make_background(random: np.random.Generator, seconds: float) -> Sound:
    """A stretch without speech: digital silence, hiss, hum, or clicks."""
    length = int(seconds * SAMPLE_RATE)
    augmenter = Augmenter(random=random, others=[])
    noise = augmenter.make_hiss(length) * random.choice([0.0, 0.01, 0.1, 0.3])
    clicks = (random.random(length) < random.choice([0.0, 2e-4])) * random.normal(0, 3, length)
    return augmenter.filter_randomly(np.asarray(noise + clicks * (np.abs(noise).mean() + 1e-4), np.float32))
