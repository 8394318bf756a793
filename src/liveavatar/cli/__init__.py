"""The command line: one module a command.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 a check found something to mend,
2 bad input or usage, 130 interrupted, 143 terminated.
"""

import logging
import signal
import sys
from types import FrameType
from typing import NoReturn

from liveavatar.cli.app import app
from liveavatar.errors import LiveAvatarError


def _print_message(text: str) -> None:
    """One line on stderr, beside whatever bar runs there."""
    from liveavatar.cli.progress import stderr_console

    stderr_console.print(text, markup=False, highlight=False, soft_wrap=True)


class _StderrHandler(logging.Handler):
    """Says what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say one message."""
        _print_message(self.format(record))


def _exit_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    """Ctrl-C and a polite kill unwind everything, so that nothing half-written stays."""
    _print_message("interrupted; nothing was left behind")
    raise SystemExit(128 + number)


def main() -> None:
    """Run the program and leave with its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_on_signal)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_StderrHandler()])
    try:
        app()
    except LiveAvatarError as error:
        from liveavatar.cli.progress import stderr_console

        stderr_console.print("[bold red]error:[/]", end=" ")
        _print_message(str(error))
        sys.exit(error.exit_code)
