"""Fit the inside of a mouth to a portrait: its place, its turn, its light and the portrait's own teeth.

Constants without a source were chosen by eye on the portraits listed in `docs/mesh.md`.
"""

import cv2
import numpy as np

from liveavatar.face.portrait import Landmarks
from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.face_landmarks import EYE_LANDMARKS, LOWER_LIP, UPPER_LIP, interocular_distance
from liveavatar.mesh.geometry.lip_seam import LipSeam
from liveavatar.mesh.geometry.picture_blur import measure_blur
from liveavatar.mesh.geometry.rig import fit_rig_pose, load_rig
from liveavatar.mesh.lips.portrait_teeth import PortraitTeeth
from liveavatar.mesh.render.mouth_interior import (
    LAYER_HALF_SIZE,
    LAYER_NAMES,
    LUMA_WEIGHTS,
    MouthInterior,
    MouthLight,
    MouthTexture,
)

_LIP_MIDDLES = (13, 14)
"""Landmarks in the middle of the upper and of the lower lip's inner edge."""
_CHEEK_LANDMARKS = (50, 280, 205, 425, 101, 330)
_CHEEK_SIDES = ((50, 205, 207, 187), (280, 425, 427, 411))
"""Landmarks of the left and of the right cheek."""
_UPPER_TEETH_EDGE, _LOWER_TEETH_EDGE = 0.025, 0.1
"""Biting edges of the rendered teeth below the line between closed lips, interocular units."""
_LIP_LANDMARKS = (*UPPER_LIP[9:27], *LOWER_LIP[9:27])
_MIN_LIP_SATURATION = 0.35
"""Saturation of the palest lips in colour photographs."""
_EYE_WHITE_PERCENTILE = 85
"""Percentile of the luma inside the eyes that is taken for their white."""
_EYE_WHITE_GAIN = 1.3
"""Brightness of white relative to the white of the eyes, which lies in the shadow of lids and lashes."""
_SKIN_GAINS = (1.25, 2.4)
"""Limits of the brightness of white relative to the skin. By the skin alone, teeth in dark faces come out grey."""
_MAX_WHITE = 240.0
_SKIN_TINT = 0.3
"""Exponent of the skin's colour in the colour of white."""
_MAX_SLOPE, _SLOPE_FLOOR = 0.8, 8.0
"""Largest slope of the light, and grey levels added to both cheeks so that dark pictures get no steep one."""
_COLUMN_SAMPLES = 161


def fit_mouth_interior(
    rgb: Picture, landmarks: Landmarks, lips: LipSeam, teeth: PortraitTeeth | None
) -> MouthInterior:
    """The inside of the mouth of a portrait with its mouth shut; `teeth` are its own."""
    unit = interocular_distance(landmarks)
    light = _estimate_light(rgb, landmarks, teeth)
    upper_lip, lower_lip = (
        float(lips.frame.to_local(landmarks[point, :2])[1]) / unit for point in _LIP_MIDDLES
    )
    seam = (upper_lip + lower_lip) / 2
    upper_edge = seam + _UPPER_TEETH_EDGE
    if teeth is not None:
        upper_edge = float(lips.frame.to_local(teeth.edge)[1]) / unit
    blur = measure_blur(rgb, landmarks)
    column_map = _map_layer_columns(landmarks, lips, unit)
    upper, lower, tongue = (
        MouthTexture.from_asset(name, light, column_map, unit, blur) for name in LAYER_NAMES
    )
    return MouthInterior(
        light=light,
        upper=upper,
        lower=lower,
        tongue=tongue,
        portrait_teeth=teeth,
        upper_edge=upper_edge,
        lower_edge=seam + _LOWER_TEETH_EDGE,
        half_width=lips.half_width / unit,
    )


def _estimate_light(rgb: Picture, landmarks: Landmarks, teeth: PortraitTeeth | None) -> MouthLight:
    """The light by the portrait's own teeth if it shows any, else by the whites of the eyes and the skin."""
    slope, chroma = _estimate_light_slope(rgb, landmarks), _estimate_chroma(rgb, landmarks)
    if teeth:
        return MouthLight.from_teeth(teeth.mean_colour, slope, chroma)
    skin = _median_colour(rgb, landmarks, _CHEEK_LANDMARKS)
    luma = float(skin @ LUMA_WEIGHTS)
    low, high = (gain * luma for gain in _SKIN_GAINS)
    white = min(float(np.clip(_EYE_WHITE_GAIN * _eye_white_luma(rgb, landmarks), low, high)), _MAX_WHITE)
    return MouthLight(white=as_float32((skin / luma) ** _SKIN_TINT * white), slope=slope, chroma=chroma)


def _eye_white_luma(rgb: Picture, landmarks: Landmarks) -> float:
    """Luma of the whites of the eyes, 0…255; 0 if the eyes have no pixel."""
    mask = np.zeros(rgb.shape[:2], np.uint8)
    for eye in EYE_LANDMARKS:
        outline = landmarks[[*eye.upper, *eye.lower[::-1]], :2]
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    luma = rgb[mask > 0] @ LUMA_WEIGHTS
    return float(np.percentile(luma, _EYE_WHITE_PERCENTILE)) if len(luma) else 0.0


def _estimate_chroma(rgb: Picture, landmarks: Landmarks) -> float:
    """0 for a picture without colours, 1 if its lips are at least as saturated as the palest lips."""
    lips = _median_colour(rgb, landmarks, _LIP_LANDMARKS)
    return float(np.clip(np.ptp(lips) / max(float(lips.max()), 1.0) / _MIN_LIP_SATURATION, 0, 1))


def _estimate_light_slope(rgb: Picture, landmarks: Landmarks) -> float:
    """Relative growth of the light over an interocular unit to the right: the log ratio of the two cheeks."""
    left, right = (float(_median_colour(rgb, landmarks, side) @ LUMA_WEIGHTS) for side in _CHEEK_SIDES)
    return float(np.clip(np.log((right + _SLOPE_FLOOR) / (left + _SLOPE_FLOOR)), -_MAX_SLOPE, _MAX_SLOPE))


def _map_layer_columns(landmarks: Landmarks, lips: LipSeam, unit: float) -> Array:
    """Where columns of the layers appear in a turned head: pairs (u in the picture, u in the layer), [n, 2].

    Computed from the head's rotation and the depth of the rig's row of teeth; hidden columns are left out.
    """
    pose, teeth = fit_rig_pose(landmarks), load_rig().mouth.upper_teeth
    u = np.linspace(-LAYER_HALF_SIZE[0], LAYER_HALF_SIZE[0], _COLUMN_SAMPLES)
    places = np.stack([u, 0 * u, np.interp(u, teeth[:, 0], teeth[:, 2])], -1)
    visible = (
        lips.frame.to_local(landmarks[_LIP_MIDDLES[0], :2] + pose.to_picture(as_float32(places)))[:, 0] / unit
    )
    middle = _COLUMN_SAMPLES // 2
    first, last = int(visible[:middle].argmin()), middle + int(visible[middle:].argmax())
    return as_float32(np.stack([visible, u], -1)[first : last + 1])


def _median_colour(rgb: Picture, landmarks: Landmarks, points: tuple[int, ...]) -> Array:
    """Median RGB at landmarks `points`, [3]."""
    height, width = rgb.shape[:2]
    x, y = np.clip(np.rint(landmarks[list(points), :2]).astype(int), 0, [width - 1, height - 1]).T
    return as_float32(np.median(rgb[y, x], axis=0))
