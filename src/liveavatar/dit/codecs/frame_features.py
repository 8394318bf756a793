# ruff: noqa: N803, N806  (names carry their shape, by the legend below)
"""From the steps of the audio encoder to the columns of pictures: by exact time, or as the public reference does.

Legend: L layers, T steps, C channels, P pictures.
"""

from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional

from liveavatar.dit.codecs import clock

_REFERENCE_RATE = 30
"""Hz of the features between the encoder and the pictures, in the public reference."""


def resample_to_pictures(
    states_LTC: Tensor, first: int, count: int, fps: Fraction, *, first_step: int = 0
) -> Tensor:
    """The columns [L, C, P] of `count` pictures from `first` on, by exact time; `states` begin with step `begin`.

    A picture after the last step hears the last step.
    """
    at = [clock.picture_to_step(first + index, fps) - first_step for index in range(count)]
    last = states_LTC.shape[1] - 1
    low = torch.tensor([min(int(position), last) for position in at], device=states_LTC.device)
    share = states_LTC.new_tensor([float(position % 1) for position in at])
    columns_LPC = torch.lerp(states_LTC[:, low], states_LTC[:, (low + 1).clamp(max=last)], share[:, None])
    return columns_LPC.transpose(1, 2)


def resample_to_30_hz(states_LTC: Tensor) -> Tensor:
    """As the public reference resamples: first on first, last on last, int(T / 50 · 30) of them (in floats)."""
    length = int(states_LTC.shape[1] / clock.STEP_RATE * _REFERENCE_RATE)
    resampled = functional.interpolate(
        states_LTC.transpose(1, 2), size=length, mode="linear", align_corners=True
    )
    return resampled.transpose(1, 2)


def bucket_by_clip(states_LTC: Tensor, *, fps: int = 25, clip: int = 48) -> Tensor:
    """As the public reference deals 30 Hz features out to pictures: the nearest one, whole clips, and one clip more.

    Returns [L, C, n · clip]; pictures after the end are zeros, which is not what silence sounds like.
    """
    layers, length, channels = states_LTC.shape
    count = (int(length / (clip * _REFERENCE_RATE / fps)) + 1) * clip
    nearest = [round(Fraction(picture * _REFERENCE_RATE, fps)) for picture in range(count)]
    kept = [index for index in nearest if index < length]
    columns_LPC = states_LTC.new_zeros(layers, count, channels)
    columns_LPC[:, : len(kept)] = states_LTC[:, kept]
    return columns_LPC.transpose(1, 2)
