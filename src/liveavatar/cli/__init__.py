"""The command line. `commands` has one module for each command.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 a check found something to fix,
2 bad input or usage, 129 hung up (SIGHUP), 130 interrupted (SIGINT), 141 nobody reads the results (SIGPIPE),
143 terminated (SIGTERM).
"""

import os

from liveavatar.cli.process.signals import SignalExit

_STANDARD_DESCRIPTORS = range(3)  # input, output, errors


def main() -> None:
    """Run the program and exit with its code. Signals are heard before anything large is imported."""
    occupy_standard_descriptors()
    with SignalExit():
        from liveavatar.cli.process.program import run_program

        run_program()


def occupy_standard_descriptors() -> None:
    """Open those that the caller closed, on nothing: else a video could get number 2, and messages go into it."""
    for descriptor in _STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
