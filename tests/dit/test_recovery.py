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

FPS = Fraction(25)
PICTURE = 640
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@dataclass
class FakeSupervisor:
    """A workshop whose engine shows, as the grey of a frame, the loudest sample of its 640; `faults` lie in wait."""

    faults: list[Exception] = field(default_factory=list)
    faulty_frame: int = 5
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
        self.push(np.zeros(-len(self._sound) % PICTURE, np.float32))

    def interrupt(self) -> None:
        self._sound = self._sound[: self._made * PICTURE]

    def frames(self) -> Iterator[VideoFrame]:
        while (self._made + 1) * PICTURE <= len(self._sound):
            if self._made == self._supervisor.faulty_frame and self._supervisor.faults:
                raise self._supervisor.faults.pop()
            heard = self._sound[self._made * PICTURE : (self._made + 1) * PICTURE]
            grey = np.full((2, 2, 3), heard.max(), np.uint8)
            self._made += 1
            yield VideoFrame(rgb=grey, pts=self._made - 1, fps=FPS)


def sound(frames: int, first: int = 0) -> Samples:
    """Frame i is as loud as i + 1."""
    return np.repeat(np.arange(first + 1, first + frames + 1), PICTURE).astype(np.float32)


def opened(plant: FakeSupervisor, portrait: Portrait) -> RecoveringSession:
    return RecoveringEngine(plant).open(portrait, None).session(FPS, 0)


def greys(frames: Iterator[VideoFrame]) -> list[tuple[int, int]]:
    return [(frame.pts, int(frame.rgb[0, 0, 0])) for frame in frames]


def run(session: RecoveringSession, frames: int = 12, piece: int = 1000) -> list[tuple[int, int]]:
    whole, made = sound(frames), []
    for start in range(0, len(whole), piece):
        session.push(whole[start : start + piece])
        made += greys(session.frames())
    session.flush()
    return made + greys(session.frames())


GOOD = [(number, number + 1) for number in range(12)]


def test_without_trouble_nothing_is_changed(portrait: Portrait) -> None:
    plant = FakeSupervisor()
    session = opened(plant, portrait)
    assert session.lookahead == 7
    assert run(session) == GOOD
    assert plant.log == ["open", "session"]


@pytest.mark.parametrize("faults", [1, 2])
def test_room_is_made_and_the_same_session_goes_on(portrait: Portrait, faults: int) -> None:
    plant = FakeSupervisor(faults=[FULL] * faults, offloads_left=2)
    assert run(opened(plant, portrait)) == GOOD
    assert plant.log == ["open", "session", *["lighten"] * faults]


@pytest.mark.parametrize("piece", [100, 1000, 8000])
def test_the_next_rung_goes_on_from_the_last_frame(portrait: Portrait, piece: int) -> None:
    plant = FakeSupervisor(faults=[FULL], downgrades_left=1)
    assert run(opened(plant, portrait), piece=piece) == GOOD
    assert plant.log == ["open", "session", "lighten", "fall", "open", "session"]


def test_it_may_fall_more_than_once(portrait: Portrait) -> None:
    plant = FakeSupervisor(faults=[FULL, FULL], downgrades_left=2)
    assert run(opened(plant, portrait)) == GOOD


def test_on_the_last_rung_one_error_says_so(portrait: Portrait) -> None:
    session = opened(FakeSupervisor(faults=[FULL]), portrait)
    with pytest.raises(EngineError, match="out of memory, and nothing is left to move"):
        run(session)


def test_a_lost_card_ends_the_session_with_one_error(portrait: Portrait) -> None:
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with ...")
    session = opened(FakeSupervisor(faults=[error], offloads_left=1, downgrades_left=1), portrait)
    session.push(sound(12))
    frames = session.frames()
    assert [next(frames).pts for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(EngineError, match="the GPU was lost") as caught:
        next(frames)
    assert "\n" not in str(caught.value)


def test_an_interruption_is_not_forgotten_when_the_engine_changes(portrait: Portrait) -> None:
    plant = FakeSupervisor(faults=[FULL], downgrades_left=1)
    session = opened(plant, portrait)
    session.push(sound(4))
    frames = session.frames()
    assert [next(frames).pts for _ in range(3)] == [0, 1, 2]
    session.interrupt()
    session.push(sound(4, first=100))
    session.flush()
    assert greys(session.frames()) == [(3, 101), (4, 102), (5, 103), (6, 104)]


def test_after_the_end_nothing_can_be_pushed(portrait: Portrait) -> None:
    session = opened(FakeSupervisor(), portrait)
    session.flush()
    with pytest.raises(SessionClosed):
        session.push(sound(1))


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (FULL, True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False),
    ],
)
def test_errors_of_the_device_are_told_apart(error: RuntimeError, full: bool) -> None:
    if full:
        assert classify_device_error(error) == "the GPU is out of memory"
    else:
        with pytest.raises(EngineError, match="lost"):
            classify_device_error(error)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        classify_device_error(RuntimeError("shapes do not fit"))


class Loader:
    """Loads the tiny models; the first so many attempts find no memory."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.plans: list[str] = []

    def __call__(self, options: DitOptions, plan: MemoryPlan) -> DitModels:
        self.plans.append(plan.profile.name)
        if len(self.plans) <= self.failures:
            raise torch.OutOfMemoryError("no memory left")
        return open_models(options, plan)


TINY = DitOptions(preset="tiny", sample_steps=1)


def test_models_that_do_not_load_are_loaded_on_a_rung_below() -> None:
    loader = Loader(failures=1)
    workshop = DitSupervisor(TINY, loader)
    assert loader.plans[0] == "96"
    assert len(loader.plans) == 2
    assert workshop.downgrade()
    assert len(set(loader.plans)) == 3
    with pytest.raises(EngineError, match="out of memory"):
        DitSupervisor(TINY, Loader(failures=9))


def test_blocks_that_leave_the_device_while_drawing_change_no_frame(portrait: Portrait) -> None:
    loaded: list[DitModels] = []

    def load(options: DitOptions, plan: MemoryPlan) -> DitModels:
        loaded.append(open_models(options, plan))
        return loaded[-1]

    frames = []
    for fails in (False, True):
        session = RecoveringEngine(DitSupervisor(TINY, load)).open(portrait, (64, 64)).session(FPS, 0)
        if fails:
            loaded[-1].dit.head.register_forward_pre_hook(Fault(number=2))
        session.push(0.1 * np.random.default_rng(0).standard_normal(26 * PICTURE, np.float32))
        session.flush()
        frames.append([frame.rgb for frame in session.frames()])
    assert np.array_equal(frames[0], frames[1])


class Fault:
    """Finds no memory once, in one of the passes."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, *_: object) -> None:
        self._left -= 1
        if not self._left:
            raise torch.OutOfMemoryError("no memory left")
