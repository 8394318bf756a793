"""What each block of pictures is drawn from, while the sound still comes.

Shapes: L layers of the audio encoder, T steps of 20 ms, C channels, P pictures.
"""

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from liveavatar.dit import audio_columns, steps
from liveavatar.dit.audio_encoder import AudioEncoder
from liveavatar.dit.audio_stream import FILE, StreamingAudioEncoder, Window
from liveavatar.dit.config import FPS
from liveavatar.frames import Samples

PICTURE_STEPS = steps.STEP_RATE // FPS
PICTURE_SAMPLES = PICTURE_STEPS * steps.STRIDE


class Listener:
    """Hears one session. Pictures, steps and samples are counted from its start, interruptions or not."""

    def __init__(self, encoder: AudioEncoder, block: int, *, live: bool) -> None:
        """`block` is the number of pictures that are drawn at once; a recording may be heard further ahead."""
        self._window = Window(hop=PICTURE_STEPS * block) if live else FILE
        self._ear = StreamingAudioEncoder(encoder, self._window)
        self._block = block
        self._states: Tensor | None = None
        self._begin = 0  # the step that `_states` begin with
        self._skip = 0  # steps to come that are known from before an interruption
        self._late = 0  # samples to come that belong to what is already drawn

    @property
    def lookahead(self) -> int:
        """Samples that must follow a block before it can be drawn."""
        held_back = max(0, self._window.hop - PICTURE_STEPS * self._block) * steps.STRIDE
        return self._window.lookahead + held_back + steps.FIELD - steps.STRIDE

    def push(self, samples: Samples) -> None:
        """Hear the next samples."""
        late = min(self._late, len(samples))
        self._late -= late
        self._take(self._ear.push(samples[late:]))

    def flush(self) -> None:
        """Nothing follows: what was held back for looking ahead is heard as it is."""
        self._take(self._ear.flush())

    def restart(self, picture: int, sample: int) -> None:
        """Forget everything from `picture` on; what is pushed next begins with `sample`.

        The sound is heard anew from the beginning of the picture's block, silence standing for what came before,
        so that steps keep coming in whole blocks.
        """
        self._forget(picture // self._block)
        if self._states is not None:
            self._states = self._states[:, : PICTURE_STEPS * picture - self._begin]
        self._skip = 0 if self._states is None else self._states.shape[1]
        self._ear.restart()
        before = sample - self._begin * steps.STRIDE
        self._late = max(0, -before)
        self._take(self._ear.push(np.zeros(max(0, before), np.float32)))

    def block(self, number: int) -> Tensor | None:
        """Columns [L, C, P] of a block, or None while it has not been heard; the block before it is remembered."""
        self._forget(number - 1)
        first = number * self._block
        known = self._begin + (0 if self._states is None else self._states.shape[1])
        if self._states is None or known < steps.steps_for(first + self._block, Fraction(FPS)):
            return None
        return audio_columns.pictures(self._states, first, self._block, Fraction(FPS), begin=self._begin)

    def _take(self, hops: list[Tensor]) -> None:
        for hop in hops:
            known = min(self._skip, hop.shape[1])
            self._skip -= known
            fresh = hop[:, known:]
            self._states = fresh if self._states is None else torch.cat([self._states, fresh], dim=1)

    def _forget(self, block: int) -> None:
        """Drop the steps before `block`, as far as they have come."""
        if self._states is not None:
            ahead = PICTURE_STEPS * self._block * block - self._begin
            gone = min(max(0, ahead), self._states.shape[1])
            self._states = self._states[:, gone:]
            self._begin += gone
