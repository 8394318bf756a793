"""From lessons to long runs of features and of what to say, damaged anew every time."""

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
"""Share of lessons that begin as a stream does."""

ROOM_LEAD_SHARE, MAX_ROOM_LEAD_SECONDS = 1 / 3, 1.0
"""Share of lessons that begin at rest before which the room is heard a while longer, and for how many seconds at most.
Recordings to learn from are cut where speech begins; those that people bring are not."""

SPEECHLESS_SHARE = 1 / 14
"""Share of lessons that are followed by a stretch without speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSequence:
    """`seen` [steps, 144] features and surroundings, `wanted` [steps, COLUMNS]."""

    features: NDArray[np.float16]
    targets: NDArray[np.float16]


def load_clips(folder: Path) -> list[Clip]:
    """All clips of a folder, in the order of their names."""
    return [load_clip(path) for path in sorted(folder.glob("*.npz"))]


def make_features(samples: Floats) -> Floats:
    """The features of a whole recording, exactly as a stream sees them, [steps, 48]."""
    mel = features.compute_log_mel(features.extract_windows(samples))
    return features.to_relative_mel(
        mel, features.LevelReference().track_levels(features.mel_to_loudness(mel))
    )


def append_noise_floor(relative_mel: Floats) -> Floats:
    """Features and what is known of the surroundings at each step, [steps, 144]."""
    return np.concatenate([relative_mel, features.NoiseFloorTracker().track_bands(relative_mel)], axis=1)


def augment_example(example: Example, augmenter: Augmenter) -> FeatureSequence:
    """A lesson as another speaker would have said it in another place; it begins anywhere in the silence before
    speech, so that speech also comes without warning, or before that."""
    cut = int(augmenter.random.integers(example.lead_samples + 1))
    begun, there = example.samples[cut:], example.targets[min(cut // STEP_SAMPLES, len(example.targets) - 1)]
    led = make_room_lead(begun, there, augmenter.random)
    sound, factor = augmenter.change_speed(np.concatenate([led, begun]))
    seen = append_noise_floor(make_features(augmenter.degrade(sound)))
    was = ((np.arange(len(seen)) + 0.5) * STEP_SAMPLES * factor + cut - len(led)).astype(int) // STEP_SAMPLES
    wanted = example.targets[np.clip(was, 0, len(example.targets) - 1)]
    early = was < cut // STEP_SAMPLES
    wanted[early] = make_silence_targets(int(early.sum()))
    return FeatureSequence(features=seen.astype(np.float16), targets=wanted)


def make_room_lead(sound: Floats, first_targets: NDArray[np.float16], random: np.random.Generator) -> Floats:
    """What the microphone might have heard before a sound at whose beginning so much, [COLUMNS], is to be said."""
    rests = first_targets[VISEME_COLUMNS.start] > 0.5 and first_targets[JAW_COLUMN] < 0.05
    if not rests or len(sound) < ROOM_TONE_WINDOW or random.random() > ROOM_LEAD_SHARE:
        return np.zeros(0, np.float32)
    return make_room_tone(sound, int(random.uniform(0, MAX_ROOM_LEAD_SECONDS) * SAMPLE_RATE), random)


def make_speechless_sequence(random: np.random.Generator) -> FeatureSequence:
    """A stretch without speech."""
    seen = append_noise_floor(make_features(make_background(random, float(random.uniform(2, 6)))))
    return FeatureSequence(features=seen.astype(np.float16), targets=make_silence_targets(len(seen)))


def make_stream_start(sequence: FeatureSequence) -> FeatureSequence:
    """What a stream takes for heard before it."""
    past = features.make_initial_context(
        sequence.features[:1, : features.MEL_BANDS].astype(np.float32), PAIR_STEPS * RECEPTIVE_FIELD_PAIRS
    )
    return FeatureSequence(
        features=past.astype(np.float16), targets=make_silence_targets(PAIR_STEPS * RECEPTIVE_FIELD_PAIRS)
    )


def draw_sequence(
    examples: list[Example], shares: NDArray[np.float64], count: int, random: np.random.Generator
) -> FeatureSequence:
    """One long run of `count` lessons drawn at random, in proportion to their `shares`."""
    drawn = [examples[i] for i in random.choice(len(examples), count, p=shares / shares.sum())]
    augmenter = Augmenter(random=random, others=[lesson.samples for lesson in drawn])
    runs = []
    for lesson in drawn:
        run = augment_example(lesson, augmenter)
        if random.random() < STREAM_START_SHARE:
            runs.append(make_stream_start(run))
        runs.append(run)
        if random.random() < SPEECHLESS_SHARE:
            runs.append(make_speechless_sequence(random))
    return FeatureSequence(
        features=np.concatenate([run.features for run in runs]),
        targets=np.concatenate([run.targets for run in runs]),
    )
