"""From a finished video to what can be said about its lips."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import VideoError
from liveavatar.sync.closures import (
    Closures,
    compare,
    has_pocketsphinx,
    heard_closures,
    shut_in_silence,
    spoken_closures,
)
from liveavatar.sync.hearing import Heard, listen, sound_of
from liveavatar.sync.looking import Seen, look
from liveavatar.sync.offset import RATE, Alignment, Track, align, flatten, smooth
from liveavatar.video.reader import open_video

BIAS = 0.018
"""Seconds by which the sound's features are taken to come before the lips of a face in step: the middle between the
one real face we know, 0.041, and our own renders, -0.005 to 0.003; see docs/sync.md."""

_LEAST = 2.0
"""Seconds of face with sound that a judgement needs."""

Tell = Callable[[str, float], None]
"""Called with what is being done and the share of it, 0…1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All tracks of one video, and what came of comparing them. Times are seconds of the file's clock.

    `lips`, `present` and `expected` have one value every 10 ms from `start` on; `alignment.line` is already freed
    from the bias: 0 is in step. `loudness_offset` is the lag by the loudness of the voice alone, without the
    articulation network. `energy_correlation` is that of lips and loudness as they are.
    """

    path: Path
    seen: Seen
    start: float
    lips: Track
    present: NDArray[np.bool_]
    expected: Track
    alignment: Alignment
    loudness_offset: float
    closures: Closures
    silent_shut: float | None
    energy_correlation: float
    seconds: float


def measure(path: str | Path, tell: Tell = lambda _what, _share: None) -> Measured:
    """Compare lips and sound of a video. Pictures and sound are read as streams; a few numbers for every 10 ms
    are kept, about 5 MB an hour.

    Raises:
        VideoError: the file cannot be read, or shows no face for long enough.
        AudioError: it has no sound, or the sound cannot be read.
    """
    path = Path(path)
    with open_video(path) as video:
        if video.sound_start is None:
            raise VideoError(f"{path.name} has no sound", "choose a video with a sound track")
        begin, total = float(video.sound_start), max(float(video.duration or 1), 0.1)
        heard = listen(path, lambda done: tell("listening", min(done / total, 1.0)))
        seen = look(video, lambda done: tell("watching the lips", min(done / total, 1.0)))
    return relate(path, seen, heard, begin)


def relate(path: Path, seen: Seen, heard: Heard, begin: float) -> Measured:
    """Compare what was seen with what was heard; the sound begins at `begin` seconds of the pictures' clock.

    Raises:
        VideoError: no face was seen for long enough.
    """
    start = float(seen.times[0]) if len(seen.times) else 0.0
    times = start + np.arange(int((seen.times[-1] - start) * RATE) + 1 if len(seen.times) else 0) / RATE
    lips, present = seen.at(times)
    if present.sum() < _LEAST * RATE:
        problem = f"{path.name} shows a face for only {present.sum() / RATE:.1f} s"
        raise VideoError(problem, f"choose a video that shows one for {_LEAST:.0f} s or more")
    expected, loudness = (_on_clock(values, begin, start) for values in (heard.expected, heard.loudness))
    flat = flatten(lips)
    alignment = align(flat, present, flatten(expected)).freed(BIAS, start)
    plain = align(flat, present, flatten(loudness)).freed(BIAS, start)
    return Measured(
        path=path,
        seen=seen,
        start=start,
        lips=lips,
        present=present,
        expected=expected,
        alignment=alignment,
        loudness_offset=plain.offset,
        closures=_closures(path, seen, heard, begin),
        silent_shut=shut_in_silence(seen, heard.voice, begin),
        energy_correlation=_correlation(lips, present, loudness),
        seconds=float(present.sum()) / RATE,
    )


def _on_clock(values: NDArray[np.floating], begin: float, start: float) -> Track:
    """Values about the middles of steps of 10 ms from `begin` on, read every 10 ms from `start` on."""
    middles = begin - start + (np.arange(len(values)) + 0.5) / RATE
    count = max(1, int(middles[-1] * RATE) + 1) if len(values) else 1
    return np.asarray(np.interp(np.arange(count) / RATE, middles, values, left=0.0, right=0.0))


def _closures(path: Path, seen: Seen, heard: Heard, begin: float) -> Closures:
    if has_pocketsphinx():
        return compare(seen, spoken_closures(sound_of(path), begin), "pocketsphinx")
    return compare(seen, heard_closures(heard.closure, begin), "articulation network")


def _correlation(lips: Track, present: NDArray[np.bool_], loudness: Track) -> float:
    count = min(len(lips), len(loudness))
    both = np.flatnonzero(present[:count])
    if len(both) < 2:
        return 0.0
    one, other = smooth(lips, 9)[both], smooth(loudness, 9)[both]
    if one.std() < 1e-9 or other.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
