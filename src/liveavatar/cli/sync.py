"""`liveavatar sync`: are the lips of a video on time?"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liveavatar.cli.progress import show_stage, stderr_console
from liveavatar.errors import LiveAvatarError, OptionError
from liveavatar.plotting import check_plot_path
from liveavatar.sync.fix import fix_sync
from liveavatar.sync.measure import SyncMeasurement, measure_sync
from liveavatar.sync.plot import draw_sync_plot
from liveavatar.sync.report import SyncReport, build_sync_report
from liveavatar.sync.syncnet import SyncNetScore, score_syncnet
from liveavatar.video.remux import check_remux_output

EXIT_NEEDS_WORK = 1
_VERDICT_COLOURS = {"in step": "green", "not the same speech": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInspection:
    """What became of one video: either `measured` and `report`, or `error`."""

    video: Path
    measured: SyncMeasurement | None = None
    report: SyncReport | None = None
    syncnet: SyncNetScore | None = None
    error: LiveAvatarError | None = None


def sync(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEO…", help="Videos of one talking face.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the measurement into this PNG.")] = None,
    fix: Annotated[
        Path | None,
        typer.Option(help="Write the video with its lips in step; the picture is not encoded anew."),
    ] = None,
    syncnet: Annotated[
        Path | None, typer.Option(help="SyncNet's checkpoint: adds Sync-C and Sync-D (needs torch).")
    ] = None,
) -> None:
    """Measure whether the lips are on time: offset, drift, closures, and one verdict.

    Exit code 0: all in step; 1: a video needs work; 2: one cannot be read, or not be mended.
    """
    check_sync_options(videos, plot, fix)
    results = [inspect_video(video, syncnet) for video in videos]
    if as_json:
        print(json.dumps({"videos": [video_to_object(result) for result in results]}, ensure_ascii=False))
    else:
        for result in results:
            print_video(result)
    _write_outputs(results[0], plot, fix)
    if any(result.error for result in results):
        raise typer.Exit(LiveAvatarError.exit_code)
    mended = fix is not None
    if not mended and any(result.report and result.report.verdict != "in step" for result in results):
        raise typer.Exit(EXIT_NEEDS_WORK)


def check_sync_options(videos: list[Path], plot: Path | None, fix: Path | None) -> None:
    """Refuse what cannot be written before any work is done."""
    if len(videos) > 1 and (plot or fix):
        raise OptionError("--plot and --fix work on one video", "name one video")
    if plot is not None:
        check_plot_path(plot)
    if fix is not None:
        check_remux_output(videos[0], fix)


def inspect_video(video: Path, checkpoint: Path | None) -> VideoInspection:
    """Measure one video; an unreadable one does not stop the others."""
    try:
        with stderr_console.status(f"opening {video}") as status:
            measured = measure_sync(video, lambda what, share: status.update(f"{video}: {what}, {share:.0%}"))
        syncnet = None
        if checkpoint is not None:
            with show_stage(f"{video}: running SyncNet"):
                syncnet = score_syncnet(video, checkpoint)
    except LiveAvatarError as error:
        return VideoInspection(video=video, error=error)
    return VideoInspection(
        video=video, measured=measured, report=build_sync_report(measured), syncnet=syncnet
    )


def video_to_object(result: VideoInspection) -> dict[str, Any]:
    """One video for `--json`."""
    if result.error is not None or result.report is None:
        problem, remedy = (result.error.problem, result.error.remedy) if result.error else ("", "")
        return {"file": str(result.video), "error": problem, "remedy": remedy}
    numbers = asdict(result.report)
    return numbers | {
        "file": str(result.video),
        "closures_share": result.report.closures_share,
        "syncnet": asdict(result.syncnet) if result.syncnet else None,
    }


def print_video(result: VideoInspection) -> None:
    """One video: a line with the verdict, then the numbers, then what mends it."""
    console = Console()
    found = result.report
    verdict = (
        ("unreadable", "red")
        if found is None
        else (found.verdict, _VERDICT_COLOURS.get(found.verdict, "yellow"))
    )
    console.print(Text.assemble((str(result.video), "bold"), "  ", verdict), soft_wrap=True)
    if found is None:
        console.print(Text(f"  {result.error}"), soft_wrap=True)
        return
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=False)
    for name, value in format_rows(found, result.syncnet):
        table.add_row(Text(name, "dim"), value)
    console.print(table, highlight=False)
    if found.remedy:
        console.print(Text(f"  → {found.remedy}", "italic"), soft_wrap=True)


def format_rows(found: SyncReport, syncnet: SyncNetScore | None) -> list[tuple[str, str]]:
    """Names and values of the table."""
    lines = [("verdict", found.sentence)]
    if found.verdict != "not the same speech":
        lines += [
            ("offset", f"{found.offset:+.0f} ms ({_format_range(found.offset_interval)}), positive is late"),
            ("drift", f"{found.drift:+.0f} ms a minute ({_format_range(found.drift_interval)})"),
        ]
    share = "none heard" if found.closures_share is None else f"{found.closures_share:.0%}"
    lines += [
        ("match", f"{found.match:.2f}, chance reaches {found.needed:.2f}"),
        (
            "closures met",
            f"{share} ({found.closures_met} of {found.closures_heard}; {found.closures_by_chance:.0%} by chance; "
            f"heard by {found.closures_source})",
        ),
        ("with energy", f"{found.energy_correlation:.2f} correlation of lip opening and loudness"),
        ("in silence", "nobody is silent" if found.silent_shut is None else f"{found.silent_shut:.0%} shut"),
    ]
    if syncnet is not None:
        lines.append(("SyncNet", f"Sync-C {syncnet.confidence:.2f}, Sync-D {syncnet.distance:.2f}, "
                                 f"offset {syncnet.offset_ms:+.0f} ms"))  # fmt: skip
    return lines


def _format_range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:+.0f} to {interval[1]:+.0f}"


def _write_outputs(result: VideoInspection, plot: Path | None, fix: Path | None) -> None:
    if result.measured is None or result.report is None:
        return
    if plot is not None:
        draw_sync_plot(result.measured, result.report, plot)
        stderr_console.print(f"wrote {plot}", highlight=False)
    if fix is not None:
        with show_stage("moving the sound"):
            fix_sync(result.measured, result.report, fix)
        stderr_console.print(
            f"wrote {fix}; check it with: liveavatar sync {fix}", highlight=False, soft_wrap=True
        )
