"""Find phones in sound with a network of ours or its teacher: the sequence of phones is known, so the best boundaries
follow from dynamic programming over its posteriors (forced alignment).

Kokoro tells its durations in units of 25 ms, which is coarse for lips; its boundaries only move a little. For people
whose language pocketsphinx does not know there is nothing but the network.
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
"""What hears a recording at 16 kHz: probabilities [steps, COLUMNS]."""

LEEWAY_STEPS = 3.0
"""Steps: a boundary that far from the old one costs half a nat."""

MIN_GESTURE_STEPS = 3
"""Steps a gesture lasts at least."""

MIN_LOG_LIKELIHOOD = -1.1
"""Nats: where labels are less likely than that, the words do not fit the sound."""

MIN_PAUSE_STEPS = 8
"""Steps a pause lasts at least, if there is one."""


def predict_scores(predictor: Predictor, clip: Clip) -> tuple[Scores, Scores]:
    """Logarithms, up to a constant, of how likely each viseme and each sound is at every step."""
    heard = predictor(clip.samples)
    return _likelihoods(heard[:, VISEME_COLUMNS]), _likelihoods(heard[:, SOUND_COLUMNS])


def _likelihoods(posteriors: Floats) -> Scores:
    prior = posteriors.mean(axis=0) * 0.5 + 0.5 / posteriors.shape[1]
    return np.asarray(np.log(np.maximum(posteriors, 0.002)) - np.log(prior), np.float64)


def score_segments(step_scores: tuple[Scores, Scores], parts: list[Segment]) -> Scores:
    """How well each segment fits each step, [n, len(parts)]."""
    visemes = [VISEMES.index(part.gesture.viseme) for part in parts]
    sounds = [IPA_SIGNS.index(part.gesture.sign) for part in parts]
    return np.asarray(0.5 * (step_scores[0][:, visemes] + step_scores[1][:, sounds]), np.float64)


def find_boundaries(scores: Scores, parts: list[Segment], leeway: float | None) -> list[int]:
    """The step at which each segment ends, from the `scores_of` all of them. Pauses may vanish. Without a `leeway`
    the old boundaries do not count."""
    steps = np.arange(len(scores) + 1)
    best = np.where(steps == 0, 0.0, -np.inf)
    origins = []
    for i, part in enumerate(parts):
        so_far = np.concatenate([[0.0], np.cumsum(scores[:, i])])
        least = MIN_GESTURE_STEPS if part.phone else MIN_PAUSE_STEPS
        entry = np.concatenate([np.full(least, -np.inf), (best - so_far)])[: len(steps)]
        highest = np.maximum.accumulate(entry)
        came = np.maximum.accumulate(np.where(entry >= highest, steps, 0)) - least
        spoken = highest + so_far
        if not part.phone:
            came, spoken = np.where(best >= spoken, steps, came), np.maximum(best, spoken)
        if leeway is not None:
            spoken = spoken - 0.5 * ((steps - part.last * 16_000 / STEP_SAMPLES) / leeway) ** 2
        best = spoken
        origins.append(came)
    return _walk_back(origins, len(scores))


def _walk_back(origins: list[NDArray[np.int64]], end: int) -> list[int]:
    ends = []
    for came in reversed(origins):
        ends.append(end)
        end = int(came[end])
    return ends[::-1]


def mean_log_likelihood(viseme_scores: Scores, parts: list[Segment], ends: list[int]) -> float:
    """How likely the labels are beside the best guess, given the visemes `heard`: a mean logarithm, 0 at best."""
    chosen = np.repeat([VISEMES.index(part.gesture.viseme) for part in parts], np.diff([0, *ends]))
    return float(np.mean(viseme_scores[np.arange(len(viseme_scores)), chosen] - viseme_scores.max(axis=1)))


def move_boundaries(clip: Clip, ends: list[int]) -> Clip:
    """The clip with phones that end at these steps, one for every gesture."""
    ending = iter(ends)
    spans: list[Span] = []
    for phone, _, _ in clip.phones:
        for _ in phone_to_gestures(phone):
            end = next(ending)
        first = spans[-1][2] if spans else 0
        spans.append((phone, first, min(end * STEP_SAMPLES, len(clip.samples))))
    return replace(clip, phones=[span for span in spans if span[2] > span[1]])


def realign_clip(clip: Clip, predictor: Predictor, leeway: float | None) -> tuple[Clip, float]:
    """The clip with better phone times, and how likely they are; minus infinity and the clip as it was where there
    is no room for all its phones."""
    parts, heard = resolve_breaths(make_segments(clip)), predict_scores(predictor, clip)
    if len(heard[0]) < 1.5 * MIN_GESTURE_STEPS * sum(bool(part.phone) for part in parts):
        return clip, -np.inf
    ends = find_boundaries(score_segments(heard, parts), parts, leeway)
    return move_boundaries(clip, ends), mean_log_likelihood(heard[0], parts, ends)


def realign_folder(folder: Path, predictor: Predictor) -> None:
    """Rewrite clips of Kokoro, Piper and people in a folder in place; what fits its words badly is removed."""
    for path in sorted((*folder.glob("kokoro_*.npz"), *folder.glob("piper_*.npz"))):
        save_clip(path, realign_clip(load_clip(path), predictor, LEEWAY_STEPS)[0])
    for path in sorted(folder.glob("people_*.npz")):
        clip, likely = realign_clip(load_clip(path), predictor, None)
        if likely > MIN_LOG_LIKELIHOOD:
            save_clip(path, clip)
        else:
            path.unlink()
