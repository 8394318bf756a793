"""The mouth is shut while there is sound and no voice, and voices of every kind keep their articulation."""

from functools import cache
from importlib import resources

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.analysis.test_texture import make_applause
from liveavatar.audio.front_end import read_speech
from liveavatar.speech import CONTROLS, VISEMES, SpeechStream, SpeechTrack
from liveavatar.speech.track import STEP_SAMPLES
from liveavatar.speech.voice_gate import HOLD_SAMPLES, MAX_LEAD_SAMPLES
from made_speech import RATE, assert_same, open_voice_gate

Sound = NDArray[np.float32]

JAW, CLOSURE = CONTROLS.index("jaw"), CONTROLS.index("closure")


@cache
def read_demo(language: str) -> Sound:
    asset = resources.files("liveavatar") / "assets" / f"demo_{language}.ogg"
    with resources.as_file(asset) as path:
        return np.concatenate(list(read_speech(path)[1]))


def run_stream(sound: Sound, chunk: int | None = None) -> SpeechTrack:
    stream = SpeechStream()
    chunk = chunk or max(1, len(sound))
    runs = [stream.push(sound[start : start + chunk]) for start in range(0, len(sound), chunk)]
    return SpeechTrack.join_runs([*runs, stream.flush()])


def run_open(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> SpeechTrack:
    """The speech without the gate."""
    with monkeypatch.context() as patch:
        open_voice_gate(patch)
        return run_stream(sound)


def make_tone(hertz: float, harmonics: int, seconds: float = 3.0) -> Sound:
    time = np.arange(round(seconds * RATE)) / RATE
    waves = [np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, harmonics + 1)]
    return np.asarray(0.15 * np.sum(waves, axis=0), np.float32)


def pluck_strings(seconds: float = 4.0) -> Sound:
    """Notes that start every half second and fade."""
    sound = np.zeros(round(seconds * RATE))
    for number, hertz in enumerate((220, 262, 330, 392, 330, 262, 294, 349)):
        start = number * RATE // 2
        time = np.arange(len(sound) - start) / RATE
        waves = np.sum([np.sin(2 * np.pi * hertz * n * time) / n**1.5 for n in range(1, 10)], axis=0)
        sound[start:] += 0.2 * waves * np.exp(-3 * time)
    return np.asarray(sound, np.float32)


INSTRUMENTS = {
    "plucked": pluck_strings(),
    "a tone": make_tone(440, 1),
    "a whistle": make_tone(1000, 1),
    "an organ pipe": make_tone(440, 12),
    "applause": np.asarray(make_applause(3), np.float32),
}


def whisper(sound: Sound) -> Sound:
    """Speech without a voice: the spectrum every 8 ms, smoothed over the harmonics, with phases at random."""
    window, hop = np.hanning(512), 128
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (len(sound) // hop, 257))
    out = np.zeros(len(sound) + 512)
    for row, start in enumerate(range(0, len(sound) - 512, hop)):
        size = np.abs(np.fft.rfft(sound[start : start + 512] * window))
        smooth = np.sqrt(np.convolve(size**2, np.ones(13) / 13, "same"))
        out[start : start + 512] += np.fft.irfft(smooth * np.exp(1j * phases[row])) * window
    return np.asarray(out[: len(sound)] * np.std(sound) / np.std(out), np.float32)


def sing_on_one_note(sound: Sound) -> Sound:
    """Speech whose pauses are filled by an organ pipe under the voice, 12 dB below it."""
    pipe = make_tone(220, 12, len(sound) / RATE + 1)[: len(sound)]
    return np.asarray(sound + pipe * np.std(sound) / np.std(pipe) / 4, np.float32)


VOICES = {
    "whispered": whisper,
    "noisy": lambda sound: np.asarray(
        sound + np.random.default_rng(0).normal(0, np.std(sound) / 3, len(sound)), np.float32
    ),
    "over an organ": sing_on_one_note,
    "quiet": lambda sound: np.asarray(0.1 * sound, np.float32),
}


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_the_mouth_is_shut_before_the_voice(name: str) -> None:
    intro = INSTRUMENTS[name]
    speech = run_stream(np.concatenate([intro, read_demo("en")]))
    before = speech.slice_steps(0, len(intro) // STEP_SAMPLES)
    assert before.controls.max() < 0.05
    assert before.visemes[:, VISEMES.index("sil")].min() > 0.95
    assert before.speaking.max() < 0.05
    after = speech.slice_steps(len(intro) // STEP_SAMPLES, len(speech))
    assert after.controls[:, JAW].max() > 0.45
    assert after.controls[:, CLOSURE].max() > 0.8


def test_the_mouth_would_open_without_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plucked", "a tone", "a whistle", "an organ pipe"):
        assert run_open(INSTRUMENTS[name], monkeypatch).controls[:, JAW].max() > 0.2, name


def test_music_after_speech_shuts_the_mouth_gently() -> None:
    demo = read_demo("en")
    speech = run_stream(np.concatenate([demo, pluck_strings()]))
    late = speech.slice_steps((len(demo) + HOLD_SAMPLES) // STEP_SAMPLES + 12, len(speech))
    assert late.controls.max() < 0.05
    assert np.abs(np.diff(speech.controls[len(demo) // STEP_SAMPLES :, JAW])).max() < 0.25


@pytest.mark.parametrize("language", ["en", "zh"])
def test_speech_alone_is_not_changed_by_a_bit(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = read_demo(language)
    assert_same(run_stream(sound), run_open(sound, monkeypatch))


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_unusual_voices_keep_their_articulation(
    name: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it within the speech, and none of its closures lost."""
    sound = VOICES[name](read_demo(language))  # type: ignore[no-untyped-call]
    gated, free = run_stream(sound), run_open(sound, monkeypatch)
    spoken = slice(45, len(free) - 20)  # the voices start at 0.31 and 0.30 s
    np.testing.assert_array_equal(gated.controls[spoken], free.controls[spoken])
    assert (gated.controls[:, CLOSURE] > 0.5).sum() >= (free.controls[35:, CLOSURE] > 0.5).sum()


@pytest.mark.parametrize("chunk", [37, 640, 1600, 16_000])
def test_chunks_do_not_change_a_bit(chunk: int) -> None:
    sound = np.concatenate([pluck_strings(1.5), read_demo("en")[: 3 * RATE], make_tone(440, 12, 2.0)])
    whole = run_stream(sound)
    assert {0.0, 1.0} <= set(whole.visemes[:, 0].round(2).tolist())
    assert_same(run_stream(sound, chunk), whole)


def test_later_sound_does_not_change_earlier_steps() -> None:
    sound = np.concatenate([pluck_strings(1.5), read_demo("en")[: 2 * RATE]])
    cut = 2 * RATE
    other = sound.copy()
    other[cut:] = 0.0
    certain = (cut - SpeechStream().lookahead) // STEP_SAMPLES
    assert_same(run_stream(sound).slice_steps(0, certain), run_stream(other).slice_steps(0, certain))


def test_the_gate_hears_no_more_than_the_stream() -> None:
    assert SpeechStream().lookahead >= MAX_LEAD_SAMPLES


def test_memory_does_not_grow_with_the_length_of_the_stream() -> None:
    stream, sizes = SpeechStream(), []
    for _ in range(4):
        stream.push(make_tone(440, 3, 1.0))
        sizes.append(len(stream._gate._held_until))
    assert max(sizes) < 10
