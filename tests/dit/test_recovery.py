from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest
import torch

from liveavatar.dit.loader import DitModels, open_models
from liveavatar.dit.plan.memory import MemoryPlan
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.recovery import DitSupervisor, RecoveringEngine, RecoveringSession, classify_device_error
from liveavatar.errors import EngineError, SessionClosed
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples, VideoFrame
from liveavatar.report import Finding

FPS = Fraction(25)
FRAME_SAMPLES = 640
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@dataclass
class FakeSupervisor:
    """Its engine draws frames as grey as the loudest of their 640 samples, and raises `errors` at `failing_frame`."""

    errors: list[Exception] = field(default_factory=list)
    failing_frame: int = 5
    offloads_left: int = 0  # times it can still be lightened
    downgrades_left: int = 0  # rungs below
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = FakeEngine(self)

    def offload_more(self) -> str | None:
        self.log.append("lighten")
        self.offloads_left -= 1
        return None if self.offloads_left < 0 else "moved"

    def downgrade(self) -> str | None:
        self.log.append("fall")
        self.downgrades_left -= 1
        self.engine = FakeEngine(self)
        return None if self.downgrades_left < 0 else "next rung"


class FakeEngine:
    size = (2, 2)
    findings: tuple[Finding, ...] = ()

    def __init__(self, supervisor: FakeSupervisor) -> None:
        self.supervisor = supervisor

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "FakeEngine":
        self.supervisor.log.append("open")
        return self

    def session(self, fps: Fraction, seed: int) -> "FakeSession":
        self.supervisor.log.append("session")
        return FakeSession(self.supervisor)


class FakeSession:
    lookahead = 7

    def __init__(self, supervisor: FakeSupervisor) -> None:
        self._supervisor = supervisor
        self._sound = np.zeros(0, np.float32)
        self._made = 0

    def push(self, samples: Samples) -> None:
        self._sound = np.concatenate([self._sound, samples])

    def flush(self) -> None:
        self.push(np.zeros(-len(self._sound) % FRAME_SAMPLES, np.float32))

    def interrupt(self) -> None:
        self._sound = self._sound[: self._made * FRAME_SAMPLES]

    def frames(self) -> Iterator[VideoFrame]:
        while (self._made + 1) * FRAME_SAMPLES <= len(self._sound):
            if self._made == self._supervisor.failing_frame and self._supervisor.errors:
                raise self._supervisor.errors.pop()
            sound_of_frame = self._sound[self._made * FRAME_SAMPLES : (self._made + 1) * FRAME_SAMPLES]
            grey = np.full((2, 2, 3), sound_of_frame.max(), np.uint8)
            self._made += 1
            yield VideoFrame(rgb=grey, pts=self._made - 1, fps=FPS)


def make_sound(frames: int, first: int = 0) -> Samples:
    """Frame i is as loud as i + 1."""
    return np.repeat(np.arange(first + 1, first + frames + 1), FRAME_SAMPLES).astype(np.float32)


def open_session(supervisor: FakeSupervisor, portrait: Portrait) -> RecoveringSession:
    return RecoveringEngine(supervisor).open(portrait, None).session(FPS, 0)


def grey_levels(frames: Iterator[VideoFrame]) -> list[tuple[int, int]]:
    return [(frame.pts, int(frame.rgb[0, 0, 0])) for frame in frames]


def run(session: RecoveringSession, frames: int = 12, piece: int = 1000) -> list[tuple[int, int]]:
    whole, frames_so_far = make_sound(frames), []
    for start in range(0, len(whole), piece):
        session.push(whole[start : start + piece])
        frames_so_far += grey_levels(session.frames())
    session.flush()
    return frames_so_far + grey_levels(session.frames())


EXPECTED = [(number, number + 1) for number in range(12)]


def test_without_errors_nothing_changes(portrait: Portrait) -> None:
    supervisor = FakeSupervisor()
    session = open_session(supervisor, portrait)
    assert session.lookahead == 7
    assert run(session) == EXPECTED
    assert supervisor.log == ["open", "session"]


@pytest.mark.slow
@pytest.mark.parametrize("errors", [1, 2])
def test_blocks_are_offloaded_and_the_same_session_continues(portrait: Portrait, errors: int) -> None:
    supervisor = FakeSupervisor(errors=[OUT_OF_MEMORY] * errors, offloads_left=2)
    assert run(open_session(supervisor, portrait)) == EXPECTED
    assert supervisor.log == ["open", "session", *["lighten"] * errors]


@pytest.mark.parametrize("piece", [100, 1000, 8000])
def test_the_next_profile_continues_after_the_last_frame(portrait: Portrait, piece: int) -> None:
    supervisor = FakeSupervisor(errors=[OUT_OF_MEMORY], downgrades_left=1)
    assert run(open_session(supervisor, portrait), piece=piece) == EXPECTED
    assert supervisor.log == ["open", "session", "lighten", "fall", "open", "session"]


