"""The parts of recognition that need no model, and the fetched models on speech that comes with the package."""

import itertools
from importlib.resources import as_file, files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.audio.front_end import read_speech
from liveavatar.ears import EndOfTurn, transcribe
from liveavatar.ears.recogniser import find_token_starts, split_at_sentences
from liveavatar.ears.stretches import MAX_STRETCH_SAMPLES, find_speech_stretches
from liveavatar.ears.vocabulary import Vocabulary, load_vocabulary
from liveavatar.errors import OptionError
from liveavatar.frames import Samples


def read_demo(language: str) -> Samples:
    with as_file(files("liveavatar") / "assets" / f"demo_{language}.ogg") as path:
        return np.concatenate(list(read_speech(path)[1]))


def test_sentences_end_at_stops_but_not_inside_numbers_and_titles() -> None:
    pieces = [
        b"Hi",
        b".",
        b" Dr",
        b".",
        b" X",
        b" paid",
        b" 9",
        b".",
        b"99",
        b"!",
        " 好".encode(),
        "。".encode(),
    ]
    assert split_at_sentences(pieces) == [(0, 2), (2, 10), (10, 12)]
    assert split_at_sentences([b"no", b" stop"]) == [(0, 2)]


def test_tokens_without_a_step_of_their_own_lie_between_their_neighbours() -> None:
    assert find_token_starts([(0, 0), (0, 1), (2, 50), (3, 60)], 4, 10.0) == pytest.approx(
        [10, 10.5, 11, 11.2]
    )


@given(st.text("abc你好 ", max_size=20))
def test_a_text_survives_its_tokens(text: str) -> None:
    pieces = (*tuple(bytes([value]) for value in range(256)), b"ab", "你".encode(), " 好".encode(), b"")
    vocabulary = Vocabulary(pieces, {})
    assert vocabulary.decode_text(vocabulary.encode_text(text)) == text


def test_stretches_hold_the_speech_and_leave_out_the_silence(babble: Samples) -> None:
    silence = np.zeros(48_000, np.float32)
    sound = np.concatenate([silence, babble, silence, silence, babble, silence])
    ((start, end),) = find_speech_stretches(sound)
    assert 38_000 < start < 52_000
    assert len(sound) - 62_000 < end < len(sound) - 38_000
    assert find_speech_stretches(silence) == []


def test_long_speech_is_cut_into_stretches_that_fit(babble: Samples) -> None:
    sound = np.tile(babble[2_000:12_000], 100)
    stretches = find_speech_stretches(sound)
    assert len(stretches) > 1
    assert all(0 < end - start <= MAX_STRETCH_SAMPLES for start, end in stretches)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(stretches))
    assert sum(end - start for start, end in stretches) > 0.9 * len(sound)


@pytest.mark.slow
@pytest.mark.network
def test_both_languages_of_the_demo_are_recognised_in_time() -> None:
    english = transcribe(read_demo("en"))
    assert english[0].text.startswith("Hello, it is lovely to meet you")
    assert english[-1].text.rstrip(".").endswith("right on time")
    mandarin = transcribe(read_demo("zh"), language="zh")
    assert "我只是一张照片" in "".join(segment.text for segment in mandarin)
    for one, other in itertools.pairwise(english):
        assert 0 <= one.start_seconds < one.end_seconds <= other.start_seconds + 0.1
    assert 8 < english[-1].end_seconds < 10.5
    assert transcribe(np.zeros(32_000, np.float32)) == []
    with pytest.raises(OptionError, match="no language 'xx'"):
        transcribe(np.zeros(16, np.float32), language="xx")


@pytest.mark.slow
@pytest.mark.network
def test_the_real_vocabulary_reads_every_letter() -> None:
    vocabulary = load_vocabulary()
    text = "Héllo, 你好！ ß"
    assert vocabulary.decode_text(vocabulary.encode_text(text)) == text
    assert len(vocabulary.pieces) == 51_865


@pytest.mark.slow
@pytest.mark.network
def test_a_sentence_is_complete_and_half_of_one_is_not() -> None:
    speech, silence = read_demo("en"), np.zeros(4_000, np.float32)
    end = int(np.flatnonzero(np.abs(speech) > 0.01)[-1])
    model = EndOfTurn()
    assert model.predict(np.concatenate([speech[: end + 1], silence])) > 0.7
    assert model.predict(np.concatenate([speech[:76_000], silence])) < 0.3
