import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar.speech import articulation
from liveavatar.speech.articulation import BELL, BLOCK, DILATIONS, FIRST_TAPS, PAST, TAPS, ArticulationStream
from liveavatar.speech.features import BANDS, SILENT

Rows = NDArray[np.float32]


def taps(rows: Rows, count: int, dilation: int) -> Rows:
    """The definition: each row beside earlier ones, oldest first, silence before the first."""
    reach = (count - 1) * dilation
    padded = np.concatenate([np.zeros((reach, rows.shape[1]), np.float32), rows])
    return np.concatenate([padded[i * dilation : i * dilation + len(rows)] for i in range(count)], axis=1)


def forward(seen: Rows) -> Rows:
    weights = articulation.load_weights()

    def layer(name: str, rows: Rows) -> Rows:
        return np.asarray(rows @ weights[f"{name}.weight"] + weights[f"{name}.bias"], np.float32)

    x = np.maximum(layer("first", taps(seen, FIRST_TAPS, 1)), 0)
    for i, dilation in enumerate(DILATIONS):
        x = x + layer(f"mix{i}", np.maximum(layer(f"wide{i}", taps(x, TAPS, dilation)), 0))
    out = taps(layer("last", np.maximum(x, 0)), len(BELL), 1).reshape(len(seen), len(BELL), -1)
    return np.asarray(np.einsum("tbc,b->tc", out, np.array(BELL)), np.float32)


def random_rows(count: int) -> Rows:
    return np.random.default_rng(0).uniform(-1.2, 1.0, (count, BANDS)).astype(np.float32)


def test_the_stream_computes_what_the_definition_says() -> None:
    seen = random_rows(20 * BLOCK)
    stream = ArticulationStream()
    parts = [stream.push(seen[i : i + BLOCK], 0) for i in range(0, len(seen), BLOCK)]
    before = np.full((2 * PAST, BANDS), SILENT, np.float32)
    logits = forward(np.concatenate([before, seen]))[len(before) :]
    np.testing.assert_allclose(
        np.concatenate([v for v, _ in parts]), articulation.softmax(logits[:, :15]), atol=1e-5
    )
    expected = articulation.settle_closure(articulation.sigmoid(logits[:, 15:]))
    np.testing.assert_allclose(np.concatenate([c for _, c in parts]), expected, atol=1e-5)


@pytest.mark.parametrize("piece", [1, 3, 5, 7])
def test_pieces_of_a_block_give_the_same_bits_as_the_block(piece: int) -> None:
    seen = random_rows(6 * BLOCK)
    whole, pieces = ArticulationStream(), ArticulationStream()
    for start in range(0, len(seen), BLOCK):
        block = seen[start : start + BLOCK]
        expected = whole.push(block, 0)
        runs = [pieces.push(block[at : at + piece], at) for at in range(0, BLOCK, piece)]
        for column in (0, 1):
            np.testing.assert_array_equal(np.concatenate([run[column] for run in runs]), expected[column])


def test_all_layers_together_reach_no_further_back_than_the_silence_before_the_first_sound() -> None:
    reach = FIRST_TAPS - 1 + (TAPS - 1) * sum(DILATIONS) + len(BELL) - 1
    assert reach <= PAST
    assert PAST % BLOCK == 0


def test_weights_are_shared_and_small() -> None:
    weights = articulation.load_weights()
    assert articulation.load_weights() is weights
    assert sum(weight.size for weight in weights.values()) * 2 < 2_000_000
