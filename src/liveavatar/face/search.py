"""From a picture to its faces with their landmarks, the largest first."""

import math
from collections.abc import Iterator

from liveavatar.face.detect import Face, detect, same
from liveavatar.face.landmarks import Fit, fit
from liveavatar.frames import Picture

PLAIN, SURE, LIKELY = 9.0, 2.0, 0.5
"""Least trust in the face of a sharp photograph, in any face, and in the only face of a picture."""

_SMALLEST, _FINEST = 10, 1 / 10
"""Windows go down to where a face of so many pixels fills enough of them, or to this share of the picture."""
_SHARE = 0.12
"""Faces smaller than this share of a window may be missed in it."""
_SHRINK = 1.5
"""From one size of window to the next."""
_GUESSES = 6
_BOXES = ((1.0, 0.0), (1.2, 0.1), (1.4, 0.1), (1.4, 0.3), (1.9, 0.15), (1.9, 0.35), (0.75, 0.0))
"""How much larger and lower to look when no face is plain: drawn ones are often found without the mouth."""
_SIZE_BONUS = 8.0
"""Logits of trust that a face of twice the size may lack: the smaller one may be a nose seen as a face."""


def find_faces(rgb: Picture) -> list[Fit]:
    """Faces in `rgb` [height, width, 3], the largest first; those much smaller than it may be missing.

    A doubtful face, such as a drawn one, counts only when there is no plain one.
    """
    found: list[Fit] = []
    guesses: list[Face] = []
    for window in _windows(rgb):
        if _SHARE * window <= max((face.size / 3 for face in found), default=0):
            break
        for guess in detect(rgb, window):
            guesses.append(guess)
            found = _with(found, fit(rgb, guess))
    if all(face.trust < PLAIN for face in found):
        found = _with_doubtful(rgb, found, guesses)
    return sorted(found, key=lambda face: face.size, reverse=True)


def _windows(rgb: Picture) -> Iterator[float]:
    """Sides of the windows to look through, from more than the whole picture down."""
    whole = float(max(rgb.shape[:2]))
    window = _SHRINK * whole
    while window >= whole or (window > _FINEST * whole and _SHARE * window > _SMALLEST):
        yield window
        window /= _SHRINK


def _with(found: list[Fit], new: Fit) -> list[Fit]:
    """`found` and `new` if that is surely a face; of two that overlap, the more trusted one."""
    rivals = [old for old in found if same(new.extent, old.extent)]
    if new.trust < max([SURE, *(old.trust for old in rivals)]):
        return found
    return [*(old for old in found if old not in rivals), new]


def _with_doubtful(rgb: Picture, found: list[Fit], guesses: list[Face]) -> list[Fit]:
    """`found` and the likeliest face around the best of `guesses`, in place of those it overlaps."""
    best = sorted(guesses, key=lambda guess: guess.score, reverse=True)[:_GUESSES]
    fits = [fit(rgb, guess, grow=grow, drop=drop) for guess in best for grow, drop in _BOXES]
    likely = [face for face in fits if face.trust >= LIKELY]
    if not likely:
        return found
    new = max(likely, key=lambda face: face.trust + _SIZE_BONUS * math.log2(face.size))
    return [*(old for old in found if not same(new.extent, old.extent)), new]
