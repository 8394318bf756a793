"""From a recipe of a person to a scene: morph targets, hair, glasses and a shirt."""

from dataclasses import dataclass, field

import numpy as np
from tools.heads import paint, teeth
from tools.heads.mesh import Floats, Mesh, Wheel, subdivide
from tools.heads.paint import Appearance
from tools.heads.raster import vertex_normals
from tools.heads.scene import KINDS, Scene, assemble_scene, build_sheet, join_meshes, triangulate
from tools.heads.shade import Light

_TONGUE_REST = (0.0, -0.14, -0.14)
"""The tongue of a mouth that opens lies lower and further back than the head's own, decimetres."""

_TEETH_SHIFT = {True: (0.0, -0.035, 0.0), False: (0.0, -0.03, -0.06)}
"""The head's bands of teeth end at the line between the lips: upper teeth (True) reach lower, and lower ones lie behind
them and behind the lip, decimetres."""

_LOWEST = 4.3
"""Height on the body, decimetres, below which nothing is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A recipe: macro targets by `origin`, `sex` and `age`; weights of further `targets` and of face `shapes`.

    `opening` are weights of the shapes that open the mouth: without them it is shut. Angles are in degrees; `height`
    is the extent of the picture, decimetres.
    """

    origin: str
    sex: str
    age: str = "young"
    appearance: Appearance
    light: Light
    targets: dict[str, float] = field(default_factory=dict)
    shapes: dict[str, float] = field(default_factory=dict)
    opening: dict[str, float] = field(default_factory=dict)
    long_hair: bool = False
    glasses: bool = False
    yaw: float = 0.0
    pitch: float = 0.0
    height: float = 3.5
    wall: tuple[int, int, int] = (120, 130, 140)


def build_scene(wheel: Wheel, person: Person) -> Scene:
    """The scene of one person."""
    base = wheel.base
    resting = base.vertices
    vertices = resting + sum(weight * wheel.target(name) for name, weight in _target_weights(person).items())
    for name, weight in [*person.shapes.items(), *person.opening.items()]:
        vertices = vertices + weight * wheel.shape(name)
    tongue = base.part("helper-tongue")
    vertices[tongue] += _TONGUE_REST
    hidden = set() if "jawOpen" in person.opening else {"helper-tongue"}  # it pierces shut lips
    shown = set(KINDS) - hidden
    near = (resting[base.quads].mean(1)[:, 1] > _LOWEST) & np.isin(base.groups, list(shown))
    rows = _build_teeth(wheel, vertices) if person.opening else []
    mesh = Mesh(
        vertices=vertices, texture=base.texture, quads=base.quads, corners=base.corners, groups=base.groups
    )
    mesh = mesh.only(near)
    centres = {name: vertices[base.part(f"helper-{name}-eye")].mean(0) for name in "lr"}
    resting_centres = {name: resting[base.part(f"helper-{name}-eye")].mean(0) for name in "lr"}
    fine, places = subdivide(mesh, resting)
    fine = _raise_clothes(fine, places, person.appearance)
    fine, places = join_meshes(fine, places, rows)
    if person.glasses:
        fine, places = join_meshes(fine, places, _build_glasses(centres))
    if person.long_hair:
        fine, places = join_meshes(fine, places, _build_long_hair(fine.vertices[places[:, 1] > 7.3]))
    return assemble_scene(fine, places, resting_centres)


def _build_teeth(wheel: Wheel, vertices: Floats) -> list[Mesh]:
    """Both rows of teeth on the jaws of a head's `vertices`, as large as its jaws."""
    rows = []
    for upper in (True, False):
        band = teeth.biting_edge(wheel.base.vertices, wheel.base, upper=upper)
        scale = float(np.ptp(vertices[band, 0])) / teeth.ADULT_WIDTH
        edge = vertices[band] + scale * np.array(_TEETH_SHIFT[upper])
        rows += teeth.build_teeth_row(edge, upper=upper, scale=scale)
    return rows


def _target_weights(person: Person) -> dict[str, float]:
    macro = {f"macrodetails/{person.origin}-{person.sex}-{person.age}": 1.0,
             f"macrodetails/universal-{person.sex}-{person.age}-averagemuscle-averageweight": 1.0}  # fmt: skip
    return macro | person.targets


