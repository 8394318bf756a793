"""Audio features of one session, block by block, while the sound still comes.

Shapes: L layers of the audio encoder, T steps of 20 ms, C channels, P pictures.
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from liveavatar.dit.codecs import frame_features
from liveavatar.dit.codecs.audio_encoder import AudioEncoder
from liveavatar.dit.codecs.clock import WAV2VEC2_CLOCK
from liveavatar.dit.codecs.speech_features import SpeechEncoder, SpeechStepStream
from liveavatar.dit.plan.config import MODEL_FPS
from liveavatar.dit.streaming.audio_encoder_stream import (
    RECORDING_WINDOW,
    EncoderWindow,
    StreamingAudioEncoder,
)
from liveavatar.frames import Samples

STEPS_PER_PICTURE = int(WAV2VEC2_CLOCK.frame_to_step(1, MODEL_FPS))


class StepStream(Protocol):
    """Turns sound into steps of features, 50 a second, as it comes."""

    @property
    def hop(self) -> int:
        """Steps that come together, at least."""
        ...

    @property
    def lookahead(self) -> int:
        """Samples that must follow a hop's own before it comes."""
        ...

    def push(self, samples: Samples) -> list[Tensor]:
        """The next steps, [L, T, C] each."""
        ...

    def flush(self) -> list[Tensor]:
        """The sound is over: the remaining steps."""
        ...

    def restart(self) -> None:
        """Drop the sound."""
        ...


def open_step_stream(encoder: AudioEncoder | SpeechEncoder, block_pictures: int, *, live: bool) -> StepStream:
    """A stream of an encoder's features; `live` matters to encoders that see a window at a time."""
    if isinstance(encoder, SpeechEncoder):
        return SpeechStepStream(encoder)
    window = EncoderWindow(hop=STEPS_PER_PICTURE * block_pictures) if live else RECORDING_WINDOW
    return StreamingAudioEncoder(encoder, window)


class AudioFeatureStream:
    """Features of one session. Pictures, steps and samples are counted from its start, across interruptions."""

    def __init__(self, encoder: AudioEncoder | SpeechEncoder, block_pictures: int, *, live: bool) -> None:
        """`block_pictures` are drawn at once. With `live` the encoder's window is short, else it is a recording's."""
        self._encoder = open_step_stream(encoder, block_pictures, live=live)
        self._block_pictures = block_pictures
        self._states: Tensor | None = None
        self._first_step = 0  # number of the first step in `_states`
        self._skipped_steps = 0  # steps to come that are known from before an interruption
        self._late_samples = 0  # samples to come that belong to a block already drawn

    @property
    def lookahead(self) -> int:
        """Samples that must follow a block before it can be drawn."""
        waiting = max(0, self._encoder.hop - STEPS_PER_PICTURE * self._block_pictures)
        return self._encoder.lookahead + WAV2VEC2_CLOCK.step_start(waiting)

    def push(self, samples: Samples) -> None:
        """Add the next samples."""
        late = min(self._late_samples, len(samples))
        self._late_samples -= late
        self._append_states(self._encoder.push(samples[late:]))

    def flush(self) -> None:
        """The sound is over: encode what waited for look-ahead."""
        self._append_states(self._encoder.flush())

    def restart_at(self, picture: int, sample: int) -> None:
        """Drop everything from `picture` on; what is pushed next starts with `sample`.

        The encoder starts anew at the first sample of the picture's block, with silence before `sample`, so that steps
        keep coming in whole blocks.
        """
        self._drop_before_block(picture // self._block_pictures)
        if self._states is not None:
            self._states = self._states[:, : STEPS_PER_PICTURE * picture - self._first_step]
        self._skipped_steps = 0 if self._states is None else self._states.shape[1]
        self._encoder.restart()
        before = sample - WAV2VEC2_CLOCK.step_start(self._first_step)
        self._late_samples = max(0, -before)
        self._append_states(self._encoder.push(np.zeros(max(0, before), np.float32)))

    def read_block(self, block: int) -> Tensor | None:
        """Columns [L, C, P] of a block, or None while its sound is missing; blocks before the last one are dropped."""
        self._drop_before_block(block - 1)
        first = block * self._block_pictures
        known = self._first_step + (0 if self._states is None else self._states.shape[1])
        needed = WAV2VEC2_CLOCK.steps_for_frames(first + self._block_pictures, MODEL_FPS)
        if self._states is None or known < needed:
            return None
        return frame_features.resample_to_pictures(
            self._states, first, self._block_pictures, MODEL_FPS, first_step=self._first_step
        )

    def _append_states(self, hops: list[Tensor]) -> None:
        for hop in hops:
            known = min(self._skipped_steps, hop.shape[1])
            self._skipped_steps -= known
            new = hop[:, known:]
            self._states = new if self._states is None else torch.cat([self._states, new], dim=1)

    def _drop_before_block(self, block: int) -> None:
        """Drop the steps before `block` that are there."""
        if self._states is not None:
            surplus = STEPS_PER_PICTURE * self._block_pictures * block - self._first_step
            dropped = min(max(0, surplus), self._states.shape[1])
            self._states = self._states[:, dropped:]
            self._first_step += dropped
