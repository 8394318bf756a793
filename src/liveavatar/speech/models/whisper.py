"""The larger articulation model, an extra: the encoder of whisper-tiny.en, and a network of ours that reads its output.

Every HOP_STEPS, CTranslate2 runs the encoder in 8 bits (OpenAI, MIT; A. Radford et al., Robust speech recognition via
large-scale weak supervision, 2022) on the last 4 s and LOOKAHEAD_STEPS beyond. The reader takes its output and our own
features. Windows begin at fixed times, so that the result does not depend on chunks. The reader's weights come from
training/articulation; see assets/README.md.
"""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from liveavatar.audio.spectral.filter_bank import hertz_to_slaney_mel, make_triangles, slaney_mel_to_hertz
from liveavatar.audio.spectral.framing import slice_windows, stack_taps
from liveavatar.audio.spectral.spectrum import compute_power_spectrum
from liveavatar.errors import EngineError
from liveavatar.frames import Samples
from liveavatar.speech.features import MEL_BANDS
from liveavatar.speech.models.articulation import (
    DELAY_STEPS,
    PAIR_STEPS,
    ClosureClassifier,
    Rows,
    SmallArticulationModel,
    logits_to_probabilities,
)
from liveavatar.speech.models.quantised_weights import load_packed_weights
from liveavatar.speech.track import CONTROLS, STEP_SAMPLES, VISEMES
from liveavatar.timeline import SAMPLE_RATE
from liveavatar.weights import ensure_weight_file

HOP_STEPS = 8
"""Steps of input and output at a time."""

LOOKAHEAD_STEPS = 12
"""Steps after the hop that the encoder reads."""

CONTEXT_STEPS = 400
"""Steps before the hop that the encoder reads."""

WINDOW_STEPS = CONTEXT_STEPS + HOP_STEPS + LOOKAHEAD_STEPS
TAPS = 3
DILATIONS = (1, 2, 4, 1)
"""Distance in pairs of steps between the taps of each layer of the reader; the convolutions are centred."""

REACH_PAIRS = 1 + sum(DILATIONS)
"""Pairs before and after that the reader's output depends on."""

SILENCE_TRUST_RANGE = (0.5, 0.9)
"""Probabilities of silence by the small model between which its weight grows from one half to 1. Whisper ignores
loudness and finds words in hiss. Elsewhere both count alike, as their errors differ."""

_FFT_SIZE, _MEL_HOP_SAMPLES, _MEL_BANDS = 400, 160, 80
_POWER_FLOOR = 1e-10
_RANGE_LOG10 = 8.0  # 80 dB under the loudest band
_VOCABULARY_SIZE = 51_864
"""Words of the decoder. It is not used, but CTranslate2 needs a vocabulary of this size."""


def import_ctranslate2(
    remedy: str = "run: pip install 'liveavatar[whisper]', or leave out --speech whisper",
) -> ModuleType:
    """The library CTranslate2; `remedy` says how to get along without it.

    Raises:
        EngineError: it is not installed, or has no build for this machine.
    """
    try:
        return import_module("ctranslate2")
    except (ImportError, OSError) as error:
        raise EngineError("CTranslate2 is not installed", remedy) from error


@cache
def load_whisper_encoder() -> Any:
    """The encoder, shared by all streams.

    Raises:
        EngineError: CTranslate2 is not installed.
        WeightsError: the weights cannot be fetched.
    """
    module = import_ctranslate2()
    files = {
        "model.bin": ensure_weight_file("whisper_tiny_en").read_bytes(),
        "config.json": b"{}",
        "vocabulary.txt": "\n".join(map(str, range(_VOCABULARY_SIZE))).encode(),
    }
    return module.models.Whisper(
        "whisper-tiny.en", device="cpu", compute_type="int8", intra_threads=1, files=files
    )


@cache
def load_whisper_reader() -> dict[str, Rows]:
    """The reader's weights by name, shared by all streams."""
    return load_packed_weights("whisper_reader.safetensors")


def encode_with_whisper(sound: Samples) -> Rows:
    """Sound [samples], a multiple of 320, to 384 numbers every 20 ms, [samples / 320, 384]."""
    mel = np.ascontiguousarray(compute_whisper_mel(sound).T[None])
    encoded = load_whisper_encoder().encode(import_ctranslate2().StorageView.from_array(mel))
    return np.asarray(np.asarray(encoded, np.float32)[0])


