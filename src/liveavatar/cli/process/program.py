"""Runs the command that was asked for; every failure becomes one line on stderr and an exit code."""

import logging
import sys
from typing import NoReturn

from liveavatar.cli.app import app
from liveavatar.cli.process.streams import safe_messages, safe_results
from liveavatar.errors import LiveAvatarError
from liveavatar.files import explain_system_error

_NO_MEMORY = "failed to map segment"
"""What the loader of glibc and musl says of a library for which there is no room."""


def run_program() -> None:
    """Run the program and exit with its code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_StderrHandler()])
    with safe_messages():
        try:
            with safe_results():
                app()
        except LiveAvatarError as error:
            _exit_with_error(error)
        except (OSError, MemoryError) as error:
            _exit_with_error(explain_system_error(error))
        except ImportError as error:
            _exit_with_error(_explain_import_error(error))


class _StderrHandler(logging.Handler):
    """Prints log messages on stderr, above any progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        _print_line(self.format(record))


def _exit_with_error(error: LiveAvatarError) -> NoReturn:
    _print_line(str(error), "error:", "bold red")
    sys.exit(error.exit_code)


def _explain_import_error(error: ImportError) -> LiveAvatarError:
    """A package that the program needs is damaged or missing, or there is no memory for its libraries."""
    if _NO_MEMORY in str(error):
        return explain_system_error(MemoryError())
    return LiveAvatarError(
        f"a part of the program cannot be loaded: {error}", "run: pip install --force-reinstall liveavatar"
    )


def _print_line(text: str, label: str = "", style: str = "") -> None:
    from liveavatar.cli.output import print_message  # imports Rich, which a fast start does without

    print_message(text, label, style)
