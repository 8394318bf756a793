"""Gives every option that names a path some forty odd values: one clear line and exit 2, or the right thing.

    PYTHONPATH=src:tests nice python tests/cli/odd_paths.py [--long] [--only generate]

Each cell of the table, an option with a value, runs in a process of its own, as root and without root's rights over
files. A value that cannot be used is refused in one line that says what to do; one that can be used leads to the
result under exactly that name. Nothing else in the folder changes. `--long` adds the renderings and measurements that
usable values lead to.
"""

import argparse
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
from typer.core import TyperGroup
from typer.main import get_command

import liveavatar
from audio.sounds import babble, write_wav
from liveavatar import cli
from liveavatar.cli.app import app
from liveavatar.sync.audio_track import stream_mono_audio
from liveavatar.video.remux import shift_sound
from privileges import drop_capabilities

SECONDS = 60
"""Most seconds of a cell. Endless devices and pipes without a writer would take for ever."""

Role = Literal["input", "inputs", "output", "new output", "folder", "new folder"]
"""What an option wants: a file to read; files or folders to read; a file to write into a folder that exists, or into
one that is created; a folder to read; a folder to write into, which is created."""

INPUTS: frozenset[Role] = frozenset({"input", "inputs"})
OUTPUTS: frozenset[Role] = frozenset({"output", "new output"})
FOLDERS: frozenset[Role] = frozenset({"folder", "new folder"})
EVERYWHERE = INPUTS | OUTPUTS | FOLDERS


