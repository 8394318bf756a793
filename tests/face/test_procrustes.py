import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveavatar.face.procrustes import fit_similarity

ROTATION = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
ROTATION *= np.linalg.det(ROTATION)


def random_points(seed: int, count: int = 12) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=(count, 3))


@given(st.integers(0, 1000), st.floats(0.01, 100))
@settings(max_examples=30, deadline=None)
def test_a_similarity_is_recovered(seed: int, scale: float) -> None:
    source = random_points(seed)
    target = scale * source @ ROTATION.T + (3, -2, 5)
    fit = fit_similarity(source, target, np.ones(len(source)))
    assert fit.rotation == pytest.approx(ROTATION, abs=1e-9)
    assert fit.scale == pytest.approx(scale)
    assert fit.translation == pytest.approx(np.array([3, -2, 5]), abs=1e-7)
    assert fit.error == pytest.approx(0, abs=1e-12)


def test_points_without_weight_have_no_effect() -> None:
    source = random_points(2)
    target = source @ ROTATION.T
    target[0] += 10
    weights = np.ones(len(source))
    weights[0] = 0
    assert fit_similarity(source, target, weights).rotation == pytest.approx(ROTATION, abs=1e-9)


def test_a_mirrored_target_gives_a_rotation() -> None:
    source = random_points(3)
    fit = fit_similarity(source, source * (-1, 1, 1), np.ones(len(source)))
    assert np.linalg.det(fit.rotation) == pytest.approx(1)
    assert fit.error > 0.01
