"""How fast the engine `dit` is on this machine, what it takes, and what each saving costs in accuracy.

    python -m benchmarks.dit                          every rung that fits this card, at 704x384 with 4 steps
    python -m benchmarks.dit --rungs 80 --speeds eager auto fp8-kv wavefront
    python -m benchmarks.dit --tiny --device cpu      the same path on any machine, in seconds

Weights are drawn at random, the same for every rung, so nothing is downloaded; the pictures are noise, the work is not.
Errors are against bfloat16, one operation after another, on the same noise and sound (a rung of its own, whose
weights and past lie in host memory as far as they must). Writes a table and JSON beside it.
"""

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from liveavatar.dit import cards
from liveavatar.dit.memory import RUNGS, Job, Plan, Rung, fitted
from liveavatar.dit.models import Models, find_device, make_plan, open_models
from liveavatar.dit.options import DitOptions, Size
from liveavatar.dit.pictures import Still, prepare_still
from liveavatar.dit.session import DitActor, DitSession
from liveavatar.dit.speed import EXACT, SPEEDS, Speed
from liveavatar.dit.stream import LatentStream
from liveavatar.errors import LiveAvatarError

FPS = Fraction(25)
BLOCK = 12
PICTURE = 640
REFERENCE = Rung(name="reference", eight=False, host_rings=True, streams=40)
SIZES: dict[Size, tuple[int, int]] = {"full": (704, 384), "tiny": (128, 64)}


@dataclass(kw_only=True)
class Figures:
    """What was measured for one rung and one speed. Seconds and bytes; errors against the reference."""

    rung: str
    speed: str
    streamed: int
    load: float
    first_cold: float
    first_warm: float
    step: float
    block: float
    decode: float
    fps: float
    latency: float
    peak: int
    predicted: int
    ideal_share: float | None
    latent_error: float | None
    psnr: float | None


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Latents and pictures of the same few blocks."""

    latents: Tensor
    pictures: Tensor


def main() -> None:
    """Measure and write."""
    asked = arguments()
    device = find_device(asked.device)
    preset: Size = "tiny" if asked.tiny else "full"
    base = DitOptions(
        preset=preset,
        random_weights=not asked.tiny,
        sample_steps=asked.steps,
        device=asked.device,
        live=False,
    )
    reference, _ = drawn_on(base, reference_plan(base, device), EXACT, asked.blocks)
    rows = []
    for rung in asked.rungs:
        for speed in asked.speeds:
            try:
                rows.append(measure(replace(base, memory=rung), speed, reference, asked.blocks))
            except LiveAvatarError as error:
                print(f"{rung} {speed}: left out, {error}")
                continue
            print(line(rows[-1]), flush=True)
    write(rows, asked.output, device)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="the tiny preset")
    parser.add_argument("--rungs", nargs="*", default=[rung.name for rung in RUNGS])
    parser.add_argument("--speeds", nargs="*", default=["eager", "auto"], choices=SPEEDS)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--blocks", type=int, default=8, help="blocks to draw for each figure")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/dit"), help="without an ending")
    return parser.parse_args()


def reference_plan(options: DitOptions, device: torch.device) -> Plan:
    """Bfloat16 on this card, with as much in host memory as it takes."""
    job = Job(stream=options.stream())
    if device.type != "cuda":
        return Plan(rung=RUNGS[0], streamed=0, memory=job.memory(RUNGS[0], 0))
    free, _ = torch.cuda.mem_get_info(device)
    return fitted(REFERENCE, int(0.9 * free), job) or Plan(
        rung=REFERENCE, streamed=REFERENCE.streams, memory=job.memory(REFERENCE, REFERENCE.streams)
    )


def measure(options: DitOptions, speed: str, reference: Drawn, blocks: int) -> Figures:
    """All figures of one rung at one speed."""
    device = find_device(options.place)
    options = replace(options, speed=speed)
    plan = make_plan(options, device)
    with peak_of(device) as peak:
        began = now(device)
        models = open_models(options, plan)
        load = now(device) - began
        began = now(device)
        still = still_of(models, options)
        prepared = now(device) - began
        first_cold = prepared + first_frame(models, options, still)
        first_warm = first_frame(models, options, still)
        frames, latency = session_figures(models, options, still, blocks)
        own, times = drawn_by(models, options, still, blocks)
    step = statistics.median(times.blocks) / options.sample_steps
    figures = Figures(
        rung=plan.rung.name, speed=speed, streamed=plan.streamed, load=load, first_cold=first_cold,
        first_warm=first_warm, step=step, block=statistics.median(times.blocks),
        decode=statistics.median(times.decodes), fps=frames, latency=latency, peak=peak(),
        predicted=plan.memory.total, ideal_share=share_of_ideal(step, plan, options, device),
        latent_error=float((own.latents - reference.latents).norm() / reference.latents.norm()),
        psnr=psnr(own.pictures, reference.pictures),
    )  # fmt: skip
    del models, still
    let_go(device)
    return figures


@dataclass(frozen=True)
class Times:
    """Seconds of each block once the ring is full, and of decoding each."""

    blocks: list[float]
    decodes: list[float]


def drawn_on(options: DitOptions, plan: Plan, speed: Speed, blocks: int) -> tuple[Drawn, Times]:
    """A few blocks on this plan."""
    models = open_models(replace(options, speed=speed), plan)
    result = drawn_by(models, options, still_of(models, options), blocks)
    del models
    let_go(find_device(options.place))
    return result


@torch.no_grad()
def still_of(models: Models, options: DitOptions) -> Still:
    """A portrait of noise, the same for all."""
    width, height = SIZES[options.preset]
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return models.kept(prepare_still(models.dit, models.vae, picture.to(models.prompt.device), models.prompt))


@torch.no_grad()
def drawn_by(models: Models, options: DitOptions, still: Still, blocks: int) -> tuple[Drawn, Times]:
    """Blocks drawn and decoded one after another: what came of it, and how long it took."""
    device = models.prompt.device
    graphs = bool(models.speed.graphs)
    stream = LatentStream(models.dit, still.scene, options.stream(), 0, models.rings, graphs=graphs)
    decoder, latents, pictures, times = still.decoder.fork(), [], [], Times([], [])
    config = models.dit.config
    for block in range(blocks):
        generator = torch.Generator().manual_seed(block)
        heard = torch.randn(1, config.audio_layers, config.audio_dim, BLOCK, generator=generator).to(device)
        began = now(device)
        latent = list(stream.draw(block, heard))[-1]
        drawn = now(device)
        video = decoder.push(latent)
        times.blocks.append(drawn - began)
        times.decodes.append(now(device) - drawn)
        latents.append(latent.float().cpu())
        pictures.append(video[:, :, ::4].half().cpu())
    full = min(options.stream().clip_blocks, blocks - 1)
    return Drawn(latents=torch.cat(latents, 2), pictures=torch.cat(pictures, 2)), Times(
        times.blocks[full:], times.decodes[full:]
    )


def session_of(models: Models, options: DitOptions, still: Still) -> DitSession:
    """A conversation, or a recording where speed needs one."""
    size = SIZES[options.preset]
    heard = replace(options, live=not models.speed.wavefront)
    return DitActor(models=models, options=heard, still=still, drawn=size, size=size).session(FPS, 0)


def first_frame(models: Models, options: DitOptions, still: Still) -> float:
    """Seconds until the first frame is there, all sound being there."""
    began = now(models.prompt.device)
    session = session_of(models, options, still)
    session.push(noise(BLOCK * (options.sample_steps + 1)))
    session.flush()
    next(session.frames())
    return now(models.prompt.device) - began


def session_figures(models: Models, options: DitOptions, still: Still, blocks: int) -> tuple[float, float]:
    """Frames a second from sound to bytes, once the ring is full, and the seconds a block takes to appear."""
    session = session_of(models, options, still)
    session.push(noise(BLOCK * blocks))
    session.flush()
    marks = [now(models.prompt.device) for frame in session.frames() if frame.pts % BLOCK == 0]
    skip = min(options.stream().clip_blocks, len(marks) - 2)
    gaps = np.diff(marks[skip:])
    return BLOCK * len(gaps) / float(gaps.sum()), float(np.median(gaps))


def noise(frames: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """As much sound."""
    return 0.1 * np.random.default_rng(0).standard_normal(frames * PICTURE, np.float32)


def share_of_ideal(step: float, plan: Plan, options: DitOptions, device: torch.device) -> float | None:
    """What the data sheet's rates would take, over what it took; None for an unknown card."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    card = cards.known_card(name) or cards.measured_card(
        name, torch.cuda.get_device_properties(device).total_memory
    )
    if card is None:
        return None
    return cards.SHARE * cards.forecast(card, plan, options.stream(), SIZES["full"]).compute / step


