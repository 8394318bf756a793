"""The network, for training: the same few lines as `liveavatar.speech.articulation`, on whole runs, in PyTorch."""

from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from torch.nn import functional  # type: ignore[import-not-found, unused-ignore]
from training.articulation.dataset import make_features, with_surroundings
from training.articulation.lesson import MOVED, SAID, SOUNDED, Floats
from training.articulation.phones import SIGNS

from liveavatar.speech.articulation import BELL, DELAY, DILATIONS, HEARD, PAIR, PAST, TAPS
from liveavatar.speech.features import BANDS, before
from liveavatar.speech.track import CONTROLS, STEP, VISEMES

WIDTH, WIDE = 256, 512
"""Channels between layers, and inside each."""

Weights = dict[str, Any]
"""Tensors by name."""

TEACHING = "sounds"
"""The layer that is only there to learn with; it is not shipped."""

SMALL = 0.3
"""How much of a usual layer's scale the residual branches begin with."""


def fresh_weights(seed: int) -> Weights:
    """Random weights; a channel's own course begins as mostly its present."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "first": (HEARD * PAIR * BANDS, WIDTH),
        "around": (2 * BANDS, WIDTH),
        "last": (WIDTH, PAIR * (len(VISEMES) + len(CONTROLS))),
        TEACHING: (WIDTH, PAIR * len(SIGNS)),
    }
    for i in range(len(DILATIONS)):
        shapes |= {f"wide{i}": (WIDTH, WIDE), f"mix{i}": (WIDE, WIDTH)}
    weights: Weights = {}
    for name, (inputs, outputs) in shapes.items():
        scale = (SMALL if name.startswith("mix") else 1.0) * (2.0 / inputs) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(inputs, outputs, generator=generator)
        if name != "around":
            weights[f"{name}.bias"] = torch.zeros(outputs)
    for i in range(len(DILATIONS)):
        weights[f"taps{i}"] = 0.3 * torch.randn(TAPS, WIDTH, generator=generator)
        weights[f"taps{i}"][-1] += 0.7
    return {name: tensor.requires_grad_() for name, tensor in weights.items()}


def understand(weights: Weights, seen_BTD: Any) -> Any:  # noqa: N803  (shape suffix)
    """Features and surroundings [batch, time, 144] to what the last layers read, [batch, time / 2, WIDTH]."""
    pairs = seen_BTD[..., :BANDS].unflatten(1, (-1, PAIR)).flatten(2)
    padded = functional.pad(pairs, (0, 0, HEARD - 1, 0))
    heard = torch.cat([padded[:, i : i + pairs.shape[1]] for i in range(HEARD)], dim=-1)
    around = seen_BTD[:, PAIR - 1 :: PAIR, BANDS:]
    x = torch.relu(
        heard @ weights["first.weight"] + around @ weights["around.weight"] + weights["first.bias"]
    )
    for i, dilation in enumerate(DILATIONS):
        y = _affine(weights, f"wide{i}", _course(x, weights[f"taps{i}"], dilation))
        x = x + _affine(weights, f"mix{i}", torch.relu(y))
    return torch.relu(x)


def _affine(weights: Weights, name: str, x: Any) -> Any:
    out = torch.addmm(weights[f"{name}.bias"], x.flatten(0, 1), weights[f"{name}.weight"])
    return out.reshape(*x.shape[:2], -1)


def _course(x_BTD: Any, taps: Any, dilation: int) -> Any:  # noqa: N803
    """Each channel's own course over this row and earlier ones, `dilation` apart, oldest first."""
    padded = functional.pad(x_BTD.transpose(1, 2), ((TAPS - 1) * dilation, 0))
    return functional.conv1d(padded, taps.T[:, None], groups=taps.shape[1], dilation=dilation).transpose(1, 2)


def say(weights: Weights, name: str, understood: Any) -> Any:
    """The layer `name` at every step, smoothed, [batch, time, …]."""
    out = understood @ weights[f"{name}.weight"] + weights[f"{name}.bias"]
    steps = out.unflatten(2, (PAIR, -1)).flatten(1, 2).float()
    padded = functional.pad(steps, (0, 0, len(BELL) - 1, 0))
    return sum(share * padded[:, i : i + steps.shape[1]] for i, share in enumerate(BELL))


def predict(weights: Weights, samples: Floats) -> Floats:
    """Probabilities of visemes, controls, and probabilities of sounds, [steps, COLUMNS], of a whole recording, as a
    stream would say them."""
    steps = -(-len(samples) // STEP)
    seen = make_features(np.pad(samples, (0, (DELAY + 1 + steps % PAIR) * STEP)))
    past = before(seen[:1], PAIR * PAST)
    padded = np.concatenate([past, with_surroundings(np.concatenate([seen[:1], seen]))])
    kept = slice(PAIR * PAST + 1 + DELAY, PAIR * PAST + 1 + DELAY + steps)
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
