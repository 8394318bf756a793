"""One frame: the portrait bent by the head and the face, eyes and mouth laid in, over a still background.

All layers are sampled from the portrait once, through maps that already combine every motion, so nothing is blurred
twice. `head` is where output pixels come from in the portrait when the head's motion is undone; `upper`, `lower` and
`face` are where they come from when the face's motion is undone too: following the upper lip, the lower lip, and
whichever of the two a point belongs to.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.eyes import EyeLayers, EyeWarp
from liveavatar.mesh.field import Array, Box, FieldBasis, Grid, Pixel, invert
from liveavatar.mesh.lips import Lips
from liveavatar.mesh.mouth import Interior
from liveavatar.mesh.rig import upper_share
from liveavatar.mesh.sheet import Sheet

_LAUGH = 0.1
"""The widest parting of a portrait's own that comes back as `Expression` says, interocular units."""

_SEEN = 1 / 512
"""Shares of a layer below this change no grey level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """What one frame shows: `shapes` weighs the face's shapes, `head` the head's degrees of freedom.

    The last of `shapes` shuts the portrait's own mouth. `jaw` is how far the lower teeth go down by speech, interocular
    units.
    """

    shapes: Array
    head: Array
    blink: tuple[float, float]
    gaze: tuple[float, float]
    jaw: float
    tongue: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Where the nodes of two grids come from in one frame, as `Grid.anchor` gives it, in pixels of the portrait."""

    head_grid: Grid
    face_grid: Grid
    head: Array
    upper: Array
    lower: Array
    face: Array

    def at_head(self, box: Box) -> Array:
        """Portrait positions of the pixels of `box` with only the head's motion undone."""
        return self.head_grid.enlarge(self.head, box)

    def at_face(self, side: Array, box: Box) -> Array:
        """Portrait positions of the pixels of `box` by one of `upper`, `lower` and `face`."""
        return self.face_grid.enlarge(side, box)


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
    sheet: Sheet = field(init=False)
    eye_layers: tuple[EyeLayers, ...] = field(init=False)

    def __post_init__(self) -> None:
        sheet = Sheet.of(self.person, self.matte)
        object.__setattr__(self, "sheet", sheet)
        object.__setattr__(self, "eye_layers", tuple(EyeLayers.of(eye, sheet) for eye in self.eyes))

    def render(self, expression: Expression) -> Picture:
        """The frame, RGB [height, width, 3] uint8."""
        maps = self._maps(expression)
        at = self._texels(maps)
        figure = self.sheet.sample(at)
        for eye, box, blink in zip(self.eye_layers, self.eye_boxes, expression.blink, strict=False):
            if blink > 0 or expression.gaze != (0.0, 0.0):
                eye.lay(
                    window(figure, box, self.moving), window(at, box, self.moving), blink, expression.gaze
                )
        self._lay_mouth(figure, maps, expression)
        frame = self.still.copy()
        blend(window(frame, self.moving), figure)
        return frame

    def _maps(self, expression: Expression) -> Maps:
        head_grid, face_grid = self.head.grid, self.upper.grid
        head = -invert(head_grid, self.head.field(expression.head), head_grid.nodes(), rounds=3)
        nodes = face_grid.nodes()
        carried = head_grid.sample(head, nodes)
        shapes = np.append(expression.shapes[:-1], np.float32(self._shut(expression)))
        at = nodes + carried
        upper = carried - invert(face_grid, self.upper.field(shapes), at, rounds=4)
        steep = round(20 * self.lips.gap / self.unit)  # the wider a mouth to shut, the steeper its field
        lower = carried - invert(face_grid, self.lower.field(shapes), at, rounds=6 + steep)
        share = self.lips.upper_share(nodes + upper)
        return Maps(
            head_grid=head_grid,
            face_grid=face_grid,
            head=head_grid.anchor(head),
            upper=face_grid.anchor(upper),
            lower=face_grid.anchor(lower),
            face=face_grid.anchor(lower + cv2.merge([share, share]) * (upper - lower)),
        )

    def _shut(self, expression: Expression) -> float:
        """The last shape's weight: how far the mouth's own gap is shut; of a mouth that laughs wide only so much comes
        back that it does not snap."""
        kept = min(1.0, _LAUGH * self.unit / max(self.lips.gap, 1e-6))
        return 1 - kept * (1 - float(expression.shapes[-1]))

    def _texels(self, maps: Maps) -> Array:
        """Where on the sheet the pixels of `moving` come from."""
        at = maps.head_grid.enlarge(self.sheet.scale * maps.head, self.moving)
        face = maps.face_grid.enlarge(self.sheet.scale * maps.face, self.face_box)
        window(at, self.face_box, self.moving)[:] = face
        return at

    def _lay_mouth(self, figure: NDArray[np.uint8], maps: Maps, expression: Expression) -> None:
        """Lay both lips over the inside of the mouth, in place, where they part or slide over each other."""
        box = self._lip_box(maps)
        if box is None:
            return
        upper_at, lower_at = maps.at_face(maps.upper, box), maps.at_face(maps.lower, box)
        upper_share, lower_share = self.lips.layers(upper_at, lower_at)
        opening = (1 - upper_share) * (1 - lower_share)
        upper, under = (self.sheet.sample(self.sheet.scale * at) for at in (upper_at, lower_at))
        if opening.max() > _SEEN:
            inside = self._inside(maps.at_head(box), expression, opening)
            under = np.asarray(cv2.blendLinear(under, inside, lower_share, 1 - lower_share), np.uint8)
        window(figure, box, self.moving)[:] = cv2.blendLinear(upper, under, upper_share, 1 - upper_share)

    def _inside(self, at: Array, expression: Expression, opening: Array) -> NDArray[np.uint8]:
        """The inside of the mouth, RGBA, at portrait positions `at`."""
        local = self.lips.frame.local(at) / np.float32(self.unit)
        gap = self.lips.gap / self.unit
        own = (1 - self._shut(expression)) * (1 - upper_share(gap)) * gap
        colour = self.interior.render(local, at, expression.jaw + own, expression.tongue, opening)
        return np.asarray(cv2.cvtColor(cv2.convertScaleAbs(colour), cv2.COLOR_RGB2RGBA), np.uint8)

    def _lip_box(self, maps: Maps) -> Box | None:
        """The pixels around all that lies under the upper lip's edge and over the lower lip's, in this frame."""
        grid, lips = maps.face_grid, self.lips
        (x0, y0, x1, y1), (left, top), step = self.mouth_box, grid.origin, grid.step
        column, row = (x0 - left) // step, (y0 - top) // step
        nodes = slice(row + 1, (y1 - top) // step + 2), slice(column + 1, (x1 - left) // step + 2)
        upper, lower = lips.frame.local(maps.upper[nodes]), lips.frame.local(maps.lower[nodes])
        margin = step + 3 * lips.softness
        near = (upper[..., 1] > lips.upper.min() - margin) & (lower[..., 1] < lips.lower.max() + margin)
        near &= np.abs(upper[..., 0]) < lips.half_width + margin
        x, y, across, down = cv2.boundingRect(np.asarray(near, np.uint8))
        if across == 0:
            return None
        x, y = left + step * (column + x), top + step * (row + y)
        return (
            max(x0, x - step),
            max(y0, y - step),
            min(x1, x + step * (across + 1)),
            min(y1, y + step * (down + 1)),
        )


def window(picture: NDArray[Pixel], box: Box, of: Box = (0, 0, 0, 0)) -> NDArray[Pixel]:
    """The part of `picture` that lies in `box`; the picture itself is the box `of` of the frame."""
    (x0, y0, x1, y1), (left, top, *_) = box, of
    return picture[y0 - top : y1 - top, x0 - left : x1 - left]


def pixels(box: Box) -> Array:
    """Positions of the pixels of `box`, [h, w, 2]."""
    x0, y0, x1, y1 = box
    return np.dstack(np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)))


def blend(target: Picture, figure: NDArray[np.uint8]) -> None:
    """Lay `figure`, RGBA with its colour already times its share, over `target`, RGB, in place."""
    rest = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(figure, 3)), cv2.COLOR_GRAY2RGB)
    colour = cv2.cvtColor(figure, cv2.COLOR_RGBA2RGB)
    cv2.add(colour, cv2.multiply(target, rest, scale=1 / 255), dst=target)
