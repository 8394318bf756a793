"""The avatar as a video service of Pipecat: behind the speech service, before the output of the transport.

```
Pipeline([..., tts, AvatarVideoService(avatar.actor, LiveOptions()), transport.output()])
```

Speech goes in as `TTSAudioRawFrame`s and comes out again with the pictures that belong to it: each picture, queued with
the sound (`sync_with_audio`), is followed by its 40 ms of speech. `TTSStartedFrame` and `TTSStoppedFrame` are held back
until the first sound goes out and the last one has been heard.
"""

import asyncio
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np

from liveavatar.engine import Actor
from liveavatar.errors import LiveAvatarError
from liveavatar.integrations.message_stream import LiveMessageStream, quantise_speech
from liveavatar.live.messages import PLAYBACK_RATE, LiveFrame, LiveMessage, SegmentFinished, SegmentStarted
from liveavatar.live.segments import SpeechSegment
from liveavatar.live.session import LiveOptions, LiveSession

try:
    from pipecat.frames.frames import (
        CancelFrame,
        EndFrame,
        Frame,
        InterruptionFrame,
        OutputImageRawFrame,
        StartFrame,
        TTSAudioRawFrame,
        TTSStartedFrame,
        TTSStoppedFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
    from pipecat.services.ai_service import AIService
    from pipecat.services.settings import ServiceSettings
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{error.name} is missing; install it with: pip install 'liveavatar[pipecat]'", name=error.name
    ) from error


@dataclass(slots=True)
class _Utterance:
    """What one context of the speech service says, with the frames that are told before and after it."""

    segment: SpeechSegment
    context: str | None
    started: TTSStartedFrame | None = None
    stopped: TTSStoppedFrame | None = None


class AvatarVideoService(AIService):
    """A face that speaks what it is sent and is alive in between, from the start of the pipeline to its end.

    Frames come in real time; at most a second of them waits. An `EndFrame` waits until all speech was heard.
    """

    def __init__(self, actor: Actor, options: LiveOptions) -> None:
        super().__init__(settings=ServiceSettings(model=None))
        self._actor, self._live_options = actor, options
        self._exit_stack = AsyncExitStack()
        self._stream: LiveMessageStream
        self._reader: asyncio.Task[None] | None = None
        self._next_started: TTSStartedFrame | None = None
        self._open: _Utterance | None = None  # that may get more sound
        self._utterances: deque[_Utterance] = deque()  # that have not been heard
        self._passing_on = asyncio.Lock()
        self._all_heard = asyncio.Event()
        self._all_heard.set()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take speech and what belongs to it; pass the rest on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSStartedFrame):
            self._next_started = frame
        elif isinstance(frame, TTSAudioRawFrame):
            await self._push_speech(frame)
        elif isinstance(frame, TTSStoppedFrame) and self._open is not None:
            self._end_utterance(frame)
        else:
            if isinstance(frame, InterruptionFrame):
                await self._interrupt_speech()
            await self.push_frame(frame, direction)
            if isinstance(frame, StartFrame):  # it is the first that others get
                self._reader = self.create_task(self._read_messages())

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Start the session, so that speech finds it.

        Raises:
            OptionError: the engine draws only whole recordings, or the label does not fit into the frames.
        """
        await super().setup(setup)
        session = await asyncio.to_thread(LiveSession, self._actor, self._live_options)
        self._stream = await self._exit_stack.enter_async_context(LiveMessageStream(session))

    async def stop(self, frame: EndFrame) -> None:
        """Let it speak to the end, then end the session."""
        await super().stop(frame)
        self._end_utterance(None)
        await self._all_heard.wait()
        await self._close_stream()

    async def cancel(self, frame: CancelFrame) -> None:
        """End the session at once."""
        await super().cancel(frame)
        await self._close_stream()

    async def cleanup(self) -> None:
        """End the session if nothing else has."""
        await super().cleanup()
        await self._close_stream()

    async def _close_stream(self) -> None:
        await self._exit_stack.aclose()
        if self._reader is not None:
            await self.cancel_task(self._reader)
            self._reader = None

    async def _push_speech(self, frame: TTSAudioRawFrame) -> None:
        if self._open is None or self._open.context != frame.context_id:
            self._end_utterance(None)
            self._all_heard.clear()
            self._open = _Utterance(self._stream.open_segment(), frame.context_id, self._next_started)
            self._next_started = None
            self._utterances.append(self._open)
        samples = np.frombuffer(frame.audio, np.int16).reshape(-1, frame.num_channels)
        await self._stream.push_speech(self._open.segment, samples, frame.sample_rate)

    def _end_utterance(self, stopped: TTSStoppedFrame | None) -> None:
        if self._open is not None:
            self._open.stopped = stopped
            self._open.segment.end()
            self._open = None

    async def _interrupt_speech(self) -> None:
        """Stop speaking; what has been passed on is then where the `InterruptionFrame` drops it."""
        self._stream.interrupt()
        self._open = self._next_started = None
        self._utterances.clear()
        self._all_heard.set()
        async with self._passing_on:
            await asyncio.sleep(
                0
            )  # the next processor takes it out of its queue, which the interruption overtakes

    async def _read_messages(self) -> None:
        try:
            async for message in self._stream.read_messages():
                async with self._passing_on:
                    await self._pass_on(message)
        except LiveAvatarError as error:
            self._utterances.clear()
            self._all_heard.set()
            await self.push_error(error_msg=str(error), exception=error)

    async def _pass_on(self, message: LiveMessage) -> None:
        if isinstance(message, LiveFrame):
            await self._show_frame(message)
        elif isinstance(message, SegmentStarted):
            await self._start_utterance(message.segment)
        elif isinstance(message, SegmentFinished):
            await self._finish_utterances(message.segment)

    async def _show_frame(self, live: LiveFrame) -> None:
        height, width = live.frame.rgb.shape[:2]
        image = OutputImageRawFrame(image=live.frame.rgb.tobytes(), size=(width, height), format="RGB")
        image.sync_with_audio = True
        await self.push_frame(image)
        if live.speech_count and not self._stream.is_stale(live):
            sound = quantise_speech(live).tobytes()
            context = self._utterances[0].context
            await self.push_frame(
                TTSAudioRawFrame(audio=sound, sample_rate=PLAYBACK_RATE, num_channels=1, context_id=context)
            )

    async def _start_utterance(self, number: int) -> None:
        """Begin one; those before it have been heard."""
        await self._finish_utterances(number - 1)
        if self._utterances and self._utterances[0].segment.number == number:
            started = self._utterances[0].started
            if started is not None:
                await self.push_frame(started)

    async def _finish_utterances(self, number: int) -> None:
        """End those up to `number`; those that were interrupted are not there any more."""
        while self._utterances and self._utterances[0].segment.number <= number:
            stopped = self._utterances.popleft().stopped
            if stopped is not None:
                await self.push_frame(stopped)
        if not self._utterances:
            self._all_heard.set()
