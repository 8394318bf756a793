"""Runs a conversation in two threads: one hears, so that nothing delays an interruption; the other one answers."""

import logging
from collections.abc import Callable
from functools import partial
from queue import Empty, Full, Queue
from threading import Event, Thread

from liveavatar.audio.front_end import StreamFrontEnd
from liveavatar.audio.io.live_chunk import LiveChunk, check_live_rate, convert_live_chunk
from liveavatar.conversation.conversation import Conversation
from liveavatar.errors import LiveAvatarError, SpeechQueueFull

MAX_WAITING_CHUNKS = 128
"""Of the microphone, until they are heard: 2.5 s of 20 ms each. Larger ones count as several of a tenth of a second."""

_POLL_SECONDS = 0.02
_JOIN_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


class ConversationRunner:
    """The threads of one conversation.

    `start` and `stop` are called once; all else may be called by any thread, and returns at once.
    """

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self._front_end = StreamFrontEnd()
        self._heard: Queue[Callable[[], None]] = Queue(MAX_WAITING_CHUNKS)
        self._stopping = Event()
        self._threads = [
            Thread(target=self._run_guarded, args=(step,), name=name, daemon=True)
            for name, step in (
                ("conversation-ears", self._hear_next),
                ("conversation-answers", self._answer_next),
            )
        ]

    def start(self) -> None:
        """Begin to hear and to answer."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Leave the session, and wait for the threads; one that waits for an endpoint ends after its time-out."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
        self.conversation.close()

    def push_sound(self, chunk: LiveChunk, rate: float) -> None:
        """Sound of the microphone: float32 or int16, [n] or [n, channels], at `rate` Hz.

        Raises:
            AudioError: the rate, type or shape is not supported.
            SpeechQueueFull: it comes faster than it is heard. Nothing more of it was added.
        """
        checked_rate, samples = check_live_rate(rate), convert_live_chunk(chunk)
        length = max(1, checked_rate // 10)
        for start in range(0, len(samples), length):
            self._put(partial(self._hear_chunk, samples[start : start + length], checked_rate))

    def end_turn(self) -> None:
        """What was said until now is a turn."""
        self._put(self.conversation.end_turn)

    def forget_turn(self) -> None:
        """Forget what is being said."""
        self._put(self.conversation.forget_turn)

    def _put(self, action: Callable[[], None]) -> None:
        try:
            self._heard.put_nowait(action)
        except Full:
            raise SpeechQueueFull(
                "sound of the microphone comes faster than it is heard", "send it as it is heard"
            ) from None

    def _hear_chunk(self, samples: LiveChunk, rate: int) -> None:
        self.conversation.hear_sound(self._front_end.push(samples, rate))

    def _hear_next(self) -> None:
        try:
            action = self._heard.get(timeout=_POLL_SECONDS)
        except Empty:
            return
        action()

    def _answer_next(self) -> None:
        if not self.conversation.advance():
            self._stopping.wait(_POLL_SECONDS)

    def _run_guarded(self, step: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                step()
            except LiveAvatarError as error:
                self.conversation.report_problem(str(error))
                _LOG.error("a conversation could not go on: %s", error)
                return
