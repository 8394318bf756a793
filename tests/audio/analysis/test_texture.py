"""Music, noise and speech are distinguished."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.sounds import noise
from liveavatar.audio.analysis.texture import SoundKind, SoundTexture, SoundTextureMeter
from liveavatar.frames import Samples

RATE = 16_000


def measure_texture(sound: Samples) -> SoundTexture | None:
    meter = SoundTextureMeter()
    meter.push(sound.astype(np.float32))
    return meter.finish()


def make_chords(seconds: int) -> Samples:
    generator, time = np.random.default_rng(0), np.arange(RATE // 2) / RATE
    pieces = []
    for _ in range(2 * seconds):
        notes = generator.choice([220, 247, 262, 294, 330, 392, 440, 523], 3)
        waves = [np.sin(2 * np.pi * note * k * time) / k**1.5 for note in notes for k in range(1, 8)]
        pieces.append(sum(waves) * np.exp(-2 * time) * 0.05)
    return np.concatenate(pieces).astype(np.float32)


def make_applause(seconds: int) -> Samples:
    generator = np.random.default_rng(0)
    sound = np.zeros(seconds * RATE)
    for start in generator.integers(0, len(sound) - 400, 150 * seconds):
        clap = generator.standard_normal(400) * np.exp(-np.arange(400) / 60)
        sound[start : start + 400] += clap * generator.uniform(0.02, 0.2)
    return sound.astype(np.float32)


@pytest.mark.parametrize(
    ("sound", "kind"),
    [(make_chords(6), "music"), (make_applause(6), "noise"), (noise(RATE, 6)[:, 0], "noise")],
)
def test_kinds_of_sound_are_distinguished(sound: Samples, kind: SoundKind) -> None:
    found = measure_texture(sound)
    assert found is not None
    assert found.kind == kind


def test_speech_is_neither_music_nor_noise(speech: Samples) -> None:
    found = measure_texture(speech)
    assert found is not None
    assert found.kind == "other"
    assert 0.5 < found.spectral_similarity < 0.7


def test_silence_has_no_texture() -> None:
    assert measure_texture(np.zeros(RATE, np.float32)) is None
    assert measure_texture(noise(RATE, 0.1)[:, 0]) is None


@pytest.mark.slow
@given(cuts=st.lists(st.integers(0, 20_000), max_size=8))
def test_any_chunking_gives_the_same(speech: Samples, cuts: list[int]) -> None:
    meter = SoundTextureMeter()
    for piece in np.split(speech[:20_000], sorted(cuts)):
        meter.push(piece)
    assert meter.finish() == measure_texture(speech[:20_000])
