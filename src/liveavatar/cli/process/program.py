"""Runs the command that was asked for; every failure becomes one line on stderr and an exit code."""

import logging
import sys
from typing import NoReturn

from liveavatar.cli.app import app
from liveavatar.cli.process.streams import safe_messages, safe_results
from liveavatar.errors import LiveAvatarError
from liveavatar.files import describe_path, describe_write_error


def run_program() -> None:
    """Run the program and exit with its code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_StderrHandler()])
    with safe_messages():
        try:
            with safe_results():
                app()
        except LiveAvatarError as error:
            _exit_with_error(error)
        except OSError as error:
            _exit_with_error(_explain_system_error(error))
        except MemoryError:
            _exit_with_error(LiveAvatarError("there is not enough memory", "close other programs"))


class _StderrHandler(logging.Handler):
    """Prints log messages on stderr, above any progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        _print_line(self.format(record))


def _exit_with_error(error: LiveAvatarError) -> NoReturn:
    _print_line(str(error), "error:", "bold red")
    sys.exit(error.exit_code)


def _explain_system_error(error: OSError) -> LiveAvatarError:
    """An error of the system that no room expects: a limit of the process, or a disk that fails."""
    reason, remedy = describe_write_error(error.errno, error.strerror or str(error))
    if isinstance(error, PermissionError):  # to read as well as to write
        reason, remedy = (error.strerror or "permission denied").lower(), "change the permissions"
    place = f"{describe_path(str(error.filename))}: " if error.filename else ""
    return LiveAvatarError(f"{place}{reason}", remedy)


def _print_line(text: str, label: str = "", style: str = "") -> None:
    from liveavatar.cli.output import print_message  # imports Rich, which a fast start does without

    print_message(text, label, style)
