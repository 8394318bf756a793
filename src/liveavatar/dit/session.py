"""The engine: portraits become actors, actors hold sessions, sessions turn sound into frames.

The model draws 25 pictures a second, 12 at a time. Frame i of a video at another rate is the picture that is shown
at the middle of the frame's time: lips stay on time, and pictures are repeated or left out.
"""

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction

import numpy as np
from torch import Tensor

from liveavatar.dit import image
from liveavatar.dit.config import FPS, picture_shown
from liveavatar.dit.decoding import Pending, Pictures
from liveavatar.dit.listener import PICTURE_SAMPLES, Listener
from liveavatar.dit.models import Models, open_models
from liveavatar.dit.options import DitOptions
from liveavatar.dit.pictures import PictureStream, Still, WavePictures, prepare_still
from liveavatar.dit.reference import LEFT_OUT
from liveavatar.dit.reference_session import ReferenceActor
from liveavatar.engine import Actor
from liveavatar.errors import SessionClosed
from liveavatar.face.crop import fit
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture, Samples, VideoFrame
from liveavatar.timeline import SAMPLE_RATE, Timeline

_LOG = logging.getLogger(__name__)


class DitEngine:
    """Live Avatar. Holds the models, which all actors share."""

    def __init__(self, options: DitOptions, models: Models | None = None) -> None:
        """`models` are those that the options ask for; None loads them."""
        self._options = options
        self._models = models or open_models(options)

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> Actor:
        """Encode a portrait, and what all its sessions have in common.

        `size` is (width, height), None for the shape of the portrait in about 704x384 pixels. The model draws whole
        patches of 64 pixels; what is more than `size` is cut off at the edges.
        """
        height, width = portrait.rgb.shape[:2]
        if self._options.parity:
            drawn = image.frame_size((width, height), size[0] * size[1] if size else self._options.area)
            return ReferenceActor(
                models=self._models, options=self._options, portrait=portrait.rgb, size=drawn
            )
        shown = size or image.frame_size((width, height), self._options.area)
        drawn = whole_patches(shown)
        picture = image.prepare(fit(portrait, drawn).rgb, drawn)[None].to(self._models.prompt.device)
        still = prepare_still(self._models.dit, self._models.vae, picture, self._models.prompt)
        kept = self._models.kept(still)
        return DitActor(models=self._models, options=self._options, still=kept, drawn=drawn, size=shown)


