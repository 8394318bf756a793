"""Where somebody speaks in a recording: stretches that a recogniser can read one by one."""

import numpy as np

from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.frames import Samples
from liveavatar.timeline import SAMPLE_RATE

MAX_STRETCH_SAMPLES = 28 * SAMPLE_RATE
"""Whisper hears 30 s at a time."""

_MARGIN_SAMPLES = 4_800  # 0.3 s: soft beginnings and ends, which the detector finds late
_LEAST_WINDOWS = 3
"""Of speech, about 0.1 s; less is a click."""


def find_speech_stretches(samples: Samples) -> list[tuple[int, int]]:
    """First sample and end of stretches with speech, in order, apart, and of at most 28 s.

    They are as long as fits, and end in the pauses between voices; a voice without a pause is cut where it is softest.
    """
    detector = VoiceActivityDetector()
    probabilities = np.concatenate([detector.push(samples), detector.flush()])
    stretches: list[tuple[int, int]] = []
    for start, end in _find_voices(probabilities, len(samples)):
        if stretches and end - stretches[-1][0] <= MAX_STRETCH_SAMPLES:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches += _cut_voice(start, end, probabilities)
    return stretches


def _find_voices(probabilities: Samples, sample_count: int) -> list[tuple[int, int]]:
    """Samples of each run of speech with its margins; runs whose margins touch are one."""
    edges = np.flatnonzero(np.diff(np.pad(probabilities > SPEECH_THRESHOLD, 1).astype(np.int8)))
    voices: list[tuple[int, int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if last - first < _LEAST_WINDOWS:
            continue
        start = max(0, first * VAD_WINDOW_SAMPLES - _MARGIN_SAMPLES)
        end = min(sample_count, last * VAD_WINDOW_SAMPLES + _MARGIN_SAMPLES)
        if voices and start <= voices[-1][1]:
            voices[-1] = (voices[-1][0], end)
        else:
            voices.append((start, end))
    return voices


def _cut_voice(start: int, end: int, probabilities: Samples) -> list[tuple[int, int]]:
    """One run of speech in pieces of at most 28 s, cut in the last third where speech is least probable."""
    pieces = []
    while end - start > MAX_STRETCH_SAMPLES:
        low = (start + MAX_STRETCH_SAMPLES * 2 // 3) // VAD_WINDOW_SAMPLES
        high = (start + MAX_STRETCH_SAMPLES) // VAD_WINDOW_SAMPLES
        cut = (low + int(np.argmin(probabilities[low:high]))) * VAD_WINDOW_SAMPLES
        pieces.append((start, cut))
        start = cut
    return [*pieces, (start, end)]
