from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import Wav2Vec2Config

from drawn import draw_into
from liveavatar.dit.codecs.audio_encoder import AudioEncoder, SpeechLevel, build_audio_network
from liveavatar.dit.codecs.clock import WAV2VEC2_CLOCK
from liveavatar.dit.streaming.audio_encoder_stream import INITIAL_LEVEL, EncoderWindow, StreamingAudioEncoder
from liveavatar.errors import OptionError, SessionClosed
from liveavatar.frames import Samples

SIZES: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
    "conv_dim": [8] * 7, "conv_bias": True, "feat_extract_norm": "layer", "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> AudioEncoder:
    network = build_audio_network(Wav2Vec2Config(**SIZES))
    draw_into(network, 4)
    return AudioEncoder(network)


def speech(samples: int, seed: int = 0) -> Samples:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples, np.float32)


def encode_pieces(stream: StreamingAudioEncoder, pieces: list[Samples]) -> Tensor:
    hops = [hop for piece in pieces for hop in stream.push(piece)] + stream.flush()
    return torch.cat(hops, dim=1)


@given(
    cuts=st.lists(st.integers(0, 8_000), max_size=5),
    window=st.sampled_from([(8, 3, 2), (0, 5, 0), (30, 24, 10)]),
)
@settings(max_examples=8, deadline=None)
def test_cuts_between_pushes_have_no_effect(
    encoder: AudioEncoder, cuts: list[int], window: tuple[int, int, int]
) -> None:
    wave, sizes = speech(8_000), dict(zip(("left", "hop", "ahead"), window, strict=True))
    at_once = encode_pieces(StreamingAudioEncoder(encoder, EncoderWindow(**sizes)), [wave])
    in_pieces = encode_pieces(
        StreamingAudioEncoder(encoder, EncoderWindow(**sizes)), np.split(wave, sorted(cuts))
    )
    assert at_once.shape == (3, WAV2VEC2_CLOCK.steps_within(8_000), 16)
    assert torch.equal(at_once, in_pieces)


def test_a_window_over_everything_equals_the_whole_recording(encoder: AudioEncoder) -> None:
    wave = speech(9000)
    plain = AudioEncoder(encoder.network, needs_normalisation=False)
    stream = StreamingAudioEncoder(plain, EncoderWindow(left=100, hop=4, ahead=100))
    torch.testing.assert_close(encode_pieces(stream, [wave]), plain(wave), rtol=0, atol=1e-5)


def test_later_sound_never_changes_emitted_steps(encoder: AudioEncoder) -> None:
    wave = speech(8_000)
    window = EncoderWindow(left=10, hop=4, ahead=2)
    needed = WAV2VEC2_CLOCK.samples_needed(8 + window.ahead)
    first = StreamingAudioEncoder(encoder, window).push(wave[:needed])
    other = wave.copy()
    other[needed:] = 0
    assert len(first) == 2
    for hop, again in zip(first, StreamingAudioEncoder(encoder, window).push(other), strict=False):
        assert torch.equal(hop, again)


@pytest.mark.parametrize("ahead", [0, 2, 7])
def test_a_hop_comes_exactly_with_its_lookahead(encoder: AudioEncoder, ahead: int) -> None:
    window = EncoderWindow(left=10, hop=4, ahead=ahead)
    stream = StreamingAudioEncoder(encoder, window)
    needed = WAV2VEC2_CLOCK.samples_needed(4) + window.lookahead
    assert stream.push(speech(needed - 1)) == []
    assert len(stream.push(speech(1))) == 1


def test_memory_does_not_grow_with_the_sound(encoder: AudioEncoder) -> None:
    stream = StreamingAudioEncoder(encoder, EncoderWindow(left=5, hop=2, ahead=1))
    lengths = set()
    for second in range(6):
        stream.push(speech(16_000, seed=second))
        lengths.add(len(stream._sound))
    assert max(lengths) < WAV2VEC2_CLOCK.samples_needed(5 + 2 + 1 + 2)


def test_the_level_follows_the_sound(encoder: AudioEncoder) -> None:
    wave = 0.3 + speech(64_000)
    stream = StreamingAudioEncoder(encoder)
    stream.push(wave)
    assert stream._level.mean == pytest.approx(
        0.3 * stream._measured_samples / stream._level.sample_count, rel=0.01
    )
    assert stream._level.sample_count == INITIAL_LEVEL.sample_count + stream._measured_samples


def test_noise_before_the_first_word_is_not_amplified(encoder: AudioEncoder) -> None:
    hum = 1e-2 * speech(8000)
    alone = SpeechLevel.from_samples(hum).normalise_samples(hum)
    normalised = INITIAL_LEVEL.with_samples(hum).normalise_samples(hum)
    assert alone.std() > 0.9
    assert normalised.std() < 0.03


@given(st.lists(st.integers(1, 500), min_size=1, max_size=6))
def test_a_level_of_pieces_is_that_of_the_whole(lengths: list[int]) -> None:
    wave = speech(sum(lengths)) + np.float32(0.2)
    joined = SpeechLevel(0.0, 0.0, 0)
    for piece in np.split(wave, np.cumsum(lengths)[:-1]):
        joined = joined.with_samples(piece)
    whole = SpeechLevel.from_samples(wave)
    assert joined.sample_count == whole.sample_count
    assert joined.mean == pytest.approx(whole.mean, abs=1e-6)
    assert joined.mean_square == pytest.approx(whole.mean_square, abs=1e-6)


def test_after_a_restart_only_the_level_remains(encoder: AudioEncoder) -> None:
    stream = StreamingAudioEncoder(encoder, EncoderWindow(left=5, hop=2, ahead=1))
    encode_pieces(stream, [speech(8000)])
    level = stream._level
    stream.restart()
    assert stream._level == level
    assert encode_pieces(stream, [speech(8000)]).shape[1] == WAV2VEC2_CLOCK.steps_within(8000)


def test_push_after_flush_is_refused(encoder: AudioEncoder) -> None:
    stream = StreamingAudioEncoder(encoder)
    stream.push(speech(399))
    assert stream.flush() == []
    assert stream.flush() == []
    with pytest.raises(SessionClosed, match="restart"):
        stream.push(speech(1))


@pytest.mark.parametrize("sizes", [{"left": -1}, {"hop": 0}, {"ahead": -1}])
def test_windows_that_cannot_slide_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="no window"):
        EncoderWindow(**sizes)