def _raise_clothes(mesh: Mesh, places: Floats, looks: Appearance) -> Mesh:
    """The scalp raised by its hair, the cheeks by a beard, the body by a shirt."""
    triangles = triangulate(mesh.quads)
    outward = vertex_normals(mesh.vertices, triangles)
    place = places[:, None]
    hair = (
        0.0 if looks.bald else 0.11 * paint.scalp_share(place) ** 2 * (1 + 0.12 * paint.hair_strands(place))
    )
    thick = (hair + 0.05 * paint.beard_share(place, looks) + 0.06 * paint.shirt_share(place))[:, 0]
    skin = np.zeros(len(places), bool)
    skin[mesh.part("body")] = True
    moved = mesh.vertices + np.where(skin, thick, 0.0)[:, None] * outward
    return Mesh(
        vertices=moved, texture=mesh.texture, quads=mesh.quads, corners=mesh.corners, groups=mesh.groups
    )


def _build_tube(path: Floats, radius: float) -> Mesh:
    """A tube around a path [n, 3]."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, [0.1, 0.2, 1.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(along, side)
    angle = np.linspace(0, 2 * np.pi, 9)[:-1, None, None]
    ring = path + radius * (np.cos(angle) * side + np.sin(angle) * other)
    ring = np.concatenate([ring, ring[:1]])
    return build_sheet(ring.transpose(1, 0, 2), "frame")


def _build_glasses(eyes: dict[str, Floats]) -> list[Mesh]:
    """Two rims before the eyes, a bridge, and arms to the ears."""
    turn = np.linspace(0, 2 * np.pi, 49)
    flat = (
        np.abs(np.cos(turn)) ** 0.8 * np.sign(np.cos(turn)),
        np.abs(np.sin(turn)) ** 0.8 * np.sign(np.sin(turn)),
    )
    parts, front = [], max(eye[2] for eye in eyes.values()) + 0.33
    for sign, eye in ((1, eyes["l"]), (-1, eyes["r"])):
        middle = np.array([eye[0] + 0.02 * sign, eye[1] - 0.03, front])
        rim = middle + np.stack([0.255 * flat[0], 0.195 * flat[1], -0.25 * (0.255 * flat[0]) ** 2], -1)
        parts.append(_build_tube(rim, 0.022))
        hinge = middle + np.array([0.26 * sign, 0.07, -0.02])
        ear = np.array([sign * 0.82, hinge[1] + 0.02, 0.35])
        parts.append(_build_tube(hinge + np.linspace(0, 1, 12)[:, None] * (ear - hinge), 0.02))
    left, right = (eyes[side][0] for side in "lr")
    x = np.linspace(right + 0.24, left - 0.24, 9)
    arch = np.stack([x, eyes["l"][1] + 0.03 + 0.03 * np.cos(x * 12), np.full(9, front)], -1)
    return [*parts, _build_tube(arch, 0.02)]


def _build_long_hair(head: Floats) -> list[Mesh]:
    """Long hair: a sheet around the back and the sides of the head, open at the face, down to the shoulders."""
    top, half, back = head[:, 1].max(), np.abs(head[:, 0]).max(), head[:, 2].min()
    turn = np.linspace(np.radians(40), np.radians(320), 81)
    rows = np.linspace(0, 1, 40)[:, None]
    wide = np.sin(np.pi / 2 * np.clip(rows / 0.3, 0, 1)) ** 0.7 * (1 + 0.14 * np.clip(rows - 0.3, 0, 1))
    wide = wide * (1 - 0.12 * np.clip(rows - 0.2, 0, 1) * (np.cos(turn) > 0.4))
    wave = 0.03 * np.sin(9 * turn + 7 * rows) * rows
    middle = (back + 0.75) / 2
    x = (half + 0.09) * (wide + wave) * np.sin(turn)
    z = middle + (0.75 - back + 0.25) / 2 * (wide + wave) * np.cos(turn) * 1.05
    y = top + 0.1 - 3.0 * rows + 0 * turn
    return [build_sheet(np.stack([x, y, z], -1), "hair")]
