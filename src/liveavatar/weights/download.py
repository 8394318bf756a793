"""Fetch one file from the hub, going on where an earlier attempt stopped, in this run or before it."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

from liveavatar.errors import WeightsError

FetchedBytesCallback = Callable[[int], None]
"""Told how many bytes more are there."""

HUB_TIMEOUT_SECONDS = 30
"""Seconds without an answer."""

_LOG = logging.getLogger(__name__)
_MAX_FAILURES = 5  # failures in a row, without a byte in between
_RETRY_PAUSE_SECONDS = 0.5  # seconds after the first failure, twice as many after each further one


def download_file(url: str, part: Path, size: int, on_bytes: FetchedBytesCallback) -> None:
    """Make `part` the `size` bytes at `url`, after those it has already. What arrived is kept when it fails.

    Raises:
        WeightsError: the hub refuses, or cannot be reached five times in a row.
    """
    failures = 0
    while (have := _file_size(part)) < size:
        error = _attempt_download(url, part, have, on_bytes)
        failures = 0 if _file_size(part) > have else failures + 1
        if failures == _MAX_FAILURES or _is_refusal(error):
            raise build_unreachable_error(url, error) from error
        if error:
            _LOG.info("%s stopped after %d bytes (%s); going on", part.name, _file_size(part), error)
            time.sleep(_RETRY_PAUSE_SECONDS * 2**failures)


def import_huggingface_hub() -> ModuleType:
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


def build_unreachable_error(what: str, error: Exception | None) -> WeightsError:
    """What to tell when the hub gives no answer, or no good one."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0] if error else "nothing came"
    return WeightsError(
        f"cannot fetch {what} ({reason})",
        "check the network, HF_ENDPOINT and, where the model asks for it, HF_TOKEN; then run the same command again",
    )


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _is_refusal(error: Exception | None) -> bool:
    """Whether the hub answered, and asking again would not help."""
    response = getattr(error, "response", None)
    return (
        response is not None and 400 <= response.status_code < 500 and response.status_code not in {408, 429}
    )


def _attempt_download(
    url: str, part: Path, received_bytes: int, on_bytes: FetchedBytesCallback
) -> Exception | None:
    try:
        _stream_to_part(url, part, received_bytes, on_bytes)
    except import_huggingface_hub().errors.HTTPError as error:
        return cast("Exception", error)
    return None


def _stream_to_part(url: str, part: Path, received_bytes: int, on_bytes: FetchedBytesCallback) -> None:
    utils = import_huggingface_hub().utils
    headers = {**utils.build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={received_bytes}-"}
    request = (
        import_huggingface_hub()
        .get_session()
        .stream("GET", url, headers=headers, follow_redirects=True, timeout=HUB_TIMEOUT_SECONDS)
    )
    with request as response:
        utils.hf_raise_for_status(response)
        resumed = response.status_code == 206
        with part.open("ab" if resumed else "wb") as sink:
            on_bytes(0 if resumed else -received_bytes)
            for chunk in response.iter_bytes():
                sink.write(chunk)
                on_bytes(len(chunk))
