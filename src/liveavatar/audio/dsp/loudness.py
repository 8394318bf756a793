"""Integrated loudness by ITU-R BS.1770-5: K-weighted and gated, in LUFS, streaming in constant memory.

Ours instead of FFmpeg's `ebur128`, which reads speech at 8 kHz 0.2 LU too loud, ends at +10 LUFS, gives nothing under
400 ms and is slower (`benchmarks/audio/loudness.py`).
"""

import math

import numpy as np
from numpy.typing import NDArray

_BLOCK_STEPS = 4  # a gating block of 400 ms has four steps of 100 ms: blocks overlap by 75 % (annex 1)
_LOUDNESS_OFFSET_DB = -0.691  # annex 1, equation 2
_ABSOLUTE_GATE_LUFS = -70.0  # annex 1
_RELATIVE_GATE_LU = 10.0  # below the loudness of the blocks over the absolute gate; annex 1
_BINS_PER_LU = 100  # energies are summed per bin, so the width of 0.01 LU only blurs the relative gate
_BIN_COUNT = 200 * _BINS_PER_LU  # -70…130 LUFS: float files may be scaled to ±32768
_SURROUND_CHANNELS = {"SL", "SR", "BL", "BR"}
_SURROUND_WEIGHT = 1.41  # annex 1, table 3
_MIN_SHELF_RATE = 4_000  # Hz; the band of a lower rate ends below the shelf
_RESPONSE_SECONDS = 0.06  # the impulse response of K-weighting is below -120 dB from here on

# The analogue prototypes of the two filters that BS.1770 gives for 48 kHz, as in libebur128 (ebur128_init_filter).
_SHELF_HZ, _SHELF_Q, _SHELF_GAIN_DB = 1681.974450955533, 0.7071752369554196, 3.999843853973347
_SHELF_BAND_EXPONENT = 0.4996667741545416
_HIGH_PASS_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773


def _design_high_shelf(rate: int) -> tuple[list[float], list[float]]:
    """Numerator and denominator (without its leading 1) of the first stage of K-weighting, at any rate in Hz."""
    k, q, high = math.tan(math.pi * _SHELF_HZ / rate), _SHELF_Q, 10 ** (_SHELF_GAIN_DB / 20)
    band = high**_SHELF_BAND_EXPONENT
    norm = 1 + k / q + k * k
    numerator = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    return [b / norm for b in numerator], [2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]


def _design_high_pass(rate: int) -> tuple[list[float], list[float]]:
    """As `_design_high_shelf`, of the second stage, with the gain that it has at 48 kHz."""
    q = _HIGH_PASS_Q
    k, standard = (math.tan(math.pi * _HIGH_PASS_HZ / r) for r in (rate, 48_000))
    norm = 1 + k / q + k * k
    gain = (1 + standard / q + standard * standard) / norm
    return [gain, -2 * gain, gain], [2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]


def _apply_biquad(signal: list[float], numerator: list[float], denominator: list[float]) -> list[float]:
    (b0, b1, b2), (a1, a2) = numerator, denominator
    output, s1, s2 = [], 0.0, 0.0
    for x in signal:
        y = b0 * x + s1
        s1, s2 = b1 * x - a1 * y + s2, b2 * x - a2 * y
        output.append(y)
    return output


def compute_k_weighting(rate: int) -> NDArray[np.float64]:
    """Impulse response of K-weighting at `rate` Hz, float64 [taps], exact to 0.001 dB."""
    response = _apply_biquad([1.0] + [0.0] * round(_RESPONSE_SECONDS * rate), *_design_high_pass(rate))
    if rate < _MIN_SHELF_RATE:
        return np.array(response)
    return np.array(_apply_biquad(response, *_design_high_shelf(rate)))


