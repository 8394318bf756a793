"""Draw one frame: the portrait warped by head and face, eyes and mouth composited in, over a static background.

Every layer is sampled from the portrait once, through a map that combines all motions, so nothing is blurred twice. A
map gives the portrait position of each output pixel. The map `head` undoes the head's motion. `upper`, `lower` and
`face` undo the motion of head and face: as the upper lip moves, as the lower lip moves, and as whichever side the
pixel is on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array
from liveavatar.mesh.geometry.boxes import PixelBox, slice_box
from liveavatar.mesh.geometry.lip_seam import LipSeam
from liveavatar.mesh.geometry.warp_field import FieldBasis, WarpGrid, invert_field
from liveavatar.mesh.render.eye_layers import EyeLayers
from liveavatar.mesh.render.mouth_interior import MouthInterior
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture

_MIN_VISIBLE_SHARE = 1 / 512
"""Opacities below this change no grey level."""

_HEAD_ITERATIONS, _UPPER_ITERATIONS, _LOWER_ITERATIONS = 5, 4, 6
"""Iterations of the inversion of each field: the steeper the field, the more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameExpression:
    """What one frame shows.

    `shapes` [k] are weights of the face's shapes; `head` [6] are values of the head's degrees of freedom; `blink`
    closes the left and the right eye, 0…1; `gaze` is in radians to the right and down; `jaw` is the way of the lower
    teeth down, interocular units; `tongue` raises its tip, 0…1.
    """

    shapes: Array
    head: Array
    blink: tuple[float, float]
    gaze: tuple[float, float]
    jaw: float
    tongue: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingMaps:
    """The maps of one frame at the nodes of two grids, from `WarpGrid.field_to_positions`."""

    head_grid: WarpGrid
    face_grid: WarpGrid
    head: Array
    upper: Array
    lower: Array
    face: Array

    def head_positions(self, box: PixelBox) -> Array:
        """Portrait positions of the pixels of `box` by the map `head`, [h, w, 2]."""
        return self.head_grid.upsample_to_pixels(self.head, box)

    def face_positions(self, node_positions: Array, box: PixelBox) -> Array:
        """Portrait positions of the pixels of `box` by one of the maps `upper`, `lower` and `face`, [h, w, 2]."""
        return self.face_grid.upsample_to_pixels(node_positions, box)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRenderer:
    """A prepared portrait, without state.

    `static_picture` is the background inside `moving_box` and the portrait outside, where no pixel changes. `unit` is
    the interocular distance in pixels. There are no `eye_layers` if the face must not blink.
    """

    texture: SupersampledTexture
    static_picture: Picture
    moving_box: PixelBox
    face_box: PixelBox
    mouth_box: PixelBox
    head_basis: FieldBasis
    upper_basis: FieldBasis
    lower_basis: FieldBasis
    lips: LipSeam
    interior: MouthInterior
    eye_layers: tuple[EyeLayers, ...]
    unit: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        height, width = self.static_picture.shape[:2]
        return width, height

    def render(self, expression: FrameExpression) -> Picture:
        """The frame, RGB [height, width, 3] uint8."""
        frame = self.static_picture.copy()
        blend_premultiplied(slice_box(frame, self.moving_box), self.render_figure(expression))
        return frame

    def render_figure(self, expression: FrameExpression) -> NDArray[np.uint8]:
        """The person in `moving_box`, premultiplied RGBA uint8."""
        maps = self._build_maps(expression)
        texels = self._texel_positions(maps)
        figure = self.texture.sample(texels)
        self._composite_eyes(figure, texels, expression)
        self._composite_mouth(figure, maps, expression)
        return figure

    def _build_maps(self, expression: FrameExpression) -> SamplingMaps:
        head_grid, face_grid = self.head_basis.grid, self.upper_basis.grid
        head_field = self.head_basis.combine_fields(expression.head)
        head = -invert_field(head_grid, head_field, head_grid.node_positions(), _HEAD_ITERATIONS)
        nodes = face_grid.node_positions()
        carried = head_grid.sample_field(head, nodes)
        positions = nodes + carried
        upper_field, lower_field = (
            basis.combine_fields(expression.shapes) for basis in (self.upper_basis, self.lower_basis)
        )
        upper = carried - invert_field(face_grid, upper_field, positions, _UPPER_ITERATIONS)
        lower = carried - invert_field(face_grid, lower_field, positions, _LOWER_ITERATIONS)
        share = self.lips.upper_side_mask(nodes + upper)
        return SamplingMaps(
            head_grid=head_grid,
            face_grid=face_grid,
            head=head_grid.field_to_positions(head),
            upper=face_grid.field_to_positions(upper),
            lower=face_grid.field_to_positions(lower),
            face=face_grid.field_to_positions(lower + cv2.merge([share, share]) * (upper - lower)),
        )

    def _texel_positions(self, maps: SamplingMaps) -> Array:
        """Positions in the texture of the pixels of `moving_box`, [h, w, 2]."""
        scale = self.texture.scale
        texels = maps.head_grid.upsample_to_pixels(scale * maps.head, self.moving_box)
        face = maps.face_grid.upsample_to_pixels(scale * maps.face, self.face_box)
        slice_box(texels, self.face_box, self.moving_box)[:] = face
        return texels

    def _composite_eyes(self, figure: NDArray[np.uint8], texels: Array, expression: FrameExpression) -> None:
        """Draw eyes that blink or look aside into `figure`, in place."""
        for eye, blink in zip(self.eye_layers, expression.blink, strict=False):
            eye.composite_eye(figure, texels, blink, expression.gaze)

    def _composite_mouth(
        self, figure: NDArray[np.uint8], maps: SamplingMaps, expression: FrameExpression
    ) -> None:
        """Draw both lips over the inside of the mouth into `figure`, in place, where they part or overlap."""
        box = self._lip_box(maps)
        if box is None:
            return
        upper_at, lower_at = maps.face_positions(maps.upper, box), maps.face_positions(maps.lower, box)
        upper_share, lower_share = self.lips.side_opacities(upper_at, lower_at)
        opening = (1 - upper_share) * (1 - lower_share)
        upper, under = (self.texture.sample(self.texture.scale * at) for at in (upper_at, lower_at))
        if opening.max() > _MIN_VISIBLE_SHARE:
            inside = self._render_interior(maps.head_positions(box), expression, opening)
            under = np.asarray(cv2.blendLinear(under, inside, lower_share, 1 - lower_share), np.uint8)
        lips = cv2.blendLinear(upper, under, upper_share, 1 - upper_share)
        slice_box(figure, box, self.moving_box)[:] = lips

    def _render_interior(
        self, positions: Array, expression: FrameExpression, opening: Array
    ) -> NDArray[np.uint8]:
        """The inside of the mouth at portrait positions [h, w, 2], RGBA."""
        local = self.lips.frame.to_local(positions) / np.float32(self.unit)
        colour = self.interior.render(local, positions, expression.jaw, expression.tongue, opening)
        return np.asarray(cv2.cvtColor(cv2.convertScaleAbs(colour), cv2.COLOR_RGB2RGBA), np.uint8)

    def _lip_box(self, maps: SamplingMaps) -> PixelBox | None:
        """The part of `mouth_box` where the frame shows anything below the upper lip's edge and above the lower one's.

        None if there is no such pixel.
        """
        grid, lips = maps.face_grid, self.lips
        (x0, y0, x1, y1), (left, top), step = self.mouth_box, grid.origin, grid.step
        column, row = (x0 - left) // step, (y0 - top) // step
        nodes = slice(row + 1, (y1 - top) // step + 2), slice(column + 1, (x1 - left) // step + 2)
        upper, lower = lips.frame.to_local(maps.upper[nodes]), lips.frame.to_local(maps.lower[nodes])
        margin = step + 3 * lips.softness
        near = (upper[..., 1] > lips.heights.min() - margin) & (lower[..., 1] < lips.heights.max() + margin)
        near &= np.abs(upper[..., 0]) < lips.half_width + margin
        x, y, columns, rows = cv2.boundingRect(np.asarray(near, np.uint8))
        if columns == 0:
            return None
        x, y = left + step * (column + x), top + step * (row + y)
        return (
            max(x0, x - step),
            max(y0, y - step),
            min(x1, x + step * (columns + 1)),
            min(y1, y + step * (rows + 1)),
        )


def blend_premultiplied(target: Picture, layer: NDArray[np.uint8]) -> None:
    """Composite `layer`, RGBA with premultiplied colour, over `target`, RGB, in place."""
    rest = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(layer, 3)), cv2.COLOR_GRAY2RGB)
    colour = cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB)
    cv2.add(colour, cv2.multiply(target, rest, scale=1 / 255), dst=target)
