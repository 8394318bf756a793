"""Train the network.

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

from liveavatar.audio.analysis.sample_rate_features import BAND_COUNT

BATCH = 32
Data = tuple[NDArray[np.float16], NDArray[np.float32]]


def read_data(paths: list[Path]) -> Data:
    """What `training.rate.dataset` made; recordings without a single look are left out."""
    parts = [np.load(path) for path in paths]
    looks = np.concatenate([part["looks"] for part in parts])
    speeds = np.concatenate([part["speeds"] for part in parts])
    heard = ~np.isnan(looks[:, 0, 0, 0])
    return looks[heard], speeds[heard]


def make_batch(segments: NDArray[np.float16], random: np.random.Generator | None) -> tuple[Tensor, Tensor]:
    """Looks in a row [m, STEPS, WIDTH], and whose they are [n, looks]; in training one, some or all of each."""
    heard = ~np.isnan(segments[:, :, 0, 0])
    if random is not None:
        keep = random.integers(1, segments.shape[1] + 1, (len(segments), 1))
        heard &= random.random(heard.shape).argsort(1).argsort(1) < keep
        heard[~heard.any(1), 0] = True
    return torch.from_numpy(segments[heard]).float(), torch.from_numpy(heard)


def compute_logits(net: RateNet, segments: Tensor, is_present: Tensor) -> Tensor:
    """Logits of a batch."""
    said = torch.zeros(*is_present.shape, net.look.out_features)
    said[is_present] = net.embed(segments)
    return net.classify(said, is_present.float())


def jitter_spectra(segments: Tensor, counts: Tensor, random: np.random.Generator) -> Tensor:
    """Spectra through another microphone, one a recording: louder, tilted, wavy, some without treble."""
    n, bands = len(counts), np.linspace(-1.0, 1.0, BAND_COUNT)
    gain = random.normal(0, 0.15, (n, 1)) + random.normal(0, 0.15, (n, 1)) * bands
    for _ in range(2):
        waves = np.cos(random.uniform(1, 6, (n, 1)) * bands + random.uniform(0, 6.28, (n, 1)))
        gain += random.normal(0, 0.1, (n, 1)) * waves
    edge = np.where(random.random((n, 1)) < 0.15, random.uniform(0.1, 1.0, (n, 1)), 2.0)
    gain -= np.clip(20.0 * (bands - edge), 0.0, 3.0)
    each = torch.from_numpy(gain.astype(np.float32)).repeat_interleave(counts, 0)[:, None]
    spectra = (segments[..., : 2 * BAND_COUNT] + each.repeat(1, 1, 2)).clamp(-2.0, 1.5)
    return torch.cat([spectra, segments[..., 2 * BAND_COUNT :]], -1)


def evaluate(net: RateNet, data: Data) -> str:
    """Loss, and how far off the mean answer is in log-speed."""
    net.eval()
    with torch.no_grad():
        logits = torch.cat(
            [compute_logits(net, *make_batch(data[0][i : i + 64], None)) for i in range(0, len(data[0]), 64)]
        )
    wanted = make_soft_targets(torch.from_numpy(data[1]))
    loss = float(torch.nn.functional.cross_entropy(logits, wanted))
    told = ~np.isnan(data[1])
    bins = np.linspace(-2, 2, 81)
    off = np.abs(bins[logits.argmax(1).numpy()] - data[1])[told]
    return f"dev loss {loss:.3f}, off by {np.median(off):.3f} median, {np.mean(off > 0.15):.1%} beyond 0.15"


def train_network(net: RateNet, data: Data, dev: Data, epochs: int, seed: int) -> None:
    """Adam with one cycle of the learning rate."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.02)
    steps = epochs * (len(data[0]) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2.5e-3, total_steps=steps, pct_start=0.2)
    for epoch in range(epochs):
        net.train()
        order = random.permutation(len(data[0]))[: len(data[0]) // BATCH * BATCH].reshape(-1, BATCH)
        total = 0.0
        for chosen in order:
            looks, heard = make_batch(data[0][chosen], random)
            logits = compute_logits(net, jitter_spectra(looks, heard.sum(1), random), heard)
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
    """Train and keep the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--dev", type=Path, nargs="+", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--start", type=Path, help="weights to go on from")
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
