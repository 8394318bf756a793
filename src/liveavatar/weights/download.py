"""Download from the hub: files, of which a partial one is resumed by an HTTP range request, and descriptions in JSON.

Every answer has a size cap. So the bodies of refusals are not read: `hf_raise_for_status` would read all of them.
"""

import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from liveavatar.errors import WeightsError
from liveavatar.weights.bounded import BoundedSink, SizeExceeded

FetchedBytesCallback = Callable[[int], None]
"""Called with the number of bytes received since the last call; negative when a partial file is discarded."""

HUB_TIMEOUT_SECONDS = 30
"""Longest wait for the server to connect or to send data."""

MAX_JSON_BYTES = 1 << 24
"""Of a description; a repository with 10,000 files has about 4 MB."""

_LOG = logging.getLogger(__name__)
_MAX_FAILURES = 5  # attempts in a row that receive nothing
_RETRY_PAUSE_SECONDS = 0.5  # before the second attempt; doubled for each further one


def download_file(url: str, part: Path, size: int, on_bytes: FetchedBytesCallback) -> None:
    """Append to `part` what it lacks of the `size` bytes at `url`. On failure it keeps what has been received.

    Raises:
        WeightsError: the hub refuses, cannot be reached five times in a row, or sends more than `size` bytes.
    """
    failures = 0
    while (received := _file_size(part)) < size:
        try:
            error = _attempt_download(url, part, size, on_bytes)
        except SizeExceeded as exceeded:
            part.unlink()
            raise WeightsError(
                f"{url} is not the file it was: {exceeded}", "try again later, or report it"
            ) from None
        failures = 0 if _file_size(part) > received else failures + 1
        if failures == _MAX_FAILURES or _is_refusal(error):
            raise build_unreachable_error(url, error) from error
        if error:
            _LOG.info("%s stopped after %d bytes (%s); resuming", part.name, _file_size(part), error)
            time.sleep(_RETRY_PAUSE_SECONDS * 2**failures)


def download_json(url: str) -> Any:
    """The JSON value at `url`.

    Raises:
        WeightsError: the hub refuses or cannot be reached, or what it sends is no JSON, or over 16 MiB.
    """
    body = BytesIO()
    sink = BoundedSink(body, MAX_JSON_BYTES)
    try:
        with _request_stream(url, {}) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                sink.write(chunk)
        return json.loads(body.getvalue())
    except import_huggingface_hub().errors.HTTPError as error:
        raise build_unreachable_error(url, error) from error
    except (SizeExceeded, ValueError, RecursionError) as error:
        problem = f"{url} is no description of a model: {error}"
        raise WeightsError(problem, "check HF_ENDPOINT, or try again later") from error


def import_huggingface_hub() -> ModuleType:
    """Import huggingface_hub, which only the extra `dit` installs.

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
    """The error for a hub that does not answer, or refuses."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0] if error else "nothing came"
    return WeightsError(
        f"cannot fetch {what} ({reason})",
        "check the network, HF_ENDPOINT and, where the model asks for it, HF_TOKEN; then run the same command again",
    )


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _is_refusal(error: Exception | None) -> bool:
    """Whether the hub refuses: a client error other than 408 (timeout) and 429 (too many requests)."""
    response = getattr(error, "response", None)
    return (
        response is not None and 400 <= response.status_code < 500 and response.status_code not in {408, 429}
    )


def _attempt_download(url: str, part: Path, size: int, on_bytes: FetchedBytesCallback) -> Exception | None:
    try:
        _stream_to_part(url, part, size, on_bytes)
    except import_huggingface_hub().errors.HTTPError as error:
        return cast("Exception", error)
    return None


def _request_stream(url: str, headers: dict[str, str]) -> AbstractContextManager[Any]:
    """A GET request whose response, of httpx, is read piece by piece."""
    hub = import_huggingface_hub()
    sent = {**hub.utils.build_hf_headers(), "Accept-Encoding": "identity", **headers}
    stream: AbstractContextManager[Any] = hub.get_session().stream(
        "GET", url, headers=sent, follow_redirects=True, timeout=HUB_TIMEOUT_SECONDS
    )
    return stream


def _stream_to_part(url: str, part: Path, size: int, on_bytes: FetchedBytesCallback) -> None:
    received_bytes = _file_size(part)
    with _request_stream(url, {"Range": f"bytes={received_bytes}-"}) as response:
        response.raise_for_status()
        resumed = response.status_code == 206
        with part.open("ab" if resumed else "wb") as file:
            sink = BoundedSink(file, size - received_bytes if resumed else size)
            on_bytes(0 if resumed else -received_bytes)
            for chunk in response.iter_bytes():
                sink.write(chunk)
                on_bytes(len(chunk))
