"""Hooks of `make docs`: pages that stand beside the code (READMEs, results) join those of `docs/`.

Links between them stay as they are written for a reader of the repository; here they are pointed to their places
on the site: `docs/mesh.md` is `mesh.md`, `benchmarks/results/x.md` keeps its path, `README.md` is `index.md`.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = (
    "README*.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "benchmarks/**/*",
    "training/**/README.md",
)
SHOWN = {".md", ".png", ".jpg", ""}
LINK = re.compile(r"(\]\(|src=\")([^)\s\"#:]+)([)#\"])")


def place_on_site(path: str) -> str:
    """The place on the site of a file of the repository, both relative to their roots."""
    return {"README.md": "index.md"}.get(path, path.removeprefix("docs/"))


def place_in_repository(path: str) -> str:
    """The file of the repository behind a place on the site."""
    if path == "index.md":
        return "README.md"
    return path if (ROOT / path).exists() else f"docs/{path}"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages and pictures from outside of `docs/`."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and path.suffix in SHOWN:
                place = place_on_site(path.relative_to(ROOT).as_posix())
                files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point relative links of a page to where their targets are on the site."""
    here = posixpath.dirname(page.file.src_uri)
    source = posixpath.dirname(place_in_repository(page.file.src_uri))

    def move_link(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        path = posixpath.normpath(posixpath.join(source, target))
        if not (ROOT / path).is_file() or Path(path).suffix not in SHOWN:
            return match[0]
        return f"{before}{posixpath.relpath(place_on_site(path), here or '.')}{after}"

    return LINK.sub(move_link, markdown)
