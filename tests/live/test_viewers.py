"""Queues of viewers: bounded, with key frames where pictures were lost."""

from fractions import Fraction
from itertools import pairwise

from liveavatar.live.messages import LiveMessage, MediaKind, MediaPacket, SegmentStarted, SpeechCleared
from liveavatar.live.viewers import KEY_FRAME_INTERVAL, Viewer, ViewerGroup


def picture(number: int, *, is_key: bool = False, generation: int = 0) -> MediaPacket:
    return MediaPacket(
        kind=MediaKind.VIDEO,
        data=bytes(100),
        time=Fraction(number, 25),
        is_key=is_key,
        generation=generation,
    )


def take_numbers(viewer: Viewer) -> list[int]:
    return [int(m.time * 25) for m in viewer.take_messages() if isinstance(m, MediaPacket)]


def show(group: ViewerGroup, messages: list[LiveMessage]) -> None:
    group.publish_messages(messages)


def test_a_newcomer_starts_with_a_key_frame() -> None:
    group, viewer = ViewerGroup(), Viewer()
    show(group, [picture(0, is_key=True)])
    group.add_viewer(viewer)
    show(group, [picture(1)])
    assert group.take_key_frame_request(0.0)
    show(group, [picture(2, is_key=True), picture(3)])
    assert not group.take_key_frame_request(0.1)
    assert take_numbers(viewer) == [2, 3]


def test_a_slow_viewer_loses_media_but_no_event_and_costs_no_memory() -> None:
    group, slow, quick = ViewerGroup(), Viewer(), Viewer()
    group.add_viewer(slow)
    group.add_viewer(quick)
    quick_numbers: list[int] = []
    for number in range(1000):
        is_key = group.take_key_frame_request(number / 25)
        show(group, [picture(number, is_key=is_key)])
        if number == 500:
            show(group, [SegmentStarted(segment=1, time=Fraction(20))])
        quick_numbers += take_numbers(quick)
    assert quick_numbers == list(range(1000))
    messages = slow.take_messages()
    media = [message for message in messages if isinstance(message, MediaPacket)]
    assert len(media) <= 27
    assert media[0].is_key
    assert len(messages) == len(media) + 1
    assert slow.lost_count > 900


def test_slow_viewers_ask_for_few_key_frames() -> None:
    group, slow = ViewerGroup(), Viewer()
    group.add_viewer(slow)
    requests = [number for number in range(1000) if tick(group, number)]
    gaps = [after - before for before, after in pairwise(requests)]
    assert min(gaps) / 25 >= KEY_FRAME_INTERVAL


def tick(group: ViewerGroup, number: int) -> bool:
    is_key = group.take_key_frame_request(number / 25)
    show(group, [picture(number, is_key=is_key)])
    return is_key


def test_an_interruption_drops_what_waits_and_asks_for_a_key_frame() -> None:
    group, viewer, quick = ViewerGroup(), Viewer(), Viewer()
    group.add_viewer(viewer)
    group.take_key_frame_request(0.0)
    show(group, [picture(0, is_key=True), picture(1)])
    group.add_viewer(quick)
    group.take_key_frame_request(0.1)
    group.drop_stale_media(1)
    show(group, [SpeechCleared(generation=1, time=Fraction(2, 25)), picture(2, generation=1)])
    assert group.take_key_frame_request(0.2)
    show(group, [picture(3, is_key=True, generation=1)])
    assert take_numbers(viewer) == [3]


def test_a_removed_viewer_gets_nothing_more() -> None:
    group, viewer = ViewerGroup(), Viewer()
    group.add_viewer(viewer)
    group.remove_viewer(viewer)
    group.remove_viewer(viewer)
    show(group, [picture(0, is_key=True)])
    assert not viewer.take_messages()
    assert not len(group)


def test_a_viewer_is_told_when_messages_wait() -> None:
    calls: list[int] = []
    viewer = Viewer(on_ready=lambda: calls.append(1))
    viewer.add_message(picture(0))
    assert not calls  # it waits for a key frame
    viewer.add_message(picture(1, is_key=True))
    assert calls == [1]
