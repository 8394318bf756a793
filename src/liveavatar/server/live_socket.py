"""A live session over a WebSocket: speech in, H.264 and Opus out. Names of events are those of OpenAI's Realtime API.

Text messages are events, JSON objects with a `type`; docs/live-socket.md lists them. Binary messages are media: a
header (`MEDIA_HEADER`), then the packet. The socket only carries what the session makes, which runs in threads of
its own; requests are checked by what stands before the route.
"""

import asyncio
import base64
import binascii
import json
import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from liveavatar.errors import LiveAvatarError
from liveavatar.live.messages import (
    LiveMessage,
    MediaKind,
    MediaPacket,
    SegmentFinished,
    SegmentStarted,
    SessionEnded,
    SpeechCleared,
)
from liveavatar.live.runner import SessionRunner
from liveavatar.live.segments import SpeechSegment
from liveavatar.live.session import LiveSession
from liveavatar.live.viewers import Viewer
from liveavatar.server.conversation_protocol import ConversationChannel, OpenConversation, name_answer

MEDIA_HEADER = struct.Struct("<BBHd")
"""Kind (1 video, 2 sound), 1 for a key frame, generation modulo 65,536, and time in seconds."""

MAX_EVENT_BYTES = 1 << 20
"""Of a message: five seconds of 16-bit sound at 48 kHz, and its base64."""
MAX_ERRORS = 20
"""Events with errors after which the socket is closed."""
SEND_SECONDS = 5.0
"""A client that takes nothing for so long is gone."""
POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1

_KEPT_NAMES = 256

_KIND_NUMBERS = {MediaKind.VIDEO: 1, MediaKind.SOUND: 2}


class LiveSocketServer:
    """Opens a session for every socket, `max_sessions` at a time; further ones are refused with 503."""

    def __init__(
        self,
        open_session: Callable[[WebSocket], LiveSession],
        max_sessions: int,
        open_conversation: OpenConversation | None = None,
    ) -> None:
        """`open_session` is called in a thread, with its socket. With `open_conversation`, each gets a conversation."""
        self._open_session, self._max_sessions = open_session, max_sessions
        self._open_conversation = open_conversation
        self.session_count = 0

    async def serve_socket(self, websocket: WebSocket) -> None:
        """The endpoint of a `WebSocketRoute`: returns when the client has left, and its session is closed."""
        if self.session_count >= self._max_sessions:
            problem = f"{self.session_count} live sessions run, and this machine draws no more at a time"
            answer = {"error": {"code": "at_capacity", "message": problem}}
            await websocket.send_denial_response(JSONResponse(answer, 503, {"Retry-After": "10"}))
            return
        self.session_count += 1
        try:
            session = await asyncio.to_thread(self._open_session, websocket)
            await websocket.accept()
            await LiveConnection(websocket, session, self._open_conversation).run()
        finally:
            self.session_count -= 1


