"""Frames do not depend on chunks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from liveavatar.audio.spectral.framing import StreamFramer, slice_windows, stack_taps


@given(
    size=st.integers(1, 20),
    hop=st.integers(1, 40),
    length=st.integers(0, 100),
    cuts=st.lists(st.integers(0, 100), max_size=6),
)
def test_frames_are_the_slices_of_the_whole_stream(size: int, hop: int, length: int, cuts: list[int]) -> None:
    stream = np.arange(1, length + 1, dtype=np.float32)
    framer = StreamFramer(size, hop)
    frames = np.concatenate([framer.push(chunk) for chunk in np.split(stream, sorted(cuts))])
    starts = range(0, length - size + 1, hop)
    assert frames.tolist() == [stream[start : start + size].tolist() for start in starts]
    rest = stream[len(starts) * hop :]
    assert framer.flush().tolist() == ([[*rest.tolist(), *[0.0] * (size - len(rest))]] if len(rest) else [])
    assert framer.push(stream).tolist() == frames.tolist(), "ready for another stream"


@pytest.mark.parametrize("hop", [2, 3, 7])
def test_channels_are_framed_together(hop: int) -> None:
    stream = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    frames = StreamFramer(3, hop, channels=2).push(stream)
    assert frames.shape[1:] == (2, 3)
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(frame, stream[:, number * hop : number * hop + 3])


@pytest.mark.parametrize(("length", "size", "hop"), [(100, 10, 3), (10, 10, 4), (9, 10, 1), (50, 7, 7)])
def test_windows_are_those_of_numpy(length: int, size: int, hop: int) -> None:
    samples = np.arange(length, dtype=np.float32)
    expected = sliding_window_view(samples, size)[::hop] if length >= size else np.empty((0, size))
    np.testing.assert_array_equal(slice_windows(samples, size, hop), expected)
    np.testing.assert_array_equal(slice_windows(samples, size, hop, len(expected)), expected)


def test_windows_of_samples_that_are_not_contiguous() -> None:
    samples = np.arange(40, dtype=np.float32)
    np.testing.assert_array_equal(slice_windows(samples[::2], 4, 2)[1], [4, 6, 8, 10])


def test_windows_outside_the_samples_are_refused() -> None:
    with pytest.raises((TypeError, ValueError)):
        slice_windows(np.zeros(10, np.float32), 8, 2, 3)


@pytest.mark.parametrize(
    ("taps", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (5, 2, 1), (3, 1, 4), (4, 3, 2)]
)
def test_taps_follow_the_definition(taps: int, stride: int, dilation: int) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    starts = range(0, 20 - (taps - 1) * dilation, stride)
    expected = [[rows[start + tap * dilation] for tap in range(taps)] for start in starts]
    np.testing.assert_array_equal(stack_taps(rows, taps, stride, dilation), expected)


def test_too_few_rows_have_no_taps() -> None:
    assert stack_taps(np.zeros((2, 4), np.float32), 3).shape == (0, 3, 4)
