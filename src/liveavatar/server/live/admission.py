"""Admits live sessions up to what the machine can draw, and prepares their portraits."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock

from liveavatar.background import replace_background
from liveavatar.engine import Actor, Engine, open_actor
from liveavatar.engines import open_engine
from liveavatar.errors import PortraitError
from liveavatar.face.portrait import load_portrait
from liveavatar.live.session import LiveOptions, LiveSession
from liveavatar.provenance.policy import MarkPolicy
from liveavatar.server.http.errors import RequestRefused
from liveavatar.server.live.orders import LIVE_ENGINE, LiveOrder
from liveavatar.server.studio.storage import create_id
from liveavatar.server.studio.tasks import call_by_names

CONNECT_SECONDS = 30.0
"""A prepared session that nobody connects to is forgotten after this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSession:
    """A live session whose client has not connected yet. `expires` is on the monotonic clock."""

    owner: str
    order: LiveOrder
    actor: Actor
    marks: MarkPolicy
    id: str = field(default_factory=create_id)
    expires: float = field(default_factory=lambda: time.monotonic() + CONNECT_SECONDS)

    def open_session(self) -> LiveSession:
        """Start its timeline."""
        session = LiveSession(self.actor, LiveOptions(marks=self.marks))
        session.set_emotion(self.order.emotion)
        return session


class LiveAdmission:
    """Counts the sessions of a server. Belongs to the event loop.

    A place is taken from the request on: while the portrait is prepared, while its client connects, and while it runs.
    """

    def __init__(self, max_sessions: int) -> None:
        self.max_sessions = max_sessions
        self.running_count = self._preparing_count = 0
        self._prepared: OrderedDict[str, PreparedSession] = OrderedDict()
        self._drawing_lock = Lock()

    @property
    def taken_count(self) -> int:
        """Places that are taken."""
        now = time.monotonic()
        for session in [session for session in self._prepared.values() if session.expires < now]:
            del self._prepared[session.id]
        return self.running_count + self._preparing_count + len(self._prepared)

    async def prepare_session(
        self, owner: str, order: LiveOrder, picture: Path, name: str, marks: MarkPolicy
    ) -> PreparedSession:
        """Open the actor of a portrait; errors call its file `name`.

        Raises:
            RequestRefused: all places are taken.
            PortraitError: it cannot be used.
        """
        if self.taken_count >= self.max_sessions:
            problem = f"{self.taken_count} live sessions run, and this machine draws no more at a time"
            raise RequestRefused(503, "at_capacity", problem, "try again later", {"Retry-After": "10"})
        self._preparing_count += 1
        try:
            actor = await asyncio.to_thread(self._open_actor, order, picture, name)
        finally:
            self._preparing_count -= 1
        session = PreparedSession(owner=owner, order=order, actor=actor, marks=marks)
        self._prepared[session.id] = session
        return session

    def take_session(self, session_id: str, owner: str) -> PreparedSession | None:
        """The prepared session of that owner, which is given once; None if there is none."""
        session = self._prepared.get(session_id)
        if session is None or session.owner != owner or session.expires < time.monotonic():
            return None
        return self._prepared.pop(session_id)

    def _open_actor(self, order: LiveOrder, picture: Path, name: str) -> Actor:
        """In a thread, one at a time: sessions that run need the rest of the machine."""
        with self._drawing_lock:
            engine = _open_live_engine(tuple(sorted(order.options.items())))
            try:
                actor = open_actor(engine, load_portrait(picture), order.frame_size)
            except PortraitError as error:
                problem, remedy = (
                    call_by_names(text, {picture: name}) for text in (error.problem, error.remedy)
                )
                raise PortraitError(problem, remedy) from error
            return replace_background(actor, order.colour)


@lru_cache(maxsize=4)
def _open_live_engine(options: tuple[tuple[str, object], ...]) -> Engine:
    """Models load once for all sessions with the same options."""
    return open_engine(LIVE_ENGINE, dict(options))
