"""Shading of a scene: one lamp with its shadow, light of the sky, subsurface scattering in skin, highlights."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from tools.heads import paint
from tools.heads.mesh import Bytes, Floats
from tools.heads.paint import Appearance
from tools.heads.raster import (
    Camera,
    barycentric_weights,
    cast_shadow,
    estimate_occlusion,
    pixel_grid,
    rasterise,
    vertex_normals,
)
from tools.heads.scene import Scene

_SCATTER_RADII = (0.035, 0.014, 0.008)
"""How far red, green and blue travel under the skin, decimetres (after d'Eon and Luebke, GPU Gems 3, 2007)."""


_PLAIN = {paint.FRAME: (0.012, 0.011, 0.012), paint.GUM: (0.5, 0.2, 0.19), paint.TONGUE: (0.5, 0.2, 0.19)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """Direction to the lamp (x right, y up, z to the camera), its colour and strength, and that of the sky."""

    key: tuple[float, float, float] = (-0.5, 0.55, 0.8)
    colour: tuple[float, float, float] = (1.0, 0.95, 0.88)
    sky: tuple[float, float, float] = (0.30, 0.32, 0.36)
    soft: float = 0.05


class Picture:
    """The geometry buffers of one picture, and shading from them."""

    def __init__(self, scene: Scene, camera: Camera) -> None:
        self._scene, self._camera = scene, camera
        self.view = camera.view(scene.vertices)
        points, depth = camera.project(self.view)
        self.winner = rasterise(scene.triangles, points, depth, camera.size, both=False)
        self.seen = self.winner >= 0
        corners = scene.triangles[self.winner]
        self._weights = barycentric_weights(points[corners], pixel_grid(camera.size))
        smooth = vertex_normals(self.view, scene.triangles)
        self.normal = _normalise(self._mix(smooth[corners]))
        self.at = self._mix(self.view[corners])
        self.place = self._mix(scene.places[corners])
        self.texture = self._mix(scene.texture[self.winner])
        self.kind = np.where(self.seen, scene.kinds[self.winner], -1)
        self.pixel = camera.height / camera.size[1]
        self.dull = np.ones(self.seen.shape)

    def _mix(self, values: Floats) -> Floats:
        return np.asarray(np.einsum("yxk,yxkc->yxc", self._weights, values))

    def colours(self, looks: Appearance, lips: Bytes, inside: Bytes) -> tuple[Floats, Floats]:
        """Colour [h, w, 3] and height of bumps [h, w]; `lips` and `inside` are the painted regions over the texture."""
        lip = paint.sample_region(lips, self.texture) * (self.kind == paint.SKIN)
        colour = paint.skin_colour(self.place, looks, lip)
        bumps = paint.skin_bumps(self.place, looks, lip)
        within = paint.sample_region(inside, self.texture) * (self.kind == paint.SKIN)
        colour *= 1 - within[..., None] * (0.7, 0.86, 0.86)
        self.dull = 1 - within
        streaks = paint.hair_strands(self.place)
        hair = paint.to_linear_light(looks.hair) * np.exp(0.55 * streaks)[..., None]
        hairy = np.where(self.kind == paint.HAIR, 1.0, 0.0)
        if not looks.bald:
            hairy = np.maximum(hairy, paint.scalp_share(self.place) * (self.kind == paint.SKIN))
        weave = 1 + 0.12 * paint.sample_noise(90 * self.place[..., 0], 90 * self.place[..., 1])
        cloth = paint.to_linear_light(looks.cloth) * weave[..., None]
        worn = paint.shirt_share(self.place) * (self.kind == paint.SKIN)
        lash = 0.9 * self._lashes()
        for share, over in ((hairy, hair), (worn, cloth), (lash, 0.4 * paint.to_linear_light(looks.hair))):
            colour += share[..., None] * (over - colour)
        bumps = np.where(hairy > 0.5, 0.006 * streaks, bumps) * (worn < 0.5)
        ball = paint.eye_colour(self.place, self._scene.centres[self.winner], looks)
        colour = np.where((self.kind == paint.EYE)[..., None], ball, colour)
        tooth = tuple(paint.to_linear_light(looks.tooth).tolist())
        for kind, value in (_PLAIN | {paint.TOOTH: tooth}).items():
            colour = np.where((self.kind == kind)[..., None], value, colour)
        bumps = np.where(
            self.kind == paint.TONGUE,
            0.0008 * paint.sample_noise(220 * self.place[..., 0], 220 * self.place[..., 2]),
            bumps,
        )
        return colour, np.where(np.isin(self.kind, (paint.SKIN, paint.HAIR, paint.TONGUE)), bumps, 0.0)

    def _lashes(self) -> Floats:
        """A fringe on the skin along the eyeballs, thicker above them."""
        eye = (self.kind == paint.EYE).astype(np.float32)
        sigma = 0.011 / self.pixel
        lifted = np.roll(eye, -round(0.012 / self.pixel), axis=0)
        below, above = cv2.GaussianBlur(eye, (0, 0), 0.6 * sigma), cv2.GaussianBlur(lifted, (0, 0), sigma)
        fringe = np.maximum(0.7 * below, above)
        hairs = 0.75 + 0.25 * paint.sample_noise(120 * self.place[..., 0], 20 * self.place[..., 1])
        return np.asarray(np.clip(2.2 * fringe * hairs, 0, 1) * (self.kind == paint.SKIN))

    def shade(self, colour: Floats, bumps: Floats, light: Light) -> Floats:
        """Linear light [h, w, 3] at the camera."""
        lamp = np.array(light.key) / np.linalg.norm(light.key)
        normal = self._bumped(bumps)
        reached = cast_shadow(
            self.view, self._scene.triangles, self.at + 0.02 * self.normal, lamp, light.soft
        )
        depth = np.where(self.seen, self._camera.distance - self.at[..., 2], self._camera.distance + 0.6)
        open_sky = estimate_occlusion(depth, self.pixel)
        facing = normal @ lamp
        wrap = np.where(self._soft()[..., None], (0.3, 0.12, 0.06), 0.0)
        unblocked = reached[..., None] ** (0.7, 1.0, 1.1)  # red light scatters into a shadow
        direct = np.clip((facing[..., None] + wrap) / (1 + wrap), 0, 1) * unblocked
        fill = np.array(light.sky) * (0.75 + 0.35 * normal[..., 1:2] + 0.25 * normal[..., 2:])
        ambient = fill * open_sky[..., None] ** (0.8, 1.1, 1.2)
        lamp_colour = np.array(light.colour)
        diffuse = self._scatter_light(1.25 * direct * lamp_colour + ambient)
        glints = self._glints(normal, lamp, reached * open_sky)
        return np.asarray(colour * diffuse + glints[..., None] * lamp_colour)

    def _soft(self) -> NDArray[np.bool_]:
        return np.isin(self.kind, (paint.SKIN, paint.GUM, paint.TOOTH, paint.TONGUE))

    def _bumped(self, bumps: Floats) -> Floats:
        down, right = np.gradient(bumps)
        slope = np.stack([right, down], -1) / self.pixel
        slope *= self.seen[..., None]
        tilt = np.dstack([-slope[..., 0], slope[..., 1], np.zeros_like(bumps)])
        return _normalise(self.normal + np.clip(tilt, -0.8, 0.8))

    def _scatter_light(self, diffuse: Floats) -> Floats:
        skin = self._soft().astype(np.float32)
        result = diffuse.copy()
        for channel, reach in enumerate(_SCATTER_RADII):
            sigma = max(0.5, reach / self.pixel)
            spread = cv2.GaussianBlur(np.float32(diffuse[..., channel]) * skin, (0, 0), sigma)
            share = np.maximum(cv2.GaussianBlur(skin, (0, 0), sigma), 1e-3)
            result[..., channel] = np.where(skin > 0, spread / share, diffuse[..., channel])
        return result

    def _glints(self, normal: Floats, lamp: Floats, reached: Floats) -> Floats:
        half = lamp + np.array([0.0, 0.0, 1.0])
        half /= np.linalg.norm(half)
        shine = np.clip(normal @ half, 0, 1)
        edge = (1 - np.clip(normal[..., 2], 0, 1)) ** 4
        strength = np.choose(np.maximum(self.kind, 0), (0.07, 0.9, 0.05, 0.3, 0.35, 0.25, 0.12))
        power = np.choose(np.maximum(self.kind, 0), (18.0, 350.0, 12.0, 60.0, 60.0, 50.0, 25.0))
        broad = np.where(self.kind == paint.SKIN, 0.05 * shine**70, 0)
        shining = strength * shine**power * (1 + 2 * edge) + broad + 0.02 * edge
        return np.asarray(shining * reached * self.seen * self.dull)


def tone_map(light: Floats) -> Bytes:
    """Linear light as a screen picture, with compressed highlights (gamma 2.2)."""
    rolled = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), light)
    return np.asarray(np.rint(255 * np.clip(rolled, 0, 1) ** (1 / 2.2)), np.uint8)


def _normalise(vectors: Floats) -> Floats:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-12))
