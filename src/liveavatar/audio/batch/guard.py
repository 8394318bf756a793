"""Runs another program on a recording, repaired before where needed."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.rules import format_prepare_command
from liveavatar.audio.front_end import require_usable_recording, write_checked_speech
from liveavatar.errors import AudioError, OptionError
from liveavatar.files import describe_path, scratch_folder
from liveavatar.timeline import SAMPLE_RATE

AUDIO_PLACEHOLDER = "{audio}"
"""Replaced by the path of the recording."""

REPAIRED_NAME = "recording.wav"
"""Name of the repaired file. That of the recording may be a stranger's, and a program may read more into it."""

_FORWARDED_SIGNALS = frozenset(
    {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)
_SI_KERNEL = (
    0x80  # si_code of a signal from the Linux kernel, as by Ctrl-C: the whole process group has it already
)


def is_ready_recording(report: AudioReport) -> bool:
    """Whether the recording needs no repair and is a 16 kHz mono 16-bit WAV, which other programs read correctly."""
    info = report.info
    form = (info.container, info.codec, info.declared_rate, info.rate, info.channels)
    return form == ("wav", "pcm_s16le", SAMPLE_RATE, SAMPLE_RATE, 1) and not report.fixes


def require_ready_recording(report: AudioReport, instead: str) -> None:
    """Check that a recording can be read by any program as it is.

    Raises:
        AudioError: it needs repair, or is not 16 kHz mono; with what to do `instead`.
    """
    require_usable_recording(report, instead)
    info = report.info
    if (info.declared_rate, info.rate, info.channels) != (SAMPLE_RATE, SAMPLE_RATE, 1):
        problem = f"{describe_path(report.path.name)} is {info.rate} Hz with {info.channels_text}, not 16000 Hz mono"
        raise AudioError(problem, f"run: {format_prepare_command(report)}, or {instead}")


def run_guarded_command(report: AudioReport, command: Sequence[str], fix: bool = True) -> int:
    """Run `command` with the path of the recording in place of `{audio}`; gives its exit code.

    With `fix`, a recording that is not ready is repaired into a temporary file.

    The command runs without a shell. The program inherits input and output, signals are forwarded to it, and a program
    killed by signal n gives 128 + n, as in a shell.

    Raises:
        OptionError: `{audio}` is missing, or the program cannot be run.
        AudioError: the recording cannot be read.
    """
    if not any(AUDIO_PLACEHOLDER in part for part in command):
        raise OptionError(
            "the command does not say where the recording goes", f"write {AUDIO_PLACEHOLDER} in its place"
        )
    with ExitStack() as stack:
        audio = report.path.absolute()
        if fix and not is_ready_recording(report):
            audio = stack.enter_context(scratch_folder()) / REPAIRED_NAME
            write_checked_speech(report, audio)
        return _run_program([part.replace(AUDIO_PLACEHOLDER, str(audio)) for part in command])


def _run_program(command: list[str]) -> int:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_FORWARDED_SIGNALS, signal.SIGCHLD})

    def unblock_signals() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        program = subprocess.Popen(command, preexec_fn=unblock_signals)  # noqa: PLW1509  (it calls no lock)
        return _wait_forwarding_signals(program)
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise OptionError(
            f"{describe_path(command[0])} cannot be run: {reason}", "check the name of the program"
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait_forwarding_signals(program: "subprocess.Popen[bytes]") -> int:
    """Forward signals until the program ends; gives its exit code."""
    while (code := program.poll()) is None:
        received = signal.sigwaitinfo({*_FORWARDED_SIGNALS, signal.SIGCHLD})
        if received.si_signo in _FORWARDED_SIGNALS and received.si_code != _SI_KERNEL:
            os.kill(program.pid, received.si_signo)
    return 128 - code if code < 0 else code
