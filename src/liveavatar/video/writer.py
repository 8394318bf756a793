"""Writes the video: encoding on a thread of its own, and a file that appears whole or not at all."""

import errno
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np

from liveavatar.errors import OptionError, OutputError
from liveavatar.frames import Picture
from liveavatar.video.encoder import Mp4Encoder

_MAX_PENDING = 8  # pictures ahead of the encoder: enough to even out the two threads, small in memory
_ERRNO_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another folder"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another folder"),
    errno.EFBIG: ("the file may not grow that large", "raise the limit (ulimit -f) or choose another folder"),
    errno.EACCES: ("the folder may not be written", "choose another folder"),
    errno.EPERM: ("the folder may not be written", "choose another folder"),
    errno.EROFS: ("the folder may not be written", "choose another folder"),
}


class VideoWriter:
    """An mp4 at `fps` of `size` (width, height; both even) with the sound of the file `sound`.

    ```
    with VideoWriter("out.mp4", Fraction(25), (512, 512), sound) as writer:
        writer.write(rgb)
    ```
    Pictures are shown one after another from time 0; the sound starts with the first and is cut where the
    last ends. Until the block ends well the file has a temporary name beside its own; on any exception it
    is removed. On one of the kinds in `salvage` the pictures so far become a whole video of their own, `partial`,
    whose name ends in `.partial.mp4`. `metadata` becomes tags of the file.

    Raises:
        OptionError: the size is odd or empty.
        OutputError: the file cannot be written, or no picture was.
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
    ) -> None:
        width, height = size
        if width % 2 or height % 2 or min(size) < 2:
            raise OptionError(f"a video cannot be {width}x{height}", "use even numbers")
        self._path = Path(path)
        self._part_path = self._path.with_name(f".{self._path.name}.part-{os.getpid()}")
        self._fps, self._size = fps, size
        self._sound = None if sound is None else Path(sound)
        self._metadata = dict(metadata or {})
        self._salvage_on = salvage_on
        self.partial_path = self._path.with_name(f"{self._path.stem}.partial{self._path.suffix}")
        self.is_salvaged = False  # whether `partial` was written
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        _check_target_path(self._path)
        with self._remove_on_error(), _explain_errors(self._path):
            self._encoder = Mp4Encoder(self._part_path, self._fps, self._size, self._sound, self._metadata)
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="video-encoder")
        return self

    def write(self, rgb: Picture) -> None:
        """Add the next picture, uint8 [height, width, 3]; waits while the encoder is behind. It is copied."""
        width, height = self._size
        if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
            expected = f"uint8 [{height}, {width}, 3]"
            raise ValueError(f"a picture must be {expected}, not {rgb.dtype} {list(rgb.shape)}")
        self._pending.append(self._executor.submit(self._encoder.add_picture, rgb.copy()))
        self._wait_for_encoder(_MAX_PENDING)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        target = self._path if error is None else self._select_partial_path(error)
        with self._remove_on_error():
            try:
                if target is not None:
                    self._finish_file()
            finally:
                self._stop_encoder()
            if target is None:
                self._part_path.unlink(missing_ok=True)
            else:
                self._publish_file(target)
                self.is_salvaged = target is self.partial_path

    def _select_partial_path(self, error: BaseException) -> Path | None:
        """Where the pictures so far are kept, if this error leaves any."""
        begun = self._encoder.frame_count or self._pending
        return self.partial_path if isinstance(error, self._salvage_on) and begun else None

    def _wait_for_encoder(self, max_pending: int) -> None:
        """Let the encoder work until no more than `left` pictures wait; what it raised is raised here."""
        with _explain_errors(self._path):
            while len(self._pending) > max_pending:
                self._pending.popleft().result()

    def _finish_file(self) -> None:
        self._wait_for_encoder(0)
        if not self._encoder.frame_count:
            raise OutputError(f"{self._path} would have no frames", "write at least one")
        self._pending.append(self._executor.submit(self._encoder.finish))
        self._wait_for_encoder(0)

    def _stop_encoder(self) -> None:
        self._executor.shutdown(cancel_futures=True)
        self._encoder.close()

    def _publish_file(self, target: Path) -> None:
        with _explain_errors(target):
            with self._part_path.open("rb") as file:
                os.fsync(file.fileno())
            self._part_path.replace(target)

    @contextmanager
    def _remove_on_error(self) -> Iterator[None]:
        with ExitStack() as undo:
            undo.callback(self._part_path.unlink, missing_ok=True)
            yield
            undo.pop_all()


def _check_target_path(path: Path) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder", f"name a file, such as {path / 'out.mp4'}")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}", "create it first")


@contextmanager
def _explain_errors(path: Path) -> Iterator[None]:
    """Turn what FFmpeg and the file system say into an OutputError."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        unknown = (error.strerror or "unknown", "choose another folder")
        reason, remedy = _ERRNO_REASONS.get(error.errno or 0, unknown)
        raise OutputError(f"{path} cannot be written: {reason}", remedy) from error