class LoudnessMeter:
    """Integrated loudness of one stream; any chunking gives the same value."""

    def __init__(self, rate: int, layout: tuple[str, ...]) -> None:
        response = compute_k_weighting(rate)
        self._history_samples = len(response) - 1
        size = 1 << (8 * len(response)).bit_length()
        self._spectrum = np.fft.rfft(response, size).astype(np.complex64)
        self._fft_size = size
        self._step_samples = max(1, round(rate / 10))
        self._segment_samples = (size - self._history_samples) // self._step_samples * self._step_samples
        self._channel_weights = np.array([_choose_channel_weight(name) for name in layout])
        # the history of the filter, then new samples
        self._pending = np.zeros((len(layout), self._history_samples), np.float32)
        self._step_energies = np.empty(0)  # of the steps that later blocks share
        self._block_count = 0
        self._bin_counts = np.zeros(_BIN_COUNT, np.int64)
        self._bin_energies = np.zeros(_BIN_COUNT)

    def push(self, planes: NDArray[np.float32]) -> None:
        """Measure float32 [channels, n]."""
        self._pending = np.concatenate([self._pending, planes], axis=1)
        while self._pending.shape[1] - self._history_samples >= self._segment_samples:
            self._add_power(self._compute_weighted_power(self._segment_samples))
            self._pending = self._pending[:, self._segment_samples :]

    def finish(self) -> float:
        """End the stream; returns its integrated loudness in LUFS, -inf for silence, ungated if shorter than 400 ms."""
        count = self._pending.shape[1] - self._history_samples
        rest = self._compute_weighted_power(count)
        self._add_power(rest[: count - count % self._step_samples])
        if not self._bin_counts.any():
            return _energy_to_lufs(float(rest.mean())) if count and not self._block_count else -math.inf
        return self._compute_gated_loudness()

    def _compute_weighted_power(self, count: int) -> NDArray[np.float32]:
        """K-weighted power of the next `count` samples, summed over channels, float32 [count]."""
        segment = self._pending[:, : self._history_samples + count]
        filtered = np.fft.irfft(np.fft.rfft(segment, self._fft_size) * self._spectrum, self._fft_size)
        filtered = filtered[:, self._history_samples : self._history_samples + count]
        power: NDArray[np.float32] = (filtered * filtered * self._channel_weights[:, None]).sum(axis=0)
        return power

    def _add_power(self, power: NDArray[np.float32]) -> None:
        steps = np.concatenate([self._step_energies, power.reshape(-1, self._step_samples).mean(axis=1)])
        count = len(steps) - _BLOCK_STEPS + 1
        if count > 0:
            total = sum((steps[i : i + count] for i in range(1, _BLOCK_STEPS)), steps[:count])
            self._add_gating_blocks(total / _BLOCK_STEPS)
        self._step_energies = steps[max(count, 0) :]

    def _add_gating_blocks(self, blocks: NDArray[np.float64]) -> None:
        self._block_count += len(blocks)
        blocks = blocks[blocks > _lufs_to_energy(_ABSOLUTE_GATE_LUFS)]
        levels = _LOUDNESS_OFFSET_DB + 10 * np.log10(blocks)
        bins = np.clip((levels - _ABSOLUTE_GATE_LUFS) * _BINS_PER_LU, 0, _BIN_COUNT - 1).astype(np.intp)
        self._bin_counts += np.bincount(bins, minlength=_BIN_COUNT)
        self._bin_energies += np.bincount(bins, blocks, minlength=_BIN_COUNT)

    def _compute_gated_loudness(self) -> float:
        used = self._bin_counts > 0
        counts, energies = self._bin_counts[used], self._bin_energies[used]
        gate = _lufs_to_energy(_energy_to_lufs(energies.sum() / counts.sum()) - _RELATIVE_GATE_LU)
        loud = energies / counts > gate
        return _energy_to_lufs(energies[loud].sum() / counts[loud].sum())


def _choose_channel_weight(name: str) -> float:
    if name == "LFE":
        return 0.0
    return _SURROUND_WEIGHT if name in _SURROUND_CHANNELS else 1.0


def _energy_to_lufs(energy: float) -> float:
    return _LOUDNESS_OFFSET_DB + 10 * math.log10(energy) if energy > 0 else -math.inf


def _lufs_to_energy(lufs: float) -> float:
    return 10 ** ((lufs - _LOUDNESS_OFFSET_DB) / 10)
