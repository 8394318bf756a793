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

from liveavatar.dit.loader import DitModels, find_device, open_models, plan_device_memory
from liveavatar.dit.performance.assembly import count_offloaded_blocks, offload_blocks
from liveavatar.dit.plan.memory import (
    OFFLOAD_BUFFERS,
    MemoryPlan,
    Workload,
    find_smaller_profile,
    fit_memory_profile,
)
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.requirements import DEFAULT_SIZE
from liveavatar.dit.session import DitEngine
from liveavatar.engine import Actor, Engine, Session
from liveavatar.errors import EngineError, SessionClosed
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples, VideoFrame
from liveavatar.timeline import Timeline

_LOG = logging.getLogger(__name__)

DOWNGRADE_SHARE = 0.9
"""What is tried next takes at most so much of what did not fit."""

_OUT_OF_MEMORY_MESSAGES = ("out of memory", "ALLOC_FAILED")
_DEVICE_LOST_MESSAGES = ("CUDA error", "cuDNN error", "CUBLAS_STATUS", "device-side assert")

Done = TypeVar("Done")


class EngineSupervisor(Protocol):
    """Makes an engine, and makes it smaller."""

    @property
    def engine(self) -> Engine:
        """The engine as it is now."""
        ...

    def offload_more(self) -> str | None:
        """Free memory of the device, changing nothing that is drawn; says how, or None if nothing is left to move."""
        ...

    def downgrade(self) -> str | None:
        """Load everything anew on the next rung; says which, or None if this is the last."""
        ...


class DitSupervisor:
    """The engine from checkpoints or at random; `load` opens its models."""

    def __init__(
        self, options: DitOptions, load_models: Callable[[DitOptions, MemoryPlan], DitModels] = open_models
    ) -> None:
        self._options = options
        self._load_models = load_models
        self._device = find_device(options.device_name)
        self._plan = plan_device_memory(options, self._device)
        self._open_engine()

    @property
    def engine(self) -> DitEngine:
        """The engine as it is now."""
        return self._engine

    def _open_engine(self) -> None:
        while True:
            trouble = None
            try:
                self._models = self._load_models(self._options, self._plan)
                self._engine = DitEngine(self._options, self._models)
            except RuntimeError as error:
                trouble = classify_device_error(error)
            if trouble is None:
                return
            self._plan = self._choose_smaller_plan(trouble)
            _LOG.warning("%s; loading again: %s", trouble, self._plan.summary)

    def offload_more(self) -> str | None:
        """Half of the blocks that are left on the device go to host memory."""
        dit = self._models.dit
        resident = len(dit.blocks) - count_offloaded_blocks(dit)
        moved = resident // 2 // OFFLOAD_BUFFERS * OFFLOAD_BUFFERS
        if not moved:
            return None
        offload_blocks(dit, moved, self._device)
        release_cached_memory(self._device)
        return f"{moved} more blocks now lie in host memory"

    def downgrade(self) -> str | None:
        """The next rung that takes less."""
        try:
            self._plan = self._choose_smaller_plan("")
        except EngineError:
            return None
        del self._models, self._engine
        release_cached_memory(self._device)
        self._open_engine()
        return self._plan.summary

    def _choose_smaller_plan(self, problem: str) -> MemoryPlan:
        options = self._options
        job = Workload(
            stream=options.to_stream_config(), size=DEFAULT_SIZE, wavefront=options.speed_options.wavefront
        )
        rung = find_smaller_profile(self._plan.profile)
        while rung is not None:
            plan = fit_memory_profile(rung, int(DOWNGRADE_SHARE * self._plan.estimate.gpu_total), job)
            if plan is not None:
                return plan
            rung = find_smaller_profile(rung)
        raise EngineError(problem, "use a smaller --size, or a card with more memory")


class RecoveringEngine:
    """An engine that makes itself smaller where memory runs out."""

    def __init__(self, supervisor: EngineSupervisor) -> None:
        self._supervisor = supervisor

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "RecoveringActor":
        """Prepare a portrait."""
        return RecoveringActor(self._supervisor, portrait, size)


class RecoveringActor:
    """A portrait that can be prepared again."""

    def __init__(
        self, supervisor: EngineSupervisor, portrait: Portrait, size: tuple[int, int] | None
    ) -> None:
        self.supervisor = supervisor
        self._portrait = portrait
        self._size = size
        self._prepared: tuple[Engine, Actor] | None = None
        self.size = retry_on_oom(supervisor, self.prepare_actor, self.release_actor).size

    def prepare_actor(self) -> Actor:
        """The portrait, prepared for the engine as it is now."""
        engine = self.supervisor.engine
        if self._prepared is None or self._prepared[0] is not engine:
            self.release_actor()
            self._prepared = engine, engine.open(self._portrait, self._size)
        return self._prepared[1]

    def release_actor(self) -> None:
        """Let go what was prepared."""
        self._prepared = None

    def session(self, fps: Fraction, seed: int) -> "RecoveringSession":
        """Start a conversation."""
        return RecoveringSession(self, fps, seed)


