"""Fit the autoencoder of one head: the principal components of every place, in one pass over the training clips.

    python -m training.dit.autoencoder DATA RUN

The components come in closed form: there is nothing to go on from after a kill, and the pass takes a minute. It says
how well clips of voices held out are drawn, and stops with an error where that is too poor to train on.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from training.dit.clips import find_clips, read_array, read_portrait
from training.dit.stage import open_run

from liveavatar.dit.codecs.placed_autoencoder import PLACE_VALUES, PlacedAutoencoder, split_places
from liveavatar.dit.plan.config import PICTURES_PER_LATENT, PlacedConfig
from liveavatar.files import atomic_write

LEAST_PSNR, LEAST_MOUTH_PSNR = 30.0, 28.0
"""Decibels for whole pictures, and for the mouth, on clips of voices held out."""

MOUTH = slice(80, 106), slice(46, 82)
"""Rows and columns of the mouth in a face window of 128x128, with the chin's start."""

GROUPS = 4000
"""Groups of four pictures that the components are fitted to; more change little."""

PORTRAIT_COPIES = 40
"""How often the still portrait counts among them."""

_ITERATIONS, _SPARE_COMPONENTS = 12, 16


@dataclass(slots=True)
class Moments:
    """Sums over groups: their number, values [P, V] and products [P, V, V]."""

    count: int
    values: Tensor
    products: Tensor

    def add_groups(self, groups: Tensor) -> None:
        """Add groups to the sums."""
        self.count += len(groups)
        self.values += groups.sum(0)
        by_place = groups.transpose(0, 1)
        self.products.baddbmm_(by_place.transpose(1, 2), by_place)


def to_video(pictures: np.ndarray) -> Tensor:
    """Pictures [T, H, W, 3] as a video [1, 3, T, H, W] in -1…1."""
    return torch.from_numpy(np.array(pictures)).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def read_groups(folder: Path, names: Sequence[str], count: int) -> Iterator[Tensor]:
    """About `count` groups [N, P, V] of four pictures, spread evenly over the clips."""
    total = sum(len(read_array(folder, name, "pictures")) // PICTURES_PER_LATENT for name in names)
    stride = max(1, total // count)
    for name in names:
        pictures = read_array(folder, name, "pictures")
        groups = pictures.reshape(-1, PICTURES_PER_LATENT, *pictures.shape[1:])[::stride]
        yield split_places(to_video(groups.reshape(-1, *pictures.shape[1:])))[0]
    still = to_video(np.repeat(read_portrait(folder)[None], PICTURES_PER_LATENT, axis=0))
    yield split_places(still)[0].expand(PORTRAIT_COPIES, -1, -1)


@torch.no_grad()
def fit_autoencoder(groups: Iterator[Tensor], config: PlacedConfig) -> PlacedAutoencoder:
    """The autoencoder whose components keep most of the groups' variance."""
    places = config.grid**2
    moments = Moments(0, torch.zeros(places, PLACE_VALUES), torch.zeros(places, PLACE_VALUES, PLACE_VALUES))
    for group in groups:
        moments.add_groups(group)
    autoencoder = PlacedAutoencoder(config)
    autoencoder.mean.copy_(moments.values / moments.count)
    covariance = moments.products / moments.count
    covariance -= autoencoder.mean[:, :, None] * autoencoder.mean[:, None]
    basis, variance = find_components(covariance, config.latent_channels)
    autoencoder.basis.copy_(basis)
    autoencoder.scale.copy_(soften_scale(variance.clamp_min(0).sqrt()))
    return autoencoder


def find_components(covariances: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first principal components [P, V, count] and their variances [P, count], by subspace iteration."""
    random = torch.Generator().manual_seed(0)
    start = torch.randn(covariances.shape[1], count + _SPARE_COMPONENTS, generator=random)
    basis = torch.linalg.qr(covariances @ start).Q
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(covariances @ basis).Q
    variances, turns = torch.linalg.eigh(basis.transpose(1, 2) @ covariances @ basis)
    return (basis @ turns).flip(2)[..., :count], variances.flip(1)[:, :count]


def soften_scale(spreads: Tensor) -> Tensor:
    """What latents are divided by: half of a spread's way, in octaves, to the spread of the liveliest places.

    Divided by their spread, places where nothing happens would be as loud as the mouth; undivided, the mouth would be
    far louder than the noise.
    """
    loudest = spreads.flatten().quantile(0.995)
    return (spreads.clamp_min(1e-3 * float(loudest)) * loudest).sqrt()


@torch.no_grad()
def measure_psnr(autoencoder: PlacedAutoencoder, folder: Path, names: Sequence[str]) -> tuple[float, float]:
    """Decibels for whole pictures and for the mouth."""
    errors = []
    for name in names:
        video = to_video(read_array(folder, name, "pictures"))
        drawn = autoencoder.decode_groups(autoencoder.encode_groups(split_places(video))).clamp(-1, 1)
        error = ((drawn - video) / 2).square()
        errors.append((float(error.mean()), float(error[..., MOUTH[0], MOUTH[1]].mean())))
    whole, mouth = (-10 * np.log10(values) for values in np.mean(errors, axis=0))
    return float(whole), float(mouth)


@torch.no_grad()
def write_latents(autoencoder: PlacedAutoencoder, folder: Path, run: Path, names: Sequence[str]) -> None:
    """The latents [L, T, H/8, W/8] of the clips that have none yet, and those of the portrait's still past."""
    for name in names:
        target = run / f"{name}.latents.npy"
        if not target.exists():
            latents = autoencoder.encode_groups(split_places(to_video(read_array(folder, name, "pictures"))))
            with atomic_write(target) as partial, partial.open("wb") as file:
                np.save(file, latents[0].half().numpy())


def load_autoencoder(path: Path) -> PlacedAutoencoder:
    """What `main` wrote."""
    weights = load_file(path)
    channels, places = weights["basis"].shape[2], weights["basis"].shape[0]
    autoencoder = PlacedAutoencoder(PlacedConfig(grid=round(places**0.5), latent_channels=channels))
    autoencoder.load_state_dict(weights)
    return autoencoder


def main(arguments: list[str] | None = None) -> None:
    """Fit, judge, and encode the clips."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--any-quality", action="store_true", help="go on below the least PSNR")
    options = parser.parse_args(arguments)
    open_run(options.run)
    torch.set_num_threads(options.threads)
    target = options.run / "autoencoder.safetensors"
    names = find_clips(options.data)
    if not target.exists():
        training = [name for name in names if name.startswith("train")]
        side = read_portrait(options.data).shape[0]
        config = PlacedConfig(grid=side // 8, latent_channels=options.channels)
        fitted = fit_autoencoder(read_groups(options.data, training, GROUPS), config)
        with atomic_write(target) as partial:
            save_file({name: part.contiguous() for name, part in fitted.state_dict().items()}, partial)
    autoencoder = load_autoencoder(target)
    held_out = [name for name in names if name.startswith("test")]
    whole, mouth = measure_psnr(autoencoder, options.data, held_out)
    logging.info("voices held out: %.1f dB, mouth %.1f dB", whole, mouth)
    if (whole < LEAST_PSNR or mouth < LEAST_MOUTH_PSNR) and not options.any_quality:
        raise SystemExit(f"below {LEAST_PSNR:.0f} and {LEAST_MOUTH_PSNR:.0f} dB: too poor to train on")
    write_latents(autoencoder, options.data, options.run, names)


if __name__ == "__main__":
    main()
