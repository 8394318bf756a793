"""`liveavatar generate`: a portrait speaks a recording or a text."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from liveavatar.cli.captioning import CaptionKind, check_captions, find_cues, save_captions
from liveavatar.cli.engine_options import add_engine_options, drop_unset
from liveavatar.cli.output import SoundTrack, print_finding, print_message, print_repairs
from liveavatar.cli.process.paths import PATH_METAVAR, parse_path
from liveavatar.cli.progress import format_result, show_frame_bar, show_stage
from liveavatar.cli.speech_source import VoiceName, check_speech_options, open_speech
from liveavatar.engine import Actor, Engine, open_actor
from liveavatar.engines import ENGINE_SOURCE_TYPES, open_engine
from liveavatar.errors import AudioError
from liveavatar.face.crop import SCALE_FINDING, parse_size
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.files import require_regular_file
from liveavatar.generate import Result, check_video_output, render_video
from liveavatar.provenance.aigc import DEFAULT_PRODUCER
from liveavatar.provenance.label.visible_label import AUTO_LABEL
from liveavatar.provenance.policy import MarkPolicy, check_mark_policy
from liveavatar.report import Finding
from liveavatar.timeline import parse_fps
from liveavatar.video.formats import EncodingOptions
from liveavatar.voices.catalogue import AUTO_VOICE


class EngineName(StrEnum):
    """The engines."""

    MESH = "mesh"
    DIT = "dit"


class AudioPolicy(StrEnum):
    """What to do with a defective recording."""

    FIX = "fix"
    STRICT = "strict"
    AS_IS = "as-is"


class QualityName(StrEnum):
    """How carefully a video is encoded."""

    DRAFT = "draft"
    GOOD = "good"
    BEST = "best"


_MARKS_PANEL = "Marks: required by China (GB 45438-2025) and the EU (AI Act, Article 50)"

Label = Annotated[
    str,
    typer.Option(
        metavar="auto|none|TEXT",
        help="What the frames show for the first two seconds and after breaks of the speech; auto is 'AI generated' or "
        "'AI生成', by the locale.",
        rich_help_panel=_MARKS_PANEL,
    ),
]
Watermark = Annotated[bool, typer.Option(help="Mark all frames imperceptibly.", rich_help_panel=_MARKS_PANEL)]
CertificateFile = Annotated[
    Path | None,
    typer.Option(
        "--certificate",
        help="PEM chain that signs the content credentials (C2PA); by default one is made for each video.",
        rich_help_panel=_MARKS_PANEL,
        parser=parse_path,
        metavar=PATH_METAVAR,
    ),
]
CertificateKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--certificate-key",
        help="PEM file of its private key.",
        rich_help_panel=_MARKS_PANEL,
        parser=parse_path,
        metavar=PATH_METAVAR,
    ),
]
Producer = Annotated[
    str, typer.Option(help="Who makes the video, for the AIGC tag.", rich_help_panel=_MARKS_PANEL)
]


@add_engine_options("mesh", "dit")
def generate(
    image: Annotated[
        Path,
        typer.Option(
            "--image", "-i", help="The portrait: JPEG, PNG, WebP, …", parser=parse_path, metavar=PATH_METAVAR
        ),
    ],
    audio: Annotated[
        Path | None,
        typer.Option(
            "--audio",
            "-a",
            help="The speech: anything FFmpeg reads, also a video.",
            parser=parse_path,
            metavar=PATH_METAVAR,
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="What to say instead, English or Mandarin; - reads it from stdin.", show_default=False
        ),
    ] = None,
    voice: VoiceName = AUTO_VOICE,
    captions: Annotated[
        CaptionKind | None,
        typer.Option(
            help="What is said, timed: a file beside the video (srt, vtt), or in the picture (burn). Of a recording it "
            "is recognised (pip install 'liveavatar\\[ears]').",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The video to write: .mp4, .mov or .webm.",
            parser=parse_path,
            metavar=PATH_METAVAR,
        ),
    ] = Path("out.mp4"),
    engine: Annotated[
        EngineName, typer.Option(help="The engine that animates the portrait.")
    ] = EngineName.MESH,
    fps: Annotated[str, typer.Option(help="Frames a second: 16, 24, 25, 30, 30000/1001, …")] = "25",
    size: Annotated[
        str,
        typer.Option(help="auto follows the portrait; WIDTHxHEIGHT (even) is cut around head and shoulders."),
    ] = "auto",
    face: Annotated[int | None, typer.Option(help="Number of the face, from 1, the largest.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random motion and noise.")] = 0,
    audio_policy: Annotated[
        AudioPolicy,
        typer.Option(help="For a defective recording: fix repairs it, strict refuses it, as-is takes it."),
    ] = AudioPolicy.FIX,
    track: SoundTrack = None,
    force: Annotated[bool, typer.Option("--force", help="Draw a portrait that the check calls bad.")] = False,
    quality: Annotated[
        QualityName, typer.Option(help="From small and fast to large and slow.")
    ] = QualityName.GOOD,
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="h264|hevc|av1|vp9",
            help="By default h264 in .mp4 and .mov, vp9 in .webm.",
            show_default=False,
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="transparent|#RRGGBB|IMAGE",
            help="What stands behind the person (mesh); transparent needs .webm (VP9) or .mov (ProRes 4444).",
            show_default=False,
        ),
    ] = None,
    label: Label = AUTO_LABEL,
    watermark: Watermark = True,
    certificate: CertificateFile = None,
    certificate_key: CertificateKeyFile = None,
    producer: Producer = DEFAULT_PRODUCER,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    **engine_options: object,
) -> None:
    """Make a portrait speak a recording, or a text."""
    rate, frame_size = parse_fps(fps), parse_size(size)
    encoding = EncodingOptions(codec=codec, quality=quality.value)
    check_speech_options(audio, text, voice)
    check_video_output(output, audio, image, encoding, background)
    check_captions(captions, output)
    marks = MarkPolicy(
        label=label,
        watermark=watermark,
        certificate=certificate,
        certificate_key=certificate_key,
        producer=producer,
        source_type=ENGINE_SOURCE_TYPES[engine.value],
    )
    check_mark_policy(marks)
    if audio is not None:
        require_regular_file(audio, AudioError, "recording")
    options = drop_unset(engine_options)
    if engine is EngineName.DIT:
        options["live"] = False  # the whole recording is there
    findings: list[Finding] = []
    actor = prepare_actor(
        image, open_engine(engine.value, options), frame_size, face, force=force, on_finding=findings.append
    )
    with open_speech(audio, text, voice) as speech:
        cues = find_cues(speech, audio_policy.value, track) if captions else []
        with show_frame_bar(rate) as progress:
            result = render_video(
                actor,
                speech.path,
                output,
                fps=rate,
                seed=seed,
                policy=audio_policy.value,
                track=track,
                portrait=image,
                marks=marks,
                encoding=encoding,
                background=background,
                cues=cues if captions is CaptionKind.BURN else [],
                on_progress=progress,
                on_report=print_repairs,
            )
    caption_file = save_captions(captions, output, cues)
    print_message(result.marks.sentence)
    if as_json:
        named = {"captions": str(caption_file) if caption_file else None}
        print(json.dumps(result_to_object(result, findings) | named))
    else:
        print(format_result(result))


def prepare_actor(
    image: Path,
    engine: Engine,
    size: tuple[int, int] | None,
    face: int | None,
    *,
    force: bool = False,
    on_finding: Callable[[Finding], None] = lambda _finding: None,
) -> Actor:
    """Load the portrait and open it with the engine; findings are printed on stderr, then passed on."""
    with show_stage("reading the portrait"):
        portrait = load_portrait(image, face)
    print_face_choice(portrait, face)

    def report_finding(finding: Finding) -> None:
        print_finding(finding)
        if finding.level == "ok" and finding.name == SCALE_FINDING:
            print_message(finding.sentence)
        on_finding(finding)

    with show_stage("preparing the face"):
        return open_actor(engine, portrait, size, force=force, on_finding=report_finding)


def print_face_choice(portrait: Portrait, face: int | None) -> None:
    """Print on stderr that the largest of several faces was taken."""
    if portrait.face_count > 1 and face is None:
        print_message(
            f"{portrait.face_count} faces found; taking the largest (choose with --face 1…{portrait.face_count})"
        )


def result_to_object(result: Result, portrait_findings: Iterable[Finding]) -> dict[str, object]:
    """The result as a JSON object, with what was found in the portrait."""
    return {
        "output": str(result.output),
        "frames": result.frames,
        "fps": str(result.fps),
        "seconds": round(result.seconds, 3),
        "frames_per_second": round(result.speed, 1),
        "real_time_factor": round(result.real_time_factor, 2),
        "first_frame_ms": round(1000 * result.first_frame, 1),
        "peak_memory_bytes": result.peak_memory,
        "portrait_findings": [asdict(finding) for finding in portrait_findings],
        "findings": [asdict(finding) for finding in result.audio.findings],
        "mended": list(result.audio.fixes),
        "marks": asdict(result.marks),
    }