def _choose_roles(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


USERS = ("root", "not root")


@dataclass(frozen=True, slots=True)
class PathOption:
    """A command in which `{path}` becomes the value; `suffix` is that of a usual value.

    `codes` are those of a usable value, `head` are the first bytes of what is written, `source` is the command's
    recording or video, `others` are further outputs. `keeps_files`: it replaces no file. `is_long`: a usable value
    leads to a rendering or a measurement.
    """

    command: tuple[str, ...]
    role: Role
    suffix: str
    codes: frozenset[int] = frozenset({0})
    head: bytes = b""
    source: str = "voice.wav"
    others: tuple[str, ...] = ()
    is_long: bool = True
    keeps_files: bool = False


@dataclass(frozen=True, slots=True)
class OddValue:
    """`make` builds it in the current folder, from an option and a usual file, and gives the text of the option.

    Roles that are in neither set do not get it. `needs_rights`: what is usable for root is refused to others.
    `is_file`: something is there that would be replaced.
    """

    make: Callable[[PathOption, Path], str]
    refused: frozenset[Role] = frozenset()
    usable: frozenset[Role] = frozenset()
    needs_rights: bool = False
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the program: what it printed, and what is wrong with it."""

    option: str
    value: str
    user: str
    is_refused: bool
    printed: str
    faults: tuple[str, ...]


_CHECKED = frozenset({0, 1})
_PREPARE = ("audio", "prepare", "--jobs", "1")
_GENERATE = ("generate", "--size", "128x128")
_MP4, _PNG = b"\0\0\0", b"\x89PNG"

OPTIONS: Mapping[str, PathOption] = {
    "audio check": PathOption(("audio", "check", "--", "{path}"), "input", ".wav", _CHECKED, is_long=False),
    "audio check --json": PathOption(
        ("audio", "check", "--json", "--", "{path}"),
        "input",
        ".wav",
        _CHECKED,
    ),
    "audio check --plot": PathOption(
        ("audio", "check", "voice.wav", "--plot", "{path}"), "output", ".png", _CHECKED, _PNG
    ),
    "audio prepare": PathOption((*_PREPARE, "-o", "out", "--", "{path}"), "inputs", ".wav", others=("out",)),
    "audio prepare -o": PathOption((*_PREPARE, "voice.wav", "-o", "{path}"), "new folder", ""),
    "audio prepare --report": PathOption(
        (*_PREPARE, "voice.wav", "-o", "out", "--report", "{path}"),
        "output",
        ".json",
        head=b'{"files"',
        keeps_files=True,
        others=("out",),
    ),
    "audio guard": PathOption(
        ("audio", "guard", "{path}", "--", "true", "{audio}"),
        "input",
        ".wav",
    ),
    "portrait check": PathOption(("portrait", "check", "--", "{path}"), "input", ".jpg", _CHECKED),
    "portrait check --json": PathOption(
        ("portrait", "check", "--json", "--", "{path}"), "input", ".jpg", _CHECKED
    ),
    "generate -i": PathOption(
        (*_GENERATE, "-i", "{path}", "-a", "voice.wav"), "input", ".jpg", others=("out.mp4",)
    ),
    "generate -a": PathOption(
        (*_GENERATE, "-i", "face.jpg", "-a", "{path}"), "input", ".wav", others=("out.mp4",)
    ),
    "generate -o": PathOption(
        (*_GENERATE, "-i", "face.jpg", "-a", "voice.wav", "-o", "{path}"), "output", ".mp4", head=_MP4
    ),
    "generate --ckpt-dir": PathOption(
        (*_GENERATE, "-i", "face.jpg", "-a", "voice.wav", "--engine", "dit", "--ckpt-dir", "{path}"),
        "folder",
        "",
        frozenset({2}),  # it holds no checkpoints
    ),
    "generate --certificate": PathOption(
        (
            *_GENERATE,
            "-i",
            "face.jpg",
            "-a",
            "voice.wav",
            "--certificate",
            "{path}",
            "--certificate-key",
            "a",
        ),
        "input",
        ".pem",
        frozenset({2}),  # it is no certificate
    ),
    "verify": PathOption(("verify", "--", "{path}"), "input", ".mp4", _CHECKED),
    "demo -o": PathOption(("demo", "-o", "{path}"), "new output", ".mp4", head=_MP4),
    "sync": PathOption(("sync", "--", "{path}"), "input", ".mp4", _CHECKED),
    "sync --json": PathOption(("sync", "--json", "--", "{path}"), "input", ".mp4", _CHECKED),
    "sync --plot": PathOption(
        ("sync", "clip.mp4", "--plot", "{path}"), "output", ".png", _CHECKED, _PNG, source="clip.mp4"
    ),
    "sync --fix": PathOption(
        ("sync", "clip.mp4", "--fix", "{path}"),
        "output",
        ".mp4",
        head=_MP4,
        source="clip.mp4",
        keeps_files=True,
    ),
    "sync --syncnet": PathOption(
        ("sync", "clip.mp4", "--syncnet", "{path}"), "input", ".model", frozenset({2}), source="clip.mp4"
    ),
}


def _make_name(name: str) -> OddValue:
    """A name that can be used everywhere."""

    def make(option: PathOption, usual: Path) -> str:
        path = Path(name + option.suffix)
        path.parent.mkdir(exist_ok=True)
        if option.role in INPUTS:
            shutil.copy(usual, path)
        elif option.role == "folder":
            path.mkdir()
        return name + option.suffix

    return OddValue(make, usable=EVERYWHERE)


def _make_text(text: str) -> Callable[[PathOption, Path], str]:
    return lambda _option, _usual: text


def _add_suffix(stem: str) -> Callable[[PathOption, Path], str]:
    return lambda option, _usual: stem + option.suffix


def _make_capital_suffix(option: PathOption, usual: Path) -> str:
    if option.role in INPUTS:
        shutil.copy(usual, "A" + option.suffix.upper())
    return "A" + option.suffix.upper()


def _make_folder(option: PathOption, _usual: Path) -> str:
    Path("folder" + option.suffix).mkdir()
    return "folder" + option.suffix


def _make_pipe(option: PathOption, _usual: Path) -> str:
    os.mkfifo("pipe" + option.suffix)
    return "pipe" + option.suffix


def _make_socket(option: PathOption, _usual: Path) -> str:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket" + option.suffix)
    return "socket" + option.suffix


def _link_to(target: str) -> Callable[[PathOption, Path], str]:
    def make(option: PathOption, _usual: Path) -> str:
        Path("link" + option.suffix).symlink_to(target.format(suffix=option.suffix))
        return "link" + option.suffix

    return make


def _link_to_usual(option: PathOption, usual: Path) -> str:
    Path("link" + option.suffix).symlink_to(usual)
    return "link" + option.suffix


def _link_to_source(option: PathOption, _usual: Path) -> str:
    os.link(option.source, "hard" + option.suffix)
    return "hard" + option.suffix


def _make_empty_file(option: PathOption, _usual: Path) -> str:
    Path("empty" + option.suffix).touch()
    return "empty" + option.suffix


def _close_file(option: PathOption, usual: Path) -> str:
    path = Path("closed" + option.suffix)
    if option.role in FOLDERS:
        path.mkdir()
    else:
        shutil.copy(usual, path)
    path.chmod(0)
    return str(path)


def _enter_folder_of_mode(mode: int) -> Callable[[PathOption, Path], str]:
    def make(option: PathOption, usual: Path) -> str:
        Path("closed").mkdir()
        if option.role in INPUTS:
            shutil.copy(usual, "closed/a" + option.suffix)
        Path("closed").chmod(mode)
        return "closed/a" + option.suffix

    return make


def _make_loop(option: PathOption, _usual: Path) -> str:
    Path("loop" + option.suffix).symlink_to("loop" + option.suffix)
    return "loop" + option.suffix


def _enter_loop(option: PathOption, usual: Path) -> str:
    return f"{_make_loop(option, usual)}/a{option.suffix}"


VALUES: Mapping[str, OddValue] = {
    "spaces": _make_name(" two  words "),
    "81 Chinese characters": _make_name("\u8a9e" * 81),
    "markup": _make_name("[b]bold[/b]"),
    "the end of a markup": _make_name("[/b]"),
    "two lines": _make_name("a\nb"),
    "a sequence of a terminal": _make_name("\x1b[31mred\x07"),
    "no UTF-8": _make_name(os.fsdecode(b"\xff\xfe")),
    "a leading dash": _make_name("./-a"),
    "words of a shell": _make_name("$(touch hacked) 'a' \"b\" & ; `c` *"),
    "a pattern of pictures": _make_name("%03d"),
    "a protocol": _make_name("concat:a"),
    "a tilde": _make_name("~"),
    "right to left": _make_name("\u202eabc"),
    "a placeholder": _make_name("{audio}{0}"),
    "a capital suffix": OddValue(_make_capital_suffix, usable=INPUTS | OUTPUTS),
    "a link": OddValue(_link_to_usual, usable=INPUTS),
    "a link to another file": OddValue(_link_to("note.txt"), usable=OUTPUTS, is_file=True),
    "a link to nothing": OddValue(_link_to("none{suffix}"), refused=INPUTS | FOLDERS, usable=OUTPUTS),
    "empty": OddValue(_make_text(""), refused=EVERYWHERE),
    "root": OddValue(_make_text("/"), refused=_choose_roles("input") | OUTPUTS),
    "here": OddValue(
        _make_text("."), refused=_choose_roles("input") | OUTPUTS, usable=_choose_roles("inputs", "folder")
    ),
    "above": OddValue(_make_text(".."), refused=_choose_roles("input") | OUTPUTS),
    "NUL": OddValue(_add_suffix("a\0b"), refused=EVERYWHERE),
    "too long": OddValue(_add_suffix("a" * 300), refused=EVERYWHERE),
    "too long in bytes": OddValue(_add_suffix("\u8a9e" * 90), refused=EVERYWHERE),
    "a path of 6,000 characters": OddValue(
        _add_suffix("d" * 200 + ("/" + "d" * 200) * 29),
        refused=EVERYWHERE - _choose_roles("new output", "new folder"),
    ),
    "a loop": OddValue(_make_loop, refused=EVERYWHERE),
    "below a loop": OddValue(_enter_loop, refused=EVERYWHERE),
    "a pipe": OddValue(_make_pipe, refused=EVERYWHERE),
    "a socket": OddValue(_make_socket, refused=EVERYWHERE),
    "an empty device": OddValue(_make_text("/dev/null"), refused=EVERYWHERE),
    "a full device": OddValue(_make_text("/dev/full"), refused=EVERYWHERE),
    "an endless device": OddValue(_make_text("/dev/zero"), refused=EVERYWHERE),
    "memory": OddValue(_make_text("/proc/self/mem"), refused=EVERYWHERE),
    "a folder": OddValue(
        _make_folder, refused=_choose_roles("input") | OUTPUTS, usable=_choose_roles("inputs") | FOLDERS
    ),
    "a file as a folder": OddValue(_add_suffix("note.txt/a"), refused=EVERYWHERE),
    "missing": OddValue(_add_suffix("none"), refused=INPUTS | _choose_roles("folder")),
    "in a missing folder": OddValue(
        _add_suffix("none/a"),
        refused=INPUTS | _choose_roles("output", "folder"),
        usable=_choose_roles("new output", "new folder"),
    ),
    "an empty file": OddValue(_make_empty_file, refused=INPUTS | FOLDERS),
    "an address": OddValue(
        _add_suffix("http://127.0.0.1:9/a"), refused=INPUTS | _choose_roles("output", "folder")
    ),
    "a hyphen": OddValue(_make_text("-"), refused=INPUTS | _choose_roles("folder")),
    "the source by another name": OddValue(_link_to_source, refused=_choose_roles("output")),
    "a closed file": OddValue(_close_file, usable=INPUTS | FOLDERS, needs_rights=True),
    "in a closed folder": OddValue(
        _enter_folder_of_mode(0o000), usable=EVERYWHERE - _choose_roles("folder"), needs_rights=True
    ),
    "in a folder of others": OddValue(
        _enter_folder_of_mode(0o555), usable=OUTPUTS | _choose_roles("new folder"), needs_rights=True
    ),
}


def write_sources(folder: Path, is_long: bool) -> None:
    """What commands read: a portrait, a second of sound, a checkpoint that is none, and a video out of step."""
    shutil.copy(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg", folder / "face.jpg")
    write_wav(folder / "voice.wav", babble(16_000, 1.0), 16_000)
    (folder / "a.model").write_bytes(b"no network")
    (folder / "clip.mp4").write_bytes(b"no video")
    if not is_long:
        return
    speech = np.concatenate(
        list(stream_mono_audio(Path(liveavatar.__file__).parent / "assets" / "demo_zh.ogg"))
    )
    write_wav(folder / "speech.wav", speech[: 6 * 16_000, None], 16_000)
    liveavatar.open(folder / "face.jpg", size=(160, 192)).render(
        folder / "speech.wav", folder / "on_time.mp4"
    )
    (folder / "clip.mp4").unlink()
    shift_sound(folder / "on_time.mp4", folder / "clip.mp4", 0.3)


def list_cells(only: str, is_long: bool) -> Iterator[tuple[str, str, str]]:
    """Option, value and user of each cell of the table."""
    for option_name, option in OPTIONS.items():
        for value_name, value in VALUES.items():
            for user in USERS:
                if only in option_name and _is_wanted(option, value, user, is_long):
                    yield option_name, value_name, user


def _is_wanted(option: PathOption, value: OddValue, user: str, is_long: bool) -> bool:
    """Without `is_long`, only what takes a moment: each value by one user, and no rendering."""
    is_refused = is_refused_to(option, value, user)
    if is_long:
        return is_refused or option.role in value.usable
    return (user == "not root") == value.needs_rights and (
        is_refused or (option.role in value.usable and not option.is_long)
    )


def is_refused_to(option: PathOption, value: OddValue, user: str) -> bool:
    """Whether the program has to refuse a value."""
    if option.keeps_files and value.is_file:
        return True
    return option.role in value.refused or (
        value.needs_rights and option.role in value.usable and user == "not root"
    )


def run_cell(sources: Path, option_name: str, value_name: str, user: str) -> Cell:
    """Run one cell in a new folder."""
    option, value = OPTIONS[option_name], VALUES[value_name]
    is_refused = is_refused_to(option, value, user)
    with tempfile.TemporaryDirectory(prefix="odd-") as name:
        place, messages, scratch = Path(name, "here"), Path(name, "printed"), Path(name, "tmp")
        scratch.mkdir()
        text = _fill_folder(place, sources, option, value)
        before = _list_states(place)
        code = _run_program(
            [part.replace("{path}", text) for part in option.command], place, messages, scratch, user
        )
        printed = messages.read_text(errors="replace")
        allowed = set(option.others)
        faults = find_text_faults(printed, is_refused)
        if code not in ({2} if is_refused else option.codes):
            faults.append(f"exit {code}")
        if option.role not in INPUTS | _choose_roles("folder") and not is_refused:
            allowed.add(Path(text).parts[0])
            faults += _find_output_faults(place / text, option)
        changed = {path for path, _ in before ^ _list_states(place) if Path(path).parts[0] not in allowed}
        faults += [f"{path!r} has changed" for path in sorted(changed)]
        faults += [f"{path.name} is left" for path in scratch.iterdir()]
    return Cell(option_name, value_name, user, is_refused, printed, tuple(faults))


def find_text_faults(printed: str, is_refused: bool) -> list[str]:
    """What is wrong with what was printed: errors are one line with a remedy, and names are shown harmlessly."""
    faults = [word for word in ("Traceback", "Usage:", "Errno", "╭", "\x1b", "\x07") if word in printed]
    sentences = [line for line in printed.splitlines() if "; " in line or '"remedy"' in line]
    if is_refused and len(sentences) != 1:
        faults.append(f"{len(sentences)} lines with a remedy")
    if is_refused and len(printed.splitlines()) > 2 + 3 * (
        "failed:" in printed
    ):  # a verdict, or a table of counts
        faults.append(f"{len(printed.splitlines())} lines")
    return faults


def _fill_folder(place: Path, sources: Path, option: PathOption, value: OddValue) -> str:
    """Copy the sources, add somebody's note, and build the value; gives its text."""
    shutil.copytree(sources, place)
    (place / "note.txt").write_text("somebody's note")
    usual = {".wav": "voice.wav", ".jpg": "face.jpg", ".mp4": "clip.mp4", ".model": "a.model"}
    here = Path.cwd()
    os.chdir(place)
    try:
        return value.make(option, place / usual.get(option.suffix, "note.txt"))
    finally:
        os.chdir(here)


def _list_states(place: Path) -> set[tuple[str, tuple[int, ...]]]:
    """What would tell that a file was changed or replaced, by its path."""
    states = set()
    for path in place.rglob("*"):
        status = path.lstat()
        times = () if path.is_dir() and not path.is_symlink() else (status.st_mtime_ns, status.st_size)
        states.add((str(path.relative_to(place)), (status.st_ino, status.st_mode, *times)))
    return states


def _find_output_faults(output: Path, option: PathOption) -> list[str]:
    if option.role == "new folder":
        return [] if list(output.glob("*.wav")) else ["no result"]
    if output.is_symlink() or not output.is_file():
        return ["no file of that name"]
    return [] if output.read_bytes().startswith(option.head) else ["a file of another format"]


def _run_program(arguments: list[str], place: Path, messages: Path, scratch: Path, user: str) -> int:
    """Run the program in a child of this process; gives its exit code, or minus the signal that ended it."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _become_program(arguments, place, messages, scratch, user)
    deadline = time.monotonic() + SECONDS
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.003)


def import_commands() -> None:
    """Import once what every command needs, before the processes part."""
    import_module("liveavatar.cli.process.program")
    program = get_command(app)
    assert isinstance(program, TyperGroup)
    list(program.commands.values())
    with suppress(ImportError):
        import_module("typer._adapters")  # imports pydantic, in versions of typer that use it


def _become_program(arguments: list[str], place: Path, messages: Path, scratch: Path, user: str) -> None:
    """Run the program in this process and end it, as Python would."""
    code = 1
    try:
        descriptor = os.open(messages, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.chdir(place)
        os.environ |= {"TMPDIR": str(scratch), "COLUMNS": "200"}
        tempfile.tempdir = None  # it was chosen in the parent
        if user == "not root":
            drop_capabilities()
        sys.argv = ["liveavatar", *arguments]
        cli.main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:  # noqa: BLE001  (what Python would print)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Run the table; exit code 1 if a cell has faults."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="options whose names hold this")
    parser.add_argument("--long", action="store_true", help="usable values of every option, too")
    parser.add_argument("--show", action="store_true", help="print what each refused cell printed")
    options = parser.parse_args()
    import_commands()
    results = Counter[str]()
    with tempfile.TemporaryDirectory() as sources:
        child = os.fork()  # what renders starts threads, and no process with threads may be parted
        if child == 0:
            write_sources(Path(sources), options.long)
            os._exit(0)
        os.waitpid(child, 0)
        for names in list_cells(options.only, options.long):
            cell = run_cell(Path(sources), *names)
            results["FAILED" if cell.faults else "refused" if cell.is_refused else "used"] += 1
            if cell.faults or (options.show and cell.is_refused):
                sys.stdout.write(f"{' | '.join(names)}: {', '.join(cell.faults)}\n{cell.printed}\n")
    for what, count in results.most_common():
        sys.stdout.write(f"{count:6}  {what}\n")
    sys.exit(1 if results["FAILED"] else 0)


if __name__ == "__main__":
    main()
