"""From a portrait and a recording to a video: the whole of `liveavatar generate` on one page."""

import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.report_json import format_report_tag
from liveavatar.audio.analysis.rules import derive_playback_repair
from liveavatar.audio.dsp.playback_repair import NO_REPAIR, PlaybackRepair
from liveavatar.audio.front_end import RepairPolicy, read_speech, write_checked_speech
from liveavatar.background import TRANSPARENT, check_background, find_background_file, replace_background
from liveavatar.captions.cues import Cue
from liveavatar.captions.painter import CaptionedSession, CaptionPainter
from liveavatar.engine import Actor, Session, change_emotion, check_seed
from liveavatar.errors import EngineError
from liveavatar.files import check_output_path, scratch_folder
from liveavatar.frames import Samples, VideoFrame
from liveavatar.provenance.file_marks import SIGNED_CONTAINERS, AppliedMarks, prepare_file_marks
from liveavatar.provenance.frame_marker import FrameMarker, MarkedSession
from liveavatar.provenance.policy import ALL_MARKS, MarkPolicy
from liveavatar.timeline import Timeline
from liveavatar.video.formats import DEFAULT_ENCODING, EncodingOptions, choose_format
from liveavatar.video.writer import VideoWriter

ProgressCallback = Callable[[int, int], None]
"""Called with the frames done and the frames in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of one rendering.

    `seconds` and `first_frame` (its latency) are wall clock seconds. `peak_memory` is the largest resident set of the
    process, in bytes. `audio` says what was found in the recording and fixed, `marks` how the video says that a program
    made it.
    """

    output: Path
    frames: int
    fps: Fraction
    seconds: float
    first_frame: float
    peak_memory: int
    audio: AudioReport
    marks: AppliedMarks

    @property
    def speed(self) -> float:
        """Rendered frames a second."""
        return self.frames / self.seconds

    @property
    def real_time_factor(self) -> float:
        """Seconds of video rendered in a second."""
        return self.speed / float(self.fps)


def render_video(
    actor: Actor,
    audio: Path,
    output: Path,
    *,
    fps: Fraction,
    seed: int,
    policy: RepairPolicy,
    track: int | None = None,
    portrait: Path | None = None,
    marks: MarkPolicy = ALL_MARKS,
    encoding: EncodingOptions = DEFAULT_ENCODING,
    background: str | None = None,
    cues: Sequence[Cue] = (),
    emotion: str | None = None,
    on_progress: ProgressCallback = lambda _done, _total: None,
    on_report: Callable[[AudioReport], None] = lambda _report: None,
) -> Result:
    """Render `actor` speaking `audio` into the video `output`, which appears complete or not at all.

    `track` is the number of the recording's sound track, from 1; None is the one that players play. `portrait` is the
    picture's file, if there is one: like the recording, it is never replaced. `marks` are those that say that a program
    made the video. The ending of the output's name says the container; `encoding` is the codec in it and its quality.
    `background` is that of `replace_background`; `cues` are captions that are drawn into the frames; `emotion` replaces
    the engine's. `on_report` is called with the analysis of the recording before the first frame, `on_progress` after
    each frame.

    Raises:
        OptionError: `seed`, `policy`, `marks`, `encoding`, `background` or `emotion` has an unusable value, or no
            font here has the characters of `cues`.
        AudioError: the recording cannot be read, or `policy` is strict and it needs repair.
        EngineError: the engine failed; the frames so far are in a playable video whose name ends in `.partial.mp4`.
        OutputError: the video cannot be written, or its name promises no known format or is that of an input.
    """
    seed = check_seed(seed)
    check_video_output(output, audio, portrait, encoding, background)
    can_sign = output.suffix.lower() in SIGNED_CONTAINERS
    file_marks, marker = prepare_file_marks(marks, can_sign=can_sign), FrameMarker(actor.size, fps, marks)
    report, sound = read_speech(audio, policy, track=track)
    on_report(report)
    frame_count = Timeline(fps=fps, rate=report.info.rate).frame_count(report.sample_count)
    # At 16 kHz the end may be rounded down to before the start of the last frame; a few samples of silence restore it.
    missing_samples = Timeline(fps=fps).frame_start(frame_count - 1) + 1 - report.speech_sample_count
    actor = replace_background(actor, background)
    painter = CaptionPainter(cues, actor.size) if cues else None
    session: Session = actor.session(fps, seed)
    if emotion is not None:
        change_emotion(session, emotion)
    if painter is not None:
        session = CaptionedSession(session, painter)
    padded = chain(sound, [np.zeros(max(0, missing_samples), np.float32)])
    started = time.perf_counter()
    tags = {**file_marks.tags, "audio_report": format_report_tag(report)}
    with open_playable_recording(report, policy) as (file, file_track, repair):
        writer = VideoWriter(
            output,
            fps,
            actor.size,
            sound=file,
            metadata=tags,
            salvage_on=(EngineError,),
            sound_track=file_track,
            sound_repair=repair,
            encoding=encoding,
            has_alpha=background == TRANSPARENT,
            seal=file_marks.seal,
        )
        with name_partial_video(writer), writer:
            frames = stream_frames(MarkedSession(session, marker), padded)
            first_frame_at = _write_frames(writer, frames, frame_count, on_progress)
    return Result(
        output=output,
        frames=frame_count,
        fps=fps,
        seconds=time.perf_counter() - started,
        first_frame=first_frame_at - started,
        peak_memory=measure_peak_memory(),
        audio=report,
        marks=file_marks.applied,
    )


