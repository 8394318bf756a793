"""Events of a conversation on the live socket, in both directions. docs/converse.md lists them."""

import asyncio
import base64
from collections.abc import Callable, Mapping

import numpy as np

from liveavatar.conversation.events import (
    AnswerFinished,
    AnswerStarted,
    AnswerStatus,
    AnswerText,
    ConversationEvent,
    ListeningStarted,
    ListeningStopped,
    PartFailed,
    WordsRecognised,
)
from liveavatar.conversation.runner import ConversationRunner
from liveavatar.errors import OptionError
from liveavatar.live.session import LiveSession

MAX_TEXT_CHARACTERS = 2_000
"""Of a typed turn."""
MAX_WAITING_EVENTS = 1_000
"""For a client that takes none."""

OpenConversation = Callable[[LiveSession, Callable[[ConversationEvent], None]], ConversationRunner]
"""Opens a conversation with a session; it may block."""

SocketEvent = dict[str, object]


def name_answer(segment: int) -> str:
    """The `response_id` of an answer."""
    return f"answer_{segment}"


class ConversationChannel:
    """The conversation of one socket: `handle_event` takes the client's events, `outgoing` has those for it.

    Belongs to the event loop; nothing in it waits.
    """

    def __init__(self, session: LiveSession, open_conversation: OpenConversation) -> None:
        self.outgoing: asyncio.Queue[SocketEvent] = asyncio.Queue(MAX_WAITING_EVENTS)
        self._session, self._open_conversation = session, open_conversation
        self._loop = asyncio.get_running_loop()
        self._runner: ConversationRunner | None = None
        self._typed: list[str] = []

    async def start(self) -> None:
        """Begin to hear and to answer.

        Raises:
            LiveAvatarError: a model cannot be fetched.
        """
        self._runner = await asyncio.to_thread(self._open_conversation, self._session, self._publish)
        self._runner.start()

    async def stop(self) -> None:
        """End the threads."""
        if self._runner is not None:
            await asyncio.to_thread(self._runner.stop)

    def stop_answer(self) -> bool:
        """Stop the answer, if there is one; returns whether the session was interrupted."""
        return self._runner is not None and self._runner.conversation.stop_answer()

    def handle_event(self, event: Mapping[str, object]) -> bool:
        """Do what an event says; False if it is none of a conversation.

        Raises:
            AudioError, SpeechQueueFull, OptionError: the event cannot be done.
            ValueError, KeyError, TypeError: it is not one.
        """
        runner, kind = self._require_runner(), event["type"]
        if kind == "input_audio_buffer.append":
            sound = np.frombuffer(base64.b64decode(str(event["audio"]), validate=True), "<i2")
            runner.push_sound(sound, float(str(event.get("rate", 24_000))))
        elif kind == "input_audio_buffer.commit":
            runner.end_turn()
        elif kind == "input_audio_buffer.clear":
            runner.forget_turn()
        elif kind == "conversation.item.create":
            self._add_typed_text(read_item_text(event["item"]))
        elif kind == "response.create":
            self._answer_typed_text(runner)
        else:
            return False
        return True

    def _add_typed_text(self, text: str) -> None:
        if sum(map(len, self._typed)) + len(text) > MAX_TEXT_CHARACTERS:
            raise OptionError(
                f"a typed turn has more than {MAX_TEXT_CHARACTERS:,} characters", "send it in parts"
            )
        self._typed.append(text)

    def _answer_typed_text(self, runner: ConversationRunner) -> None:
        if not self._typed:
            raise OptionError("there is nothing to answer", "send conversation.item.create before")
        runner.conversation.add_text(" ".join(self._typed))
        self._typed.clear()

    def _require_runner(self) -> ConversationRunner:
        if self._runner is None:
            raise OptionError("the conversation has not begun", "wait for conversation.created")
        return self._runner

    def _publish(self, event: ConversationEvent) -> None:
        """Called by the threads of the conversation; one that waited for an endpoint may outlive the server."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._queue_events, describe_conversation_event(event))

    def _queue_events(self, events: list[SocketEvent]) -> None:
        for event in events:
            if not self.outgoing.full():
                self.outgoing.put_nowait(event)


def read_item_text(item: object) -> str:
    """The text of a user's message.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    if not isinstance(item, dict) or item["type"] != "message" or item["role"] != "user":
        raise ValueError(item)
    texts = [part["text"] for part in item["content"] if part["type"] == "input_text"]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(item)
    return " ".join(texts)


def describe_conversation_event(event: ConversationEvent) -> list[SocketEvent]:
    """The events of the socket that tell it."""
    match event:
        case AnswerStarted() | AnswerText():
            return [_describe_answer(event)]
        case AnswerFinished():
            return _describe_answer_end(event)
        case PartFailed(problem=problem):
            return [{"type": "error", "error": {"code": "conversation", "message": problem}}]
        case _:
            return [_describe_turn(event)]


def _describe_turn(event: ListeningStarted | ListeningStopped | WordsRecognised) -> SocketEvent:
    match event:
        case ListeningStarted(item=item, seconds=seconds):
            kind = "input_audio_buffer.speech_started"
            return {"type": kind, "item_id": item, "audio_start_ms": round(1000 * seconds)}
        case ListeningStopped(item=item, seconds=seconds):
            kind = "input_audio_buffer.speech_stopped"
            return {"type": kind, "item_id": item, "audio_end_ms": round(1000 * seconds)}
        case WordsRecognised(item=item, text=text):
            kind = "conversation.item.input_audio_transcription.completed"
            return {"type": kind, "item_id": item, "transcript": text}


def _describe_answer(event: AnswerStarted | AnswerText) -> SocketEvent:
    name = name_answer(event.segment)
    if isinstance(event, AnswerStarted):
        response = {"id": name, "status": "in_progress"}
        return {"type": "response.created", "response": response, "item_id": event.item}
    return {
        "type": "response.output_audio_transcript.delta",
        "response_id": name,
        "delta": event.text,
        "audio_start_ms": round(1000 * event.start_seconds),
    }


def _describe_answer_end(event: AnswerFinished) -> list[SocketEvent]:
    name = name_answer(event.segment)
    done: SocketEvent = {
        "type": "response.done",
        "response": {"id": name, "status": event.status.value, "transcript": event.text},
    }
    if event.status is not AnswerStatus.CANCELLED:
        return [done]
    end = round(1000 * event.heard_seconds)
    truncated = {"type": "conversation.item.truncated", "item_id": name, "audio_end_ms": end}
    return [truncated, done]
