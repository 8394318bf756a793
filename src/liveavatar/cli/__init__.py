"""The command line: one module a command.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 a check found something to mend,
2 bad input or usage, 130 interrupted, 143 terminated.
"""

import logging
import signal
import sys
from types import FrameType
from typing import NoReturn

import click
from rich.logging import RichHandler

from liveavatar.cli.app import app
from liveavatar.cli.progress import stderr
from liveavatar.errors import LiveAvatarError

INTERRUPTED, TERMINATED = 130, 143


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """A polite kill unwinds like Ctrl-C, so that nothing half-written stays."""
    raise SystemExit(TERMINATED)


def main() -> None:
    """Run the program and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    handler = RichHandler(console=stderr, show_time=False, show_path=False, show_level=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except LiveAvatarError as error:
        stderr.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        stderr.print("interrupted; nothing was left behind")
        code = INTERRUPTED
    sys.exit(code)
