"""Fetch the files of a bundle from the Hugging Face hub: plan, resume, verify, and find them again offline.

huggingface_hub builds the requests and reads the lists of files, so `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and
proxies are honoured. Files that its own cache has are linked. `weights.download` does the transfer, since
huggingface_hub deletes a partial file when a download fails (`file_download._download_to_tmp_and_move`, 2.4.0).
`manifest.json` keeps size and digest of each file as the hub declares them: files are verified against it offline.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from liveavatar.errors import WeightsError
from liveavatar.files import atomic_write
from liveavatar.weights.bundles import HubRepository, WantedFiles, WeightBundle
from liveavatar.weights.cache import cache_folder, explain_cache_errors, find_damage
from liveavatar.weights.download import (
    FetchedBytesCallback,
    download_file,
    download_json,
    import_huggingface_hub,
)
from liveavatar.weights.fetch import FetchProgressCallback

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """One file of a repository as the hub declares it; `digest` is SHA-256, or Git's SHA-1 for small files."""

    repository: str
    revision: str
    path: str
    size: int
    digest: str

    def target_path(self, bundle: WeightBundle) -> Path:
        """Its path in the cache."""
        return repository_folder(bundle, self.repository) / self.path

    def describe_damage(self, path: Path) -> str | None:
        """What is wrong with the copy at `path`, as the end of a sentence; None if it is intact."""
        return find_damage(path, self.size, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlan:
    """The files of a bundle on the hub, and the licence of each repository."""

    bundle: WeightBundle
    files: tuple[HubFile, ...]
    licences: dict[str, str]

    @property
    def missing_files(self) -> tuple[HubFile, ...]:
        """Files that the cache lacks, or has with another size."""
        return tuple(file for file in self.files if not _has_size(file.target_path(self.bundle), file.size))

    @property
    def remaining_bytes(self) -> int:
        """Bytes to fetch, less the partial files of earlier runs."""
        return sum(file.size - _partial_size(file, self.bundle) for file in self.missing_files)

    def summary_lines(self) -> list[str]:
        """Size and licence of each repository, and the bytes to fetch; shown before the fetch."""
        sizes = {name: sum(f.size for f in self.files if f.repository == name) for name in self.licences}
        lines = [
            f"{name}: {sizes[name] / 1e9:.1f} GB, licence: {licence}"
            for name, licence in self.licences.items()
        ]
        return [*lines, f"{self.remaining_bytes / 1e9:.1f} GB to fetch into {bundle_folder(self.bundle)}"]


def bundle_folder(bundle: WeightBundle) -> Path:
    """Folder of a bundle in the cache, with one folder a repository."""
    return cache_folder() / bundle.name


def repository_folder(bundle: WeightBundle, repository: str) -> Path:
    """Folder of a repository's files in the cache, under their paths in the repository."""
    return bundle_folder(bundle) / repository.rpartition("/")[2]


def find_missing_weights(bundle: WeightBundle) -> list[str]:
    """Name and size of each missing file; empty if an engine can load the bundle. Checks names and sizes only."""
    if known := _read_manifest(bundle):
        return [
            f"{f.path} ({f.size / 1e9:.2f} GB)" for f in known if not _has_size(f.target_path(bundle), f.size)
        ]
    missing = []
    for repository in bundle.repositories:
        present = _list_files(repository_folder(bundle, repository.name))
        missing += [wanted for wanted in repository.wanted_files if not _match_names(wanted, present)]
    return [f"{wanted.patterns[0]} ({wanted.size / 1e9:.2f} GB)" for wanted in missing]


def plan_fetch(bundle: WeightBundle) -> FetchPlan:
    """The files of a bundle as the hub declares them now. Needs the network.

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
    """Fetch the missing files of a bundle and return its folder. Reports size and licence first.

    Raises:
        WeightsError: the hub cannot be reached or lacks a file, the disk is too small, or a file arrived damaged.
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
    """Fetch the missing files of a plan.

    Raises:
        WeightsError: the hub cannot be reached, the disk is too small, or a file arrived damaged.
    """
    folder = bundle_folder(plan.bundle)
    with explain_cache_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _check_disk_space(folder, plan.remaining_bytes)
        _write_manifest(plan)
        for file in plan.missing_files:
            on_progress(f"{file.repository}: {file.path}, {file.size / 1e9:.2f} GB")
            _fetch_or_link(file, file.target_path(plan.bundle), on_bytes)


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
        if damage := file.describe_damage(path := file.target_path(bundle)):
            raise WeightsError(
                f"{path} {damage}", f"delete it and run: liveavatar weights fetch {bundle.name}"
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
    """As `HfApi.model_info`, which reads any number of bytes."""
    hub = import_huggingface_hub()
    url = f"{hub.constants.ENDPOINT}/api/models/{repository.name}"
    described = download_json(f"{url}?blobs=true")
    try:
        info: ModelInfo = hub.ModelInfo(**described)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise WeightsError(
            f"{url} is no description of a model", "check HF_ENDPOINT, or try again later"
        ) from error
    return info


def _read_licence(info: "ModelInfo") -> str | None:
    stated = info.card_data.license if info.card_data else None
    return str(stated) if stated else None


def _select_files(repository: HubRepository, info: "ModelInfo") -> Iterator[HubFile]:
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or []}
    for wanted in repository.wanted_files:
        names = _match_names(wanted, siblings)
        if not names:
            raise WeightsError(
                f"{repository.name} has no {wanted.patterns[0]} any more", "update liveavatar, or report it"
            )
        for name in names:
            file = _to_hub_file(repository.name, str(info.sha), siblings[name])
            if wanted.sha256 and (file.digest, file.size) != (wanted.sha256, wanted.size):
                raise WeightsError(
                    f"{file.path} on the hub is not the file it was", "update liveavatar, or report it"
                )
            yield file


def _match_names(wanted: WantedFiles, names: Iterable[str]) -> list[str]:
    """The names that match the first pattern that any of them matches; `*` matches `/` too."""
    names = list(names)
    matches = ([name for name in names if fnmatchcase(name, pattern)] for pattern in wanted.patterns)
    return next(filter(None, matches), [])


def _list_files(folder: Path) -> list[str]:
    """Paths of all files relative to `folder`; links to other folders are followed."""
    walk = os.walk(folder, followlinks=True)
    return [Path(root, name).relative_to(folder).as_posix() for root, _, names in walk for name in names]


def _to_hub_file(repository: str, revision: str, sibling: "RepoSibling") -> HubFile:
    digest = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
    if digest is None or sibling.size is None or ".." in Path(sibling.rfilename).parts:
        raise WeightsError(f"the hub does not describe {sibling.rfilename}", "try again later")
    return HubFile(
        repository=repository, revision=revision, path=sibling.rfilename, size=sibling.size, digest=digest
    )


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _fetch_or_link(file: HubFile, target: Path, on_bytes: FetchedBytesCallback) -> None:
    """Link the file from huggingface_hub's own cache, or fetch it, check it and rename it to `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    cached = import_huggingface_hub().try_to_load_from_cache(
        file.repository, file.path, revision=file.revision
    )
    if isinstance(cached, str) and _has_size(Path(cached), file.size):
        target.symlink_to(Path(cached).resolve())
        return
    part = _part_path(file, target)
    url = import_huggingface_hub().hf_hub_url(file.repository, file.path, revision=file.revision)
    download_file(url, part, file.size, on_bytes)
    if damage := file.describe_damage(part):
        part.unlink()
        raise WeightsError(f"{file.path} as it came {damage}", "run the same command again")
    part.replace(target)


def _part_path(file: HubFile, target: Path) -> Path:
    """Path of the partial file; it contains the digest, so another version of the file has another partial file."""
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
    """The files of a bundle as the hub declared them at the last fetch; empty before the first."""
    path = _manifest_path(bundle)
    if not path.is_file():
        return []
    try:
        return [HubFile(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} is damaged", f"delete it and run: liveavatar weights fetch {bundle.name}"
        ) from error
