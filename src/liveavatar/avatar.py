"""The program as a library: `liveavatar.open("portrait.jpg")`."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveavatar.audio.front_end import RepairPolicy, StreamFrontEnd
from liveavatar.engine import Actor, Session
from liveavatar.engines import open_engine
from liveavatar.face.portrait import load_portrait
from liveavatar.frames import VideoFrame
from liveavatar.generate import ProgressCallback, Result, render_video
from liveavatar.timeline import parse_fps

Fps = str | int | float | Fraction


class Avatar:
    """A portrait that can speak. Rendering and sessions share it; sessions are independent of each other."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self._actor.size

    def render(
        self,
        audio: str | Path,
        output: str | Path,
        *,
        fps: Fps = 25,
        seed: int = 0,
        audio_policy: RepairPolicy = "fix",
        progress: ProgressCallback = lambda _done, _total: None,
    ) -> Result:
        """Speak a recording into an mp4.

        Raises:
            LiveAvatarError: one of its kinds; no file is left behind.
        """
        return render_video(
            self._actor,
            Path(audio),
            Path(output),
            fps=parse_fps(fps),
            seed=seed,
            policy=audio_policy,
            on_progress=progress,
        )

    def session(self, *, fps: Fps = 25, seed: int = 0) -> "AvatarSession":
        """Start a live session."""
        return AvatarSession(self._actor.session(parse_fps(fps), seed))


class AvatarSession:
    """Sound of any rate in, frames out, as soon as the sound allows."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._front_end = StreamFrontEnd()

    def __enter__(self) -> "AvatarSession":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.flush()

    def push(self, chunk: NDArray[np.float32] | NDArray[np.int16], rate: int) -> None:
        """Add sound: float32 or int16, [samples] or [samples, channels], at `rate` Hz.

        Raises:
            SessionClosed: after `flush()`.
        """
        self._session.push(self._front_end.push(chunk, rate))

    def flush(self) -> None:
        """The sound is over: the rest of the frames become available."""
        self._session.push(self._front_end.flush())
        self._session.flush()

    def interrupt(self) -> None:
        """Stop talking: forget sound that has not become a frame yet."""
        self._front_end = StreamFrontEnd()
        self._session.interrupt()

    def frames(self) -> Iterator[VideoFrame]:
        """Frames that the sound so far allows, each once, in order."""
        return self._session.frames()


def open(  # noqa: A001  (liveavatar.open is meant)
    image: str | Path,
    *,
    engine: str = "mesh",
    size: tuple[int, int] | None = None,
    face: int | None = None,
    **options: object,
) -> Avatar:
    """Read a portrait and prepare it for `engine`.

    Args:
        image: any picture OpenCV reads, with a face in it.
        engine: "mesh" or "dit".
        size: (width, height) of the frames; None follows the picture.
        face: which face, counted from 1, largest first; None takes the largest.
        options: of the engine; "mesh" knows `motion` (head and gaze) and `expression` (mouth), both 0…1.

    Raises:
        PortraitError: the picture cannot be read or has no usable face.
        EngineError: the engine cannot run here.
    """
    loaded = open_engine(engine, options)
    return Avatar(loaded.open(load_portrait(image, face), size))
