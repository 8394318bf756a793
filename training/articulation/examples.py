"""Training examples: targets for every 10 ms step of a recording, from labels, from the teacher, or from both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from training.articulation.corpus import Clip
from training.articulation.phones import IPA_SIGNS
from training.articulation.targets import make_targets

from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, VISEMES

Floats = NDArray[np.float32]

VISEME_COLUMNS = slice(0, len(VISEMES))
CONTROL_COLUMNS = slice(VISEME_COLUMNS.stop, VISEME_COLUMNS.stop + len(CONTROLS))
SOUND_COLUMNS = slice(CONTROL_COLUMNS.stop, CONTROL_COLUMNS.stop + len(IPA_SIGNS))
COLUMN_COUNT = SOUND_COLUMNS.stop
"""A row holds probabilities of visemes, controls (0…1), and probabilities of IPA sounds, side by side."""

JAW_COLUMN = CONTROL_COLUMNS.start + CONTROLS.index("jaw")
BILABIAL_COLUMN, CLOSURE_COLUMN = VISEMES.index("PP"), CONTROL_COLUMNS.start + CONTROLS.index("closure")
"""The two columns that are high while the lips are together."""

NEAR_STEPS, AROUND_STEPS = 6, 3
"""Steps around a labelled closure: where the teacher may place it, and where it must detect it to be used."""

MIN_CLOSURE_PROBABILITY = 0.6
"""Where the teacher's probability of PP stays below this over a labelled closure, the label is used alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A recording at 16 kHz, targets [steps, COLUMN_COUNT], and the number of samples before speech."""

    speaker: str
    samples: Floats
    targets: NDArray[np.float16]
    lead_samples: int


def make_label_targets(clip: Clip) -> NDArray[np.float16]:
    """Targets from a clip's phones, [steps, COLUMN_COUNT]."""
    targets = make_targets(clip)
    visemes = np.eye(len(VISEMES), dtype=np.float16)[targets.visemes]
    sounds = np.eye(len(IPA_SIGNS), dtype=np.float16)[targets.sounds]
    return np.concatenate([visemes, targets.controls.astype(np.float16), sounds], axis=1)


def align_closures(predicted: Floats, labels: NDArray[np.float16]) -> Floats:
    """The teacher's prediction [steps, COLUMN_COUNT] with lip closures only where the labels have them.

    The text tells reliably whether lips close, and the teacher when. Where the teacher misses a labelled closure, the
    labels replace its prediction.
    """
    closed = labels[:, BILABIAL_COLUMN] > 0.5
    far = np.convolve(closed, np.ones(2 * NEAR_STEPS + 1), "same") == 0
    aligned = predicted.copy()
    aligned[far, BILABIAL_COLUMN] = 0.0
    aligned[far, CLOSURE_COLUMN] = np.minimum(predicted, labels)[far, CLOSURE_COLUMN]
    remainder = aligned[:, VISEME_COLUMNS].sum(axis=1, keepdims=True)
    missed = remainder[:, 0] < 1 - MIN_CLOSURE_PROBABILITY
    aligned[:, VISEME_COLUMNS] /= np.maximum(remainder, 1 - MIN_CLOSURE_PROBABILITY)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        own = slice(max(0, first - AROUND_STEPS), last + AROUND_STEPS)
        missed[own] |= predicted[own, BILABIAL_COLUMN].max() < MIN_CLOSURE_PROBABILITY
    return np.where(missed[:, None], labels, aligned).astype(np.float32)


def label_example(clip: Clip, predicted: Floats | None = None) -> Example:
    """Make an example from labels, or from their mean with a teacher's prediction [steps, COLUMN_COUNT]."""
    targets = make_label_targets(clip)
    if predicted is not None:
        targets = np.asarray(0.5 * (targets + align_closures(predicted, targets)), np.float16)
    lead_samples = next((first for phone, first, _ in clip.phones if phone), 0)
    return Example(speaker=clip.speaker, samples=clip.samples, targets=targets, lead_samples=lead_samples)


def pseudo_label(speaker: str, samples: Floats, predicted: Floats) -> Example:
    """Make an example from a teacher's prediction alone."""
    lead_samples = int(np.argmax(predicted[:, 0] < 0.5)) * STEP_SAMPLES
    return Example(
        speaker=speaker, samples=samples, targets=predicted.astype(np.float16), lead_samples=lead_samples
    )


def make_silence_targets(steps: int) -> NDArray[np.float16]:
    """Targets without speech, [steps, COLUMN_COUNT]."""
    targets = np.zeros((steps, COLUMN_COUNT), np.float16)
    targets[:, [VISEME_COLUMNS.start, SOUND_COLUMNS.start]] = 1.0
    return targets
