"""From phone times to what the network should say at every step.

Controls follow the dominance model of Cohen & Massaro, "Modeling coarticulation in synthetic visual speech" (1993):
every gesture pulls with a weight that falls off exponentially with the time from it, and the mouth is the weighted
mean of what all of them ask for. Lip closure is not averaged away: it is reached on every bilabial, as in JALI
(Edwards et al. 2016), and in pauses the mouth comes to rest.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from training.articulation.corpus import Clip
from training.articulation.phones import IPA_SIGNS, SILENCE, Gesture, phone_to_gestures

from liveavatar.speech import features
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, VISEMES

JAW, CLOSURE = CONTROLS.index("jaw"), CONTROLS.index("closure")
REACH_SECONDS = np.array([45.0, 30.0, 65.0, 55.0, 50.0, 35.0]) / 1000.0
"""Seconds after which a gesture's pull on each control has fallen to 1/e; lips round early."""

CORE_SHARE = 0.3
"""Share of a gesture's time, at its middle, over which its pull is whole."""

CLOSED_SHARE = {"p": 0.7, "b": 0.75, "m": 0.95}
"""How much of the phone the lips stay closed: a stop ends in its burst and breath."""

CLOSING_SECONDS, OPENING_SECONDS = 0.06, 0.05
"""Seconds the lips take to close before a bilabial and to part after it."""

LEAD_SECONDS, PAUSE_SECONDS = 0.06, 0.08
"""Seconds by which a bilabial's lips are closed before its label begins, if it follows a pause of so many: who listens
puts the beginning of a silent closure where the stop is heard."""

ATTACK_SECONDS, RELEASE_SECONDS = 0.08, 0.15
"""Seconds the mouth moves before the first and after the last sound of a phrase."""

QUIET_DB = -38.0
"""dB under the clip's loud passages: below is silence, if it lasts."""


StepRanges = list[tuple[int, int]]
"""[first, last) steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A gesture in time, seconds."""

    gesture: Gesture
    phone: str
    first: float
    last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """`visemes` int64 [n], indices into VISEMES; `sounds` int64 [n], into SIGNS; `controls` float32 [n, 6]."""

    visemes: NDArray[np.int64]
    sounds: NDArray[np.int64]
    controls: NDArray[np.float32]


def make_targets(clip: Clip) -> Targets:
    """What to say at each step of a clip."""
    silent = find_quiet_steps(clip)
    parts = resolve_breaths(make_segments(clip))
    time = (np.arange(len(silent)) + 0.5) * STEP_SAMPLES / 16_000
    at = index_segments(parts, time)
    visemes = np.array([VISEMES.index(part.gesture.viseme) for part in parts], np.int64)[at]
    sounds = np.array([IPA_SIGNS.index(part.gesture.sign) for part in parts], np.int64)[at]
    visemes[silent] = sounds[silent] = 0
    controls = blend_targets(parts, time) * speech_envelope(visemes != 0)[:, None]
    controls[:, CLOSURE] = draw_closure(parts, time)
    return Targets(visemes=visemes, sounds=sounds, controls=smooth_controls(controls))


def make_segments(clip: Clip) -> list[Segment]:
    """All gestures with their times."""
    out = []
    for phone, first, last in clip.phones:
        start = first / 16_000
        for gesture in phone_to_gestures(phone):
            end = start + gesture.share * (last - first) / 16_000
            out.append(Segment(gesture=gesture, phone=phone, first=start, last=end))
            start = end
    return out


def resolve_breaths(parts: list[Segment]) -> list[Segment]:
    """Give breaths the viseme of the sound they lead to, or of the one before them."""
    heard = [part.gesture for part in parts]
    for i in reversed(range(len(heard) - 1)):
        if not heard[i].viseme and heard[i + 1].viseme != "sil":
            heard[i] = _copy_viseme(heard[i], heard[i + 1])
    for i in range(len(heard)):
        if not heard[i].viseme:
            heard[i] = _copy_viseme(heard[i], heard[i - 1] if i else SILENCE)
    return [replace(part, gesture=gesture) for part, gesture in zip(parts, heard, strict=True)]


