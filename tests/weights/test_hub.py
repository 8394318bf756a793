"""The hub is a server on the loopback; each test runs in its own cache."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants as hub_constants
import pytest

from liveavatar.errors import WeightsError
from liveavatar.weights import download
from liveavatar.weights.bundles import (
    WEIGHT_BUNDLES,
    HubRepository,
    WantedFiles,
    WeightBundle,
    find_weight_bundle,
)
from liveavatar.weights.hub import (
    bundle_folder,
    fetch_bundle,
    find_missing_weights,
    plan_fetch,
    repository_folder,
    verify_bundle,
)
from weights.fake_hub import FakeHub, serve_fake_hub

LARGE = bytes(range(256)) * 2000
FILES = {
    "config.json": b"{}",
    "model-1-of-2.safetensors": LARGE,
    "model-2-of-2.safetensors": LARGE[::-1],
    "tokenizer/a.json": b"[1]",
    "tokenizer/b.model": b"words",
    "README.md": b"nobody wants this",
    "old.bin": b"nor this",
}


def build_wanted(*patterns: str, size: int = 1, sha256: str | None = None) -> WantedFiles:
    return WantedFiles(patterns=patterns, purpose="test", size=size, sha256=sha256)


MODEL = HubRepository(
    name="maker/model",
    licence="see the page",
    wanted_files=(
        build_wanted("config.json"),
        build_wanted("model-*.safetensors"),
        build_wanted("tokenizer/*"),
        build_wanted("new.bin", "old.bin"),
    ),
)
BUNDLE = WeightBundle(name="test", purpose="test", repositories=(MODEL,))
WANTED = sorted(FILES.keys() - {"README.md"})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(download, "_RETRY_PAUSE_SECONDS", 0.0)
    with serve_fake_hub() as fake:
        fake.repositories["maker/model"] = dict(FILES)
        fake.small = {"config.json", "tokenizer/a.json"}
        template = fake.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(hub_constants, "ENDPOINT", fake.url)
        monkeypatch.setattr(hub_constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield fake
        huggingface_hub.close_session()


def read_fetched() -> dict[str, bytes]:
    folder = repository_folder(BUNDLE, "maker/model")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_fetches_the_wanted_files_only(hub: FakeHub) -> None:
    assert fetch_bundle(BUNDLE) == bundle_folder(BUNDLE)
    assert read_fetched() == {name: FILES[name] for name in WANTED}
    assert find_missing_weights(BUNDLE) == []
    assert verify_bundle(BUNDLE) == bundle_folder(BUNDLE)


def test_intact_files_are_not_requested(hub: FakeHub) -> None:
    fetch_bundle(BUNDLE)
    request_count = len(hub.requests)
    fetch_bundle(BUNDLE)
    assert len(hub.requests) == request_count == len(WANTED)


def test_reports_size_and_licence_first(hub: FakeHub) -> None:
    lines: list[str] = []

    def progress(line: str) -> None:
        lines.append(line)
        if line.startswith("maker/model: config.json"):
            assert hub.requests == []

    fetch_bundle(BUNDLE, progress)
    assert lines[0] == "maker/model: 0.0 GB, licence: apache-2.0"
    assert lines[1].startswith("0.0 GB to fetch into ")
    assert any("config.json" in line for line in lines[2:])


def test_a_licence_the_hub_does_not_state_is_the_known_one(hub: FakeHub) -> None:
    hub.licence = None
    assert plan_fetch(BUNDLE).licences == {"maker/model": "see the page"}


def test_resumes_in_the_same_run(hub: FakeHub) -> None:
    hub.repositories["maker/model"]["config.json"] = LARGE
    hub.small = set()
    hub.breaks = [100_000, 50_000]
    counted: list[int] = []
    fetch_bundle(BUNDLE, on_bytes=counted.append)
    starts = [start for name, start in hub.requests if name == "config.json"]
    assert starts == [0, 100_000, 150_000]
    assert sum(counted) == sum(len(content) for content in read_fetched().values())
    verify_bundle(BUNDLE)


def test_resumes_in_the_next_run(hub: FakeHub) -> None:
    hub.breaks = [2, 200_000] + [0] * 5  # config.json, then the first shard, and five times nothing
    with pytest.raises(WeightsError, match="run the same command again"):
        fetch_bundle(BUNDLE)
    assert plan_fetch(BUNDLE).remaining_bytes == sum(len(FILES[name]) for name in WANTED) - 2 - 200_000
    hub.requests.clear()
    fetch_bundle(BUNDLE)
    assert hub.requests[0] == ("model-1-of-2.safetensors", 200_000)
    assert read_fetched() == {name: FILES[name] for name in WANTED}


def test_starts_over_if_the_server_has_no_ranges(hub: FakeHub) -> None:
    hub.ranges = False
    hub.breaks = [2, 200_000]
    counted: list[int] = []
    fetch_bundle(BUNDLE, on_bytes=counted.append)
    assert read_fetched() == {name: FILES[name] for name in WANTED}
    assert sum(counted) == sum(len(FILES[name]) for name in WANTED)


@pytest.mark.parametrize("name", ["model-1-of-2.safetensors", "tokenizer/a.json"])
def test_a_file_that_arrives_damaged_is_refused(hub: FakeHub, name: str) -> None:
    hub.altered = {name}
    with pytest.raises(WeightsError, match=rf"{name} as it came has the digest"):
        fetch_bundle(BUNDLE)
    assert name not in read_fetched()
    hub.altered = set()
    fetch_bundle(BUNDLE)
    assert read_fetched()[name] == FILES[name]


def test_a_file_that_is_longer_than_declared_is_refused(hub: FakeHub) -> None:
    hub.endless = {"config.json"}
    with pytest.raises(WeightsError, match="is not the file it was: more than"):
        fetch_bundle(BUNDLE)
    assert "config.json" not in read_fetched()
    hub.endless = set()
    fetch_bundle(BUNDLE)
    assert read_fetched() == {name: FILES[name] for name in WANTED}


@pytest.mark.parametrize(
    "description",
    [
        b"",
        b"[]",
        b"{}",
        b"<html>",
        b"[" * 100_000,
        b'{"id": "maker/model", "siblings": [7]}',
        b'{"id": "maker/model", "siblings": "' + b"x" * (1 << 24) + b'"}',
    ],
    ids=["empty", "list", "object", "page", "nested", "numbers", "large"],
)
def test_what_is_no_description_of_a_repository_is_refused(hub: FakeHub, description: bytes) -> None:
    hub.description = description
    with pytest.raises(WeightsError, match="HF_ENDPOINT"):
        plan_fetch(BUNDLE)


def test_the_body_of_a_refusal_is_not_read(hub: FakeHub) -> None:
    hub.description, hub.refuses = b"{" * 200_000_000, 401
    with pytest.raises(WeightsError, match="401"):
        plan_fetch(BUNDLE)


def test_a_refusal_is_not_retried(hub: FakeHub) -> None:
    hub.refuses = 403
    with pytest.raises(WeightsError, match="HF_TOKEN"):
        fetch_bundle(BUNDLE)
    assert len(hub.requests) == 1


def test_retries_server_errors(hub: FakeHub) -> None:
    hub.refuses = 503
    with pytest.raises(WeightsError, match="503"):
        fetch_bundle(BUNDLE)
    assert len(hub.requests) == 5


def test_a_missing_repository_or_file_is_reported(hub: FakeHub) -> None:
    del hub.repositories["maker/model"]["config.json"]
    with pytest.raises(WeightsError, match=r"has no config\.json any more"):
        plan_fetch(BUNDLE)
    hub.repositories.clear()
    with pytest.raises(WeightsError, match="maker/model"):
        plan_fetch(BUNDLE)


def test_known_digests_are_compared_with_the_hub(hub: FakeHub) -> None:
    digest = hashlib.sha256(b"nor this").hexdigest()
    wanted = build_wanted("old.bin", size=8, sha256=digest)
    repository = HubRepository(name="maker/model", licence="", wanted_files=(wanted,))
    known = WeightBundle(name="test", purpose="", repositories=(repository,))
    assert [file.path for file in plan_fetch(known).files] == ["old.bin"]
    hub.repositories["maker/model"]["old.bin"] = b"another!"
    with pytest.raises(WeightsError, match="not the file it was"):
        plan_fetch(known)


def test_paths_outside_the_folder_are_refused(hub: FakeHub) -> None:
    hub.repositories["maker/model"]["tokenizer/../../../../escaped"] = b"!"
    with pytest.raises(WeightsError, match="does not describe"):
        plan_fetch(BUNDLE)


def test_an_updated_file_replaces_the_old_one(hub: FakeHub) -> None:
    fetch_bundle(BUNDLE)
    hub.repositories["maker/model"]["old.bin"] = b"newer and longer"
    fetch_bundle(BUNDLE)
    assert read_fetched()["old.bin"] == b"newer and longer"


def test_links_what_the_hubs_own_cache_has(hub: FakeHub, tmp_path: Path) -> None:
    cached = tmp_path / "hub-cache" / "models--maker--model" / "snapshots" / ("a" * 40)
    cached.mkdir(parents=True)
    (cached / "old.bin").write_bytes(b"nor this")
    fetch_bundle(BUNDLE)
    assert "old.bin" not in [name for name, _ in hub.requests]
    assert (repository_folder(BUNDLE, "maker/model") / "old.bin").is_symlink()
    verify_bundle(BUNDLE)


def test_verifying_finds_damage_without_a_network(hub: FakeHub) -> None:
    with pytest.raises(WeightsError, match="not fetched yet"):
        verify_bundle(BUNDLE)
    fetch_bundle(BUNDLE)
    hub.repositories.clear()
    path = repository_folder(BUNDLE, "maker/model") / "model-2-of-2.safetensors"
    path.write_bytes(LARGE)
    with pytest.raises(WeightsError, match=r"model-2-of-2\.safetensors has the digest"):
        verify_bundle(BUNDLE)
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match="0 bytes instead of 512,000"):
        verify_bundle(BUNDLE)
    assert find_missing_weights(BUNDLE) == ["model-2-of-2.safetensors (0.00 GB)"]
    path.unlink()
    with pytest.raises(WeightsError, match="is missing"):
        verify_bundle(BUNDLE)


def test_a_damaged_manifest_is_reported(hub: FakeHub) -> None:
    fetch_bundle(BUNDLE)
    (bundle_folder(BUNDLE) / "manifest.json").write_text('[{"path": 1}]')
    with pytest.raises(WeightsError, match=r"manifest\.json is damaged"):
        find_missing_weights(BUNDLE)


def test_reports_missing_files_before_the_first_fetch(hub: FakeHub) -> None:
    assert len(find_missing_weights(BUNDLE)) == 4
    folder = repository_folder(BUNDLE, "maker/model")
    folder.mkdir(parents=True)
    (folder / "old.bin").touch()
    assert [line.partition(" ")[0] for line in find_missing_weights(BUNDLE)] == [
        "config.json",
        "model-*.safetensors",
        "tokenizer/*",
    ]


def test_a_linked_folder_counts(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.json").touch()
    folder = repository_folder(BUNDLE, "maker/model")
    folder.mkdir(parents=True)
    (folder / "tokenizer").symlink_to(tmp_path / "elsewhere")
    assert not any(line.startswith("tokenizer") for line in find_missing_weights(BUNDLE))


def test_a_full_disk_is_reported(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    described = hub.listing("maker/model")
    described["siblings"][1]["size"] = 10**18
    monkeypatch.setattr(hub, "listing", lambda _: described)
    with pytest.raises(WeightsError, match=r"GB free, and 1000000000\.0 GB are to come"):
        fetch_bundle(BUNDLE)
    assert hub.requests == []


def test_an_unwritable_folder_is_reported(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIVEAVATAR_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="LIVEAVATAR_CACHE"):
        fetch_bundle(BUNDLE)


SCRIPT = """
import json, sys
from liveavatar.errors import LiveAvatarError
from liveavatar.weights import hub
from liveavatar.weights.bundles import HubRepository, WantedFiles, WeightBundle

