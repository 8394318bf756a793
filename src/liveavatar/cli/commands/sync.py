"""`liveavatar sync`: measure whether the lips of a video are on time with its sound."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liveavatar.cli.output import (
    EXIT_FAILED,
    EXIT_NEEDS_WORK,
    SoundTrack,
    error_to_object,
    print_json,
    print_message,
    print_unreadable,
    print_verdict,
)
from liveavatar.cli.process.paths import PATH_METAVAR, parse_path
from liveavatar.cli.progress import show_stage
from liveavatar.errors import LiveAvatarError, OptionError
from liveavatar.files import format_command
from liveavatar.plotting import check_plot_path
from liveavatar.provenance.credentials import find_manifest
from liveavatar.sync.fix import fix_sync
from liveavatar.sync.measure import SyncMeasurement, measure_sync
from liveavatar.sync.offset import MIN_DRIFT_SECONDS
from liveavatar.sync.plot import draw_sync_plot
from liveavatar.sync.report import SyncReport, build_sync_report
from liveavatar.sync.syncnet import SyncNetScore, load_syncnet, score_syncnet
from liveavatar.video.remux import check_remux_output

_VERDICT_STYLES = {"in step": "green", "not the same speech": "red"}
"""All other verdicts are yellow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInspection:
    """The check of one video: either `measured` and `report`, or `error`."""

    video: Path
    measured: SyncMeasurement | None = None
    report: SyncReport | None = None
    syncnet: SyncNetScore | None = None
    error: LiveAvatarError | None = None


def sync(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO", parser=parse_path, help="Videos of one talking face.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the measurement into this PNG.", parser=parse_path, metavar=PATH_METAVAR),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            help="Write the video with its sound moved in step with the lips; the picture is copied.",
            parser=parse_path,
            metavar=PATH_METAVAR,
        ),
    ] = None,
    syncnet: Annotated[
        Path | None,
        typer.Option(
            help="SyncNet's checkpoint: adds Sync-C and Sync-D (needs torch).",
            parser=parse_path,
            metavar=PATH_METAVAR,
        ),
    ] = None,
    track: SoundTrack = None,
) -> None:
    """Measure whether the lips are on time: offset, drift, closures, and one verdict.

    Exit code 0: nothing to repair was found; 1: one needs work; 2: one cannot be read, or cannot be fixed.
    """
    check_sync_options(videos, plot, fix)
    network = None
    if syncnet is not None:
        with show_stage("reading SyncNet's checkpoint"):
            network = load_syncnet(syncnet)
    results = [inspect_video(video, network, track) for video in videos]
    if as_json:
        print_json({"videos": [video_to_object(result) for result in results]})
    else:
        for result in results:
            print_video(result)
    _write_outputs(results[0], plot, fix)
    if any(result.error for result in results):
        raise typer.Exit(EXIT_FAILED)
    if fix is None and any(result.report and result.report.needs_work for result in results):
        raise typer.Exit(EXIT_NEEDS_WORK)


def check_sync_options(videos: list[Path], plot: Path | None, fix: Path | None) -> None:
    """Refuse outputs that cannot be written, before any work is done."""
    if len(videos) > 1 and (plot or fix):
        raise OptionError("--plot and --fix work on one video", "name one video")
    if plot is not None:
        check_plot_path(plot, {"the video": videos[0]})
    if fix is not None:
        check_remux_output(videos[0], fix)


def inspect_video(video: Path, network: Any, track: int | None = None) -> VideoInspection:
    """Measure one video, also with SyncNet unless `network` is None; an error is kept, and the others are measured."""
    try:
        with show_stage(f"opening {video}") as show_progress:
            measured = measure_sync(
                video, lambda step, share: show_progress(f"{video}: {step}, {share:.0%}"), track
            )
        print_track_choice(measured)
        syncnet = None
        if network is not None:
            with show_stage(f"{video}: running SyncNet"):
                syncnet = score_syncnet(video, network, track)
    except LiveAvatarError as error:
        return VideoInspection(video=video, error=error)
    return VideoInspection(
        video=video, measured=measured, report=build_sync_report(measured), syncnet=syncnet
    )


