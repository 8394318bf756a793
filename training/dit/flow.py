"""Train the transformer by flow matching on clips of a few blocks, each clip at one noise level.

    python -m training.dit.flow DATA AUTOENCODER_RUN RUN --steps 20000

A run that was killed goes on from its last checkpoint; the numbers are those of a run that was not. A finished run goes
on if it is given more steps. `average` in the checkpoint is what is used: the running average of the weights.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from training.dit.autoencoder import load_autoencoder, to_video
from training.dit.clip_pass import ClipInputs, matrix_attention, predict_velocity
from training.dit.clips import find_clips, read_array, read_portrait
from training.dit.initialise import build_transformer
from training.dit.losses import add_noise, draw_sigmas, measure_velocity_error, weigh_places
from training.dit.stage import RunFolder, open_run
from training.dit.trainer import TrainingOptions, train_model

from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import DitConfig
from liveavatar.dit.plan.presets import SMALL_TRANSFORMER
from liveavatar.dit.streaming.video import STILL_PAST_PICTURES

BLOCK_LATENTS, BLOCK_STEPS = 3, 24
STEPS_PER_LATENT = 8
"""Steps of audio features, 50 a second, in a latent frame."""

_START_SHARE = 0.2
"""Share of batches whose clips begin where their stream begins."""

_RENEWED_SHARE = 0.3
"""Share of batches whose portrait is a drawn picture, as after the first clip of a stream."""

_LATEST_BLOCK = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOptions:
    """Clips in a batch, their blocks, and whether products are in bfloat16."""

    training: TrainingOptions
    batch: int = 16
    blocks: int = 2
    half: bool = True


@dataclass(frozen=True, slots=True)
class LatentClips:
    """Latents [C, T, H, W] and standardised features [2·4·T, 96] of the training clips, and what all share."""

    latents: Sequence[Tensor]
    features: Sequence[Tensor]
    past: Tensor
    place_weights: Tensor
    prompt_width: int = SMALL_TRANSFORMER.text_dim

    def draw_batch(self, options: FlowOptions, random: torch.Generator) -> tuple[Tensor, ClipInputs]:
        """Clean clips [B, C, T, H, W], and what they are drawn from."""
        begins = float(torch.rand(1, generator=random)) < _START_SHARE
        drawn = [self._draw_clip(options.blocks, random, begins=begins) for _ in range(options.batch)]
        renewed = float(torch.rand(1, generator=random)) < _RENEWED_SHARE
        first = self.latents[_draw_number(0, len(self.latents) - 1, random)][:, :1]
        inputs = ClipInputs(
            features=torch.stack([features for _, features in drawn]),
            portrait=first[None] if renewed else self.past[:, :, :1],
            past=self.past,
            prompt=torch.zeros(1, self.prompt_width),
            start=0 if begins else _draw_start(random),
            distance=_draw_number(4, 30, random),
        )
        return torch.stack([latent for latent, _ in drawn]), inputs

    def _draw_clip(self, blocks: int, random: torch.Generator, *, begins: bool) -> tuple[Tensor, Tensor]:
        clip = _draw_number(0, len(self.latents) - 1, random)
        frames = BLOCK_LATENTS * blocks
        last = self.latents[clip].shape[1] - frames
        first = 0 if begins else _draw_number(0, last, random)
        features = self.features[clip][STEPS_PER_LATENT * first : STEPS_PER_LATENT * (first + frames) : 2]
        by_block = torch.unflatten(features, 0, (blocks, -1)).transpose(1, 2)[:, None]
        return self.latents[clip][:, first : first + frames], by_block


def _draw_number(first: int, last: int, random: torch.Generator) -> int:
    return int(torch.randint(first, last + 1, (1,), generator=random))


def _draw_start(random: torch.Generator) -> int:
    """A block's number, near the start of a stream or far from it."""
    return int(_LATEST_BLOCK ** float(torch.rand(1, generator=random)))


def read_clips(
    data: Path, autoencoder_run: Path, blocks: int, normaliser: "FeatureNormaliser"
) -> LatentClips:
    """All training clips of `blocks` blocks or more."""
    autoencoder = load_autoencoder(autoencoder_run / "autoencoder.safetensors")
    still = to_video(np.repeat(read_portrait(data)[None], STILL_PAST_PICTURES, axis=0))
    latents, features = [], []
    for name in find_clips(data):
        file = autoencoder_run / f"{name}.latents.npy"
        if name.startswith("train") and file.exists():
            latent = torch.from_numpy(np.load(file)).float()
            if latent.shape[1] >= BLOCK_LATENTS * blocks:
                latents.append(latent)
                features.append(normaliser.normalise(read_array(data, name, "features")))
    weights = weigh_places(autoencoder.scale, autoencoder.grid)
    return LatentClips(latents, features, autoencoder.encode(still), weights)


@dataclass(frozen=True, slots=True)
class FeatureNormaliser:
    """Mean and spread of every channel of the audio features, [96] each."""

    mean: Tensor
    spread: Tensor

    @classmethod
    def measure(cls, data: Path) -> "FeatureNormaliser":
        """That of the training clips."""
        names = [name for name in find_clips(data) if name.startswith("train")]
        every = np.concatenate([np.asarray(read_array(data, name, "features"), np.float32) for name in names])
        spread = torch.from_numpy(every.std(0)).clamp_min(1e-3)
        return cls(torch.from_numpy(every.mean(0)), spread)

    def normalise(self, features: np.ndarray) -> Tensor:
        """Features [n, 96] with mean 0 and spread 1."""
        return (torch.from_numpy(np.asarray(features, np.float32)) - self.mean) / self.spread


def measure_flow_loss(
    model: DiT, clips: LatentClips, options: FlowOptions, random: torch.Generator
) -> Tensor:
    """The loss of every clip of a random batch [B], weighted by place."""
    latents, inputs = clips.draw_batch(options, random)
    sigmas = draw_sigmas(len(latents), random)
    noise = torch.randn(latents.shape, generator=random)
    with torch.autocast("cpu", torch.bfloat16, enabled=options.half):
        velocity = predict_velocity(model, add_noise(latents, noise, sigmas), sigmas.tolist(), inputs)
    return measure_velocity_error(velocity, latents, noise, clips.place_weights)


def train_flow(config: DitConfig, clips: LatentClips, run: RunFolder, options: FlowOptions) -> nn.Module:
    """Train, or go on; returns the running average of the weights."""
    model = build_transformer(config, options.training.seed)
    model.attention_kernel = matrix_attention
    return train_model(
        model, lambda random: measure_flow_loss(model, clips, options, random).mean(), run, options.training
    )


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """The options that all stages with gradients have."""
    defaults = TrainingOptions()
    parser.add_argument("data", type=Path)
    parser.add_argument("autoencoder_run", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--rate", type=float, default=defaults.rate)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)


def read_training_options(options: argparse.Namespace) -> FlowOptions:
    """What was given on the command line."""
    training = TrainingOptions(steps=options.steps, rate=options.rate)
    return FlowOptions(training=training, batch=options.batch, blocks=options.blocks)


def main(arguments: list[str] | None = None) -> None:
    """Train on all clips that have latents."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_training_options(parser)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    run = open_run(options.run)
    normaliser = FeatureNormaliser.measure(options.data)
    clips = read_clips(options.data, options.autoencoder_run, options.blocks, normaliser)
    train_flow(SMALL_TRANSFORMER, clips, run, read_training_options(options))


if __name__ == "__main__":
    main()
