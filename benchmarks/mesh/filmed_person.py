"""How a face moves: a filmed person, and the film's first frame made to speak the film's own sound.

Lengths are in units of the distance of the outer eye corners.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from benchmarks.downloads import download_filmed_man
from numpy.typing import NDArray

from liveavatar.audio.front_end import read_speech
from liveavatar.engine import open_actor
from liveavatar.face.portrait import find_portrait
from liveavatar.frames import Picture
from liveavatar.generate import stream_frames
from liveavatar.mesh.geometry.face_landmarks import EYE_LANDMARKS, OUTER_EYE_CORNERS
from liveavatar.mesh.session import MeshEngine
from liveavatar.sync.face_tracker import FaceTracker
from liveavatar.video.reader import VideoReader

Floats = NDArray[np.float64]

_BROWS = (105, 334)
_MOUTH_CORNERS, _INNER_LIPS, _UPPER_LIP, _NOSE_BRIDGE = (61, 291), (13, 14), 0, 168
_BLINK_SHARE = 0.6
"""Opening of the eyes relative to its median below which a frame is in a blink."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceMotion:
    """How much a face moves.

    Standard deviations of the head's `shift_x`, `shift_y`, of its `roll` (degrees), of the mouth's width and of the
    upper lip's distance from the nose's bridge; the 95th percentile of the head's `speed`, a second, and of the lips'
    `opening`; the range of the brows' height over the corners of the eyes (over the lids, blinks would count); and the
    share of the eyes' median opening that is left in the middle of a `blink`, the median over blinks (nan without
    any).
    """

    shift_x: float
    shift_y: float
    roll: float
    speed: float
    brow: float
    blink: float
    mouth_width: float
    upper_lip: float
    opening: float


AIMS = FaceMotion(shift_x=0.035, shift_y=0.035, roll=0.9, speed=0.45, brow=0.06, blink=0.35, mouth_width=0.028,
                  upper_lip=0.015, opening=0.170)  # fmt: skip
"""What the engine should reach at `--motion 1`; a blink at most."""
_NAMES = {
    "shift_x": "head shift x, standard deviation",
    "shift_y": "head shift y, standard deviation",
    "roll": "roll, standard deviation, degrees",
    "speed": "head speed, 95th percentile, a second",
    "brow": "brow range",
    "blink": "eye opening left in a blink",
    "mouth_width": "mouth width, standard deviation",
    "upper_lip": "upper lip, standard deviation",
    "opening": "opening, 95th percentile",
}


def measure_face_motion(frames: Iterable[Picture], fps: float) -> FaceMotion:
    """Track a face through the frames of a video."""
    tracker = FaceTracker()
    tracks = [tracker.track_landmarks(rgb) for rgb in frames]
    points = np.stack([track for track in tracks if track is not None])[:, :, :2].astype(np.float64)
    corners = points[:, list(OUTER_EYE_CORNERS)]
    unit = float(np.median(np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)))
    head = corners.mean(1) / unit
    roll = np.arctan2(*(corners[:, 1] - corners[:, 0]).T[::-1])
    level = _level_faces(points, corners.mean(1), roll) / unit
    eyes = np.mean([_measure_lids(level, upper, lower) for upper, lower in _lid_pairs()], axis=0)
    speeds = np.linalg.norm(np.diff(head, axis=0), axis=1) * fps
    brows = -level[:, list(_BROWS), 1].mean(1)
    width = np.linalg.norm(level[:, _MOUTH_CORNERS[1]] - level[:, _MOUTH_CORNERS[0]], axis=1)
    opening = level[:, _INNER_LIPS[1], 1] - level[:, _INNER_LIPS[0], 1]
    return FaceMotion(
        shift_x=float(head[:, 0].std()),
        shift_y=float(head[:, 1].std()),
        roll=float(np.degrees(roll).std()),
        speed=float(np.percentile(speeds, 95)),
        brow=float(np.ptp(brows)),
        blink=_measure_blinks(eyes),
        mouth_width=float(width.std()),
        upper_lip=float((level[:, _UPPER_LIP, 1] - level[:, _NOSE_BRIDGE, 1]).std()),
        opening=float(np.percentile(opening, 95)),
    )


def _level_faces(points: Floats, middle: Floats, roll: Floats) -> Floats:
    """The landmarks of each frame around the middle of the eyes, without the head's roll."""
    cos, sin = np.cos(roll), np.sin(roll)
    turn = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], 1)
    return np.asarray(np.einsum("nij,npj->npi", turn, points - middle[:, None]))


def _lid_pairs() -> Iterator[tuple[int, int]]:
    """The middles of the upper and the lower lid of both eyes."""
    for eye in EYE_LANDMARKS:
        yield eye.upper[len(eye.upper) // 2], eye.lower[len(eye.lower) // 2]


def _measure_lids(level: Floats, upper: int, lower: int) -> Floats:
    return np.asarray(level[:, lower, 1] - level[:, upper, 1])


def _measure_blinks(eyes: Floats) -> float:
    """Median over blinks of the least opening of the eyes, relative to their median opening."""
    share = eyes / np.median(eyes)
    inside = np.concatenate([[False], share < _BLINK_SHARE, [False]])
    starts, ends = (
        np.flatnonzero(np.diff(inside.astype(int)) == 1),
        np.flatnonzero(np.diff(inside.astype(int)) == -1),
    )
    least = [float(share[start:end].min()) for start, end in zip(starts, ends, strict=True)]
    return float(np.median(least)) if least else float("nan")


def read_film(path: Path) -> tuple[list[Picture], Fraction]:
    """All frames of a video, and their rate."""
    with VideoReader(path) as video:
        frames = [frame.rgb for frame in video.read_between(None, None)]
        assert video.fps is not None
        return frames, video.fps


def animate_first_frame(path: Path, rgb: Picture, fps: Fraction) -> list[Picture]:
    """The frames of the film's first picture `rgb` that speaks the film's sound."""
    actor = open_actor(MeshEngine(), find_portrait(rgb), None, force=True)
    return [frame.rgb for frame in stream_frames(actor.session(fps, 0), read_speech(path)[1])]


def compare_with_film() -> str:
    """The table: a filmed man, his first frame made to speak his own sound, and the aim."""
    path = download_filmed_man()
    frames, fps = read_film(path)
    filmed = measure_face_motion(frames, float(fps))
    ours = measure_face_motion(animate_first_frame(path, frames[0], fps), float(fps))
    rows = [
        f"| {_NAMES[name]} | {getattr(filmed, name):.3f} | {getattr(ours, name):.3f} | {getattr(AIMS, name):.3f} |"
        for name in _NAMES
    ]
    return "\n".join(["| measure | filmed | ours | aim |", "| --- | --- | --- | --- |", *rows])
