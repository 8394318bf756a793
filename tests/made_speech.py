"""Sound like speech, and a comparison of tracks, for tests of every articulation model."""

from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar.speech import SpeechTrack
from liveavatar.speech.voice_gate import VoiceGate

RATE = 16_000


def voice(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Something like speech: pulses at a gliding pitch through a wandering filter, with hiss and pauses."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 1.3 * time)) / RATE
    buzz = sum(np.sin(n * phase) / n for n in range(1, 20)) * (np.sin(2 * np.pi * 3 * time) > -0.3)
    hiss = random.normal(0, 0.3, len(time)) * (np.sin(2 * np.pi * 2.1 * time) > 0.8)
    return np.asarray(0.1 * (buzz + hiss) * (np.sin(2 * np.pi * 0.4 * time) > -0.7), np.float32)


def assert_same(one: SpeechTrack, other: SpeechTrack) -> None:
    for field in fields(SpeechTrack):
        np.testing.assert_array_equal(
            getattr(one, field.name), getattr(other, field.name), err_msg=field.name
        )


def open_voice_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the mouth move to any sound, as if all of it were a voice."""
    monkeypatch.setattr(
        VoiceGate, "track_opening", lambda _, __, levels, ___: np.ones(len(levels), np.float32)
    )
