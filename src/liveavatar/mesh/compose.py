"""One frame: the portrait bent by the head and the face, eyes and mouth laid in, over a still background.

All layers are sampled from the portrait once, through maps that already combine every motion, so nothing is blurred
twice. `at` is where output pixels come from in the portrait when the head's motion is undone; `upper`, `lower` and
`face` are where they come from when the face's motion is undone too: following the upper lip, the lower lip, and
whichever of the two a point belongs to.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.eyes import EyeWarp
from liveavatar.mesh.field import Array, Box, FieldBasis, Grid, invert, remap
from liveavatar.mesh.lips import Lips
from liveavatar.mesh.mouth import Interior


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """What one frame shows: `shapes` weighs the face's shapes, `head` the head's degrees of freedom."""

    shapes: Array
    head: Array
    blink: tuple[float, float]
    gaze: tuple[float, float]
    jaw: float
    tongue: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Backward displacements of one frame, at the nodes of their grids: output pixel + displacement = portrait."""

    head_grid: Grid
    face_grid: Grid
    head: Array
    upper: Array
    lower: Array
    face: Array

    def at_head(self, box: Box) -> Array:
        """Portrait positions of the pixels of `box` with only the head's motion undone."""
        return pixels(box) + self.head_grid.to_pixels(self.head, box)

    def at_face(self, field: Array, box: Box) -> Array:
        """Portrait positions of the pixels of `box` by one of `upper`, `lower` and `face`."""
        return pixels(box) + self.face_grid.to_pixels(field, box)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """All that is prepared once for a portrait.

    `still` is the background without the person inside the box `moving`, and the portrait itself outside, where no
    pixel ever changes.
    """

    person: Picture
    matte: NDArray[np.uint8]
    still: Picture
    moving: Box
    face_box: Box
    mouth_box: Box
    eye_boxes: tuple[Box, ...]
    head: FieldBasis
    upper: FieldBasis
    lower: FieldBasis
    lips: Lips
    interior: Interior
    eyes: tuple[EyeWarp, ...]
    unit: float

    def render(self, expression: Expression) -> Picture:
        """The frame, RGB [height, width, 3] uint8."""
        maps = self._maps(expression)
        frame = self.still.copy()
        self._lay_figure(frame, maps)
        for eye, box, blink in zip(self.eyes, self.eye_boxes, expression.blink, strict=False):
            self._lay_eye(frame, maps, eye, box, blink, expression.gaze)
        self._lay_mouth(frame, maps, expression)
        return frame

    def _maps(self, expression: Expression) -> Maps:
        head_grid, face_grid = self.head.grid, self.upper.grid
        head = -invert(head_grid, self.head.field(expression.head), head_grid.nodes(), rounds=3)
        nodes = face_grid.nodes()
        carried = head_grid.sample(head, nodes)
        at = nodes + carried
        upper = carried - invert(face_grid, self.upper.field(expression.shapes), at)
        lower = carried - invert(face_grid, self.lower.field(expression.shapes), at)
        share = self.lips.upper_share(nodes + upper)[..., None]
        face = share * upper + (1 - share) * lower
        return Maps(head_grid=head_grid, face_grid=face_grid, head=head, upper=upper, lower=lower, face=face)

    def _lay_figure(self, frame: Picture, maps: Maps) -> None:
        at = maps.at_head(self.moving)
        matte = remap(self.matte, at, cv2.INTER_LINEAR)
        (x0, y0, x1, y1), (left, top, right, bottom) = self.moving, self.face_box
        at[top - y0 : bottom - y0, left - x0 : right - x0] = maps.at_face(maps.face, self.face_box)
        person = remap(self.person, at, cv2.INTER_CUBIC)
        blend(frame[y0:y1, x0:x1], person, matte)

    def _lay_eye(
        self, frame: Picture, maps: Maps, eye: EyeWarp, box: Box, blink: float, gaze: tuple[float, float]
    ) -> None:
        if blink == 0 and gaze == (0.0, 0.0):
            return
        at = maps.at_face(maps.face, box)
        skin_at, ball_at, share = eye.warp(at, blink, gaze)
        skin = remap(self.person, skin_at, cv2.INTER_CUBIC).astype(np.float32)
        ball = remap(self.person, ball_at, cv2.INTER_CUBIC).astype(np.float32)
        self._paste(frame, maps, box, skin + (ball - skin) * share[..., None])

    def _lay_mouth(self, frame: Picture, maps: Maps, expression: Expression) -> None:
        box = self.mouth_box
        upper_at = maps.at_face(maps.upper, box)
        lower_at = maps.at_face(maps.lower, box)
        upper_share, lower_share = self.lips.layers(upper_at, lower_at)
        opening = (1 - upper_share) * (1 - lower_share)
        at = maps.at_head(box)
        local = self.lips.frame.local(at) / np.float32(self.unit)
        colour = self.interior.render(local, at, expression.jaw, expression.tongue, opening)
        for positions, share in ((lower_at, lower_share), (upper_at, upper_share)):
            skin = remap(self.person, positions, cv2.INTER_CUBIC).astype(np.float32)
            colour = colour + (skin - colour) * share[..., None]
        self._paste(frame, maps, box, colour)

    def _paste(self, frame: Picture, maps: Maps, box: Box, colour: Array) -> None:
        x0, y0, x1, y1 = box
        target = frame[y0:y1, x0:x1]
        target[:] = self.still[y0:y1, x0:x1]
        matte = remap(self.matte, maps.at_head(box), cv2.INTER_LINEAR)
        blend(target, np.rint(np.clip(colour, 0, 255)).astype(np.uint8), matte)


@lru_cache(maxsize=64)
def pixels(box: Box) -> Array:
    """Positions of the pixels of `box`, [h, w, 2]."""
    x0, y0, x1, y1 = box
    return np.dstack(np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)))


def blend(target: Picture, person: NDArray[np.uint8], matte: NDArray[np.uint8]) -> None:
    """Lay `person` over `target`, in place, by the share `matte` 0…255."""
    share = cv2.merge([matte, matte, matte])
    behind = cv2.multiply(target, cv2.bitwise_not(share), scale=1 / 255)
    cv2.add(cv2.multiply(person, share, scale=1 / 255), behind, dst=target)
