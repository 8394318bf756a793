"""The face rig: its table, its fit to a portrait, and the closing of open mouths."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.face.portrait import Landmarks
from liveavatar.mesh.geometry.arrays import Array
from liveavatar.mesh.geometry.face_landmarks import (
    CHIN_LANDMARK,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    OUTER_MOUTH_CORNERS,
)
from liveavatar.mesh.geometry.rig import (
    RIGID_LANDMARK_WEIGHTS,
    STRETCH_LIMITS,
    FaceRig,
    fit_rig_pose,
    load_rig,
    project_shapes,
    rig_misfit,
)

UPPER, LOWER = list(INNER_UPPER_LIP[1:-1]), list(INNER_LOWER_LIP[1:-1])
MIDDLE = slice(3, 6)  # of the nine inner lip points
FACE_TURNS = st.tuples(*[st.floats(-0.5, 0.5)] * 3)


def rig_landmarks(
    turn: tuple[float, ...] = (0, 0, 0),
    scale: float = 100,
    depth: float = 1,
    offset: Array | None = None,
) -> Landmarks:
    """The rig's own head as landmarks of a picture; `offset` [478, 3] changes its features, in rig units."""
    rotation = cv2.Rodrigues(np.array(turn, float))[0]
    points = load_rig().neutral + (0 if offset is None else offset)
    landmarks = scale * points @ rotation.T + (320, 240, 7)
    return (landmarks / (1, 1, depth)).astype(np.float32)


def open_jaw(weight: float) -> Array:
    rig = load_rig()
    return np.asarray(weight * rig.deltas[rig.shape_index("jawOpen")])


def shape_deltas(name: str) -> Array:
    rig = load_rig()
    return np.asarray(rig.deltas[rig.shape_index(name)])


def other_side(name: str) -> str:
    left, right = name.removesuffix("Left"), name.removesuffix("Right")
    return f"{left}Right" if left != name else f"{right}Left" if right != name else name


def displacements(rig: FaceRig, landmarks: Landmarks, name: str) -> Array:
    return np.asarray(project_shapes(landmarks, rig, fit_rig_pose(landmarks))[rig.shape_index(name)])


def test_the_unit_is_the_distance_of_the_outer_eye_corners() -> None:
    neutral = load_rig().neutral
    assert neutral.shape == (478, 3)
    assert np.linalg.norm(neutral[263] - neutral[33]) == pytest.approx(1, abs=1e-5)
    assert neutral[[33, 263]].mean(axis=0) == pytest.approx(0, abs=1e-5)


def test_axes_are_those_of_landmarks() -> None:
    neutral = load_rig().neutral
    assert neutral[263, 0] > 0.4 > -0.4 > neutral[33, 0]
    assert neutral[10, 1] < 0 < neutral[CHIN_LANDMARK, 1]
    assert neutral[1, 2] < neutral[234, 2], "the nose is nearer than the ears"


def test_the_rig_is_symmetric() -> None:
    rig, flip = load_rig(), np.array([-1, 1, 1])
    assert (rig.mirror[rig.mirror] == np.arange(478)).all()
    assert rig.neutral == pytest.approx(rig.neutral[rig.mirror] * flip, abs=1e-6)
    for name in rig.names:
        assert shape_deltas(name) == pytest.approx(
            shape_deltas(other_side(name))[rig.mirror] * flip, abs=3e-5
        ), name


@pytest.mark.parametrize("name", ["eyeBlink", "browDown", "mouthSmile", "noseSneer", "cheekSquint"])
def test_the_left_is_on_the_right_of_the_picture(name: str) -> None:
    size = np.linalg.norm(shape_deltas(f"{name}Left"), axis=1)
    assert (size * load_rig().neutral[:, 0]).sum() / size.sum() > 0.1


def test_the_jaw_moves_the_lower_lip_only() -> None:
    down = shape_deltas("jawOpen")[:, 1]
    assert down[LOWER][MIDDLE].min() > 0.3
    assert np.abs(down[UPPER][MIDDLE]).max() < 0.03
    assert 0.1 < down[list(OUTER_MOUTH_CORNERS)].mean() < 0.25
    assert down[CHIN_LANDMARK] > 0.2
    assert np.abs(shape_deltas("jawOpen")[list(RIGID_LANDMARK_WEIGHTS[3.0])]).max() < 0.01


def test_lip_fields_are_smooth_along_the_lips() -> None:
    for row in (INNER_UPPER_LIP, INNER_LOWER_LIP):
        down = shape_deltas("jawOpen")[list(row), 1]
        assert max(abs(b - a) for a, b in pairwise(down)) < 0.11


@pytest.mark.parametrize(
    ("name", "sign"), [("mouthPucker", -1), ("mouthFunnel", -1), ("mouthStretch", 1), ("mouthSmile", 1)]
)
def test_width_of_the_mouth(name: str, sign: int) -> None:
    delta = (
        shape_deltas(name)
        if name in load_rig().names
        else shape_deltas(f"{name}Left") + shape_deltas(f"{name}Right")
    )
    right, left = delta[list(OUTER_MOUTH_CORNERS), 0]
    assert sign * (left - right) > 0.05


def test_mouth_close_undoes_the_gap_of_the_jaw() -> None:
    both = shape_deltas("jawOpen") + shape_deltas("mouthClose")
    gap = (both[LOWER] - both[UPPER])[MIDDLE, 1]
    assert np.abs(gap).max() < 0.02


