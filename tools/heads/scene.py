"""Assemble meshes into a scene."""

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
"""Materials of the groups of a mesh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Triangles of a picture.

    Vertices [N, 3] and their positions on the resting head [N, 3]; triangles [T, 3] with texture points [T, 3, 2],
    materials [T] (see `paint`), and for eyeballs their centres [T, 3].
    """

    vertices: Floats
    places: Floats
    triangles: Ints
    texture: Floats
    kinds: Ints
    centres: Floats


def assemble_scene(mesh: Mesh, places: Floats, eyes: dict[str, Floats]) -> Scene:
    """The scene of a mesh; `places` are its vertices on the resting head, `eyes` the centres of "l" and "r"."""
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
    """Quads between points [rows, columns, 3]; the front is on the left of the first row, in its direction."""
    rows, columns = points.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    quads = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(-1, 4)
    flat = points.reshape(-1, 3)
    return Mesh(vertices=flat, texture=np.zeros((len(flat), 2)), quads=quads[:, ::-1] if flip else quads,
                corners=quads, groups=np.full(len(quads), group))  # fmt: skip


def join_meshes(mesh: Mesh, places: Floats, more: list[Mesh]) -> tuple[Mesh, Floats]:
    """`mesh` and `more` as one mesh, and positions on the resting head; those of `more` are their vertices."""
    meshes = [mesh, *more]
    vertices = np.cumsum([0, *(len(part.vertices) for part in meshes)])
    texture = np.cumsum([0, *(len(part.texture) for part in meshes)])
    return Mesh(
        vertices=np.vstack([part.vertices for part in meshes]),
        texture=np.vstack([part.texture for part in meshes]),
        quads=np.vstack([part.quads + start for part, start in zip(meshes, vertices, strict=False)]),
        corners=np.vstack([part.corners + start for part, start in zip(meshes, texture, strict=False)]),
        groups=np.concatenate([part.groups for part in meshes]),
    ), np.vstack([places, *(part.vertices for part in more)])
