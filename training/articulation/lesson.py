"""What the network is to say at every step of a recording: what the labels know, what the teacher heard, or both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from training.articulation.corpus import Clip
from training.articulation.phones import SIGNS
from training.articulation.targets import make_targets

from liveavatar.speech.track import CONTROLS, VISEMES

Floats = NDArray[np.float32]
SAID = slice(0, len(VISEMES))
MOVED = slice(SAID.stop, SAID.stop + len(CONTROLS))
SOUNDED = slice(MOVED.stop, MOVED.stop + len(SIGNS))
COLUMNS = SOUNDED.stop
"""Probabilities of visemes, controls, and probabilities of sounds, side by side."""

JAW = MOVED.start + CONTROLS.index("jaw")
LIPS, CLOSURE = VISEMES.index("PP"), MOVED.start + CONTROLS.index("closure")
"""Columns that say that the lips are together."""

NEAR, AROUND = 6, 3
"""Steps from a labelled closure up to which the teacher is believed to hear it, and that count as its own."""

HEARD = 0.6
"""How likely the teacher has to find a closure somewhere, to be believed when it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """`speaker` as in `Clip`, `samples` at 16 kHz, `wanted` [steps, COLUMNS], and `lead`: samples before speech."""

    speaker: str
    samples: Floats
    wanted: NDArray[np.float16]
    lead: int


def known(clip: Clip) -> NDArray[np.float16]:
    """What the labels say, [steps, COLUMNS]."""
    targets = make_targets(clip)
    visemes = np.eye(len(VISEMES), dtype=np.float16)[targets.visemes]
    sounds = np.eye(len(SIGNS), dtype=np.float16)[targets.sounds]
    return np.concatenate([visemes, targets.controls.astype(np.float16), sounds], axis=1)


def closed_as_written(heard: Floats, labels: NDArray[np.float16]) -> Floats:
    """What the teacher heard, [steps, COLUMNS], but for the lips: whether they close, the text knows; the teacher only
    hears when. Where it does not hear a closure at all, the labels stand alone."""
    closed = labels[:, LIPS] > 0.5
    far = np.convolve(closed, np.ones(2 * NEAR + 1), "same") == 0
    told = heard.copy()
    told[far, LIPS] = 0.0
    told[far, CLOSURE] = np.minimum(heard, labels)[far, CLOSURE]
    rest = told[:, SAID].sum(axis=1, keepdims=True)
    unheard = rest[:, 0] < 1 - HEARD
    told[:, SAID] /= np.maximum(rest, 1 - HEARD)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        own = slice(max(0, first - AROUND), last + AROUND)
        unheard[own] |= heard[own, LIPS].max() < HEARD
    return np.where(unheard[:, None], labels, told).astype(np.float32)


def labelled(clip: Clip, heard: Floats | None = None) -> Lesson:
    """A lesson of the labels alone, or of their mean with what the teacher `heard`, [steps, COLUMNS]."""
    wanted = known(clip)
    if heard is not None:
        wanted = np.asarray(0.5 * (wanted + closed_as_written(heard, wanted)), np.float16)
    lead = next((first for phone, first, _ in clip.phones if phone), 0)
    return Lesson(speaker=clip.speaker, samples=clip.samples, wanted=wanted, lead=lead)


def overheard(speaker: str, samples: Floats, heard: Floats) -> Lesson:
    """A lesson of the teacher alone."""
    lead = int(np.argmax(heard[:, 0] < 0.5)) * 160
    return Lesson(speaker=speaker, samples=samples, wanted=heard.astype(np.float16), lead=lead)


def shut(steps: int) -> NDArray[np.float16]:
    """What to say where nobody speaks."""
    wanted = np.zeros((steps, COLUMNS), np.float16)
    wanted[:, [SAID.start, SOUNDED.start]] = 1.0
    return wanted
