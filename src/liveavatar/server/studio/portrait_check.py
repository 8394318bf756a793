"""The check of a portrait as a page shows it: a small upright copy, what was found, and where in the picture."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from liveavatar.errors import PortraitError
from liveavatar.face.inspection.measurements import measure_portrait
from liveavatar.face.inspection.quality import judge_portrait_report
from liveavatar.face.picture import read_picture, reduce_picture
from liveavatar.face.portrait import Portrait, find_portrait
from liveavatar.frames import Picture
from liveavatar.report import find_worst_level

_SHOWN_SIDE = 768  # pixels, of the copy
_JPEG_QUALITY = 88

_EYE_POINTS = (33, 133, 159, 145, 263, 362, 386, 374)
_MOUTH_POINTS = (61, 291, 0, 17)
"""Landmarks at the outer edges of both eyes and of the mouth."""

_PLACES = {"eyes": "eyes", "mouth": "mouth", "room": "picture"}
"""Where in the picture a finding belongs; all others belong to the face."""


def inspect_picture(path: Path, name: str, output: Path) -> dict[str, Any]:
    """Check a picture and write the copy that is shown. Boxes are left, top, width and height, shares of the picture.

    Raises:
        PortraitError: the picture cannot be read, or has no usable face; errors call it `name`.
    """
    rgb = read_picture(path)
    _write_shown_copy(rgb, output)
    portrait = find_portrait(rgb, name=name)
    findings = list(judge_portrait_report(measure_portrait(portrait)))
    height, width = rgb.shape[:2]
    return {
        "level": find_worst_level(findings),
        "findings": [asdict(finding) | {"place": _PLACES.get(finding.name, "face")} for finding in findings],
        "width": width,
        "height": height,
        "faces": portrait.face_count,
        "boxes": _locate_features(portrait),
    }


def _write_shown_copy(rgb: Picture, output: Path) -> None:
    """A JPEG of the pixels alone: nothing that the file knew of place and time is in it."""
    small = reduce_picture(rgb, _SHOWN_SIDE)
    encoded, data = cv2.imencode(
        ".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if not encoded:
        raise PortraitError("the picture cannot be shown", "export it again")
    output.write_bytes(data.tobytes())


def _locate_features(portrait: Portrait) -> dict[str, list[float]]:
    """The boxes of face, eyes and mouth."""
    height, width = portrait.rgb.shape[:2]
    points = portrait.landmarks[:, :2] / np.array([width, height], np.float32)
    parts = {"face": points, "eyes": points[list(_EYE_POINTS)], "mouth": points[list(_MOUTH_POINTS)]}
    return {
        name: [round(float(value), 4) for value in (*part.min(axis=0), *np.ptp(part, axis=0))]
        for name, part in parts.items()
    }
