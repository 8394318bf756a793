"""`liveavatar generate`: a portrait speaks a recording."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from liveavatar.cli.output import print_finding, print_message, print_repairs
from liveavatar.cli.progress import format_result, show_frame_bar, show_stage
from liveavatar.engine import Actor, Engine, open_engine
from liveavatar.errors import OutputError
from liveavatar.face.crop import parse_size
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.face.quality import check_portrait
from liveavatar.generate import Result, render_video
from liveavatar.timeline import parse_fps


class EngineName(StrEnum):
    """What animates the portrait."""

    MESH = "mesh"
    DIT = "dit"


class AudioPolicy(StrEnum):
    """What to do about a recording that would spoil the result."""

    FIX = "fix"
    STRICT = "strict"
    AS_IS = "as-is"


MESH_ONLY, DIT_ONLY = "Only for --engine mesh", "Only for --engine dit"


def generate(
    image: Annotated[Path, typer.Option("--image", "-i", help="The portrait: JPEG, PNG, WebP, …")],
    audio: Annotated[
        Path, typer.Option("--audio", "-a", help="The speech: anything FFmpeg reads, also a video.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The video to write.")] = Path("out.mp4"),
    engine: Annotated[EngineName, typer.Option(help="What animates the portrait.")] = EngineName.MESH,
    fps: Annotated[str, typer.Option(help="Frames a second: 16, 24, 25, 30, 30000/1001, …")] = "25",
    size: Annotated[str, typer.Option(help="auto follows the portrait; or WIDTHxHEIGHT, even.")] = "auto",
    face: Annotated[int | None, typer.Option(help="Which face, 1 being the largest.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other blinks and nods.")] = 0,
    audio_policy: Annotated[
        AudioPolicy, typer.Option(help="fix mends the recording, strict refuses it, as-is takes it.")
    ] = AudioPolicy.FIX,
    motion: Annotated[
        float | None, typer.Option(help=f"{MESH_ONLY}: how much head and gaze move, 0…1.")
    ] = None,
    expression: Annotated[
        float | None, typer.Option(help=f"{MESH_ONLY}: how far the mouth opens, 0…1.")
    ] = None,
    speech: Annotated[
        str | None,
        typer.Option(
            help=f"{MESH_ONLY}: small, or whisper: hears better, takes longer (liveavatar[whisper])."
        ),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help=f"{DIT_ONLY}: what the scene is like.")] = None,
    sample_steps: Annotated[
        int | None, typer.Option("--sample-steps", "--sample_steps", help=f"{DIT_ONLY}: denoising steps.")
    ] = None,
    infer_frames: Annotated[
        int | None, typer.Option("--infer-frames", "--infer_frames", help=f"{DIT_ONLY}: frames a clip.")
    ] = None,
    online_decode: Annotated[
        bool | None,
        typer.Option(
            "--online-decode/--no-online-decode",
            "--enable_online_decode",
            help=f"{DIT_ONLY}: decode as it goes.",
        ),
    ] = None,
    parity: Annotated[
        bool | None,
        typer.Option(
            "--parity", help=f"{DIT_ONLY}: what the public implementation computes, faults included."
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--ckpt-dir", "--ckpt_dir", help=f"{DIT_ONLY}: checkpoints that are already on disk."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"{DIT_ONLY}: full, or tiny: random weights on any CPU.")
    ] = None,
    random_weights: Annotated[
        bool | None,
        typer.Option(
            "--random-weights", help=f"{DIT_ONLY}: full size without files; a benchmark aid that draws noise."
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help=f"{DIT_ONLY}: auto, or the gigabytes of card to fit: 96, 80, 48, 24, 16."),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(
            help=f"{DIT_ONLY}: auto, or one of eager, fp8-kv, fp8-attention, wavefront (docs/dit.md)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Make a portrait speak a recording."""
    rate, frame_size = parse_fps(fps), parse_size(size)
    check_mp4_name(output)
    options = {
        "motion": motion,
        "expression": expression,
        "speech": speech,
        "prompt": prompt,
        "sample_steps": sample_steps,
        "infer_frames": infer_frames,
        "online_decode": online_decode,
        "parity": parity,
        "live": False if engine is EngineName.DIT else None,
        "folder": folder,
        "preset": preset,
        "random_weights": random_weights,
        "memory": memory,
        "speed": speed,
    }
    chosen = {name: value for name, value in options.items() if value is not None}
    actor = prepare_actor(image, open_engine(engine.value, chosen), frame_size, face)
    with show_frame_bar(rate) as progress:
        result = render_video(
            actor,
            audio,
            output,
            fps=rate,
            seed=seed,
            policy=audio_policy.value,
            on_progress=progress,
            on_report=print_repairs,
        )
    print(json.dumps(result_to_object(result)) if as_json else format_result(result))


def check_mp4_name(output: Path) -> None:
    """Refuse what cannot become an mp4 before any work is done."""
    if output.suffix.lower() != ".mp4":
        raise OutputError(f"{output} does not end in .mp4", f"name it {output.with_suffix('.mp4')}")


def prepare_actor(image: Path, engine: Engine, size: tuple[int, int] | None, face: int | None) -> Actor:
    """Load the portrait, say what is wrong with it, and hand it to the engine."""
    with show_stage("reading the portrait"):
        portrait = load_portrait(image, face)
    print_face_choice(portrait, face)
    for finding in check_portrait(portrait):
        print_finding(finding)
    with show_stage("preparing the face"):
        return engine.open(portrait, size)


def print_face_choice(portrait: Portrait, face: int | None) -> None:
    """Tell which of several faces was taken."""
    if portrait.face_count > 1 and face is None:
        print_message(
            f"{portrait.face_count} faces found; taking the largest (choose with --face 1…{portrait.face_count})"
        )


def result_to_object(result: Result) -> dict[str, object]:
    """The result for machines."""
    return {
        "output": str(result.output),
        "frames": result.frames,
        "fps": str(result.fps),
        "seconds": round(result.seconds, 3),
        "frames_per_second": round(result.speed, 1),
        "real_time_factor": round(result.real_time_factor, 2),
        "first_frame_ms": round(1000 * result.first_frame, 1),
        "peak_memory_bytes": result.peak_memory,
        "findings": [asdict(finding) for finding in result.audio.findings],
        "mended": list(result.audio.fixes),
    }
