"""The network in PyTorch, for training: `liveavatar.speech.models.articulation` on whole sequences."""

from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from torch.nn import functional  # type: ignore[import-not-found, unused-ignore]
from training.articulation.dataset import append_noise_floor, make_features
from training.articulation.examples import CONTROL_COLUMNS, SOUND_COLUMNS, VISEME_COLUMNS, Floats
from training.articulation.phones import IPA_SIGNS

from liveavatar.speech.features import MEL_BANDS, make_initial_context
from liveavatar.speech.models.articulation import (
    DELAY_STEPS,
    DILATIONS,
    INPUT_TAPS,
    PAIR_STEPS,
    RECEPTIVE_FIELD_PAIRS,
    SMOOTHING_KERNEL,
    TAPS,
)
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, VISEMES

WIDTH, INNER_WIDTH = 256, 512
"""Channels between layers, and inside each residual layer."""

Weights = dict[str, Any]
"""Tensors by name."""

AUXILIARY_LAYER = "sounds"
"""The output layer of IPA sounds, an auxiliary task of training; it is not shipped."""

RESIDUAL_SCALE = 0.3
"""Initial scale of residual branches, relative to other layers."""


def init_weights(seed: int) -> Weights:
    """Draw random weights; the taps of each channel begin near the identity."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "first": (INPUT_TAPS * PAIR_STEPS * MEL_BANDS, WIDTH),
        "around": (2 * MEL_BANDS, WIDTH),
        "last": (WIDTH, PAIR_STEPS * (len(VISEMES) + len(CONTROLS))),
        AUXILIARY_LAYER: (WIDTH, PAIR_STEPS * len(IPA_SIGNS)),
    }
    for i in range(len(DILATIONS)):
        shapes |= {f"wide{i}": (WIDTH, INNER_WIDTH), f"mix{i}": (INNER_WIDTH, WIDTH)}
    weights: Weights = {}
    for name, (inputs, outputs) in shapes.items():
        scale = (RESIDUAL_SCALE if name.startswith("mix") else 1.0) * (2.0 / inputs) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(inputs, outputs, generator=generator)
        if name != "around":
            weights[f"{name}.bias"] = torch.zeros(outputs)
    for i in range(len(DILATIONS)):
        weights[f"taps{i}"] = 0.3 * torch.randn(TAPS, WIDTH, generator=generator)
        weights[f"taps{i}"][-1] += 0.7
    return {name: tensor.requires_grad_() for name, tensor in weights.items()}


def encode_features(weights: Weights, features_BTD: Any) -> Any:  # noqa: N803  (shape suffix)
    """Features with noise floor [batch, time, 144] to the input of the output layers, [batch, time / 2, WIDTH]."""
    pairs = features_BTD[..., :MEL_BANDS].unflatten(1, (-1, PAIR_STEPS)).flatten(2)
    padded = functional.pad(pairs, (0, 0, INPUT_TAPS - 1, 0))
    taps = torch.cat([padded[:, i : i + pairs.shape[1]] for i in range(INPUT_TAPS)], dim=-1)
    noise_floor = features_BTD[:, PAIR_STEPS - 1 :: PAIR_STEPS, MEL_BANDS:]
    x = torch.relu(
        taps @ weights["first.weight"] + noise_floor @ weights["around.weight"] + weights["first.bias"]
    )
    for i, dilation in enumerate(DILATIONS):
        y = _apply_affine(weights, f"wide{i}", _convolve_channels(x, weights[f"taps{i}"], dilation))
        x = x + _apply_affine(weights, f"mix{i}", torch.relu(y))
    return torch.relu(x)


def _apply_affine(weights: Weights, name: str, x: Any) -> Any:
    out = torch.addmm(weights[f"{name}.bias"], x.flatten(0, 1), weights[f"{name}.weight"])
    return out.reshape(*x.shape[:2], -1)


def _convolve_channels(x_BTD: Any, taps: Any, dilation: int) -> Any:  # noqa: N803
    """Causal depthwise convolution over rows `dilation` apart; the oldest tap comes first."""
    padded = functional.pad(x_BTD.transpose(1, 2), ((TAPS - 1) * dilation, 0))
    return functional.conv1d(padded, taps.T[:, None], groups=taps.shape[1], dilation=dilation).transpose(1, 2)


def compute_logits(weights: Weights, name: str, encoded: Any) -> Any:
    """Logits of the output layer `name`, smoothed over steps, [batch, time, columns]."""
    out = encoded @ weights[f"{name}.weight"] + weights[f"{name}.bias"]
    steps = out.unflatten(2, (PAIR_STEPS, -1)).flatten(1, 2).float()
    padded = functional.pad(steps, (0, 0, len(SMOOTHING_KERNEL) - 1, 0))
    return sum(share * padded[:, i : i + steps.shape[1]] for i, share in enumerate(SMOOTHING_KERNEL))


def predict(weights: Weights, samples: Floats) -> Floats:
    """Predict a whole recording, [steps, COLUMN_COUNT], with the same values as a stream."""
    steps = -(-len(samples) // STEP_SAMPLES)
    features = make_features(np.pad(samples, (0, (DELAY_STEPS + 1 + steps % PAIR_STEPS) * STEP_SAMPLES)))
    past = make_initial_context(features[:1], PAIR_STEPS * RECEPTIVE_FIELD_PAIRS)
    padded = np.concatenate([past, append_noise_floor(np.concatenate([features[:1], features]))])
    output_steps = slice(
        PAIR_STEPS * RECEPTIVE_FIELD_PAIRS + 1 + DELAY_STEPS,
        PAIR_STEPS * RECEPTIVE_FIELD_PAIRS + 1 + DELAY_STEPS + steps,
    )
    with torch.no_grad():
        encoded = encode_features(weights, torch.from_numpy(padded)[None])
        return to_probabilities(
            torch.cat(
                [
                    compute_logits(weights, name, encoded)[0, output_steps]
                    for name in ("last", AUXILIARY_LAYER)
                ],
                -1,
            )
        )


def to_probabilities(logits: Any) -> Floats:
    """Logits [steps, COLUMN_COUNT] to probabilities and controls."""
    visemes, controls, sounds = (
        logits[:, VISEME_COLUMNS],
        logits[:, CONTROL_COLUMNS],
        logits[:, SOUND_COLUMNS],
    )
    return np.asarray(
        torch.cat(
            [torch.softmax(visemes, -1), torch.sigmoid(controls), torch.softmax(sounds, -1)], -1
        ).numpy()
    )