wanted = WantedFiles(patterns=("config.json",), purpose="", size=2)
repository = HubRepository(name="maker/model", licence="", wanted_files=(wanted,))
bundle = WeightBundle(name="test", purpose="", repositories=(repository,))
try:
    print(hub.fetch_bundle(bundle))
except LiveAvatarError as error:
    print(error)
"""


def run_script(**environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return finished.stdout.strip()


def test_honours_the_environment(hub: FakeHub, tmp_path: Path) -> None:
    """`HF_ENDPOINT` and `HF_HUB_OFFLINE` are read when huggingface_hub is imported, hence the processes."""
    places = {
        "LIVEAVATAR_CACHE": str(tmp_path / "own"),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": hub.url,
    }
    offline = run_script(**places, HF_HUB_OFFLINE="1")
    assert offline.startswith(
        "HF_HUB_OFFLINE is set and these files are missing: config.json (0.00 GB); unset it"
    )
    assert hub.requests == []
    assert run_script(**places) == str(tmp_path / "own" / "test")
    assert hub.requests == [("config.json", 0)]
    assert run_script(**places, HF_HUB_OFFLINE="1") == str(tmp_path / "own" / "test")
    manifest = json.loads((tmp_path / "own" / "test" / "manifest.json").read_text())
    assert [(entry["path"], entry["size"]) for entry in manifest] == [("config.json", 2)]


def test_the_bundle_of_the_engine_is_as_large_as_documented() -> None:
    bundle = find_weight_bundle("live-avatar")
    assert bundle.size == pytest.approx(47.1e9, rel=0.005)
    assert [repository.name for repository in bundle.repositories] == [
        "Wan-AI/Wan2.2-S2V-14B",
        "Quark-Vision/Live-Avatar",
    ]


def test_an_unknown_bundle_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=WEIGHT_BUNDLES[0].name):
        find_weight_bundle("nonesuch")
