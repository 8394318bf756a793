"""The features of speech that drive a mouth: one row for every step of 10 ms."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

STEP_SAMPLES = 160
"""Samples at 16 kHz that one step covers: step k covers [160k, 160k + 160)."""

VISEMES = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou")
"""The 15 visemes of Oculus LipSync, which follow MPEG-4."""

CONTROLS = ("jaw", "closure", "rounding", "spread", "upper_lip", "tongue")
"""Continuous controls from 0, at rest, to 1, the extreme in speech: jaw opening, lips pressed together, lips rounded,
corners drawn apart, upper lip raised, tongue tip raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTrack:
    """Features of n consecutive steps from step `start` on; the columns are float32."""

    start: int
    visemes: NDArray[np.float32]
    """[n, 15], probabilities of VISEMES; rows add up to 1."""
    controls: NDArray[np.float32]
    """[n, 6], CONTROLS, 0…1."""
    energy: NDArray[np.float32]
    """[n], loudness from 0, 40 dB under the speaker's loud passages, to 1, as loud as those."""
    pitch: NDArray[np.float32]
    """[n], semitones above or below the speaker's running median; 0 where there is no voice."""
    emphasis: NDArray[np.float32]
    """[n], 0…1, prominence of the voice over the speech before."""
    speaking: NDArray[np.float32]
    """[n], 0…1, probability of speech; it falls slowly, so that stops do not count as pauses."""

    def __len__(self) -> int:
        return len(self.energy)

    @classmethod
    def join_runs(cls, runs: list[Self]) -> Self:
        """Join consecutive runs, at least one."""
        names = [field.name for field in fields(cls) if field.name != "start"]
        joined = {name: np.concatenate([getattr(run, name) for run in runs]) for name in names}
        return cls(start=runs[0].start, **joined)

    def slice_steps(self, first: int, last: int) -> Self:
        """Rows [first, last) of this run, counted from its start."""
        names = [field.name for field in fields(self) if field.name != "start"]
        return type(self)(
            start=self.start + first, **{name: getattr(self, name)[first:last] for name in names}
        )