class RecoveringSession:
    """A session that outlives its engine. `push`, `flush` and `interrupt` may be called from another thread."""

    def __init__(self, actor: RecoveringActor, fps: Fraction, seed: int) -> None:
        self._actor = actor
        self._fps, self._seed = fps, seed
        self._timeline = Timeline(fps=fps)
        self._lock = Lock()
        self._sound: list[Samples] = []  # since sample `_origin`: what the frames to come are made of
        self._sound_start = 0
        self._closed = False
        self._next_frame = 0  # the frame to make
        self._first_frame = 0  # the frame that the session inside began with
        self._inner_session: Session | None = None
        self._inner_frames: Iterator[VideoFrame] | None = None
        self._lookahead = retry_on_oom(
            actor.supervisor, self._open_inner_session, self._release_inner_session
        ).lookahead

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
            if self._inner_session is not None:
                self._inner_session.push(samples)

    def flush(self) -> None:
        """The sound is over."""
        with self._lock:
            self._closed = True
            if self._inner_session is not None:
                self._inner_session.flush()

    def interrupt(self) -> None:
        """Forget sound that has not become a frame."""
        with self._lock:
            self._sound, self._sound_start = [], self._timeline.frame_start(self._next_frame)
            if self._inner_session is not None:
                self._inner_session.interrupt()

    def frames(self) -> Iterator[VideoFrame]:
        """The frames that the sound so far allows.

        Raises:
            EngineError: the card was lost, or has no room for the smallest rung.
        """
        while (
            frame := retry_on_oom(self._actor.supervisor, self._take_frame, self._release_inner_session)
        ) is not None:
            number = self._first_frame + frame.pts
            self._next_frame = number + 1
            self._drop_used_sound()
            yield replace(frame, pts=number)

    def _take_frame(self) -> VideoFrame | None:
        session = self._open_inner_session()
        frames, self._inner_frames = (
            self._inner_frames or session.frames(),
            None,
        )  # an error ends what raised it
        frame = next(frames, None)
        if frame is not None:
            self._inner_frames = frames
        return frame

    def _open_inner_session(self) -> Session:
        """The session inside; a new one after a release, which hears what the frames to come are made of."""
        if self._inner_session is None:
            session = self._actor.prepare_actor().session(self._fps, self._seed)
            with self._lock:
                self._first_frame = self._next_frame
                for samples in self._iterate_sound_from(self._timeline.frame_start(self._next_frame)):
                    session.push(samples)
                if self._closed:
                    session.flush()
                self._inner_session = session
        return self._inner_session

    def _iterate_sound_from(self, start: int) -> Iterator[Samples]:
        begin = self._sound_start
        for samples in self._sound:
            if begin + len(samples) > start:
                yield samples[max(0, start - begin) :]
            begin += len(samples)

    def _drop_used_sound(self) -> None:
        """Drop what no frame to come is made of."""
        with self._lock:
            start = self._timeline.frame_start(self._next_frame)
            while self._sound and self._sound_start + len(self._sound[0]) <= start:
                self._sound_start += len(self._sound.pop(0))

    def _release_inner_session(self) -> None:
        with self._lock:
            self._inner_session = self._inner_frames = None
        self._actor.release_actor()


def retry_on_oom(
    supervisor: EngineSupervisor, action: Callable[[], Done], release: Callable[[], None]
) -> Done:
    """Do `action`, making room where memory runs out; `release` lets go of what the engine made before it changes.

    Raises:
        EngineError: the card was lost, or there is no room to be made.
    """
    while True:
        try:
            return action()
        except RuntimeError as error:
            trouble = classify_device_error(error)
        # only here is the error gone, and with it everything that the failed pass still held
        _free_memory(supervisor, trouble, release)


def _free_memory(supervisor: EngineSupervisor, problem: str, release: Callable[[], None]) -> None:
    gc.collect()
    if done := supervisor.offload_more():
        _LOG.warning("%s: %s, and the block is drawn again", problem, done)
        return
    release()
    if done := supervisor.downgrade():
        _LOG.warning("%s; going on from the last frame with %s", problem, done)
        return
    raise EngineError(
        f"{problem}, and nothing is left to move", "use a smaller --size, or a card with more memory"
    )


def classify_device_error(error: RuntimeError) -> str:
    """What an error of the device means, in a few words, if that is too little memory.

    Raises:
        EngineError: the device was lost.
        RuntimeError: the error itself, when it is no error of the device.
    """
    said = str(error).strip().partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError) or any(sign in said for sign in _OUT_OF_MEMORY_MESSAGES):
        return "the GPU is out of memory"
    if isinstance(error, torch.AcceleratorError) or any(sign in said for sign in _DEVICE_LOST_MESSAGES):
        raise EngineError(
            f"the GPU was lost ({said})", "look at it with nvidia-smi, then start again"
        ) from error
    raise error


def release_cached_memory(device: torch.device) -> None:
    """Give memory that nothing uses any more back to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