def check_video_output(
    output: Path,
    audio: Path | None,
    portrait: Path | None,
    encoding: EncodingOptions = DEFAULT_ENCODING,
    background: str | None = None,
) -> None:
    """Refuse, before any work is done, a video that cannot be written or would replace an input.

    Raises:
        OutputError: see `check_output_path` and `choose_format`.
        OptionError: see `choose_format` and `check_background`.
        PortraitError: the picture of the background cannot be read.
    """
    inputs = {
        "the recording": audio,
        "the portrait": portrait,
        "the background": find_background_file(background),
    }
    check_output_path(output, {name: path for name, path in inputs.items() if path is not None})
    choose_format(output, encoding, has_alpha=background == TRANSPARENT)
    check_background(background)


def _write_frames(
    writer: VideoWriter, frames: Iterable[VideoFrame], frame_count: int, on_progress: ProgressCallback
) -> float:
    """Write the first `frame_count` frames; returns the clock's time when the first one was there."""
    first_frame_at = 0.0
    for frame in frames:
        first_frame_at = first_frame_at or time.perf_counter()
        if frame.pts < frame_count:
            writer.write(frame.rgb, frame.opacity)
            on_progress(frame.pts + 1, frame_count)
    return first_frame_at


@contextmanager
def name_partial_video(writer: VideoWriter) -> Iterator[None]:
    """Add the path of the partial video, if there is one, to an error of the engine."""
    try:
        yield
    except EngineError as error:
        if not writer.is_salvaged:
            raise
        raise EngineError(
            f"{error.problem}; the frames so far are in {writer.partial_path}", error.remedy
        ) from error


@contextmanager
def open_playable_recording(
    report: AudioReport, policy: RepairPolicy
) -> Iterator[tuple[Path, int, PlaybackRepair]]:
    """Yield the file with the video's sound, the number of its track, and what has to be repaired in it.

    It is the recording, or a corrected copy if its header has a wrong rate.
    """
    if report.info.rate == report.info.declared_rate:
        repair = derive_playback_repair(report) if policy == "fix" else NO_REPAIR
        yield report.path, report.info.track, repair
        return
    with scratch_folder() as folder:
        playable = folder / "sound.wav"
        write_checked_speech(report, playable)
        yield playable, 1, NO_REPAIR


def stream_frames(session: Session, sound: Iterable[Samples]) -> Iterator[VideoFrame]:
    """Push chunks of 16 kHz mono sound into a session, then flush it; yields every frame as soon as it is ready."""
    for samples in sound:
        session.push(samples)
        yield from session.frames()
    session.flush()
    yield from session.frames()


def measure_peak_memory() -> int:
    """The largest resident set of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would include the peak of the parent process before exec
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024  # the line is in KiB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB on Linux
