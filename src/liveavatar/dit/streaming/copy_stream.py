"""Copies between host and device that run beside the computation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
