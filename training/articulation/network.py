"""The network, for training: the same few lines as `liveavatar.speech.articulation`, on whole runs, in PyTorch."""

from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from training.articulation.lesson import MOVED, SAID, SOUNDED, Floats
from training.articulation.phones import SIGNS

from liveavatar.speech.articulation import BELL, DELAY, DILATIONS, PAIR, TAPS
from liveavatar.speech.features import BANDS, SILENT
from liveavatar.speech.track import CONTROLS, VISEMES

WIDTH = 192
Weights = dict[str, Any]
"""Tensors by name."""

TEACHING = "sounds"
"""The layer that is only there to learn with; it is not shipped."""


def fresh_weights(seed: int) -> Weights:
    """Random weights; the residual branches start small."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "first": (TAPS * PAIR * BANDS, WIDTH),
        "last": (WIDTH, PAIR * (len(VISEMES) + len(CONTROLS))),
        TEACHING: (WIDTH, PAIR * len(SIGNS)),
    }
    for i in range(len(DILATIONS)):
        shapes |= {f"wide{i}": (TAPS * WIDTH, WIDTH), f"mix{i}": (WIDTH, WIDTH)}
    weights: Weights = {}
    for name, (inputs, outputs) in shapes.items():
        scale = (0.3 if name.startswith("mix") else 1.0) * (2.0 / inputs) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(inputs, outputs, generator=generator)
        weights[f"{name}.bias"] = torch.zeros(outputs)
    return {name: tensor.requires_grad_() for name, tensor in weights.items()}


def understand(weights: Weights, seen_BTD: Any) -> Any:  # noqa: N803  (shape suffix)
    """Features [batch, time, 48] to what the last layers read, [batch, time / 2, WIDTH]."""
    x = seen_BTD.unflatten(1, (-1, PAIR)).flatten(2)
    x = torch.relu(_taps(x, 1) @ weights["first.weight"] + weights["first.bias"])
    for i, dilation in enumerate(DILATIONS):
        y = torch.relu(_taps(x, dilation) @ weights[f"wide{i}.weight"] + weights[f"wide{i}.bias"])
        x = x + y @ weights[f"mix{i}.weight"] + weights[f"mix{i}.bias"]
    return torch.relu(x)


def say(weights: Weights, name: str, understood: Any) -> Any:
    """The layer `name` at every step, smoothed, [batch, time, …]."""
    out = understood @ weights[f"{name}.weight"] + weights[f"{name}.bias"]
    steps = out.unflatten(2, (PAIR, -1)).flatten(1, 2).float()
    padded = torch.nn.functional.pad(steps, (0, 0, len(BELL) - 1, 0))
    return sum(share * padded[:, i : i + steps.shape[1]] for i, share in enumerate(BELL))


def _taps(x_BTD: Any, dilation: int) -> Any:  # noqa: N803
    """This row and the earlier ones, `dilation` apart, oldest first, side by side."""
    padded = torch.nn.functional.pad(x_BTD, (0, 0, (TAPS - 1) * dilation, 0))
    length = x_BTD.shape[1]
    return torch.cat([padded[:, i * dilation : i * dilation + length] for i in range(TAPS)], dim=-1)


def predict(weights: Weights, seen: Floats) -> Floats:
    """Probabilities of visemes, controls, and probabilities of sounds, [steps, COLUMNS], of a whole recording."""
    before, after = 2 * PAIR * sum(DILATIONS) + 1, DELAY + 1 - len(seen) % 2
    padded = np.pad(seen, ((before, after), (0, 0)), constant_values=SILENT)
    kept = slice(before + DELAY, before + DELAY + len(seen))
    with torch.no_grad():
        understood = understand(weights, torch.from_numpy(padded)[None])
        return likely(torch.cat([say(weights, name, understood)[0, kept] for name in ("last", TEACHING)], -1))


def likely(said: Any) -> Floats:
    """Logits [steps, COLUMNS] to probabilities and controls."""
    visemes, controls, sounds = said[:, SAID], said[:, MOVED], said[:, SOUNDED]
    return np.asarray(
        torch.cat(
            [torch.softmax(visemes, -1), torch.sigmoid(controls), torch.softmax(sounds, -1)], -1
        ).numpy()
    )
