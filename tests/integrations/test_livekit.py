"""LiveKit's own runner, synchroniser and queue between an agent and a room. Only the room is a fake."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from integrations.fake_room import FakeRoom
from live.fakes import NO_MARKS, HearingActor, fail_at
from liveavatar.errors import EngineError
from liveavatar.frames import Samples
from liveavatar.live.session import LiveOptions

pytest.importorskip("livekit.agents", reason="needs LiveKit: pip install -e '.[livekit]'")

from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, AvatarRunner, QueueAudioOutput
from livekit.agents.voice.io import PlaybackFinishedEvent

from liveavatar.integrations.livekit import AvatarVideoGenerator

RATE = 24_000
PATTERN = [True, False, True, True, False, False, True, False, True]
PATIENCE = 60.0  # seconds; only a hang takes so long


@dataclass
class Recording:
    """What reaches the sources of the tracks: sounds, and how loud the sound of each picture is."""

    pictures: list[float] = field(default_factory=list)
    sounds: list[Samples] = field(default_factory=list)

    def has_sounds(self, count: int) -> bool:
        return len(self.sounds) >= count

    @property
    def heard_seconds(self) -> float:
        return sum(len(samples) for samples in self.sounds) / 48_000


@dataclass
class Agent:
    """The agent's side: it speaks into a queue, and is told what was heard."""

    output: QueueAudioOutput
    runner: AvatarRunner
    recording: Recording
    finished: list[PlaybackFinishedEvent] = field(default_factory=list)
    started: int = 0

    def __post_init__(self) -> None:
        self.output.on("playback_finished", self.finished.append)
        self.output.on("playback_started", self._count_start)

    def _count_start(self, _event: object) -> None:
        self.started += 1

    def has_finished(self, count: int) -> bool:
        return len(self.finished) == count

    async def speak(self, seconds: float, loudness: float, piece: float = 0.1) -> None:
        """A segment in pieces, as fast as they are taken."""
        for _ in range(round(seconds / piece)):
            await self.output.capture_frame(make_sound(piece, loudness))
        self.output.flush()

    async def wait_until(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_true():
                await asyncio.sleep(0.01)


def make_sound(seconds: float, loudness: float) -> rtc.AudioFrame:
    """Noise that is never quiet, so that a gap can be told from speech."""
    count = round(seconds * RATE)
    signs = np.random.default_rng(1).choice([-1, 1], count)
    samples = np.asarray(loudness * 32767 * signs, np.int16)
    return rtc.AudioFrame(samples.tobytes(), RATE, 1, count)


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    recording = Recording()
    capture_picture, capture_sound = rtc.VideoSource.capture_frame, rtc.AudioSource.capture_frame

    def record_picture(source: rtc.VideoSource, frame: rtc.VideoFrame, **options: Any) -> None:
        loudness = np.frombuffer(bytes(frame.data[:4]), np.float32)[0]
        recording.pictures.append(float(loudness))
        capture_picture(source, frame, **options)

    async def record_sound(source: rtc.AudioSource, frame: rtc.AudioFrame) -> None:
        samples = np.asarray(np.frombuffer(frame.data, np.int16) / 32768, np.float32)
        recording.sounds.append(samples)
        await capture_sound(source, frame)

    monkeypatch.setattr(rtc.VideoSource, "capture_frame", record_picture)
    monkeypatch.setattr(rtc.AudioSource, "capture_frame", record_sound)
    return recording


@asynccontextmanager
async def run_agent(recording: Recording, actor: HearingActor) -> AsyncIterator[Agent]:
    output = QueueAudioOutput(sample_rate=RATE, wait_playback_start=True)
    room = FakeRoom()
    async with AvatarVideoGenerator(actor, LiveOptions(marks=NO_MARKS)) as generator:
        runner = AvatarRunner(
            room,  # type: ignore[arg-type]
            audio_recv=output,
            video_gen=generator,
            options=generator.avatar_options,
        )
        await runner.start()
        try:
            yield Agent(output, runner, recording)
        finally:
            await runner.aclose()
    assert room.tracks == ["avatar_audio", "avatar_video"]


def run_to_end(story: Coroutine[Any, Any, None]) -> None:
    """Run a story; nothing it started is left."""

    async def run_and_look() -> None:
        await story
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run_and_look())
    gc.collect()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("live-")]


def test_two_segments_and_an_interruption_finish_once_each(recording: Recording) -> None:
    async def story() -> None:
        async with run_agent(recording, HearingActor()) as agent:
            await agent.speak(0.6, 0.2)
            await agent.wait_until(lambda: len(agent.finished) == 1)
            assert agent.finished[0].playback_position == pytest.approx(0.6, abs=0.001)
            assert not agent.finished[0].interrupted
            first = len(recording.sounds)

            await agent.speak(20, 0.4)
            await agent.wait_until(lambda: len(recording.sounds) > first + 10)
            agent.output.clear_buffer()
            await agent.wait_until(lambda: len(agent.finished) == 2)
            heard = sum(len(samples) for samples in recording.sounds[first:]) / 48_000
            assert agent.finished[1].interrupted
            assert agent.finished[1].playback_position == pytest.approx(heard, abs=0.001)
            cleared, seen = len(recording.sounds), len(recording.pictures)

            await agent.wait_until(lambda: len(recording.pictures) > seen + 10)
            assert len(recording.sounds) == cleared
            assert not any(loudness for loudness in recording.pictures[seen + 3 :])

            await agent.speak(0.4, 0.3)
            await agent.wait_until(lambda: len(agent.finished) == 3)
            await agent.wait_until(lambda: len(recording.pictures) > seen + 40)
            assert agent.finished[2].playback_position == pytest.approx(0.4, abs=0.001)
            assert (len(agent.finished), agent.started) == (3, 3)

    run_to_end(story())


