"""What happens when a card has too little memory after all, or fails.

Out of memory: blocks are moved to host memory, which changes no bit, and the block of frames is drawn again. When
there is nothing left to move, the models are loaded anew on the next rung, and the stream goes on from the last frame
that was taken, with the sound that follows it. A lost card ends the session with one clear error.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from threading import Lock
from typing import Protocol, TypeVar

import numpy as np
import torch

from liveavatar.dit.assembly import stream_blocks, streamed_blocks
from liveavatar.dit.memory import BUFFERS, Job, Plan, below, fitted
from liveavatar.dit.models import Models, find_device, make_plan, open_models
from liveavatar.dit.options import DitOptions
from liveavatar.dit.requirements import USUAL_SIZE
from liveavatar.dit.session import DitEngine
from liveavatar.engine import Actor, Engine, Session
from liveavatar.errors import EngineError, SessionClosed
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples, VideoFrame
from liveavatar.timeline import Timeline

_LOG = logging.getLogger(__name__)

LESS = 0.9
"""What is tried next takes at most so much of what did not fit."""

_FULL = ("out of memory", "ALLOC_FAILED")
_LOST = ("CUDA error", "cuDNN error", "CUBLAS_STATUS", "device-side assert")

Done = TypeVar("Done")


class Workshop(Protocol):
    """Makes an engine, and makes it smaller."""

    @property
    def engine(self) -> Engine:
        """The engine as it is now."""
        ...

    def lighten(self) -> str | None:
        """Free memory of the device, changing nothing that is drawn; says how, or None if nothing is left to move."""
        ...

    def fall(self) -> str | None:
        """Load everything anew on the next rung; says which, or None if this is the last."""
        ...


class DitWorkshop:
    """The engine from checkpoints or at random; `load` opens its models."""

    def __init__(self, options: DitOptions, load: Callable[[DitOptions, Plan], Models] = open_models) -> None:
        self._options = options
        self._load = load
        self._device = find_device(options.place)
        self._plan = make_plan(options, self._device)
        self._open()

    @property
    def engine(self) -> DitEngine:
        """The engine as it is now."""
        return self._engine

    def _open(self) -> None:
        while True:
            trouble = None
            try:
                self._models = self._load(self._options, self._plan)
                self._engine = DitEngine(self._options, self._models)
            except RuntimeError as error:
                trouble = trouble_of(error)
            if trouble is None:
                return
            self._plan = self._lower(trouble)
            _LOG.warning("%s; loading again: %s", trouble, self._plan.line)

    def lighten(self) -> str | None:
        """Half of the blocks that are left on the device go to host memory."""
        dit = self._models.dit
        resident = len(dit.blocks) - streamed_blocks(dit)
        moved = resident // 2 // BUFFERS * BUFFERS
        if not moved:
            return None
        stream_blocks(dit, moved, self._device)
        make_room(self._device)
        return f"{moved} more blocks now lie in host memory"

    def fall(self) -> str | None:
        """The next rung that takes less."""
        try:
            self._plan = self._lower("")
        except EngineError:
            return None
        del self._models, self._engine
        make_room(self._device)
        self._open()
        return self._plan.line

    def _lower(self, trouble: str) -> Plan:
        options = self._options
        job = Job(stream=options.stream(), size=USUAL_SIZE, wavefront=options.pace.wavefront)
        rung = below(self._plan.rung)
        while rung is not None:
            plan = fitted(rung, int(LESS * self._plan.memory.total), job)
            if plan is not None:
                return plan
            rung = below(rung)
        raise EngineError(trouble, "use a smaller --size, or a card with more memory")


class RobustEngine:
    """An engine that makes itself smaller where memory runs out."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "RobustActor":
        """Prepare a portrait."""
        return RobustActor(self._workshop, portrait, size)


class RobustActor:
    """A portrait that can be prepared again."""

    def __init__(self, workshop: Workshop, portrait: Portrait, size: tuple[int, int] | None) -> None:
        self.workshop = workshop
        self._portrait = portrait
        self._size = size
        self._prepared: tuple[Engine, Actor] | None = None
        self.size = persist(workshop, self.prepared, self.release).size

    def prepared(self) -> Actor:
        """The portrait, prepared for the engine as it is now."""
        engine = self.workshop.engine
        if self._prepared is None or self._prepared[0] is not engine:
            self.release()
            self._prepared = engine, engine.open(self._portrait, self._size)
        return self._prepared[1]

    def release(self) -> None:
        """Let go what was prepared."""
        self._prepared = None

    def session(self, fps: Fraction, seed: int) -> "RobustSession":
        """Start a conversation."""
        return RobustSession(self, fps, seed)


