"""Turns on a shared device: one at a time, who is due first goes first, and nobody gains by waiting."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Thread

from liveavatar.dit.turns import DeviceTurns, SessionTurns


def wait_until_queued(turns: DeviceTurns, count: int) -> None:
    while len(turns._waiting) < count:
        time.sleep(0.001)


def test_turns_go_to_who_is_due_first() -> None:
    turns, order = DeviceTurns(), list[float]()
    dues = random.Random(0).sample(range(100), 20)

    def take_late_turn(due: float) -> None:
        with turns.take_turn(due):
            order.append(due)

    waiters = [Thread(target=take_late_turn, args=[due]) for due in dues]
    with turns.take_turn():
        for waiter in waiters:
            waiter.start()
        wait_until_queued(turns, len(dues))
    for waiter in waiters:
        waiter.join(timeout=60)
    assert order == sorted(dues)


def test_one_computes_at_a_time_and_an_error_ends_its_turn() -> None:
    turns, computing = DeviceTurns(), Counter[str]()

    def fail_in_turn(_number: int) -> None:
        with suppress(ZeroDivisionError), turns.take_turn():
            computing["now"] += 1
            assert computing["now"] == 1
            time.sleep(0.001)
            computing["now"] -= 1
            raise ZeroDivisionError

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(fail_in_turn, range(40)))
    assert not turns._waiting


def test_a_session_that_draws_ahead_waits_for_one_that_keeps_pace() -> None:
    """The first draws as fast as it can; the second wants a block a second. Both want the device at every moment."""
    now = 0.0
    turns = DeviceTurns(lambda: now)
    ahead, live = SessionTurns(turns), SessionTurns(turns)
    for _ in range(10):
        ahead.begin_block(0.5)
    now = 2.0
    live.begin_block(0.5)
    assert live._due < ahead._due
    now = 20.0  # both have been silent for long: neither has a claim on the past
    ahead.begin_block(0.5)
    live.begin_block(0.5)
    assert live._due == ahead._due == now


def test_late_sessions_share_the_device_evenly() -> None:
    """Three sessions that never catch up: a block each in turn, whoever began."""
    now, drawn = 0.0, Counter[int]()
    turns = DeviceTurns(lambda: now)
    sessions = [SessionTurns(turns) for _ in range(3)]
    for session in sessions:
        session.begin_block(0.5)
    for _ in range(90):
        chosen = min(range(3), key=lambda index: sessions[index]._due)
        now += 0.4
        drawn[chosen] += 1
        sessions[chosen].begin_block(0.5)
    assert set(drawn.values()) == {30}
