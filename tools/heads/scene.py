"""Meshes put together into what a picture is drawn from."""

from dataclasses import dataclass

import numpy as np
from tools.heads import paint
from tools.heads.mesh import Floats, Ints, Mesh

KINDS = {
    "body": paint.SKIN,
    "helper-l-eye": paint.EYE,
    "helper-r-eye": paint.EYE,
    "hair": paint.HAIR,
    "frame": paint.FRAME,
    "tooth": paint.TOOTH,
    "gum": paint.GUM,
    "helper-tongue": paint.TONGUE,
}
"""What the groups of a mesh are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Vertices [N, 3], their places on the resting head [N, 3], triangles [T, 3] with texture points [T, 3, 2],
    what each is made of [T] (see `paint`), and for eyeballs their centre [T, 3]."""

    vertices: Floats
    places: Floats
    triangles: Ints
    texture: Floats
    kinds: Ints
    centres: Floats


def assemble_scene(mesh: Mesh, places: Floats, eyes: dict[str, Floats]) -> Scene:
    """The scene of a mesh with `places` of its vertices on the resting head; `eyes`: middle of "l" and of "r"."""
    kinds = np.array([KINDS[group] for group in mesh.groups])
    left = places[mesh.quads][:, 0, 0] > 0
    texture = mesh.texture[mesh.corners]
    return Scene(
        vertices=mesh.vertices,
        places=places,
        triangles=triangulate(mesh.quads),
        texture=np.concatenate([texture[:, [0, 1, 2]], texture[:, [0, 2, 3]]]),
        kinds=np.tile(kinds, 2),
        centres=np.tile(np.where(left[:, None], eyes["l"], eyes["r"]), (2, 1)),
    )


def triangulate(quads: Ints) -> Ints:
    """Two triangles for each quad: all first ones, then all second ones."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def build_sheet(points: Floats, group: str, *, flip: bool = False) -> Mesh:
    """Quads between points [rows, columns, 3]; the front is on the left of the first row, seen along it."""
    rows, columns = points.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    quads = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(-1, 4)
    flat = points.reshape(-1, 3)
    return Mesh(vertices=flat, texture=np.zeros((len(flat), 2)), quads=quads[:, ::-1] if flip else quads,
                corners=quads, groups=np.full(len(quads), group))  # fmt: skip


def join_meshes(mesh: Mesh, places: Floats, more: list[Mesh]) -> tuple[Mesh, Floats]:
    """`mesh` and others that rest where they are."""
    whole = [mesh, *more]
    vertices = np.cumsum([0, *(len(part.vertices) for part in whole)])
    texture = np.cumsum([0, *(len(part.texture) for part in whole)])
    return Mesh(
        vertices=np.vstack([part.vertices for part in whole]),
        texture=np.vstack([part.texture for part in whole]),
        quads=np.vstack([part.quads + start for part, start in zip(whole, vertices, strict=False)]),
        corners=np.vstack([part.corners + start for part, start in zip(whole, texture, strict=False)]),
        groups=np.concatenate([part.groups for part in whole]),
    ), np.vstack([places, *(part.vertices for part in more)])
