"""How far labels can be trusted: pocketsphinx aligns voices whose phone times are known.

    python -m benchmarks.speech.articulation_labels KOKORO -o OUT.md

Kokoro's voices for testing say what the real voices of the benchmark of articulation say, and pocketsphinx aligns it
as it aligns those. KOKORO is a folder for the model, which is fetched; what else is needed, says
training/articulation/README.md.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
from benchmarks.machine import describe_machine
from benchmarks.speech.articulation import Score, count_closures, count_steps, store_sound
from training.articulation import english, synth_kokoro
from training.articulation.corpus import Clip
from training.articulation.kokoro import Kokoro
from training.articulation.targets import list_closures, make_targets

GRID = 400
"""Samples at 16 kHz: Kokoro's durations are whole multiples."""

HEADER = """# How far labels can be trusted

Made by `python -m benchmarks.speech.articulation_labels KOKORO -o OUT.md` on a {machine}.
Kokoro's three English voices for testing say what the real voices say, and pocketsphinx aligns it,
knowing the text. *Same* is the share of 10 ms steps at which its labels name the viseme that Kokoro's durations name,
*within 20 ms* the milder figure beside it, *grid* how many would be the same if pocketsphinx were never wrong and only
Kokoro's times were rounded to 25 ms; closures are found and justified as in [articulation.md](articulation.md).
So much, and less from microphones, would a perfect ear be given by such labels.

| texts of | clips | same | within 20 ms | grid | closures found | justified |
|---|---|---|---|---|---|---|
"""


@dataclass(slots=True)
class LabelScore(Score):
    """The same of labels, and how many clips and steps on the grid."""

    clips: int = 0
    grid: int = 0

    def row(self, name: str) -> str:
        """A line of the table."""
        shares = (f"{100 * part / self.frames:.1f} %" for part in (self.right, self.nearly, self.grid))
        found = f"{100 * self.found / self.bilabials:.0f} % of {self.bilabials}"
        justified = f"{100 * self.justified / self.claimed:.0f} % of {self.claimed}"
        return f"| {' | '.join([name, str(self.clips), *shares, found, justified])} |"


def list_texts() -> Iterator[tuple[str, str]]:
    """What real voices say, as the labels have it."""
    for name, source in (("librivox", english.list_librivox()), ("commands", english.list_commands())):
        yield from ((name, text) for _, text in source)
    yield from (("words", text) for _, text in english.list_words())
    yield from (("stamps", text.partition(" ")[2]) for _, text in english.list_stamps())


def compare(known: Clip, aligned: Clip, score: LabelScore) -> None:
    """Add one clip."""
    said = make_targets(aligned).visemes
    rounded = [(phone, round(a / GRID) * GRID, round(b / GRID) * GRID) for phone, a, b in aligned.phones]
    score.clips += 1
    score.grid += int(np.sum(make_targets(replace(aligned, phones=rounded)).visemes == said))
    count_steps(said, make_targets(known).visemes, score)
    count_closures(list_closures(known), list_closures(aligned), score)


def main() -> None:
    """Say, align, compare, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kokoro", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    kokoro, scores = Kokoro(options.kokoro), defaultdict[str, LabelScore](LabelScore)
    voices = cycle(voice for voice, language in synth_kokoro.HELD_OUT.items() if language == "en")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in list_texts():
            known = synth_kokoro.make_clip(kokoro, text, "en", next(voices), 1.0)
            for aligned in english.align_transcript(
                store_sound(known.samples, Path(folder) / "clip.wav"), text, "real:kokoro"
            ):
                compare(known, aligned, scores[name])
    table = "\n".join(score.row(name) for name, score in scores.items())
    print(table)
    if options.output:
        options.output.write_text(f"{HEADER.format(machine=describe_machine())}{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
