"""The network, for training: the same few lines as `liveavatar.speech.articulation`, on whole runs, in PyTorch."""

from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray

from liveavatar.speech.articulation import BELL, DILATIONS, FIRST_TAPS, TAPS
from liveavatar.speech.features import BANDS
from liveavatar.speech.track import CONTROLS, VISEMES

WIDTH = 128
Weights = dict[str, Any]
"""Tensors by name."""


def fresh_weights(seed: int) -> Weights:
    """Random weights; the residual branches start small."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"first": (FIRST_TAPS * BANDS, WIDTH), "last": (WIDTH, len(VISEMES) + len(CONTROLS))}
    for i in range(len(DILATIONS)):
        shapes |= {f"wide{i}": (TAPS * WIDTH, WIDTH), f"mix{i}": (WIDTH, WIDTH)}
    weights: Weights = {}
    for name, (inputs, outputs) in shapes.items():
        scale = (0.3 if name.startswith("mix") else 1.0) * (2.0 / inputs) ** 0.5
        weights[f"{name}.weight"] = scale * torch.randn(inputs, outputs, generator=generator)
        weights[f"{name}.bias"] = torch.zeros(outputs)
    return {name: tensor.requires_grad_() for name, tensor in weights.items()}


def forward(weights: Weights, seen_BTD: Any) -> tuple[Any, Any]:  # noqa: N803  (shape suffix)
    """Features [batch, time, 48] to viseme logits [batch, time, 15] and control logits [batch, time, 6]."""
    x = torch.relu(_taps(seen_BTD, FIRST_TAPS, 1) @ weights["first.weight"] + weights["first.bias"])
    for i, dilation in enumerate(DILATIONS):
        y = torch.relu(_taps(x, TAPS, dilation) @ weights[f"wide{i}.weight"] + weights[f"wide{i}.bias"])
        x = x + y @ weights[f"mix{i}.weight"] + weights[f"mix{i}.bias"]
    out = torch.relu(x) @ weights["last.weight"] + weights["last.bias"]
    out = _taps(out, len(BELL), 1).unflatten(-1, (len(BELL), -1)).transpose(-1, -2) @ torch.tensor(BELL)
    return out[..., : len(VISEMES)], out[..., len(VISEMES) :]


def _taps(x_BTD: Any, count: int, dilation: int) -> Any:  # noqa: N803
    """This row and `count - 1` earlier ones, `dilation` apart, oldest first, side by side."""
    padded = torch.nn.functional.pad(x_BTD, (0, 0, (count - 1) * dilation, 0))
    length = x_BTD.shape[1]
    return torch.cat([padded[:, i * dilation : i * dilation + length] for i in range(count)], dim=-1)


def predict(weights: Weights, seen: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Viseme posteriors and controls of a whole recording."""
    with torch.no_grad():
        visemes, controls = forward(weights, torch.from_numpy(seen)[None])
        return torch.softmax(visemes[0], -1).numpy(), torch.sigmoid(controls[0]).numpy()
