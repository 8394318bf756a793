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

from liveavatar.mesh.motion.gaze import GAZE_STYLES
from liveavatar.mesh.motion.head_pose import LOWEST_PLAY, HeadPose, HeadPoseGenerator
from liveavatar.mesh.motion.posture import MAX_ANGLE_RADIANS, MAX_SHIFT
from liveavatar.mesh.render.closed_lids import COVERED_BLINK

Track = NDArray[np.float64]
Voice = Callable[[float], tuple[float, float, float, float]]

NAMES = tuple(field.name for field in fields(HeadPose))
ANGLES = [NAMES.index(name) for name in ("yaw", "pitch", "roll")]
HOUR = 3600
SHIFTS = [NAMES.index(name) for name in ("shift_x", "shift_y")]
MAX_ANGLE_STEP_RADIANS, MAX_SHIFT_STEP = math.radians(1.1), 0.05
"""Largest change of an angle and of a shift of the head within 1/25 s at amount 1."""


def silent_voice(_: float) -> tuple[float, float, float, float]:
    return 0.0, 0.0, 0.0, 0.0


def even_voice(_: float) -> tuple[float, float, float, float]:
    return 0.7, 1.0, 0.0, 1.0


def talking_voice(time: float) -> tuple[float, float, float, float]:
    """Phrases of 3.5 s and pauses of 1 s; a stressed syllable every 1.125 s."""
    voiced = float(time % 4.5 < 3.5)
    stress = voiced * max(0.0, math.sin(2 * math.pi * time / 1.125)) ** 4
    return voiced * (0.5 + 0.4 * stress), voiced * 4 * math.sin(time), 0.9 * stress, voiced


def loudest_voice(time: float) -> tuple[float, float, float, float]:
    """The largest values of all inputs."""
    return 1.0, 12.0 * (-1) ** int(time), float(int(time * 4) % 2), 1.0


def poses(
    voice: Voice, seconds: float, fps: Fraction, seed: int, amount: float = 1.0, gaze: str = "natural"
) -> Iterator[HeadPose]:
    motion = HeadPoseGenerator(fps, seed, amount, gaze)
    for index in range(round(seconds * fps)):
        yield motion.next_pose(*voice(float(index / fps)))


def pose_array(motion: Iterable[HeadPose]) -> Track:
    return np.array([[getattr(pose, name) for name in NAMES] for pose in motion])


@cache
def track(
    voice: Voice, seconds: float = 60, fps: Fraction = Fraction(25), seed: int = 0, amount: float = 1.0
) -> Track:
    return pose_array(poses(voice, seconds, fps, seed, amount))


def pose_values(motion: Track, name: str) -> Track:
    return np.asarray(motion[:, NAMES.index(name)])


def blink_times(motion: Track, fps: int) -> Track:
    shut = pose_values(motion, "blink_left") > 0.3
    return (np.flatnonzero(shut[1:] & ~shut[:-1]) + 1) / fps


def test_a_pose_is_frozen() -> None:
    pose = HeadPoseGenerator(Fraction(25), 0).next_pose(0, 0, 0, 0)
    with pytest.raises(FrozenInstanceError):
        pose.yaw = 1.0  # type: ignore[misc]


@given(st.integers(0, 2**63), st.sampled_from([16, 24, 25, 30, Fraction(30_000, 1001)]))
@settings(max_examples=30, deadline=None)
def test_motion_starts_from_the_portrait(seed: int, fps: Fraction) -> None:
    motion = HeadPoseGenerator(Fraction(fps), seed)
    first, second = pose_array(motion.next_pose(*talking_voice(0)) for _ in range(2))
    assert not first.any()
    assert np.abs(second[ANGLES]).max() < math.radians(0.02)
    assert np.abs(second).max() < 0.01


@given(st.integers(0, 2**63))
@settings(max_examples=20, deadline=None)
def test_no_blink_in_the_first_second(seed: int) -> None:
    assert pose_values(track(silent_voice, 1, seed=seed), "blink_left").max() == 0


