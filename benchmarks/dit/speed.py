"""How fast the engine `dit` is on this machine, what it takes, and what each saving costs in accuracy.

    python -m benchmarks.dit.speed                          every rung that fits this card, at 704x384 with 4 steps
    python -m benchmarks.dit.speed --rungs 80 --speeds eager auto fp8-kv wavefront
    python -m benchmarks.dit.speed --tiny --device cpu      the same path on any machine, in seconds

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

from liveavatar.dit.loader import DitModels, find_device, open_models, plan_device_memory
from liveavatar.dit.plan import cards
from liveavatar.dit.plan.memory import (
    MEMORY_PROFILES,
    MemoryPlan,
    MemoryProfile,
    Workload,
    fit_memory_profile,
)
from liveavatar.dit.plan.options import DitOptions, PresetName
from liveavatar.dit.plan.speed import EXACT_SPEED, SPEED_PRESETS, SpeedOptions
from liveavatar.dit.session import DitActor, DitSession
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.video import PreparedPortrait, encode_portrait
from liveavatar.errors import LiveAvatarError

FPS = Fraction(25)
BLOCK = 12
PICTURE = 640
REFERENCE = MemoryProfile(name="reference", eight_bit_weights=False, host_cache=True, max_offloaded_blocks=40)
SIZES: dict[PresetName, tuple[int, int]] = {"full": (704, 384), "tiny": (128, 64)}


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
class BlockOutputs:
    """Latents and pictures of the same few blocks."""

    latents: Tensor
    pictures: Tensor


def main() -> None:
    """Measure and write."""
    asked = arguments()
    device = find_device(asked.device)
    preset: PresetName = "tiny" if asked.tiny else "full"
    base = DitOptions(
        preset=preset,
        random_weights=not asked.tiny,
        sample_steps=asked.steps,
        device=asked.device,
        live=False,
    )
    reference, _ = render_on_plan(base, reference_plan(base, device), EXACT_SPEED, asked.blocks)
    rows = []
    for rung in asked.rungs:
        for speed in asked.speeds:
            try:
                rows.append(measure(replace(base, memory=rung), speed, reference, asked.blocks))
            except LiveAvatarError as error:
                print(f"{rung} {speed}: left out, {error}")
                continue
            print(format_row(rows[-1]), flush=True)
    write_results(rows, asked.output, device)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="the tiny preset")
    parser.add_argument("--rungs", nargs="*", default=[rung.name for rung in MEMORY_PROFILES])
    parser.add_argument("--speeds", nargs="*", default=["eager", "auto"], choices=SPEED_PRESETS)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--blocks", type=int, default=8, help="blocks to draw for each figure")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/dit"), help="without an ending")
    return parser.parse_args()


def reference_plan(options: DitOptions, device: torch.device) -> MemoryPlan:
    """Bfloat16 on this card, with as much in host memory as it takes."""
    job = Workload(stream=options.to_stream_config())
    if device.type != "cuda":
        return MemoryPlan(
            profile=MEMORY_PROFILES[0],
            offloaded_blocks=0,
            estimate=job.estimate_memory(MEMORY_PROFILES[0], 0),
        )
    free, _ = torch.cuda.mem_get_info(device)
    return fit_memory_profile(REFERENCE, int(0.9 * free), job) or MemoryPlan(
        profile=REFERENCE,
        offloaded_blocks=REFERENCE.max_offloaded_blocks,
        estimate=job.estimate_memory(REFERENCE, REFERENCE.max_offloaded_blocks),
    )


def measure(options: DitOptions, speed: str, reference: BlockOutputs, blocks: int) -> Figures:
    """All figures of one rung at one speed."""
    device = find_device(options.device_name)
    options = replace(options, speed=speed)
    plan = plan_device_memory(options, device)
    with track_peak_memory(device) as peak:
        began = synchronised_time(device)
        models = open_models(options, plan)
        load = synchronised_time(device) - began
        began = synchronised_time(device)
        still = prepare_noise_portrait(models, options)
        prepared = synchronised_time(device) - began
        first_cold = prepared + measure_first_frame(models, options, still)
        first_warm = measure_first_frame(models, options, still)
        frames, latency = measure_session(models, options, still, blocks)
        own, times = render_blocks(models, options, still, blocks)
    step = statistics.median(times.blocks) / options.sample_steps
    figures = Figures(
        rung=plan.profile.name, speed=speed, streamed=plan.offloaded_blocks, load=load, first_cold=first_cold,
        first_warm=first_warm, step=step, block=statistics.median(times.blocks),
        decode=statistics.median(times.decodes), fps=frames, latency=latency, peak=peak(),
        predicted=plan.estimate.gpu_total, ideal_share=compare_with_ideal(step, plan, options, device),
        latent_error=float((own.latents - reference.latents).norm() / reference.latents.norm()),
        psnr=psnr(own.pictures, reference.pictures),
    )  # fmt: skip
    del models, still
    release_memory(device)
    return figures


@dataclass(frozen=True)
class Times:
    """Seconds of each block once the ring is full, and of decoding each."""

    blocks: list[float]
    decodes: list[float]


def render_on_plan(
    options: DitOptions, plan: MemoryPlan, speed: SpeedOptions, blocks: int
) -> tuple[BlockOutputs, Times]:
    """A few blocks on this plan."""
    models = open_models(replace(options, speed=speed), plan)
    result = render_blocks(models, options, prepare_noise_portrait(models, options), blocks)
    del models
    release_memory(find_device(options.device_name))
    return result


@torch.no_grad()
def prepare_noise_portrait(models: DitModels, options: DitOptions) -> PreparedPortrait:
    """A portrait of noise, the same for all."""
    width, height = SIZES[options.preset]
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return models.offload_portrait(
        encode_portrait(
            models.dit, models.vae, picture.to(models.prompt_embedding.device), models.prompt_embedding
        )
    )


@torch.no_grad()
def render_blocks(
    models: DitModels, options: DitOptions, still: PreparedPortrait, blocks: int
) -> tuple[BlockOutputs, Times]:
    """Blocks drawn and decoded one after another: what came of it, and how long it took."""
    device = models.prompt_embedding.device
    graphs = bool(models.speed.graphs)
    stream = LatentStream(
        models.dit, still.conditioning, options.to_stream_config(), 0, models.make_cache, record_graphs=graphs
    )
    decoder, latents, pictures, times = still.decoder.fork(), [], [], Times([], [])
    config = models.dit.config
    for block in range(blocks):
        generator = torch.Generator().manual_seed(block)
        heard = torch.randn(1, config.audio_layers, config.audio_dim, BLOCK, generator=generator).to(device)
        began = synchronised_time(device)
        latent = list(stream.denoise_block(block, heard))[-1]
        drawn = synchronised_time(device)
        video = decoder.push(latent)
        times.blocks.append(drawn - began)
        times.decodes.append(synchronised_time(device) - drawn)
        latents.append(latent.float().cpu())
        pictures.append(video[:, :, ::4].half().cpu())
    full = min(options.to_stream_config().clip_blocks, blocks - 1)
    return BlockOutputs(latents=torch.cat(latents, 2), pictures=torch.cat(pictures, 2)), Times(
        times.blocks[full:], times.decodes[full:]
    )


def open_session(models: DitModels, options: DitOptions, still: PreparedPortrait) -> DitSession:
    """A conversation, or a recording where speed needs one."""
    size = SIZES[options.preset]
    heard = replace(options, live=not models.speed.wavefront)
    return DitActor(models=models, options=heard, prepared=still, drawn_size=size, size=size).session(FPS, 0)


def measure_first_frame(models: DitModels, options: DitOptions, still: PreparedPortrait) -> float:
    """Seconds until the first frame is there, all sound being there."""
    began = synchronised_time(models.prompt_embedding.device)
    session = open_session(models, options, still)
    session.push(make_noise(BLOCK * (options.sample_steps + 1)))
    session.flush()
    next(session.frames())
    return synchronised_time(models.prompt_embedding.device) - began


def measure_session(
    models: DitModels, options: DitOptions, still: PreparedPortrait, blocks: int
) -> tuple[float, float]:
    """Frames a second from sound to bytes, once the ring is full, and the seconds a block takes to appear."""
    session = open_session(models, options, still)
    session.push(make_noise(BLOCK * blocks))
    session.flush()
    marks = [
        synchronised_time(models.prompt_embedding.device)
        for frame in session.frames()
        if frame.pts % BLOCK == 0
    ]
    skip = min(options.to_stream_config().clip_blocks, len(marks) - 2)
    gaps = np.diff(marks[skip:])
    return BLOCK * len(gaps) / float(gaps.sum()), float(np.median(gaps))


def make_noise(frames: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """As much sound."""
    return 0.1 * np.random.default_rng(0).standard_normal(frames * PICTURE, np.float32)


def compare_with_ideal(
    step: float, plan: MemoryPlan, options: DitOptions, device: torch.device
) -> float | None:
    """What the data sheet's rates would take, over what it took; None for an unknown card."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    card = cards.match_card(name) or cards.derive_card(
        name, torch.cuda.get_device_properties(device).total_memory
    )
    if card is None:
        return None
    return (
        cards.COMPUTE_EFFICIENCY
        * cards.forecast_speed(card, plan, options.to_stream_config(), SIZES["full"]).compute_seconds
        / step
    )