def whole_patches(size: tuple[int, int]) -> tuple[int, int]:
    """The smallest frame of whole patches that covers `size`."""
    width, height = (-(-side // image.DIVISOR) * image.DIVISOR for side in size)
    return width, height


@dataclass(frozen=True, slots=True, kw_only=True)
class DitActor:
    """One prepared portrait; its frames have `size`, cut from the middle of pictures of size `drawn`."""

    models: Models
    options: DitOptions
    still: Still
    drawn: tuple[int, int]
    size: tuple[int, int]

    def session(self, fps: Fraction, seed: int) -> "DitSession":
        """Start a conversation. Same sound and seed, same frames."""
        if fps != FPS:
            _LOG.info(
                "the model draws %d pictures a second; %s are made by repeating or leaving out", FPS, fps
            )
        return DitSession(self, fps, seed)

    def cut(self, picture: Picture) -> Picture:
        """The middle of a drawn picture."""
        left, top = ((drawn - shown) // 2 for drawn, shown in zip(self.drawn, self.size, strict=True))
        return np.ascontiguousarray(picture[top : top + self.size[1], left : left + self.size[0]])


class Signal(Enum):
    """What can happen to a session besides sound."""

    INTERRUPT = auto()
    FLUSH = auto()


class DitSession:
    """Draws a block as soon as it has been heard. `push`, `flush` and `interrupt` may come from another thread.

    They are noted and take effect while frames are made: an interruption stops the block that is being drawn at its
    next denoising step. If some of the block's frames have been taken, it is drawn again with the sound that follows
    from there on, from the same noise, so that the next frame continues the last one.
    """

    def __init__(self, actor: DitActor, fps: Fraction, seed: int) -> None:
        config = actor.options.stream()
        self._actor = actor
        self._timeline = Timeline(fps=fps)
        self._length = config.block_pictures
        self._listener = Listener(actor.models.audio, self._length, live=actor.options.live)
        models, speed = actor.models, actor.models.speed
        self._stream = (WavePictures if speed.wavefront else PictureStream)(
            models.dit, actor.still, config, seed,
            adaptive=actor.options.online_decode, rings=models.rings, speed=speed,
        )  # fmt: skip
        self._ahead = self._length * (config.steps - 1 if speed.wavefront else 0)
        self._events: deque[Samples | Signal] = deque()
        self._asked = self._heeded = 0  # interruptions: each is counted by one thread alone
        self._closed = False
        self._next = 0  # the frame to make
        self._end: int | None = None  # the frame after the last, once that is known
        self._origin = self._heard = 0  # samples: where the sound begins, and how far it has come
        self._block = -1  # the last one drawn, or the one before that which must be drawn again
        self._pictures: Pictures | None = None

    @property
    def lookahead(self) -> int:
        """Samples that must follow a frame before it can be made: the rest of its block, and what the ear needs."""
        half = int(SAMPLE_RATE / (2 * self._timeline.fps))
        return (self._length + self._ahead) * PICTURE_SAMPLES - half + self._listener.lookahead

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length."""
        if self._closed:
            raise SessionClosed("the session has been flushed", "open a new one")
        self._events.append(np.array(samples, np.float32))

    def flush(self) -> None:
        """The sound is over; the last block is filled up with silence."""
        if not self._closed:
            self._closed = True
            self._events.append(Signal.FLUSH)

    def interrupt(self) -> None:
        """Forget sound that has not become a frame; what is pushed next starts with the next frame."""
        self._asked += 1
        self._events.append(Signal.INTERRUPT)

    def frames(self) -> Iterator[VideoFrame]:
        """The frames that the sound so far allows, drawn as they are taken."""
        while (picture := self._take()) is not None:
            number = self._next
            self._next += 1
            yield VideoFrame(rgb=self._actor.cut(picture), pts=number, fps=self._timeline.fps)

    def _take(self) -> Picture | None:
        """The next frame's picture, or None while there is none."""
        while True:
            self._listen()
            if self._end is not None and self._next >= self._end:
                return None
            if (picture := self._picture(self._wanted)) is not None:
                return picture
            if not self._draw(self._block + 1) and not self._events:
                return None

    @property
    def _wanted(self) -> int:
        return picture_shown(self._next, self._timeline.fps)

    def _picture(self, number: int) -> Picture | None:
        block, index = divmod(number, self._length)
        return self._pictures[index] if self._pictures is not None and block == self._block else None

    def _draw(self, block: int) -> bool:
        """Draw a block; False if it has not been heard to its end, or was interrupted."""
        pending = self._drawn(block)
        if pending is None:
            return False
        self._block, self._pictures = block, pending.pictures()
        if block == 0:
            # the first latent frame still holds some of the portrait as it was
            self._pictures[:LEFT_OUT] = self._pictures[LEFT_OUT]
        return True

    def _drawn(self, block: int) -> Pending | None:
        """The pictures of a block, while they are decoded; beside that the next block is begun."""
        if isinstance(self._stream, WavePictures):
            return self._stream.draw(self._columns, ended=self._end is not None, cancelled=self._interrupted)
        columns = self._columns(block)
        pending = None if columns is None else self._stream.draw(block, columns, self._interrupted)
        if pending is not None and self._actor.models.speed.vae_stream and not self._interrupted():
            following = self._columns(block + 1)
            if following is not None:
                self._stream.begin(block + 1, following)
        return pending

    def _columns(self, block: int) -> Tensor | None:
        """What is said during a block [1, L, C, P], if it has been heard and will be shown."""
        if self._end is not None and block * self._length > picture_shown(self._end - 1, self._timeline.fps):
            return None
        columns = self._listener.block(block)
        return None if columns is None else columns[None]

    def _interrupted(self) -> bool:
        return self._asked > self._heeded

    def _listen(self) -> None:
        """Take in what happened since the last time."""
        while self._events:
            event = self._events.popleft()
            if event is Signal.INTERRUPT:
                self._heeded += 1
                self._forget()
            elif event is Signal.FLUSH:
                self._finish()
            elif isinstance(event, np.ndarray):
                self._heard += len(event)
                self._listener.push(event)

    def _forget(self) -> None:
        """What is heard from now on starts with the next frame."""
        self._origin = self._heard = self._timeline.frame_start(self._next)
        self._block = min(self._block, self._wanted // self._length - 1)
        self._pictures = None
        self._stream.leave(self._block + 1)
        self._listener.restart(self._wanted, self._origin)
        if self._end is not None:
            self._end = self._next

    def _finish(self) -> None:
        """Add the silence that the last block needs."""
        spoken = self._heard > self._origin
        self._end = self._timeline.frame_count(self._heard) if spoken else self._next
        last = picture_shown(self._end - 1, self._timeline.fps) // self._length
        missing = (last + 1) * self._length * PICTURE_SAMPLES - self._heard
        self._listener.push(np.zeros(max(0, missing), np.float32))
        self._listener.flush()