def test_equal_seeds_give_equal_motion_and_different_seeds_different_motion() -> None:
    once, again = (pose_array(poses(talking_voice, 20, Fraction(25), 7)) for _ in range(2))
    other = track(talking_voice, 20, seed=8)
    assert (once == again).all()
    assert np.corrcoef(pose_values(once, "yaw"), pose_values(other, "yaw"))[0, 1] < 0.9


def test_later_speech_never_changes_a_pose() -> None:
    whole = track(talking_voice, 20)
    cut = track(lambda time: talking_voice(time) if time < 10 else silent_voice(time), 20)
    assert (whole[:250] == cut[:250]).all()
    assert (whole[300:] != cut[300:]).any()


@pytest.mark.parametrize("voice", [silent_voice, even_voice])
@pytest.mark.parametrize(
    "fps", [Fraction(50), Fraction(60), Fraction(25), Fraction(30), Fraction(24), Fraction(30_000, 1001)]
)
def test_motion_does_not_depend_on_the_frame_rate(voice: Voice, fps: Fraction) -> None:
    """At every frame rate the poses are samples of the same motion at 100 Hz."""
    finest, coarse = track(voice, 20, Fraction(100)), track(voice, 19, fps)
    times = np.array([float(index / fps) for index in range(len(coarse))])
    for index, name in enumerate(NAMES):
        expected = np.interp(times, np.arange(len(finest)) / 100, finest[:, index])
        assert coarse[:, index] == pytest.approx(expected, abs=1e-9), name


def test_changing_speech_gives_the_same_motion_at_any_frame_rate() -> None:
    """Each frame uses the speech of its own span, so beats may start at most a frame apart."""
    slow, fast = track(talking_voice, 60), track(talking_voice, 60, Fraction(50))[::2]
    difference = np.abs(slow - fast)[:, ANGLES]
    assert difference.max() < math.radians(0.7)
    assert np.sqrt((difference**2).mean()) < math.radians(0.1)
    assert len(blink_times(slow, 25)) == pytest.approx(len(blink_times(fast, 25)), abs=2)


@pytest.mark.parametrize("voice", [silent_voice, talking_voice, loudest_voice])
def test_all_values_stay_within_bounds(voice: Voice) -> None:
    motion = track(voice, 300)
    assert np.abs(motion[:, ANGLES]).max() < MAX_ANGLE_RADIANS
    assert np.percentile(np.abs(motion[:, ANGLES]), 95) < math.radians(3.5)
    assert np.abs(motion[:, SHIFTS]).max() < MAX_SHIFT
    for name in ("blink_left", "blink_right", "brow", "squint", "corners", "breath"):
        assert pose_values(motion, name).min() >= (LOWEST_PLAY if name in ("brow", "corners") else 0), name
        assert pose_values(motion, name).max() <= 1, name
    for name in ("gaze_x", "gaze_y"):
        assert np.abs(pose_values(motion, name)).max() < math.radians(11), name


