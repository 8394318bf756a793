"""Forced alignment: find the boundaries of known phones by dynamic programming over a network's posteriors.

Kokoro gives durations in units of 25 ms, which is coarse for lips, so its boundaries move only a little. The
multilingual recordings have no other alignment: pocketsphinx supports only English.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.articulation.corpus import Clip, Span, load_clip, save_clip
from training.articulation.examples import SOUND_COLUMNS, VISEME_COLUMNS, Floats
from training.articulation.phones import IPA_SIGNS, phone_to_gestures
from training.articulation.targets import Segment, make_segments, resolve_breaths

from liveavatar.speech.track import STEP_SAMPLES, VISEMES

Scores = NDArray[np.float64]
Predictor = Callable[[Floats], Floats]
"""From a recording at 16 kHz to probabilities [steps, COLUMN_COUNT]."""

LEEWAY_STEPS = 3.0
"""A boundary this far from its old place costs half a nat."""

MIN_GESTURE_STEPS = 3
"""A gesture lasts at least this long."""

MIN_LOG_LIKELIHOOD = -1.1
"""Nats. Below this mean the words do not fit the sound."""

MIN_PAUSE_STEPS = 8
"""A pause lasts at least this long, or vanishes."""


def predict_scores(predictor: Predictor, clip: Clip) -> tuple[Scores, Scores]:
    """Log likelihoods, up to a constant, of every viseme [steps, visemes] and every IPA sound [steps, sounds]."""
    predicted = predictor(clip.samples)
    return _to_log_likelihoods(predicted[:, VISEME_COLUMNS]), _to_log_likelihoods(predicted[:, SOUND_COLUMNS])


def _to_log_likelihoods(posteriors: Floats) -> Scores:
    prior = posteriors.mean(axis=0) * 0.5 + 0.5 / posteriors.shape[1]
    return np.asarray(np.log(np.maximum(posteriors, 0.002)) - np.log(prior), np.float64)


def score_segments(step_scores: tuple[Scores, Scores], parts: list[Segment]) -> Scores:
    """Log likelihood of each segment at each step, [steps, len(parts)]."""
    visemes = [VISEMES.index(part.gesture.viseme) for part in parts]
    sounds = [IPA_SIGNS.index(part.gesture.sign) for part in parts]
    return np.asarray(0.5 * (step_scores[0][:, visemes] + step_scores[1][:, sounds]), np.float64)


def find_boundaries(scores: Scores, parts: list[Segment], leeway: float | None) -> list[int]:
    """The step at which each segment ends, from `score_segments`. Pauses may vanish.

    `leeway` is in steps, see LEEWAY_STEPS; without it the old boundaries have no influence.
    """
    steps = np.arange(len(scores) + 1)
    best = np.where(steps == 0, 0.0, -np.inf)
    origins = []
    for i, part in enumerate(parts):
        cumulated = np.concatenate([[0.0], np.cumsum(scores[:, i])])
        min_steps = MIN_GESTURE_STEPS if part.phone else MIN_PAUSE_STEPS
        entry = np.concatenate([np.full(min_steps, -np.inf), (best - cumulated)])[: len(steps)]
        highest = np.maximum.accumulate(entry)
        origin = np.maximum.accumulate(np.where(entry >= highest, steps, 0)) - min_steps
        scores_at_end = highest + cumulated
        if not part.phone:
            origin, scores_at_end = (
                np.where(best >= scores_at_end, steps, origin),
                np.maximum(best, scores_at_end),
            )
        if leeway is not None:
            scores_at_end = scores_at_end - 0.5 * ((steps - part.last * 16_000 / STEP_SAMPLES) / leeway) ** 2
        best = scores_at_end
        origins.append(origin)
    return _walk_back(origins, len(scores))


def _walk_back(origins: list[NDArray[np.int64]], end: int) -> list[int]:
    ends = []
    for origin in reversed(origins):
        ends.append(end)
        end = int(origin[end])
    return ends[::-1]


def mean_log_likelihood(viseme_scores: Scores, parts: list[Segment], ends: list[int]) -> float:
    """Mean log likelihood of the labels relative to the likeliest viseme of each step; 0 at best."""
    chosen = np.repeat([VISEMES.index(part.gesture.viseme) for part in parts], np.diff([0, *ends]))
    return float(np.mean(viseme_scores[np.arange(len(viseme_scores)), chosen] - viseme_scores.max(axis=1)))


def move_boundaries(clip: Clip, ends: list[int]) -> Clip:
    """The clip with new phone times; `ends` has a step for every gesture."""
    remaining = iter(ends)
    spans: list[Span] = []
    for phone, _, _ in clip.phones:
        for _ in phone_to_gestures(phone):
            end = next(remaining)
        first = spans[-1][2] if spans else 0
        spans.append((phone, first, min(end * STEP_SAMPLES, len(clip.samples))))
    return replace(clip, phones=[span for span in spans if span[2] > span[1]])


def realign_clip(clip: Clip, predictor: Predictor, leeway: float | None) -> tuple[Clip, float]:
    """Align a clip; returns it with new phone times and their mean log likelihood.

    A clip that is too short for its phones comes back unchanged, with minus infinity.
    """
    parts, step_scores = resolve_breaths(make_segments(clip)), predict_scores(predictor, clip)
    if len(step_scores[0]) < 1.5 * MIN_GESTURE_STEPS * sum(bool(part.phone) for part in parts):
        return clip, -np.inf
    ends = find_boundaries(score_segments(step_scores, parts), parts, leeway)
    return move_boundaries(clip, ends), mean_log_likelihood(step_scores[0], parts, ends)


def realign_folder(folder: Path, predictor: Predictor) -> None:
    """Realign clips of Kokoro, Piper and the multilingual recordings in place; poor fits of the last are deleted."""
    for path in sorted((*folder.glob("kokoro_*.npz"), *folder.glob("piper_*.npz"))):
        save_clip(path, realign_clip(load_clip(path), predictor, LEEWAY_STEPS)[0])
    for path in sorted(folder.glob("people_*.npz")):
        clip, likelihood = realign_clip(load_clip(path), predictor, None)
        if likelihood > MIN_LOG_LIKELIHOOD:
            save_clip(path, clip)
        else:
            path.unlink()
