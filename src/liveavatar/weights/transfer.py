"""Fetch one file from the hub, going on where an earlier attempt stopped, in this run or before it."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

from liveavatar.errors import WeightsError

Advance = Callable[[int], None]
"""Told how many bytes more are there."""

TIMEOUT = 30
"""Seconds without an answer."""

_LOG = logging.getLogger(__name__)
_TRIES = 5  # failures in a row, without a byte in between
_PAUSE = 0.5  # seconds after the first failure, twice as many after each further one


def download(url: str, part: Path, size: int, advance: Advance) -> None:
    """Make `part` the `size` bytes at `url`, after those it has already. What arrived is kept when it fails.

    Raises:
        WeightsError: the hub refuses, or cannot be reached five times in a row.
    """
    failures = 0
    while (have := _size(part)) < size:
        error = _attempt(url, part, have, advance)
        failures = 0 if _size(part) > have else failures + 1
        if failures == _TRIES or _refused(error):
            raise unreachable(url, error) from error
        if error:
            _LOG.info("%s stopped after %d bytes (%s); going on", part.name, _size(part), error)
            time.sleep(_PAUSE * 2**failures)


def hub() -> ModuleType:
    """The library huggingface_hub.

    Raises:
        WeightsError: it is not installed.
    """
    try:
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise WeightsError(
            "huggingface_hub is not installed", "run: pip install 'liveavatar[dit]'"
        ) from error
    return huggingface_hub


def unreachable(what: str, error: Exception | None) -> WeightsError:
    """What to tell when the hub gives no answer, or no good one."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0] if error else "nothing came"
    return WeightsError(
        f"cannot fetch {what} ({reason})",
        "check the network, HF_ENDPOINT and, where the model asks for it, HF_TOKEN; then run the same command again",
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _refused(error: Exception | None) -> bool:
    """Whether the hub answered, and asking again would not help."""
    response = getattr(error, "response", None)
    return (
        response is not None and 400 <= response.status_code < 500 and response.status_code not in {408, 429}
    )


def _attempt(url: str, part: Path, have: int, advance: Advance) -> Exception | None:
    try:
        _stream(url, part, have, advance)
    except hub().errors.HTTPError as error:
        return cast("Exception", error)
    return None


def _stream(url: str, part: Path, have: int, advance: Advance) -> None:
    utils = hub().utils
    headers = {**utils.build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={have}-"}
    request = hub().get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT)
    with request as response:
        utils.hf_raise_for_status(response)
        resumed = response.status_code == 206
        with part.open("ab" if resumed else "wb") as sink:
            advance(0 if resumed else -have)
            for chunk in response.iter_bytes():
                sink.write(chunk)
                advance(len(chunk))
