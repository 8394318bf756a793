"""Compare readings of closed lips from the output of the small network: closures found and claims justified.

    python -m benchmarks.speech.closure_readings CORPUS

The first reading is the mean of two outputs, the last is shipped. The others are regressions fitted to the clips of
CORPUS/valid as in training/articulation/closure_classifier.py, over the number of past steps in their name. Their
threshold is where as many closures are found as claims are justified in one half of those clips, by a regression fitted
to the other half. The printed table is in training/articulation/README.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.speech.articulation import (
    CLEAN,
    CLOSURE,
    CLOSURE_THRESHOLD,
    CONDITIONS,
    NOISY,
    Score,
    count_closures,
    find_ranges,
    found_justified,
    list_groups,
    read_stored,
)
from benchmarks.speech.closure_limit import predict_small
from training.articulation.closure_classifier import (
    DEGRADED_COPIES,
    fit_closure_classifier,
    make_closure_data,
)
from training.articulation.corpus import Clip
from training.articulation.dataset import load_clips
from training.articulation.examples import CONTROL_COLUMNS, Floats
from training.articulation.targets import list_closures, make_targets

from liveavatar.speech.models.articulation import ClosureClassifier, Rows
from liveavatar.speech.track import VISEMES

MEAN_THRESHOLD = 0.40
COLUMNS = [
    ("English, real, all", CLEAN), ("English, synthetic", CLEAN), ("Mandarin, synthetic", CLEAN),
    ("Mandarin, real, syllables-3", CLEAN), ("English, real, all", NOISY), ("English, synthetic", NOISY),
    ("Mandarin, synthetic", NOISY),
]  # fmt: skip

Reading = Callable[[Rows], Rows]
"""Output of the network [n, 21] to a score of closed lips, [n]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPrediction:
    """A clip, how it is stored, and the output of the network for it, [steps, 21]."""

    clip: Clip
    condition: str
    predicted: Rows


def average_closure(predicted: Rows) -> Rows:
    """The mean of the closure control and of the viseme PP."""
    return np.asarray(
        0.5 * (predicted[:, CONTROL_COLUMNS][:, CLOSURE] + predicted[:, VISEMES.index("PP")]), np.float32
    )


def classify_closure(predicted: Rows) -> Rows:
    """The shipped classifier, which is fitted to all clips for choosing, not to halves."""
    return ClosureClassifier().refine_controls(predicted)[1][:, CLOSURE]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosureData:
    """Log odds of clips [steps, 105], whether lips are closed (`together`), and their control (`course`), [steps]."""

    rows: Floats
    together: Floats
    course: Floats

    @classmethod
    def from_predictions(cls, predictions: list[ClipPrediction]) -> "ClosureData":
        """The data, made as for the shipped classifier."""
        clips = [one.clip for one in predictions]
        rows, together = make_closure_data(clips, predict_small, np.random.default_rng(0))
        lips = [make_targets(clip).controls[:, CLOSURE] for clip in clips for _ in range(1 + DEGRADED_COPIES)]
        return cls(rows=rows, together=together, course=np.concatenate(lips))

    def fit_reading(self, steps: int, target: str) -> Reading:
        """A regression on the last `steps` steps; `target` is "together", or "course", which closes earlier."""
        recent = slice(-steps * CONTROL_COLUMNS.stop, None)
        learned = fit_closure_classifier(self.rows[:, recent], getattr(self, target))
        weight, bias = learned["lips.weight"].numpy()[:, 0], float(learned["lips.bias"])
        return lambda predicted: np.asarray(
            ClosureClassifier().stack_recent_odds(predicted)[:, recent] @ weight + bias, np.float32
        )


def count_reading(predictions: list[ClipPrediction], read: Reading, threshold: float, score: Score) -> Score:
    """Add the closures that a reading predicts for some clips."""
    for one in predictions:
        count_closures(list_closures(one.clip), find_ranges(read(one.predicted) >= threshold), score)
    return score


def find_even_threshold(halves: list[tuple[list[ClipPrediction], Reading]]) -> tuple[float, Score]:
    """The threshold at which the shares found and justified are equal, and the counts there."""

    def count_at(threshold: float) -> Score:
        score = Score()
        for predictions, read in halves:
            count_reading(predictions, read, threshold, score)
        return score

    def difference(score: Score) -> float:
        return abs(score.found / score.bilabials - score.justified / max(1, score.claimed))

    best = min(np.linspace(-2.0, 1.0, 31).tolist(), key=lambda threshold: difference(count_at(threshold)))
    return best, count_at(best)


def list_readings(valid: list[ClipPrediction]) -> Iterator[tuple[str, Reading, float, Score]]:
    """All readings: name, function, threshold, and the counts in the clips for choosing."""
    yield (
        "mean of control and viseme",
        average_closure,
        MEAN_THRESHOLD,
        count_reading(valid, average_closure, MEAN_THRESHOLD, Score()),
    )
    halves = valid[0::2], valid[1::2]
    first, second, whole = map(ClosureData.from_predictions, (*halves, valid))
    for steps, target in ((1, "together"), (3, "together"), (5, "together"), (5, "course")):
        crossed = [
            (half, other.fit_reading(steps, target))
            for half, other in zip(halves, (second, first), strict=True)
        ]
        threshold, score = find_even_threshold(crossed)
        yield f"regression, {steps} steps, {target}", whole.fit_reading(steps, target), threshold, score
    yield (
        "as shipped",
        classify_closure,
        CLOSURE_THRESHOLD,
        count_reading(valid, classify_closure, CLOSURE_THRESHOLD, Score()),
    )


def predict_clips(clips: list[Clip], condition: str) -> list[ClipPrediction]:
    """The output of the network for stored clips."""
    return [
        ClipPrediction(
            clip=clip,
            condition=condition,
            predicted=predict_small(read_stored(clip.samples, CONDITIONS[condition])),
        )
        for clip in clips
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args().corpus
    clips = load_clips(corpus / "test")
    predictions = [one for how in (CLEAN, NOISY) for one in predict_clips(clips, how)]
    print(
        "| read by | for choosing, in halves | " + " | ".join(": ".join(column) for column in COLUMNS) + " |"
    )
    print("|---" * (2 + len(COLUMNS)) + "|")
    for name, read, threshold, chosen in list_readings(predict_clips(load_clips(corpus / "valid"), CLEAN)):
        scores: dict[tuple[str, str], Score] = defaultdict(Score)
        for one in predictions:
            for group in list_groups(one.clip):
                count_reading([one], read, threshold, scores[group, one.condition])
        cells = [found_justified(chosen), *(found_justified(scores[column]) for column in COLUMNS)]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
