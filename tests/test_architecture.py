"""Import directions and import-time behaviour, read from the syntax tree."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "liveavatar"
MODULES = sorted(SOURCE.rglob("*.py"))

BASE = {"errors", "files", "frames", "partials", "report", "timeline", "plotting"}
ROOMS: dict[str, set[str] | None] = {
    "errors": set(),
    "partials": set(),
    "files": {"errors", "partials"},
    "report": set(),
    "timeline": {"errors"},
    "frames": set(),
    "plotting": {"errors", "files"},
    "weights": BASE,
    "audio": BASE,
    "face": BASE | {"weights"},
    "speech": BASE | {"audio", "weights"},
    "video": BASE | {"audio"},
    "provenance": BASE | {"audio", "engine", "video"},
    "engine": BASE | {"face"},
    "background": BASE | {"engine", "face"},
    "mesh": BASE | {"audio", "engine", "face", "speech"},
    "dit": BASE | {"audio", "engine", "face", "speech", "weights"},
    "voices": BASE | {"audio", "weights"},
    "ears": BASE | {"audio", "speech", "weights"},
    "captions": BASE | {"engine", "provenance"},
    "engines": BASE | {"engine", "mesh", "dit", "provenance"},
    "sync": BASE | {"audio", "face", "video", "speech", "weights"},
    "generate": BASE | {"audio", "background", "captions", "engine", "provenance", "video"},
    "avatar": BASE | {"audio", "engine", "engines", "face", "generate", "provenance", "video"},
    "live": BASE | {"audio", "engine", "provenance", "video"},
    "conversation": BASE | {"audio", "ears", "live", "voices"},
    "__init__": {"avatar", "errors", "frames", "generate"},
    "integrations": BASE | {"audio", "engine", "live"},
    "server": BASE
    | {
        "__init__",
        "audio",
        "avatar",
        "background",
        "conversation",
        "ears",
        "engine",
        "engines",
        "face",
        "generate",
        "live",
        "provenance",
        "sync",
        "video",
        "voices",
    },
    "cli": None,
    "__main__": {"cli"},
}
"""Which rooms a room may import; None is any."""

SUB_ROOMS = {
    "audio": {
        "spectral": set[str](),
        "dsp": {"spectral"},
        "io": {"dsp"},
        "analysis": {"spectral", "io", "dsp"},
        "front_end": {"io", "dsp", "analysis"},
        "batch": {"io", "dsp", "analysis", "front_end"},
    },
    "face": {
        "io": set[str](),
        "networks": set[str](),
        "procrustes": set[str](),
        "picture": {"io"},
        "canonical": {"networks"},
        "detect": {"networks"},
        "landmarks": {"networks", "canonical", "detect"},
        "search": {"detect", "landmarks"},
        "matte": {"networks", "landmarks"},
        "portrait": {"picture", "detect", "landmarks", "search", "matte"},
        "pose": {"procrustes", "canonical", "landmarks"},
        "crop": {"portrait"},
        "inspection": {"networks", "search", "landmarks", "portrait", "pose"},
    },
    "speech": {
        "track": set[str](),
        "features": {"track"},
        "prosody": {"track", "features"},
        "models": {"track", "features"},
        "voice_gate": {"track"},
        "stream": {"track", "features", "prosody", "models", "voice_gate"},
    },
    "provenance": {
        "aigc": set[str](),
        "label": set[str](),
        "speech_breaks": set[str](),
        "certificate": set[str](),
        "credentials": {"certificate"},
        "watermark_pattern": set[str](),
        "watermark": {"watermark_pattern"},
        "watermark_detection": {"watermark_pattern"},
        "policy": {"aigc", "certificate", "credentials", "label"},
        "frame_marker": {"label", "policy", "speech_breaks", "watermark"},
        "file_marks": {"aigc", "certificate", "credentials", "label", "policy"},
        "inspection": {"aigc", "certificate", "credentials", "file_marks", "watermark_detection"},
    },
    "mesh": {
        "geometry": set[str](),
        "motion": set[str](),
        "lips": {"geometry"},
        "render": {"geometry", "lips"},
        "emotions": {"motion"},
        "options": {"emotions", "motion"},
        "expression": {"emotions", "geometry", "motion", "render"},
        "prepare": {"geometry", "lips", "render"},
        "self_check": {"expression", "geometry", "lips"},
        "mouth_ways": {"expression", "geometry", "lips", "motion", "prepare", "render", "self_check"},
        "session": {
            "emotions",
            "expression",
            "geometry",
            "motion",
            "mouth_ways",
            "options",
            "render",
        },
    },
    "ears": {
        "stretches": set[str](),
        "vocabulary": set[str](),
        "recogniser": {"stretches", "vocabulary"},
        "end_of_turn": set[str](),
        "turns": set[str](),
    },
    "voices": {
        "text": set[str](),
        "chinese_numbers": set[str](),
        "english": set[str](),
        "clauses": {"text"},
        "voice": {"clauses"},
        "mandarin": {"text", "chinese_numbers", "english"},
        "hibari": {"text", "clauses", "english", "voice"},
        "kokoro": {"text", "clauses", "english", "mandarin", "voice"},
        "catalogue": {"text", "voice", "hibari", "kokoro"},
        "speech_file": {"catalogue", "voice"},
    },
    "live": {
        "clock": set[str](),
        "messages": set[str](),
        "budget": {"clock"},
        "segments": {"messages"},
        "sound_track": {"messages", "segments"},
        "playout": {"messages"},
        "viewers": {"messages"},
        "drawing": set[str](),
        "encoder": {"messages", "segments"},
        "session": {
            "budget",
            "clock",
            "drawing",
            "encoder",
            "messages",
            "playout",
            "segments",
            "sound_track",
            "viewers",
        },
        "runner": {"session"},
    },
    "conversation": {
        "history": set[str](),
        "events": set[str](),
        "clause_stream": set[str](),
        "partner": {"clause_stream", "history"},
        "local_parts": {"history", "partner"},
        "conversation": {"events", "history", "partner"},
        "runner": {"conversation"},
    },
    "dit": {
        "plan": set[str](),
        "model": {"plan"},
        "codecs": {"plan", "model"},
        "checkpoint": {"plan", "model", "codecs"},
        "turns": set[str](),
        "streaming": {"plan", "model", "codecs", "turns"},
        "performance": {"plan", "model", "codecs", "checkpoint", "streaming"},
        "loader": {"plan", "model", "codecs", "checkpoint", "streaming", "performance", "turns"},
        "parity": {"plan", "model", "codecs", "streaming", "loader"},
        "session": {"plan", "model", "codecs", "streaming", "loader"},
        "recovery": {"plan", "performance", "parity", "loader", "session"},
    },
    "integrations": {
        "message_stream": set[str](),
        "livekit": {"message_stream"},
        "pipecat": {"message_stream"},
    },
    "server": {
        "settings": set[str](),
        "metrics": set[str](),
        "http": set[str](),
        "studio": {"http", "metrics", "settings"},
        "live": {"conversation_protocol", "http", "live_socket", "studio"},
        "app": {"converse", "http", "live", "metrics", "settings", "studio"},
        "run": {"app", "live_socket", "settings"},
        "endpoints": {"settings"},
        "converse": {"endpoints", "settings"},
        "conversation_protocol": set[str](),
        "live_socket": {"conversation_protocol"},
    },
}
"""Which parts of the same room a part may import."""

CONFINED = {
    "torch": ("dit/", "sync/syncnet.py"),
    "av": ("audio/io/", "audio/dsp/loudness.py", "video/", "live/encoder/"),
    "PIL": ("captions/", "face/", "dit/codecs/image.py", "provenance/"),
    "c2pa": ("provenance/credentials.py",),
    "cryptography": ("provenance/certificate.py",),
    "matplotlib": ("plotting.py", "audio/analysis/plot.py", "sync/plot.py", "cli/commands/demo.py"),
    "pooch": ("weights/",),
    "platformdirs": ("weights/", "server/settings.py"),
    "huggingface_hub": ("weights/",),
    "asyncio": ("server/", "integrations/"),
    "livekit": ("integrations/livekit.py",),
    "pipecat": ("integrations/pipecat.py",),
    "starlette": ("server/",),
    "uvicorn": ("server/run.py",),
    "httpx2": ("server/endpoints/",),
    "prometheus_client": ("server/metrics.py",),
    "typer": ("cli/",),
    "rich": ("cli/",),
}
"""Libraries and the only places that may import them."""

TORCH_FREE = "dit/plan/"


def path_name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_room(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@cache
def parse_module(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def walk_executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child):
            yield from walk_executed(child)


def find_imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, lazily or at once; `from a import b` gives both `a` and `a.b`."""
    for node in walk_executed(parse_module(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


KNOWN = {module_name(path): path for path in MODULES}


def find_own_imports(path: Path) -> set[Path]:
    """Modules of the package that a module imports; a package counts where something of its own is imported."""
    names = {name for name in find_imports(path) if name in KNOWN}
    packages = {name for name in names if KNOWN[name].name == "__init__.py"}
    return {KNOWN[name] for name in names - packages}


@pytest.mark.parametrize("path", MODULES, ids=path_name)
def test_imports_point_one_way(path: Path) -> None:
    allowed = ROOMS[find_room(path)]
    if allowed is None:
        return
    rooms = {find_room(other) for other in find_own_imports(path)}
    assert rooms <= allowed | {find_room(path)}


@pytest.mark.parametrize("room", SUB_ROOMS)
def test_parts_of_a_room_point_one_way(room: str) -> None:
    def find_part(path: Path) -> str:
        relative = path.relative_to(SOURCE / room)
        return relative.parts[0] if len(relative.parts) > 1 else relative.stem

    rules = SUB_ROOMS[room]
    wrong = [
        f"{path_name(path)} imports {path_name(other)}"
        for path in (SOURCE / room).rglob("*.py")
        if path.name != "__init__.py"
        for other in find_own_imports(path)
        if find_room(other) == room
        and find_part(other) != find_part(path)
        and find_part(other) not in rules[find_part(path)]
    ]
    assert not wrong


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {path: find_own_imports(path) for path in MODULES}

    def reach(start: Path) -> set[Path]:
        found, waiting = set[Path](), [start]
        while waiting:
            new = graph[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    assert [path_name(path) for path in MODULES if path in reach(path)] == []


@pytest.mark.parametrize("path", MODULES, ids=path_name)
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    libraries = {name.split(".")[0] for name in find_imports(path)}
    for library, homes in CONFINED.items():
        if library in libraries:
            assert path_name(path).startswith(homes), f"{library} does not belong in {path_name(path)}"


def test_planning_needs_no_torch() -> None:
    graph = {path: find_own_imports(path) for path in MODULES}
    found = {path for path in MODULES if path_name(path).startswith(TORCH_FREE)}
    while new := {other for path in found for other in graph[path]} - found:
        found |= new
    assert [path_name(path) for path in found if imports_torch_at_once(path)] == []


def imports_torch_at_once(path: Path) -> bool:
    """Whether importing a module imports torch."""
    nodes = [node for node in parse_module(path).body if not is_type_checking(node)]
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return any(name.split(".")[0] == "torch" for name in named)


@pytest.mark.parametrize("path", MODULES, ids=path_name)
def test_nothing_happens_at_import(path: Path) -> None:
    for node in parse_module(path).body:
        called = node.value if isinstance(node, ast.Expr) else None
        registers = isinstance(called, ast.Call) and find_room(path) == "cli"
        assert registers or not isinstance(called, ast.Call), (
            f"{path_name(path)}:{node.lineno} acts at import"
        )


@pytest.mark.parametrize("path", MODULES, ids=path_name)
def test_only_the_command_line_prints(path: Path) -> None:
    calls = (node for node in ast.walk(parse_module(path)) if isinstance(node, ast.Call))
    prints = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
    assert not prints or find_room(path) == "cli"


def test_the_engines_do_not_know_each_other() -> None:
    for engine, other in (("mesh", "dit"), ("dit", "mesh")):
        for path in (SOURCE / engine).rglob("*.py"):
            assert not any(module.startswith(f"liveavatar.{other}") for module in find_imports(path))


def test_rooms_are_small_enough_to_overlook() -> None:
    folders = {path.parent for path in MODULES}
    sizes = {
        path_name(folder): sum(1 for path in MODULES if path.parent == folder and path.stem != "__init__")
        for folder in folders
    }
    assert {name: size for name, size in sizes.items() if size > 13} == {}


def test_importing_the_package_loads_neither_torch_nor_a_server() -> None:
    code = (
        "import sys, liveavatar; "
        "print([name for name in ('torch', 'starlette', 'uvicorn', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_the_public_surface_is_what_we_say() -> None:
    import liveavatar

    assert sorted(liveavatar.__all__) == [
        "Avatar", "AvatarSession", "LiveAvatarError", "Result", "VideoFrame", "open",
    ]  # fmt: skip
