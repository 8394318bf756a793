"""Frames do not depend on chunks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.audio.dsp.framing import StreamFramer


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