@given(st.floats(0, 50), st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_no_amount_exceeds_the_limits(amount: float, seed: int) -> None:
    motion = track(loudest_voice, 20, seed=seed, amount=amount)
    assert np.abs(motion[:, ANGLES]).max() <= MAX_ANGLE_RADIANS
    assert np.abs(motion[:, SHIFTS]).max() <= MAX_SHIFT
    assert motion[:, NAMES.index("brow") :].max() <= 1


def test_with_an_amount_of_zero_the_head_only_blinks() -> None:
    motion = track(talking_voice, 30, amount=0.0)
    blinks = [NAMES.index(name) for name in ("blink_left", "blink_right")]
    assert motion[:, blinks].max() == pytest.approx(1, abs=0.5)
    assert np.abs(np.delete(motion, blinks, axis=1)).max() == 0


def test_brows_and_cheeks_play_while_someone_speaks() -> None:
    """Brows go up and down by a fair part of their way, and corners of the mouth aside; both without a jerk."""
    motion = track(lambda t: (0.7, 2 * math.sin(t), 0.0, 1.0), 120)
    brow, corners = pose_values(motion, "brow"), pose_values(motion, "corners")
    assert 0.15 < brow.std() < 0.4
    assert brow.min() < -0.1
    assert 0.15 < corners.std() < 0.4
    assert np.abs(np.diff(np.stack([brow, corners]))).max() < 0.08


def test_a_speaking_head_moves_as_much_as_a_filmed_one() -> None:
    """Shifts deviate by .035 interocular units or more, the roll by some .9 degrees."""
    motion = track(talking_voice, 300)
    right, down = motion[:, SHIFTS].T
    assert 0.035 < right.std() < 0.06
    assert 0.035 < down.std() < 0.06
    assert math.radians(0.7) < pose_values(motion, "roll").std() < math.radians(1.2)
    speed = 25 * np.linalg.norm(np.diff(motion[:, SHIFTS], axis=0), axis=1)
    assert 0.3 < np.percentile(speed, 95) < 0.7


def test_the_head_nods_down_on_stress() -> None:
    stressed, even = track(talking_voice, 60), track(lambda time: (*talking_voice(time)[:2], 0.0, 1.0), 60)
    assert pose_values(stressed, "shift_y").max() > 0.05 + pose_values(even, "shift_y").max() / 2


@pytest.mark.parametrize("voice", [silent_voice, talking_voice, loudest_voice])
def test_nothing_jumps(voice: Voice) -> None:
    steps = np.abs(np.diff(track(voice, 300), axis=0))
    assert steps[:, ANGLES].max() < MAX_ANGLE_STEP_RADIANS
    assert steps[:, SHIFTS].max() < MAX_SHIFT_STEP
    assert steps[:, NAMES.index("brow")].max() < 0.35
    assert steps[:, NAMES.index("breath")].max() < 0.12


@pytest.mark.slow
@pytest.mark.parametrize(("voice", "least", "most"), [(silent_voice, 3.2, 4.8), (talking_voice, 1.9, 3.2)])
def test_intervals_of_blinks_are_those_of_people(voice: Voice, least: float, most: float) -> None:
    gaps = np.diff(blink_times(track(voice, HOUR if voice is silent_voice else HOUR / 3), 25))
    assert least < gaps.mean() < most
    assert np.median(gaps) < gaps.mean(), "skewed to the right"
    assert 0.4 < gaps.std() / gaps.mean() < 0.9
    assert 0.2 < gaps.min() < 1
    assert gaps.max() < 15


def test_lids_close_faster_than_they_open() -> None:
    lid = pose_values(track(silent_voice, 120, Fraction(100)), "blink_left")
    starts = np.flatnonzero((lid[1:] > 0) & (lid[:-1] == 0))
    assert len(starts) > 10
    durations = []
    for start in starts:
        blink = lid[start : start + 50]
        blink = blink[: int(np.argmax(blink[1:] == 0)) + 1]
        assert blink.max() == 1
        shut = np.flatnonzero(blink == 1)
        closing, opening = int(shut[0]), len(blink) - int(shut[-1])
        assert 1.5 * closing < opening < 3 * closing
        durations.append(len(blink))
    assert 25 <= min(durations) < max(durations) <= 45
    assert len(set(durations)) > 4, "no two blinks are alike"


def test_every_blink_hides_both_eyes_for_two_or_three_frames() -> None:
    motion = track(silent_voice, HOUR)
    left, right = (pose_values(motion, name) for name in ("blink_left", "blink_right"))
    begun = np.flatnonzero((left[1:] > 0) & (left[:-1] == 0))[:-1]
    hidden = np.array(
        [int((np.minimum(left, right)[start : start + 12] >= COVERED_BLINK).sum()) for start in begun]
    )
    assert len(hidden) > 700
    assert (hidden >= 2).all()
    assert ((hidden == 2) | (hidden == 3)).mean() > 0.9


def test_both_eyes_blink_nearly_together() -> None:
    motion = track(silent_voice, 120, Fraction(100))
    left, right = (pose_values(motion, name) for name in ("blink_left", "blink_right"))
    assert 0 < np.abs(left - right).max() < 0.2
    assert ((left > 0.9) == (right > 0.9)).mean() > 0.99


def test_blinks_prefer_the_ends_of_phrases() -> None:
    phase = blink_times(track(talking_voice, HOUR / 3), 25) % 4.5
    after_end = ((phase > 3.7) & (phase < 4.1)).mean()
    assert after_end > 1.8 * 0.4 / 4.5


def test_speaking_moves_the_head_more_than_listening() -> None:
    quiet, loud = (track(voice, 300)[:, ANGLES] for voice in (silent_voice, talking_voice))
    assert (loud.std(axis=0) > 1.4 * quiet.std(axis=0)).all()
    assert (quiet.std(axis=0) > math.radians(0.2)).all(), "moving in silence too"


@pytest.mark.parametrize("voice", [silent_voice, talking_voice])
def test_head_motion_is_below_1_5_hz(voice: Voice) -> None:
    motion = track(voice, 300)[:, ANGLES]
    power = np.abs(np.fft.rfft(motion * np.hanning(len(motion))[:, None], axis=0)) ** 2
    fast = np.fft.rfftfreq(len(motion), 1 / 25) > 1.5
    assert (power[fast].sum(axis=0) / power.sum(axis=0) < 0.04).all()


def test_stressed_syllables_give_nods_and_raised_brows() -> None:
    stressed, even = (
        track(talking_voice, 300),
        track(lambda t: (*talking_voice(t)[:2], 0.0, talking_voice(t)[3]), 300),
    )
    nods = pose_values(stressed, "pitch") - pose_values(even, "pitch")
    assert math.radians(0.8) < nods.max() < math.radians(2.5)
    assert nods.min() > -math.radians(0.1), "down and back, not up"
    rises = pose_values(stressed, "brow") - pose_values(even, "brow")
    assert rises.max() > 0.3
    assert rises.min() == 0


def test_eyes_stay_on_the_viewer_while_the_head_turns() -> None:
    motion = track(talking_voice, 300)
    for eye, head in (("gaze_x", "yaw"), ("gaze_y", "pitch")):
        line_of_sight = pose_values(motion, eye) + pose_values(motion, head)
        assert np.median(np.abs(line_of_sight)) < math.radians(0.6), "mostly straight at the viewer"
        still = np.abs(np.diff(line_of_sight)) < 1e-9
        assert still.mean() > 0.9, "the head's turns leave the line of sight alone"


def test_a_gaze_at_the_camera_stays_there() -> None:
    """The line of sight, whatever the head does, moves by micro-saccades alone."""
    motion = pose_array(poses(talking_voice, 120, Fraction(100), 0, gaze="camera"))
    for eye, head in (("gaze_x", "yaw"), ("gaze_y", "pitch")):
        line_of_sight = pose_values(motion, eye) + pose_values(motion, head)
        assert 0 < np.abs(line_of_sight).max() < math.radians(0.3)
        moves = np.abs(np.diff(line_of_sight)) > 1e-9
        assert 0.01 < moves.mean() < 0.1
        assert np.abs(pose_values(motion, head)).max() > math.radians(1)


def test_a_gaze_at_the_camera_changes_nothing_but_the_eyes_and_their_blinks() -> None:
    natural, camera = (
        pose_array(poses(talking_voice, 20, Fraction(25), 3, gaze=gaze)) for gaze in GAZE_STYLES
    )
    eyes = [NAMES.index(name) for name in ("gaze_x", "gaze_y", "blink_left", "blink_right")]
    assert (np.delete(natural, eyes, axis=1) == np.delete(camera, eyes, axis=1)).all()
    assert (natural[:, eyes] != camera[:, eyes]).any()


@pytest.mark.slow
def test_saccades_are_fast_and_mostly_small() -> None:
    motion = track(silent_voice, 600, Fraction(100))
    line_of_sight = np.hypot(
        *(
            pose_values(motion, a) + pose_values(motion, b)
            for a, b in (("gaze_x", "yaw"), ("gaze_y", "pitch"))
        )
    )
    moving = np.abs(np.diff(line_of_sight)) > 1e-9
    edges = np.flatnonzero(np.diff(np.concatenate([[0], moving.astype(int), [0]])))
    starts, ends = edges[::2], edges[1::2]
    assert (ends - starts).max() <= 5, "50 ms"
    assert 0.3 < np.median(np.diff(starts)) / 100 < 3
    sizes = np.abs(line_of_sight[ends] - line_of_sight[starts])
    assert np.median(sizes) < math.radians(0.6)
    assert math.radians(2) < sizes.max() < math.radians(5.5)


def test_breaths_are_slow_and_irregular() -> None:
    breath = pose_values(track(silent_voice, HOUR), "breath")
    middle = breath.mean()
    rises = np.flatnonzero((breath[1:] > middle) & (breath[:-1] <= middle)) / 25
    periods = np.diff(rises)
    assert 0.2 < 1 / periods.mean() < 0.3
    assert periods.std() > 0.05 * periods.mean()
    assert pose_values(track(talking_voice, 300), "breath").max() > 1.2 * breath.max(), "deeper for speech"


def test_motion_does_not_repeat() -> None:
    yaw = pose_values(track(silent_voice, HOUR), "yaw")
    window = yaw[5000:5500] - yaw[5000:5500].mean()
    others = np.lib.stride_tricks.sliding_window_view(yaw, 500)[::5]
    away = np.abs(np.arange(len(others)) * 5 - 5000) > 500
    distance = np.sqrt(((others - others.mean(axis=1, keepdims=True) - window) ** 2).mean(axis=1))
    assert distance[away].min() > 0.05 * window.std()


def test_an_hour_of_listening_does_not_drift() -> None:
    """The mean pose is that of the portrait from the first minute to the last."""
    motion = track(silent_voice, HOUR)
    ends = motion[: len(motion) // 3], motion[-len(motion) // 3 :]
    for part in (motion, *ends):
        assert np.abs(part[:, ANGLES].mean(axis=0)).max() < math.radians(0.15)
        assert np.abs(part[:, 3:5].mean(axis=0)).max() < 0.002
    spread = [part[:, ANGLES].std(axis=0) for part in ends]
    assert spread[0] == pytest.approx(spread[1], rel=0.25)


@pytest.mark.parametrize("name", ["yaw", "pitch", "roll", "shift_x", "gaze_x", "blink_left", "breath"])
def test_an_hour_of_listening_has_no_period(name: str) -> None:
    """The spectrum has no line: by chance alone the largest of 9000 exceeds its surroundings by ln 9000 = 9."""
    moving = pose_values(track(silent_voice, HOUR), name)[::5]
    power = np.abs(np.fft.rfft((moving - moving.mean()) * np.hanning(len(moving)))) ** 2
    around = np.convolve(power, np.ones(101) / 101, mode="same")[100:-100]
    assert (power[100:-100] / around).max() < 16


def test_a_period_of_a_third_of_a_degree_would_be_detected() -> None:
    time = np.arange(HOUR * 5) / 5
    moving = pose_values(track(silent_voice, HOUR), "yaw")[::5] + math.radians(0.3) * np.sin(
        2 * np.pi * time / 7
    )
    power = np.abs(np.fft.rfft((moving - moving.mean()) * np.hanning(len(moving)))) ** 2
    around = np.convolve(power, np.ones(101) / 101, mode="same")[100:-100]
    assert (power[100:-100] / around).max() > 16


def test_in_silence_eyes_are_fully_open_between_blinks_and_brows_at_rest() -> None:
    motion = track(silent_voice, HOUR)
    assert (pose_values(motion, "blink_left") == 0).mean() > 0.85
    assert not pose_values(motion, "brow").any()
    assert not pose_values(motion, "squint").any()
    assert not pose_values(motion, "corners").any()


def test_brows_return_to_rest_after_speech() -> None:
    motion = track(lambda time: talking_voice(time) if time < 20 else silent_voice(time), 40)
    assert pose_values(motion, "brow")[:500].max() > 0.2
    assert np.abs(pose_values(motion, "brow")[-100:]).max() < 1e-6
    assert np.abs(pose_values(motion, "squint")[-100:]).max() < 1e-6


def test_with_an_amount_of_zero_an_hour_is_the_portrait_between_blinks() -> None:
    blinks = [NAMES.index(name) for name in ("blink_left", "blink_right")]
    motion = pose_array(poses(silent_voice, HOUR / 10, Fraction(5), 0, 0.0))
    assert not np.delete(motion, blinks, axis=1).any()
