"""What each block of pictures is drawn from, while the sound still comes.

Shapes: L layers of the audio encoder, T steps of 20 ms, C channels, P pictures.
"""

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from liveavatar.dit.codecs import clock, frame_features
from liveavatar.dit.codecs.audio_encoder import AudioEncoder
from liveavatar.dit.plan.config import MODEL_FPS
from liveavatar.dit.streaming.audio_encoder_stream import (
    RECORDING_WINDOW,
    EncoderWindow,
    StreamingAudioEncoder,
)
from liveavatar.frames import Samples

STEPS_PER_PICTURE = clock.STEP_RATE // MODEL_FPS
SAMPLES_PER_PICTURE = STEPS_PER_PICTURE * clock.STEP_SAMPLES


class AudioFeatureStream:
    """Hears one session. Pictures, steps and samples are counted from its start, interruptions or not."""

    def __init__(self, encoder: AudioEncoder, block_pictures: int, *, live: bool) -> None:
        """`block` is the number of pictures that are drawn at once; a recording may be heard further ahead."""
        self._window = EncoderWindow(hop=STEPS_PER_PICTURE * block_pictures) if live else RECORDING_WINDOW
        self._encoder = StreamingAudioEncoder(encoder, self._window)
        self._block_pictures = block_pictures
        self._states: Tensor | None = None
        self._first_step = 0  # the step that `_states` begin with
        self._skipped_steps = 0  # steps to come that are known from before an interruption
        self._late_samples = 0  # samples to come that belong to what is already drawn

    @property
    def lookahead(self) -> int:
        """Samples that must follow a block before it can be drawn."""
        held_back = max(0, self._window.hop - STEPS_PER_PICTURE * self._block_pictures) * clock.STEP_SAMPLES
        return self._window.lookahead + held_back + clock.RECEPTIVE_SAMPLES - clock.STEP_SAMPLES

    def push(self, samples: Samples) -> None:
        """Hear the next samples."""
        late = min(self._late_samples, len(samples))
        self._late_samples -= late
        self._append_states(self._encoder.push(samples[late:]))

    def flush(self) -> None:
        """Nothing follows: what was held back for looking ahead is heard as it is."""
        self._append_states(self._encoder.flush())

    def restart_at(self, picture: int, sample: int) -> None:
        """Forget everything from `picture` on; what is pushed next begins with `sample`.

        The sound is heard anew from the beginning of the picture's block, silence standing for what came before,
        so that steps keep coming in whole blocks.
        """
        self._drop_before_block(picture // self._block_pictures)
        if self._states is not None:
            self._states = self._states[:, : STEPS_PER_PICTURE * picture - self._first_step]
        self._skipped_steps = 0 if self._states is None else self._states.shape[1]
        self._encoder.restart()
        before = sample - self._first_step * clock.STEP_SAMPLES
        self._late_samples = max(0, -before)
        self._append_states(self._encoder.push(np.zeros(max(0, before), np.float32)))

    def read_block(self, block: int) -> Tensor | None:
        """Columns [L, C, P] of a block, or None while it has not been heard; the block before it is remembered."""
        self._drop_before_block(block - 1)
        first = block * self._block_pictures
        known = self._first_step + (0 if self._states is None else self._states.shape[1])
        if self._states is None or known < clock.count_steps_needed(
            first + self._block_pictures, Fraction(MODEL_FPS)
        ):
            return None
        return frame_features.resample_to_pictures(
            self._states, first, self._block_pictures, Fraction(MODEL_FPS), first_step=self._first_step
        )

    def _append_states(self, hops: list[Tensor]) -> None:
        for hop in hops:
            known = min(self._skipped_steps, hop.shape[1])
            self._skipped_steps -= known
            fresh = hop[:, known:]
            self._states = fresh if self._states is None else torch.cat([self._states, fresh], dim=1)

    def _drop_before_block(self, block: int) -> None:
        """Drop the steps before `block`, as far as they have come."""
        if self._states is not None:
            ahead = STEPS_PER_PICTURE * self._block_pictures * block - self._first_step
            gone = min(max(0, ahead), self._states.shape[1])
            self._states = self._states[:, gone:]
            self._first_step += gone
