"""The lock file: every dependency of an installation, pinned and with hashes."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def read_name(requirement: str) -> str:
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_locked_with_hashes_at_the_version_of_development() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.findall(
        r"^([\w.-]+)==(\S+)[^\n]*((?:\n    --hash=sha256:[0-9a-f]{64}[ \\]*)+)", lock, re.MULTILINE
    )
    locked = {read_name(name): version for name, version, _ in entries}
    assert len(entries) == len(re.findall(r"^[\w.-]+", lock, re.MULTILINE))
    locked_extras = [
        line
        for name in ("credentials", "demo", "ears", "serve", "voices", "whisper")
        for line in extras[name]
    ]
    wanted = {read_name(line) for line in [*project["dependencies"], *locked_extras]}
    assert wanted <= locked.keys()
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split())
    versions = {read_name(name): version for name, version in pins.items()}
    assert {name: locked[name] for name in wanted} == {name: versions[name] for name in wanted}
