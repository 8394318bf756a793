"""The base of all frames: the portrait with its mouth shut.

A mouth that is shut in the picture stays as it is. One that is open is measured, shut once, and its upper teeth are
kept; whatever opens it again draws them behind the lips.
"""

from dataclasses import dataclass, replace

import numpy as np

from liveavatar.face.portrait import Landmarks, Portrait
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.boxes import bound_points
from liveavatar.mesh.geometry.face_landmarks import UPPER_LIP, interocular_distance
from liveavatar.mesh.geometry.lip_seam import LipSeam, choose_line_width, measure_lip_gap
from liveavatar.mesh.geometry.picture_blur import measure_blur
from liveavatar.mesh.lips.closed_contours import shut_contours
from liveavatar.mesh.lips.inner_edges import LipColours, refine_inner_edges
from liveavatar.mesh.lips.lip_contours import CURVE_LANDMARKS, MOUTH_PIXELS, LipContours, MouthPatch
from liveavatar.mesh.lips.lip_repair import even_outlines
from liveavatar.mesh.lips.mouth_closing import close_mouth, trace_lip_landmarks
from liveavatar.mesh.lips.portrait_teeth import PortraitTeeth, cut_upper_teeth

_MAX_CLOSED_GAP = 0.035
"""Largest distance of the lips' landmarks that is taken for closed lips, interocular units: the error of landmarks."""
_LINE_COVER = 0.8
"""How much the line between the lips hides of each, relative to its standard deviation."""
_TEETH_MARGIN = 0.3
"""Margin around the lips of the box that teeth are cut from, interocular units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutBase:
    """A portrait whose mouth is shut, the seam between its lips, and the upper teeth that the picture showed.

    `reveal` [478, 2] moves the upper lip back to where the picture showed it, pixels; zeros if it showed no teeth.
    """

    portrait: Portrait
    lips: LipSeam
    teeth: PortraitTeeth | None
    reveal: Array


def build_shut_base(portrait: Portrait, *, repair: bool = False) -> ShutBase:
    """The portrait with its mouth shut; with `repair`, with plain lips whose flaws are painted over."""
    landmarks, unit = portrait.landmarks, interocular_distance(portrait.landmarks)
    if measure_lip_gap(landmarks) <= _MAX_CLOSED_GAP * unit:
        lips = LipSeam.from_picture(landmarks, unit, portrait.rgb)
        snapped = replace(portrait, landmarks=lips.snap_landmarks(landmarks))
        return ShutBase(portrait=snapped, lips=lips, teeth=None, reveal=np.zeros_like(landmarks[:, :2]))
    patch = MouthPatch.from_picture(portrait.rgb, landmarks)
    drawn = LipContours.from_landmarks(patch.to_patch(landmarks[:, :2]))
    contours, colours = refine_inner_edges(drawn, patch)
    blur = measure_blur(portrait.rgb, landmarks)
    cover = _LINE_COVER * choose_line_width(MOUTH_PIXELS / patch.scale, blur) * patch.scale
    closed = shut_contours(contours, cover)
    if repair:
        closed = even_outlines(closed)
    shut, lips = close_mouth(portrait, patch, contours, closed, colours, blur, repair=repair)
    teeth = _cut_teeth(portrait, patch, contours, colours)
    reveal = _lift_upper_lip(landmarks, patch, contours, shut.landmarks)
    return ShutBase(portrait=shut, lips=lips, teeth=teeth, reveal=reveal if teeth else 0 * reveal)


def _lift_upper_lip(landmarks: Landmarks, patch: MouthPatch, contours: LipContours, shut: Landmarks) -> Array:
    """Displacement of the upper lip from the landmarks of the `shut` mouth to `contours`, [478, 2], pixels."""
    curves = trace_lip_landmarks(landmarks, patch, contours)
    move = np.zeros_like(shut[:, :2])
    rows = list(UPPER_LIP)
    up = patch.frame.to_local(curves[rows]) - patch.frame.to_local(shut[rows, :2])
    up[:, 0] = 0
    move[rows] = patch.frame.to_picture_vectors(as_float32(np.minimum(up, 0)))
    return move


def _cut_teeth(
    portrait: Portrait, patch: MouthPatch, contours: LipContours, colours: LipColours
) -> PortraitTeeth | None:
    lips = portrait.landmarks[[number for row in CURVE_LANDMARKS for number in row], :2]
    height, width = portrait.rgb.shape[:2]
    margin = _TEETH_MARGIN * interocular_distance(portrait.landmarks)
    return cut_upper_teeth(
        portrait.rgb, patch, contours, colours, bound_points(lips, margin, (width, height))
    )
