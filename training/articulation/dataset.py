"""From lessons to long runs of features and of what to say, damaged anew every time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.articulation.augment import MOMENT, Augmenter, background, room_tone
from training.articulation.corpus import Clip, load
from training.articulation.lesson import JAW, SAID, Floats, Lesson, shut

from liveavatar.speech import features
from liveavatar.speech.articulation import PAIR, PAST
from liveavatar.speech.track import STEP
from liveavatar.timeline import SAMPLE_RATE

FIRST = 1 / 4
"""Share of lessons that begin as a stream does."""

LED, LEAD = 1 / 3, 1.0
"""Share of lessons that begin at rest before which the room is heard a while longer, and for how many seconds at most.
Recordings to learn from are cut where speech begins; those that people bring are not."""

EMPTY = 1 / 14
"""Share of lessons that are followed by a stretch without speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`seen` [steps, 144] features and surroundings, `wanted` [steps, COLUMNS]."""

    seen: NDArray[np.float16]
    wanted: NDArray[np.float16]


def load_clips(folder: Path) -> list[Clip]:
    """All clips of a folder, in the order of their names."""
    return [load(path) for path in sorted(folder.glob("*.npz"))]


def make_features(samples: Floats) -> Floats:
    """The features of a whole recording, exactly as a stream sees them, [steps, 48]."""
    mel = features.log_mel(features.windows(samples))
    return features.relative(mel, features.LevelReference().follow(features.loudness(mel)))


def with_surroundings(seen: Floats) -> Floats:
    """Features and what is known of the surroundings at each step, [steps, 144]."""
    return np.concatenate([seen, features.Surroundings().follow(seen)], axis=1)


def damaged(lesson: Lesson, augmenter: Augmenter) -> Run:
    """A lesson as another speaker would have said it in another place; it begins anywhere in the silence before
    speech, so that speech also comes without warning, or before that."""
    cut = int(augmenter.random.integers(lesson.lead + 1))
    begun, there = lesson.samples[cut:], lesson.wanted[min(cut // STEP, len(lesson.wanted) - 1)]
    led = room_before(begun, there, augmenter.random)
    sound, factor = augmenter.change_size(np.concatenate([led, begun]))
    seen = with_surroundings(make_features(augmenter.damage(sound)))
    was = ((np.arange(len(seen)) + 0.5) * STEP * factor + cut - len(led)).astype(int) // STEP
    wanted = lesson.wanted[np.clip(was, 0, len(lesson.wanted) - 1)]
    early = was < cut // STEP
    wanted[early] = shut(int(early.sum()))
    return Run(seen=seen.astype(np.float16), wanted=wanted)


def room_before(begun: Floats, there: NDArray[np.float16], random: np.random.Generator) -> Floats:
    """What the microphone might have heard before a sound at whose beginning so much, [COLUMNS], is to be said."""
    rests = there[SAID.start] > 0.5 and there[JAW] < 0.05
    if not rests or len(begun) < MOMENT or random.random() > LED:
        return np.zeros(0, np.float32)
    return room_tone(begun, int(random.uniform(0, LEAD) * SAMPLE_RATE), random)


def nobody(random: np.random.Generator) -> Run:
    """A stretch without speech."""
    seen = with_surroundings(make_features(background(random, float(random.uniform(2, 6)))))
    return Run(seen=seen.astype(np.float16), wanted=shut(len(seen)))


def beginning(run: Run) -> Run:
    """What a stream takes for heard before it."""
    past = features.before(run.seen[:1, : features.BANDS].astype(np.float32), PAIR * PAST)
    return Run(seen=past.astype(np.float16), wanted=shut(PAIR * PAST))


def draw(lessons: list[Lesson], shares: NDArray[np.float64], count: int, random: np.random.Generator) -> Run:
    """One long run of `count` lessons drawn at random, in proportion to their `shares`."""
    drawn = [lessons[i] for i in random.choice(len(lessons), count, p=shares / shares.sum())]
    augmenter = Augmenter(random=random, others=[lesson.samples for lesson in drawn])
    runs = []
    for lesson in drawn:
        run = damaged(lesson, augmenter)
        if random.random() < FIRST:
            runs.append(beginning(run))
        runs.append(run)
        if random.random() < EMPTY:
            runs.append(nobody(random))
    return Run(
        seen=np.concatenate([run.seen for run in runs]), wanted=np.concatenate([run.wanted for run in runs])
    )
