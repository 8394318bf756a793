"""Copies between host and device that run beside the computation, and device buffers that they fill in turn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch

Key = TypeVar("Key")


class CopyStream:
    """A CUDA stream for copies; on other devices copies run at once."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @contextmanager
    def queue_copies(self) -> Iterator[None]:
        """Copies made inside run on this stream, after the work that is queued on the current stream by now."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            yield

    def record_event(self) -> torch.cuda.Event | None:
        """An event at the end of the copies queued so far."""
        return None if self._stream is None else self._stream.record_event()

    def wait_event(self, event: torch.cuda.Event | None) -> None:
        """Make what is queued on the current stream from now on wait for `event`."""
        if self._stream is not None and event is not None:
            torch.cuda.current_stream(self._stream.device).wait_event(event)


class BufferRotation(Generic[Key]):
    """What each of a few device buffers holds, and when its copy is done: one is read while another is filled.

    `copy(key, buffer)` queues the copies that bring what `key` names into the buffer of that number.
    """

    def __init__(self, stream: CopyStream, count: int) -> None:
        self._stream = stream
        self._contents: list[Key | None] = [None] * count
        self._events: list[torch.cuda.Event | None] = [None] * count

    def prefetch_content(self, key: Key, buffer: int, copy: Callable[[Key, int], None]) -> None:
        """Start to copy `key` into a buffer."""
        with self._stream.queue_copies():
            copy(key, buffer)
            self._events[buffer] = self._stream.record_event()
        self._contents[buffer] = key

    def load_content(self, key: Key, buffer: int, copy: Callable[[Key, int], None]) -> None:
        """Make what is computed next wait until the buffer holds `key`; copies it unless it was prefetched."""
        if self._contents[buffer] != key:
            self.prefetch_content(key, buffer, copy)
        self._stream.wait_event(self._events[buffer])
