"""Bring the files of a bundle from the Hugging Face hub: planned, resumed, verified, and found again offline.

huggingface_hub lists the repositories and sends the requests, so that `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`
and proxies are honoured, and files that its own cache already has are linked, not fetched. The transfer itself is
done here, since its own begins a broken file anew: a shard of 10 GB goes on where it stopped, also in the next run.
What the hub says of each file is kept in `manifest.json`, against which files are verified without a network.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from liveavatar.errors import WeightsError
from liveavatar.files import atomic_write
from liveavatar.weights.bundles import HubRepository, WantedFiles, WeightBundle
from liveavatar.weights.download import (
    HUB_TIMEOUT_SECONDS,
    FetchedBytesCallback,
    build_unreachable_error,
    download_file,
    import_huggingface_hub,
)
from liveavatar.weights.fetch import FetchProgressCallback, cache_folder

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """One file of one repository as the hub describes it; `digest` is SHA-256, or Git's SHA-1 for small files."""

    repository: str
    revision: str
    path: str
    size: int
    digest: str

    def target_path(self, bundle: WeightBundle) -> Path:
        """Where it lies once it is there."""
        return repository_folder(bundle, self.repository) / self.path

    def describe_damage(self, path: Path) -> str | None:
        """What is wrong with the copy at `path`, in words; None when it is intact."""
        if not path.is_file():
            return "is missing"
        if (size := path.stat().st_size) != self.size:
            return f"has {size:,} bytes instead of {self.size:,}"
        digest = _compute_sha256(path) if len(self.digest) == 64 else _compute_git_sha1(path)
        return (
            None if digest == self.digest else f"has the digest {digest[:12]}… instead of {self.digest[:12]}…"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlan:
    """What a fetch would do."""

    bundle: WeightBundle
    files: tuple[HubFile, ...]
    licences: dict[str, str]

    @property
    def missing_files(self) -> tuple[HubFile, ...]:
        """Files that are not there in their full size."""
        return tuple(file for file in self.files if not _has_size(file.target_path(self.bundle), file.size))

    @property
    def remaining_bytes(self) -> int:
        """Bytes that are still to come, less what an earlier run has left."""
        return sum(file.size - _partial_size(file, self.bundle) for file in self.missing_files)

    def summary_lines(self) -> list[str]:
        """Size and licence of each repository, and what is to come: to be shown before it starts."""
        sizes = {name: sum(f.size for f in self.files if f.repository == name) for name in self.licences}
        shown = [
            f"{name}: {sizes[name] / 1e9:.1f} GB, licence: {licence}"
            for name, licence in self.licences.items()
        ]
        return [*shown, f"{self.remaining_bytes / 1e9:.1f} GB to fetch into {bundle_folder(self.bundle)}"]


def bundle_folder(bundle: WeightBundle) -> Path:
    """Where the files of a bundle lie, one folder a repository."""
    return cache_folder() / bundle.name


def repository_folder(bundle: WeightBundle, repository: str) -> Path:
    """Where the files of a repository lie, as they lie in it."""
    return bundle_folder(bundle) / repository.rpartition("/")[2]


def find_missing_weights(bundle: WeightBundle) -> list[str]:
    """What of a bundle is not there, in words; empty when an engine can load it. Looks at names and sizes only."""
    if known := _read_manifest(bundle):
        return [
            f"{f.path} ({f.size / 1e9:.2f} GB)" for f in known if not _has_size(f.target_path(bundle), f.size)
        ]
    return [
        f"{want.patterns[0]} ({want.size / 1e9:.2f} GB)"
        for repository in bundle.repositories
        for want in repository.wanted_files
        if not _has_any_file(repository_folder(bundle, repository.name), want)
    ]


def plan_fetch(bundle: WeightBundle) -> FetchPlan:
    """What the hub has of a bundle now, and what of it is not here. Needs the network.

    Raises:
        WeightsError: the hub cannot be reached, or it lacks a file.
    """
    if _is_offline():
        raise WeightsError("HF_HUB_OFFLINE is set", "unset it to ask the hub")
    files: list[HubFile] = []
    licences = {}
    for repository in bundle.repositories:
        info = _fetch_model_info(repository)
        licences[repository.name] = _read_licence(info) or repository.licence
        files += _select_files(repository, info)
    return FetchPlan(bundle=bundle, files=tuple(files), licences=licences)


def fetch_bundle(
    bundle: WeightBundle,
    on_progress: FetchProgressCallback = _LOG.info,
    on_bytes: FetchedBytesCallback = lambda _: None,
) -> Path:
    """Bring every file of a bundle that is not there, and return its folder. Says size and licence first.

    Raises:
        WeightsError: the hub cannot be reached or lacks a file, the disk is too small, or a file came damaged.
    """
    if _is_offline():
        return _require_complete_bundle(bundle)
    planned = plan_fetch(bundle)
    for line in planned.summary_lines():
        on_progress(line)
    execute_fetch_plan(planned, on_progress, on_bytes)
    return bundle_folder(bundle)


def execute_fetch_plan(
    plan: FetchPlan,
    on_progress: FetchProgressCallback = _LOG.info,
    on_bytes: FetchedBytesCallback = lambda _: None,
) -> None:
    """Do what was planned.

    Raises:
        WeightsError: the hub cannot be reached, the disk is too small, or a file came damaged.
    """
    folder = bundle_folder(plan.bundle)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_disk_space(folder, plan.remaining_bytes)
        _write_manifest(plan)
        for file in plan.missing_files:
            on_progress(f"{file.repository}: {file.path}, {file.size / 1e9:.2f} GB")
            _fetch_or_link(file, file.target_path(plan.bundle), on_bytes)
    except OSError as error:
        raise WeightsError(
            f"cannot write model files to {folder}: {error.strerror or error}",
            "free some space, or set LIVEAVATAR_CACHE to a folder you may write to",
        ) from error


def verify_bundle(bundle: WeightBundle, on_progress: FetchProgressCallback = _LOG.info) -> Path:
    """Check every file of a bundle against its size and digest, without the network, and return the folder.

    Raises:
        WeightsError: it was never fetched, or a file is missing or damaged.
    """
    known = _read_manifest(bundle)
    if not known:
        raise WeightsError(
            f"the bundle {bundle.name} was not fetched yet", f"run: liveavatar weights fetch {bundle.name}"
        )
    for file in known:
        on_progress(f"checking {file.path}, {file.size / 1e9:.2f} GB")
        if fault := file.describe_damage(path := file.target_path(bundle)):
            raise WeightsError(
                f"{path} {fault}", f"delete it and run: liveavatar weights fetch {bundle.name}"
            )
    return bundle_folder(bundle)


def _require_complete_bundle(bundle: WeightBundle) -> Path:
    if absent := find_missing_weights(bundle):
        raise WeightsError(
            f"HF_HUB_OFFLINE is set and these files are missing: {', '.join(absent)}",
            f"unset it, or copy them into {bundle_folder(bundle)}",
        )
    return bundle_folder(bundle)


def _is_offline() -> bool:
    return bool(import_huggingface_hub().constants.HF_HUB_OFFLINE)


def _fetch_model_info(repository: HubRepository) -> "ModelInfo":
    api = import_huggingface_hub().HfApi()
    try:
        info: ModelInfo = api.model_info(repository.name, files_metadata=True, timeout=HUB_TIMEOUT_SECONDS)
    except import_huggingface_hub().errors.HTTPError as error:
        raise build_unreachable_error(repository.name, error) from error
    return info


def _read_licence(info: "ModelInfo") -> str | None:
    stated = info.card_data.license if info.card_data else None
    return str(stated) if stated else None


def _select_files(repository: HubRepository, info: "ModelInfo") -> Iterator[HubFile]:
    for want in repository.wanted_files:
        found = _match_siblings(want, info.siblings or [])
        if not found:
            raise WeightsError(
                f"{repository.name} has no {want.patterns[0]} any more", "update liveavatar, or report it"
            )
        for sibling in found:
            file = _to_hub_file(repository.name, str(info.sha), sibling)
            if want.sha256 and (file.digest, file.size) != (want.sha256, want.size):
                raise WeightsError(
                    f"{file.path} on the hub is not the file it was", "update liveavatar, or report it"
                )
            yield file


def _match_siblings(wanted: WantedFiles, siblings: "list[RepoSibling]") -> "list[RepoSibling]":
    for pattern in wanted.patterns:
        if found := [sibling for sibling in siblings if fnmatchcase(sibling.rfilename, pattern)]:
            return found
    return []


def _to_hub_file(repository: str, revision: str, sibling: "RepoSibling") -> HubFile:
    digest = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
    if digest is None or sibling.size is None or ".." in Path(sibling.rfilename).parts:
        raise WeightsError(f"the hub does not describe {sibling.rfilename}", "try again later")
    return HubFile(
        repository=repository, revision=revision, path=sibling.rfilename, size=sibling.size, digest=digest
    )


def _has_any_file(folder: Path, wanted: WantedFiles) -> bool:
    return any(True for pattern in wanted.patterns for _ in folder.glob(pattern))


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _fetch_or_link(file: HubFile, target: Path, on_bytes: FetchedBytesCallback) -> None:
    """Put the file where it belongs: linked from the hub's own cache, or fetched, checked and renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    held = import_huggingface_hub().try_to_load_from_cache(file.repository, file.path, revision=file.revision)
    if isinstance(held, str) and _has_size(Path(held), file.size):
        target.symlink_to(Path(held).resolve())
        return
    part = _part_path(file, target)
    url = import_huggingface_hub().hf_hub_url(file.repository, file.path, revision=file.revision)
    download_file(url, part, file.size, on_bytes)
    if fault := file.describe_damage(part):
        part.unlink()
        raise WeightsError(f"{file.path} as it came {fault}", "run the same command again")
    part.replace(target)


def _part_path(file: HubFile, target: Path) -> Path:
    """Where a file is while it comes; another version of the same file has another part."""
    return target.with_name(f"{target.name}.{file.digest[:12]}.part")


def _partial_size(file: HubFile, bundle: WeightBundle) -> int:
    part = _part_path(file, file.target_path(bundle))
    return part.stat().st_size if part.is_file() else 0


def _check_disk_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WeightsError(
            f"{folder} has {free / 1e9:.1f} GB free, and {needed / 1e9:.1f} GB are to come",
            "free some space, or set LIVEAVATAR_CACHE to a larger disk",
        )


def _manifest_path(bundle: WeightBundle) -> Path:
    return bundle_folder(bundle) / "manifest.json"


def _write_manifest(plan: FetchPlan) -> None:
    path = _manifest_path(plan.bundle)
    with atomic_write(path) as part:
        part.write_text(json.dumps([asdict(file) for file in plan.files], indent=1), encoding="utf-8")


def _read_manifest(bundle: WeightBundle) -> list[HubFile]:
    """The files of a bundle as the hub described them when it was fetched; none before that."""
    path = _manifest_path(bundle)
    if not path.is_file():
        return []
    try:
        return [HubFile(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} is damaged", f"delete it and run: liveavatar weights fetch {bundle.name}"
        ) from error


def _compute_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _compute_git_sha1(path: Path) -> str:
    """The name Git has for this content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
