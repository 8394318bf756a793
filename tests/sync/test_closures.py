import importlib.util

import numpy as np
import pytest

from liveavatar.sync.audio_track import extract_audio_track, stream_mono_audio
from liveavatar.sync.closures import (
    Closure,
    compare_closures,
    find_network_closures,
    find_phoneme_closures,
    find_shut_threshold,
    has_pocketsphinx,
    measure_silent_shut,
)
from liveavatar.sync.lip_track import LipTrack
from sync.conftest import ASSETS


def make_lip_track(shut: list[tuple[float, float]], seconds: float = 10, fps: float = 25) -> LipTrack:
    """Lips that are a centimetre open, and closed at some times."""
    times = np.arange(0.5, round(seconds * fps)) / fps
    openings = np.ones(len(times))
    for start, end in shut:
        openings[(times >= start) & (times < end)] = 0.02
    return LipTrack(times=times, openings=openings, frame_seconds=1 / fps)


def test_finds_closures_in_the_networks_track() -> None:
    track = np.zeros(300, np.float32)
    track[50:60] = 0.9
    track[100:101] = 0.9  # too short to be one
    track[150:250] = 0.9  # too long: a pause
    track[290:] = 0.9
    assert find_network_closures(track, 2.0) == [Closure(start=2.5, end=2.6), Closure(start=4.9, end=5.0)]


def test_a_closure_is_met_up_to_one_frame_away() -> None:
    track = make_lip_track([(1.0, 1.08), (3.0, 3.08), (6.0, 6.08), (8.0, 8.5)])
    closures = [Closure(start=at, end=at + 0.06) for at in (1.0, 3.1, 5.87)]
    found = compare_closures(track, closures, "test")
    assert [met for _, met in found.events] == [True, True, False]
    assert (found.closure_count, found.met_count, found.source) == (3, 2, "test")
    assert found.met_share == pytest.approx(2 / 3)


def test_chance_is_the_share_met_at_other_times() -> None:
    closures = [Closure(start=at, end=at + 0.06) for at in (1.0, 3.0, 6.0)]
    rare = compare_closures(
        make_lip_track([(0, 0.2), *((c.start, c.end) for c in closures)]), closures, "test"
    )
    assert rare.met_share == 1.0
    assert rare.chance_share < 0.15
    often = compare_closures(make_lip_track([(at / 5, at / 5 + 0.1) for at in range(50)]), closures, "test")
    assert often.chance_share > 0.9


def test_closures_outside_the_video_do_not_count() -> None:
    found = compare_closures(make_lip_track([(1, 2)], seconds=3), [Closure(start=5, end=5.1)], "test")
    assert (found.closure_count, found.met_share) == (0, None)


def test_frames_without_a_face_are_left_out() -> None:
    track = make_lip_track([(1.0, 1.08), (2, 3)])
    track.openings[20:30] = np.nan
    assert compare_closures(track, [Closure(start=1.0, end=1.06)], "test").met_count == 0


def test_a_mouth_that_never_opens_meets_no_closure() -> None:
    track = LipTrack(times=np.arange(100) / 25, openings=np.full(100, 0.03), frame_seconds=0.04)
    assert find_shut_threshold(track) is None
    assert compare_closures(track, [Closure(start=1, end=1.1)], "test").met_count == 0


def test_silence_counts_only_away_from_speech() -> None:
    voice = np.zeros(1000, np.float32)
    voice[300:700] = 0.9
    track = make_lip_track([(0, 2.5), (7.5, 10)])  # open for half a second before and after the voice
    assert measure_silent_shut(track, voice, 0.0) == pytest.approx(5 / 5.7, abs=0.02)
    assert measure_silent_shut(track, np.ones(1000, np.float32), 0.0) is None


def test_finds_out_whether_the_extra_is_installed() -> None:
    assert has_pocketsphinx() == (importlib.util.find_spec("pocketsphinx") is not None)


def test_pocketsphinx_and_the_network_agree_on_closures() -> None:
    """The median distance of closures in the demo's English is below a tenth of a second."""
    pytest.importorskip("pocketsphinx")
    path = ASSETS / "demo_en.ogg"
    recognised = find_phoneme_closures(stream_mono_audio(path), 1.0)
    predicted = find_network_closures(extract_audio_track(path).closure, 1.0)
    gaps = [
        min(abs(one.start + one.end - other.start - other.end) / 2 for other in predicted)
        for one in recognised
    ]
    assert len(recognised) >= 3
    assert np.median(gaps) < 0.1


def test_silence_has_no_closures() -> None:
    pytest.importorskip("pocketsphinx")
    assert find_phoneme_closures([np.zeros(0, np.float32), np.zeros(16_000, np.float32)], 0.0) == []
