"""Long sequences of features and targets, from examples that are augmented anew every time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.articulation.augment import ROOM_TONE_WINDOW, Augmenter, make_background, make_room_tone
from training.articulation.corpus import Clip, load_clip
from training.articulation.examples import JAW_COLUMN, VISEME_COLUMNS, Example, Floats, make_silence_targets

from liveavatar.speech import features
from liveavatar.speech.models.articulation import PAIR_STEPS, RECEPTIVE_FIELD_PAIRS
from liveavatar.speech.track import STEP_SAMPLES
from liveavatar.timeline import SAMPLE_RATE

STREAM_START_SHARE = 1 / 4
"""Share of examples that are preceded by the initial context of a stream."""

ROOM_LEAD_SHARE, MAX_ROOM_LEAD_SECONDS = 1 / 3, 1.0
"""Share of examples beginning at rest that are preceded by room tone, and its longest duration. Training recordings are
cut where speech begins; those of users are not."""

SPEECHLESS_SHARE = 1 / 14
"""Share of examples that are followed by a stretch without speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSequence:
    """Features with noise floor [steps, 144], and targets [steps, COLUMN_COUNT]."""

    features: NDArray[np.float16]
    targets: NDArray[np.float16]


def load_clips(folder: Path) -> list[Clip]:
    """Load the clips of a folder, in the order of their names."""
    return [load_clip(path) for path in sorted(folder.glob("*.npz"))]


def make_features(samples: Floats) -> Floats:
    """Features of a whole recording, [steps, 48], equal to those of a stream."""
    mel = features.compute_log_mel(features.extract_windows(samples))
    return features.to_relative_mel(
        mel, features.LevelReference().track_levels(features.mel_to_loudness(mel))
    )


def append_noise_floor(relative_mel: Floats) -> Floats:
    """Features [steps, 48] with the tracked noise floor beside them, [steps, 144]."""
    return np.concatenate([relative_mel, features.NoiseFloorTracker().track_bands(relative_mel)], axis=1)


def augment_example(example: Example, augmenter: Augmenter) -> FeatureSequence:
    """An example with another speed, room, microphone and noise.

    It begins anywhere in the silence before speech, so that some begin with speech, or with room tone before that.
    """
    cut = int(augmenter.random.integers(example.lead_samples + 1))
    tail, first_targets = (
        example.samples[cut:],
        example.targets[min(cut // STEP_SAMPLES, len(example.targets) - 1)],
    )
    room_lead = make_room_lead(tail, first_targets, augmenter.random)
    sound, factor = augmenter.change_speed(np.concatenate([room_lead, tail]))
    sequence_features = append_noise_floor(make_features(augmenter.degrade(sound)))
    source_steps = (
        (np.arange(len(sequence_features)) + 0.5) * STEP_SAMPLES * factor + cut - len(room_lead)
    ).astype(int) // STEP_SAMPLES
    targets = example.targets[np.clip(source_steps, 0, len(example.targets) - 1)]
    before_start = source_steps < cut // STEP_SAMPLES
    targets[before_start] = make_silence_targets(int(before_start.sum()))
    return FeatureSequence(features=sequence_features.astype(np.float16), targets=targets)


def make_room_lead(sound: Floats, first_targets: NDArray[np.float16], random: np.random.Generator) -> Floats:
    """Room tone to put before a sound that begins at rest by `first_targets` [COLUMN_COUNT]; often empty."""
    rests = first_targets[VISEME_COLUMNS.start] > 0.5 and first_targets[JAW_COLUMN] < 0.05
    if not rests or len(sound) < ROOM_TONE_WINDOW or random.random() > ROOM_LEAD_SHARE:
        return np.zeros(0, np.float32)
    return make_room_tone(sound, int(random.uniform(0, MAX_ROOM_LEAD_SECONDS) * SAMPLE_RATE), random)


def make_speechless_sequence(random: np.random.Generator) -> FeatureSequence:
    """Features and targets of 2 to 6 s without speech."""
    sequence_features = append_noise_floor(
        make_features(make_background(random, float(random.uniform(2, 6))))
    )
    return FeatureSequence(
        features=sequence_features.astype(np.float16), targets=make_silence_targets(len(sequence_features))
    )


def make_stream_start(sequence: FeatureSequence) -> FeatureSequence:
    """The initial context that a stream assumes before this sequence, with targets at rest."""
    past = features.make_initial_context(
        sequence.features[:1, : features.MEL_BANDS].astype(np.float32), PAIR_STEPS * RECEPTIVE_FIELD_PAIRS
    )
    return FeatureSequence(
        features=past.astype(np.float16), targets=make_silence_targets(PAIR_STEPS * RECEPTIVE_FIELD_PAIRS)
    )


def draw_sequence(
    examples: list[Example], shares: NDArray[np.float64], count: int, random: np.random.Generator
) -> FeatureSequence:
    """Join `count` augmented examples, drawn at random in proportion to their shares."""
    drawn = [examples[i] for i in random.choice(len(examples), count, p=shares / shares.sum())]
    augmenter = Augmenter(random=random, others=[example.samples for example in drawn])
    sequences = []
    for example in drawn:
        sequence = augment_example(example, augmenter)
        if random.random() < STREAM_START_SHARE:
            sequences.append(make_stream_start(sequence))
        sequences.append(sequence)
        if random.random() < SPEECHLESS_SHARE:
            sequences.append(make_speechless_sequence(random))
    return FeatureSequence(
        features=np.concatenate([sequence.features for sequence in sequences]),
        targets=np.concatenate([sequence.targets for sequence in sequences]),
    )
