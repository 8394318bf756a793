from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load

from liveavatar.speech.features import MEL_BANDS, QUIET_RELATIVE_MEL, NoiseFloorTracker, make_initial_context
from liveavatar.speech.models import articulation
from liveavatar.speech.models.articulation import (
    APPROACH_GAIN,
    CLOSURE_CONTEXT_STEPS,
    CLOSURE_THRESHOLDS,
    DILATIONS,
    INPUT_TAPS,
    MIN_PROBABILITY,
    PAIR_STEPS,
    RECEPTIVE_FIELD_PAIRS,
    SMOOTHING_KERNEL,
    TAPS,
    ClosureClassifier,
    SmallArticulationModel,
)
from liveavatar.speech.track import CONTROLS, VISEMES

Rows = NDArray[np.float32]


def stack_earlier_rows(rows: Rows, taps: int, dilation: int) -> Rows:
    """The definition: each row behind earlier ones, oldest first, nothing before the first, [n, taps, width]."""
    reach = (taps - 1) * dilation
    padded = np.concatenate([np.zeros((reach, rows.shape[1]), np.float32), rows])
    return np.stack([padded[i * dilation : i * dilation + len(rows)] for i in range(taps)], axis=1)


def forward(mel: Rows, floor_and_mean: Rows) -> Rows:
    weights = articulation.load_articulation_weights()

    def layer(name: str, rows: Rows) -> Rows:
        return np.asarray(rows @ weights[f"{name}.weight"] + weights[f"{name}.bias"], np.float32)

    pairs = stack_earlier_rows(mel.reshape(-1, PAIR_STEPS * MEL_BANDS), INPUT_TAPS, 1).reshape(
        len(mel) // PAIR_STEPS, -1
    )
    x = np.maximum(layer("first", pairs) + floor_and_mean[1::2] @ weights["around.weight"], 0)
    for i, dilation in enumerate(DILATIONS):
        course = np.einsum("nkw,kw->nw", stack_earlier_rows(x, TAPS, dilation), weights[f"taps{i}"])
        x = x + layer(f"mix{i}", np.maximum(layer(f"wide{i}", course), 0))
    out = layer("last", np.maximum(x, 0)).reshape(len(mel), -1)
    padded = np.concatenate([np.zeros((len(SMOOTHING_KERNEL) - 1, out.shape[1]), np.float32), out])
    return np.asarray(
        sum(share * padded[i : i + len(out)] for i, share in enumerate(SMOOTHING_KERNEL)), np.float32
    )


def random_rows(count: int) -> Rows:
    return np.random.default_rng(0).uniform(-1.2, 1.0, (count, MEL_BANDS)).astype(np.float32)


def test_the_stream_follows_the_definition() -> None:
    mel = random_rows(160)
    visemes, controls = SmallArticulationModel().push(mel)
    floor_and_mean = NoiseFloorTracker().track_bands(mel)
    context = make_initial_context(mel[:1], 2 * PAIR_STEPS * RECEPTIVE_FIELD_PAIRS)
    logits = forward(
        np.concatenate([context[:, :MEL_BANDS], mel]),
        np.concatenate([context[:, MEL_BANDS:], floor_and_mean]),
    )[len(context) :]
    expected = ClosureClassifier().refine_controls(articulation.logits_to_probabilities(logits))
    np.testing.assert_allclose(visemes, expected[0], atol=1e-5)
    np.testing.assert_allclose(controls, expected[1], atol=1e-5)


@pytest.mark.parametrize(
    ("silence", "jaw", "expected"),
    [
        (0.75, 0.06, 0.0),  # only doubt
        (0.96, 0.3, 0.29),  # opening for the next sound
        (0.3, 0.1, 0.1),  # speech
    ],
)
def test_doubt_of_silence_does_not_open_the_jaw(silence: float, jaw: float, expected: float) -> None:
    visemes = np.zeros((1, len(VISEMES)), np.float32)
    visemes[0, VISEMES.index("sil")] = silence
    assert articulation.close_silent_jaw(visemes, np.array([jaw], np.float32)) == pytest.approx(
        expected, abs=1e-6
    )


@pytest.mark.parametrize("piece", [2, 6, 10, 100])
def test_chunks_do_not_change_a_bit(piece: int) -> None:
    mel, stream = random_rows(200), SmallArticulationModel()
    expected = SmallArticulationModel().push(mel)
    runs = [stream.push(mel[at : at + piece]) for at in range(0, len(mel), piece)]
    for column in (0, 1):
        np.testing.assert_array_equal(np.concatenate([run[column] for run in runs]), expected[column])


def test_the_first_step_stands_for_the_time_before_it() -> None:
    """More of the same before it changes nothing."""
    fresh, continued = SmallArticulationModel(), SmallArticulationModel()
    noise = np.minimum(random_rows(2), QUIET_RELATIVE_MEL)
    continued.push(np.repeat(noise[:1], PAIR_STEPS * RECEPTIVE_FIELD_PAIRS, axis=0))
    np.testing.assert_array_equal(fresh.push(noise)[0], continued.push(noise)[0])


def test_the_initial_context_is_quiet() -> None:
    context = make_initial_context(np.linspace(-2, 1.5, MEL_BANDS, dtype=np.float32)[None], 5)
    assert context.shape == (5, 3 * MEL_BANDS)
    assert context.max() == np.float32(QUIET_RELATIVE_MEL)
    np.testing.assert_array_equal(context[:, :MEL_BANDS], context[:, MEL_BANDS : 2 * MEL_BANDS])


def test_weights_are_shared_and_small() -> None:
    assert articulation.load_articulation_weights() is articulation.load_articulation_weights()
    asset = (files("liveavatar.speech") / "assets" / "articulation.safetensors").read_bytes()
    assert sum(rows.nbytes for rows in load(asset).values()) <= 2_000_000


def test_closure_comes_from_the_odds_of_the_last_steps() -> None:
    probabilities = (
        np.random.default_rng(1).uniform(0, 1, (30, len(VISEMES) + len(CONTROLS))).astype(np.float32)
    )
    weights = articulation.load_articulation_weights()
    limited = np.clip(probabilities, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    odds = stack_earlier_rows(np.log(limited / (1 - limited)), CLOSURE_CONTEXT_STEPS, 1)[
        CLOSURE_CONTEXT_STEPS - 1 :
    ].reshape(30 - CLOSURE_CONTEXT_STEPS + 1, -1)
    probability = 1 / (1 + np.exp(-(odds @ weights["lips.weight"][:, 0] + weights["lips.bias"])))
    low, high = CLOSURE_THRESHOLDS
    t = np.clip((probability - low) / (high - low), 0, 1)
    approach = (
        APPROACH_GAIN * probabilities[CLOSURE_CONTEXT_STEPS - 1 :, len(VISEMES) + CONTROLS.index("closure")]
    )
    closure = ClosureClassifier().refine_controls(probabilities)[1][:, CONTROLS.index("closure")]
    np.testing.assert_allclose(
        closure[CLOSURE_CONTEXT_STEPS - 1 :], np.maximum(approach, t**2 * (3 - 2 * t)), atol=1e-4
    )
    assert 0 < closure.mean() < 1


def test_the_first_step_stands_for_the_odds_before_it() -> None:
    probabilities = np.full((8, len(VISEMES) + len(CONTROLS)), 0.3, np.float32)
    closure = ClosureClassifier().refine_controls(probabilities)[1][:, CONTROLS.index("closure")]
    np.testing.assert_array_equal(closure, closure[0])
