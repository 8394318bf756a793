"""How much of closures there is to be heard: by the small network, which hears 117.5 ms ahead, by its teacher, which
hears whole recordings through whisper's encoder, and by both together.

    python -m benchmarks.articulation_limit CORPUS/test

The corpus is made as training/articulation/README.md says; it needs what that and `--speech whisper` need. The printed
table is in benchmarks/results/articulation.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
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
from training.articulation.corpus import load
from training.articulation.dataset import make_features
from training.articulation.targets import closures
from training.articulation.teacher import hear

from liveavatar.frames import Samples
from liveavatar.speech.articulation import DELAY, PAIR, ArticulationStream, Lips, Rows, likely
from liveavatar.speech.track import STEP
from liveavatar.speech.whisper import read

GROUPS = ("English, real, all", "English, synthetic", "Mandarin, synthetic")


def small_ear(samples: Samples) -> Rows:
    """What the small network hears in a whole recording, [steps, 21], as streams make it hear, which begin with a step
    twice."""
    steps = -(-len(samples) // STEP)
    seen = make_features(np.pad(samples, (0, (DELAY + 1 + steps % PAIR) * STEP)))
    return ArticulationStream().hear(np.concatenate([seen[:1], seen]))[DELAY + 1 :][:steps]


def ears(samples: Samples) -> Iterator[tuple[str, Rows]]:
    """What each ear hears in a whole recording, [steps, 21]."""
    small = small_ear(samples)
    teacher = likely(read(hear(samples))[: len(small)])
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
    for clip in map(load, sorted(parser.parse_args().corpus.glob("*.npz"))):
        for how in (CLEAN, NOISY):
            for ear, heard in ears(read_again(clip.samples, CONDITIONS[how])):
                claimed = runs_of(Lips().settle(heard)[1][:, CLOSURE] >= CLOSED)
                for group in groups_of(clip):
                    count_closures(closures(clip), claimed, scores[ear, group, how])
    columns = [(group, how) for group in GROUPS for how in (CLEAN, NOISY)]
    print("| ear | " + " | ".join(f"{group}: {how}" for group, how in columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for ear in dict.fromkeys(name for name, _, _ in scores):
        cells = [found_justified(scores[ear, *column]) for column in columns]
        print("| " + " | ".join([ear, *cells]) + " |")


if __name__ == "__main__":
    main()
