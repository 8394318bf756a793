"""The command line: one module a command.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 a check found something to mend,
2 bad input or usage, 130 interrupted, 143 terminated.
"""

import logging
import signal
import sys
from types import FrameType
from typing import NoReturn

from rich.logging import RichHandler
from rich.markup import escape

from liveavatar.cli.app import app
from liveavatar.cli.progress import stderr
from liveavatar.errors import LiveAvatarError


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    """Ctrl-C and a polite kill unwind everything, so that nothing half-written stays."""
    stderr.print("interrupted; nothing was left behind")
    raise SystemExit(128 + number)


def main() -> None:
    """Run the program and leave with its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    handler = RichHandler(console=stderr, show_time=False, show_path=False, show_level=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    try:
        app()
    except LiveAvatarError as error:
        stderr.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
