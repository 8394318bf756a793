"""Everything from nothing to weights: a corpus, a first network, people aligned by it, a teacher, the network.

python -m training.articulation out/corpus -o src/liveavatar/speech/assets/articulation.safetensors \\
    --reader src/liveavatar/speech/assets/whisper_reader.safetensors
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch  # type: ignore[import-not-found, unused-ignore]
from training.articulation import games, make_corpus, synth_kokoro, teacher
from training.articulation.dataset import load_clips
from training.articulation.lesson import SAID, Floats, Lesson, labelled, overheard
from training.articulation.lips import with_lips
from training.articulation.network import Weights, predict
from training.articulation.realign import Ear, realign_folder
from training.articulation.train import mean_of, train, write

FIRST = (30, 2e-3)
"""Pieces and highest learning rate of a first network, which knows no people but one."""

SECOND = (60, 2e-3)
"""Of a second one, which learns from labels alone, of people too, to mend their times."""

TAUGHT = (300, 2e-3)
"""Of a third one, which the teacher teaches."""

AGAIN = (200, 1.3e-3)
"""Of the same, going on; what is shipped is the mean of both ends."""

EPOCHS = (3, 4)
"""Of the teacher, before and after its labels are mended."""

SURE = 0.65
"""How likely the teacher's guesses of visemes are on average, where it is believed."""


def main() -> None:
    """Run all steps; a corpus that is already there is used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--reader", type=Path, required=True, help="the teacher, as it is shipped")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.corpus / "train"
    if not folder.exists():
        make_corpus.gather(options.corpus, espeak_minutes=15.0, flite_minutes=10.0, piper_minutes=15.0)
        synth_kokoro.speak_all(options.corpus, minutes=150.0, cache=options.corpus / "kokoro")
    if not any(folder.glob("people_*")):
        first = train(label(folder), *FIRST, seed=0)
        realign_folder(folder, partial(predict, first))
        make_corpus.gather_people(options.corpus, partial(predict, first))
    second = train(label(folder), *SECOND, seed=1)
    realign_folder(folder, partial(predict, second))
    taught = train_teacher(folder)
    teacher.write_reader(options.reader, taught)
    third = train(be_taught(folder, partial(teacher.teach, taught)), *TAUGHT, seed=2)
    again = be_taught(folder, partial(together, taught, third))
    learned = mean_of(third, train(again, *AGAIN, seed=3, start=third))
    write(options.output, with_lips(learned, options.corpus / "valid"))


def label(folder: Path) -> list[Lesson]:
    """Lessons of labels alone."""
    return [labelled(clip) for clip in load_clips(folder)]


def train_teacher(folder: Path) -> Weights:
    """A teacher that first learns from the labels, then mends them, then goes on learning, also from what it heard in
    the games' lines itself: their actors are the most real English there is."""
    before, after = EPOCHS
    pages = [teacher.page(lesson) for lesson in label(folder)]
    weights = teacher.train(pages, before, start=None, seed=0)
    realign_folder(folder, partial(teacher.teach, weights))
    pages = [teacher.page(lesson) for lesson in (*label(folder), *overhear(partial(teacher.teach, weights)))]
    return teacher.train(pages, after, start=weights, seed=1)


def overhear(ear: Ear) -> Iterator[Lesson]:
    """Lessons of the games' lines, of which only what an `ear` hears tells what they are."""
    for speaker, samples in games.lines():
        heard = ear(samples)
        if heard[:, SAID].max(axis=1).mean() > SURE:
            yield overheard(speaker, samples, heard)


def be_taught(folder: Path, ear: Ear) -> list[Lesson]:
    """Lessons of labels and of what an `ear` hears, and of the games' lines."""
    said = [labelled(clip, ear(clip.samples)) for clip in load_clips(folder)]
    return [*said, *overhear(ear)]


def together(taught: Weights, learned: Weights, samples: Floats) -> Floats:
    """What the teacher and its pupil hear on average: they mistake different things."""
    return 0.5 * (teacher.teach(taught, samples) + predict(learned, samples))


if __name__ == "__main__":
    main()
