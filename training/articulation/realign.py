"""Move the phone boundaries of Kokoro's clips to where a first network hears them.

Kokoro tells its durations in units of 25 ms, which is coarse for lips. The sequence of phones is known, so the best
boundaries follow from dynamic programming over the network's posteriors (forced alignment), near the old ones.

    python -m training.articulation.realign CORPUS FIRST.npz
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.articulation.corpus import Clip, Span, load, save
from training.articulation.dataset import make_seen
from training.articulation.network import Weights, predict
from training.articulation.phones import gestures
from training.articulation.targets import Segment, segments, settle
from training.articulation.train import read

from liveavatar.speech.articulation import DELAY
from liveavatar.speech.track import STEP, VISEMES

LEEWAY = 3.0
"""Steps: a boundary that far from the old one costs half a nat."""

SHORTEST = 2
"""Steps a gesture lasts at least; silences may vanish."""


def posteriors(weights: Weights, clip: Clip) -> NDArray[np.float64]:
    """Logarithms of viseme likelihoods up to a constant, [n, 15]."""
    seen = make_seen(clip.samples)
    seen = np.concatenate([seen, np.repeat(seen[-1:], DELAY, axis=0)])
    visemes = predict(weights, seen)[0][DELAY:]
    prior = visemes.mean(axis=0) * 0.5 + 0.5 / len(VISEMES)
    return np.asarray(np.log(np.maximum(visemes, 0.002)) - np.log(prior), np.float64)


def best_boundaries(scores: NDArray[np.float64], parts: list[Segment]) -> list[int]:
    """The step at which each segment ends; `scores` [n, 15] are log likelihoods."""
    steps = np.arange(len(scores) + 1)
    best = np.where(steps == 0, 0.0, -np.inf)
    origins = []
    for part in parts:
        so_far = np.concatenate([[0.0], np.cumsum(scores[:, VISEMES.index(part.gesture.viseme)])])
        least = SHORTEST if part.phone else 0
        entry = np.concatenate([np.full(least, -np.inf), (best - so_far)[: len(steps) - least]])
        highest = np.maximum.accumulate(entry)
        came = np.maximum.accumulate(np.where(entry >= highest, steps, 0)) - least
        moved = (steps - part.last * 16_000 / STEP) / LEEWAY
        best = highest + so_far - 0.5 * moved**2
        origins.append(came)
    return _walk_back(origins, len(scores))


def _walk_back(origins: list[NDArray[np.int64]], end: int) -> list[int]:
    ends = []
    for came in reversed(origins):
        ends.append(end)
        end = int(came[end])
    return ends[::-1]


def realign(clip: Clip, scores: NDArray[np.float64]) -> Clip:
    """The clip with better phone times; unchanged where there is no room for all its phones."""
    parts = settle(segments(clip))
    if len(scores) < 2 * SHORTEST * len(parts):
        return clip
    ends = iter(best_boundaries(scores, parts))
    spans: list[Span] = []
    for phone, _, _ in clip.phones:
        for _ in gestures(phone):
            end = next(ends)
        first = spans[-1][2] if spans else 0
        spans.append((phone, first, min(end * STEP, len(clip.samples))))
    return replace(clip, phones=[span for span in spans if span[2] > span[1]])


def realign_folder(folder: Path, weights: Weights) -> None:
    """Rewrite Kokoro's clips in a folder in place; what is tested on stays as it is."""
    for path in sorted(folder.glob("kokoro_*.npz")):
        clip = load(path)
        save(path, realign(clip, posteriors(weights, clip)))


def main() -> None:
    """Realign the training clips of a corpus."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("weights", type=Path)
    options = parser.parse_args()
    realign_folder(options.corpus / "train", read(options.weights))


if __name__ == "__main__":
    main()
