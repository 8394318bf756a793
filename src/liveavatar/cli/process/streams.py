"""Standard output and error that take any text, and that fail with a sentence."""

import codecs
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, Literal, TextIO

from liveavatar.errors import OutputError
from liveavatar.files import describe_write_error

_PLAIN_CHARACTERS = {
    "…": "...",
    "→": "->",
    "×": "x",
    "—": "-",
    "–": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
_ERROR_HANDLER = "liveavatar.plain"  # name of the handler in the registry of codecs


@contextmanager
def safe_results() -> Iterator[None]:
    """Within the block, what stdout cannot show is replaced, and results that cannot be written are an error.

    Raises:
        OutputError: stdout is full.
        SystemExit: nobody reads stdout any more; the code is that of SIGPIPE.
    """
    with _replace_stream("stdout", ResultStream(sys.stdout)):
        yield


@contextmanager
def safe_messages() -> Iterator[None]:
    """Within the block, what stderr cannot show is replaced, and messages that cannot be written are lost."""
    with _replace_stream("stderr", MessageStream(sys.stderr)):
        yield


@contextmanager
def _replace_stream(name: Literal["stdout", "stderr"], replacement: "ResultStream") -> Iterator[None]:
    """Within the block, `replacement` is the stream of `sys`; then it is flushed."""
    before = getattr(sys, name)
    setattr(sys, name, replacement)
    try:
        yield
    finally:
        setattr(sys, name, before)
        replacement.flush()


class ResultStream:
    """A text stream whose first failure is an OutputError; after it, nothing is written any more."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        if isinstance(stream, TextIOWrapper):
            codecs.register_error(_ERROR_HANDLER, _replace_unencodable)
            stream.reconfigure(errors=_ERROR_HANDLER)

    def write(self, text: str) -> int:
        """Write text; without a stream, it is lost."""
        with self._explained_failures():
            return len(text) if self._stream is None else self._stream.write(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._explained_failures():
            if self._stream is not None:
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _explained_failures(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._discard_output()
            raise SystemExit(128 + signal.SIGPIPE) from None
        except OSError as error:
            self._discard_output()
            reason, _ = describe_write_error(error.errno, error.strerror)
            raise OutputError(
                f"the results cannot be written: {reason}", "write them to another place"
            ) from error

    def _discard_output(self) -> None:
        """Let the buffer go nowhere: Python flushes it once more at its end, and would fail again."""
        if self._stream is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


class MessageStream(ResultStream):
    """A text stream whose failures lose messages and nothing else: a full disk for a log stops no work."""

    @contextmanager
    def _explained_failures(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._discard_output()


def _replace_unencodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Signs in plain characters, and others escaped: an error handler of `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    plain = _PLAIN_CHARACTERS.get(error.object[error.start])
    if plain is not None:
        return plain, error.start + 1
    return codecs.backslashreplace_errors(error)
