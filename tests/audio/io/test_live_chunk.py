"""Live chunks: what is sound, and one line for what is not."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.audio.front_end import StreamFrontEnd
from liveavatar.audio.io.live_chunk import check_live_rate, convert_live_chunk
from liveavatar.errors import AudioError


class Tensor:
    """Converts itself like a tensor of PyTorch, which refuses on a GPU."""

    def __init__(self, is_on_gpu: bool) -> None:
        self._is_on_gpu = is_on_gpu

    def __repr__(self) -> str:
        return f"Tensor(is_on_gpu={self._is_on_gpu})"

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        if self._is_on_gpu:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return np.array([0.5, -0.5], np.float32)


@pytest.mark.parametrize("rate", [24_000, 24_000.0, np.int64(24_000), np.float32(24_000), Fraction(24_000)])
def test_a_whole_rate_of_any_type_is_taken(rate: object) -> None:
    checked = check_live_rate(rate)
    assert checked == 24_000
    assert type(checked) is int


@pytest.mark.parametrize(
    "rate", [24_000.5, 0, -1, 10**9, float("nan"), float("inf"), "24000", None, True, [1]]
)
def test_what_is_no_rate_is_one_error(rate: object) -> None:
    with pytest.raises(AudioError, match="send 16000, 24000, 44100 or 48000 Hz"):
        check_live_rate(rate)


@pytest.mark.parametrize(
    "chunk",
    [
        np.array([0.5, -0.5]),
        np.array([0.5, -0.5], np.float16),
        np.array([16384, -16384], np.int16),
        np.array([16384, -16384], ">i2"),
        [0.5, -0.5],
        (0.5, -0.5),
        [[0.5], [-0.5]],
        Tensor(is_on_gpu=False),
    ],
    ids=repr,
)
def test_what_is_sound_becomes_float(chunk: object) -> None:
    samples = convert_live_chunk(chunk)
    assert samples.dtype == np.float32
    assert samples.tolist() == [[0.5], [-0.5]]


@pytest.mark.parametrize("channels", [1, 2, 6, 32])
def test_a_single_sample_of_many_channels_is_sound(channels: int) -> None:
    assert convert_live_chunk(np.zeros((1, channels), np.float32)).shape == (1, channels)


def test_an_empty_chunk_is_sound() -> None:
    assert convert_live_chunk([]).shape == (0, 1)


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (
            np.zeros((2, 480), np.float32),
            r"shape \[2, 480\] would have 480 channels; send \[n, channels\]: chunk.T",
        ),
        (np.zeros((1, 16_000), np.float32), "would have 16000 channels"),
        (np.zeros((2, 0), np.float32), r"shape \[2, 0\] is not possible"),
        (np.zeros((2, 2, 2), np.float32), r"shape \[2, 2, 2\] is not possible"),
        (np.float32(1), r"shape \[\] is not possible"),
        (np.zeros(4, np.int32), "type int32 is not possible; send float32 or int16"),
        (np.zeros(4, np.uint8), "type uint8 is not possible"),
        (np.zeros(4, complex), "type complex128 is not possible"),
        ([1, 2], "type int64 is not possible"),
        (["a"], "type <U1 is not possible"),
        (None, r"shape \[\] is not possible"),
        ([None], "type object is not possible"),
        ([[0.5], [0.5, 0.5]], "type list cannot become an array"),
        (b"1234", r"type bytes does not say how samples are stored; .*numpy.frombuffer"),
        (bytearray(4), "does not say how samples are stored"),
        ("1234", "does not say how samples are stored"),
        (
            Tensor(is_on_gpu=True),
            r"type Tensor cannot become an array; .*tensor.detach\(\).cpu\(\).numpy\(\)",
        ),
    ],
    ids=str,
)
def test_what_is_no_sound_is_one_error(chunk: object, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        convert_live_chunk(chunk)


@given(
    level=st.floats(0.001, 1.0),
    scale=st.sampled_from([2.0**15, 2.0**23, 2.0**31]),
    count=st.integers(1, 2_000),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_floats_on_the_scale_of_integers_are_one_error(
    level: float, scale: float, count: int, dtype: type[np.floating]
) -> None:
    noise = level * np.random.default_rng(count).uniform(0.2, 1, count)
    assert np.array_equal(convert_live_chunk(noise.astype(dtype))[:, 0], noise.astype(np.float32))
    with pytest.raises(AudioError, match=r"floats are -1 to 1; divide it by 32768"):
        convert_live_chunk((noise * scale).astype(dtype))


@pytest.mark.parametrize("damage", [np.nan, np.inf, 1e30, 5_000.0])
def test_a_few_damaged_samples_are_no_other_scale(damage: float) -> None:
    chunk = np.full(320, 0.5, np.float32)
    chunk[7:20] = damage
    assert convert_live_chunk(chunk)[0] == 0.5


def test_a_refused_chunk_adds_nothing() -> None:
    front_end, other = StreamFrontEnd(), StreamFrontEnd()
    chunk = np.random.default_rng(0).normal(0, 0.1, 4_800).astype(np.float32)
    for stream in (front_end, other):
        stream.push(chunk, 24_000)
    with pytest.raises(AudioError):
        front_end.push(chunk * 32_768, 24_000)
    assert np.array_equal(front_end.flush(), other.flush())
