"""An upper bound of closure detection: the small network with its look-ahead of 117.5 ms, its teacher, which reads
whole recordings through whisper's encoder, and the mean of both.

    python -m benchmarks.speech.closure_limit CORPUS/test

training/articulation/README.md says how to make the corpus; the extra "whisper" is needed as well. The printed
table is in benchmarks/results/MACHINE/speech/articulation.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
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
from training.articulation.corpus import load_clip
from training.articulation.dataset import make_features
from training.articulation.targets import list_closures
from training.articulation.teacher import compute_inputs

from liveavatar.frames import Samples
from liveavatar.speech.models.articulation import (
    DELAY_STEPS,
    PAIR_STEPS,
    ClosureClassifier,
    Rows,
    SmallArticulationModel,
    logits_to_probabilities,
)
from liveavatar.speech.models.whisper import compute_reader_logits
from liveavatar.speech.track import STEP_SAMPLES

GROUPS = ("English, real, all", "English, synthetic", "Mandarin, synthetic")


def predict_small(samples: Samples) -> Rows:
    """Output of the small network for a recording, [steps, 21]. As in a stream, the first step is given twice."""
    steps = -(-len(samples) // STEP_SAMPLES)
    mel = make_features(np.pad(samples, (0, (DELAY_STEPS + 1 + steps % PAIR_STEPS) * STEP_SAMPLES)))
    return SmallArticulationModel().predict_probabilities(np.concatenate([mel[:1], mel]))[DELAY_STEPS + 1 :][
        :steps
    ]


def predict_all(samples: Samples) -> Iterator[tuple[str, Rows]]:
    """Name of each model and its output for a recording, [steps, 21]."""
    small = predict_small(samples)
    teacher = logits_to_probabilities(compute_reader_logits(compute_inputs(samples))[: len(small)])
    yield "small network", small
    yield "teacher, whole recordings", teacher
    yield "both", 0.5 * (small + teacher)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    scores: dict[tuple[str, str, str], Score] = defaultdict(Score)
    for clip in map(load_clip, sorted(parser.parse_args().corpus.glob("*.npz"))):
        for how in (CLEAN, NOISY):
            for model, probabilities in predict_all(read_stored(clip.samples, CONDITIONS[how])):
                claimed = find_ranges(
                    ClosureClassifier().refine_controls(probabilities)[1][:, CLOSURE] >= CLOSURE_THRESHOLD
                )
                for group in list_groups(clip):
                    count_closures(list_closures(clip), claimed, scores[model, group, how])
    columns = [(group, how) for group in GROUPS for how in (CLEAN, NOISY)]
    print("| model | " + " | ".join(f"{group}: {how}" for group, how in columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for model in dict.fromkeys(name for name, _, _ in scores):
        cells = [found_justified(scores[model, *column]) for column in columns]
        print("| " + " | ".join([model, *cells]) + " |")


if __name__ == "__main__":
    main()
