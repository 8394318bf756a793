"""Files of the training data: clips of pictures, features and sound, and the portrait they show."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.dit.codecs.face_window import choose_face_window, cut_face
from liveavatar.face.picture import read_picture
from liveavatar.face.portrait import Portrait
from liveavatar.files import atomic_write
from liveavatar.frames import Picture, Samples

PIXELS = 128


@dataclass(frozen=True, slots=True)
class TalkingClip:
    """Pictures [n, 128, 128, 3] of a face, n a multiple of 12, and features [2n, 96] of the sound it speaks."""

    pictures: NDArray[np.uint8]
    features: NDArray[np.float32]
    sound: Samples


def write_clip(folder: Path, name: str, clip: TalkingClip) -> None:
    """Write a clip's files; the pictures last, since they say that the clip is complete."""
    arrays: dict[str, NDArray[np.generic]] = {
        "sound": np.rint(clip.sound * 32767).astype(np.int16),
        "features": clip.features.astype(np.float16),
        "pictures": clip.pictures,
    }
    for kind, array in arrays.items():
        with atomic_write(folder / f"{name}.{kind}.npy") as partial, partial.open("wb") as file:
            np.save(file, array)


def find_clips(folder: Path) -> list[str]:
    """Names of the complete clips, in order."""
    return sorted(path.name.removesuffix(".pictures.npy") for path in folder.glob("*.pictures.npy"))


def read_array(folder: Path, name: str, kind: str) -> NDArray[np.generic]:
    """One file of a clip, mapped into memory."""
    array: NDArray[np.generic] = np.load(folder / f"{name}.{kind}.npy", mmap_mode="r")
    return array


def write_portrait(folder: Path, portrait: Portrait) -> None:
    """The face at rest, as the model is given it."""
    face = cut_face(portrait.rgb, choose_face_window(portrait.landmarks), PIXELS)
    cv2.imwrite(str(folder / "portrait.png"), face[..., ::-1])


def read_portrait(folder: Path) -> Picture:
    """What `write_portrait` wrote, RGB."""
    return read_picture(folder / "portrait.png")
