"""Turns on a device that several sessions share. No torch here.

Sessions compute one at a time, a denoising step or a decoding each, since they share what streams weights from host
memory. The next turn goes to the session whose block is due first. A block is due one block's time after the one before
it, but not in the past: a session that falls behind, or was silent, gains no claim, and one that draws ahead of its
viewers waits for those that do not (L. Zhang, VirtualClock, SIGCOMM 1990). Sessions are not batched: docs/dit.md.
"""

import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition


class DeviceTurns:
    """The turns of one device. Everything may be called from any thread; a thread takes one turn at a time."""

    def __init__(self, read_time: Callable[[], float] = time.monotonic) -> None:
        self.read_time = read_time
        self._changed = Condition()
        self._waiting: list[tuple[float, int]] = []  # a heap of (due, ticket)
        self._tickets = itertools.count()
        self._is_taken = False

    @contextmanager
    def take_turn(self, due: float | None = None) -> Iterator[None]:
        """Wait until the device is free and nobody who waits is due earlier; None is due at once."""
        ticket = (self.read_time() if due is None else due, next(self._tickets))
        with self._changed:
            heapq.heappush(self._waiting, ticket)
            try:
                self._changed.wait_for(lambda: not self._is_taken and self._waiting[0] == ticket)
                self._is_taken = True
            finally:  # also when the wait is interrupted
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()


class SessionTurns:
    """The turns of one session."""

    def __init__(self, turns: DeviceTurns) -> None:
        self._turns = turns
        self._due = float("-inf")

    def begin_block(self, seconds: float) -> None:
        """The turns that follow belong to a block that lasts this long."""
        self._due = max(self._due + seconds, self._turns.read_time())

    @contextmanager
    def take_turn(self) -> Iterator[None]:
        """Compute on the device; others wait meanwhile."""
        with self._turns.take_turn(self._due):
            yield
