"""From a finished video to what can be said about its lips."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import VideoError
from liveavatar.sync.audio_track import AudioTrack, extract_audio_track, stream_mono_audio
from liveavatar.sync.closures import (
    ClosureComparison,
    compare_closures,
    find_network_closures,
    find_phoneme_closures,
    has_pocketsphinx,
    measure_silent_shut,
)
from liveavatar.sync.lip_track import LipTrack, extract_lip_track
from liveavatar.sync.offset import TRACK_RATE, Alignment, Track, align_tracks, band_pass_track, smooth_track
from liveavatar.video.reader import open_video

FEATURE_BIAS_SECONDS = 0.018
"""Seconds by which the sound's features are taken to come before the lips of a face in step: the middle between the
one real face we know, 0.041, and our own renders, -0.005 to 0.003; see docs/sync.md."""

_MIN_FACE_SECONDS = 2.0
"""Seconds of face with sound that a judgement needs."""

ProgressCallback = Callable[[str, float], None]
"""Called with what is being done and the share of it, 0…1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncMeasurement:
    """All tracks of one video, and what came of comparing them. Times are seconds of the file's clock.

    `lips`, `present` and `expected` have one value every 10 ms from `start` on; `alignment.line` is already freed
    from the bias: 0 is in step. `loudness_offset` is the lag by the loudness of the voice alone, without the
    articulation network. `energy_correlation` is that of lips and loudness as they are.
    """

    path: Path
    lip_track: LipTrack
    start: float
    lip_opening: Track
    face_mask: NDArray[np.bool_]
    expected_opening: Track
    alignment: Alignment
    loudness_offset: float
    closures: ClosureComparison
    silent_shut: float | None
    energy_correlation: float
    face_seconds: float


def measure_sync(
    path: str | Path, on_progress: ProgressCallback = lambda _what, _share: None
) -> SyncMeasurement:
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
        heard = extract_audio_track(path, lambda done: on_progress("listening", min(done / total, 1.0)))
        seen = extract_lip_track(video, lambda done: on_progress("watching the lips", min(done / total, 1.0)))
    return compare_tracks(path, seen, heard, begin)


def compare_tracks(
    path: Path, lip_track: LipTrack, audio_track: AudioTrack, sound_start: float
) -> SyncMeasurement:
    """Compare what was seen with what was heard; the sound begins at `begin` seconds of the pictures' clock.

    Raises:
        VideoError: no face was seen for long enough.
    """
    start = float(lip_track.times[0]) if len(lip_track.times) else 0.0
    times = (
        start
        + np.arange(int((lip_track.times[-1] - start) * TRACK_RATE) + 1 if len(lip_track.times) else 0)
        / TRACK_RATE
    )
    lips, present = lip_track.sample_openings(times)
    if present.sum() < _MIN_FACE_SECONDS * TRACK_RATE:
        problem = f"{path.name} shows a face for only {present.sum() / TRACK_RATE:.1f} s"
        raise VideoError(problem, f"choose a video that shows one for {_MIN_FACE_SECONDS:.0f} s or more")
    expected, loudness = (
        _resample_to_clock(values, sound_start, start)
        for values in (audio_track.expected_opening, audio_track.loudness)
    )
    flat = band_pass_track(lips)
    alignment = align_tracks(flat, present, band_pass_track(expected)).remove_bias(
        FEATURE_BIAS_SECONDS, start
    )
    plain = align_tracks(flat, present, band_pass_track(loudness)).remove_bias(FEATURE_BIAS_SECONDS, start)
    return SyncMeasurement(
        path=path,
        lip_track=lip_track,
        start=start,
        lip_opening=lips,
        face_mask=present,
        expected_opening=expected,
        alignment=alignment,
        loudness_offset=plain.offset,
        closures=_match_closures(path, lip_track, audio_track, sound_start),
        silent_shut=measure_silent_shut(lip_track, audio_track.voice, sound_start),
        energy_correlation=_correlate_loudness(lips, present, loudness),
        face_seconds=float(present.sum()) / TRACK_RATE,
    )


def _resample_to_clock(values: NDArray[np.floating], sound_start: float, start: float) -> Track:
    """Values about the middles of steps of 10 ms from `begin` on, read every 10 ms from `start` on."""
    middles = sound_start - start + (np.arange(len(values)) + 0.5) / TRACK_RATE
    count = max(1, int(middles[-1] * TRACK_RATE) + 1) if len(values) else 1
    return np.asarray(np.interp(np.arange(count) / TRACK_RATE, middles, values, left=0.0, right=0.0))


def _match_closures(
    path: Path, lip_track: LipTrack, audio_track: AudioTrack, sound_start: float
) -> ClosureComparison:
    if has_pocketsphinx():
        return compare_closures(
            lip_track, find_phoneme_closures(stream_mono_audio(path), sound_start), "pocketsphinx"
        )
    return compare_closures(
        lip_track, find_network_closures(audio_track.closure, sound_start), "articulation network"
    )


def _correlate_loudness(lip_opening: Track, face_mask: NDArray[np.bool_], loudness: Track) -> float:
    count = min(len(lip_opening), len(loudness))
    both = np.flatnonzero(face_mask[:count])
    if len(both) < 2:
        return 0.0
    one, other = smooth_track(lip_opening, 9)[both], smooth_track(loudness, 9)[both]
    if one.std() < 1e-9 or other.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
