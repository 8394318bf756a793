# ruff: noqa: N803, N806  (names carry their shape, by the legend below)
"""From steps of the audio encoder to one column of features a picture, by exact time.

Legend: L layers, T steps, C channels, P pictures.
"""

from fractions import Fraction

import torch
from torch import Tensor

from liveavatar.dit.codecs.clock import WAV2VEC2_CLOCK


def resample_to_pictures(
    states_LTC: Tensor, first: int, count: int, fps: Fraction, *, first_step: int = 0
) -> Tensor:
    """Columns [L, C, P] of `count` pictures from `first` on, linear between steps; `states_LTC` starts at `first_step`.

    A picture after the last step takes the last step.
    """
    positions = [
        WAV2VEC2_CLOCK.frame_to_step(picture, fps) - first_step for picture in range(first, first + count)
    ]
    last = states_LTC.shape[1] - 1
    low = torch.tensor([min(int(position), last) for position in positions], device=states_LTC.device)
    share = states_LTC.new_tensor([float(position % 1) for position in positions])
    columns_LPC = torch.lerp(states_LTC[:, low], states_LTC[:, (low + 1).clamp(max=last)], share[:, None])
    return columns_LPC.transpose(1, 2)
