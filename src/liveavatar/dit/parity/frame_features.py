# ruff: noqa: N803, N806  (names carry their shape, by the legend below)
"""From steps of the audio encoder to columns of pictures as the public reference does it: by way of 30 Hz.

Legend: L layers, T steps, C channels, P pictures.
"""

from fractions import Fraction

from torch import Tensor
from torch.nn import functional

_ENCODER_HZ = 50
_INTERMEDIATE_HZ = 30
"""Rate to which the reference resamples the encoder's steps before it distributes them to pictures."""

_PICTURE_HZ = 25


def resample_to_30_hz(states_LTC: Tensor) -> Tensor:
    """Linear, first step to first, last to last, int(T / 50 · 30) of them (computed in floats, like the reference)."""
    length = int(states_LTC.shape[1] / _ENCODER_HZ * _INTERMEDIATE_HZ)
    resampled = functional.interpolate(
        states_LTC.transpose(1, 2), size=length, mode="linear", align_corners=True
    )
    return resampled.transpose(1, 2)


def bucket_by_clip(states_LTC: Tensor, *, clip: int = 48) -> Tensor:
    """The nearest 30 Hz step for each picture, in whole clips of `clip` pictures, and one clip more.

    Returns [L, C, n · clip]. Pictures after the end are zeros, which are not the features of silence.
    """
    layers, length, channels = states_LTC.shape
    count = (int(length / (clip * _INTERMEDIATE_HZ / _PICTURE_HZ)) + 1) * clip
    nearest = [round(Fraction(picture * _INTERMEDIATE_HZ, _PICTURE_HZ)) for picture in range(count)]
    within = [step for step in nearest if step < length]
    columns_LPC = states_LTC.new_zeros(layers, count, channels)
    columns_LPC[:, : len(within)] = states_LTC[:, within]
    return columns_LPC.transpose(1, 2)