def compute_whisper_mel(sound: Samples) -> Rows:
    """Input of the encoder, [samples / 160, 80]: log-mel in Slaney's scale, range 80 dB, Hann windows of 25 ms."""
    padded = np.pad(sound, _FFT_SIZE // 2, mode="reflect")
    windows = slice_windows(padded, _FFT_SIZE, _MEL_HOP_SAMPLES, len(sound) // _MEL_HOP_SAMPLES)
    power = compute_power_spectrum(windows, _make_hann_window(), _FFT_SIZE)
    level = np.log10(np.maximum(power @ _make_mel_filters(), _POWER_FLOOR))
    return np.asarray((np.maximum(level, level.max() - _RANGE_LOG10) + 4.0) / 4.0, np.float32)


@cache
def _make_hann_window() -> Rows:
    """The periodic Hann window, not scaled."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT_SIZE) / _FFT_SIZE), np.float32)


@cache
def _make_mel_filters() -> Rows:
    """Triangles of equal area in Slaney's mel scale, [201, 80]."""
    edges = slaney_mel_to_hertz(np.linspace(0.0, hertz_to_slaney_mel(SAMPLE_RATE / 2), _MEL_BANDS + 2))
    triangles = make_triangles(np.fft.rfftfreq(_FFT_SIZE, 1 / SAMPLE_RATE), edges)
    return np.asarray(triangles * 2.0 / (edges[2:] - edges[:-2]), np.float32)


class WhisperArticulationModel:
    """Visemes and controls of one stream; see `ArticulationModel`."""

    hop_steps = HOP_STEPS
    delay_steps = LOOKAHEAD_STEPS

    def __init__(self) -> None:
        load_whisper_encoder()
        self._small_model = SmallArticulationModel()
        self._closure_classifier = ClosureClassifier()
        columns = len(VISEMES) + len(CONTROLS)
        self._small_history = np.zeros((LOOKAHEAD_STEPS - DELAY_STEPS, columns), np.float32)
        # the first window begins with the first sample: silence before it would be taken for a pause, and cost 2 % of
        # the steps
        self._sound = np.zeros((0, STEP_SAMPLES), np.float32)
        self._relative_mel = np.zeros((0, MEL_BANDS), np.float32)

    def push(self, relative_mel: Rows, sound: Rows) -> tuple[Rows, Rows]:
        """Relative log-mel [n, 48] and sound [n, 160], n a multiple of HOP_STEPS, to visemes [n, 15] and controls
        [n, 6] of the steps LOOKAHEAD_STEPS earlier."""
        hops = (slice(start, start + HOP_STEPS) for start in range(0, len(relative_mel), HOP_STEPS))
        logits = np.concatenate([self._compute_logits(relative_mel[hop], sound[hop]) for hop in hops])
        blended = self._blend_predictions(logits_to_probabilities(logits), relative_mel)
        return self._closure_classifier.refine_controls(blended)

    def _blend_predictions(self, probabilities: Rows, relative_mel: Rows) -> Rows:
        """The mean of both models, or the small model alone where it is sure of silence."""
        known = np.concatenate([self._small_history, self._small_model.predict_probabilities(relative_mel)])
        small, self._small_history = known[: len(relative_mel)], known[len(relative_mel) :]
        low, high = SILENCE_TRUST_RANGE
        share = 0.5 + 0.5 * np.clip((small[:, :1] - low) / (high - low), 0.0, 1.0)
        return np.asarray((1 - share) * probabilities + share * small, np.float32)

    def _compute_logits(self, relative_mel: Rows, sound: Rows) -> Rows:
        """The next HOP_STEPS steps to the logits [HOP_STEPS, 21] of those LOOKAHEAD_STEPS earlier."""
        self._relative_mel = np.concatenate([self._relative_mel, relative_mel])[-WINDOW_STEPS:]
        self._sound = np.concatenate([self._sound, sound])[-WINDOW_STEPS:]
        mel_pairs = self._relative_mel.reshape(-1, PAIR_STEPS * MEL_BANDS)
        pairs = np.concatenate([encode_with_whisper(self._sound.reshape(-1)), mel_pairs], axis=1)
        needed = (HOP_STEPS + LOOKAHEAD_STEPS) // PAIR_STEPS + REACH_PAIRS
        logits = compute_reader_logits(pairs[-needed:])[:-LOOKAHEAD_STEPS][-HOP_STEPS:]
        # zeros for steps before the first one, which `SpeechStream` drops
        return np.pad(logits, ((HOP_STEPS - len(logits), 0), (0, 0)))


def compute_reader_logits(pairs: Rows) -> Rows:
    """Encoder output and log-mel of pairs of steps [rows, 480] to logits of visemes and controls, [2 · rows, 21]."""
    weights = load_whisper_reader()
    x: Rows = (pairs - weights["mean"]) / weights["spread"]
    x = _apply_relu(_convolve_dilated(weights, "first", x, 1))
    for i, dilation in enumerate(DILATIONS):
        y = _apply_relu(_convolve_dilated(weights, f"wide{i}", x, dilation))
        x = x + y @ weights[f"mix{i}.weight"] + weights[f"mix{i}.bias"]
    logits = _apply_relu(x) @ weights["last.weight"] + weights["last.bias"]
    return np.asarray(logits.reshape(PAIR_STEPS * len(pairs), len(VISEMES) + len(CONTROLS)), np.float32)


def _apply_relu(rows: Rows) -> Rows:
    return np.asarray(np.maximum(rows, 0.0), np.float32)


def _convolve_dilated(weights: dict[str, Rows], name: str, rows: Rows, dilation: int) -> Rows:
    padded = np.pad(rows, ((dilation, dilation), (0, 0)))
    taps = stack_taps(padded, TAPS, dilation=dilation).reshape(len(rows), -1)
    return taps @ weights[f"{name}.weight"] + weights[f"{name}.bias"]
