"""The whole training: corpus, first network, alignment of the multilingual recordings, teacher, network.

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
"""Pieces and peak learning rate of the first network. Its corpus has one speaker who is not synthetic."""

SECOND_SCHEDULE = (60, 2e-3)
"""Of the second network, which learns from labels alone, with the multilingual recordings, to realign them."""

DISTILLATION_SCHEDULE = (300, 2e-3)
"""Of the third network, which learns from the teacher."""

CONTINUATION_SCHEDULE = (200, 1.3e-3)
"""Of its continuation. The mean of the weights before and after it is shipped."""

TEACHER_EPOCHS = (3, 4)
"""Of the teacher, before and after realignment of the labels."""

MIN_CONFIDENCE = 0.65
"""Pseudo-labels are used where the likeliest viseme has this probability on average."""


def main() -> None:
    """Run all steps; an existing corpus is used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--reader", type=Path, required=True, help="where to write the teacher's shipped weights"
    )
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
    teacher_weights = train_teacher(folder)
    teacher.write_reader(options.reader, teacher_weights)
    third = train_network(
        make_distillation_examples(folder, partial(teacher.predict, teacher_weights)),
        *DISTILLATION_SCHEDULE,
        seed=2,
    )
    examples = make_distillation_examples(folder, partial(average_predictions, teacher_weights, third))
    averaged = average_weights(third, train_network(examples, *CONTINUATION_SCHEDULE, seed=3, start=third))
    write_weights(options.output, add_closure_classifier(averaged, options.corpus / "valid"))


def label_examples(folder: Path) -> list[Example]:
    """Make examples from labels alone."""
    return [label_example(clip) for clip in load_clips(folder)]


def train_teacher(folder: Path) -> Weights:
    """Train the teacher on the labels, realign them with it, and continue.

    The second part adds its own pseudo-labels of the unlabelled recordings, whose actors are the most natural English
    in the corpus.
    """
    before, after = TEACHER_EPOCHS
    examples = [teacher.make_teacher_example(example) for example in label_examples(folder)]
    weights = teacher.train_teacher(examples, before, start=None, seed=0)
    realign_folder(folder, partial(teacher.predict, weights))
    examples = [
        teacher.make_teacher_example(example)
        for example in (*label_examples(folder), *pseudo_label_recordings(partial(teacher.predict, weights)))
    ]
    return teacher.train_teacher(examples, after, start=weights, seed=1)


def pseudo_label_recordings(predictor: Predictor) -> Iterator[Example]:
    """Make examples of the unlabelled recordings, where the predictor is confident."""
    for speaker, samples in unlabelled.read_recordings():
        predicted = predictor(samples)
        if predicted[:, VISEME_COLUMNS].max(axis=1).mean() > MIN_CONFIDENCE:
            yield pseudo_label(speaker, samples, predicted)


def make_distillation_examples(folder: Path, predictor: Predictor) -> list[Example]:
    """Make examples whose targets are the mean of label and prediction, and pseudo-labelled ones."""
    labelled = [label_example(clip, predictor(clip.samples)) for clip in load_clips(folder)]
    return [*labelled, *pseudo_label_recordings(predictor)]


def average_predictions(teacher_weights: Weights, student_weights: Weights, samples: Floats) -> Floats:
    """The mean of the teacher's and the student's predictions, whose errors differ."""
    return 0.5 * (teacher.predict(teacher_weights, samples) + predict(student_weights, samples))


if __name__ == "__main__":
    main()
