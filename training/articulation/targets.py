"""From phone times to the targets of the network at every step.

Controls follow the dominance model of Cohen & Massaro, "Modeling coarticulation in synthetic visual speech" (1993):
they are the mean of the targets of all gestures, with weights that decay exponentially with the distance in time. Lip
closure is not averaged: it is reached on every bilabial, as in JALI (Edwards et al., 2016). In pauses the mouth rests.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from training.articulation.corpus import Clip
from training.articulation.phones import IPA_SIGNS, SILENCE, Gesture, phone_to_gestures

from liveavatar.speech import features
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, VISEMES
from liveavatar.timeline import SAMPLE_RATE

JAW, CLOSURE = CONTROLS.index("jaw"), CONTROLS.index("closure")
REACH_SECONDS = np.array([45.0, 30.0, 65.0, 55.0, 50.0, 35.0]) / 1000.0
"""Seconds after which a gesture's weight for each control has fallen to 1/e; rounding starts early."""

CORE_SHARE = 0.3
"""The middle share of a gesture over which its weight is constant."""

CLOSED_SHARE = {"p": 0.7, "b": 0.75, "m": 0.95}
"""Share of the phone during which the lips are closed: a stop ends with its burst and aspiration."""

OTHER_CLOSED_SHARE = 0.8
"""The same for other phones with closed lips."""

MIN_CLOSURE_SECONDS = 0.04
"""The lips stay closed at least this long, unless the phone is shorter."""

MAX_JOINED_GAP_STEPS = 3
"""Closures this close to each other count as one."""

CLOSING_SECONDS, OPENING_SECONDS = 0.06, 0.05
"""Durations of the lips' closing before a bilabial and of their opening after it."""

LEAD_SECONDS, PAUSE_SECONDS = 0.06, 0.08
"""After a pause of PAUSE_SECONDS the lips of a bilabial are closed LEAD_SECONDS before its label: labels begin a silent
closure only where the stop becomes audible."""

ATTACK_SECONDS, RELEASE_SECONDS = 0.08, 0.15
"""Durations of the mouth's movement before the first and after the last sound of a phrase."""

QUIET_DB = -38.0
"""dB relative to the clip's 95th percentile; a level below it is silence, if it lasts."""

MIN_QUIET_STEPS = 12
"""The shortest silence between sounds, 0.12 s."""


StepRanges = list[tuple[int, int]]
"""Ranges [first, last) of steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A gesture with its phone and times in seconds."""

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
    """The targets of a clip."""
    silent = find_quiet_steps(clip)
    segments = resolve_breaths(make_segments(clip))
    time = (np.arange(len(silent)) + 0.5) * STEP_SAMPLES / SAMPLE_RATE
    index = index_segments(segments, time)
    visemes = np.array([VISEMES.index(part.gesture.viseme) for part in segments], np.int64)[index]
    sounds = np.array([IPA_SIGNS.index(part.gesture.sign) for part in segments], np.int64)[index]
    visemes[silent] = sounds[silent] = 0
    controls = blend_targets(segments, time) * speech_envelope(visemes != 0)[:, None]
    controls[:, CLOSURE] = draw_closure(segments, time)
    return Targets(visemes=visemes, sounds=sounds, controls=smooth_controls(controls))


def make_segments(clip: Clip) -> list[Segment]:
    """The gestures of a clip with their times."""
    segments = []
    for phone, first, last in clip.phones:
        start = first / SAMPLE_RATE
        for gesture in phone_to_gestures(phone):
            end = start + gesture.share * (last - first) / SAMPLE_RATE
            segments.append(Segment(gesture=gesture, phone=phone, first=start, last=end))
            start = end
    return segments


def resolve_breaths(parts: list[Segment]) -> list[Segment]:
    """Give breaths the viseme of the next sound, or of the one before."""
    resolved = [part.gesture for part in parts]
    for i in reversed(range(len(resolved) - 1)):
        if not resolved[i].viseme and resolved[i + 1].viseme != "sil":
            resolved[i] = _copy_viseme(resolved[i], resolved[i + 1])
    for i in range(len(resolved)):
        if not resolved[i].viseme:
            resolved[i] = _copy_viseme(resolved[i], resolved[i - 1] if i else SILENCE)
    return [replace(part, gesture=gesture) for part, gesture in zip(parts, resolved, strict=True)]


def _copy_viseme(breath: Gesture, sound: Gesture) -> Gesture:
    return replace(breath, viseme=sound.viseme, sign=sound.sign)


