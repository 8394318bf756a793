"""Speed and memory of the engine `dit` on this machine, and the error of each saving.

    python -m benchmarks.dit.speed                          every memory profile that fits, at 704x384 with 4 steps
    python -m benchmarks.dit.speed --rungs 80 --speeds eager auto fp8-kv wavefront
    python -m benchmarks.dit.speed --tiny --device cpu      the same path on any machine, in seconds

Weights are random, the same for every profile, so nothing is downloaded: the pictures are noise, but the work is real.
Errors are against bfloat16 with `EXACT_SPEED`, on the same noise and sound (a profile of its own, with as much in host
memory as needed). Writes a table and JSON beside it.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from liveavatar.dit.loader import (
    DitModels,
    find_device,
    open_models,
    plan_device_memory,
    release_cached_memory,
)
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
from liveavatar.dit.session import DitActor, DitSession, crop_middle
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.video import PreparedPortrait, encode_portrait
from liveavatar.errors import LiveAvatarError

FPS = Fraction(25)
BLOCK_FRAMES = 12
FRAME_SAMPLES = 640
REFERENCE = MemoryProfile(name="reference", eight_bit_weights=False, host_cache=True, max_offloaded_blocks=40)
SIZES: dict[PresetName, tuple[int, int]] = {"full": (704, 384), "tiny": (128, 64)}


@dataclass(kw_only=True)
class Figures:
    """Measurements of one memory profile at one speed. Seconds and bytes; errors against the reference."""

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
    """Latents and pictures of a few blocks."""

    latents: Tensor
    pictures: Tensor


def main() -> None:
    """Measure every profile at every speed and write the tables."""
    arguments = parse_arguments()
    device = find_device(arguments.device)
    preset: PresetName = "tiny" if arguments.tiny else "full"
    base = DitOptions(
        preset=preset,
        random_weights=not arguments.tiny,
        sample_steps=arguments.steps,
        device=arguments.device,
        live=False,
    )
    reference, _ = render_on_plan(base, plan_reference(base, device), EXACT_SPEED, arguments.blocks)
    rows = []
    for rung in arguments.rungs:
        for speed in arguments.speeds:
            try:
                rows.append(measure(replace(base, memory=rung), speed, reference, arguments.blocks))
            except LiveAvatarError as error:
                print(f"{rung} {speed}: left out, {error}")
                continue
            print(format_row(rows[-1]), flush=True)
    write_results(rows, arguments.output, device)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
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


def plan_reference(options: DitOptions, device: torch.device) -> MemoryPlan:
    """Bfloat16 on this card, with as much in host memory as needed."""
    workload = Workload(stream=options.to_stream_config())
    if device.type != "cuda":
        return workload.plan_profile(MEMORY_PROFILES[0], 0)
    free, _ = torch.cuda.mem_get_info(device)
    smallest = workload.plan_profile(REFERENCE, REFERENCE.max_offloaded_blocks)
    return fit_memory_profile(REFERENCE, int(0.9 * free), workload) or smallest


def measure(options: DitOptions, speed: str, reference: BlockOutputs, blocks: int) -> Figures:
    """All measurements of one profile at one speed."""
    device = find_device(options.device_name)
    options = replace(options, speed=speed)
    plan = plan_device_memory(options, device)
    with track_peak_memory(device) as peak:
        began = synchronised_time(device)
        models = open_models(options, plan)
        load = synchronised_time(device) - began
        began = synchronised_time(device)
        portrait = prepare_noise_portrait(models, options)
        preparation = synchronised_time(device) - began
        first_cold = preparation + measure_first_frame(models, options, portrait)
        first_warm = measure_first_frame(models, options, portrait)
        frames, latency = measure_session(models, options, portrait, blocks)
        outputs, times = render_blocks(models, options, portrait, blocks)
    step = statistics.median(times.blocks) / options.sample_steps
    figures = Figures(
        rung=plan.profile.name, speed=speed, streamed=plan.offloaded_blocks, load=load, first_cold=first_cold,
        first_warm=first_warm, step=step, block=statistics.median(times.blocks),
        decode=statistics.median(times.decodes), fps=frames, latency=latency, peak=peak(),
        predicted=plan.estimate.gpu_total, ideal_share=compare_with_ideal(step, plan, options, device),
        latent_error=float((outputs.latents - reference.latents).norm() / reference.latents.norm()),
        psnr=psnr(outputs.pictures, reference.pictures),
    )  # fmt: skip
    del models, portrait
    release_cached_memory(device)
    return figures


@dataclass(frozen=True)
class Times:
    """Seconds to draw each block once the ring is full, and to decode each."""

    blocks: list[float]
    decodes: list[float]


def render_on_plan(
    options: DitOptions, plan: MemoryPlan, speed: SpeedOptions, blocks: int
) -> tuple[BlockOutputs, Times]:
    """Draw a few blocks with this plan."""
    models = open_models(replace(options, speed=speed), plan)
    result = render_blocks(models, options, prepare_noise_portrait(models, options), blocks)
    del models
    release_cached_memory(find_device(options.device_name))
    return result


@torch.no_grad()
def prepare_noise_portrait(models: DitModels, options: DitOptions) -> PreparedPortrait:
    """A portrait of noise, the same for all profiles."""
    width, height = SIZES[options.preset]
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    prompt = models.prompt_embedding
    portrait = encode_portrait(models.dit, models.vae, picture.to(prompt.device), prompt)
    return models.offload_portrait(portrait)


@torch.no_grad()
def render_blocks(
    models: DitModels, options: DitOptions, portrait: PreparedPortrait, blocks: int
) -> tuple[BlockOutputs, Times]:
    """Draw and decode blocks one after another."""
    device = models.prompt_embedding.device
    graphs = bool(models.speed.graphs)
    stream = LatentStream(
        models.dit,
        portrait.conditioning,
        options.to_stream_config(),
        0,
        models.make_cache,
        record_graphs=graphs,
    )
    decoder, latents, pictures, times = portrait.decoder.fork(), [], [], Times([], [])
    config = models.dit.config
    for block in range(blocks):
        generator = torch.Generator().manual_seed(block)
        features = torch.randn(1, config.audio_layers, config.audio_dim, BLOCK_FRAMES, generator=generator)
        began = synchronised_time(device)
        latent = list(stream.denoise_block(block, features.to(device)))[-1]
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


def open_session(models: DitModels, options: DitOptions, portrait: PreparedPortrait) -> DitSession:
    """A live session, or one for a recording if the speed options need one."""
    size = SIZES[options.preset]
    options = replace(options, live=not models.speed.wavefront)
    actor = DitActor(
        models=models,
        options=options,
        prepared=portrait,
        compose_frame=partial(crop_middle, size=size),
        size=size,
    )
    return actor.session(FPS, 0)


def measure_first_frame(models: DitModels, options: DitOptions, portrait: PreparedPortrait) -> float:
    """Seconds until the first frame, with all sound pushed before."""
    began = synchronised_time(models.prompt_embedding.device)
    session = open_session(models, options, portrait)
    session.push(make_noise(BLOCK_FRAMES * (options.sample_steps + 1)))
    session.flush()
    next(session.frames())
    return synchronised_time(models.prompt_embedding.device) - began


def measure_session(
    models: DitModels, options: DitOptions, portrait: PreparedPortrait, blocks: int
) -> tuple[float, float]:
    """Frames a second from sound to bytes once the ring is full, and seconds from block to block."""
    session = open_session(models, options, portrait)
    session.push(make_noise(BLOCK_FRAMES * blocks))
    session.flush()
    marks = [
        synchronised_time(models.prompt_embedding.device)
        for frame in session.frames()
        if frame.pts % BLOCK_FRAMES == 0
    ]
    skip = min(options.to_stream_config().clip_blocks, len(marks) - 2)
    gaps = np.diff(marks[skip:])
    return BLOCK_FRAMES * len(gaps) / float(gaps.sum()), float(np.median(gaps))


def make_noise(frames: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Sound of this duration."""
    return 0.1 * np.random.default_rng(0).standard_normal(frames * FRAME_SAMPLES, np.float32)


def compare_with_ideal(
    step: float, plan: MemoryPlan, options: DitOptions, device: torch.device
) -> float | None:
    """Seconds of a step by the data sheet's rates, over the seconds measured; None for an unknown card."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    card = cards.match_card(name) or cards.derive_card(
        name, torch.cuda.get_device_properties(device).total_memory
    )
    if card is None:
        return None
    forecast = cards.forecast_speed(card, plan, options.to_stream_config(), SIZES["full"])
    return cards.COMPUTE_EFFICIENCY * forecast.compute_seconds / step


def psnr(actual: Tensor, expected: Tensor) -> float | None:
    """Decibels between pictures in -1…1; None if they are equal."""
    error = float((actual.float() - expected.float()).square().mean())
    return 10 * float(np.log10(4 / error)) if error else None


def synchronised_time(device: torch.device) -> float:
    """The time when all work submitted so far is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def track_peak_memory(device: torch.device) -> Iterator[Callable[[], int]]:
    """The most device memory that PyTorch reserved in this context."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: torch.cuda.max_memory_reserved(device)
    else:
        yield lambda: 0


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
