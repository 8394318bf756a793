# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Distil the four steps: causal consistency along the teacher's path (Consistency Models, arXiv 2303.01469).

    python -m training.dit.distil DATA AUTOENCODER_RUN RUN --teacher FLOW_RUN

From a noisy clip the teacher takes one step to the next of the four levels. What the student makes of the clip at the
first level, in one step to the end, should be what it makes itself of the teacher's clip at the next; at the last
level, which is nearly clean, it is the teacher's clip. One pass over a clip stands for the rings, so no rollout is
needed. In float32: differences between neighbouring levels are small.

Shapes: B clips, C channels, T latent frames, H rows, W columns.
"""

import argparse
import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from training.dit.clip_pass import ClipInputs, matrix_attention, predict_velocity
from training.dit.flow import (
    FeatureNormaliser,
    FlowOptions,
    LatentClips,
    add_training_options,
    read_clips,
    read_training_options,
)
from training.dit.initialise import build_transformer
from training.dit.losses import FEW_STEPS, add_noise
from training.dit.stage import RunFolder, open_run
from training.dit.trainer import train_model

from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.presets import SMALL_TRANSFORMER
from liveavatar.dit.streaming.scheduler import compute_sigmas

_LEVELS = compute_sigmas(FEW_STEPS)[:-1]
"""1, 0.86, 0.6 and nearly 0: the last step changes next to nothing."""


def predict_clean(model: DiT, noisy_BCTHW: Tensor, level: int, clips: ClipInputs) -> Tensor:
    """The clean clips at the end of a straight path from this level."""
    sigma = _LEVELS[level]
    velocity = predict_velocity(model, noisy_BCTHW, [sigma] * len(noisy_BCTHW), clips)
    return noisy_BCTHW - sigma * velocity


def measure_consistency(
    student: DiT, teacher: DiT, clips: LatentClips, options: FlowOptions, random: torch.Generator
) -> Tensor:
    """Weighted mean square distance between neighbouring levels' clean clips, in a batch at one random level."""
    latents, inputs = clips.draw_batch(options, random)
    noise = torch.randn(latents.shape, generator=random)
    level = int(torch.randint(0, FEW_STEPS - 1, (1,), generator=random))
    sigma, next_sigma = _LEVELS[level : level + 2]
    noisy = add_noise(latents, noise, torch.full((len(latents),), sigma))
    with torch.no_grad():
        path_end = predict_clean(teacher, noisy, level, inputs)
        nearer = path_end + next_sigma * (noisy - path_end) / sigma
        wanted = nearer if level == FEW_STEPS - 2 else predict_clean(student, nearer, level + 1, inputs)
    error = (predict_clean(student, noisy, level, inputs) - wanted).square()
    return (error * clips.place_weights[:, None]).mean()


def distil_model(teacher: DiT, clips: LatentClips, run: RunFolder, options: FlowOptions) -> nn.Module:
    """Distil, or go on; returns the running average of the student's weights."""
    student = copy.deepcopy(teacher).requires_grad_(True)
    return train_model(
        student,
        lambda random: measure_consistency(student, teacher, clips, options, random),
        run,
        options.training,
    )


def load_teacher(run: Path) -> DiT:
    """The running average of a run of flow matching."""
    state = open_run(run).load_checkpoint()
    if state is None:
        raise SystemExit(f"{run} has no checkpoint")
    teacher = build_transformer(SMALL_TRANSFORMER)
    teacher.load_state_dict(state["average"])
    teacher.attention_kernel = matrix_attention
    return teacher.requires_grad_(False)


def main(arguments: list[str] | None = None) -> None:
    """Distil on all clips that have latents."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_training_options(parser)
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the run of flow matching")
    parser.set_defaults(steps=400, rate=1e-4)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    run = open_run(options.run)
    normaliser = FeatureNormaliser.measure(options.data)
    clips = read_clips(options.data, options.autoencoder_run, options.blocks, normaliser)
    chosen = replace(read_training_options(options), half=False)
    distil_model(load_teacher(options.teacher), clips, run, chosen)


if __name__ == "__main__":
    main()
