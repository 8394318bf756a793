"""Lips that must be shut: P, B and M in the sound, and whether the picture shows it."""

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
"""Closure from which the articulation network counts as hearing shut lips."""
_MIN_CLOSURE_SECONDS, _MAX_CLOSURE_SECONDS = 0.03, 0.5
"""Seconds: shorter runs are doubtful, longer ones a pause."""
_SHUT_SHARE = 0.2
"""Lips this share of the way from the mouth's narrowest to its widest count as shut."""
_MIN_MOVEMENT_CM = 0.15
"""Centimetres: a mouth that moves less never opens."""
_SILENCE_PROBABILITY = 0.2  # probability of a voice below which nobody speaks
_SILENCE_MARGIN_STEPS = 15  # steps of 10 ms that a silence keeps away from speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Seconds of the file's clock between which lips are heard to be shut."""

    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosureComparison:
    """`met` of `heard` closures are seen within one frame; `chance` is the share that would be met if they were
    anywhere else; `source` says who heard them; `events` pairs each with whether it was met."""

    source: str
    heard_count: int
    met_count: int
    chance_share: float
    events: tuple[tuple[Closure, bool], ...]

    @property
    def met_share(self) -> float | None:
        """Met of those heard; None without any."""
        return self.met_count / self.heard_count if self.heard_count else None


def has_pocketsphinx() -> bool:
    """Whether the extra is installed that finds closures in the sound."""
    return importlib.util.find_spec("pocketsphinx") is not None


def find_shut_threshold(lip_track: LipTrack) -> float | None:
    """Opening in centimetres up to which these lips count as shut; None when they hardly move."""
    known = lip_track.openings[lip_track.face_mask]
    if not len(known):
        return None
    low, high = np.percentile(known, (2, 95))
    return None if high - low < _MIN_MOVEMENT_CM else float(low + _SHUT_SHARE * (high - low))


def find_network_closures(closure: NDArray[np.float32], start: float) -> list[Closure]:
    """Runs in which the network's `closure`, one value each 10 ms from `start` on, is sure."""
    edges = np.flatnonzero(np.diff((closure > _CLOSURE_THRESHOLD).astype(np.int8), prepend=0, append=0))
    runs = ((start + a / 100, start + b / 100) for a, b in edges.reshape(-1, 2).tolist())
    return [Closure(start=a, end=b) for a, b in runs if _MIN_CLOSURE_SECONDS <= b - a <= _MAX_CLOSURE_SECONDS]


def find_phoneme_closures(sound: Iterable[Samples], start: float) -> list[Closure]:
    """P, B and M as pocketsphinx hears them, without knowing the words (a loop over all phones)."""
    from pocketsphinx import (  # type: ignore[import-not-found, unused-ignore]
        Decoder,
        get_model_path,
        set_loglevel,
    )

    set_loglevel("FATAL")
    model = Path(get_model_path("en-us")) / "en-us-phone.lm.bin"
    decoder = Decoder(allphone=str(model), lm=None, beam=1e-20, pbeam=1e-20, lw=2.0)
    decoder.start_utt()
    for samples in (piece for piece in sound if len(piece)):
        pcm = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
        decoder.process_raw(pcm.tobytes(), False, False)
    decoder.end_utt()
    return [
        Closure(start=start + part.start_frame / 100, end=start + (part.end_frame + 1) / 100)
        for part in decoder.seg() or ()
        if part.word in BILABIALS and (part.end_frame + 1 - part.start_frame) / 100 <= _MAX_CLOSURE_SECONDS
    ]


def compare_closures(lip_track: LipTrack, closures: list[Closure], source: str) -> ClosureComparison:
    """Which of the closures, where there is a face, find the lips shut within one frame."""
    limit = find_shut_threshold(lip_track)
    times, openings = lip_track.times[lip_track.face_mask], lip_track.openings[lip_track.face_mask]
    visible = [c for c in closures if len(times) and times[0] < c.start and c.end < times[-1]]
    events = tuple(
        (c, limit is not None and _is_closure_met(times, openings, lip_track.frame_seconds, c, limit))
        for c in visible
    )
    return ClosureComparison(
        source=source,
        heard_count=len(events),
        met_count=sum(met for _, met in events),
        chance_share=_estimate_chance(times, openings, lip_track.frame_seconds, visible, limit),
        events=events,
    )


def _is_closure_met(
    times: NDArray[np.float64], openings: NDArray[np.float64], frame: float, closure: Closure, limit: float
) -> bool:
    """Whether a frame whose middle lies within one frame of the closure shows the lips shut."""
    first, last = np.searchsorted(times, (closure.start - frame, closure.end + frame))
    return bool((openings[first:last] <= limit).any())


def _estimate_chance(
    times: NDArray[np.float64],
    openings: NDArray[np.float64],
    frame: float,
    closures: list[Closure],
    limit: float | None,
) -> float:
    """Share of closures met when all are moved by the same 0.4 to 2 seconds, round the end of the video."""
    if limit is None or not closures:
        return 0.0
    first, length = float(times[0]), float(times[-1] - times[0])
    met = []
    for shift in np.arange(0.4, 2.0, 0.1).tolist():
        for closure in closures:
            start = first + (closure.start - first + shift) % length
            moved = Closure(start=start, end=start + closure.end - closure.start)
            met.append(_is_closure_met(times, openings, frame, moved, limit))
    return float(np.mean(met))


def measure_silent_shut(lip_track: LipTrack, voice: NDArray[np.float32], start: float) -> float | None:
    """Share of the frames in which nobody speaks that show shut lips; None without such frames.

    `voice` is the probability of speech, one value each 10 ms from `start` on.
    """
    limit = find_shut_threshold(lip_track)
    loud = (
        np.convolve(
            (voice >= _SILENCE_PROBABILITY).astype(np.float32),
            np.ones(2 * _SILENCE_MARGIN_STEPS + 1),
            mode="same",
        )
        > 0.5
    )
    step = np.floor((lip_track.times - start) * 100).astype(np.intp)
    inside = lip_track.face_mask & (step >= 0) & (step < len(voice))
    quiet = lip_track.openings[inside][~loud[step[inside]]]
    if not len(quiet):
        return None
    return 1.0 if limit is None else float((quiet <= limit).mean())
