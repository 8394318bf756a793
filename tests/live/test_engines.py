"""Both engines, live: marks, seams between idling and speech, blocks."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from live.fakes import NO_MARKS, SimulatedClock, take_frames
from liveavatar.avatar import Avatar
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.session import DitEngine
from liveavatar.engine import Actor
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples
from liveavatar.live.messages import LiveFrame, LiveMessage, SegmentFinished, SpeechCleared
from liveavatar.live.session import LiveOptions, LiveSession
from liveavatar.live.viewers import Viewer
from liveavatar.mesh.session import MeshEngine
from liveavatar.provenance.policy import MarkPolicy


@pytest.fixture(scope="module")
def mesh_actor(portrait: Portrait) -> Actor:
    return MeshEngine().open(portrait, (160, 192))


class Performance:
    """A live session on a simulated clock."""

    def __init__(self, actor: Actor, marks: MarkPolicy = NO_MARKS) -> None:
        self.clock, self.viewer = SimulatedClock(), Viewer(wants_frames=True)
        self.session = LiveSession(actor, LiveOptions(marks=marks), clock=self.clock)
        self.session.add_viewer(self.viewer)

    def run_for(self, seconds: float) -> list[LiveMessage]:
        return list(self._run_until(self.clock.now + seconds))

    def _run_until(self, end: float) -> Iterator[LiveMessage]:
        while self.session.next_due_time <= end:
            self.clock.now = self.session.next_due_time
            self.session.advance()
            yield from self.viewer.take_messages()


def measure_motion(frames: list[LiveFrame]) -> list[float]:
    """Mean difference of each frame from the one before."""
    pictures = [live.frame.rgb.astype(np.int16) for live in frames]
    return [float(np.abs(b - a).mean()) for a, b in pairwise(pictures)]


def test_live_frames_carry_the_marks_of_any_session(mesh_actor: Actor) -> None:
    performance = Performance(mesh_actor, MarkPolicy(label="AI"))
    live = take_frames(performance.run_for(0.4))
    with Avatar(mesh_actor).session(label="AI") as session:
        session.push(np.zeros(16_000, np.float32), 16_000)
    for shown, expected in zip(live, session.frames(), strict=False):
        np.testing.assert_array_equal(shown.frame.rgb, expected.rgb)
    unmarked = take_frames(Performance(mesh_actor).run_for(0.4))
    assert any((a.frame.rgb != b.frame.rgb).any() for a, b in zip(live, unmarked, strict=True))


@pytest.mark.slow
def test_the_mesh_engine_idles_and_speaks_without_a_jump(mesh_actor: Actor, babble: Samples) -> None:
    performance = Performance(mesh_actor)
    idle = take_frames(performance.run_for(3))
    segment = performance.session.open_segment()
    for chunk in np.array_split(babble, 9):
        segment.push(chunk, 16_000)
    segment.end()
    messages = performance.run_for(4)
    speaking = take_frames(messages)
    start = next(i for i, live in enumerate(speaking) if live.sound.any())
    motion = measure_motion([*idle[-1:], *speaking])
    within_speech = max(motion[start + 3 : start + 35])
    assert max(measure_motion(idle)) > 0  # it breathes
    assert within_speech > 2 * float(np.median(measure_motion(idle)))
    assert max(motion[start - 2 : start + 2]) <= within_speech
    end = start + len(babble) // 640
    assert max(motion[end - 2 : end + 10]) <= within_speech
    assert [m.interrupted for m in messages if isinstance(m, SegmentFinished)] == [False]


def test_an_interruption_shuts_the_mouth_of_the_mesh_engine(mesh_actor: Actor, babble: Samples) -> None:
    performance = Performance(mesh_actor)
    mouth = performance.session.drawer._session._session  # type: ignore[attr-defined]
    performance.session.open_segment().push(babble, 16_000)
    spoken: list[LiveFrame] = []
    while not spoken or mouth._last_articulation.jaw < 0.25:
        spoken += take_frames(performance.run_for(0.04))
        assert len(spoken) < 50
    performance.session.interrupt()
    after = take_frames(performance.run_for(0.08))
    assert mouth._last_articulation.jaw < 0.02
    assert [live.frame.pts for live in [*spoken, *after]] == list(range(len(spoken) + len(after)))
    assert max(measure_motion([spoken[-1], *after])) <= 1.5 * max(measure_motion(spoken))


@pytest.mark.slow
def test_the_dit_engine_speaks_in_blocks_and_can_be_interrupted(portrait: Portrait, babble: Samples) -> None:
    actor = DitEngine(DitOptions(preset="tiny", sample_steps=2)).open(portrait, (64, 64))
    performance = Performance(actor)
    assert performance.session.block_frames == 12
    assert performance.session.lead_seconds > Fraction(24, 25)  # a block to hear, and one to draw
    segment = performance.session.open_segment()
    segment.push(babble[:16_000], 16_000)
    segment.end()
    messages = performance.run_for(2.1)
    performance.session.open_segment().push(babble, 16_000)
    messages += performance.run_for(1.4)
    performance.session.interrupt()
    messages += performance.run_for(0.2)
    frames = take_frames(messages)
    assert [live.frame.pts for live in frames] == list(range(len(frames)))
    finished = [message for message in messages if isinstance(message, SegmentFinished)]
    assert [(message.segment, message.interrupted) for message in finished] == [(1, False), (2, True)]
    assert 0 < finished[1].heard < 1
    cleared = next(message.time for message in messages if isinstance(message, SpeechCleared))
    assert not any(live.sound[240:].any() for live in frames if live.time >= cleared)
