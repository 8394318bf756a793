"""A live session for an event loop: its messages are awaited, and speech waits for a place in its queue."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.io.live_chunk import LiveChunk
from liveavatar.errors import EngineError, SpeechQueueFull
from liveavatar.live.messages import LiveFrame, LiveMessage, SessionEnded
from liveavatar.live.runner import SessionRunner
from liveavatar.live.segments import SpeechSegment
from liveavatar.live.session import LiveSession
from liveavatar.live.viewers import Viewer

_RETRY_SECONDS = 0.05


class LiveMessageStream:
    """The frames and events of one session, which runs while the stream is entered (`async with`).

    It is the only one that may interrupt the session.
    """

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._viewer = Viewer(wants_frames=True, on_ready=self._announce_messages)
        self._runner = SessionRunner(session)
        self._loop = asyncio.get_running_loop()
        self._has_messages = asyncio.Event()
        self._waiting: deque[LiveMessage] = deque()
        self._generation = 0

    async def __aenter__(self) -> Self:
        self._session.add_viewer(self._viewer)
        self._runner.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._session.close()  # at once: what is awaited below may be cancelled
        self._session.remove_viewer(self._viewer)
        await asyncio.to_thread(self._runner.stop)

    def open_segment(self) -> SpeechSegment:
        """Open a segment of speech behind those that wait.

        Raises:
            SessionClosed: the session has ended.
        """
        return self._session.open_segment()

    async def push_speech(self, segment: SpeechSegment, chunk: LiveChunk, rate: float) -> bool:
        """Add sound to a segment as `SpeechSegment.push` does, as soon as the queue has a place for it.

        Returns False if the segment was interrupted.

        Raises:
            AudioError: the rate, type or shape is not supported.
            SpeechQueueFull: the chunk alone exceeds the queue.
            SessionClosed: the segment has ended.
        """
        while True:
            try:
                return segment.push(chunk, rate)
            except SpeechQueueFull:
                if not self._session.queued_seconds:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    def interrupt(self) -> None:
        """Stop speaking. No frame from before is read after this."""
        self._session.interrupt()
        self._generation += 1

    def is_stale(self, live: LiveFrame) -> bool:
        """Whether a frame is from before an interruption."""
        return live.generation < self._generation

    async def read_messages(self) -> AsyncIterator[LiveMessage]:
        """Messages in their order, until the session ends.

        A frame without speech is left out when a newer one waits: so a reader that was late catches up.

        Raises:
            EngineError: the session has failed.
        """
        while await self._wait_for_message():
            message = self._waiting.popleft()
            if isinstance(message, SessionEnded) and message.reason:
                raise EngineError("the live session ended", message.reason)
            if not isinstance(message, LiveFrame) or not self._is_dispensable(message):
                yield message

    def _is_dispensable(self, live: LiveFrame) -> bool:
        if self.is_stale(live):
            return True
        return not live.speech_count and any(isinstance(other, LiveFrame) for other in self._waiting)

    async def _wait_for_message(self) -> bool:
        self._waiting.extend(self._viewer.take_messages())
        while not self._waiting and not self._viewer.is_ended:
            self._has_messages.clear()
            await self._has_messages.wait()
            self._waiting.extend(self._viewer.take_messages())
        return bool(self._waiting)

    def _announce_messages(self) -> None:
        self._loop.call_soon_threadsafe(self._has_messages.set)


def quantise_speech(live: LiveFrame) -> NDArray[np.int16]:
    """The speech that is heard with a frame, without the silence behind it: [samples] at 48 kHz."""
    samples = np.rint(live.sound[: live.speech_count] * 32767)
    return np.asarray(np.clip(samples, -32768, 32767), np.int16)
