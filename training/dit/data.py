"""Training data: a portrait, animated by `mesh`, says what synthetic voices say.

    python -m training.dit.data FOLDER --clips 300 --seed 0

Every clip is three files: pictures of the face [n, 128, 128, 3] at 25 a second, features of the speech
[2n, 96] at 50 a second, and the sound. What is there is kept, so that a run that was killed goes on.
"""

import argparse
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from training.dit.clips import PIXELS, TalkingClip, find_clips, write_clip, write_portrait

from liveavatar.cli.commands.demo import find_demo_portrait
from liveavatar.dit.codecs.face_window import choose_face_window, cut_face
from liveavatar.dit.codecs.speech_features import list_step_channels, stack_steps
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.frames import Samples
from liveavatar.mesh.session import MeshActor, MeshEngine
from liveavatar.speech.stream import SpeechStream

BLOCK_PICTURES = 12
MOTION = 0.0
"""Share of the head's motion. The sound does not tell where a head sways: blocks, each drawn from its own noise, would
jump."""

_LOG = logging.getLogger(__name__)


def open_teacher(portrait: Portrait) -> MeshActor:
    """`mesh` with the motion of the training data."""
    return MeshEngine(motion=MOTION, gaze="camera").open(portrait, None)


def draw_clip(actor: MeshActor, portrait: Portrait, sound: Samples, seed: int) -> TalkingClip:
    """The face of `portrait` while `actor` says `sound`; what exceeds whole blocks is left out."""
    session = actor.session(Fraction(25), seed)
    session.push(sound)
    session.flush()
    window = choose_face_window(portrait.landmarks)
    pictures = [cut_face(frame.rgb, window, PIXELS) for frame in session.frames()]
    count = len(pictures) // BLOCK_PICTURES * BLOCK_PICTURES
    return TalkingClip(np.stack(pictures[:count]), extract_features(sound, 2 * count), sound)


def extract_features(sound: Samples, steps: int) -> NDArray[np.float32]:
    """Features of the first `steps` steps of 20 ms."""
    stream = SpeechStream()
    rows = np.concatenate([list_step_channels(stream.push(sound)), list_step_channels(stream.flush())])
    return stack_steps(np.concatenate([rows[:1], rows]), steps)


def name_clips(seed: int) -> Iterator[tuple[str, Samples]]:
    """Names and sounds of clips without end; those of voices held out are called test-…, the others train-…."""
    from training.dit.voices import HELD_OUT, make_speech  # needs espeak-ng and flite

    for number, (voice, sound) in enumerate(make_speech(seed)):
        yield f"{'test' if voice in HELD_OUT else 'train'}-{seed}-{number:05d}", sound


def main(arguments: list[str] | None = None) -> None:
    """Write clips until there are enough."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--portrait", type=Path, help="a photograph of one face; default: the demo's")
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    portrait = load_portrait(options.portrait or find_demo_portrait())
    write_portrait(options.folder, portrait)
    actor, known = open_teacher(portrait), set(find_clips(options.folder))
    for number, (name, sound) in zip(range(options.clips), name_clips(options.seed), strict=False):
        if name not in known:
            clip = draw_clip(actor, portrait, sound, seed=number)
            write_clip(options.folder, name, clip)
            _LOG.info("%s: %d pictures", name, len(clip.pictures))


if __name__ == "__main__":
    main()
