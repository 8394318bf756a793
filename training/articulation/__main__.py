"""Everything from nothing to weights: corpus, a first network, people aligned by it, better labels, the network.

python -m training.articulation out/corpus -o src/liveavatar/speech/assets/articulation.npz
"""

import argparse
from pathlib import Path

import torch  # type: ignore[import-not-found, unused-ignore]
from training.articulation import make_corpus, synth_kokoro
from training.articulation.dataset import load_clips
from training.articulation.realign import realign_folder
from training.articulation.train import train, write

ROUNDS = ((6, 2e-3), (4, 2e-3), (14, 2e-3), (3, 7e-4))
"""Epochs and highest learning rate: of a first network, which knows no people but one; of a second one; of going on
with that; and of going on once more. What the last two rounds end with is averaged."""


def main() -> None:
    """Run all steps; a corpus that is already there is used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.corpus / "train"
    if not folder.exists():
        make_corpus.gather(options.corpus, espeak_minutes=15.0, flite_minutes=10.0)
        synth_kokoro.speak_all(options.corpus, minutes=25.0, cache=options.corpus / "kokoro")
    if not any(folder.glob("people_*")):
        first = train(load_clips(folder), *ROUNDS[0], start=None, seed=0)
        realign_folder(folder, first)
        make_corpus.gather_people(options.corpus, first)
    second = train(load_clips(folder), *ROUNDS[1], start=None, seed=1)
    realign_folder(folder, second)
    clips = load_clips(folder)
    third = train(clips, *ROUNDS[2], start=second, seed=2)
    fourth = train(clips, *ROUNDS[3], start=third, seed=3)
    write(options.output, {name: (third[name] + fourth[name]) / 2 for name in third})


if __name__ == "__main__":
    main()
