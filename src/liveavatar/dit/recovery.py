"""Recovery when a card runs out of memory, or fails.

Out of memory: half of the blocks on the device are moved to host memory, which changes no bit, and the block of frames
is drawn again. When no block is left to move, the models are loaded anew with the next smaller memory profile, and the
stream continues after the last frame taken, with the sound that follows it. A lost card ends the session with an
error.
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

from liveavatar.dit.loader import (
    DitModels,
    find_device,
    open_models,
    plan_device_memory,
    release_cached_memory,
)
from liveavatar.dit.performance.assembly import count_offloaded_blocks, offload_blocks
from liveavatar.dit.plan.memory import OFFLOAD_BUFFERS, MemoryPlan, find_smaller_profile, fit_memory_profile
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.session import DitEngine
from liveavatar.engine import Actor, BlockSession, Engine, Session
from liveavatar.errors import EngineError, SessionClosed
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples, VideoFrame
from liveavatar.report import Finding
from liveavatar.timeline import Timeline

_LOG = logging.getLogger(__name__)

DOWNGRADE_SHARE = 0.9
"""Most GPU memory of the next plan, as a share of the plan that did not fit."""

_OUT_OF_MEMORY_MESSAGES = ("out of memory", "ALLOC_FAILED")
_DEVICE_LOST_MESSAGES = ("CUDA error", "cuDNN error", "CUBLAS_STATUS", "device-side assert")

Returned = TypeVar("Returned")


class EngineSupervisor(Protocol):
    """Holds an engine, and makes it smaller."""

    @property
    def engine(self) -> Engine:
        """The current engine."""
        ...

    def offload_more(self) -> str | None:
        """Free device memory without a change to what is drawn. Returns what was done, or None if nothing is left."""
        ...

    def downgrade(self) -> str | None:
        """Load the models with a smaller memory profile. Returns its summary, or None if there is none."""
        ...


class DitSupervisor:
    """Supervises an engine of the models that `load_models` opens."""

    def __init__(
        self,
        options: DitOptions,
        load_models: Callable[[DitOptions, MemoryPlan], DitModels] = open_models,
        make_engine: Callable[[DitOptions, DitModels], Engine] = DitEngine,
    ) -> None:
        self._options = options
        self._load_models = load_models
        self._make_engine = make_engine
        self._device = find_device(options.device_name)
        self._plan = plan_device_memory(options, self._device)
        self._open_engine()

    @property
    def engine(self) -> Engine:
        """The current engine."""
        return self._engine

    def _open_engine(self) -> None:
        while True:
            problem = None
            try:
                self._models = self._load_models(self._options, self._plan)
                self._engine = self._make_engine(self._options, self._models)
            except RuntimeError as error:
                problem = classify_device_error(error)
            if problem is None:
                return
            self._plan = self._choose_smaller_plan(problem)
            _LOG.warning("%s; loading again: %s", problem, self._plan.summary)

    def offload_more(self) -> str | None:
        """Move half of the blocks on the device to host memory, while no session computes."""
        dit = self._models.dit
        with self._models.turns.take_turn():
            resident = len(dit.blocks) - count_offloaded_blocks(dit)
            moved = resident // 2 // OFFLOAD_BUFFERS * OFFLOAD_BUFFERS
            if not moved:
                return None
            offload_blocks(dit, moved, self._device)
            release_cached_memory(self._device)
        return f"{moved} more blocks now lie in host memory"

    def downgrade(self) -> str | None:
        """Load the models with the next profile that takes less memory."""
        try:
            self._plan = self._choose_smaller_plan("")
        except EngineError:
            return None
        del self._models, self._engine
        release_cached_memory(self._device)
        self._open_engine()
        return self._plan.summary

    def _choose_smaller_plan(self, problem: str) -> MemoryPlan:
        available = int(DOWNGRADE_SHARE * self._plan.estimate.gpu_total)
        profile = find_smaller_profile(self._plan.profile)
        while profile is not None:
            plan = fit_memory_profile(profile, available, self._options.to_workload())
            if plan is not None:
                return plan
            profile = find_smaller_profile(profile)
        raise EngineError(problem, "use a smaller --size, or a card with more memory")


class RecoveringEngine:
    """An engine that recovers from lack of memory."""

    def __init__(self, supervisor: EngineSupervisor) -> None:
        self._supervisor = supervisor

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "RecoveringActor":
        """Prepare a portrait."""
        return RecoveringActor(self._supervisor, portrait, size)


class RecoveringActor:
    """A portrait that is prepared again after the engine has changed."""

    findings: tuple[Finding, ...] = ()

    def __init__(
        self, supervisor: EngineSupervisor, portrait: Portrait, size: tuple[int, int] | None
    ) -> None:
        self.supervisor = supervisor
        self._portrait = portrait
        self._size = size
        self._prepared: tuple[Engine, Actor] | None = None
        self.size = retry_on_oom(supervisor, self.prepare_actor, self.release_actor).size

    def prepare_actor(self) -> Actor:
        """The portrait, prepared by the current engine."""
        engine = self.supervisor.engine
        if self._prepared is None or self._prepared[0] is not engine:
            self.release_actor()
            self._prepared = engine, engine.open(self._portrait, self._size)
        return self._prepared[1]

    def release_actor(self) -> None:
        """Free the prepared portrait."""
        self._prepared = None

    def session(self, fps: Fraction, seed: int) -> "RecoveringSession":
        """Start a session."""
        return RecoveringSession(self, fps, seed)


class RecoveringSession:
    """A session that outlives its engine. `push`, `flush` and `interrupt` may be called from another thread.

    It keeps the sound of the frames to come, which a new inner session starts with.
    """

    def __init__(self, actor: RecoveringActor, fps: Fraction, seed: int) -> None:
        self._actor = actor
        self._fps, self._seed = fps, seed
        self._timeline = Timeline(fps=fps)
        self._lock = Lock()
        self._sound: list[Samples] = []  # from sample `_sound_start` on
        self._sound_start = 0
        self._closed = False
        self._next_frame = 0
        self._first_frame = 0  # of the inner session
        self._inner_session: Session | None = None
        self._inner_engine: Engine | None = None  # of the inner session
        self._inner_frames: Iterator[VideoFrame] | None = None
        inner = retry_on_oom(actor.supervisor, self._open_inner_session, self._release_inner_session)
        self._lookahead = inner.lookahead
        self._block_frames = inner.block_frames if isinstance(inner, BlockSession) else 1

    @property
    def lookahead(self) -> int:
        """Samples that must follow a frame before it can be made."""
        return self._lookahead

    @property
    def block_frames(self) -> int:
        """Frames that are drawn at a time, at most."""
        return self._block_frames

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
        """Drop sound that has not become a frame."""
        with self._lock:
            self._sound, self._sound_start = [], self._timeline.frame_start(self._next_frame)
            if self._inner_session is not None:
                self._inner_session.interrupt()

    def frames(self) -> Iterator[VideoFrame]:
        """The frames that the sound so far allows.

        Raises:
            EngineError: the card was lost, or the smallest memory profile does not fit.
        """
        supervisor = self._actor.supervisor
        while (frame := retry_on_oom(supervisor, self._take_frame, self._release_inner_session)) is not None:
            number = self._first_frame + frame.pts
            self._next_frame = number + 1
            self._drop_used_sound()
            yield replace(frame, pts=number)

    def _take_frame(self) -> VideoFrame | None:
        session = self._open_inner_session()
        # an iterator that raises is exhausted: it is kept only after a frame
        frames, self._inner_frames = self._inner_frames or session.frames(), None
        frame = next(frames, None)
        if frame is not None:
            self._inner_frames = frames
        return frame

    def _open_inner_session(self) -> Session:
        """The inner session; a new one, with the sound of the frames to come, after a release or a change of engine."""
        if self._inner_session is not None and self._inner_engine is not self._actor.supervisor.engine:
            self._release_inner_session()
        if self._inner_session is None:
            self._inner_engine = self._actor.supervisor.engine
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
        chunk_start = self._sound_start
        for samples in self._sound:
            if chunk_start + len(samples) > start:
                yield samples[max(0, start - chunk_start) :]
            chunk_start += len(samples)

    def _drop_used_sound(self) -> None:
        """Drop chunks of sound that lie before the next frame."""
        with self._lock:
            start = self._timeline.frame_start(self._next_frame)
            while self._sound and self._sound_start + len(self._sound[0]) <= start:
                self._sound_start += len(self._sound.pop(0))

    def _release_inner_session(self) -> None:
        with self._lock:
            self._inner_session = self._inner_frames = None
        self._actor.release_actor()


def retry_on_oom(
    supervisor: EngineSupervisor, action: Callable[[], Returned], release: Callable[[], None]
) -> Returned:
    """Run `action`, again after each lack of memory; `release` frees what the engine made before it is replaced.

    Raises:
        EngineError: the card was lost, or no memory can be freed.
    """
    while True:
        try:
            return action()
        except RuntimeError as error:
            problem = classify_device_error(error)
        # outside the handler: the error holds the failed pass, and its tensors, alive
        _free_memory(supervisor, problem, release)


def _free_memory(supervisor: EngineSupervisor, problem: str, release: Callable[[], None]) -> None:
    gc.collect()
    if change := supervisor.offload_more():
        _LOG.warning("%s: %s, and the block is drawn again", problem, change)
        return
    release()
    if change := supervisor.downgrade():
        _LOG.warning("%s; going on from the last frame with %s", problem, change)
        return
    raise EngineError(
        f"{problem}, and nothing is left to move", "use a smaller --size, or a card with more memory"
    )


def classify_device_error(error: RuntimeError) -> str:
    """A few words for an error that means lack of memory.

    Raises:
        EngineError: the device was lost.
        RuntimeError: the error itself, if it is not from the device.
    """
    message = str(error).strip().partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError) or any(part in message for part in _OUT_OF_MEMORY_MESSAGES):
        return "the GPU is out of memory"
    if isinstance(error, torch.AcceleratorError) or any(part in message for part in _DEVICE_LOST_MESSAGES):
        raise EngineError(
            f"the GPU was lost ({message})", "look at it with nvidia-smi, then start again"
        ) from error
    raise error
