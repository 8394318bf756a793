"""Runs a session in threads of its own, beside whatever loop serves it.

One thread keeps the clock: it makes frames when they are due, encodes and publishes them. A session that draws in
blocks gets a second thread for that, so that a block's frames go out while the next block is drawn.
"""

import logging
from threading import Event, Thread

from liveavatar.errors import LiveAvatarError
from liveavatar.live.session import LiveSession

_LOG = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
_JOIN_SECONDS = 10.0


class SessionRunner:
    """The threads of one session. `start` and `stop` may be called from any other thread, each once."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        session.draws_elsewhere = session.block_frames > 1
        self._stopping = Event()
        self._threads = [Thread(target=self._keep_clock, name="live-clock", daemon=True)]
        if session.draws_elsewhere:
            self._threads.append(Thread(target=self._draw_blocks, name="live-drawing", daemon=True))

    def start(self) -> None:
        """Start the clock."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close the session and wait for its threads: at most for the frame, or the step of a block, being drawn."""
        self._end_session("")
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    @property
    def is_running(self) -> bool:
        """Whether any thread runs."""
        return any(thread.is_alive() for thread in self._threads)

    def _keep_clock(self) -> None:
        reason = "the live session failed"
        try:
            while not self._session.is_closed:
                self._session.clock.wait_until(self._session.next_due_time, self._stopping)
                if not self._session.advance() and self._session.draws_elsewhere:
                    self._session.drawer.wait_for_frame(_POLL_SECONDS)
            reason = ""
        except LiveAvatarError as error:
            reason = str(error)
            _LOG.error("a live session ended: %s", error)
        finally:
            self._end_session(reason)

    def _draw_blocks(self) -> None:
        reason = "the live session failed"
        try:
            while not self._session.is_closed:
                if not self._session.drawer.draw_frame():
                    self._session.drawer.wait_for_sound(_POLL_SECONDS)
            reason = ""
        except LiveAvatarError as error:
            reason = str(error)
            _LOG.error("a live session ended: %s", error)
        finally:
            self._end_session(reason)

    def _end_session(self, reason: str) -> None:
        self._stopping.set()
        self._session.close(reason)
