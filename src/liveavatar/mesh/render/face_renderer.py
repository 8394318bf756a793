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
from liveavatar.mesh.geometry.lip_edges import LipEdges
from liveavatar.mesh.geometry.rig import upper_lip_share
from liveavatar.mesh.geometry.warp_field import Array, FieldBasis, Pixel, PixelBox, WarpGrid, invert_field
from liveavatar.mesh.render.eye_layers import EyeContours, EyeLayers
from liveavatar.mesh.render.mouth_interior import MouthInterior
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture

_MAX_RETURNING_GAP = 0.1
"""The widest parting of a portrait's own that comes back as `Expression` says, interocular units."""

_MIN_VISIBLE_SHARE = 1 / 512
"""Shares of a layer below this change no grey level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameExpression:
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
class SamplingMaps:
    """Where the nodes of two grids come from in one frame, as `Grid.anchor` gives it, in pixels of the portrait."""

    head_grid: WarpGrid
    face_grid: WarpGrid
    head: Array
    upper: Array
    lower: Array
    face: Array

    def head_positions(self, box: PixelBox) -> Array:
        """Portrait positions of the pixels of `box` with only the head's motion undone."""
        return self.head_grid.upsample_to_pixels(self.head, box)

    def face_positions(self, side: Array, box: PixelBox) -> Array:
        """Portrait positions of the pixels of `box` by one of `upper`, `lower` and `face`."""
        return self.face_grid.upsample_to_pixels(side, box)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRenderer:
    """All that is prepared once for a portrait.

    `still` is the background without the person inside the box `moving`, and the portrait itself outside, where no
    pixel ever changes.
    """

    person: Picture
    matte: NDArray[np.uint8]
    static_picture: Picture
    moving_box: PixelBox
    face_box: PixelBox
    mouth_box: PixelBox
    eye_boxes: tuple[PixelBox, ...]
    head_basis: FieldBasis
    upper_basis: FieldBasis
    lower_basis: FieldBasis
    lips: LipEdges
    interior: MouthInterior
    eyes: tuple[EyeContours, ...]
    unit: float
    sheet: SupersampledTexture = field(init=False)
    eye_layers: tuple[EyeLayers, ...] = field(init=False)

    def __post_init__(self) -> None:
        sheet = SupersampledTexture.from_person(self.person, self.matte)
        object.__setattr__(self, "sheet", sheet)
        object.__setattr__(
            self, "eye_layers", tuple(EyeLayers.from_contours(eye, sheet) for eye in self.eyes)
        )

    def render(self, expression: FrameExpression) -> Picture:
        """The frame, RGB [height, width, 3] uint8."""
        maps = self._build_maps(expression)
        at = self._texel_positions(maps)
        figure = self.sheet.sample(at)
        for eye, box, blink in zip(self.eye_layers, self.eye_boxes, expression.blink, strict=False):
            if blink > 0 or expression.gaze != (0.0, 0.0):
                eye.composite_eye(
                    slice_box(figure, box, self.moving_box),
                    slice_box(at, box, self.moving_box),
                    blink,
                    expression.gaze,
                )
        self._composite_mouth(figure, maps, expression)
        frame = self.static_picture.copy()
        blend_premultiplied(slice_box(frame, self.moving_box), figure)
        return frame

    def _build_maps(self, expression: FrameExpression) -> SamplingMaps:
        head_grid, face_grid = self.head_basis.grid, self.upper_basis.grid
        head = -invert_field(
            head_grid,
            self.head_basis.combine_fields(expression.head),
            head_grid.node_positions(),
            iterations=3,
        )
        nodes = face_grid.node_positions()
        carried = head_grid.sample_field(head, nodes)
        shapes = np.append(expression.shapes[:-1], np.float32(self._mouth_shut_weight(expression)))
        at = nodes + carried
        upper = carried - invert_field(face_grid, self.upper_basis.combine_fields(shapes), at, iterations=4)
        steep = round(20 * self.lips.gap / self.unit)  # the wider a mouth to shut, the steeper its field
        lower = carried - invert_field(
            face_grid, self.lower_basis.combine_fields(shapes), at, iterations=6 + steep
        )
        share = self.lips.upper_side_mask(nodes + upper)
        return SamplingMaps(
            head_grid=head_grid,
            face_grid=face_grid,
            head=head_grid.field_to_positions(head),
            upper=face_grid.field_to_positions(upper),
            lower=face_grid.field_to_positions(lower),
            face=face_grid.field_to_positions(lower + cv2.merge([share, share]) * (upper - lower)),
        )

    def _mouth_shut_weight(self, expression: FrameExpression) -> float:
        """The last shape's weight: how far the mouth's own gap is shut; of a mouth that laughs wide only so much comes
        back that it does not snap."""
        kept = min(1.0, _MAX_RETURNING_GAP * self.unit / max(self.lips.gap, 1e-6))
        return 1 - kept * (1 - float(expression.shapes[-1]))

    def _texel_positions(self, maps: SamplingMaps) -> Array:
        """Where on the sheet the pixels of `moving` come from."""
        at = maps.head_grid.upsample_to_pixels(self.sheet.scale * maps.head, self.moving_box)
        face = maps.face_grid.upsample_to_pixels(self.sheet.scale * maps.face, self.face_box)
        slice_box(at, self.face_box, self.moving_box)[:] = face
        return at

    def _composite_mouth(
        self, figure: NDArray[np.uint8], maps: SamplingMaps, expression: FrameExpression
    ) -> None:
        """Lay both lips over the inside of the mouth, in place, where they part or slide over each other."""
        box = self._lip_box(maps)
        if box is None:
            return
        upper_at, lower_at = maps.face_positions(maps.upper, box), maps.face_positions(maps.lower, box)
        upper_share, lower_share = self.lips.side_opacities(upper_at, lower_at)
        opening = (1 - upper_share) * (1 - lower_share)
        upper, under = (self.sheet.sample(self.sheet.scale * at) for at in (upper_at, lower_at))
        if opening.max() > _MIN_VISIBLE_SHARE:
            inside = self._render_interior(maps.head_positions(box), expression, opening)
            under = np.asarray(cv2.blendLinear(under, inside, lower_share, 1 - lower_share), np.uint8)
        slice_box(figure, box, self.moving_box)[:] = cv2.blendLinear(
            upper, under, upper_share, 1 - upper_share
        )

    def _render_interior(
        self, positions: Array, expression: FrameExpression, opening: Array
    ) -> NDArray[np.uint8]:
        """The inside of the mouth, RGBA, at portrait positions `at`."""
        local = self.lips.frame.to_local(positions) / np.float32(self.unit)
        gap = self.lips.gap / self.unit
        own = (1 - self._mouth_shut_weight(expression)) * (1 - upper_lip_share(gap)) * gap
        colour = self.interior.render(local, positions, expression.jaw + own, expression.tongue, opening)
        return np.asarray(cv2.cvtColor(cv2.convertScaleAbs(colour), cv2.COLOR_RGB2RGBA), np.uint8)

    def _lip_box(self, maps: SamplingMaps) -> PixelBox | None:
        """The pixels around all that lies under the upper lip's edge and over the lower lip's, in this frame."""
        grid, lips = maps.face_grid, self.lips
        (x0, y0, x1, y1), (left, top), step = self.mouth_box, grid.origin, grid.step
        column, row = (x0 - left) // step, (y0 - top) // step
        nodes = slice(row + 1, (y1 - top) // step + 2), slice(column + 1, (x1 - left) // step + 2)
        upper, lower = lips.frame.to_local(maps.upper[nodes]), lips.frame.to_local(maps.lower[nodes])
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


def slice_box(picture: NDArray[Pixel], box: PixelBox, picture_box: PixelBox = (0, 0, 0, 0)) -> NDArray[Pixel]:
    """The part of `picture` that lies in `box`; the picture itself is the box `of` of the frame."""
    (x0, y0, x1, y1), (left, top, *_) = box, picture_box
    return picture[y0 - top : y1 - top, x0 - left : x1 - left]


def pixel_positions(box: PixelBox) -> Array:
    """Positions of the pixels of `box`, [h, w, 2]."""
    x0, y0, x1, y1 = box
    return np.dstack(np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)))


def blend_premultiplied(target: Picture, layer: NDArray[np.uint8]) -> None:
    """Lay `figure`, RGBA with its colour already times its share, over `target`, RGB, in place."""
    rest = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(layer, 3)), cv2.COLOR_GRAY2RGB)
    colour = cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB)
    cv2.add(colour, cv2.multiply(target, rest, scale=1 / 255), dst=target)
