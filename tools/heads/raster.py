"""Rasterisation: nearest triangle, smooth normals, shadow map, ambient occlusion."""

from dataclasses import dataclass

import cv2
import numpy as np
from tools.heads.mesh import Floats, Ints

_FRAGMENTS_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole camera at `distance` in front of `target`, with the head turned by `yaw` and `pitch` radians.

    `height` is the extent of the scene at the target that the picture of `size` (width, height) shows, decimetres.
    """

    size: tuple[int, int]
    target: tuple[float, float, float]
    yaw: float
    pitch: float
    height: float
    distance: float = 9.0

    def turn(self) -> Floats:
        """Rotation of the head, [3, 3]."""
        yaw, pitch = np.array([0.0, self.yaw, 0.0]), np.array([self.pitch, 0.0, 0.0])
        return np.asarray(cv2.Rodrigues(yaw)[0] @ cv2.Rodrigues(pitch)[0], np.float64)

    def view(self, vertices: Floats) -> Floats:
        """Vertices [N, 3] in the camera's axes: target at the origin, x right, y up, z to the camera."""
        return (vertices - self.target) @ self.turn().T

    def project(self, view: Floats) -> tuple[Floats, Floats]:
        """Pixels [N, 2] and depths [N]."""
        width, height = self.size
        depth = self.distance - view[:, 2]
        focal = height / self.height * self.distance
        points = focal * view[:, :2] * (1, -1) / depth[:, None] + (width / 2, height / 2)
        return points, depth


def rasterise(
    triangles: Ints, points: Floats, depth: Floats, size: tuple[int, int], *, both: bool = False
) -> Ints:
    """The nearest triangle in each pixel, -1 where there is none; back faces only if `both`."""
    width, height = size
    corners = points[triangles]
    low = np.clip(np.ceil(corners.min(axis=1)), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.floor(corners.max(axis=1)), 0, (width - 1, height - 1)).astype(int)
    edges = corners[:, 1:] - corners[:, :1]
    area = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
    seen = np.flatnonzero(((area < -1e-9) | (both & (area > 1e-9))) & (high >= low).all(axis=1))
    planes, depths = _barycentric_planes(corners, area), depth[triangles]
    nearest = np.full(width * height, np.inf)
    winner = np.full(width * height, -1)
    counts = np.prod(high[seen] - low[seen] + 1, axis=1)
    for part in np.split(seen, np.flatnonzero(np.diff(np.cumsum(counts) // _FRAGMENTS_AT_ONCE)) + 1):
        index, x, y = _list_fragments(part, low, high)
        one, two = ((planes[index, row] * np.stack([x, y, x * 0 + 1], -1)).sum(-1) for row in (0, 1))
        zero = 1 - one - two
        distance = zero * depths[index, 0] + one * depths[index, 1] + two * depths[index, 2]
        at = y * width + x
        inside = (zero >= -1e-9) & (one >= -1e-9) & (two >= -1e-9) & (distance < nearest[at])
        at, distance, index = at[inside], distance[inside], index[inside]
        order = np.argsort(-distance, kind="stable")  # the nearest is written last
        nearest[at[order]], winner[at[order]] = distance[order], index[order]
    return winner.reshape(height, width)


def _list_fragments(triangles: Ints, low: Ints, high: Ints) -> tuple[Ints, Ints, Ints]:
    """Every pixel of the triangles' boxes: number of the triangle, x and y, [n] each."""
    size = high[triangles] - low[triangles] + 1
    count = np.prod(size, axis=1)
    own = np.repeat(np.arange(len(triangles)), count)
    inner = np.arange(len(own)) - np.repeat(np.cumsum(count) - count, count)
    x, y = inner % size[own, 0], inner // size[own, 0]
    index = triangles[own]
    return index, low[index, 0] + x, low[index, 1] + y


def _barycentric_planes(corners: Floats, area: Floats) -> Floats:
    """The second and third barycentric weight of each triangle as a·x + b·y + c, [T, 2, 3]."""
    (x0, y0), (x1, y1), (x2, y2) = corners.transpose(1, 2, 0)
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    one = np.stack([y2 - y0, x0 - x2, x2 * y0 - x0 * y2], -1)
    two = np.stack([y0 - y1, x1 - x0, x0 * y1 - x1 * y0], -1)
    return np.stack([one, two], 1) / area[:, None, None]


def barycentric_weights(corners: Floats, points: Floats) -> Floats:
    """Weights [..., 3] of the triangles' `corners` [..., 3, 2] whose sums are `points` [..., 2]."""
    first, second = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    offset = points - corners[..., 0, :]
    area = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    one = (offset[..., 0] * second[..., 1] - offset[..., 1] * second[..., 0]) / area
    two = (first[..., 0] * offset[..., 1] - first[..., 1] * offset[..., 0]) / area
    return np.stack([1 - one - two, one, two], axis=-1)


def pixel_grid(size: tuple[int, int]) -> Floats:
    """Position of each pixel, [height, width, 2]."""
    y, x = np.mgrid[: size[1], : size[0]]
    return np.stack([x, y], axis=-1).astype(float)


def vertex_normals(vertices: Floats, triangles: Ints) -> Floats:
    """Smooth normals [N, 3]: means of the adjacent triangles' normals, weighted by area."""
    corners = vertices[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    summed = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(summed, triangles[:, corner], facing)
    return np.asarray(summed / (np.linalg.norm(summed, axis=1, keepdims=True) + 1e-12))


def cast_shadow(view: Floats, triangles: Ints, places: Floats, lamp: Floats, soft: float) -> Floats:
    """Share of a lamp in direction `lamp` that reaches `places` [h, w, 3], 0…1: a shadow map, softened by `soft`."""
    side, reach = 700, 3.2
    across = np.cross([0.0, 1.0, 0.0], lamp)
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(lamp, across), lamp])
    lit = view @ axes.T
    points = lit[:, :2] * (1, -1) * side / reach + side / 2
    winner = rasterise(triangles, points, -lit[:, 2], (side, side), both=True)
    weights = barycentric_weights(points[triangles[winner]], pixel_grid((side, side)))
    height = np.where(winner >= 0, (weights * lit[triangles[winner], 2]).sum(-1), -9.0).astype(np.float32)
    at = places @ axes.T
    x, y = (np.float32(at[..., axis] * sign * side / reach + side / 2) for axis, sign in ((0, 1), (1, -1)))
    total = np.zeros(at.shape[:2])
    spots = np.random.default_rng(0).normal(size=(24, 2)) * soft * side / reach
    for dx, dy in spots.astype(np.float32):
        blocker = cv2.remap(height, x + dx, y + dy, cv2.INTER_NEAREST, borderValue=-9.0)
        total += at[..., 2] > blocker - 0.03
    return np.asarray(total / len(spots))


def estimate_occlusion(depth: Floats, pixel: float) -> Floats:
    """Share of unoccluded sky by pixel, 0…1, from depths [h, w] in screen space; `pixel` is its size, decimetres."""
    near = depth.astype(np.float32)
    hidden = np.zeros_like(near)
    for radius, weight in ((0.03, 0.35), (0.08, 0.4), (0.2, 0.35)):
        around = cv2.GaussianBlur(near, (0, 0), max(0.8, radius / pixel))
        hidden += weight * np.clip((near - around) / radius, 0, 1.2)
    return np.asarray(np.clip(1 - 1.1 * hidden, 0.08, 1), np.float64)