class RobustSession:
    """A session that outlives its engine. `push`, `flush` and `interrupt` may be called from another thread."""

    def __init__(self, actor: RobustActor, fps: Fraction, seed: int) -> None:
        self._actor = actor
        self._fps, self._seed = fps, seed
        self._timeline = Timeline(fps=fps)
        self._lock = Lock()
        self._sound: list[Samples] = []  # since sample `_origin`: what the frames to come are made of
        self._origin = 0
        self._closed = False
        self._next = 0  # the frame to make
        self._first = 0  # the frame that the session inside began with
        self._session: Session | None = None
        self._frames: Iterator[VideoFrame] | None = None
        self._lookahead = persist(actor.workshop, self._inside, self._release).lookahead

    @property
    def lookahead(self) -> int:
        """Samples that must follow a frame before it can be made."""
        return self._lookahead

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length."""
        with self._lock:
            if self._closed:
                raise SessionClosed("the session has been flushed", "open a new one")
            self._sound.append(np.array(samples, np.float32))
            if self._session is not None:
                self._session.push(samples)

    def flush(self) -> None:
        """The sound is over."""
        with self._lock:
            self._closed = True
            if self._session is not None:
                self._session.flush()

    def interrupt(self) -> None:
        """Forget sound that has not become a frame."""
        with self._lock:
            self._sound, self._origin = [], self._timeline.frame_start(self._next)
            if self._session is not None:
                self._session.interrupt()

    def frames(self) -> Iterator[VideoFrame]:
        """The frames that the sound so far allows.

        Raises:
            EngineError: the card was lost, or has no room for the smallest rung.
        """
        while (frame := persist(self._actor.workshop, self._take, self._release)) is not None:
            number = self._first + frame.pts
            self._next = number + 1
            self._forget_sound()
            yield replace(frame, pts=number)

    def _take(self) -> VideoFrame | None:
        session = self._inside()
        frames, self._frames = self._frames or session.frames(), None  # an error ends what raised it
        frame = next(frames, None)
        if frame is not None:
            self._frames = frames
        return frame

    def _inside(self) -> Session:
        """The session inside; a new one after a release, which hears what the frames to come are made of."""
        if self._session is None:
            session = self._actor.prepared().session(self._fps, self._seed)
            with self._lock:
                self._first = self._next
                for samples in self._sound_from(self._timeline.frame_start(self._next)):
                    session.push(samples)
                if self._closed:
                    session.flush()
                self._session = session
        return self._session

    def _sound_from(self, start: int) -> Iterator[Samples]:
        begin = self._origin
        for samples in self._sound:
            if begin + len(samples) > start:
                yield samples[max(0, start - begin) :]
            begin += len(samples)

    def _forget_sound(self) -> None:
        """Drop what no frame to come is made of."""
        with self._lock:
            start = self._timeline.frame_start(self._next)
            while self._sound and self._origin + len(self._sound[0]) <= start:
                self._origin += len(self._sound.pop(0))

    def _release(self) -> None:
        with self._lock:
            self._session = self._frames = None
        self._actor.release()


def persist(workshop: Workshop, action: Callable[[], Done], release: Callable[[], None]) -> Done:
    """Do `action`, making room where memory runs out; `release` lets go of what the engine made before it changes.

    Raises:
        EngineError: the card was lost, or there is no room to be made.
    """
    while True:
        try:
            return action()
        except RuntimeError as error:
            trouble = trouble_of(error)
        # only here is the error gone, and with it everything that the failed pass still held
        _relieve(workshop, trouble, release)


def _relieve(workshop: Workshop, trouble: str, release: Callable[[], None]) -> None:
    gc.collect()
    if done := workshop.lighten():
        _LOG.warning("%s: %s, and the block is drawn again", trouble, done)
        return
    release()
    if done := workshop.fall():
        _LOG.warning("%s; going on from the last frame with %s", trouble, done)
        return
    raise EngineError(
        f"{trouble}, and nothing is left to move", "use a smaller --size, or a card with more memory"
    )


def trouble_of(error: RuntimeError) -> str:
    """What an error of the device means, in a few words, if that is too little memory.

    Raises:
        EngineError: the device was lost.
        RuntimeError: the error itself, when it is no error of the device.
    """
    said = str(error).strip().partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError) or any(sign in said for sign in _FULL):
        return "the GPU is out of memory"
    if isinstance(error, torch.AcceleratorError) or any(sign in said for sign in _LOST):
        raise EngineError(
            f"the GPU was lost ({said})", "look at it with nvidia-smi, then start again"
        ) from error
    raise error


def make_room(device: torch.device) -> None:
    """Give memory that nothing uses any more back to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
