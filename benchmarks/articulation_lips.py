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
import torch  # type: ignore[import-not-found, unused-ignore]
from benchmarks.articulation import (
    CLOSED,
    CLOSURE,
    CONDITIONS,
    Score,
    count_closures,
    groups_of,
    read_again,
    runs_of,
)
from benchmarks.articulation_limit import small_ear
from training.articulation.corpus import Clip
from training.articulation.dataset import load_clips
from training.articulation.lips import examples, fit
from training.articulation.targets import closures, make_targets

from liveavatar.speech.articulation import Lips, Rows
from liveavatar.speech.track import CONTROLS, STEP, VISEMES

HEARD = len(VISEMES) + len(CONTROLS)
MEAN_THRESHOLD = 0.40
NOISE = "White noise, 10 dB"
COLUMNS = [
    ("English, real, all", "Clean"), ("English, synthetic", "Clean"), ("Mandarin, synthetic", "Clean"),
    ("Mandarin, real, syllables-3", "Clean"), ("English, real, all", NOISE), ("English, synthetic", NOISE),
    ("Mandarin, synthetic", NOISE),
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
    return np.asarray(0.5 * (said[:, len(VISEMES) + CLOSURE] + said[:, VISEMES.index("PP")]), np.float32)


def as_shipped(said: Rows) -> Rows:
    """The closure control, which was fitted to the clips for choosing, and not in halves."""
    return Lips().settle(said)[1][:, CLOSURE]


def regression(clips: list[Clip], steps: int, course: bool) -> Reading:
    """Fitted to clips; with their `course`, to when lips begin to close, instead of when they are together."""
    rows, together = examples(clips, small_ear, np.random.default_rng(0))
    if course:
        ways = len(together) // sum(-(-len(clip.samples) // STEP) for clip in clips)
        lips = [make_targets(clip).controls[:, CLOSURE] for clip in clips for _ in range(ways)]
        together = np.concatenate(lips)
    learned = fit(torch.from_numpy(rows[:, -steps * HEARD :]), torch.from_numpy(together))
    weight, bias = learned["lips.weight"].numpy()[:, 0], float(learned["lips.bias"])
    return lambda said: np.asarray(Lips().lately(said)[:, -steps * HEARD :] @ weight + bias, np.float32)


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
    for steps, course in ((1, False), (3, False), (5, False), (5, True)):
        parts = [valid[0::2], valid[1::2]]
        crossed = [
            (part, regression([one.clip for one in other], steps, course))
            for part, other in (parts, parts[::-1])
        ]
        threshold, score = even(crossed)
        whole = regression([one.clip for one in valid], steps, course)
        yield f"regression, {steps} steps, {'course' if course else 'together'}", whole, threshold, score
    yield "as shipped", as_shipped, CLOSED, counted(valid, as_shipped, CLOSED, Score())


def cell(score: Score) -> str:
    """Found / justified."""
    return (
        f"{100 * score.found / score.bilabials:.0f} / {100 * score.justified / max(1, score.claimed):.0f} %"
    )


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
    heard = [one for how in ("Clean", NOISE) for one in listened(clips, how)]
    print(
        "| read by | for choosing, in halves | " + " | ".join(": ".join(column) for column in COLUMNS) + " |"
    )
    print("|---" * (2 + len(COLUMNS)) + "|")
    for name, read, threshold, chosen in readings(listened(load_clips(corpus / "valid"), "Clean")):
        scores: dict[tuple[str, str], Score] = defaultdict(Score)
        for one in heard:
            for group in groups_of(one.clip):
                counted([one], read, threshold, scores[group, one.how])
        cells = [cell(chosen), *(cell(scores[column]) for column in COLUMNS)]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