def psnr(actual: Tensor, expected: Tensor) -> float | None:
    """Decibels between pictures in -1…1; None where they are the same."""
    error = float((actual.float() - expected.float()).square().mean())
    return 10 * float(np.log10(4 / error)) if error else None


def now(device: torch.device) -> float:
    """The time at which everything asked so far is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def peak_of(device: torch.device) -> Iterator[Callable[[], int]]:
    """The most memory that PyTorch took of the device within."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: torch.cuda.max_memory_reserved(device)
    else:
        yield lambda: 0


def let_go(device: torch.device) -> None:
    """Give memory back to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


HEADER = (
    "| rung | speed | streamed | load s | first frame cold s | warm s | step ms | block ms | decode ms | fps "
    "| latency ms | peak GB | predicted GB | of ideal | latents off by | PSNR dB |\n" + "| --- " * 16 + "|"
)


def line(row: Figures) -> str:
    """One row of the table."""
    cells = [
        row.rung, row.speed, str(row.streamed), f"{row.load:.1f}", f"{row.first_cold:.2f}", f"{row.first_warm:.2f}",
        *(f"{1000 * value:.0f}" for value in (row.step, row.block, row.decode)), f"{row.fps:.2f}",
        f"{1000 * row.latency:.0f}", f"{row.peak / 1e9:.1f}" if row.peak else "-", f"{row.predicted / 1e9:.1f}",
        "-" if row.ideal_share is None else f"{100 * row.ideal_share:.0f} %",
        f"{row.latent_error:.2g}", "same" if row.psnr is None else f"{row.psnr:.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def write(rows: list[Figures], output: Path, device: torch.device) -> None:
    """The table, and the same as JSON."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    table = "\n".join([f"{name}, PyTorch {torch.__version__}", "", HEADER, *map(line, rows), ""])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".md").write_text(table, encoding="utf-8")
    output.with_suffix(".json").write_text(
        json.dumps(
            {"device": name, "torch": torch.__version__, "rows": [asdict(row) for row in rows]}, indent=1
        ),
        encoding="utf-8",
    )
    print(table)


if __name__ == "__main__":
    main()