def psnr(actual: Tensor, expected: Tensor) -> float | None:
    """Decibels between pictures in -1…1; None where they are the same."""
    error = float((actual.float() - expected.float()).square().mean())
    return 10 * float(np.log10(4 / error)) if error else None


def synchronised_time(device: torch.device) -> float:
    """The time at which everything asked so far is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def track_peak_memory(device: torch.device) -> Iterator[Callable[[], int]]:
    """The most memory that PyTorch took of the device within."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: torch.cuda.max_memory_reserved(device)
    else:
        yield lambda: 0


def release_memory(device: torch.device) -> None:
    """Give memory back to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


HEADER = (
    "| rung | speed | streamed | load s | first frame cold s | warm s | step ms | block ms | decode ms | fps "
    "| latency ms | peak GB | predicted GB | of ideal | latents off by | PSNR dB |\n" + "| --- " * 16 + "|"
)


def format_row(row: Figures) -> str:
    """One row of the table."""
    cells = [
        row.rung, row.speed, str(row.streamed), f"{row.load:.1f}", f"{row.first_cold:.2f}", f"{row.first_warm:.2f}",
        *(f"{1000 * value:.0f}" for value in (row.step, row.block, row.decode)), f"{row.fps:.2f}",
        f"{1000 * row.latency:.0f}", f"{row.peak / 1e9:.1f}" if row.peak else "-", f"{row.predicted / 1e9:.1f}",
        "-" if row.ideal_share is None else f"{100 * row.ideal_share:.0f} %",
        f"{row.latent_error:.2g}", "same" if row.psnr is None else f"{row.psnr:.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def write_results(rows: list[Figures], output: Path, device: torch.device) -> None:
    """The table, and the same as JSON."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    table = "\n".join([f"{name}, PyTorch {torch.__version__}", "", HEADER, *map(format_row, rows), ""])
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