def _copy_viseme(breath: Gesture, sound: Gesture) -> Gesture:
    return replace(breath, viseme=sound.viseme, sign=sound.sign)


def index_segments(parts: list[Segment], time: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which segment each time belongs to."""
    ends = np.array([part.last for part in parts])
    return np.minimum(np.searchsorted(ends, time, side="right"), len(parts) - 1)


def find_quiet_steps(clip: Clip) -> NDArray[np.bool_]:
    """Steps that belong to at least 0.12 s of near silence, or to any before the first and after the last sound,
    whatever the phones say: aligners like to begin a word where its recording begins."""
    level = features.mel_to_loudness(features.compute_log_mel(features.extract_windows(clip.samples)))
    quiet = level < np.percentile(level, 95) + QUIET_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        quiet[first:last] = last - first >= 12 or first == 0 or last == len(quiet)
    return np.asarray(quiet)


def blend_targets(parts: list[Segment], time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen and Massaro's weighted mean of all targets, [n, 6]."""
    middle = np.array([(part.first + part.last) / 2 for part in parts])
    half = np.array([CORE_SHARE * (part.last - part.first) / 2 for part in parts])
    away = np.maximum(0.0, np.abs(time[:, None] - middle) - half)
    weights = np.array([part.gesture.weights for part in parts])
    targets = np.array([part.gesture.targets for part in parts])
    out = np.empty((len(time), len(CONTROLS)))
    for i, reach in enumerate(REACH_SECONDS):
        pull = np.exp(-away / reach) * weights[:, i] + 1e-12
        out[:, i] = pull @ targets[:, i] / pull.sum(axis=1)
    return out


def draw_closure(parts: list[Segment], time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lips together: a trapezium over each bilabial."""
    out = np.zeros(len(time))
    for before, part in zip([None, *parts], parts, strict=False):
        height = part.gesture.targets[CLOSURE]
        if height:
            shuts = part.first - LEAD_SECONDS * _is_pause(before)
            opens = part.first + CLOSED_SHARE.get(part.phone, 0.8) * (part.last - part.first)
            opens = max(opens, min(part.last, part.first + 0.04))
            ramp = np.minimum((time - shuts) / CLOSING_SECONDS + 1.0, (opens - time) / OPENING_SECONDS + 1.0)
            out = np.maximum(out, height * np.clip(ramp, 0.0, 1.0))
    return out


def _is_pause(part: Segment | None) -> bool:
    """Also what is before the first."""
    return part is None or (not part.phone and part.last - part.first >= PAUSE_SECONDS)


def list_closures(clip: Clip) -> StepRanges:
    """Steps during which the lips are together on each /p b m/; neighbours that touch are one."""
    spans = [(a, a + CLOSED_SHARE[phone] * (b - a)) for phone, a, b in clip.phones if phone in CLOSED_SHARE]
    merged: StepRanges = []
    for first, last in (
        (round(a / STEP_SAMPLES), max(round(a / STEP_SAMPLES) + 1, round(b / STEP_SAMPLES))) for a, b in spans
    ):
        if merged and first - merged[-1][1] <= 3:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def speech_envelope(is_speech: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 during speech, falling to 0 over REST after it and rising from 0 over WAKE before it."""
    steps = np.arange(len(is_speech))
    at = np.flatnonzero(is_speech)
    if not len(at):
        return np.zeros(len(is_speech))
    after = steps - at[np.maximum(np.searchsorted(at, steps, side="right") - 1, 0)]
    before = at[np.minimum(np.searchsorted(at, steps), len(at) - 1)] - steps
    since = np.where(after >= 0, after, np.inf) * STEP_SAMPLES / 16_000 / RELEASE_SECONDS
    until = np.where(before >= 0, before, np.inf) * STEP_SAMPLES / 16_000 / ATTACK_SECONDS
    near = np.clip(1.0 - np.minimum(since, until), 0.0, 1.0)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * near))


def smooth_controls(controls: NDArray[np.float64]) -> NDArray[np.float32]:
    """A short bell over each control: mouths have mass."""
    padded = np.pad(controls, ((1, 1), (0, 0)), mode="edge")
    return np.asarray(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:], np.float32)
