# ruff: noqa: N803  (names carry their shape, by the legend below)
"""What the project's own articulation network hears, in place of a wav2vec2 encoder: 50 steps a second of 96 channels.

Step k stacks the four steps of 10 ms around sample 320k + 160: 2k - 1 to 2k + 2. Channels of one of them: 15 visemes,
6 controls, energy, emphasis and speaking.

Shapes: L layers (1), T steps of 20 ms, C channels.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from liveavatar.frames import Samples
from liveavatar.speech.stream import SpeechStream
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, VISEMES, SpeechTrack

STACKED_STEPS = 4
"""Steps of 10 ms in one step of 20 ms: its own two, and one on either side."""

STEP_CHANNELS = len(VISEMES) + len(CONTROLS) + 3

FEATURE_CHANNELS = STACKED_STEPS * STEP_CHANNELS


def list_step_channels(track: SpeechTrack) -> NDArray[np.float32]:
    """The channels of each step of 10 ms, [n, 24]."""
    levels = np.stack([track.energy, track.emphasis, track.speaking], axis=1)
    return np.concatenate([track.visemes, track.controls, levels], axis=1)


def stack_steps(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The first `count` steps of 20 ms [count, 96] of rows [n, 24], the first of which is the row before step 0.

    Step k is rows 2k to 2k + 3; beyond the end the last row is repeated.
    """
    stacked = np.clip(2 * np.arange(count)[:, None] + np.arange(STACKED_STEPS), 0, len(rows) - 1)
    features: NDArray[np.float32] = rows[stacked].reshape(count, FEATURE_CHANNELS)
    return features


class SpeechEncoder(nn.Module):
    """`mean` and `spread` [C], by which features are standardised; sessions share it."""

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURE_CHANNELS))
        self.register_buffer("spread", torch.ones(FEATURE_CHANNELS))

    def standardise(self, features_TC: NDArray[np.float32]) -> Tensor:
        """Features with mean 0 and spread 1 over speech, [1, T, C]."""
        return ((torch.from_numpy(features_TC).to(self.mean) - self.mean) / self.spread)[None]


class SpeechStepStream:
    """Features of a stream of sound, as they become certain; the cuts between pushes have no effect."""

    hop = 1

    def __init__(self, encoder: SpeechEncoder) -> None:
        self._encoder = encoder
        self._speech = SpeechStream()
        self.restart()

    @property
    def lookahead(self) -> int:
        """Samples that must follow a step before it is emitted: the articulation network's."""
        return self._speech.lookahead

    def restart(self) -> None:
        """Drop the sound, as after an interruption."""
        self._speech.reset()
        self._rows = np.zeros((0, STEP_CHANNELS), np.float32)  # from the row before the next step on
        self._emitted_steps = 0
        self._samples = 0

    def push(self, samples: Samples) -> list[Tensor]:
        """The next steps, [L, T, C], none or one tensor of them."""
        self._samples += len(samples)
        self._append_track(self._speech.push(samples))
        return self._emit_steps((len(self._rows) - STACKED_STEPS) // 2 + 1)

    def flush(self) -> list[Tensor]:
        """The sound is over: the remaining steps."""
        self._append_track(self._speech.flush())
        return self._emit_steps(self._samples // (2 * STEP_SAMPLES) - self._emitted_steps)

    def _append_track(self, track: SpeechTrack) -> None:
        rows = list_step_channels(track)
        is_first = not len(self._rows) and not self._emitted_steps
        self._rows = np.concatenate([self._rows, rows[:1], rows] if is_first else [self._rows, rows])

    def _emit_steps(self, count: int) -> list[Tensor]:
        if count < 1:
            return []
        features = stack_steps(self._rows, count)
        self._rows = self._rows[2 * count :]
        self._emitted_steps += count
        return [self._encoder.standardise(features)]
