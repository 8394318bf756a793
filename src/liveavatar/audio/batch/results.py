"""The folder of prepared files: gives each recording a name of its own, and replaces nothing but its own files.

A file is replaced only if the manifest has its content under its name, for the same recording. Work is written into a
scratch folder; its hash is recorded first, then the file gets its name. So a run that is killed in between leaves
nothing that the next one does not know. Several runs may work in one folder: an entry is recorded only if nobody has
changed it meanwhile, and a new name is taken only if it is still free.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from liveavatar.audio.batch.manifest import Manifest, ManifestEntry, hash_file, read_entries
from liveavatar.audio.batch.naming import fold_name, list_candidate_names
from liveavatar.audio.batch.search import FoundRecording, find_path_type
from liveavatar.errors import OutputError
from liveavatar.files import atomic_write, create_folder, describe_path, describe_write_error
from liveavatar.partials import scratch_folder_in


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedResult:
    """The name of a result below its folder, the scratch file to write, and the entry of the last run, if any."""

    name: str
    scratch: Path
    entry: ManifestEntry | None


class ResultFolder:
    """Prepared files in `folder`, known by their `manifest`. `scratch` is a folder inside, for files without a name."""

    def __init__(self, folder: Path, manifest: Manifest, scratch: Path) -> None:
        self._folder = folder
        self._manifest = manifest
        self._scratch = scratch
        self._numbers = count()
        self._resolved_folder = folder.resolve()
        self._other_entries: dict[Path, dict[str, ManifestEntry]] = {}

    def plan_result(self, recording: FoundRecording) -> PlannedResult | None:
        """Reserve a name for a recording; None if it has had its turn in this run."""
        source = identify_source(recording.source)
        for name in self._list_names(recording):
            if self._manifest.find_claimant(fold_name(name)) == source:
                return None
            entry = self._manifest.find_entry(name)
            free = (
                not self._exists(name) if entry is None else self._belongs_to(recording.source, name, entry)
            )
            if free and self._manifest.claim_name(fold_name(name), source):
                scratch = self._scratch / str(next(self._numbers)) / Path(name).name
                return PlannedResult(name=name, scratch=scratch, entry=entry)
        raise AssertionError("the list of names has no end")

    def publish_result(self, recording: FoundRecording, scratch: Path, entry: ManifestEntry) -> Path:
        """Give a complete file its name: the planned one, unless a file of somebody else has it by now.

        A file with a possible name and the same content is taken for the result, whoever wrote it.

        Raises:
            OutputError: the file cannot be moved, or the manifest cannot be written.
        """
        source = identify_source(recording.source)
        entry = replace(entry, source=source)
        for name in self._list_names(recording):
            old = self._manifest.find_entry(name)
            while self._may_write(recording.source, name, old, entry):
                if not self._manifest.claim_name(fold_name(name), source):
                    break
                if self._manifest.record_entry(name, entry, old) and self._place_file(scratch, name, entry):
                    return self._folder / name
                old = self._manifest.find_entry(name)  # another run was faster
        raise AssertionError("the list of names has no end")

    def discard_scratch(self, planned: PlannedResult) -> None:
        """Remove what is left of a result's scratch file."""
        shutil.rmtree(planned.scratch.parent, ignore_errors=True)

    def adopt_result(self, recording: FoundRecording, planned: PlannedResult) -> None:
        """Record the path of a recording whose result is unchanged: it may have been moved."""
        source, old = identify_source(recording.source), planned.entry
        if old is not None and old.source != source:
            self._manifest.record_entry(planned.name, replace(old, source=source), old)

    def is_result(self, path: Path, root: Path) -> bool:
        """Whether a file, found in `root`, is a result of an earlier run, by its name and content.

        That is a result in this folder, or one in another folder in `root` whose recording is in `root` too.
        """
        return self._is_own_result(path) or self._is_other_result(path, root)

    def _is_own_result(self, path: Path) -> bool:
        try:
            name = str(path.resolve().relative_to(self._resolved_folder))
        except (OSError, RuntimeError, ValueError):  # a link that leads to itself, or a file elsewhere
            return False
        return self._manifest.find_entry(name) is not None and self._is_known_file(name)

    def _is_other_result(self, path: Path, root: Path) -> bool:
        for folder in path.parents:
            if not folder.is_relative_to(root):
                return False
            if folder not in self._other_entries:
                self._other_entries[folder] = read_entries(folder)
            entry = self._other_entries[folder].get(str(path.relative_to(folder)))
            if entry is not None and entry.output_hash == hash_readable_file(path):
                source = Path(entry.source).absolute()
                return source.is_relative_to(root.absolute()) and find_path_type(source) == "file"
        return False

    def _list_names(self, recording: FoundRecording) -> Iterator[str]:
        """The name of the last run first, if it was in the same folder; then all that are possible."""
        for name in self._manifest.find_names((identify_source(recording.source), str(recording.source))):
            if Path(name).parent == recording.place.parent:
                yield name
        yield from map(str, list_candidate_names(recording.place, recording.source.suffix))

    def _belongs_to(self, source: Path, name: str, entry: ManifestEntry) -> bool:
        """Whether an entry is the recording's own, or that of one that is gone and left nothing of another content."""
        if is_same_source(source, entry.source):
            return True
        if find_path_type(Path(entry.source)):
            return False
        return not self._exists(name) or hash_readable_file(source) == entry.source_hash

    def _may_write(self, source: Path, name: str, old: ManifestEntry | None, new: ManifestEntry) -> bool:
        """Whether a result may have this name: nobody has it, or it is the recording's own, or has the same content."""
        output = self._folder / name
        if old is not None and not self._belongs_to(source, name, old):
            return False
        if not self._exists(name):
            return True
        if output.is_symlink() or find_path_type(output) != "file" or is_same_source(source, str(output)):
            return False
        content = hash_readable_file(output)
        if content == new.output_hash or (old is not None and self._manifest.is_known_hash(name, content)):
            return True
        if old is not None:
            self._manifest.forget_entry(name, old)  # somebody has changed the file: it is theirs now
        return False

    def _place_file(self, scratch: Path, name: str, entry: ManifestEntry) -> bool:
        """Move a complete file to its name; False if somebody has taken a name that was free."""
        output = self._folder / name
        create_folder(output.parent)
        try:
            if not self._exists(name):
                move_to_free_name(scratch, output)
            elif hash_readable_file(output) != entry.output_hash:
                move_over_file(scratch, output)
        except FileExistsError:
            return False
        except OSError as error:
            reason, remedy = describe_write_error(error.errno, error.strerror)
            raise OutputError(f"{describe_path(output)} cannot be written: {reason}", remedy) from error
        return True

    def _exists(self, name: str) -> bool:
        return os.path.lexists(self._folder / name)

    def _is_known_file(self, name: str) -> bool:
        return self._manifest.is_known_hash(name, hash_readable_file(self._folder / name))