@pytest.mark.slow
def test_the_engine_may_be_downgraded_more_than_once(portrait: Portrait) -> None:
    supervisor = FakeSupervisor(errors=[OUT_OF_MEMORY, OUT_OF_MEMORY], downgrades_left=2)
    assert run(open_session(supervisor, portrait)) == EXPECTED


def test_on_the_last_profile_the_session_ends_with_one_error(portrait: Portrait) -> None:
    session = open_session(FakeSupervisor(errors=[OUT_OF_MEMORY]), portrait)
    with pytest.raises(EngineError, match="out of memory, and nothing is left to move"):
        run(session)


def test_a_lost_card_ends_the_session_with_one_error(portrait: Portrait) -> None:
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with ...")
    session = open_session(FakeSupervisor(errors=[error], offloads_left=1, downgrades_left=1), portrait)
    session.push(make_sound(12))
    frames = session.frames()
    assert [next(frames).pts for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(EngineError, match="the GPU was lost") as caught:
        next(frames)
    assert "\n" not in str(caught.value)


def test_an_interruption_survives_a_change_of_the_engine(portrait: Portrait) -> None:
    supervisor = FakeSupervisor(errors=[OUT_OF_MEMORY], downgrades_left=1)
    session = open_session(supervisor, portrait)
    session.push(make_sound(4))
    frames = session.frames()
    assert [next(frames).pts for _ in range(3)] == [0, 1, 2]
    session.interrupt()
    session.push(make_sound(4, first=100))
    session.flush()
    assert grey_levels(session.frames()) == [(3, 101), (4, 102), (5, 103), (6, 104)]


def test_sessions_follow_when_another_has_changed_the_engine(portrait: Portrait) -> None:
    supervisor = FakeSupervisor(downgrades_left=1)
    session = open_session(supervisor, portrait)
    session.push(make_sound(12))
    session.flush()
    frames = session.frames()
    before = [next(frames).pts for _ in range(4)]
    supervisor.downgrade()
    assert [*before, *(number for number, _ in grey_levels(frames))] == list(range(12))
    assert supervisor.log == ["open", "session", "fall", "open", "session"]


def test_push_after_flush_is_refused(portrait: Portrait) -> None:
    session = open_session(FakeSupervisor(), portrait)
    session.flush()
    with pytest.raises(SessionClosed):
        session.push(make_sound(1))


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OUT_OF_MEMORY, True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False),
    ],
)
def test_lack_of_memory_and_a_lost_device_are_distinguished(error: RuntimeError, full: bool) -> None:
    if full:
        assert classify_device_error(error) == "the GPU is out of memory"
    else:
        with pytest.raises(EngineError, match="lost"):
            classify_device_error(error)


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        classify_device_error(RuntimeError("shapes do not fit"))


class Loader:
    """Loads the tiny models; the first attempts run out of memory."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.plans: list[str] = []

    def __call__(self, options: DitOptions, plan: MemoryPlan) -> DitModels:
        self.plans.append(plan.profile.name)
        if len(self.plans) <= self.failures:
            raise torch.OutOfMemoryError("no memory left")
        return open_models(options, plan)


TINY = DitOptions(preset="tiny", sample_steps=1)


@pytest.mark.slow
def test_models_that_do_not_fit_are_loaded_with_a_smaller_profile() -> None:
    loader = Loader(failures=1)
    supervisor = DitSupervisor(TINY, loader)
    assert loader.plans[0] == "96"
    assert len(loader.plans) == 2
    assert supervisor.downgrade()
    assert len(set(loader.plans)) == 3
    with pytest.raises(EngineError, match="out of memory"):
        DitSupervisor(TINY, Loader(failures=9))


@pytest.mark.slow
def test_blocks_offloaded_while_drawing_change_no_frame(portrait: Portrait) -> None:
    loaded: list[DitModels] = []

    def load(options: DitOptions, plan: MemoryPlan) -> DitModels:
        loaded.append(open_models(options, plan))
        return loaded[-1]

    frames = []
    for should_fail in (False, True):
        session = RecoveringEngine(DitSupervisor(TINY, load)).open(portrait, (64, 64)).session(FPS, 0)
        if should_fail:
            loaded[-1].dit.head.register_forward_pre_hook(FailOnce(number=2))
        session.push(0.1 * np.random.default_rng(0).standard_normal(26 * FRAME_SAMPLES, np.float32))
        session.flush()
        frames.append([frame.rgb for frame in session.frames()])
    assert np.array_equal(frames[0], frames[1])


class FailOnce:
    """Runs out of memory once, in one of the passes."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, *_: object) -> None:
        self._left -= 1
        if not self._left:
            raise torch.OutOfMemoryError("no memory left")
