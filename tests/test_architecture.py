"""Import directions and import-time behaviour, read from the syntax tree."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "liveavatar"
MODULES = sorted(SOURCE.rglob("*.py"))

BASE = {"errors", "files", "timeline", "frames", "report"}
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "report": set(),
    "timeline": {"errors"},
    "frames": set(),
    "weights": BASE,
    "audio": BASE,
    "face": BASE | {"weights"},
    "speech": BASE | {"audio", "weights"},
    "video": BASE | {"audio"},
    "engine": BASE | {"face", "mesh", "dit"},
    "mesh": BASE | {"face", "speech"},
    "dit": BASE | {"engine", "face", "speech", "audio", "weights"},
    "generate": BASE | {"audio", "engine", "video"},
    "avatar": BASE | {"audio", "engine", "face", "generate"},
    "sync": BASE | {"audio", "face", "video", "speech", "weights"},
    "__init__": {"avatar", "errors", "frames", "generate"},
    "cli": None,
    "__main__": {"cli"},
}
"""Which rooms a room may import; None is any."""

CONFINED = {
    "torch": ("dit/", "sync/syncnet.py"),
    "av": ("audio/io/decode.py", "video/", "server/webrtc.py"),
    "asyncio": ("server/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
}


def room(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_point_one_way(path: Path) -> None:
    allowed = ALLOWED[room(path)]
    if allowed is None:
        return
    inner = {module.split(".")[1] for module in imports(path) if module.startswith("liveavatar.")}
    assert inner <= allowed | {room(path)}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    for library, homes in CONFINED.items():
        if library in {module.split(".")[0] for module in imports(path)}:
            assert name(path).startswith(homes), f"{library} does not belong in {name(path)}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_happens_at_import(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node in body:
        called = node.value if isinstance(node, ast.Expr) else None
        registers = isinstance(called, ast.Call) and room(path) == "cli"
        assert registers or not isinstance(called, ast.Call), f"{name(path)}:{node.lineno} acts at import"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_command_line_prints(path: Path) -> None:
    calls = (
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    )
    prints = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
    assert not prints or room(path) == "cli"


def test_the_engines_do_not_know_each_other() -> None:
    for engine, other in (("mesh", "dit"), ("dit", "mesh")):
        for path in (SOURCE / engine).rglob("*.py"):
            assert not any(module.startswith(f"liveavatar.{other}") for module in imports(path))


def test_importing_the_package_loads_neither_torch_nor_a_server() -> None:
    code = (
        "import sys, liveavatar; "
        "print([name for name in ('torch', 'aiohttp', 'fastapi', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_the_public_surface_is_what_we_say() -> None:
    import liveavatar

    assert sorted(liveavatar.__all__) == [
        "Avatar", "AvatarSession", "LiveAvatarError", "Result", "VideoFrame", "open",
    ]  # fmt: skip