class LiveConnection:
    """One client and its session."""

    def __init__(
        self, websocket: WebSocket, session: LiveSession, open_conversation: OpenConversation | None
    ) -> None:
        self._websocket, self._session = websocket, session
        self._channel = ConversationChannel(session, open_conversation) if open_conversation else None
        self._segment: tuple[str, SpeechSegment] | None = (
            None  # that may get more sound, with the client's name
        )
        self._ended_names: deque[str] = deque(maxlen=_KEPT_NAMES)  # what still comes for them is stale
        self._names: dict[int, str] = {}  # the client's names of those that have not finished
        self._error_count = 0

    async def run(self) -> None:
        """Carry events and media both ways until the client leaves or the session ends."""
        loop, has_messages = asyncio.get_running_loop(), asyncio.Event()

        def announce_messages() -> None:
            loop.call_soon_threadsafe(has_messages.set)

        viewer = Viewer(on_ready=announce_messages)
        runner = SessionRunner(self._session)
        self._session.add_viewer(viewer)
        tasks = {asyncio.create_task(self._receive_events())}
        try:
            runner.start()
            tasks.add(asyncio.create_task(self._send_messages(viewer, has_messages)))
            if self._channel is not None:
                tasks.add(asyncio.create_task(self._converse(self._channel)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        except (WebSocketDisconnect, TimeoutError):
            pass  # the client is gone
        finally:
            self._session.remove_viewer(viewer)
            self._session.close()  # at once: what is awaited below may be cancelled
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled():
                    task.exception()  # is known: the first one ended this
            await asyncio.to_thread(runner.stop)
            if self._channel is not None:
                await self._channel.stop()

    async def _converse(self, channel: ConversationChannel) -> None:
        """Send what the conversation tells; without its models there is none, and the session goes on."""
        try:
            await channel.start()
        except LiveAvatarError as error:
            await self._send_event(
                {"type": "error", "error": {"code": "conversation", "message": str(error)}}
            )
        else:
            await self._send_event({"type": "conversation.created"})
        while True:
            await self._send_event(await channel.outgoing.get())

    async def _send_messages(self, viewer: Viewer, has_messages: asyncio.Event) -> None:
        await self._send_event(
            {"type": "session.created", "lead_ms": round(1000 * self._session.lead_seconds)}
        )
        while not viewer.is_ended:
            await has_messages.wait()
            has_messages.clear()
            for message in viewer.take_messages():
                if isinstance(message, MediaPacket):
                    await asyncio.wait_for(self._websocket.send_bytes(pack_media(message)), SEND_SECONDS)
                elif (event := self._describe_message(message)) is not None:
                    await self._send_event(event)
        await self._websocket.close()

    async def _send_event(self, event: Mapping[str, object]) -> None:
        await asyncio.wait_for(self._websocket.send_text(json.dumps(event)), SEND_SECONDS)

    async def _receive_events(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            problem = self._handle_text(message.get("text"))
            if problem is None:
                continue
            self._error_count += 1
            await self._send_event({"type": "error", "error": problem})
            if self._error_count >= MAX_ERRORS:
                await self._websocket.close(POLICY_VIOLATION, "too many events with errors")
                return

    def _handle_text(self, text: str | None) -> dict[str, str] | None:
        """Do what an event says; returns what is wrong with it."""
        if text is None or len(text) > MAX_EVENT_BYTES:
            return {"code": "invalid_event", "message": f"send text of at most {MAX_EVENT_BYTES} bytes"}
        try:
            event = json.loads(text)
            self._handle_event(event)
        except LiveAvatarError as error:
            return {"code": type(error).__name__, "message": str(error)}
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
            return {"code": "invalid_event", "message": "this is no event of docs/live-socket.md"}
        return None

    def _handle_event(self, event: Mapping[str, Any]) -> None:
        kind = event["type"]
        if kind == "response.output_audio.delta":
            self._push_speech(str(event["response_id"]), str(event["delta"]), event.get("rate", 24_000))
        elif kind == "response.output_audio.done":
            if self._segment is not None and self._segment[0] == event["response_id"]:
                self._end_segment()
        elif kind in {"response.cancel", "output_audio_buffer.clear"}:
            self._end_segment()
            if self._channel is None or not self._channel.stop_answer():
                self._session.interrupt()
        elif kind == "session.update":
            self._session.set_emotion(str(event["session"]["emotion"]))
        elif kind == "output_audio_buffer.delay":
            self._session.set_playout_delay(float(str(event["delay_ms"])) / 1000)
        elif self._channel is None or not self._channel.handle_event(event):
            raise ValueError(kind)

    def _push_speech(self, response: str, delta: str, rate: object) -> None:
        samples = np.frombuffer(base64.b64decode(delta, validate=True), "<i2")
        if response in self._ended_names:
            return
        if self._segment is None or self._segment[0] != response:
            self._end_segment()
            segment = self._session.open_segment()
            self._segment = response, segment
            self._names[segment.number] = response
        self._segment[1].push(samples, float(str(rate)))

    def _end_segment(self) -> None:
        if self._segment is not None:
            name, segment = self._segment
            segment.end()
            self._ended_names.append(name)
            self._segment = None

    def _describe_message(self, message: LiveMessage) -> dict[str, object] | None:
        if isinstance(message, SegmentStarted):
            return {
                "type": "output_audio_buffer.started",
                "response_id": self._names.get(message.segment) or name_answer(message.segment),
                "time": float(message.time),
            }
        if isinstance(message, SegmentFinished):
            return {
                "type": "output_audio_buffer.stopped",
                "response_id": self._names.pop(message.segment, None) or name_answer(message.segment),
                "audio_end_ms": round(1000 * message.heard),
                "interrupted": message.interrupted,
            }
        if isinstance(message, SpeechCleared):
            return {
                "type": "output_audio_buffer.cleared",
                "generation": message.generation,
                "time": float(message.time),
            }
        if isinstance(message, SessionEnded):
            return {"type": "session.ended", "reason": message.reason}
        return None


def pack_media(packet: MediaPacket) -> bytes:
    """A packet as a binary message."""
    header = MEDIA_HEADER.pack(
        _KIND_NUMBERS[packet.kind], packet.is_key, packet.generation % 65_536, float(packet.time)
    )
    return header + packet.data
