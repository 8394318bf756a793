import numpy as np
import pytest
import torch
from torch import Tensor

from liveavatar.dit.checkpoint.random_weights import build_random_encoders
from liveavatar.dit.codecs import frame_features
from liveavatar.dit.codecs.audio_encoder import AudioEncoder
from liveavatar.dit.plan.config import MODEL_FPS, MODEL_TIMELINE
from liveavatar.dit.plan.presets import TINY_PRESET
from liveavatar.dit.streaming.audio_features import STEPS_PER_PICTURE, AudioFeatureStream
from liveavatar.frames import Samples

BLOCK = 12
SAMPLES_PER_PICTURE = MODEL_TIMELINE.frame_start(1)
SPAN = BLOCK * SAMPLES_PER_PICTURE


@pytest.fixture(scope="module")
def encoder() -> AudioEncoder:
    network = build_random_encoders(TINY_PRESET, seed=3).audio.network
    return AudioEncoder(network, needs_normalisation=False)  # so that nothing is carried over an interruption


def speech(samples: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal(samples, np.float32)


def read_block(stream: AudioFeatureStream, number: int) -> Tensor:
    columns = stream.read_block(number)
    assert columns is not None
    return columns


def test_a_picture_has_two_steps() -> None:
    assert SAMPLES_PER_PICTURE == 640
    assert STEPS_PER_PICTURE == 2


def test_within_the_window_features_equal_the_whole_recordings(encoder: AudioEncoder) -> None:
    sound = speech(3 * SPAN)
    stream = AudioFeatureStream(encoder, BLOCK, live=False)
    stream.push(sound)
    stream.flush()
    whole = frame_features.resample_to_pictures(encoder(sound), 0, 3 * BLOCK, MODEL_FPS)
    for number in range(3):
        columns = read_block(stream, number)
        torch.testing.assert_close(
            columns, whole[..., number * BLOCK : (number + 1) * BLOCK], rtol=0, atol=1e-4
        )


def test_a_block_comes_exactly_with_its_lookahead(encoder: AudioEncoder) -> None:
    stream = AudioFeatureStream(encoder, BLOCK, live=True)
    stream.push(speech(SPAN + stream.lookahead - 1))
    assert stream.read_block(0) is None
    stream.push(speech(1))
    assert read_block(stream, 0).shape == (TINY_PRESET.dit.audio_layers, TINY_PRESET.dit.audio_dim, BLOCK)


def test_features_before_an_interruption_stay_and_the_rest_is_new(encoder: AudioEncoder) -> None:
    stream = AudioFeatureStream(encoder, BLOCK, live=True)
    stream.push(speech(3 * SPAN))
    before = read_block(stream, 1)
    picture = BLOCK + 5
    stream.restart_at(picture, picture * SAMPLES_PER_PICTURE)
    assert stream.read_block(1) is None
    stream.push(speech(3 * SPAN, seed=1))
    after = read_block(stream, 1)
    assert torch.equal(after[..., :5], before[..., :5])
    assert not torch.equal(after[..., 5:], before[..., 5:])


def test_after_an_interruption_blocks_come_as_soon_as_before(encoder: AudioEncoder) -> None:
    stream = AudioFeatureStream(encoder, BLOCK, live=True)
    stream.push(speech(3 * SPAN))
    read_block(stream, 0)
    stream.restart_at(5, 5 * SAMPLES_PER_PICTURE)
    stream.push(speech(SPAN - 5 * SAMPLES_PER_PICTURE + stream.lookahead))
    read_block(stream, 0)
    stream.push(speech(SPAN))
    read_block(stream, 1)


def after_restart(encoder: AudioEncoder, shift: int) -> Tensor:
    """Block 1 of a session that was interrupted at its beginning, with one click in the new sound.

    The new sound begins `shift` samples after the block, and the click comes at the same sample of the session.
    """
    stream = AudioFeatureStream(encoder, BLOCK, live=True)
    stream.push(speech(2 * SPAN))
    read_block(stream, 0)
    stream.restart_at(BLOCK, SPAN + shift)
    sound = np.zeros(2 * SPAN, np.float32)
    sound[3 * SAMPLES_PER_PICTURE - shift] = 1
    stream.push(sound)
    return read_block(stream, 1)


@pytest.mark.parametrize("shift", [-100, 100])
def test_sound_that_begins_between_pictures_keeps_its_time(encoder: AudioEncoder, shift: int) -> None:
    assert torch.equal(after_restart(encoder, shift), after_restart(encoder, 0))


def test_memory_does_not_grow(encoder: AudioEncoder) -> None:
    stream = AudioFeatureStream(encoder, BLOCK, live=True)
    for number in range(12):
        stream.push(speech(SPAN))
        if number:
            read_block(stream, number - 1)
        assert stream._states is None or stream._states.shape[1] <= 3 * BLOCK * STEPS_PER_PICTURE
