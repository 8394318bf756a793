import numpy as np

from liveavatar.face.canonical import load_canonical_face


def test_the_face_looks_at_the_camera_with_the_chin_down() -> None:
    face = load_canonical_face()
    nose, chin, hairline = face.vertices[1], face.vertices[152], face.vertices[10]
    assert nose[2] < face.vertices[:, 2].min() + 0.2
    assert chin[1] > nose[1] > hairline[1]
    assert face.vertices.shape == (468, 3)


def test_triangles_use_every_vertex_and_only_those() -> None:
    face = load_canonical_face()
    assert face.triangles.shape == (898, 3)
    assert np.unique(face.triangles).tolist() == list(range(468))


def test_every_vertex_has_its_place_in_the_texture() -> None:
    face = load_canonical_face()
    assert face.uv.shape == (468, 2)
    assert 0 <= face.uv.min() < face.uv.max() <= 1


def test_mirroring_twice_changes_nothing() -> None:
    mirror = load_canonical_face().mirror_indices
    assert mirror[mirror].tolist() == list(range(478))


def test_mirrored_vertices_lie_on_the_other_side() -> None:
    face = load_canonical_face()
    flipped = face.vertices[face.mirror_indices[:468]] * (-1, 1, 1)
    assert np.abs(flipped - face.vertices).max() < 1e-3
    assert face.mirror_indices[[33, 61, 159, 468]].tolist() == [263, 291, 386, 473]


def test_rigid_points_avoid_the_mouth() -> None:
    rigidity = load_canonical_face().rigidity
    assert rigidity.sum() > 0
    assert rigidity[[13, 14, 17, 152]].tolist() == [0, 0, 0, 0]
