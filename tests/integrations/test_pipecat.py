"""The service in a pipeline of Pipecat's, before its own output transport. Only the wire behind that is a fake.

Pipecat needs another version of soxr: `make test-pipecat` runs this in an environment of its own.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import numpy as np
import pytest

from live.fakes import NO_MARKS, HearingActor, fail_at
from liveavatar.live.session import LiveOptions

pytest.importorskip("pipecat", reason="needs Pipecat: make test-pipecat")

from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from liveavatar.integrations.pipecat import AvatarVideoService

RATE = 24_000
PATIENCE = 60.0  # seconds; only a hang takes so long
PATTERN = [True, False, True, True, False, False, True, False, True]

Kind = TypeVar("Kind", bound=Frame)


class FakeTransport(BaseOutputTransport):
    """Plays sound in real time, to nobody, and notes which picture is on while it does."""

    def __init__(self) -> None:
        super().__init__(
            TransportParams(
                audio_out_enabled=True,
                audio_out_sample_rate=48_000,
                audio_out_end_silence_secs=0,
                video_out_enabled=True,
                video_out_width=2,
                video_out_height=2,
                video_out_framerate=25,
            )
        )
        self.played: list[tuple[bool, bool]] = []  # whether the sound, and the picture on then, are loud
        self.picture_count = 0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        image = next(self._media_senders[None]._video_images)
        samples = np.frombuffer(frame.audio, np.int16)
        self.played.append((bool(np.median(np.abs(samples)) > 300), read_loudness(image) > 0.01))
        await asyncio.sleep(len(samples) / frame.sample_rate)
        return True

    async def write_video_frame(self, frame: OutputImageRawFrame) -> bool:
        self.picture_count += 1
        return True


class Recorder(FrameProcessor):
    """Keeps what passes."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)

    def find_frames(self, kind: type[Kind]) -> list[Kind]:
        return [frame for frame in self.frames if isinstance(frame, kind)]


class Stage:
    """A pipeline: speech, the avatar, the transport, with recorders around the avatar."""

    def __init__(self, actor: HearingActor, options: LiveOptions | None = None) -> None:
        self.before, self.after, self.transport = Recorder(), Recorder(), FakeTransport()
        service = AvatarVideoService(actor, options or LiveOptions(marks=NO_MARKS))
        pipeline = Pipeline([self.before, service, self.after, self.transport])
        self.worker = PipelineWorker(
            pipeline, cancel_on_idle_timeout=False, enable_rtvi=False, params=PipelineParams()
        )

    async def run(self, story: Coroutine[Any, Any, None]) -> None:
        """Run the pipeline until the story and then the pipeline end."""

        async def tell_and_end() -> None:
            await self.wait_until(lambda: bool(self.after.find_frames(OutputImageRawFrame)))
            await story
            await self.worker.queue_frame(EndFrame())

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(runner.run(), tell_and_end())

    async def wait_until(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_true():
                await asyncio.sleep(0.01)

    async def speak(self, context: str, loud: list[bool]) -> None:
        """Say something in pieces of 120 ms, as fast as they are taken."""
        await self.worker.queue_frame(TTSStartedFrame(context_id=context))
        for is_loud in loud:
            await self.worker.queue_frame(
                TTSAudioRawFrame(make_sound(0.12, 0.2 * is_loud), RATE, 1, context_id=context)
            )
        await self.worker.queue_frame(TTSStoppedFrame(context_id=context))

    def heard_seconds(self, context: str) -> float:
        """Speech of a context that left the avatar."""
        frames = self.after.find_frames(TTSAudioRawFrame)
        return float(sum(frame.num_frames for frame in frames if frame.context_id == context)) / 48_000


def make_sound(seconds: float, loudness: float) -> bytes:
    signs = np.random.default_rng(1).choice([-1, 1], round(seconds * RATE))
    return np.asarray(loudness * 32767 * signs, np.int16).tobytes()


def read_loudness(image: OutputImageRawFrame) -> float:
    return float(np.frombuffer(image.image[:4], np.float32)[0])


def run_stage(stage: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(stage())
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("live-")]


def test_two_contexts_are_heard_whole_in_order_and_with_their_pictures() -> None:
    async def run() -> None:
        stage = Stage(HearingActor())

        async def story() -> None:
            await stage.speak("one", PATTERN)
            await stage.speak("two", [True, True])

        await stage.run(story())
        told = [
            (type(frame).__name__, frame.context_id)
            for frame in stage.after.frames
            if isinstance(frame, TTSStartedFrame | TTSStoppedFrame)
        ]
        assert told == [
            (name, context) for context in ("one", "two") for name in ("TTSStartedFrame", "TTSStoppedFrame")
        ]
        assert stage.heard_seconds("one") == pytest.approx(1.08, abs=0.001)
        assert stage.heard_seconds("two") == pytest.approx(0.24, abs=0.001)
        images = stage.after.find_frames(OutputImageRawFrame)
        assert all(image.sync_with_audio and image.size == (2, 2) for image in images)
        sounds, pictures = zip(*stage.transport.played, strict=True)
        assert pictures == sounds
        assert list(sounds[: 3 * len(PATTERN)]) == [is_loud for is_loud in PATTERN for _ in range(3)]
        assert stage.transport.picture_count

    run_stage(run)


def test_an_interruption_drops_speech_and_the_next_one_is_heard() -> None:
    async def run() -> None:
        stage = Stage(HearingActor())

        async def story() -> None:
            await stage.speak("long", [True] * 100)
            await stage.wait_until(lambda: stage.heard_seconds("long") > 0.3)
            await stage.worker.queue_frame(InterruptionFrame())
            await stage.wait_until(lambda: bool(stage.after.find_frames(InterruptionFrame)))
            seen = len(stage.after.find_frames(OutputImageRawFrame))
            await stage.wait_until(lambda: len(stage.after.find_frames(OutputImageRawFrame)) > seen + 2)
            await stage.speak("next", [True] * 3)

        await stage.run(story())
        frames = stage.after.frames
        cleared = next(i for i, frame in enumerate(frames) if isinstance(frame, InterruptionFrame))
        late = [frame for frame in frames[cleared:] if isinstance(frame, TTSAudioRawFrame)]
        assert {frame.context_id for frame in late} == {"next"}
        stopped = [frame.context_id for frame in stage.after.find_frames(TTSStoppedFrame)]
        assert stopped == ["next"]
        assert stage.heard_seconds("long") < 3
        assert stage.heard_seconds("next") == pytest.approx(0.36, abs=0.001)
        images = [frame for frame in frames[cleared:] if isinstance(frame, OutputImageRawFrame)]
        assert read_loudness(images[0]) == 0

    run_stage(run)


def test_speech_that_exceeds_the_queue_waits() -> None:
    async def run() -> None:
        stage = Stage(HearingActor(), LiveOptions(marks=NO_MARKS, max_queued_seconds=0.2))
        await stage.run(stage.speak("one", [True] * 8))
        assert stage.heard_seconds("one") == pytest.approx(0.96, abs=0.001)

    run_stage(run)


def test_an_engine_that_fails_is_told_and_the_pipeline_ends() -> None:
    async def run() -> None:
        stage = Stage(HearingActor(before_frame=fail_at(20)))

        async def story() -> None:
            await stage.speak("one", [True] * 50)
            await stage.wait_until(lambda: bool(stage.before.find_frames(ErrorFrame)))

        await stage.run(story())
        assert any("the card was lost" in frame.error for frame in stage.before.find_frames(ErrorFrame))

    run_stage(run)
