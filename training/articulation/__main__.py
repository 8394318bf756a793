"""Everything from nothing to weights: a corpus, a first network, people aligned by it, a teacher, the network.

python -m training.articulation out/corpus -o src/liveavatar/speech/assets/articulation.safetensors \\
    --reader src/liveavatar/speech/assets/whisper_reader.safetensors
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch  # type: ignore[import-not-found, unused-ignore]
from training.articulation import make_corpus, synth_kokoro, teacher, unlabelled
from training.articulation.closure_classifier import add_closure_classifier
from training.articulation.dataset import load_clips
from training.articulation.examples import VISEME_COLUMNS, Example, Floats, label_example, pseudo_label
from training.articulation.network import Weights, predict
from training.articulation.realign import Predictor, realign_folder
from training.articulation.train import average_weights, train_network, write_weights

FIRST_SCHEDULE = (30, 2e-3)
"""Pieces and highest learning rate of a first network, which knows no people but one."""

SECOND_SCHEDULE = (60, 2e-3)
"""Of a second one, which learns from labels alone, of people too, to mend their times."""

DISTILLATION_SCHEDULE = (300, 2e-3)
"""Of a third one, which the teacher teaches."""

CONTINUATION_SCHEDULE = (200, 1.3e-3)
"""Of the same, going on; what is shipped is the mean of both ends."""

TEACHER_EPOCHS = (3, 4)
"""Of the teacher, before and after its labels are mended."""

MIN_CONFIDENCE = 0.65
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
        make_corpus.gather_corpus(options.corpus, espeak_minutes=15.0, flite_minutes=10.0, piper_minutes=15.0)
        synth_kokoro.write_clips(options.corpus, minutes=150.0, cache=options.corpus / "kokoro")
    if not any(folder.glob("people_*")):
        first = train_network(label_examples(folder), *FIRST_SCHEDULE, seed=0)
        realign_folder(folder, partial(predict, first))
        make_corpus.gather_multilingual(options.corpus, partial(predict, first))
    second = train_network(label_examples(folder), *SECOND_SCHEDULE, seed=1)
    realign_folder(folder, partial(predict, second))
    taught = train_teacher(folder)
    teacher.write_reader(options.reader, taught)
    third = train_network(
        make_distillation_examples(folder, partial(teacher.predict, taught)), *DISTILLATION_SCHEDULE, seed=2
    )
    again = make_distillation_examples(folder, partial(average_predictions, taught, third))
    learned = average_weights(third, train_network(again, *CONTINUATION_SCHEDULE, seed=3, start=third))
    write_weights(options.output, add_closure_classifier(learned, options.corpus / "valid"))


def label_examples(folder: Path) -> list[Example]:
    """Lessons of labels alone."""
    return [label_example(clip) for clip in load_clips(folder)]


def train_teacher(folder: Path) -> Weights:
    """A teacher that first learns from the labels, then mends them, then goes on learning, also from what it heard in
    the games' lines itself: their actors are the most real English there is."""
    before, after = TEACHER_EPOCHS
    pages = [teacher.make_teacher_example(lesson) for lesson in label_examples(folder)]
    weights = teacher.train_teacher(pages, before, start=None, seed=0)
    realign_folder(folder, partial(teacher.predict, weights))
    pages = [
        teacher.make_teacher_example(lesson)
        for lesson in (*label_examples(folder), *pseudo_label_recordings(partial(teacher.predict, weights)))
    ]
    return teacher.train_teacher(pages, after, start=weights, seed=1)


def pseudo_label_recordings(predictor: Predictor) -> Iterator[Example]:
    """Lessons of the games' lines, of which only what an `ear` hears tells what they are."""
    for speaker, samples in unlabelled.read_recordings():
        heard = predictor(samples)
        if heard[:, VISEME_COLUMNS].max(axis=1).mean() > MIN_CONFIDENCE:
            yield pseudo_label(speaker, samples, heard)


def make_distillation_examples(folder: Path, predictor: Predictor) -> list[Example]:
    """Lessons of labels and of what an `ear` hears, and of the games' lines."""
    said = [label_example(clip, predictor(clip.samples)) for clip in load_clips(folder)]
    return [*said, *pseudo_label_recordings(predictor)]


def average_predictions(teacher_weights: Weights, student_weights: Weights, samples: Floats) -> Floats:
    """What the teacher and its pupil hear on average: they mistake different things."""
    return 0.5 * (teacher.predict(teacher_weights, samples) + predict(student_weights, samples))


if __name__ == "__main__":
    main()
