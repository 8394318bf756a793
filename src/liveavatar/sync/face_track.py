"""Follows one face through a video: found once, then each frame is looked at where the last one had it."""

import math

from liveavatar.face.landmarks import Landmarks, Square, around, look
from liveavatar.face.search import find_faces
from liveavatar.frames import Picture

_PRESENT = 0.0
"""Logit from which the network sees a face."""
_CALM = 0.5
"""How much of the way the square follows the face in a frame: one that trembles makes the lips tremble."""
_PATIENCE = 12
"""Frames to let pass between two searches for a face that is not there: a search is dear."""


class FaceTrack:
    """The largest face of the first frame that has one, from frame to frame; after a loss the next largest."""

    def __init__(self) -> None:
        self._square: Square | None = None
        self._rest = 0

    def see(self, rgb: Picture) -> Landmarks | None:
        """Landmarks [478, 3] of the face in the next frame, None when it has none."""
        if self._square is None:
            return self._search(rgb)
        landmarks, logit = look(rgb, self._square)
        if logit < _PRESENT:
            self._square = None
            return self._search(rgb)
        self._square = _towards(self._square, around(landmarks))
        return landmarks

    def _search(self, rgb: Picture) -> Landmarks | None:
        self._rest -= 1
        if self._rest > 0:
            return None
        faces = find_faces(rgb)
        if not faces:
            self._rest = _PATIENCE
            return None
        self._square = around(faces[0].landmarks)
        return look(rgb, self._square)[0]


def _towards(square: Square, other: Square) -> Square:
    """A part of the way from `square` to `other`; all of it when that is far."""
    far = math.hypot(other.x - square.x, other.y - square.y) > 0.2 * square.side
    share = 1.0 if far else _CALM
    return Square(
        x=square.x + share * (other.x - square.x),
        y=square.y + share * (other.y - square.y),
        side=square.side + share * (other.side - square.side),
        roll=square.roll + share * math.remainder(other.roll - square.roll, math.tau),
    )
