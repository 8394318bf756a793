"""Things before faces: how many of them the check of portraits finds, and what it says of faces that show everything.

    python -m benchmarks.face.covers [PICTURE…]

Fingers, a hand, a microphone, a mask and glasses (`tools/portrait_covers.py`) are drawn over the portraits of
`benchmarks/mesh/open_mouths.py` and the pictures named; landmarks are found anew. A sheet of them goes to
`out/covers.png`. "Refused" is a bad finding about the mouth or, for glasses, about the eyes. Writes
`benchmarks/results/MACHINE/face/covers.md`.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results
from benchmarks.mesh.open_mouths import list_cases, write_png
from tools.portrait_covers import COVERS

from liveavatar.errors import PortraitError
from liveavatar.face.inspection.quality import check_portrait
from liveavatar.face.landmarks import enclose_landmarks, predict_landmarks
from liveavatar.face.portrait import Portrait, find_portrait
from liveavatar.frames import Picture
from liveavatar.report import FINDING_LEVELS, FindingLevel

SHEET = Path("out/covers.png")
TILE_PIXELS, SHEET_ROWS = 150, 12
UNCOVERED = "nothing"


def list_variants(portrait: Portrait) -> Iterator[tuple[str, Portrait]]:
    """The portrait, and all that is drawn over it, by name; landmarks are found anew."""
    yield UNCOVERED, portrait
    for name, cover in COVERS.items():
        rgb = cover(portrait.rgb, portrait.landmarks)
        near = enclose_landmarks(predict_landmarks(rgb, enclose_landmarks(portrait.landmarks))[0])
        yield name, replace(portrait, rgb=rgb, landmarks=predict_landmarks(rgb, near)[0])


def judge_variant(name: str, portrait: Portrait) -> FindingLevel:
    """What the check says about a thing before a face; without one, about covered lips or eyes alone."""
    found = {finding.name: finding for finding in check_portrait(portrait)}
    if name == UNCOVERED:
        covered = [found[part] for part in ("mouth", "eyes") if _names_cover(found[part].remedy)]
        return max((finding.level for finding in covered), key=FINDING_LEVELS.index, default="ok")
    return found["eyes" if "glasses" in name else "mouth"].level


def _names_cover(remedy: str) -> bool:
    return any(word in remedy for word in ("before the mouth", "not covered", "dark glasses"))


def draw_face(portrait: Portrait) -> Picture:
    """The face, in one tile of the sheet."""
    square = enclose_landmarks(portrait.landmarks)
    corner, scale = np.array([square.x, square.y]) - square.side / 2, TILE_PIXELS / square.side
    matrix = np.column_stack([scale * np.eye(2), -scale * corner])
    tile = cv2.warpAffine(portrait.rgb, matrix, (TILE_PIXELS, TILE_PIXELS), flags=cv2.INTER_AREA)
    return np.asarray(tile, np.uint8)


def measure_covers(pictures: Iterable[Picture]) -> tuple[Counter[tuple[str, FindingLevel]], list[Picture]]:
    """Counts by what covers a face and by level, and a row of the sheet a picture."""
    counts: Counter[tuple[str, FindingLevel]] = Counter()
    rows: list[Picture] = []
    for rgb in pictures:
        try:
            portrait = find_portrait(rgb)
        except PortraitError as error:
            print(error)
            continue
        variants = list(list_variants(portrait))
        counts.update((name, judge_variant(name, variant)) for name, variant in variants)
        if len(rows) < SHEET_ROWS:
            rows.append(np.hstack([draw_face(variant) for _, variant in variants]))
    return counts, rows


def format_counts(counts: Counter[tuple[str, FindingLevel]]) -> str:
    """The table."""
    lines = ["| before the face | refused | warned of | not found |", "| --- | --- | --- | --- |"]
    for name in (UNCOVERED, *COVERS):
        bad, warn, ok = (counts[name, level] for level in ("bad", "warn", "ok"))
        lines.append(f"| {name} | {bad} | {warn} | {ok} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", type=Path)
    counts, rows = measure_covers(case.rgb for case in list_cases(parser.parse_args().pictures))
    write_png(SHEET, np.vstack(rows))
    script = "Script: `benchmarks/face/covers.py`, which says what is measured."
    head = f"# Things before faces\n\nMachine: {describe_machine()}. {script}\n\n"
    write_results(results_path(__file__), f"{head}{format_counts(counts)}\n")
    print(format_counts(counts))


if __name__ == "__main__":
    main()
