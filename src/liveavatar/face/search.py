"""Find the faces of a picture with their landmarks: detection in windows of falling size, then landmarks."""

import math
from collections.abc import Iterator

from liveavatar.face.detect import DetectedFace, detect_faces, is_same_face
from liveavatar.face.landmarks import LandmarkedFace, fit_landmarks
from liveavatar.frames import Picture

CLEAR_FACE_TRUST, MIN_FACE_TRUST, MIN_ONLY_FACE_TRUST = 9.0, 2.0, 0.5
"""Least trust, in logits, of a face in a sharp photograph, of any face, and of the only face of a picture."""

_MIN_FACE_PIXELS, _MIN_WINDOW_SHARE = 10, 1 / 10
"""Windows shrink until faces of so many pixels can be found in them, or to this share of the picture."""
_MIN_FACE_SHARE = 0.12
"""Smallest share of a window that a face must fill to be found."""
_WINDOW_SHRINK = 1.5
"""Ratio of the sides of successive windows."""
_MAX_GUESSES = 6  # detections tried with all box variants when no face is clear
_BOX_VARIANTS = ((1.0, 0.0), (1.2, 0.1), (1.4, 0.1), (1.4, 0.3), (1.9, 0.15), (1.9, 0.35), (0.75, 0.0))
"""Scale and drop of the box when no face is clear: boxes of drawn faces often end above the mouth."""
_SIZE_BONUS_LOGITS = 8.0
"""Logits of trust that a face twice as large may lack: a smaller one may be a nose taken for a face."""


def find_faces(rgb: Picture) -> list[LandmarkedFace]:
    """Faces in `rgb` [height, width, 3], the largest first. Faces below a third of its size may be missing.

    A doubtful face, such as a drawn one, is returned only if there is no clear one.
    """
    found: list[LandmarkedFace] = []
    guesses: list[DetectedFace] = []
    for window in _iterate_window_sides(rgb):
        if _MIN_FACE_SHARE * window <= max((face.size / 3 for face in found), default=0):
            break
        for guess in detect_faces(rgb, window):
            guesses.append(guess)
            found = _add_face(found, fit_landmarks(rgb, guess))
    if all(face.trust < CLEAR_FACE_TRUST for face in found):
        found = _add_doubtful_face(rgb, found, guesses)
    return sorted(found, key=lambda face: face.size, reverse=True)


def _iterate_window_sides(rgb: Picture) -> Iterator[float]:
    """Sides of the windows in pixels, falling; the first is larger than the picture."""
    longest = float(max(rgb.shape[:2]))
    window = _WINDOW_SHRINK * longest
    while window >= longest or (
        window > _MIN_WINDOW_SHARE * longest and _MIN_FACE_SHARE * window > _MIN_FACE_PIXELS
    ):
        yield window
        window /= _WINDOW_SHRINK


def _add_face(found: list[LandmarkedFace], new: LandmarkedFace) -> list[LandmarkedFace]:
    """`found` and `new` if its trust is enough; of overlapping faces the more trusted one."""
    rivals = [old for old in found if is_same_face(new.extent, old.extent)]
    if new.trust < max([MIN_FACE_TRUST, *(old.trust for old in rivals)]):
        return found
    return [*(old for old in found if old not in rivals), new]


def _add_doubtful_face(
    rgb: Picture, found: list[LandmarkedFace], guesses: list[DetectedFace]
) -> list[LandmarkedFace]:
    """`found` and the most likely face around the best of `guesses`, in place of those it overlaps."""
    best = sorted(guesses, key=lambda guess: guess.score, reverse=True)[:_MAX_GUESSES]
    fits = [
        fit_landmarks(rgb, guess, box_scale=grow, box_drop=drop)
        for guess in best
        for grow, drop in _BOX_VARIANTS
    ]
    likely = [face for face in fits if face.trust >= MIN_ONLY_FACE_TRUST]
    if not likely:
        return found
    new = max(likely, key=lambda face: face.trust + _SIZE_BONUS_LOGITS * math.log2(face.size))
    return [*(old for old in found if not is_same_face(new.extent, old.extent)), new]
