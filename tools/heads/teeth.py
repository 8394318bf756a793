"""Teeth, gums and tongue. The head has plain bands for teeth; single teeth are placed along their edges.

Millimetres are a hundredth of the mesh's decimetres. Crown widths after Ash and Nelson, Dental Anatomy (2003).
"""

import numpy as np
from tools.heads.mesh import Floats, Ints, Mesh, subdivide
from tools.heads.scene import build_sheet

_MM = 0.01
ADULT_WIDTH = 0.6
"""Width of an adult's row of teeth on this head, decimetres."""
_UPPER = (8.6, 6.7, 7.5, 6.9, 6.7, 9.5)
_LOWER = (5.3, 5.8, 6.7, 6.9, 7.0, 10.0)
_UPPER_CROWNS = (10.2, 9.0, 9.8, 8.2, 7.5, 7.2)
_LOWER_CROWNS = (8.8, 9.0, 9.8, 8.4, 7.6, 7.4)


class Arch:
    """A row of teeth along half an ellipse through the band's biting edge; `side` 1 for the upper, -1 for the lower."""

    def __init__(self, edge: Floats, side: int) -> None:
        """`edge` [n, 3] from one molar to the other."""
        self.side = side
        self._half = 1.12 * float(np.abs(edge[:, 0]).max())
        cosine = np.sqrt(1 - 1 / 1.12**2)
        self._deep = float(np.ptp(edge[:, 2])) / (1 - cosine)
        self._front = float(edge[:, 2].max())
        self._rise = np.polynomial.Polynomial.fit(edge[:, 0] ** 2, edge[:, 1], 1)
        self._angles = np.linspace(-1.5, 1.5, 601)
        path = self._ellipse(self._angles)
        step = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        self._along = step - step[-1] / 2

    def _ellipse(self, angle: Floats) -> Floats:
        x = self._half * np.sin(angle)
        return np.stack([x, self._rise(x**2), self._front + self._deep * (np.cos(angle) - 1)], -1)

    def at(self, along: Floats, up: Floats, out: Floats) -> Floats:
        """Points `along` the arch from its middle, `up` from the biting edge into the gum, `out` of its front."""
        angle = np.interp(along, self._along, self._angles)
        outward = np.stack([np.sin(angle) / self._half, np.zeros_like(angle), np.cos(angle) / self._deep], -1)
        outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
        rise = up[..., None] * np.array([0.0, self.side, 0.0])
        return np.asarray(self._ellipse(angle) + out[..., None] * outward + rise)


def build_teeth_row(edge: Floats, *, upper: bool, scale: float = 1.0) -> list[Mesh]:
    """All teeth of an arch and its gum; `scale` is their size relative to an adult's."""
    unit = scale * _MM
    arch = Arch(edge, 1 if upper else -1)
    widths, crowns = (_UPPER, _UPPER_CROWNS) if upper else (_LOWER, _LOWER_CROWNS)
    parts, margin, inner = [], [], 0.0
    for width, crown in zip(widths, crowns, strict=True):
        middle = (inner + width / 2) * unit
        margin.append((middle, crown))
        parts += [_build_tooth(arch, sign * middle, width * unit, crown * unit) for sign in (1, -1)]
        inner += width
    return [*parts, _build_gum(arch, np.array(margin) * (1, unit), np.array(widths) * unit)]


def _build_tooth(arch: Arch, middle: float, width: float, crown: float) -> Mesh:
    """A crown: narrow at the neck, convex, with rounded corners and a slightly uneven edge."""
    across, down = np.meshgrid(np.linspace(-1, 1, 17), np.linspace(0, 1, 15))
    half = width / 2 * (0.74 + 0.25 * np.sin(np.pi / 2 * np.clip(down / 0.65, 0, 1)))
    half = half * (1 - 0.12 * np.clip((down - 0.85) / 0.15, 0, 1) ** 2)
    up = crown * (1 - down) + 0.045 * crown * np.abs(across) ** 3 * down
    out = 0.028 * (1 - np.abs(across) ** 3) ** 0.6 - 0.03 + 0.012 * np.sin(np.pi * np.clip(down, 0, 1) ** 0.7)
    out -= 0.016 * np.clip((down - 0.8) / 0.2, 0, 1) ** 2
    return build_sheet(arch.at(middle + across * half, up, out), "tooth", flip=arch.side < 0)


def _build_gum(arch: Arch, margins: Floats, widths: Floats) -> Mesh:
    """The gum around the necks of the teeth, with a papilla between every two teeth."""
    along, up = np.meshgrid(np.linspace(-margins[-1, 0], margins[-1, 0], 181), np.linspace(0, 1, 12))
    nearest = np.abs(np.abs(along)[..., None] - margins[:, 0]).argmin(-1)
    place = (np.abs(along) - margins[nearest, 0]) / (widths[nearest] / 2)
    lowest = margins[nearest, 1] * (0.93 - 0.42 * np.abs(np.clip(place, -1, 1)) ** 2.2)
    height = lowest + up * ((0.2 if arch.side > 0 else 0.13) - lowest)  # a lower one would pierce the chin
    out = (
        0.004
        + 0.012 * np.sin(np.pi * np.clip(up * 3, 0, 0.5))
        - 0.018 * np.abs(place) ** 2 * np.clip(1 - 2 * up, 0, 1)
    )
    return build_sheet(arch.at(along, height, out - 0.02 * (up > 0.8)), "gum", flip=arch.side > 0)


def biting_edge(adult: Floats, mesh: Mesh, *, upper: bool) -> Ints:
    """The vertices of a band of teeth along its biting edge, from the subject's right to the left."""
    side, band = (1, mesh.part("helper-upper-teeth")) if upper else (-1, mesh.part("helper-lower-teeth"))
    height = adult[band] @ (0, side, 0.116 * side)  # the bite rises towards the molars
    edge: Ints = band[height < height.min() + 0.035]
    return np.asarray(edge[np.argsort(np.arctan2(adult[edge, 0], adult[edge, 2] - 0.9))])


def build_tongue(mesh: Mesh) -> Mesh:
    """The head's own tongue, smoothed twice."""
    only = mesh.only(mesh.groups == "helper-tongue")
    nothing = np.zeros((len(mesh.vertices), 0))
    finer, nothing = subdivide(only, nothing)
    return subdivide(finer, nothing)[0]
