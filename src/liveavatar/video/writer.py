"""Write a video: encoding runs on its own thread, and the file appears complete or not at all."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.dsp.playback_repair import NO_REPAIR, PlaybackRepair
from liveavatar.errors import OptionError, OutputError
from liveavatar.files import (
    atomic_write,
    check_output_path,
    describe_path,
    describe_write_error,
    publish_file,
    shorten_name,
)
from liveavatar.frames import Picture
from liveavatar.partials import partial_file
from liveavatar.video.encoder import VideoFileEncoder
from liveavatar.video.formats import DEFAULT_ENCODING, EncodingOptions, choose_format

_MAX_PENDING = 8  # pictures queued for the encoder: evens out the two threads at little memory


class _DiscardFile(Exception):  # noqa: N818  no error: it ends `atomic_write` without a file
    pass


class VideoWriter:
    """A video at `fps` of `size` (width, height; both even) with the sound of the file `sound`.

    `sound_track` is the number of its track, from 1; None is the one that players play; `sound_repair` is
    applied to its samples.

    ```
    with VideoWriter("out.mp4", Fraction(25), (512, 512), sound) as writer:
        writer.write(rgb)
    ```
    Frame i is shown at i/fps seconds. The sound starts with frame 0 and is cut at the end of the last frame.
    Until the block ends without an exception, the file has a temporary name in the same folder; on any exception it
    is removed. On an exception of a type in `salvage_on`, the frames so far become a complete video at
    `partial_path`, whose name is new and ends in `.partial.mp4` (or the like), and `is_salvaged` is True. `metadata`
    becomes tags of the file. The container follows from the ending of the name, the codec from `encoding`; with
    `has_alpha`, pictures have an opacity. `seal(encoded, sealed)`, if given, writes the complete video `encoded` into
    the empty file `sealed`, signed or so; that is what gets the name. It may raise OSError.

    Raises:
        OptionError: the size is odd or empty, or there is no such codec or quality (see `choose_format`).
        OutputError: the file cannot be written (see `check_output_path` and `choose_format`), or there were no frames.
        AudioError: the sound cannot be read.
    """

    def __init__(
        self,
        path: str | Path,
        fps: Fraction,
        size: tuple[int, int],
        sound: str | Path | None = None,
        metadata: Mapping[str, str] | None = None,
        salvage_on: tuple[type[Exception], ...] = (),
        sound_track: int | None = None,
        sound_repair: PlaybackRepair = NO_REPAIR,
        encoding: EncodingOptions = DEFAULT_ENCODING,
        has_alpha: bool = False,
        seal: Callable[[Path, Path], None] | None = None,
    ) -> None:
        width, height = size
        if width % 2 or height % 2 or min(size) < 2:
            raise OptionError(f"a video cannot be {width}x{height}", "use even numbers")
        self._path = Path(path)
        self._encoding, self._has_alpha = encoding, has_alpha
        self._fps, self._size = fps, size
        self._sound = None if sound is None else Path(sound)
        self._sound_track, self._sound_repair = sound_track, sound_repair
        self._metadata = dict(metadata or {})
        self._salvage_on = salvage_on
        self._seal = seal
        self.partial_path = self._path
        self.is_salvaged = False
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        check_output_path(self._path, {} if self._sound is None else {"the recording": self._sound})
        video_format = choose_format(self._path, self._encoding, has_alpha=self._has_alpha)
        with ExitStack() as cleanup:
            self._temporary_path = self._encoded_path = cleanup.enter_context(atomic_write(self._path))
            with explain_write_errors(self._path):
                if self._seal is not None:
                    self._encoded_path = cleanup.enter_context(partial_file(self._path.parent))
                self._encoder = VideoFileEncoder(
                    self._encoded_path,
                    self._fps,
                    self._size,
                    self._sound,
                    self._metadata,
                    video_format,
                    self._sound_track,
                    self._sound_repair,
                )
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="video-encoder")
            cleanup.callback(self._stop_encoder)
            self._cleanup = cleanup.pop_all()
        return self

    def write(self, rgb: Picture, opacity: NDArray[np.uint8] | None = None) -> None:
        """Append a frame, uint8 [height, width, 3], and with `has_alpha` its opacity, uint8 [height, width].

        Both are copied. Blocks while eight frames wait for the encoder.
        """
        width, height = self._size
        if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
            expected = f"uint8 [{height}, {width}, 3]"
            raise ValueError(f"a picture must be {expected}, not {rgb.dtype} {list(rgb.shape)}")
        if (opacity is not None) != self._has_alpha or (
            opacity is not None and opacity.shape != rgb.shape[:2]
        ):
            raise ValueError("a picture has an opacity of its size if, and only if, the video has alpha")
        copy = None if opacity is None else opacity.copy()
        self._pending.append(self._executor.submit(self._encoder.add_picture, rgb.copy(), copy))
        self._wait_for_encoder(_MAX_PENDING)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(_DiscardFile), self._cleanup:
            if error is None:
                self._finish_file()
                return
            if isinstance(error, self._salvage_on) and (self._encoder.frame_count or self._pending):
                self._salvage_file()
            raise _DiscardFile

    def _wait_for_encoder(self, max_pending: int) -> None:
        """Block until at most `max_pending` tasks are queued. Errors of the encoder's thread are raised here."""
        with explain_write_errors(self._path):
            while len(self._pending) > max_pending:
                self._pending.popleft().result()

    def _finish_file(self) -> None:
        self._wait_for_encoder(0)
        if not self._encoder.frame_count:
            raise OutputError(f"{describe_path(self._path)} would have no frames", "write at least one")
        self._pending.append(self._executor.submit(self._encoder.finish))
        self._wait_for_encoder(0)
        if self._seal is not None:
            with explain_write_errors(self._path):
                self._seal(self._encoded_path, self._temporary_path)

    def _salvage_file(self) -> None:
        self._finish_file()
        self.partial_path = _choose_partial_video(self._path)
        with explain_write_errors(self.partial_path):
            publish_file(self._temporary_path, self.partial_path)
        self.is_salvaged = True

    def _stop_encoder(self) -> None:
        self._executor.shutdown(cancel_futures=True)
        self._encoder.close()


def _choose_partial_video(path: Path) -> Path:
    """`talk.partial.mp4`; `talk-2.partial.mp4` if that exists, and so on: no file is replaced."""
    for number in count(1):
        ending = f"{'' if number == 1 else f'-{number}'}.partial{path.suffix}"
        choice = path.with_name(shorten_name(path.stem, ending))
        if not os.path.lexists(choice):
            break
    return choice


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn errors of FFmpeg and the file system into an OutputError."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        reason, remedy = describe_write_error(error.errno, error.strerror)
        raise OutputError(f"{describe_path(path)} cannot be written: {reason}", remedy) from error
