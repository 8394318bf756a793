"""Server-sent events: everybody gets the newest state of their own things, and a slow reader costs nothing."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from liveavatar.server.http.event_stream import EventBroadcast


async def read_all(broadcast: EventBroadcast, events: list[tuple[str, str, int]], owner: str) -> str:
    """What a reader gets who reads only after all events, when the server ends."""
    subscription = broadcast.subscribe(owner)
    for sender, key, value in events:
        broadcast.send_state(sender, "job", key, {"value": value})
    broadcast.close()
    return "".join([text async for text in subscription.stream_text()])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 9))))
def test_a_late_reader_gets_the_newest_state_of_each_own_thing(events: list[tuple[str, str, int]]) -> None:
    text = asyncio.run(read_all(EventBroadcast(), events, "a"))
    newest = {key: value for sender, key, value in events if sender == "a"}
    assert sorted(part for part in text.split("\n") if part.startswith("data")) == sorted(
        f'data: {{"value": {value}}}' for value in newest.values()
    )


def test_one_who_left_is_forgotten() -> None:
    broadcast = EventBroadcast()
    subscription = broadcast.subscribe("a")
    broadcast.unsubscribe(subscription)
    broadcast.unsubscribe(subscription)
    assert broadcast.subscription_count == 0


def test_an_event_that_comes_while_the_reader_waits_is_read() -> None:
    async def read_first() -> list[str]:
        broadcast = EventBroadcast()
        subscription = broadcast.subscribe("a")
        stream = subscription.stream_text()
        texts = [await anext(stream)]
        asyncio.get_running_loop().call_later(0.01, broadcast.send_state, "a", "job", "x", {"name": "人"})
        return [*texts, await anext(stream)]

    assert asyncio.run(read_first()) == ["retry: 2000\n\n", 'event: job\ndata: {"name": "人"}\n\n']
