"""The demo's own sentences, which both models have to get right; their voices are not in the training data."""

import importlib.util
from functools import cache
from importlib.resources import files
from typing import Any

import av
import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from liveavatar.speech import CONTROLS, VISEMES, SpeechStream, SpeechTrack

MODELS: list[Any] = ["small"]
if importlib.util.find_spec("ctranslate2"):
    MODELS.append(pytest.param("whisper", marks=pytest.mark.slow))
BILABIALS = {"en": (1.67, 2.66, 4.19, 5.46, 6.37), "zh": (3.40, 8.40)}
"""Seconds of the clearest /p b m/: meet, am, me, speak, my; 片, 每."""

OPEN_VOWELS = {"en": (0.57, 1.30, 3.60, 5.06, 8.80), "zh": (0.66, 1.70, 3.08, 6.92)}


@cache
def sound(language: str) -> NDArray[np.float32]:
    with av.open(str(files("liveavatar") / "assets" / f"demo_{language}.ogg")) as container:
        frames = [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    return np.asarray(soxr.resample(np.concatenate(frames), rate, 16_000), np.float32)


@cache
def run_model(language: str, model: str = "small") -> SpeechTrack:
    stream = SpeechStream(model)
    return SpeechTrack.join_runs([stream.push(sound(language)), stream.flush()])


def extract_nearby(language: str, control: str, seconds: float, model: str) -> NDArray[np.float32]:
    step = round(seconds * 100)
    return run_model(language, model).controls[step - 6 : step + 7, CONTROLS.index(control)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_recordings_have_a_fixed_level_and_margins(language: str) -> None:
    samples = sound(language)
    loud = np.flatnonzero(np.abs(samples) > 0.01) / 16_000
    assert 9.0 < len(samples) / 16_000 < 10.0
    assert np.abs(samples).max() < 0.95
    assert -24 < 10 * np.log10(np.mean(samples**2)) < -18
    assert loud[0] == pytest.approx(0.3, abs=0.05)
    assert len(samples) / 16_000 - loud[-1] == pytest.approx(0.3, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("language", "seconds"), [(key, at) for key, times in BILABIALS.items() for at in times]
)
def test_lips_close_on_bilabials(language: str, seconds: float, model: str) -> None:
    assert extract_nearby(language, "closure", seconds, model).max() > 0.8


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("language", "seconds"), [(key, at) for key, times in OPEN_VOWELS.items() for at in times]
)
def test_the_jaw_drops_on_open_vowels(language: str, seconds: float, model: str) -> None:
    assert extract_nearby(language, "jaw", seconds, model).max() > 0.45


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_mouth_rests_before_and_after(language: str, model: str) -> None:
    speech = run_model(language, model)
    for rest in (speech.slice_steps(0, 20), speech.slice_steps(len(speech) - 12, len(speech))):
        assert rest.controls.max() < 0.1
        assert rest.visemes[:, VISEMES.index("sil")].min() > 0.8


def test_the_mouth_rests_between_sentences() -> None:
    assert run_model("en").slice_steps(230, 245).controls.max() < 0.1
