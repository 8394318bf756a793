"""Measures one video: tracks of lips and sound, their alignment, closures and silence."""

from collections.abc import Callable
from dataclasses import dataclass, replace
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
"""How much earlier than the lips of a face in step the features of its sound are. The middle between the one real face
at hand, 0.041, and our own renders, -0.005 to 0.003; see docs/sync.md."""

_MIN_FACE_SECONDS = 2.0
"""Least duration of face with sound."""

_MIN_DEVIATION = 1e-9  # of a track; a constant one has no correlation
_ENVELOPE_STEPS = 9  # smoothing of lips and loudness before their correlation

ProgressCallback = Callable[[str, float], None]
"""Called with the name of the stage and the share of it that is done, 0…1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncMeasurement:
    """All tracks of one video and their comparison. Times are seconds of the file's clock.

    `lip_opening`, `face_mask` and `expected_opening` have one value every 10 ms from `start` on. The lags of
    `alignment` have no bias: 0 is in step. `loudness_offset` is the lag by loudness alone, without the articulation
    network. `energy_correlation` is the correlation of lip opening and loudness without a shift. `silent_shut` is the
    share of frames without speech that show closed lips. `face_seconds` is how long the video shows a face.
    `sound_track` is the number that was asked for, `sound_track_count` of how many.
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
    sound_track: int | None = None
    sound_track_count: int = 1


def measure_sync(
    path: str | Path,
    on_progress: ProgressCallback = lambda _what, _share: None,
    track: int | None = None,
) -> SyncMeasurement:
    """Compare lips and sound of a video. Both are streamed: memory grows by about 20 MB an hour.

    `track` is the number of the sound track, from 1; None is the one that players play.

    Raises:
        VideoError: the file cannot be read, has no sound, or shows a face for less than two seconds.
        AudioError: the sound cannot be read.
    """
    path = Path(path)
    with open_video(path, track) as video:
        if video.sound_start is None:
            raise VideoError(f"{path.name} has no sound", "choose a video with a sound track")
        total = max(float(video.duration or 1), 0.1)

        def report_to(stage: str) -> Callable[[float], None]:
            return lambda done: on_progress(stage, min(done / total, 1.0))

        audio_track = extract_audio_track(path, report_to("analysing the sound"), track)
        lip_track = extract_lip_track(video, report_to("tracking the lips"))
        measured = compare_tracks(path, lip_track, audio_track, float(video.sound_start), track)
        return replace(measured, sound_track_count=video.sound_track_count)


def compare_tracks(
    path: Path, lip_track: LipTrack, audio_track: AudioTrack, sound_start: float, track: int | None = None
) -> SyncMeasurement:
    """Compare lips and sound; the sound begins at `sound_start` seconds of the pictures' clock.

    Raises:
        VideoError: the lip track has a face for less than two seconds.
    """
    times = _list_step_times(lip_track)
    start = float(times[0]) if len(times) else 0.0
    lips, face_mask = lip_track.sample_openings(times)
    if face_mask.sum() < _MIN_FACE_SECONDS * TRACK_RATE:
        problem = f"{path.name} shows a face for only {face_mask.sum() / TRACK_RATE:.1f} s"
        raise VideoError(problem, f"choose a video that shows one for {_MIN_FACE_SECONDS:.0f} s or more")
    expected = _resample_to_clock(audio_track.expected_opening, sound_start, start)
    loudness = _resample_to_clock(audio_track.loudness, sound_start, start)
    lip_motion = band_pass_track(lips)
    alignment, loudness_alignment = (
        align_tracks(lip_motion, face_mask, band_pass_track(sound)).remove_bias(FEATURE_BIAS_SECONDS, start)
        for sound in (expected, loudness)
    )
    return SyncMeasurement(
        path=path,
        lip_track=lip_track,
        start=start,
        lip_opening=lips,
        face_mask=face_mask,
        expected_opening=expected,
        alignment=alignment,
        loudness_offset=loudness_alignment.offset,
        closures=_match_closures(path, lip_track, audio_track, sound_start, track),
        silent_shut=measure_silent_shut(lip_track, audio_track.voice, sound_start),
        energy_correlation=_correlate_loudness(lips, face_mask, loudness),
        face_seconds=float(face_mask.sum()) / TRACK_RATE,
        sound_track=track,
    )


def _list_step_times(lip_track: LipTrack) -> Track:
    """Every 10 ms from the first frame to the last, seconds."""
    if not len(lip_track.times):
        return np.zeros(0)
    start, end = lip_track.times[0], lip_track.times[-1]
    return np.asarray(start + np.arange(int((end - start) * TRACK_RATE) + 1) / TRACK_RATE, np.float64)


def _resample_to_clock(values: NDArray[np.floating], sound_start: float, start: float) -> Track:
    """Values at the middles of 10 ms steps from `sound_start` on, interpolated every 10 ms from `start` on."""
    middles = sound_start - start + (np.arange(len(values)) + 0.5) / TRACK_RATE
    count = max(1, int(middles[-1] * TRACK_RATE) + 1) if len(values) else 1
    return np.asarray(np.interp(np.arange(count) / TRACK_RATE, middles, values, left=0.0, right=0.0))


def _match_closures(
    path: Path, lip_track: LipTrack, audio_track: AudioTrack, sound_start: float, track: int | None
) -> ClosureComparison:
    if has_pocketsphinx():
        closures = find_phoneme_closures(stream_mono_audio(path, track), sound_start)
        return compare_closures(lip_track, closures, "pocketsphinx")
    closures = find_network_closures(audio_track.closure, sound_start)
    return compare_closures(lip_track, closures, "articulation network")


def _correlate_loudness(lip_opening: Track, face_mask: NDArray[np.bool_], loudness: Track) -> float:
    count = min(len(lip_opening), len(loudness))
    both = np.flatnonzero(face_mask[:count])
    if len(both) < 2:
        return 0.0
    lips, sound = (smooth_track(track, _ENVELOPE_STEPS)[both] for track in (lip_opening, loudness))
    if min(lips.std(), sound.std()) < _MIN_DEVIATION:
        return 0.0
    return float(np.corrcoef(lips, sound)[0, 1])
