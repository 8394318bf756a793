"""The person's matte, by MediaPipe's selfie segmentation.

The network's input has 256x256 pixels, so it runs twice: on the whole picture, and on head and shoulders, whose result
replaces the first there. A guided filter then moves the edges to those of the picture (He, Sun, Tang, ECCV 2010;
coefficients from a reduced picture: He, Sun, arXiv:1505.00996).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.face.landmarks import Landmarks
from liveavatar.face.networks import FloatArray, load_person_segmenter
from liveavatar.frames import Picture

_INPUT_SIDE = 256
_HEAD_REACH = 2.0
"""Half the side of the second crop, over the size of the face."""
_CONNECTED_SHARE = 0.1
"""Regions of the matte are separate persons if all pixels between them are below this share."""
_GUIDE_SIDE = 768  # pixels, long side of the picture in which the filter's coefficients are computed
_EDGE_RADIUS_SHARE = 1 / 24
"""Radius of the guided filter over the face's size: how far the network's edges may be from the picture's."""
_GUIDED_FILTER_EPSILON = 1e-4  # regularisation, in squared colour within 0…1


def compute_person_matte(rgb: Picture, landmarks: Landmarks) -> NDArray[np.uint8]:
    """Matte of the person to whom `landmarks` belong: [height, width], 0…255."""
    share = _segment_picture(rgb)
    left, top, right, bottom = box = _find_head_box(rgb.shape, landmarks)
    if (right - left) * (bottom - top) < 0.8 * share.size:
        near = _segment_picture(rgb[top:bottom, left:right])
        share[top:bottom, left:right] += _build_box_fade(rgb.shape, box) * (
            near - share[top:bottom, left:right]
        )
    share = _isolate_person(share, landmarks)
    share = _apply_guided_filter(
        rgb, share, _EDGE_RADIUS_SHARE * float(np.ptp(landmarks[:, :2], axis=0).max())
    )
    return np.asarray(np.clip(share * 255, 0, 255).round(), np.uint8)


def _isolate_person(share: FloatArray, landmarks: Landmarks) -> FloatArray:
    """`share` with the face filled in, and without regions that are not connected with it."""
    face = np.zeros(share.shape, np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(np.round(landmarks[:, :2]).astype(np.int32)), 1)
    share = np.maximum(share, face.astype(np.float32))
    labels = np.asarray(cv2.connectedComponents((share > _CONNECTED_SHARE).astype(np.uint8))[1], np.int32)
    own = labels[face > 0]
    return share * (labels == own[0]).astype(np.float32) if own.size else share


def _segment_picture(rgb: Picture) -> FloatArray:
    """The network's share of person, at the size of `rgb`, within 0…1."""
    small = np.asarray(cv2.resize(rgb, (_INPUT_SIDE, _INPUT_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    share = load_person_segmenter()(small)[0].reshape(_INPUT_SIDE, _INPUT_SIDE)
    size = (rgb.shape[1], rgb.shape[0])
    return np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_CUBIC), np.float32).clip(0, 1)


def _find_head_box(shape: tuple[int, ...], landmarks: Landmarks) -> tuple[int, int, int, int]:
    """A square around head and shoulders, clipped to the picture: left, top, right, bottom."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    size = float((high - low).max())
    x, y = ((low + high) / 2).tolist()
    left, top = max(0, round(x - _HEAD_REACH * size)), max(0, round(y - 0.9 * _HEAD_REACH * size))
    return (
        left,
        top,
        min(shape[1], round(x + _HEAD_REACH * size)),
        min(shape[0], round(y + 1.1 * _HEAD_REACH * size)),
    )


def _build_box_fade(shape: tuple[int, ...], box: tuple[int, int, int, int]) -> FloatArray:
    """Weights: 1 inside `box`, falling to 0 towards its sides, except those on the picture's border."""
    left, top, right, bottom = box
    across = _build_edge_ramp(right - left, left > 0, right < shape[1])
    down = _build_edge_ramp(bottom - top, top > 0, bottom < shape[0])
    return np.minimum(down[:, None], across[None])


def _build_edge_ramp(length: int, rising: bool, falling: bool) -> FloatArray:
    steps = np.arange(length, dtype=np.float32) / (0.15 * length)
    ones = np.ones(length, np.float32)
    return np.minimum(np.minimum(steps if rising else ones, steps[::-1] if falling else ones), 1)


def _apply_guided_filter(rgb: Picture, share: FloatArray, radius: float) -> FloatArray:
    """`share` as a linear function of the picture's colours, fitted within `radius` pixels of each pixel."""
    scale = min(1, _GUIDE_SIDE / max(share.shape))
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    guide = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)
    small = np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_AREA), np.float32)
    coefficients = _fit_local_lines(guide, small, 1 + 2 * max(1, round(radius * scale)))
    full = (share.shape[1], share.shape[0])
    slope, offset = (
        np.asarray(cv2.resize(x, full, interpolation=cv2.INTER_LINEAR), np.float32) for x in coefficients
    )
    colours = rgb.astype(np.float32) / np.float32(255)
    return np.asarray((slope * colours).sum(axis=2) + offset, np.float32)


def _fit_local_lines(guide: FloatArray, share: FloatArray, side: int) -> tuple[FloatArray, FloatArray]:
    """Slope [height, width, 3] and offset [height, width] of `share` over `guide`, fitted in windows of `side` pixels
    and averaged over the windows that contain a pixel."""

    def box_mean(values: FloatArray) -> FloatArray:
        return np.asarray(cv2.blur(values, (side, side)), np.float32)

    share_mean, guide_mean = box_mean(share), box_mean(guide)
    edge = (share_mean > 0.002) & (share_mean < 0.998)  # elsewhere the slope is 0
    products = box_mean((guide[..., :, None] * guide[..., None, :]).reshape(*share.shape, 9))[edge].reshape(
        -1, 3, 3
    )
    centre = guide_mean[edge]
    covariance = (
        products
        - centre[:, :, None] * centre[:, None, :]
        + _GUIDED_FILTER_EPSILON * np.eye(3, dtype=np.float32)
    )
    common = box_mean(guide * share[..., None])[edge] - centre * share_mean[edge][:, None]
    slope = np.zeros_like(guide)
    slope[edge] = np.linalg.solve(covariance, common[..., None])[..., 0]
    offset = share_mean - (slope * guide_mean).sum(axis=2)
    return box_mean(slope), box_mean(offset)
