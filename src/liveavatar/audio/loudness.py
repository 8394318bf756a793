"""Loudness as ITU-R BS.1770-5 defines it: K-weighted, gated, in LUFS; streaming, in constant memory."""

import math

import numpy as np
from numpy.typing import NDArray

_BLOCK_STEPS = 4  # a gating block of 400 ms is four steps of 100 ms, so blocks overlap by 75 % (annex 1)
_OFFSET = -0.691  # dB, annex 1 equation 2
_ABSOLUTE_GATE = -70.0  # LUFS
_RELATIVE_GATE = 10.0  # LU under the loudness of what passes the absolute gate
_BINS_PER_LU = 100
_BINS = 200 * _BINS_PER_LU  # -70…130 LUFS: float files may be scaled to ±32768
_SURROUND = {"SL", "SR", "BL", "BR"}
_SHELF_RATE = 4_000  # Hz; a slower signal lies below the shelf as a whole
_RESPONSE = 0.06  # seconds after which K-weighting's impulse response is below -120 dB


def _high_shelf(rate: int) -> tuple[list[float], list[float]]:
    """First stage of K-weighting at any rate: BS.1770's 48 kHz filter taken back to its analogue form."""
    k = math.tan(math.pi * 1681.974450955533 / rate)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    norm = 1 + k / q + k * k
    numerator = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    return [b / norm for b in numerator], [2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]


def _high_pass(rate: int) -> tuple[list[float], list[float]]:
    """Second stage of K-weighting at any rate, with the gain it has at 48 kHz."""
    q = 0.5003270373238773
    k, standard = (math.tan(math.pi * 38.13547087602444 / r) for r in (rate, 48_000))
    norm = 1 + k / q + k * k
    gain = (1 + standard / q + standard * standard) / norm
    return [gain, -2 * gain, gain], [2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]


def _filtered(signal: list[float], numerator: list[float], denominator: list[float]) -> list[float]:
    (b0, b1, b2), (a1, a2) = numerator, denominator
    output, s1, s2 = [], 0.0, 0.0
    for x in signal:
        y = b0 * x + s1
        s1, s2 = b1 * x - a1 * y + s2, b2 * x - a2 * y
        output.append(y)
    return output


def k_weighting(rate: int) -> NDArray[np.float64]:
    """Impulse response of the K-weighting filter at `rate` Hz, long enough to be exact to 0.001 dB."""
    response = _filtered([1.0] + [0.0] * round(_RESPONSE * rate), *_high_pass(rate))
    if rate < _SHELF_RATE:
        return np.array(response)
    return np.array(_filtered(response, *_high_shelf(rate)))


class Loudness:
    """Integrated loudness of one stream; any chunking gives the same value."""

    def __init__(self, rate: int, layout: tuple[str, ...]) -> None:
        response = k_weighting(rate)
        self._tail = len(response) - 1
        size = 1 << (8 * len(response)).bit_length()
        self._spectrum = np.fft.rfft(response, size).astype(np.complex64)
        self._size = size
        self._step = max(1, round(rate / 10))
        self._take = (size - self._tail) // self._step * self._step
        weights = [0.0 if name == "LFE" else 1.41 if name in _SURROUND else 1.0 for name in layout]
        self._weights = np.array(weights)
        self._waiting = np.zeros((len(layout), self._tail), np.float32)  # filter history, then new samples
        self._steps = np.empty(0)  # energies of steps that still belong to coming blocks
        self._blocks = 0
        self._counts = np.zeros(_BINS, np.int64)
        self._energies = np.zeros(_BINS)

    def push(self, planes: NDArray[np.float32]) -> None:
        """Hear float32 [channels, n]."""
        self._waiting = np.concatenate([self._waiting, planes], axis=1)
        while self._waiting.shape[1] - self._tail >= self._take:
            self._hear(self._weighted(self._take))
            self._waiting = self._waiting[:, self._take :]

    def finish(self) -> float:
        """Integrated loudness in LUFS of everything heard; -inf for silence. Shorter than 400 ms: ungated."""
        count = self._waiting.shape[1] - self._tail
        rest = self._weighted(count)
        self._hear(rest[: count - count % self._step])
        if not self._counts.any():
            return _lufs(float(rest.mean())) if count and not self._blocks else -math.inf
        return self._gated()

    def _weighted(self, count: int) -> NDArray[np.float32]:
        """K-weighted power of the next `count` samples, summed over channels, [count]."""
        block = self._waiting[:, : self._tail + count]
        shaped = np.fft.irfft(np.fft.rfft(block, self._size) * self._spectrum, self._size)
        shaped = shaped[:, self._tail : self._tail + count]
        power: NDArray[np.float32] = (shaped * shaped * self._weights[:, None]).sum(axis=0)
        return power

    def _hear(self, power: NDArray[np.float32]) -> None:
        steps = np.concatenate([self._steps, power.reshape(-1, self._step).mean(axis=1)])
        count = len(steps) - _BLOCK_STEPS + 1
        if count > 0:
            self._gather(
                sum((steps[i : i + count] for i in range(1, _BLOCK_STEPS)), steps[:count]) / _BLOCK_STEPS
            )
        self._steps = steps[max(count, 0) :]

    def _gather(self, blocks: NDArray[np.float64]) -> None:
        self._blocks += len(blocks)
        blocks = blocks[blocks > _energy(_ABSOLUTE_GATE)]
        levels = _OFFSET + 10 * np.log10(blocks)
        bins = np.clip((levels - _ABSOLUTE_GATE) * _BINS_PER_LU, 0, _BINS - 1).astype(np.intp)
        self._counts += np.bincount(bins, minlength=_BINS)
        self._energies += np.bincount(bins, blocks, minlength=_BINS)

    def _gated(self) -> float:
        used = self._counts > 0
        counts, energies = self._counts[used], self._energies[used]
        gate = _energy(_lufs(energies.sum() / counts.sum()) - _RELATIVE_GATE)
        loud = energies / counts > gate
        return _lufs(energies[loud].sum() / counts[loud].sum())


def _lufs(energy: float) -> float:
    return _OFFSET + 10 * math.log10(energy) if energy > 0 else -math.inf


def _energy(lufs: float) -> float:
    return 10 ** ((lufs - _OFFSET) / 10)