def print_track_choice(measured: SyncMeasurement) -> None:
    """Say which of several sound tracks was taken, unless the user has named it."""
    if measured.sound_track_count > 1 and measured.sound_track is None:
        print_message(
            f"{measured.path}: of {measured.sound_track_count} sound tracks the one that players play is measured; "
            f"choose one with --track 1…{measured.sound_track_count}"
        )


def video_to_object(result: VideoInspection) -> dict[str, Any]:
    """One video for `--json`."""
    if result.error is not None:
        return error_to_object(result.video, result.error)
    if result.report is None:
        return {}
    return asdict(result.report) | {
        "file": str(result.video),
        "closures_share": result.report.closures_share,
        "syncnet": asdict(result.syncnet) if result.syncnet else None,
    }


def print_video(result: VideoInspection) -> None:
    """Print the verdict, the figures and the remedy."""
    if result.error is not None:
        print_unreadable(result.video, result.error)
    if result.report is not None:
        _print_report(result.video, result.report, result.syncnet)


def _print_report(video: Path, report: SyncReport, syncnet: SyncNetScore | None) -> None:
    console = Console()
    print_verdict(video, report.verdict, _VERDICT_STYLES.get(report.verdict, "yellow"))
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=False)
    for name, value in format_rows(report, syncnet):
        table.add_row(Text(name, "dim"), Text(value))
    console.print(table, highlight=False)
    if report.remedy:
        console.print(Text(f"  → {report.remedy}", "italic"), soft_wrap=True)


def format_rows(report: SyncReport, syncnet: SyncNetScore | None) -> list[tuple[str, str]]:
    """The figures of a report, as rows of a name and a value."""
    lines = [("verdict", report.sentence)]
    if report.verdict != "not the same speech":
        lines += [
            (
                "offset",
                f"{report.offset:+.0f} ms ({_format_range(report.offset_interval)}), positive is late",
            ),
            ("drift", _format_drift(report)),
        ]
    share = "no closures" if report.closures_share is None else f"{report.closures_share:.0%}"
    lines += [
        ("match", f"{report.match:.2f}, chance reaches {report.needed:.2f}"),
        (
            "closures met",
            f"{share} ({report.closures_met} of {report.closures_heard}; {report.closures_by_chance:.0%} by chance; "
            f"detected by {report.closures_source})",
        ),
        ("with energy", f"{report.energy_correlation:.2f} correlation of lip opening and loudness"),
        ("in silence", "no silence" if report.silent_shut is None else f"{report.silent_shut:.0%} shut"),
    ]
    if syncnet is not None:
        lines.append(("SyncNet", f"Sync-C {syncnet.confidence:.2f}, Sync-D {syncnet.distance:.2f}, "
                                 f"offset {syncnet.offset_ms:+.0f} ms"))  # fmt: skip
    return lines


def _format_drift(report: SyncReport) -> str:
    if report.drift_interval == (0.0, 0.0):
        return f"not measured in videos under {MIN_DRIFT_SECONDS:.0f} seconds"
    return f"{report.drift:+.0f} ms a minute ({_format_range(report.drift_interval)})"


def _format_range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:+.0f} to {interval[1]:+.0f}"


def _write_outputs(result: VideoInspection, plot: Path | None, fix: Path | None) -> None:
    if result.measured is None or result.report is None:
        return
    if plot is not None:
        draw_sync_plot(result.measured, result.report, plot)
        print_message(f"wrote {plot}")
    if fix is not None:
        with show_stage("moving the sound"):
            fix_sync(result.measured, result.report, fix)
        if find_manifest(result.video):
            print_message(
                f"{fix} keeps the tags and the watermark of {result.video}, not its content credentials: they sign "
                "the original's bytes"
            )
        print_message(f"wrote {fix}; check it with: {format_command('liveavatar', 'sync', fix)}")