@contextmanager
def open_result_folder(folder: Path) -> Iterator[ResultFolder]:
    """Open a folder of results, which is created if it is missing, and remove what killed runs left in it.

    Raises:
        OutputError: the folder or its manifest cannot be used.
    """
    with Manifest(folder) as manifest, ExitStack() as stack:
        try:
            scratch = stack.enter_context(scratch_folder_in(folder))
        except OSError as error:
            reason, remedy = describe_write_error(error.errno, error.strerror)
            raise OutputError(f"{describe_path(folder)} cannot be used: {reason}", remedy) from error
        yield ResultFolder(folder, manifest, scratch)


def identify_source(path: Path) -> str:
    """The path of a recording as the manifest has it: absolute, links not followed."""
    return str(path.absolute())


def is_same_source(path: Path, other: str) -> bool:
    """Whether two paths lead to one file."""
    try:
        return path.absolute() == Path(other).absolute() or path.samefile(other)
    except (OSError, ValueError):
        return False


def hash_readable_file(path: Path) -> str:
    """SHA-256 of a regular file; nothing if it cannot be read."""
    with suppress(OSError):
        if find_path_type(path) == "file":
            return hash_file(path)
    return ""


def move_to_free_name(scratch: Path, output: Path) -> None:
    """Move a complete file to a name that nobody has.

    Raises:
        FileExistsError: somebody has it.
        OSError: the file cannot be moved.
    """
    try:
        os.link(scratch, output)  # unlike a rename, it never replaces
    except FileExistsError:
        raise
    except OSError:  # a file system without links, or another one than the scratch folder's
        _copy_file(scratch, output)


def move_over_file(scratch: Path, output: Path) -> None:
    """Move a complete file to the name of another, which is replaced.

    Raises:
        OSError: the file cannot be moved.
    """
    try:
        scratch.replace(output)
    except OSError:  # another file system
        _copy_file(scratch, output)


def _copy_file(scratch: Path, output: Path) -> None:
    with atomic_write(output) as partial:
        shutil.copyfile(scratch, partial)
