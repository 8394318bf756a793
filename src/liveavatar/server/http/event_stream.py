"""Server-sent events: the newest state of things, for those who may see them. A slow reader loses old states only."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

_HEARTBEAT_SECONDS = 15.0
"""A comment after this long without an event, so that proxies do not cut the stream."""


class EventSubscription:
    """What one reader has not read yet: at most one state of each thing."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._states: dict[str, str] = {}
        self._is_closed = False
        self._changed = asyncio.Event()

    def add_state(self, key: str, text: str) -> None:
        """Put the state of `key` at the end; an older one is dropped."""
        self._states.pop(key, None)
        self._states[key] = text
        self._changed.set()

    def close(self) -> None:
        """End the stream once everything is read."""
        self._is_closed = True
        self._changed.set()

    async def stream_text(self) -> AsyncIterator[str]:
        """The stream as text."""
        yield "retry: 2000\n\n"
        while self._states or not self._is_closed:
            try:
                await asyncio.wait_for(self._changed.wait(), _HEARTBEAT_SECONDS)
            except TimeoutError:
                yield ":\n\n"
            self._changed.clear()
            while self._states:
                yield self._states.pop(next(iter(self._states)))


class EventBroadcast:
    """Sends states to subscriptions of the same owner. Belongs to the event loop."""

    def __init__(self) -> None:
        self._subscriptions: set[EventSubscription] = set()

    @property
    def subscription_count(self) -> int:
        """Readers."""
        return len(self._subscriptions)

    def subscribe(self, owner: str) -> EventSubscription:
        """A new subscription; `unsubscribe` ends it."""
        subscription = EventSubscription(owner)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: EventSubscription) -> None:
        """Forget a subscription."""
        self._subscriptions.discard(subscription)

    def send_state(self, owner: str, kind: str, key: str, state: dict[str, Any]) -> None:
        """Send `state` of the thing `key` as an event named `kind`."""
        text = f"event: {kind}\ndata: {json.dumps(state, ensure_ascii=False)}\n\n"
        for subscription in self._subscriptions:
            if subscription.owner == owner:
                subscription.add_state(key, text)

    def close(self) -> None:
        """End all streams."""
        for subscription in self._subscriptions:
            subscription.close()