def test_teeth_lie_behind_the_lips() -> None:
    mouth = load_rig().mouth
    for edge in (mouth.upper_teeth, mouth.lower_teeth):
        assert (np.diff(edge[:, 0]) > 0).all()
        assert 0.6 < edge[-1, 0] - edge[0, 0] < 1
        assert (edge[:, 2] > 0.1).all()
    assert mouth.lower_teeth[8, 1] >= mouth.upper_teeth[8, 1]
    assert mouth.lower_teeth_open[8, 1] == pytest.approx(shape_deltas("jawOpen")[14, 1], abs=0.1)
    assert mouth.tongue[0, 2] < mouth.tongue[1, 2], "the tip is in front of the crest"


@given(FACE_TURNS, st.floats(20, 400), st.sampled_from([0.8, 1.0, 1.2, 1.4]))
@settings(max_examples=30, deadline=None)
def test_a_pose_is_recovered(turn: tuple[float, float, float], scale: float, depth: float) -> None:
    pose = fit_rig_pose(rig_landmarks(turn, scale, depth))
    assert pose.rotation == pytest.approx(cv2.Rodrigues(np.array(turn))[0], abs=2e-3)
    assert pose.scale == pytest.approx(scale, rel=2e-3)
    assert pose.depth == pytest.approx(depth, abs=1e-6)
    assert pose.to_head(rig_landmarks(turn, scale, depth)) == pytest.approx(load_rig().neutral, abs=5e-3)


def test_the_pose_does_not_depend_on_the_mouth() -> None:
    quiet, loud = fit_rig_pose(rig_landmarks()), fit_rig_pose(rig_landmarks(offset=open_jaw(0.6)))
    assert loud.rotation == pytest.approx(quiet.rotation, abs=0.02)
    assert loud.scale == pytest.approx(quiet.scale, rel=0.01)


@given(FACE_TURNS, st.floats(20, 400))
@settings(max_examples=20, deadline=None)
def test_the_misfit_does_not_depend_on_pose_or_size(turn: tuple[float, float, float], scale: float) -> None:
    pear = np.zeros((478, 3), np.float32)
    pear[:, 0] = (
        0.3 * load_rig().neutral[:, 0] * (load_rig().neutral[:, 1] > 0.4)
    )  # cheeks and jaw of a troll
    own, laughing, troll = (rig_landmarks(turn, scale, offset=part) for part in (None, open_jaw(0.3), pear))
    plain, laugh, odd = (
        rig_misfit(landmarks, fit_rig_pose(landmarks)) for landmarks in (own, laughing, troll)
    )
    assert plain < 0.005
    assert laugh < 0.06 < odd


@given(st.floats(-0.8, 0.8), st.floats(0.3, 3))
@settings(max_examples=20, deadline=None)
def test_displacements_turn_and_grow_with_the_head(roll: float, size: float) -> None:
    rig = load_rig()
    upright = displacements(rig, rig_landmarks(), "jawOpen")
    rolled = displacements(rig, rig_landmarks((0, 0, roll), 100 * size), "jawOpen")
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    assert rolled == pytest.approx(size * upright @ turn.T, abs=0.3 * size)


def test_the_rigs_own_face_moves_by_the_table() -> None:
    rig, landmarks = load_rig(), rig_landmarks()
    moves = project_shapes(landmarks, rig, fit_rig_pose(landmarks))
    assert moves.shape == (len(rig.names), 478, 2)
    for name in ("jawOpen", "mouthPucker", "browInnerUp", "mouthRollUpper"):
        assert moves[rig.shape_index(name)] == pytest.approx(100 * shape_deltas(name)[:, :2], abs=0.1)


def test_a_pucker_moves_sideways_in_a_turned_head() -> None:
    """Lips that come forward move sideways in the picture once the head is turned."""
    rig = load_rig()
    aside = displacements(rig, rig_landmarks((0, 0.6, 0)), "mouthPucker")[0, 0]
    assert abs(aside) > 3 > abs(displacements(rig, rig_landmarks(), "mouthPucker")[0, 0])


def test_a_wide_mouth_moves_wider_and_a_long_jaw_drops_lower() -> None:
    rig = load_rig()
    near_mouth = np.exp(-(((rig.neutral[:, 1] - 0.82) / 0.2) ** 2))[:, None]
    wide = near_mouth * rig.neutral * (0.2, 0, 0)
    usual, wider = (displacements(rig, rig_landmarks(offset=o), "mouthPucker") for o in (None, wide))
    assert wider[61, 0] == pytest.approx(1.2 * usual[61, 0], rel=0.02)
    long = np.zeros_like(rig.neutral)
    long[CHIN_LANDMARK, 1] = 0.2
    assert (
        displacements(rig, rig_landmarks(offset=long), "jawOpen")[14, 1]
        > 1.2 * displacements(rig, rig_landmarks(), "jawOpen")[14, 1]
    )


def test_proportions_are_limited() -> None:
    rig = load_rig()
    far = np.zeros_like(rig.neutral)
    far[[61, 291], 0] = (-3, 3)
    usual = displacements(rig, rig_landmarks(), "mouthPucker")[0:17, 0]
    assert np.abs(displacements(rig, rig_landmarks(offset=far), "mouthPucker")[0:17, 0]) == pytest.approx(
        STRETCH_LIMITS[1] * np.abs(usual), abs=0.2
    )
