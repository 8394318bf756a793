"""Closures: lips must close on P, B and M. Compares where the sound has them with what the video shows."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Samples
from liveavatar.sync.lip_track import LipTrack

BILABIALS = ("P", "B", "M")
_CLOSURE_THRESHOLD = 0.5
"""Closure control from which the articulation network counts as predicting closed lips."""
_MIN_CLOSURE_SECONDS, _MAX_CLOSURE_SECONDS = 0.03, 0.5
"""Shorter runs are doubtful, longer ones are pauses."""
_SHUT_SHARE = 0.2
"""Lips count as closed up to this share of the way from the mouth's narrowest to its widest opening."""
_OPENING_PERCENTILES = (2, 95)
"""Narrowest and widest opening, without outliers."""
_MIN_MOVEMENT_CM = 0.15
"""A mouth whose opening varies less never opens."""
_SILENCE_PROBABILITY = 0.2  # probability of speech below which a step is silent
_SILENCE_MARGIN_STEPS = 15  # steps of 10 ms between speech and a step that counts as silent
_CHANCE_SHIFTS = (0.4, 2.0, 0.1)  # seconds: first shift, end, distance between two


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Start and end of a closure in the sound, seconds of the file's clock."""

    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosureComparison:
    """How many closures of the sound the video shows.

    `met_count` of `closure_count` closures have closed lips within one frame. `chance_share` is the share that would be
    met at unrelated times. `source` names what found them. `events` pairs each closure with whether it is met.
    """

    source: str
    closure_count: int
    met_count: int
    chance_share: float
    events: tuple[tuple[Closure, bool], ...]

    @property
    def met_share(self) -> float | None:
        """`met_count / closure_count`; None without closures."""
        return self.met_count / self.closure_count if self.closure_count else None


def has_pocketsphinx() -> bool:
    """Whether the extra "sync" is installed, which recognises phones."""
    return importlib.util.find_spec("pocketsphinx") is not None


def find_shut_threshold(lip_track: LipTrack) -> float | None:
    """Opening in centimetres up to which these lips count as closed; None if they hardly move."""
    known = lip_track.openings[lip_track.face_mask]
    if not len(known):
        return None
    low, high = np.percentile(known, _OPENING_PERCENTILES)
    return None if high - low < _MIN_MOVEMENT_CM else float(low + _SHUT_SHARE * (high - low))


def find_network_closures(closure: NDArray[np.float32], start: float) -> list[Closure]:
    """Runs in which the closure control of the articulation network is high.

    `closure` has one value every 10 ms from `start` on.
    """
    edges = np.flatnonzero(np.diff((closure > _CLOSURE_THRESHOLD).astype(np.int8), prepend=0, append=0))
    runs = ((start + a / 100, start + b / 100) for a, b in edges.reshape(-1, 2).tolist())
    return [Closure(start=a, end=b) for a, b in runs if _MIN_CLOSURE_SECONDS <= b - a <= _MAX_CLOSURE_SECONDS]


def find_phoneme_closures(sound: Iterable[Samples], start: float) -> list[Closure]:
    """P, B and M recognised by pocketsphinx without a text (a loop over all phones); the sound begins at `start`."""
    from pocketsphinx import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        Decoder,
        get_model_path,
        set_loglevel,
    )

    set_loglevel("FATAL")
    model = Path(get_model_path("en-us")) / "en-us-phone.lm.bin"
    decoder = Decoder(allphone=str(model), lm=None, beam=1e-20, pbeam=1e-20, lw=2.0)
    decoder.start_utt()
    for samples in (chunk for chunk in sound if len(chunk)):
        pcm = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
        decoder.process_raw(pcm.tobytes(), False, False)
    decoder.end_utt()
    return [
        Closure(start=start + part.start_frame / 100, end=start + (part.end_frame + 1) / 100)
        for part in decoder.seg() or ()
        if part.word in BILABIALS and (part.end_frame + 1 - part.start_frame) / 100 <= _MAX_CLOSURE_SECONDS
    ]


def compare_closures(lip_track: LipTrack, closures: list[Closure], source: str) -> ClosureComparison:
    """Which closures, among those within the time of the face, find the lips closed within one frame."""
    limit = find_shut_threshold(lip_track)
    times, openings = lip_track.times[lip_track.face_mask], lip_track.openings[lip_track.face_mask]
    frame = lip_track.frame_seconds
    visible = [c for c in closures if len(times) and times[0] < c.start and c.end < times[-1]]
    events = tuple(
        (c, limit is not None and _is_closure_met(times, openings, frame, c, limit)) for c in visible
    )
    return ClosureComparison(
        source=source,
        closure_count=len(events),
        met_count=sum(met for _, met in events),
        chance_share=_estimate_chance(times, openings, frame, visible, limit),
        events=events,
    )


def _is_closure_met(
    times: NDArray[np.float64], openings: NDArray[np.float64], frame: float, closure: Closure, limit: float
) -> bool:
    """Whether a frame whose middle is at most one frame from the closure shows closed lips."""
    first, last = np.searchsorted(times, (closure.start - frame, closure.end + frame))
    return bool((openings[first:last] <= limit).any())


def _estimate_chance(
    times: NDArray[np.float64],
    openings: NDArray[np.float64],
    frame: float,
    closures: list[Closure],
    limit: float | None,
) -> float:
    """Share of closures met when all are shifted by the same 0.4 to 2 seconds, wrapped at the end of the video."""
    if limit is None or not closures:
        return 0.0
    first, length = float(times[0]), float(times[-1] - times[0])
    met = []
    for shift in np.arange(*_CHANCE_SHIFTS).tolist():
        for closure in closures:
            start = first + (closure.start - first + shift) % length
            shifted = Closure(start=start, end=start + closure.end - closure.start)
            met.append(_is_closure_met(times, openings, frame, shifted, limit))
    return float(np.mean(met))


def measure_silent_shut(lip_track: LipTrack, voice: NDArray[np.float32], start: float) -> float | None:
    """Share of the frames without speech that show closed lips; None without such frames.

    `voice` is the probability of speech, one value every 10 ms from `start` on.
    """
    limit = find_shut_threshold(lip_track)
    margin = np.ones(2 * _SILENCE_MARGIN_STEPS + 1)
    near_speech = np.convolve((voice >= _SILENCE_PROBABILITY).astype(np.float32), margin, mode="same") > 0.5
    step = np.floor((lip_track.times - start) * 100).astype(np.intp)
    inside = lip_track.face_mask & (step >= 0) & (step < len(voice))
    silent = lip_track.openings[inside][~near_speech[step[inside]]]
    if not len(silent):
        return None
    return 1.0 if limit is None else float((silent <= limit).mean())
