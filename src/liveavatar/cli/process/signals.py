"""What SIGINT, SIGTERM and SIGHUP do: the stack is unwound, so that partial files are removed, and the process exits.

A handler only raises. It may run inside of an import, where printing could import more, and where libraries turn any
exception into an ImportError; so the message and the exit code come when everything is unwound.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STDERR = 2  # file descriptor
_RETRY_SECONDS = 0.001  # longer than the way out of a finalizer, shorter than anybody waits


class Interruption(BaseException):
    """A signal asks the process to stop."""


class SignalExit:
    """While the block runs, a signal unwinds it; then the process exits with 128 + the signal's number.

    During the unwinding, a second signal of a kind does nothing, a third one ends the process at once. After the block,
    its outcome is decided and signals change nothing any more. A SIGHUP that is ignored (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self._received: int | None = None

    def __enter__(self) -> Self:
        for number in _STOP_SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        signal.signal(signal.SIGALRM, self._interrupt_again)
        sys.unraisablehook = self._handle_unraisable
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in (*_STOP_SIGNALS, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        sys.unraisablehook = sys.__unraisablehook__
        if self._received is None:
            return
        with suppress(OSError):  # the terminal may be gone
            os.write(_STDERR, b"interrupted; nothing was left behind\n")
        raise SystemExit(128 + self._received)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        if self._received is None:
            self._received = number
            raise Interruption
        signal.signal(number, signal.SIG_DFL)

    def _handle_unraisable(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Python drops what is raised in a finalizer or a callback of C: raise it again when that is over."""
        if _comes_from_interruption(unraisable.exc_value):
            signal.setitimer(signal.ITIMER_REAL, _RETRY_SECONDS)
        else:
            sys.__unraisablehook__(unraisable)

    def _interrupt_again(self, _number: int, _frame: FrameType | None) -> None:
        raise Interruption


def _comes_from_interruption(error: BaseException | None) -> bool:
    """Whether an exception is an interruption, or what a library made of one."""
    while error is not None and not isinstance(error, Interruption):
        error = error.__cause__ or error.__context__
    return error is not None
