"""The avatar as a `VideoGenerator` of LiveKit Agents, for LiveKit's own `AvatarRunner` and `AVSynchronizer`.

```
async with AvatarVideoGenerator(avatar.actor, LiveOptions()) as generator:
    runner = AvatarRunner(room, audio_recv=receiver, video_gen=generator, options=generator.avatar_options)
```

The runner counts the sound it is given as played, and tells the agent about it when it gets an `AudioSegmentEnd`. It
keeps one note of whether a segment plays, from the first frame it has read. So the end of a segment is only accepted
(`push_audio` returns) when the segment was heard, and no later segment is read before.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import numpy as np

from liveavatar.engine import Actor
from liveavatar.frames import VideoFrame
from liveavatar.integrations.message_stream import LiveMessageStream, quantise_speech
from liveavatar.live.messages import PLAYBACK_RATE, LiveFrame, SegmentFinished
from liveavatar.live.segments import SpeechSegment
from liveavatar.live.session import LiveOptions, LiveSession

try:
    from livekit import rtc
    from livekit.agents.voice.avatar import AudioSegmentEnd, AvatarOptions, VideoGenerator
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{error.name} is missing; install it with: pip install 'liveavatar[livekit]'", name=error.name
    ) from error


class AvatarVideoGenerator(VideoGenerator):
    """A face that speaks what it is pushed and is alive in between. It runs while it is entered (`async with`).

    Pictures come in real time, RGB24; sound, 16-bit mono at 48 kHz, comes behind the picture that it belongs to, and
    only where there is speech. Iterate once; iteration raises `EngineError` when the engine fails.
    """

    def __init__(self, actor: Actor, options: LiveOptions) -> None:
        self._actor, self._options = actor, options
        self._exit_stack = AsyncExitStack()
        self._stream: LiveMessageStream
        self._segment: SpeechSegment | None = None  # that is read or heard; there is one at a time
        self._segment_is_over = asyncio.Event()
        self._sound_is_taken = asyncio.Event()
        self._sound_is_taken.set()

    @property
    def avatar_options(self) -> AvatarOptions:
        """What the runner must know of the pictures and the sound."""
        width, height = self._actor.size
        return AvatarOptions(
            video_width=width,
            video_height=height,
            video_fps=float(self._options.fps),
            audio_sample_rate=PLAYBACK_RATE,
            audio_channels=1,
        )

    async def __aenter__(self) -> Self:
        session = await asyncio.to_thread(LiveSession, self._actor, self._options)
        self._stream = await self._exit_stack.enter_async_context(LiveMessageStream(session))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit_stack.__aexit__(kind, error, trace)

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Speak 16-bit sound of any rate; at an `AudioSegmentEnd`, wait until the segment is over.

        Raises:
            AudioError: the rate is not supported.
            SessionClosed: the session has ended.
        """
        await asyncio.sleep(0)  # an interruption that was announced before this frame takes effect before it
        if isinstance(frame, AudioSegmentEnd):
            if self._segment is not None:
                self._segment.end()
                await self._segment_is_over.wait()
            return
        if self._segment is None:
            self._segment_is_over.clear()
            self._segment = self._stream.open_segment()
        samples = np.frombuffer(frame.data, np.int16).reshape(-1, frame.num_channels)
        await self._stream.push_speech(self._segment, samples, frame.sample_rate)

    async def clear_buffer(self) -> None:
        """Stop speaking; returns when the runner has counted the sound that it holds."""
        self._stream.interrupt()
        self._segment = None
        await self._sound_is_taken.wait()
        self._segment_is_over.set()

    async def __aiter__(self) -> AsyncIterator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
        async for message in self._stream.read_messages():
            if isinstance(message, LiveFrame):
                yield convert_picture(message.frame)
                if message.speech_count and not self._stream.is_stale(message):
                    self._sound_is_taken.clear()
                    try:
                        yield convert_speech(message)
                    finally:
                        self._sound_is_taken.set()
            elif isinstance(message, SegmentFinished) and self._is_current(message):
                yield AudioSegmentEnd()
                self._segment = None
                self._segment_is_over.set()

    def _is_current(self, finished: SegmentFinished) -> bool:
        return self._segment is not None and self._segment.number == finished.segment


def convert_picture(frame: VideoFrame) -> rtc.VideoFrame:
    """A frame as LiveKit has it."""
    height, width = frame.rgb.shape[:2]
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.RGB24, frame.rgb.tobytes())


def convert_speech(live: LiveFrame) -> rtc.AudioFrame:
    """The speech that is heard with a frame, without the silence behind it."""
    samples = quantise_speech(live)
    return rtc.AudioFrame(samples.tobytes(), PLAYBACK_RATE, 1, len(samples))
