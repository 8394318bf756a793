"""Trains the network of the sample rate.

python -m training.rate.train TRAIN.npz… --dev DEV.npz -o src/liveavatar/audio/assets/rate.npz
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray
from torch import Tensor  # type: ignore[import-not-found, unused-ignore]
from training.rate.network import RateNet, export_weights, load_weights, make_soft_targets

from liveavatar.audio.analysis.sample_rate import LOG_SPEEDS
from liveavatar.audio.analysis.sample_rate_features import BAND_COUNT

BATCH = 32
Data = tuple[NDArray[np.float16], NDArray[np.float32]]


def read_data(paths: list[Path]) -> Data:
    """Segments and log speeds of data sets by `training.rate.dataset`, without recordings that have no segment."""
    parts = [np.load(path) for path in paths]
    segments = np.concatenate([part["looks"] for part in parts])
    speeds = np.concatenate([part["speeds"] for part in parts])
    is_present = ~np.isnan(segments[:, 0, 0, 0])
    return segments[is_present], speeds[is_present]


def make_batch(segments: NDArray[np.float16], random: np.random.Generator | None) -> tuple[Tensor, Tensor]:
    """Present segments [m, STEP_COUNT, FEATURE_COUNT] and their mask [n, segments].

    With `random`, a random part of the segments of each recording.
    """
    is_present = ~np.isnan(segments[:, :, 0, 0])
    if random is not None:
        keep = random.integers(1, segments.shape[1] + 1, (len(segments), 1))
        is_present &= random.random(is_present.shape).argsort(1).argsort(1) < keep
        is_present[~is_present.any(1), 0] = True
    return torch.from_numpy(segments[is_present]).float(), torch.from_numpy(is_present)


def compute_logits(net: RateNet, segments: Tensor, is_present: Tensor) -> Tensor:
    """Logits of a batch, [n, 81]."""
    embeddings = torch.zeros(*is_present.shape, net.look.out_features)
    embeddings[is_present] = net.embed(segments)
    return net.classify(embeddings, is_present.float())


def jitter_spectra(segments: Tensor, counts: Tensor, random: np.random.Generator) -> Tensor:
    """Another random frequency response for each recording: gain, tilt, ripples and, for some, no treble."""
    n, bands = len(counts), np.linspace(-1.0, 1.0, BAND_COUNT)
    gain = random.normal(0, 0.15, (n, 1)) + random.normal(0, 0.15, (n, 1)) * bands
    for _ in range(2):
        ripples = np.cos(random.uniform(1, 6, (n, 1)) * bands + random.uniform(0, 6.28, (n, 1)))
        gain += random.normal(0, 0.1, (n, 1)) * ripples
    edge = np.where(random.random((n, 1)) < 0.15, random.uniform(0.1, 1.0, (n, 1)), 2.0)
    gain -= np.clip(20.0 * (bands - edge), 0.0, 3.0)
    each = torch.from_numpy(gain.astype(np.float32)).repeat_interleave(counts, 0)[:, None]
    spectra = (segments[..., : 2 * BAND_COUNT] + each.repeat(1, 1, 2)).clamp(-2.0, 1.5)
    return torch.cat([spectra, segments[..., 2 * BAND_COUNT :]], -1)


def evaluate(net: RateNet, data: Data) -> str:
    """Loss, and the error of the likeliest speed in log speed, as text."""
    net.eval()
    with torch.no_grad():
        logits = torch.cat(
            [compute_logits(net, *make_batch(data[0][i : i + 64], None)) for i in range(0, len(data[0]), 64)]
        )
    targets = make_soft_targets(torch.from_numpy(data[1]))
    loss = float(torch.nn.functional.cross_entropy(logits, targets))
    errors = np.abs(LOG_SPEEDS[logits.argmax(1).numpy()] - data[1])[~np.isnan(data[1])]
    return f"dev loss {loss:.3f}, off by {np.median(errors):.3f} median, {np.mean(errors > 0.15):.1%} beyond 0.15"


def train_network(net: RateNet, data: Data, dev: Data, epochs: int, seed: int) -> None:
    """AdamW with one cycle of the learning rate."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02)
    steps = epochs * (len(data[0]) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2.5e-3, total_steps=steps, pct_start=0.2)
    for epoch in range(epochs):
        net.train()
        order = random.permutation(len(data[0]))[: len(data[0]) // BATCH * BATCH].reshape(-1, BATCH)
        total = 0.0
        for chosen in order:
            segments, mask = make_batch(data[0][chosen], random)
            logits = compute_logits(net, jitter_spectra(segments, mask.sum(1), random), mask)
            loss = torch.nn.functional.cross_entropy(
                logits, make_soft_targets(torch.from_numpy(data[1][chosen]))
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}: loss {total / len(order):.3f}, {evaluate(net, dev)}", flush=True)


def main() -> None:
    """Train and write the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--dev", type=Path, nargs="+", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    net = RateNet()
    if options.start:
        load_weights(net, options.start)
    train_network(net, read_data(options.data), read_data(options.dev), options.epochs, options.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = dict(export_weights(net))
    np.savez_compressed(options.out, **arrays)


if __name__ == "__main__":
    main()
