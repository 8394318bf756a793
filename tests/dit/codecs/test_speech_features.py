import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from liveavatar.dit.codecs.speech_features import (
    FEATURE_CHANNELS,
    STEP_CHANNELS,
    SpeechEncoder,
    SpeechStepStream,
    list_step_channels,
    stack_steps,
)
from liveavatar.dit.plan.config import MODEL_FPS, MODEL_TIMELINE
from liveavatar.dit.streaming.audio_features import AudioFeatureStream
from liveavatar.frames import Samples
from liveavatar.speech.stream import SpeechStream

STEP_SAMPLES = 320
BLOCK = 12


def encode_pieces(sound: Samples, cuts: list[int]) -> Tensor:
    stream = SpeechStepStream(SpeechEncoder())
    steps = [part for piece in np.split(sound, sorted(cuts)) for part in stream.push(piece)]
    return torch.cat([*steps, *stream.flush()], dim=1)


def encode_whole(sound: Samples) -> np.ndarray:
    stream = SpeechStream()
    rows = np.concatenate([list_step_channels(stream.push(sound)), list_step_channels(stream.flush())])
    return stack_steps(np.concatenate([rows[:1], rows]), len(sound) // STEP_SAMPLES)


@settings(max_examples=8)
@given(st.lists(st.integers(0, 16_000), max_size=6))
def test_the_cuts_of_the_sound_have_no_effect(babble: Samples, cuts: list[int]) -> None:
    sound = babble[:16_000]
    np.testing.assert_array_equal(encode_pieces(sound, cuts)[0].numpy(), encode_whole(sound))


def test_a_step_stacks_four_rows_around_its_middle() -> None:
    rows = np.repeat(np.arange(-1, 9, dtype=np.float32)[:, None], STEP_CHANNELS, axis=1)
    stacked = stack_steps(rows, 5)
    assert stacked.shape == (5, FEATURE_CHANNELS)
    assert stacked[:, ::STEP_CHANNELS].tolist() == [
        [-1, 0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 8], [7, 8, 8, 8],
    ]  # fmt: skip


def test_features_are_standardised_by_the_weights() -> None:
    encoder = SpeechEncoder()
    encoder.mean.fill_(2)
    encoder.spread.fill_(4)
    standardised = encoder.standardise(np.full((3, FEATURE_CHANNELS), 10, np.float32))
    assert standardised.shape == (1, 3, FEATURE_CHANNELS)
    assert set(standardised.flatten().tolist()) == {2}


def test_a_block_comes_when_its_lookahead_is_there(babble: Samples) -> None:
    stream = AudioFeatureStream(SpeechEncoder(), BLOCK, live=True)
    span = MODEL_TIMELINE.frame_start(BLOCK)
    stream.push(babble[: span + stream.lookahead])
    block = stream.read_block(0)
    assert block is not None
    assert block.shape == (1, FEATURE_CHANNELS, BLOCK)
    assert stream.read_block(1) is None
    picture_steps = encode_whole(babble[: span + stream.lookahead])[:: 50 // int(MODEL_FPS)][:BLOCK]
    np.testing.assert_array_equal(block[0].T.numpy(), picture_steps)


def test_memory_does_not_grow_with_the_sound(babble: Samples) -> None:
    stream = SpeechStepStream(SpeechEncoder())
    for _ in range(3):
        stream.push(babble)
    assert len(stream._rows) < 10


def test_after_an_interruption_the_sound_starts_anew(babble: Samples) -> None:
    stream = SpeechStepStream(SpeechEncoder())
    stream.push(babble[:9_000])
    stream.restart()
    steps = torch.cat([*stream.push(babble), *stream.flush()], dim=1)
    np.testing.assert_array_equal(steps[0].numpy(), encode_whole(babble))


@pytest.mark.parametrize("samples", [0, 100, 319])
def test_less_than_a_step_gives_none(samples: int) -> None:
    stream = SpeechStepStream(SpeechEncoder())
    assert stream.push(np.zeros(samples, np.float32)) == []
    assert stream.flush() == []
