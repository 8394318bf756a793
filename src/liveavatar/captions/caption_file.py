"""Writes captions beside a video, as SubRip (.srt) or WebVTT (.vtt)."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from liveavatar.captions.cues import Cue
from liveavatar.errors import OutputError
from liveavatar.files import check_output_path, describe_path, describe_write_error
from liveavatar.partials import partial_file

CaptionFormat = Literal["srt", "vtt"]


def name_caption_file(video: Path, form: CaptionFormat) -> Path:
    """The file beside a video, which players find by its name."""
    return video.with_suffix(f".{form}")


def check_caption_file(path: Path) -> None:
    """Refuse, before any work, a file that exists or cannot be written.

    Raises:
        OutputError: it exists, or its folder may not be written.
    """
    check_output_path(path)
    if os.path.lexists(path):
        raise OutputError(
            f"{describe_path(path)} exists, and captions replace no file", "remove or rename it first"
        )


def write_captions(path: Path, cues: Iterable[Cue]) -> None:
    """Write a caption file, in the format of its ending. It appears complete or not at all, and replaces no file.

    Raises:
        OutputError: it exists or cannot be written.
    """
    check_caption_file(path)
    text = format_vtt(cues) if path.suffix == ".vtt" else format_srt(cues)
    try:
        with partial_file(path.parent) as partial:
            partial.write_text(text, encoding="utf-8")
            os.link(partial, path)  # unlike a rename, it never replaces
    except OSError as error:
        reason, remedy = describe_write_error(error.errno, error.strerror)
        raise OutputError(f"{describe_path(path)} cannot be written: {reason}", remedy) from error


def format_srt(cues: Iterable[Cue]) -> str:
    """SubRip: numbered, with a comma before the milliseconds."""
    return "".join(
        f"{number}\n{_format_span(cue, ',')}\n{chr(10).join(cue.lines)}\n\n"
        for number, cue in enumerate(cues, start=1)
    )


def format_vtt(cues: Iterable[Cue]) -> str:
    """WebVTT (W3C): signs that would begin a tag are escaped."""
    return "WEBVTT\n\n" + "".join(
        f"{_format_span(cue, '.')}\n{_escape_text(chr(10).join(cue.lines))}\n\n" for cue in cues
    )


def _escape_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _format_span(cue: Cue, point: str) -> str:
    return f"{_format_time(cue.start, point)} --> {_format_time(cue.end, point)}"


def _format_time(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
