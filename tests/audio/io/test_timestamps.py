"""Pieces with time stamps become one track in which every sample has the right time."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liveavatar.audio.io.timestamps import Splicer, is_slow_clock

RATE = 1_000
Piece = tuple[int | None, int]  # stamp in milliseconds, samples


def append_pieces(pieces: list[Piece], duration: int = 0) -> tuple[NDArray[np.float32], Splicer]:
    """Append pieces whose samples count up from 1; silence is 0."""
    splicer = Splicer(RATE, 1, Fraction(1, 1_000), Fraction(duration, 1_000))
    track, value = [], 1
    for pts, count in pieces:
        samples = np.arange(value, value + count, dtype=np.float32)[:, None]
        value += count
        track += list(splicer.push(samples, RATE, pts))
    track.append(splicer.flush())
    return np.concatenate(track)[:, 0], splicer


def test_the_first_time_stamp_is_time_zero() -> None:
    track, _ = append_pieces([(5_000, 100), (5_100, 100)])
    assert np.array_equal(track, np.arange(1, 201))


def test_a_gap_is_filled_and_counted() -> None:
    track, splicer = append_pieces([(0, 100), (150, 10)])
    assert np.array_equal(track, [*range(1, 101), *[0] * 50, *range(101, 111)])
    assert splicer.repairs.inserted_silence == Fraction(50, 1_000)


def test_an_overlap_longer_than_a_piece_drops_the_piece() -> None:
    track, splicer = append_pieces([(0, 300), (100, 50), (150, 200)])
    assert np.array_equal(track, [*range(1, 301), *range(501, 551)])
    assert splicer.repairs.dropped_overlap == Fraction(200, 1_000)


def test_pieces_without_time_stamps_are_appended() -> None:
    track, _ = append_pieces([(0, 100), (None, 100), (200, 10)])
    assert np.array_equal(track, np.arange(1, 211))


def test_a_clock_that_is_set_back_leaves_no_gap() -> None:
    track, splicer = append_pieces([(0, 2_000), (0, 1_000), (1_000, 500)])
    assert len(track) == 3_500
    assert splicer.repairs.clock_jumps == 1


def test_a_long_gap_must_fit_the_duration_of_the_container() -> None:
    assert len(append_pieces([(0, 100), (60_000, 100)], duration=60_100)[0]) == 60_100
    assert len(append_pieces([(0, 100), (60_000, 100)])[0]) == 200
    assert len(append_pieces([(0, 100), (10**8, 100)], duration=2 * 10**8)[0]) == 200


@given(st.lists(st.tuples(st.integers(-14, 14), st.integers(1, 400)), min_size=1, max_size=60))
def test_jitter_under_the_tolerance_changes_nothing(pieces: list[tuple[int, int]]) -> None:
    start, stamped = 0, [(0, 1)]
    for late, count in pieces:
        start += stamped[-1][1]
        stamped.append((start + late, count))
    track, _ = append_pieces([*stamped])
    assert np.array_equal(track, np.arange(1, len(track) + 1))


@given(st.lists(st.tuples(st.integers(-200, 5_000), st.integers(1, 400)), min_size=1, max_size=30))
def test_time_never_drifts(pieces: list[tuple[int, int]]) -> None:
    """With any gaps and overlaps, every piece is within the tolerance of its time stamp."""
    splicer = Splicer(RATE, 1, Fraction(1, 1_000), None)
    list(splicer.push(np.ones((1, 1), np.float32), RATE, 0))
    end, appended = 1, 1
    for gap, count in pieces:
        pts = max(0, end + gap)
        appended += sum(len(piece) for piece in splicer.push(np.ones((count, 1), np.float32), RATE, pts))
        end = max(end, pts + count)
        assert abs(appended - end) <= 15
        assert splicer.elapsed == Fraction(appended, RATE)


@given(
    st.lists(
        st.tuples(st.sampled_from([800, 1_000, 1_470, 2_000]), st.integers(1, 700)), min_size=1, max_size=40
    )
)
def test_changes_of_rate_cause_no_drift(pieces: list[tuple[int, int]]) -> None:
    splicer = Splicer(RATE, 1, Fraction(1, RATE), None)
    track = [
        piece for rate, count in pieces for piece in splicer.push(np.ones((count, 1), np.float32), rate, None)
    ]
    track.append(splicer.flush())
    seconds = sum((Fraction(count, rate) for rate, count in pieces), Fraction(0))
    assert abs(sum(map(len, track)) - seconds * RATE) <= 1


def test_other_channels_are_remixed() -> None:
    splicer = Splicer(RATE, 2, Fraction(1, RATE), None)
    list(splicer.push(np.ones((5, 2), np.float32), RATE, None))
    [piece] = splicer.push(np.full((5, 1), 0.5, np.float32), RATE, None)
    assert np.array_equal(piece, np.full((5, 2), 0.5))


def list_pieces(stamps: list[int], duration: int) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(stamp, 1_000), Fraction(duration, 1_000)) for stamp in stamps]


@given(st.integers(20, 100), st.floats(0.05, 0.8), st.integers(4, 30))
def test_a_clock_that_is_slow_from_the_start_is_none(duration: int, speed: float, count: int) -> None:
    stamps = [round(number * duration * speed) for number in range(count)]
    if len(set(stamps)) == count:
        assert is_slow_clock(list_pieces(stamps, duration))


@given(st.lists(st.integers(-14, 14), min_size=1, max_size=30), st.integers(0, 29), st.integers(0, 250))
def test_jitter_and_a_true_overlap_are_no_slow_clock(jitter: list[int], at: int, overlap: int) -> None:
    stamps = [200 * number + late - (overlap if number > at else 0) for number, late in enumerate(jitter)]
    assert not is_slow_clock(list_pieces(stamps, 200))
