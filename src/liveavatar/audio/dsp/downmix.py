"""Downmix to mono that keeps a voice whose channels have opposite polarity, or that is on one side only.

Ours because every library averages the channels, which cancels a voice of opposite polarity (a miswired cable, a "wide"
effect). Here the polarity of the right side follows the correlation of the two sides over the last half second. It is
decided once per step of 20 ms and fades over one step. Steps are counted in samples from the start of the stream, so
any chunking gives the same samples to the last bit, for files and live sound alike. Output lags by at most one step.
"""

import numpy as np
from numpy.typing import NDArray

_SURROUND_GAIN = np.float32(0.5**0.5)  # ITU-R BS.775-4, table 2: rear and centre channels enter at -3 dB
_STEPS_PER_SECOND = 50
_CORRELATION_STEPS = 25  # steps over which the correlation is taken: half a second
_POLARITY_THRESHOLD = (
    0.4  # absolute correlation from which the polarity is decided; below, it does not change
)
_LEFT_WEIGHTS = {
    "FL": np.float32(1),
    "SL": _SURROUND_GAIN,
    "BL": _SURROUND_GAIN,
    "FLC": _SURROUND_GAIN,
    "DL": np.float32(1),
}
_RIGHT_WEIGHTS = {
    "FR": np.float32(1),
    "SR": _SURROUND_GAIN,
    "BR": _SURROUND_GAIN,
    "FRC": _SURROUND_GAIN,
    "DR": np.float32(1),
}
_MIDDLE_WEIGHTS = {
    "FC": 2 * _SURROUND_GAIN,
    "BC": _SURROUND_GAIN,
    "LFE": np.float32(0),
}  # FC enters both sides
_DEFAULT_LAYOUTS: dict[int, tuple[str, ...]] = {
    1: ("FC",),
    2: ("FL", "FR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


def default_layout(channels: int) -> tuple[str, ...]:
    """Channel names, as FFmpeg's, for a number of channels; "NONE" for each where no layout is usual."""
    return _DEFAULT_LAYOUTS.get(channels, ("NONE",) * channels)


def polarity_step_samples(rate: int) -> int:
    """Samples from one decision about polarity to the next: 20 ms."""
    return max(1, round(rate / _STEPS_PER_SECOND))


class Downmixer:
    """Mixes one stream to mono at the same rate.

    Named channels have the weights of ITU-R BS.775-4, others equal ones, without the low-frequency channel; their
    sum is 1, so that input within -1…1 gives output within -1…1. `step_count` counts the decisions about polarity so
    far, `inverted_step_count` those after which the right side is inverted.
    """

    def __init__(self, rate: int, layout: tuple[str, ...]) -> None:
        self._layout = layout
        self._step_samples = polarity_step_samples(rate)
        is_named = any(name in _LEFT_WEIGHTS | _RIGHT_WEIGHTS | _MIDDLE_WEIGHTS for name in layout)
        self._middle_weights = _MIDDLE_WEIGHTS if is_named else dict.fromkeys(layout, np.float32(1))
        tables = (_LEFT_WEIGHTS, _RIGHT_WEIGHTS, self._middle_weights)
        total = sum(float(weights.get(name, 0)) for name in layout for weights in tables)
        self._scale = np.float32(1 / total) if total else np.float32(1)
        self._has_middle = any(self._middle_weights.get(name) for name in layout)
        has_left, has_right = (
            any(name in side for name in layout) for side in (_LEFT_WEIGHTS, _RIGHT_WEIGHTS)
        )
        self._has_sides = has_left and has_right
        self.clear()

    def clear(self) -> None:
        """Drop all state, for another stream."""
        self._pending = np.empty((0, len(self._layout)), np.float32)
        # sums of left², right² and left·right over each of the last steps
        self._past_energies = np.zeros((_CORRELATION_STEPS - 1, 3))
        self._polarity = np.float32(0)  # 0: not decided yet
        self.step_count = 0
        self.inverted_step_count = 0

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix float32 [n, channels]; returns the complete steps, float32 [m]."""
        if len(self._layout) == 1:
            return samples[:, 0]
        if not self._has_sides:
            return self._sum_channels(samples, self._middle_weights) * self._scale
        if len(self._pending):
            samples = np.concatenate([self._pending, samples])
        complete = len(samples) - len(samples) % self._step_samples
        self._pending = samples[complete:].copy()
        return self._mix_steps(samples[:complete]) if complete else np.empty(0, np.float32)

    def flush(self) -> NDArray[np.float32]:
        """End the stream; returns the last, incomplete step, float32 [m]. Call `clear` before another stream."""
        left = self._sum_channels(self._pending, _LEFT_WEIGHTS)
        right = self._sum_channels(self._pending, _RIGHT_WEIGHTS)
        return self._combine_sides(self._pending, left, (self._polarity or np.float32(1)) * right)

    def _mix_steps(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        left, right = self._sum_channels(samples, _LEFT_WEIGHTS), self._sum_channels(samples, _RIGHT_WEIGHTS)
        polarities = self._compute_polarities(left, right)
        return self._combine_sides(samples, left, right if polarities is None else polarities.ravel() * right)

    def _combine_sides(
        self, samples: NDArray[np.float32], left: NDArray[np.float32], right: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The scaled sum of both sides and the middle channels, float32 [n]."""
        total = left + right
        if self._has_middle:
            total += self._sum_channels(samples, self._middle_weights)
        total *= self._scale
        return total

    def _compute_polarities(
        self, left: NDArray[np.float32], right: NDArray[np.float32]
    ) -> NDArray[np.float32] | None:
        """Polarity of the right side for every sample, float32 [steps, step samples]; None if it is 1 throughout."""
        signs = self._decide_polarities(
            left.reshape(-1, self._step_samples), right.reshape(-1, self._step_samples)
        )
        self.step_count += len(signs)
        self.inverted_step_count += int((signs < 0).sum())
        before = np.concatenate([[self._polarity or signs[0]], signs[:-1]]).astype(np.float32)[:, None]
        self._polarity = signs[-1]
        if (before > 0).all() and signs[-1] > 0:
            return None
        fade = np.arange(1, self._step_samples + 1, dtype=np.float32) / np.float32(self._step_samples)
        return before + (signs[:, None] - before) * fade

    def _decide_polarities(
        self, left: NDArray[np.float32], right: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Polarity of the right side at the end of each step, 1 or -1, float32 [steps]."""
        a, b = left[:, ::8].copy(), right[:, ::8].copy()  # every eighth sample is enough
        energies = np.stack([np.vecdot(a, a), np.vecdot(b, b), np.vecdot(a, b)], axis=1)
        energies = np.concatenate([self._past_energies, energies])
        self._past_energies = energies[len(energies) - _CORRELATION_STEPS + 1 :]
        window = _compute_rolling_sums(energies, _CORRELATION_STEPS)
        is_decided = np.abs(window[:, 2]) > _POLARITY_THRESHOLD * np.sqrt(window[:, 0] * window[:, 1])
        decided = np.where(is_decided, np.sign(window[:, 2]), 0).astype(np.float32)
        return _hold_last_value(decided, self._polarity or np.float32(1))

    def _sum_channels(
        self, samples: NDArray[np.float32], weights: dict[str, np.float32]
    ) -> NDArray[np.float32]:
        """Weighted sum of channels, float32 [n], one after another: the rounding of a matrix product depends on n."""
        total: NDArray[np.float32] | None = None
        for index, name in enumerate(self._layout):
            weight = weights.get(name, np.float32(0))
            if weight:
                part = samples[:, index] if weight == 1 else weight * samples[:, index]
                total = part if total is None else total + part
        return np.zeros(len(samples), np.float32) if total is None else total


def _compute_rolling_sums(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Sums over `length` consecutive rows, added as runs of 1, 2, 4, … rows: the rounding never varies."""
    count, start, span, runs = len(values) - length + 1, 0, 1, values
    total = np.zeros((count, values.shape[1]))
    while span <= length:
        if length & span:
            total += runs[start : start + count]
            start += span
        runs, span = runs[:-span] + runs[span:], 2 * span
    return total


def _hold_last_value(values: NDArray[np.float32], before: np.float32) -> NDArray[np.float32]:
    """Replace each zero by the last non-zero value, at the start by `before`."""
    last = np.maximum.accumulate(np.where(values != 0, np.arange(1, len(values) + 1), 0))
    return np.concatenate([[before], values]).astype(np.float32)[last]
