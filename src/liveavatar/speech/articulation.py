"""Mouth shapes from log-mel features, by rules on the energy in a few bands."""

import numpy as np
from numpy.typing import NDArray

from liveavatar.speech.features import BANDS
from liveavatar.speech.track import CONTROLS, VISEMES

BLOCK = 8
"""Steps that are computed together. A step always has the same place in its block, so its bits do not
depend on how the sound arrived."""

DELAY = 6
"""Steps of look-ahead."""


class ArticulationStream:
    """Visemes and controls of one stream of features."""

    def __init__(self) -> None:
        self._seen = np.full((DELAY + BLOCK, BANDS), -2.0, np.float32)

    def push(self, new: NDArray[np.float32], place: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Relative log-mel [n, 48] of steps at `place` in their block to visemes [n, 15] and controls
        [n, 6] of the steps DELAY earlier."""
        rows = slice(place, place + len(new))
        self._seen[DELAY + place : DELAY + place + len(new)] = new
        visemes, controls = self._shape(self._seen[:BLOCK])
        if rows.stop == BLOCK:
            self._seen[:DELAY] = self._seen[BLOCK:].copy()
        return visemes[rows], controls[rows]

    def _shape(self, block: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        low, first, second, high = (
            block[:, a:b].mean(axis=1) for a, b in ((2, 10), (10, 18), (18, 30), (36, 48))
        )
        loud = np.clip(block.max(axis=1) * 1.4 + 0.1, 0.0, 1.0)
        hiss = np.clip(1.5 * (high - np.maximum(low, first)), 0.0, 1.0) * loud
        hum = (
            np.clip(2.0 * (low - first) - 0.6, 0.0, 1.0)
            * np.clip(1.0 - 1.5 * (second + 0.4), 0.0, 1.0)
            * loud
        )
        vowel = np.clip(loud - hiss - hum, 0.0, 1.0)
        front = np.clip(0.5 + second - first, 0.0, 1.0)
        controls = np.zeros((len(block), len(CONTROLS)), np.float32)
        controls[:, 0] = vowel * np.clip(0.25 + 1.2 * (first + 0.2), 0.0, 1.0)
        controls[:, 1] = hum
        controls[:, 2] = vowel * (1.0 - front)
        controls[:, 3] = vowel * front + 0.5 * hiss
        controls[:, 5] = 0.7 * hiss
        return self._visemes(loud, hiss, hum, vowel, front), controls

    @staticmethod
    def _visemes(
        loud: NDArray[np.float32],
        hiss: NDArray[np.float32],
        hum: NDArray[np.float32],
        vowel: NDArray[np.float32],
        front: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        scores = np.zeros((len(loud), len(VISEMES)), np.float32)
        scores[:, VISEMES.index("sil")] = 1.0 - loud
        scores[:, VISEMES.index("SS")] = hiss
        scores[:, VISEMES.index("PP")] = hum
        scores[:, VISEMES.index("E")] = vowel * front
        scores[:, VISEMES.index("oh")] = vowel * (1.0 - front)
        return np.asarray(scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-6), np.float32)
