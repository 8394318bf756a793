"""Prepare a portrait: everything that its frames share."""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.boxes import (
    PixelBox,
    bound_points,
    clip_box,
    intersect_boxes,
    slice_box,
    union_boxes,
)
from liveavatar.mesh.geometry.eye_contours import EyeContours
from liveavatar.mesh.geometry.face_basis import build_face_bases
from liveavatar.mesh.geometry.face_landmarks import EYE_LANDMARKS, interocular_distance
from liveavatar.mesh.geometry.head_basis import build_head_basis
from liveavatar.mesh.geometry.lip_seam import LipSeam
from liveavatar.mesh.geometry.warp_field import FieldBasis
from liveavatar.mesh.lips.shut_base import ShutBase
from liveavatar.mesh.render.eye_layers import EyeLayers
from liveavatar.mesh.render.eye_window import EyeWindow
from liveavatar.mesh.render.face_renderer import FaceRenderer
from liveavatar.mesh.render.mouth_fitting import fit_mouth_interior
from liveavatar.mesh.render.person_separation import separate_person
from liveavatar.mesh.render.supersampled_texture import SupersampledTexture

_HEAD_REACH = 0.35
"""Largest displacement by the head's motion, interocular units: the margin around parts that move."""
_MIN_HEAD_MOTION_PIXELS = 0.5
"""Least displacement per radian, interocular unit or breath of a node that counts as moving."""
_MIN_EYE_TRUST, _MIN_DARK_SHARE, _DOUBTED_EYE_SCALE = 2.0, 0.08, 1.35
"""Least trust in a face whose landmarks are on the lids. In stranger ones both eyes must show this share of iris and
pupil (those of a painted cyclops do not); their lids then close around the landmarks, scaled, and the eyes stay still.
"""
_MOUTH_HALF_WIDTHS = 1.45
"""Half the width of the box around the mouth, in half widths of the mouth."""
_MOUTH_RISE, _MOUTH_DROP = 0.3, 0.6
"""Extent of that box above and below the line of the mouth's corners, interocular units."""


def prepare_renderer(base: ShutBase, shapes: Array) -> FaceRenderer:
    """The renderer of a portrait. `shapes` [k, 478, 2] are displacements of its landmarks, in pixels."""
    portrait, lips = base.portrait, base.lips
    rgb, landmarks = portrait.rgb, portrait.landmarks
    unit = interocular_distance(landmarks)
    height, width = rgb.shape[:2]
    size = (width, height)
    person, background, opacity = separate_person(rgb, portrait.matte, landmarks)
    texture = SupersampledTexture.from_person(person, opacity)
    head = build_head_basis(landmarks, opacity)
    upper, lower = build_face_bases(landmarks, shapes, lips)
    face_box = clip_box(upper.grid.box, size)
    mouth_box = _mouth_box(lips, unit, face_box)
    moving_box = union_boxes(_find_moving_box(head, opacity, _HEAD_REACH * unit), face_box)
    return FaceRenderer(
        texture=texture,
        static_picture=_build_static_picture(rgb, background, moving_box),
        moving_box=moving_box,
        face_box=face_box,
        mouth_box=mouth_box,
        head_basis=head,
        upper_basis=upper,
        lower_basis=lower,
        lips=lips,
        interior=fit_mouth_interior(rgb, landmarks, lips, base.teeth),
        eye_layers=_prepare_eyes(portrait, texture),
        unit=unit,
    )


def _prepare_eyes(portrait: Portrait, texture: SupersampledTexture) -> tuple[EyeLayers, ...]:
    """Both eyes, left one first; none in a face that shows none where the landmarks are."""
    trusted = portrait.trust >= _MIN_EYE_TRUST
    if not trusted:
        found = [EyeContours.from_landmarks(eye, portrait.landmarks) for eye in EYE_LANDMARKS]
        if min(EyeWindow.from_texture(eye, texture).measure_dark_share() for eye in found) < _MIN_DARK_SHARE:
            return ()
    scale = 1.0 if trusted else _DOUBTED_EYE_SCALE
    eyes = (EyeContours.from_landmarks(eye, portrait.landmarks, scale) for eye in EYE_LANDMARKS)
    return tuple(EyeLayers.from_contours(eye, texture, moves=trusted) for eye in eyes)


def _mouth_box(lips: LipSeam, unit: float, face_box: PixelBox) -> PixelBox:
    """The pixels of `face_box` that can show lips or the inside of the mouth."""
    half, up, down = _MOUTH_HALF_WIDTHS * lips.half_width, _MOUTH_RISE * unit, _MOUTH_DROP * unit
    corners = as_float32([[-half, -up], [half, -up], [half, down], [-half, down]])
    points = as_float32(lips.frame.origin + lips.frame.to_picture_vectors(corners))
    return intersect_boxes(bound_points(points, _HEAD_REACH * unit, face_box[2:]), face_box)


def _find_moving_box(head: FieldBasis, opacity: NDArray[np.uint8], margin: float) -> PixelBox:
    """The box around every pixel of the person that the head's motion can move, and `margin` pixels around them."""
    grid = head.grid
    motion = np.abs(head.fields).reshape(-1, grid.rows, grid.columns, 2).max((0, 3))
    moves = cv2.dilate(np.asarray(motion > _MIN_HEAD_MOTION_PIXELS, np.uint8), np.ones((5, 5), np.uint8))
    height, width = opacity.shape
    person = cv2.resize(moves, (width, height), interpolation=cv2.INTER_NEAREST) * (opacity > 0)
    x, y, box_width, box_height = cv2.boundingRect(np.asarray(person, np.uint8))
    box = (x - margin, y - margin, x + box_width + margin, y + box_height + margin)
    return clip_box(box, (width, height))


def _build_static_picture(rgb: Picture, background: Picture, box: PixelBox) -> Picture:
    """The background inside `box`, the portrait outside."""
    picture = rgb.copy()
    slice_box(picture, box)[:] = slice_box(background, box)
    return picture
