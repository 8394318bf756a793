"""The size cap of everything that is fetched: what arrives, or inflates, beyond it is not written."""

from typing import BinaryIO


class SizeExceeded(Exception):  # noqa: N818  named for what happened
    """More bytes came than the file has."""


class BoundedSink:
    """A file that is written up to `limit` bytes.

    It sits behind whatever inflates, such as gzip on the way or the member of a zip, so a small download that inflates
    without end stops here.
    """

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._room = limit
        self._limit = limit

    def write(self, data: bytes) -> int:
        """Write `data`.

        Raises:
            SizeExceeded: the file would grow beyond the limit.
        """
        if len(data) > self._room:
            raise SizeExceeded(f"more than {self._limit:,} bytes came")
        self._room -= len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()
