import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import FrozenInstanceError, fields
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.mesh.motion.head_pose import HeadPose, HeadPoseGenerator
from liveavatar.mesh.motion.posture import MAX_ANGLE_RADIANS

Track = NDArray[np.float64]
Voice = Callable[[float], tuple[float, float, float, float]]

NAMES = tuple(field.name for field in fields(HeadPose))
ANGLES = [NAMES.index(name) for name in ("yaw", "pitch", "roll")]
HOUR = 3600
MAX_ANGLE_STEP_RADIANS = math.radians(0.9)
"""Largest change of an angle of the head within 1/25 s at amount 1."""


def silence(_: float) -> tuple[float, float, float, float]:
    return 0.0, 0.0, 0.0, 0.0


def drone(_: float) -> tuple[float, float, float, float]:
    return 0.7, 1.0, 0.0, 1.0


def talk(time: float) -> tuple[float, float, float, float]:
    """Phrases of 3.5 s and pauses of 1 s; a stressed syllable every 1.125 s."""
    voiced = float(time % 4.5 < 3.5)
    stress = voiced * max(0.0, math.sin(2 * math.pi * time / 1.125)) ** 4
    return voiced * (0.5 + 0.4 * stress), voiced * 4 * math.sin(time), 0.9 * stress, voiced


def shout(time: float) -> tuple[float, float, float, float]:
    """The most that a caller can ask for."""
    return 1.0, 12.0 * (-1) ** int(time), float(int(time * 4) % 2), 1.0


def poses(voice: Voice, seconds: float, fps: Fraction, seed: int, amount: float = 1.0) -> Iterator[HeadPose]:
    motion = HeadPoseGenerator(fps, seed, amount)
    for index in range(round(seconds * fps)):
        yield motion.next_pose(*voice(float(index / fps)))


def numbers(motion: Iterable[HeadPose]) -> Track:
    return np.array([[getattr(pose, name) for name in NAMES] for pose in motion])


@cache
def track(
    voice: Voice, seconds: float = 60, fps: Fraction = Fraction(25), seed: int = 0, amount: float = 1.0
) -> Track:
    return numbers(poses(voice, seconds, fps, seed, amount))


def column(motion: Track, name: str) -> Track:
    return np.asarray(motion[:, NAMES.index(name)])


def blink_times(motion: Track, fps: int) -> Track:
    shut = column(motion, "blink_left") > 0.3
    return (np.flatnonzero(shut[1:] & ~shut[:-1]) + 1) / fps


def test_a_pose_is_plain_and_frozen() -> None:
    pose = HeadPoseGenerator(Fraction(25), 0).next_pose(0, 0, 0, 0)
    with pytest.raises(FrozenInstanceError):
        pose.yaw = 1.0  # type: ignore[misc]


@given(st.integers(0, 2**63), st.sampled_from([16, 24, 25, 30, Fraction(30_000, 1001)]))
@settings(max_examples=30, deadline=None)
def test_the_first_frame_is_the_portrait_and_the_second_nearly(seed: int, fps: Fraction) -> None:
    motion = HeadPoseGenerator(Fraction(fps), seed)
    first, second = numbers(motion.next_pose(*talk(0)) for _ in range(2))
    assert not first.any()
    assert np.abs(second[ANGLES]).max() < math.radians(0.02)
    assert np.abs(second).max() < 0.01


@given(st.integers(0, 2**63))
@settings(max_examples=20, deadline=None)
def test_no_blink_in_the_first_second(seed: int) -> None:
    assert column(track(silence, 1, seed=seed), "blink_left").max() == 0


def test_same_seed_same_motion_and_another_seed_another() -> None:
    once, again = (numbers(poses(talk, 20, Fraction(25), 7)) for _ in range(2))
    other = track(talk, 20, seed=8)
    assert (once == again).all()
    assert np.corrcoef(column(once, "yaw"), column(other, "yaw"))[0, 1] < 0.9


def test_what_is_still_to_be_said_changes_nothing_before() -> None:
    whole = track(talk, 20)
    cut = track(lambda time: talk(time) if time < 10 else silence(time), 20)
    assert (whole[:250] == cut[:250]).all()
    assert (whole[300:] != cut[300:]).any()


@pytest.mark.parametrize("voice", [silence, drone])
@pytest.mark.parametrize(
    "fps", [Fraction(50), Fraction(60), Fraction(25), Fraction(30), Fraction(24), Fraction(30_000, 1001)]
)
def test_motion_does_not_depend_on_the_frame_rate(voice: Voice, fps: Fraction) -> None:
    """At every frame rate the frames are samples of one and the same motion at 100 Hz."""
    finest, coarse = track(voice, 20, Fraction(100)), track(voice, 19, fps)
    times = np.array([float(index / fps) for index in range(len(coarse))])
    for index, name in enumerate(NAMES):
        expected = np.interp(times, np.arange(len(finest)) / 100, finest[:, index])
        assert coarse[:, index] == pytest.approx(expected, abs=1e-9), name


