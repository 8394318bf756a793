from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.speech.models.quantised_weights import (
    load_packed_weights,
    pack_weights,
    save_packed_weights,
    unpack_weights,
)


@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 1e3))
def test_matrices_are_within_half_a_step_of_their_column(seed: int, size: float) -> None:
    random = np.random.default_rng(seed)
    weight = np.asarray(size * random.normal(size=(6, 4)) * [1, 10, 0, 0.1], np.float32)
    restored = unpack_weights(pack_weights({"a.weight": weight}))["a.weight"]
    steps = np.abs(weight).max(axis=0) / 127
    assert np.all(np.abs(restored - weight) <= 0.501 * steps + 1e-9)


def test_everything_else_has_half_precision() -> None:
    bias = np.linspace(-2, 2, 9, dtype=np.float32)
    packed = pack_weights({"a.bias": bias, "a.weight": np.ones((2, 9), np.float32)})
    assert packed["a.weight"].dtype == np.int8
    np.testing.assert_allclose(unpack_weights(packed)["a.bias"], bias, rtol=1e-3)


def test_saved_weights_are_loaded(tmp_path: Path) -> None:
    weights = {"a.weight": np.eye(3, 2, dtype=np.float32), "a.bias": np.array([0.5, -2], np.float32)}
    save_packed_weights(tmp_path / "deep" / "a.safetensors", weights)
    restored = load_packed_weights(str(tmp_path / "deep" / "a.safetensors"))
    assert set(restored) == set(weights)
    for name, rows in weights.items():
        np.testing.assert_array_equal(restored[name], rows)
