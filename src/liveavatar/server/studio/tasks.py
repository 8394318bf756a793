"""The tasks of a worker process: what is to be done, as plain values, and one function that does it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from liveavatar.audio.batch.worker_process import Report
from liveavatar.engine import Engine, open_actor
from liveavatar.engines import open_engine
from liveavatar.errors import LiveAvatarError
from liveavatar.face.portrait import load_portrait
from liveavatar.files import describe_path, explain_system_error
from liveavatar.generate import Result, render_video
from liveavatar.provenance.policy import ALL_MARKS, MarkPolicy
from liveavatar.server.http.errors import name_error
from liveavatar.server.studio.lip_check import check_lips
from liveavatar.server.studio.portrait_check import inspect_picture
from liveavatar.server.studio.speech_check import inspect_recording
from liveavatar.server.studio.spoken_text import speak_text
from liveavatar.timeline import parse_fps
from liveavatar.video.formats import EncodingOptions

_STAGE_STEP = 0.01
"""Progress is reported when this share more is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitTask:
    """Check the picture `path`, and write what is shown of it to `picture`."""

    path: Path
    name: str
    picture: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTask:
    """Check the recording `path`, which may last `max_seconds`."""

    path: Path
    name: str
    max_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTask:
    """Speak `text` into `path`, and check that as `SpeechTask` does."""

    text: str
    voice: str
    path: Path
    name: str
    max_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderTask:
    """Make `video`, and draw its lips and sound into `sync_plot`."""

    portrait: Path
    speech: Path
    video: Path
    sync_plot: Path
    names: dict[str, str]
    engine: str
    options: dict[str, object]
    size: tuple[int, int] | None
    fps: str
    seed: int
    quality: str
    marks: MarkPolicy = field(default_factory=lambda: ALL_MARKS)


Task = PortraitTask | SpeechTask | TextTask | RenderTask


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """The result of a task whose input cannot be used."""

    code: str
    problem: str
    remedy: str


def perform_task(task: Task, report: Report) -> dict[str, Any] | TaskFailure:
    """Do a task in a worker process. Errors call files by the names that their owner knows."""
    try:
        match task:
            case PortraitTask():
                return inspect_picture(task.path, task.name, task.picture)
            case SpeechTask():
                return inspect_recording(task.path, task.name, task.max_seconds)
            case TextTask():
                speak_text(task.text, task.voice, task.path)
                return inspect_recording(task.path, task.name, task.max_seconds)
            case RenderTask():
                return _render_order(task, report)
    except (OSError, MemoryError) as error:
        return _describe_failure(explain_system_error(error), task)
    except LiveAvatarError as error:
        return _describe_failure(error, task)


def _render_order(task: RenderTask, report: Report) -> dict[str, Any]:
    """Render the video, report it, then check its lips."""
    report({"stage": "portrait", "share": 0.0})
    engine = _open_engine_once(task.engine, tuple(sorted(task.options.items())))
    actor = open_actor(engine, load_portrait(task.portrait), task.size)
    report({"stage": "speech", "share": 0.0})
    result = render_video(
        actor,
        task.speech,
        task.video,
        fps=parse_fps(task.fps),
        seed=task.seed,
        policy="fix",
        marks=task.marks,
        encoding=EncodingOptions(quality=task.quality),
        on_progress=_report_frames(report),
    )
    facts = _describe_video(result, actor.size)
    report({"stage": "lips", "share": 0.0, "video": facts})
    return facts | {"lips": check_lips(task.video, task.sync_plot, task.names["video"])}


@lru_cache(maxsize=2)
def _open_engine_once(name: str, options: tuple[tuple[str, object], ...]) -> Engine:
    """The engine with these options; the newest two stay loaded."""
    return open_engine(name, dict(options))


def _report_frames(report: Report) -> Callable[[int, int], None]:
    reported = 0.0

    def report_frame(done: int, total: int) -> None:
        nonlocal reported
        if done == total or done / total >= reported + _STAGE_STEP:
            reported = done / total
            report({"stage": "frames", "share": reported})

    return report_frame


def _describe_video(result: Result, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "frames": result.frames,
        "fps": str(result.fps),
        "width": size[0],
        "height": size[1],
        "seconds": round(result.frames / float(result.fps), 3),
        "render_seconds": round(result.seconds, 2),
        "real_time_factor": round(result.real_time_factor, 2),
        "bytes": result.output.stat().st_size,
        "mended": list(result.audio.fixes),
        "marks": result.marks.sentence,
    }


def _describe_failure(error: LiveAvatarError, task: Task) -> TaskFailure:
    names = _list_names(task)
    return TaskFailure(
        code=name_error(error),
        problem=call_by_names(error.problem, names),
        remedy=call_by_names(error.remedy.removesuffix("; or draw it all the same with --force"), names),
    )


def _list_names(task: Task) -> dict[Path, str]:
    if isinstance(task, RenderTask):
        return {getattr(task, kind): name for kind, name in task.names.items()}
    return {task.path: task.name}


def call_by_names(text: str, names: dict[Path, str]) -> str:
    """`text` with paths of this server replaced by the names that their owner knows."""
    for path, name in names.items():
        text = text.replace(describe_path(path), name).replace(path.name, name)
    return text
