"""Follows one face through a video: found once, then each frame is looked at where the last one had it."""

import math

from liveavatar.face.landmarks import Landmarks, RotatedSquare, enclose_landmarks, predict_landmarks
from liveavatar.face.search import find_faces
from liveavatar.frames import Picture

_PRESENCE_LOGIT = 0.0
"""Logit from which the network sees a face."""
_FOLLOW_SHARE = 0.5
"""How much of the way the square follows the face in a frame: one that trembles makes the lips tremble."""
_SEARCH_INTERVAL_FRAMES = 12
"""Frames to let pass between two searches for a face that is not there: a search is dear."""


class FaceTracker:
    """The largest face of the first frame that has one, from frame to frame; after a loss the next largest."""

    def __init__(self) -> None:
        self._square: RotatedSquare | None = None
        self._frames_until_search = 0

    def track_landmarks(self, rgb: Picture) -> Landmarks | None:
        """Landmarks [478, 3] of the face in the next frame, None when it has none."""
        if self._square is None:
            return self._search_face(rgb)
        landmarks, logit = predict_landmarks(rgb, self._square)
        if logit < _PRESENCE_LOGIT:
            self._square = None
            return self._search_face(rgb)
        self._square = _blend_squares(self._square, enclose_landmarks(landmarks))
        return landmarks

    def _search_face(self, rgb: Picture) -> Landmarks | None:
        self._frames_until_search -= 1
        if self._frames_until_search > 0:
            return None
        faces = find_faces(rgb)
        if not faces:
            self._frames_until_search = _SEARCH_INTERVAL_FRAMES
            return None
        self._square = enclose_landmarks(faces[0].landmarks)
        return predict_landmarks(rgb, self._square)[0]


def _blend_squares(square: RotatedSquare, other: RotatedSquare) -> RotatedSquare:
    """A part of the way from `square` to `other`; all of it when that is far."""
    far = math.hypot(other.x - square.x, other.y - square.y) > 0.2 * square.side
    share = 1.0 if far else _FOLLOW_SHARE
    return RotatedSquare(
        x=square.x + share * (other.x - square.x),
        y=square.y + share * (other.y - square.y),
        side=square.side + share * (other.side - square.side),
        roll=square.roll + share * math.remainder(other.roll - square.roll, math.tau),
    )
