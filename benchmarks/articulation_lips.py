"""From what lips are best read: closures found and justified by several readings of what the small network says.

    python -m benchmarks.articulation_lips CORPUS

Every reading between the first and the last is a regression fitted to the clips of CORPUS/valid as
training/articulation/lips.py does, and takes as many steps of the past as it says. Its threshold is where as many of
those clips' closures are found as claims are justified, by regressions that were fitted to the other half of them.
The printed table is in training/articulation/README.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.articulation import (
    CLEAN,
    CLOSED,
    CLOSURE,
    CONDITIONS,
    NOISY,
    Score,
    count_closures,
    found_justified,
    groups_of,
    read_again,
    runs_of,
)
from benchmarks.articulation_limit import small_ear
from training.articulation.corpus import Clip
from training.articulation.dataset import load_clips
from training.articulation.lesson import MOVED, Floats
from training.articulation.lips import DAMAGED, examples, fit
from training.articulation.targets import closures, make_targets

from liveavatar.speech.articulation import Lips, Rows
from liveavatar.speech.track import VISEMES

MEAN_THRESHOLD = 0.40
COLUMNS = [
    ("English, real, all", CLEAN), ("English, synthetic", CLEAN), ("Mandarin, synthetic", CLEAN),
    ("Mandarin, real, syllables-3", CLEAN), ("English, real, all", NOISY), ("English, synthetic", NOISY),
    ("Mandarin, synthetic", NOISY),
]  # fmt: skip

Reading = Callable[[Rows], Rows]
"""What is heard [n, 21] to how closed lips seem, [n]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A clip, how it was stored, and what the network says of it, [steps, 21]."""

    clip: Clip
    how: str
    said: Rows


def by_mean(said: Rows) -> Rows:
    """The mean of the closure control and of the viseme PP."""
    return np.asarray(0.5 * (said[:, MOVED][:, CLOSURE] + said[:, VISEMES.index("PP")]), np.float32)


def as_shipped(said: Rows) -> Rows:
    """The closure control, which was fitted to the clips for choosing, and not in halves."""
    return Lips().settle(said)[1][:, CLOSURE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What clips sound like, [steps, READ * 21], when their lips are `together`, and the `course` of them, [steps]."""

    rows: Floats
    together: Floats
    course: Floats

    @classmethod
    def of(cls, heard: list[Heard]) -> "Examples":
        """As the recipe makes them."""
        clips = [one.clip for one in heard]
        rows, together = examples(clips, small_ear, np.random.default_rng(0))
        lips = [make_targets(clip).controls[:, CLOSURE] for clip in clips for _ in range(1 + DAMAGED)]
        return cls(rows=rows, together=together, course=np.concatenate(lips))

    def regression(self, steps: int, target: str) -> Reading:
        """Fitted to when lips are "together", or to their "course", which begins to close early."""
        lately = slice(-steps * MOVED.stop, None)
        learned = fit(self.rows[:, lately], getattr(self, target))
        weight, bias = learned["lips.weight"].numpy()[:, 0], float(learned["lips.bias"])
        return lambda said: np.asarray(Lips().lately(said)[:, lately] @ weight + bias, np.float32)


def counted(heard: list[Heard], read: Reading, threshold: float, score: Score) -> Score:
    """Add what a reading claims of some clips."""
    for one in heard:
        count_closures(closures(one.clip), runs_of(read(one.said) >= threshold), score)
    return score


def even(halves: list[tuple[list[Heard], Reading]]) -> tuple[float, Score]:
    """The threshold at which as many are found as justified, and what is counted there."""

    def at(threshold: float) -> Score:
        score = Score()
        for heard, read in halves:
            counted(heard, read, threshold, score)
        return score

    def apart(score: Score) -> float:
        return abs(score.found / score.bilabials - score.justified / max(1, score.claimed))

    best = min(np.linspace(-2.0, 1.0, 31).tolist(), key=lambda threshold: apart(at(threshold)))
    return best, at(best)


def readings(valid: list[Heard]) -> Iterator[tuple[str, Reading, float, Score]]:
    """All readings: name, itself, its threshold, and what it counts in the clips for choosing."""
    yield (
        "mean of control and viseme",
        by_mean,
        MEAN_THRESHOLD,
        counted(valid, by_mean, MEAN_THRESHOLD, Score()),
    )
    halves = valid[0::2], valid[1::2]
    first, second, whole = map(Examples.of, (*halves, valid))
    for steps, target in ((1, "together"), (3, "together"), (5, "together"), (5, "course")):
        crossed = [
            (half, other.regression(steps, target))
            for half, other in zip(halves, (second, first), strict=True)
        ]
        threshold, score = even(crossed)
        yield f"regression, {steps} steps, {target}", whole.regression(steps, target), threshold, score
    yield "as shipped", as_shipped, CLOSED, counted(valid, as_shipped, CLOSED, Score())


def listened(clips: list[Clip], how: str) -> list[Heard]:
    """What the network says of clips that were stored."""
    return [
        Heard(clip=clip, how=how, said=small_ear(read_again(clip.samples, CONDITIONS[how]))) for clip in clips
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args().corpus
    clips = load_clips(corpus / "test")
    heard = [one for how in (CLEAN, NOISY) for one in listened(clips, how)]
    print(
        "| read by | for choosing, in halves | " + " | ".join(": ".join(column) for column in COLUMNS) + " |"
    )
    print("|---" * (2 + len(COLUMNS)) + "|")
    for name, read, threshold, chosen in readings(listened(load_clips(corpus / "valid"), CLEAN)):
        scores: dict[tuple[str, str], Score] = defaultdict(Score)
        for one in heard:
            for group in groups_of(one.clip):
                counted([one], read, threshold, scores[group, one.how])
        cells = [found_justified(chosen), *(found_justified(scores[column]) for column in COLUMNS)]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
