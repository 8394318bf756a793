"""A portrait and a recording in, an mp4 out: the story of the product on one page."""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.report_json import format_report_tag
from liveavatar.audio.front_end import RepairPolicy, read_speech, write_checked_speech
from liveavatar.engine import Actor, Session
from liveavatar.errors import EngineError, OutputError
from liveavatar.frames import Samples, VideoFrame
from liveavatar.timeline import Timeline
from liveavatar.video.writer import VideoWriter

ProgressCallback = Callable[[int, int], None]
"""Called with the frames done and the frames in all."""


VIDEO_TAGS = {"comment": "Made with liveavatar: this person was animated by a program."}
"""Written into every video: a synthetic person should be known as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one run did. Times in seconds of wall clock; `peak_memory` in bytes, of the whole process."""

    output: Path
    frames: int
    fps: Fraction
    seconds: float
    first_frame: float
    peak_memory: int
    audio: AudioReport

    @property
    def speed(self) -> float:
        """Frames made in a second."""
        return self.frames / self.seconds

    @property
    def real_time_factor(self) -> float:
        """Seconds of video made in a second."""
        return self.speed / float(self.fps)


def render_video(
    actor: Actor,
    audio: Path,
    output: Path,
    *,
    fps: Fraction,
    seed: int,
    policy: RepairPolicy,
    on_progress: ProgressCallback = lambda _done, _total: None,
    on_report: Callable[[AudioReport], None] = lambda _report: None,
) -> Result:
    """Make `actor` speak `audio` and write `output`, which appears whole or not at all.

    `heard` is told what the recording is like before the first frame is made, `progress` after each.

    Raises:
        AudioError: the recording cannot be read, or `policy` is strict and it needs mending.
        EngineError: the engine failed; the frames so far are in a whole video whose name ends in `.partial.mp4`.
        OutputError: the video cannot be written.
    """
    if output.exists() and output.samefile(audio):
        raise OutputError(f"{output} is the recording itself", "choose another name for the video")
    report, sound = read_speech(audio, policy)
    on_report(report)
    total = Timeline(fps=fps, rate=report.info.rate).frame_count(report.sample_count)
    # At 16 kHz the end may have been rounded down past the start of the last frame: a breath of silence brings it back.
    missing = Timeline(fps=fps).frame_start(total - 1) + 1 - report.speech_sample_count
    sound = chain(sound, [np.zeros(max(0, missing), np.float32)])
    started = time.perf_counter()
    first_frame = 0.0
    tags = VIDEO_TAGS | {"audio_report": format_report_tag(report)}
    with open_playable_recording(report) as own:
        writer = VideoWriter(output, fps, actor.size, sound=own, metadata=tags, salvage_on=(EngineError,))
        with name_partial_video(writer), writer:
            for frame in stream_frames(actor.session(fps, seed), sound):
                if frame.pts == 0:
                    first_frame = time.perf_counter() - started
                if frame.pts < total:
                    writer.write(frame.rgb)
                    on_progress(frame.pts + 1, total)
    return Result(
        output=output,
        frames=total,
        fps=fps,
        seconds=time.perf_counter() - started,
        first_frame=first_frame,
        peak_memory=measure_peak_memory(),
        audio=report,
    )


@contextmanager
def name_partial_video(writer: VideoWriter) -> Iterator[None]:
    """Let an error of the engine say where the frames so far are, if there are any."""
    try:
        yield
    except EngineError as error:
        if not writer.is_salvaged:
            raise
        raise EngineError(
            f"{error.problem}; the frames so far are in {writer.partial_path}", error.remedy
        ) from error


@contextmanager
def open_playable_recording(report: AudioReport) -> Iterator[Path]:
    """The recording for the video: itself, but where its header tells a wrong rate, one that plays on time."""
    if report.info.rate == report.info.declared_rate:
        yield report.path
        return
    with tempfile.TemporaryDirectory(prefix="liveavatar-") as folder:
        playable = Path(folder) / "sound.wav"
        write_checked_speech(report, playable)
        yield playable


def stream_frames(session: Session, sound: Iterable[Samples]) -> Iterator[VideoFrame]:
    """Every frame of a session that hears `sound` (16 kHz mono chunks) and then its end."""
    for samples in sound:
        session.push(samples)
        yield from session.frames()
    session.flush()
    yield from session.frames()


def measure_peak_memory() -> int:
    """Largest resident set of this process so far, bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the program that started this one had needed
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