def test_a_picture_is_shown_when_its_sound_goes_out(recording: Recording) -> None:
    async def story() -> None:
        async with run_agent(recording, HearingActor()) as agent:
            await agent.wait_until(lambda: len(recording.pictures) > 10)
            for is_loud in PATTERN:  # three frames each
                await agent.output.capture_frame(make_sound(0.12, 0.2 * is_loud))
            agent.output.flush()
            await agent.wait_until(lambda: bool(agent.finished))

    run_to_end(story())
    first = next(index for index, loudness in enumerate(recording.pictures) if loudness > 0.01)
    pictures = [loudness > 0.01 for loudness in recording.pictures[first : first + 3 * len(PATTERN)]]
    sounds = [bool(np.median(np.abs(samples)) > 0.01) for samples in recording.sounds]
    assert pictures == sounds == [is_loud for is_loud in PATTERN for _ in range(3)]


def test_segments_that_come_in_one_burst_all_finish(recording: Recording) -> None:
    async def story() -> None:
        async with run_agent(recording, HearingActor()) as agent:
            for seconds in (0.2, 0.1, 0.3):
                await agent.speak(seconds, 0.2, piece=seconds)
            await agent.wait_until(lambda: len(agent.finished) == 3)
            positions = [event.playback_position for event in agent.finished]
            assert positions == pytest.approx([0.2, 0.1, 0.3], abs=0.001)
            assert agent.started == 3

    run_to_end(story())


@pytest.mark.parametrize("frames", [0, 1, 5, 11])
def test_interruptions_at_any_moment_are_told_once(recording: Recording, frames: int) -> None:
    async def story() -> None:
        async with run_agent(recording, HearingActor()) as agent:
            for number in range(1, 4):
                before = len(recording.sounds)
                await agent.speak(0.44, 0.2, piece=0.04)
                await agent.wait_until(lambda: agent.runner._audio_playing)  # what it never read, nobody ends
                await agent.wait_until(partial(recording.has_sounds, before + frames))
                agent.output.clear_buffer()
                await agent.speak(0.08, 0.2, piece=0.04)  # at once, as an agent that goes on
                await agent.wait_until(partial(agent.has_finished, 2 * number))
            seen = len(recording.pictures)
            await agent.wait_until(lambda: len(recording.pictures) > seen + 10)
            assert len(agent.finished) == 6
            assert not any(event.interrupted for event in agent.finished[1::2])
            told = sum(event.playback_position for event in agent.finished)
            assert told == pytest.approx(recording.heard_seconds, abs=0.001)
            for event in agent.finished[1::2]:
                assert event.playback_position == pytest.approx(0.08, abs=0.001)

    run_to_end(story())


def test_speech_that_exceeds_the_queue_waits_and_is_heard_whole(recording: Recording) -> None:
    async def story() -> None:
        options = LiveOptions(marks=NO_MARKS, max_queued_seconds=0.2)
        async with AvatarVideoGenerator(HearingActor(), options) as generator:
            output = QueueAudioOutput(sample_rate=RATE)
            runner = AvatarRunner(
                FakeRoom(),  # type: ignore[arg-type]
                audio_recv=output,
                video_gen=generator,
                options=generator.avatar_options,
            )
            await runner.start()
            agent = Agent(output, runner, recording)
            await agent.speak(1, 0.2)
            await agent.wait_until(lambda: bool(agent.finished))
            assert agent.finished[0].playback_position == pytest.approx(1, abs=0.001)
            await runner.aclose()

    run_to_end(story())


def test_an_engine_that_fails_ends_its_segment_and_the_runner(recording: Recording) -> None:
    async def story() -> None:
        async with run_agent(recording, HearingActor(before_frame=fail_at(15))) as agent:
            await agent.speak(5, 0.2)
            await agent.wait_until(lambda: bool(agent.finished))
            assert agent.runner._forward_video_atask is not None
            with pytest.raises(EngineError, match="the card was lost"):
                await agent.runner._forward_video_atask
            assert agent.finished[0].playback_position == pytest.approx(recording.heard_seconds, abs=0.001)

    run_to_end(story())


def test_an_end_without_speech_is_no_segment(recording: Recording) -> None:
    async def story() -> None:
        async with AvatarVideoGenerator(HearingActor(), LiveOptions(marks=NO_MARKS)) as generator:
            await generator.push_audio(AudioSegmentEnd())
            await generator.clear_buffer()
            items = aiter(generator)
            assert isinstance(await anext(items), rtc.VideoFrame)
            await items.aclose()  # type: ignore[attr-defined]

    run_to_end(story())


def test_a_picture_whose_sound_was_cleared_is_followed_by_none(recording: Recording) -> None:
    async def story() -> None:
        async with AvatarVideoGenerator(HearingActor(), LiveOptions(marks=NO_MARKS)) as generator:
            await generator.push_audio(make_sound(5, 0.2))
            items = aiter(generator)
            while not is_loud_picture(await anext(items)):
                pass
            await generator.clear_buffer()
            later = [await anext(items) for _ in range(10)]
            assert all(isinstance(item, rtc.VideoFrame) and not is_loud_picture(item) for item in later)
            await items.aclose()  # type: ignore[attr-defined]

    run_to_end(story())


def is_loud_picture(item: object) -> bool:
    return isinstance(item, rtc.VideoFrame) and bool(
        np.frombuffer(bytes(item.data[:4]), np.float32)[0] > 0.01
    )
