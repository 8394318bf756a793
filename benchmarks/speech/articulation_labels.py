"""Accuracy of the labels of real voices: pocketsphinx aligns voices whose phone times are known.

    python -m benchmarks.speech.articulation_labels KOKORO -o OUT.md

Kokoro's voices for testing say the texts of the real voices of `benchmarks.speech.articulation`, and pocketsphinx
aligns them in the same way. KOKORO is a folder for the model, which is downloaded; training/articulation/README.md
lists the other requirements.
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

HEADER = """# Accuracy of the labels of real voices

Made by `python -m benchmarks.speech.articulation_labels KOKORO -o OUT.md` on a {machine}. Kokoro's three English
voices for testing say the texts of the real voices, and pocketsphinx aligns them with the text. *Same* is the share of
10 ms steps whose label has the viseme of Kokoro's durations, *within 20 ms* the milder figure. *Grid* is the share that
would be the same if pocketsphinx were never wrong and only Kokoro's times were rounded to 25 ms. Closures are found and
justified as in [articulation.md](articulation.md).
A perfect model could not score higher on such labels, and labels of microphones are worse.

| texts of | clips | same | within 20 ms | grid | closures found | justified |
|---|---|---|---|---|---|---|
"""


@dataclass(slots=True)
class LabelScore(Score):
    """`Score` of labels, with the number of clips and of steps that agree on the grid."""

    clips: int = 0
    grid: int = 0

    def row(self, name: str) -> str:
        """A line of the table."""
        shares = (f"{100 * part / self.frames:.1f} %" for part in (self.right, self.nearly, self.grid))
        found = f"{100 * self.found / self.bilabials:.0f} % of {self.bilabials}"
        justified = f"{100 * self.justified / self.claimed:.0f} % of {self.claimed}"
        return f"| {' | '.join([name, str(self.clips), *shares, found, justified])} |"


def list_texts() -> Iterator[tuple[str, str]]:
    """Source and text of the real voices."""
    for name, source in (("librivox", english.list_librivox()), ("commands", english.list_commands())):
        yield from ((name, text) for _, text in source)
    yield from (("words", text) for _, text in english.list_words())
    yield from (("stamps", text.partition(" ")[2]) for _, text in english.list_stamps())


def compare_labels(known: Clip, aligned: Clip, score: LabelScore) -> None:
    """Add one clip: its true phones, and those of the aligner."""
    predicted = make_targets(aligned).visemes
    rounded = [(phone, round(a / GRID) * GRID, round(b / GRID) * GRID) for phone, a, b in aligned.phones]
    score.clips += 1
    score.grid += int(np.sum(make_targets(replace(aligned, phones=rounded)).visemes == predicted))
    count_steps(predicted, make_targets(known).visemes, score)
    count_closures(list_closures(known), list_closures(aligned), score)


def main() -> None:
    """Synthesise, align, compare, write the table."""
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
                compare_labels(known, aligned, scores[name])
    table = "\n".join(score.row(name) for name, score in scores.items())
    print(table)
    if options.output:
        options.output.write_text(f"{HEADER.format(machine=describe_machine())}{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