def test_changing_speech_gives_the_same_motion_at_any_frame_rate() -> None:
    """Each frame hears only its own span, so beats may start a frame apart, and no more."""
    slow, fast = track(talk, 60), track(talk, 60, Fraction(50))[::2]
    difference = np.abs(slow - fast)[:, ANGLES]
    assert difference.max() < math.radians(0.7)
    assert np.sqrt((difference**2).mean()) < math.radians(0.1)
    assert len(blink_times(slow, 25)) == pytest.approx(len(blink_times(fast, 25)), abs=2)


@pytest.mark.parametrize("voice", [silence, talk, shout])
def test_everything_stays_within_bounds(voice: Voice) -> None:
    motion = track(voice, 300)
    assert np.abs(motion[:, ANGLES]).max() < MAX_ANGLE_RADIANS
    assert np.percentile(np.abs(motion[:, ANGLES]), 95) < math.radians(3.5)
    assert np.abs(motion[:, 3:5]).max() < 0.05
    for name in ("blink_left", "blink_right", "brow", "squint", "breath"):
        assert column(motion, name).min() >= 0, name
        assert column(motion, name).max() <= 1, name
    for name in ("gaze_x", "gaze_y"):
        assert np.abs(column(motion, name)).max() < math.radians(11), name


@given(st.floats(0, 50), st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_no_amount_goes_beyond_the_limit(amount: float, seed: int) -> None:
    motion = track(shout, 20, seed=seed, amount=amount)
    assert np.abs(motion[:, ANGLES]).max() <= MAX_ANGLE_RADIANS
    assert motion[:, NAMES.index("brow") :].max() <= 1


def test_without_amount_the_head_only_blinks() -> None:
    motion = track(talk, 30, amount=0.0)
    blinks = [NAMES.index(name) for name in ("blink_left", "blink_right")]
    assert motion[:, blinks].max() == pytest.approx(1, abs=0.5)
    assert np.abs(np.delete(motion, blinks, axis=1)).max() == 0


@pytest.mark.parametrize("voice", [silence, talk, shout])
def test_nothing_jumps(voice: Voice) -> None:
    steps = np.abs(np.diff(track(voice, 300), axis=0))
    assert steps[:, ANGLES].max() < MAX_ANGLE_STEP_RADIANS
    assert steps[:, 3:5].max() < 0.005
    assert steps[:, NAMES.index("brow")].max() < 0.35
    assert steps[:, NAMES.index("breath")].max() < 0.12


@pytest.mark.parametrize(("voice", "least", "most"), [(silence, 3.2, 4.8), (talk, 1.9, 3.2)])
def test_blinks_come_as_they_do_in_people(voice: Voice, least: float, most: float) -> None:
    gaps = np.diff(blink_times(track(voice, HOUR if voice is silence else HOUR / 3), 25))
    assert least < gaps.mean() < most
    assert np.median(gaps) < gaps.mean(), "skewed to the right"
    assert 0.4 < gaps.std() / gaps.mean() < 0.9
    assert 0.2 < gaps.min() < 1
    assert gaps.max() < 15


def test_lids_close_faster_than_they_open() -> None:
    lid = column(track(silence, 120, Fraction(100)), "blink_left")
    starts = np.flatnonzero((lid[1:] > 0) & (lid[:-1] == 0))
    assert len(starts) > 10
    for start in starts:
        blink = lid[start : start + 30]
        top = int(blink.argmax())
        closing, opening = top, int(np.flatnonzero(blink > 0.01)[-1]) - top
        assert 6 <= closing <= 9
        assert 12 <= opening <= 19


def test_blinks_prefer_the_ends_of_phrases() -> None:
    phase = blink_times(track(talk, HOUR / 3), 25) % 4.5
    after_end = ((phase > 3.7) & (phase < 4.1)).mean()
    assert after_end > 1.8 * 0.4 / 4.5


def test_talking_is_livelier_than_listening() -> None:
    quiet, loud = (track(voice, 300)[:, ANGLES] for voice in (silence, talk))
    assert (loud.std(axis=0) > 1.4 * quiet.std(axis=0)).all()
    assert (quiet.std(axis=0) > math.radians(0.2)).all(), "alive all the same"


@pytest.mark.parametrize("voice", [silence, talk])
def test_the_head_is_slow(voice: Voice) -> None:
    motion = track(voice, 300)[:, ANGLES]
    power = np.abs(np.fft.rfft(motion * np.hanning(len(motion))[:, None], axis=0)) ** 2
    fast = np.fft.rfftfreq(len(motion), 1 / 25) > 1.5
    assert (power[fast].sum(axis=0) / power.sum(axis=0) < 0.04).all()


def test_stress_makes_nods_and_raises_brows() -> None:
    stressed, even = track(talk, 300), track(lambda t: (*talk(t)[:2], 0.0, talk(t)[3]), 300)
    nods = column(stressed, "pitch") - column(even, "pitch")
    assert math.radians(0.8) < nods.max() < math.radians(2.5)
    assert nods.min() > -math.radians(0.1), "down and back, not up"
    assert column(stressed, "brow").max() > 0.25 > 3 * column(even, "brow").max()


def test_eyes_stay_on_the_viewer_while_the_head_turns() -> None:
    motion = track(talk, 300)
    for eye, head in (("gaze_x", "yaw"), ("gaze_y", "pitch")):
        looking = column(motion, eye) + column(motion, head)
        assert np.median(np.abs(looking)) < math.radians(0.6), "mostly straight at the viewer"
        still = np.abs(np.diff(looking)) < 1e-9
        assert still.mean() > 0.9, "the head's turns leave the line of sight alone"


def test_saccades_are_quick_and_mostly_small() -> None:
    motion = track(silence, 600, Fraction(100))
    looking = np.hypot(
        *(column(motion, a) + column(motion, b) for a, b in (("gaze_x", "yaw"), ("gaze_y", "pitch")))
    )
    moving = np.abs(np.diff(looking)) > 1e-9
    edges = np.flatnonzero(np.diff(np.concatenate([[0], moving.astype(int), [0]])))
    starts, ends = edges[::2], edges[1::2]
    assert (ends - starts).max() <= 5, "50 ms"
    assert 0.3 < np.median(np.diff(starts)) / 100 < 3
    sizes = np.abs(looking[ends] - looking[starts])
    assert np.median(sizes) < math.radians(0.6)
    assert math.radians(2) < sizes.max() < math.radians(5.5)


def test_breath_is_calm_and_uneven() -> None:
    breath = column(track(silence, HOUR), "breath")
    middle = breath.mean()
    rises = np.flatnonzero((breath[1:] > middle) & (breath[:-1] <= middle)) / 25
    periods = np.diff(rises)
    assert 0.2 < 1 / periods.mean() < 0.3
    assert periods.std() > 0.05 * periods.mean()
    assert column(track(talk, 300), "breath").max() > 1.2 * breath.max(), "deeper for speech"


def test_it_does_not_repeat() -> None:
    yaw = column(track(silence, HOUR), "yaw")
    window = yaw[5000:5500] - yaw[5000:5500].mean()
    others = np.lib.stride_tricks.sliding_window_view(yaw, 500)[::5]
    away = np.abs(np.arange(len(others)) * 5 - 5000) > 500
    distance = np.sqrt(((others - others.mean(axis=1, keepdims=True) - window) ** 2).mean(axis=1))
    assert distance[away].min() > 0.05 * window.std()


def test_an_hour_of_listening_does_not_drift() -> None:
    """The head is held about the portrait's own pose from the first minute to the last."""
    motion = track(silence, HOUR)
    ends = motion[: len(motion) // 3], motion[-len(motion) // 3 :]
    for part in (motion, *ends):
        assert np.abs(part[:, ANGLES].mean(axis=0)).max() < math.radians(0.15)
        assert np.abs(part[:, 3:5].mean(axis=0)).max() < 0.002
    spread = [part[:, ANGLES].std(axis=0) for part in ends]
    assert spread[0] == pytest.approx(spread[1], rel=0.25)


@pytest.mark.parametrize("name", ["yaw", "pitch", "roll", "shift_x", "gaze_x", "blink_left", "breath"])
def test_an_hour_of_listening_has_no_period(name: str) -> None:
    """No line stands out of the spectrum: chance alone lifts one of 9000 by ln 9000 = 9 over those around it."""
    moving = column(track(silence, HOUR), name)[::5]
    power = np.abs(np.fft.rfft((moving - moving.mean()) * np.hanning(len(moving)))) ** 2
    around = np.convolve(power, np.ones(101) / 101, mode="same")[100:-100]
    assert (power[100:-100] / around).max() < 16


def test_a_period_of_a_third_of_a_degree_would_have_been_seen() -> None:
    time = np.arange(HOUR * 5) / 5
    moving = column(track(silence, HOUR), "yaw")[::5] + math.radians(0.3) * np.sin(2 * np.pi * time / 7)
    power = np.abs(np.fft.rfft((moving - moving.mean()) * np.hanning(len(moving)))) ** 2
    around = np.convolve(power, np.ones(101) / 101, mode="same")[100:-100]
    assert (power[100:-100] / around).max() > 16


def test_between_blinks_the_lids_are_exactly_open_and_listening_brows_exactly_at_rest() -> None:
    motion = track(silence, HOUR)
    assert (column(motion, "blink_left") == 0).mean() > 0.85
    assert not column(motion, "brow").any()
    assert not column(motion, "squint").any()


def test_after_speech_the_brows_come_back_to_rest() -> None:
    motion = track(lambda time: talk(time) if time < 20 else silence(time), 40)
    assert column(motion, "brow")[:500].max() > 0.2
    assert np.abs(column(motion, "brow")[-100:]).max() < 1e-6
    assert np.abs(column(motion, "squint")[-100:]).max() < 1e-6


def test_without_amount_an_hour_is_the_portrait_itself_between_blinks() -> None:
    blinks = [NAMES.index(name) for name in ("blink_left", "blink_right")]
    motion = numbers(poses(silence, HOUR / 10, Fraction(5), 0, 0.0))
    assert not np.delete(motion, blinks, axis=1).any()
