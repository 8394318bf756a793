"""Lips that must be shut: P, B and M in the sound, and whether the picture shows it."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Samples
from liveavatar.sync.looking import Seen

BILABIALS = ("P", "B", "M")
_SURE = 0.5
"""Closure from which the articulation network counts as hearing shut lips."""
_SHORTEST, _LONGEST = 0.03, 0.5
"""Seconds: shorter runs are doubtful, longer ones a pause."""
_SHUT = 0.2
"""Lips this share of the way from the mouth's narrowest to its widest count as shut."""
_STILL = 0.15
"""Centimetres: a mouth that moves less never opens."""
_QUIET = 0.2  # probability of a voice below which nobody speaks
_CALM = 15  # steps of 10 ms that a silence keeps away from speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Seconds of the file's clock between which lips are heard to be shut."""

    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Closures:
    """`met` of `heard` closures are seen within one frame; `chance` is the share that would be met if they were
    anywhere else; `source` says who heard them; `events` pairs each with whether it was met."""

    source: str
    heard: int
    met: int
    chance: float
    events: tuple[tuple[Closure, bool], ...]

    @property
    def share(self) -> float | None:
        """Met of those heard; None without any."""
        return self.met / self.heard if self.heard else None


def has_pocketsphinx() -> bool:
    """Whether the extra is installed that finds closures in the sound."""
    return importlib.util.find_spec("pocketsphinx") is not None


def shut_below(seen: Seen) -> float | None:
    """Opening in centimetres up to which these lips count as shut; None when they hardly move."""
    known = seen.openings[seen.present]
    if not len(known):
        return None
    low, high = np.percentile(known, (2, 95))
    return None if high - low < _STILL else float(low + _SHUT * (high - low))


def heard_closures(closure: NDArray[np.float32], start: float) -> list[Closure]:
    """Runs in which the network's `closure`, one value each 10 ms from `start` on, is sure."""
    edges = np.flatnonzero(np.diff((closure > _SURE).astype(np.int8), prepend=0, append=0))
    runs = ((start + a / 100, start + b / 100) for a, b in edges.reshape(-1, 2).tolist())
    return [Closure(start=a, end=b) for a, b in runs if _SHORTEST <= b - a <= _LONGEST]


def spoken_closures(sound: Iterable[Samples], start: float) -> list[Closure]:
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
        if part.word in BILABIALS and (part.end_frame + 1 - part.start_frame) / 100 <= _LONGEST
    ]


def compare(seen: Seen, closures: list[Closure], source: str) -> Closures:
    """Which of the closures, where there is a face, find the lips shut within one frame."""
    limit = shut_below(seen)
    times, openings = seen.times[seen.present], seen.openings[seen.present]
    visible = [c for c in closures if len(times) and times[0] < c.start and c.end < times[-1]]
    events = tuple((c, limit is not None and _met(times, openings, seen.frame, c, limit)) for c in visible)
    return Closures(
        source=source,
        heard=len(events),
        met=sum(met for _, met in events),
        chance=_chance(times, openings, seen.frame, visible, limit),
        events=events,
    )


def _met(
    times: NDArray[np.float64], openings: NDArray[np.float64], frame: float, closure: Closure, limit: float
) -> bool:
    """Whether a frame whose middle lies within one frame of the closure shows the lips shut."""
    first, last = np.searchsorted(times, (closure.start - frame, closure.end + frame))
    return bool((openings[first:last] <= limit).any())


def _chance(
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
            met.append(_met(times, openings, frame, moved, limit))
    return float(np.mean(met))


def shut_in_silence(seen: Seen, voice: NDArray[np.float32], start: float) -> float | None:
    """Share of the frames in which nobody speaks that show shut lips; None without such frames.

    `voice` is the probability of speech, one value each 10 ms from `start` on.
    """
    limit = shut_below(seen)
    loud = np.convolve((voice >= _QUIET).astype(np.float32), np.ones(2 * _CALM + 1), mode="same") > 0.5
    step = np.floor((seen.times - start) * 100).astype(np.intp)
    inside = seen.present & (step >= 0) & (step < len(voice))
    quiet = seen.openings[inside][~loud[step[inside]]]
    if not len(quiet):
        return None
    return 1.0 if limit is None else float((quiet <= limit).mean())
