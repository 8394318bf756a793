"""What the network is to say at every step of a recording: what the labels know, what the teacher heard, or both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from training.articulation.corpus import Clip
from training.articulation.phones import IPA_SIGNS
from training.articulation.targets import make_targets

from liveavatar.speech.track import CONTROLS, VISEMES

Floats = NDArray[np.float32]
VISEME_COLUMNS = slice(0, len(VISEMES))
CONTROL_COLUMNS = slice(VISEME_COLUMNS.stop, VISEME_COLUMNS.stop + len(CONTROLS))
SOUND_COLUMNS = slice(CONTROL_COLUMNS.stop, CONTROL_COLUMNS.stop + len(IPA_SIGNS))
COLUMN_COUNT = SOUND_COLUMNS.stop
"""Probabilities of visemes, controls, and probabilities of sounds, side by side."""

JAW_COLUMN = CONTROL_COLUMNS.start + CONTROLS.index("jaw")
BILABIAL_COLUMN, CLOSURE_COLUMN = VISEMES.index("PP"), CONTROL_COLUMNS.start + CONTROLS.index("closure")
"""Columns that say that the lips are together."""

NEAR_STEPS, AROUND_STEPS = 6, 3
"""Steps from a labelled closure up to which the teacher is believed to hear it, and that count as its own."""

MIN_CLOSURE_PROBABILITY = 0.6
"""How likely the teacher has to find a closure somewhere, to be believed when it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """`speaker` as in `Clip`, `samples` at 16 kHz, `wanted` [steps, COLUMNS], and `lead`: samples before speech."""

    speaker: str
    samples: Floats
    targets: NDArray[np.float16]
    lead_samples: int


def make_label_targets(clip: Clip) -> NDArray[np.float16]:
    """What the labels say, [steps, COLUMNS]."""
    targets = make_targets(clip)
    visemes = np.eye(len(VISEMES), dtype=np.float16)[targets.visemes]
    sounds = np.eye(len(IPA_SIGNS), dtype=np.float16)[targets.sounds]
    return np.concatenate([visemes, targets.controls.astype(np.float16), sounds], axis=1)


def align_closures(predicted: Floats, labels: NDArray[np.float16]) -> Floats:
    """What the teacher heard, [steps, COLUMNS], but for the lips: whether they close, the text knows; the teacher only
    hears when. Where it does not hear a closure at all, the labels stand alone."""
    closed = labels[:, BILABIAL_COLUMN] > 0.5
    far = np.convolve(closed, np.ones(2 * NEAR_STEPS + 1), "same") == 0
    told = predicted.copy()
    told[far, BILABIAL_COLUMN] = 0.0
    told[far, CLOSURE_COLUMN] = np.minimum(predicted, labels)[far, CLOSURE_COLUMN]
    rest = told[:, VISEME_COLUMNS].sum(axis=1, keepdims=True)
    unheard = rest[:, 0] < 1 - MIN_CLOSURE_PROBABILITY
    told[:, VISEME_COLUMNS] /= np.maximum(rest, 1 - MIN_CLOSURE_PROBABILITY)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        own = slice(max(0, first - AROUND_STEPS), last + AROUND_STEPS)
        unheard[own] |= predicted[own, BILABIAL_COLUMN].max() < MIN_CLOSURE_PROBABILITY
    return np.where(unheard[:, None], labels, told).astype(np.float32)


def label_example(clip: Clip, predicted: Floats | None = None) -> Example:
    """A lesson of the labels alone, or of their mean with what the teacher `heard`, [steps, COLUMNS]."""
    wanted = make_label_targets(clip)
    if predicted is not None:
        wanted = np.asarray(0.5 * (wanted + align_closures(predicted, wanted)), np.float16)
    lead = next((first for phone, first, _ in clip.phones if phone), 0)
    return Example(speaker=clip.speaker, samples=clip.samples, targets=wanted, lead_samples=lead)


def pseudo_label(speaker: str, samples: Floats, predicted: Floats) -> Example:
    """A lesson of the teacher alone."""
    lead = int(np.argmax(predicted[:, 0] < 0.5)) * 160
    return Example(speaker=speaker, samples=samples, targets=predicted.astype(np.float16), lead_samples=lead)


def make_silence_targets(steps: int) -> NDArray[np.float16]:
    """What to say where nobody speaks."""
    wanted = np.zeros((steps, COLUMN_COUNT), np.float16)
    wanted[:, [VISEME_COLUMNS.start, SOUND_COLUMNS.start]] = 1.0
    return wanted
