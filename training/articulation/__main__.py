"""Everything from nothing to weights: corpus, a first network, better labels, the network, and its last polish.

python -m training.articulation out/corpus -o src/liveavatar/speech/assets/articulation.npz
"""

import argparse
from pathlib import Path

import torch  # type: ignore[import-not-found, unused-ignore]
from training.articulation import make_corpus, synth_kokoro
from training.articulation.dataset import load_clips
from training.articulation.network import Weights
from training.articulation.realign import realign_folder
from training.articulation.train import LEARNING_RATE, POLISH_RATE, train, write


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
    weights: Weights | None = None
    for seed, (epochs, rate) in enumerate(((5, LEARNING_RATE), (14, LEARNING_RATE), (10, POLISH_RATE))):
        weights = train(load_clips(folder), epochs, weights if seed == 2 else None, rate, seed)
        write(options.output, weights)
        realign_folder(folder, weights)


if __name__ == "__main__":
    main()
