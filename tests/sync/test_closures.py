import importlib.util

import numpy as np
import pytest

from liveavatar.sync.closures import (
    Closure,
    compare,
    has_pocketsphinx,
    heard_closures,
    shut_below,
    shut_in_silence,
    spoken_closures,
)
from liveavatar.sync.hearing import listen, sound_of
from liveavatar.sync.looking import Seen
from sync.conftest import ASSETS


def lips(shut: list[tuple[float, float]], seconds: float = 10, fps: float = 25) -> Seen:
    """Lips that are a centimetre open but for the given times."""
    times = np.arange(0.5, round(seconds * fps)) / fps
    openings = np.ones(len(times))
    for start, end in shut:
        openings[(times >= start) & (times < end)] = 0.02
    return Seen(times=times, openings=openings, frame=1 / fps)


def test_finds_closures_in_the_networks_track() -> None:
    track = np.zeros(300, np.float32)
    track[50:60] = 0.9
    track[100:101] = 0.9  # too short to be one
    track[150:250] = 0.9  # too long: a pause
    track[290:] = 0.9
    assert heard_closures(track, 2.0) == [Closure(start=2.5, end=2.6), Closure(start=4.9, end=5.0)]


def test_a_closure_is_met_up_to_one_frame_away() -> None:
    seen = lips([(1.0, 1.08), (3.0, 3.08), (6.0, 6.08), (8.0, 8.5)])
    wanted = [Closure(start=at, end=at + 0.06) for at in (1.0, 3.1, 5.87)]
    found = compare(seen, wanted, "test")
    assert [met for _, met in found.events] == [True, True, False]
    assert (found.heard, found.met, found.source) == (3, 2, "test")
    assert found.share == pytest.approx(2 / 3)


def test_says_what_chance_would_meet() -> None:
    closures = [Closure(start=at, end=at + 0.06) for at in (1.0, 3.0, 6.0)]
    rare = compare(lips([(0, 0.2), *((c.start, c.end) for c in closures)]), closures, "test")
    assert rare.share == 1.0
    assert rare.chance < 0.15
    often = compare(lips([(at / 5, at / 5 + 0.1) for at in range(50)]), closures, "test")
    assert often.chance > 0.9


def test_closures_outside_the_picture_do_not_count() -> None:
    found = compare(lips([(1, 2)], seconds=3), [Closure(start=5, end=5.1)], "test")
    assert (found.heard, found.share) == (0, None)


def test_frames_without_a_face_are_left_out() -> None:
    seen = lips([(1.0, 1.08), (2, 3)])
    seen.openings[20:30] = np.nan
    assert compare(seen, [Closure(start=1.0, end=1.06)], "test").met == 0


def test_a_mouth_that_never_opens_is_not_shut_by_merit() -> None:
    still = Seen(times=np.arange(100) / 25, openings=np.full(100, 0.03), frame=0.04)
    assert shut_below(still) is None
    assert compare(still, [Closure(start=1, end=1.1)], "test").met == 0


def test_silence_is_judged_away_from_speech() -> None:
    voice = np.zeros(1000, np.float32)
    voice[300:700] = 0.9
    seen = lips([(0, 2.5), (7.5, 10)])  # open for half a second before and after the voice
    assert shut_in_silence(seen, voice, 0.0) == pytest.approx(5 / 5.7, abs=0.02)
    assert shut_in_silence(seen, np.ones(1000, np.float32), 0.0) is None


def test_the_extra_is_found_when_it_is_there() -> None:
    assert has_pocketsphinx() == (importlib.util.find_spec("pocketsphinx") is not None)


def test_pocketsphinx_hears_closures_where_they_are() -> None:
    """In the demo's English, closures that both hear lie within a tenth of a second of each other."""
    pytest.importorskip("pocketsphinx")
    path = ASSETS / "demo_en.ogg"
    spoken = spoken_closures(sound_of(path), 1.0)
    heard = heard_closures(listen(path).closure, 1.0)
    gaps = [min(abs(one.start + one.end - other.start - other.end) / 2 for other in heard) for one in spoken]
    assert len(spoken) >= 3
    assert np.median(gaps) < 0.1


def test_silence_has_no_closures() -> None:
    pytest.importorskip("pocketsphinx")
    assert spoken_closures([np.zeros(0, np.float32), np.zeros(16_000, np.float32)], 0.0) == []
