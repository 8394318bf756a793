"""The command line: one module for each command.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 a check found something to fix,
2 bad input or usage, 130 interrupted (SIGINT), 143 terminated (SIGTERM).
"""

import logging
import signal
import sys
from types import FrameType
from typing import NoReturn

from liveavatar.cli.app import app
from liveavatar.errors import LiveAvatarError


def _print_message(text: str, label: str = "", style: str = "") -> None:
    from liveavatar.cli.output import print_message  # imports Rich, which a fast start does without

    print_message(text, label, style)


class _StderrHandler(logging.Handler):
    """Prints log messages on stderr, above any progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        _print_message(self.format(record))


def _exit_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    """Unwind the stack on SIGINT and SIGTERM, so that partial files are removed."""
    _print_message("interrupted; nothing was left behind")
    raise SystemExit(128 + number)


def main() -> None:
    """Run the program and exit with its code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_on_signal)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_StderrHandler()])
    try:
        app()
    except LiveAvatarError as error:
        _print_message(str(error), "error:", "bold red")
        sys.exit(error.exit_code)