def index_segments(parts: list[Segment], time: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index of the segment at each time."""
    ends = np.array([part.last for part in parts])
    return np.minimum(np.searchsorted(ends, time, side="right"), len(parts) - 1)


def find_quiet_steps(clip: Clip) -> NDArray[np.bool_]:
    """Steps [n] in at least MIN_QUIET_STEPS of near silence, or in any before the first and after the last sound.

    They override the phones: aligners tend to begin a word where its recording begins.
    """
    level = features.mel_to_loudness(features.compute_log_mel(features.extract_windows(clip.samples)))
    quiet = level < np.percentile(level, 95) + QUIET_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        quiet[first:last] = last - first >= MIN_QUIET_STEPS or first == 0 or last == len(quiet)
    return np.asarray(quiet)


def blend_targets(parts: list[Segment], time: NDArray[np.float64]) -> NDArray[np.float64]:
    """The controls by Cohen and Massaro's weighted mean, [n, 6]."""
    middle = np.array([(part.first + part.last) / 2 for part in parts])
    half = np.array([CORE_SHARE * (part.last - part.first) / 2 for part in parts])
    distance = np.maximum(0.0, np.abs(time[:, None] - middle) - half)
    weights = np.array([part.gesture.weights for part in parts])
    targets = np.array([part.gesture.targets for part in parts])
    controls = np.empty((len(time), len(CONTROLS)))
    for i, reach in enumerate(REACH_SECONDS):
        weight = np.exp(-distance / reach) * weights[:, i] + 1e-12
        controls[:, i] = weight @ targets[:, i] / weight.sum(axis=1)
    return controls


def draw_closure(parts: list[Segment], time: NDArray[np.float64]) -> NDArray[np.float64]:
    """The closure control [n]: a trapezium over each bilabial."""
    out = np.zeros(len(time))
    for before, part in zip([None, *parts], parts, strict=False):
        height = part.gesture.targets[CLOSURE]
        if height:
            shuts = part.first - LEAD_SECONDS * _is_pause(before)
            opens = part.first + CLOSED_SHARE.get(part.phone, OTHER_CLOSED_SHARE) * (part.last - part.first)
            opens = max(opens, min(part.last, part.first + MIN_CLOSURE_SECONDS))
            ramp = np.minimum((time - shuts) / CLOSING_SECONDS + 1.0, (opens - time) / OPENING_SECONDS + 1.0)
            out = np.maximum(out, height * np.clip(ramp, 0.0, 1.0))
    return out


def _is_pause(part: Segment | None) -> bool:
    """True also for what precedes the first segment."""
    return part is None or (not part.phone and part.last - part.first >= PAUSE_SECONDS)


def list_closures(clip: Clip) -> StepRanges:
    """Ranges of steps with closed lips, for each /p b m/; neighbours within MAX_JOINED_GAP_STEPS are joined."""
    spans = [
        (start, start + CLOSED_SHARE[phone] * (end - start))
        for phone, start, end in clip.phones
        if phone in CLOSED_SHARE
    ]
    merged: StepRanges = []
    for first, last in (
        (round(start / STEP_SAMPLES), max(round(start / STEP_SAMPLES) + 1, round(end / STEP_SAMPLES)))
        for start, end in spans
    ):
        if merged and first - merged[-1][1] <= MAX_JOINED_GAP_STEPS:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def speech_envelope(is_speech: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 during speech, with raised-cosine flanks of ATTACK_SECONDS before it and RELEASE_SECONDS after it, [n]."""
    steps = np.arange(len(is_speech))
    speech_steps = np.flatnonzero(is_speech)
    if not len(speech_steps):
        return np.zeros(len(is_speech))
    after = steps - speech_steps[np.maximum(np.searchsorted(speech_steps, steps, side="right") - 1, 0)]
    before = speech_steps[np.minimum(np.searchsorted(speech_steps, steps), len(speech_steps) - 1)] - steps
    since = np.where(after >= 0, after, np.inf) * STEP_SAMPLES / SAMPLE_RATE / RELEASE_SECONDS
    until = np.where(before >= 0, before, np.inf) * STEP_SAMPLES / SAMPLE_RATE / ATTACK_SECONDS
    near = np.clip(1.0 - np.minimum(since, until), 0.0, 1.0)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * near))


def smooth_controls(controls: NDArray[np.float64]) -> NDArray[np.float32]:
    """Smooth each control with the kernel (0.25, 0.5, 0.25)."""
    padded = np.pad(controls, ((1, 1), (0, 0)), mode="edge")
    return np.asarray(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:], np.float32)
