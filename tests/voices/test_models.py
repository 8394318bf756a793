"""The fetched models: what they say is there early, sounds like speech, and is the same each time."""

import numpy as np
import pytest

from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VoiceActivityDetector
from liveavatar.frames import Samples
from liveavatar.voices import SpokenClause, open_voice

pytestmark = [pytest.mark.network, pytest.mark.slow]


def measure_speech_seconds(clauses: list[SpokenClause]) -> float:
    sound: Samples = np.concatenate([clause.samples for clause in clauses])
    heard = VoiceActivityDetector().push(Resampler(clauses[0].rate).resample_chunk(sound, last=True))
    return 0.032 * float((heard > SPEECH_THRESHOLD).sum())


@pytest.mark.parametrize(
    ("name", "text", "least", "most"),
    [
        ("hibari", "On March 5, 2024, Dr. Smith paid $9.99. Thank you!", 3.0, 7.0),
        ("zf_xiaobei", "我们用AI。", 0.7, 2.5),
    ],
)
def test_a_voice_speaks_and_repeats_itself_exactly(name: str, text: str, least: float, most: float) -> None:
    clauses, again = list(open_voice(name).speak(text)), list(open_voice(name).speak(text))
    assert least < measure_speech_seconds(clauses) < most
    for one, other in zip(clauses, again, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
    assert 0.05 < max(np.abs(clause.samples).max() for clause in clauses) < 1
