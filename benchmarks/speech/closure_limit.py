"""How much of closures there is to be heard: by the small network, which hears 117.5 ms ahead, by its teacher, which
hears whole recordings through whisper's encoder, and by both together.

    python -m benchmarks.speech.closure_limit CORPUS/test

The corpus is made as training/articulation/README.md says; it needs what that and `--speech whisper` need. The printed
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
    """What the small network hears in a whole recording, [steps, 21], as streams make it hear, which begin with a step
    twice."""
    steps = -(-len(samples) // STEP_SAMPLES)
    seen = make_features(np.pad(samples, (0, (DELAY_STEPS + 1 + steps % PAIR_STEPS) * STEP_SAMPLES)))
    return SmallArticulationModel().predict_probabilities(np.concatenate([seen[:1], seen]))[
        DELAY_STEPS + 1 :
    ][:steps]


def predict_all(samples: Samples) -> Iterator[tuple[str, Rows]]:
    """What each ear hears in a whole recording, [steps, 21]."""
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
            for ear, heard in predict_all(read_stored(clip.samples, CONDITIONS[how])):
                claimed = find_ranges(
                    ClosureClassifier().refine_controls(heard)[1][:, CLOSURE] >= CLOSURE_THRESHOLD
                )
                for group in list_groups(clip):
                    count_closures(list_closures(clip), claimed, scores[ear, group, how])
    columns = [(group, how) for group in GROUPS for how in (CLEAN, NOISY)]
    print("| ear | " + " | ".join(f"{group}: {how}" for group, how in columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for ear in dict.fromkeys(name for name, _, _ in scores):
        cells = [found_justified(scores[ear, *column]) for column in columns]
        print("| " + " | ".join([ear, *cells]) + " |")


if __name__ == "__main__":
    main()
