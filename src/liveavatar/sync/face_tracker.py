"""Tracks one face through a video: detected once, then located in each frame near its place in the last one."""

import math

from liveavatar.face.landmarks import Landmarks, RotatedSquare, enclose_landmarks, predict_landmarks
from liveavatar.face.search import find_faces
from liveavatar.frames import Picture

_PRESENCE_LOGIT = 0.0
"""Presence logit of the landmark network from which a frame has a face."""
_FOLLOW_SHARE = 0.5
"""Share of the way that the crop follows the face in a frame. Jitter of the crop becomes jitter of the lips."""
_SEARCH_INTERVAL_FRAMES = 12
"""Frames between two detections while there is no face; detection is slow."""
_JUMP_SHARE = 0.2
"""Share of the crop's side; a face that moves farther in a frame is followed at once."""


class FaceTracker:
    """Tracks the largest face of the first frame that has one; after a loss, the largest face found next."""

    def __init__(self) -> None:
        self._square: RotatedSquare | None = None
        self._frames_until_search = 0

    def track_landmarks(self, rgb: Picture) -> Landmarks | None:
        """Landmarks [478, 3] of the face in the next frame; None if there is none."""
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
    """A square between `square` and `other`, or `other` if it is far away."""
    is_far = math.hypot(other.x - square.x, other.y - square.y) > _JUMP_SHARE * square.side
    share = 1.0 if is_far else _FOLLOW_SHARE
    return RotatedSquare(
        x=square.x + share * (other.x - square.x),
        y=square.y + share * (other.y - square.y),
        side=square.side + share * (other.side - square.side),
        roll=square.roll + share * math.remainder(other.roll - square.roll, math.tau),
    )
