"""How often the time of healthy speech is changed because it is fast, slow, high or low, and what is detected beside.

    apt install espeak-ng rubberband-cli      (and the packages of test voices: training/rate/README.md)
    pip install pyworld
    python -m training.rate.sources VOICES --corpus CORPUS --splits test
    python -m training.rate.more_sources VOICES --unpacked SDISTS --splits test
    python -m benchmarks.audio.healthy_rates VOICES [--jobs 2]

The voices are not in the training data of the network (training/rate). They are made 0.7 to 1.8 times as fast and up
to five semitones higher or lower. Where formants follow the pitch, the sound is resampled and its windows are measured
once, 4 ms apart; a tempo takes those that lie where its steps begin. That is speech stretched without the artefacts of
a stretcher. Rubber Band stretches where formants stay or move alone; WORLD makes voices sing. Each recording is judged
at every rate in use, as one that declares it, from 4 and from 8 s: the network runs once, since it does not know the
declared rate. For detection, the same voices at their own pace are taken at one rate and declared as another. Writes
`benchmarks/results/MACHINE/audio/healthy_rates.md`.
"""

import argparse
import itertools
import math
import pickle
import subprocess
import tempfile
import wave
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyworld  # type: ignore[import-not-found, import-untyped, unused-ignore]
import soxr  # type: ignore[import-untyped, unused-ignore]
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray
from training.rate.sources import load_voices, read_recording

import liveavatar
from liveavatar.audio.analysis.rate_evidence import MAX_SPEECH_SPEED, is_beyond_speech_speeds
from liveavatar.audio.analysis.rules import MIN_RATE_CONFIDENCE
from liveavatar.audio.analysis.sample_rate import (
    MIN_SEGMENT_SAMPLES,
    RateGuess,
    choose_rate,
    embed_rate_features,
    predict_speed_probabilities,
)
from liveavatar.audio.analysis.sample_rate_features import (
    PERIODICITY_WINDOW,
    SEGMENT_SAMPLES,
    STEP_COUNT,
    STEP_SAMPLES,
    StepFeatures,
    extract_rate_features,
    measure_windows,
    scale_steps,
)
from liveavatar.audio.dsp.vad import SPEECH_THRESHOLD, VAD_WINDOW_SAMPLES, VoiceActivityDetector
from liveavatar.audio.spectral.framing import slice_windows
from liveavatar.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]
SpeedProbabilities = tuple[NDArray[np.float32], int]
"""The probabilities of speed [81] and the number of segments."""

RATE = 24_000
"""In Hz, at which voices are varied."""

HEARD_SECONDS = 2 * SEGMENT_SAMPLES / SAMPLE_RATE
"""Of every variant: 8.1 s. A passage is as much longer as its variant is faster."""

PASSAGE_SECONDS = 2.5 * HEARD_SECONDS
"""Of each voice: enough for a voice 1.8 times as fast that is five semitones higher."""

MIN_PASSAGE_SECONDS = 6.0
"""A shorter one is left out."""

DECLARED_RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
PAIRS = ((16_000, 44_100), (44_100, 16_000), (16_000, 48_000), (48_000, 16_000), (8_000, 16_000), (16_000, 8_000),
         (22_050, 44_100), (44_100, 22_050), (24_000, 48_000), (48_000, 24_000), (16_000, 22_050), (22_050, 16_000),
         (16_000, 24_000), (24_000, 16_000), (24_000, 44_100), (44_100, 24_000))  # fmt: skip
"""Declared and true rates for the detection."""

MIN_SPEECH_SHARE = 0.3
"""Of the first 4 s of a passage."""

GRID_SAMPLES = 64
"""At 16 kHz, between the windows that are measured: 4 ms. A step of the network is 20 ms."""

TEMPOS = tuple(round(0.7 + 0.05 * number, 2) for number in range(23))
SEMITONES = (-5, -3, 0, 3, 5)
KEPT_FORMANTS = ((0.7, -5), (1.3, 5), (1.8, 0), (1.8, 5))
FORMANT_TEMPOS = (0.7, 1.2, 1.8)
FORMANT_SEMITONES = (-3, 3)
"""A vocal tract 19 % longer or shorter: a tall man, a child."""

SONGS = ((0.7, -5), (0.9, 0), (1.3, 5))
"""Tempos and semitones."""

LANGUAGES = (
    "en-us",
    "en-gb-scotland",
    "en-029",
    "de",
    "fr-fr",
    "es",
    "it",
    "sv",
    "pl",
    "tr",
    "hi",
    "cmn",
    "ja",
)
UNSEEN_VARIANTS = ("Adam", "Annie", "Antonio", "Belinda", "Benjamin", "Boris", "David", "Denis", "Ed", "Jacky", "John",
                   "Lee", "Marcelo", "Mario", "Max", "Miguel", "Paul", "Rob", "anika", "norbert", "shelby")  # fmt: skip
"""Of espeak-ng; training/articulation has the others. Every language reads the English text too: an accent."""

TEXT = (
    "The train to the coast leaves at a quarter past nine, so we should meet by the big clock. My brother brings "
    "the bread and the apples, and you could buy some milk on the way. If it rains, we will walk through the old town."
)

WORST_KINDS = 6
"""Speeds and pitches in the table of what is doubted most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechVariant:
    """A passage of a voice at 16 kHz, and what was done to it."""

    kind: str
    tempo: float
    semitones: float
    sound: Sound


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedPrediction:
    """The probabilities of speed from 4 and from 8 s of a variant, or of a wrong rate, whose `kind` is ""."""

    kind: str = ""
    tempo: float = 1.0
    semitones: float = 0.0
    declared: int = RATE
    true: int = RATE
    speeds: list[SpeedProbabilities]


@dataclass(slots=True)
class RateTally:
    """Recordings, and how many had their rate doubted, or time changed, at any declared rate and duration."""

    recordings: int = 0
    judgements: int = 0
    doubted: int = 0
    changed: int = 0
    changed_before: int = 0

    def add_guesses(self, guesses: list[RateGuess]) -> None:
        """Count all judgements of one recording. `changed_before` is without `MAX_SPEECH_SPEED`."""
        certain = [guess for guess in guesses if guess.is_sure and guess.confidence >= MIN_RATE_CONFIDENCE]
        self.recordings += 1
        self.judgements += len(guesses)
        self.doubted += any(guess.likely_rate != guess.declared_rate for guess in guesses)
        self.changed_before += bool(certain)
        self.changed += any(is_beyond_speech_speeds(guess) for guess in certain)

    def add_tally(self, other: "RateTally") -> None:
        """Add the counts of others."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def make_tallies() -> defaultdict[Any, RateTally]:
    """Tallies by any key."""
    return defaultdict(RateTally)


@dataclass(slots=True)
class VoiceTallies:
    """All tallies of one voice: of healthy speech by kind, and by tempo and pitch; of wrong rates by their pair."""

    healthy: dict[str, RateTally] = field(default_factory=make_tallies)
    by_speed: dict[tuple[float, float], RateTally] = field(default_factory=make_tallies)
    wrong: dict[tuple[int, int], RateTally] = field(default_factory=make_tallies)


def speak_espeak(language: str, variant: str) -> Sound:
    """The text by espeak-ng, float32 at `RATE`."""
    command = ["espeak-ng", "-v", f"{language}+{variant}", "--stdout", TEXT]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return resample_sound(
        np.frombuffer(data[44:], np.int16).astype(np.float32) / np.float32(32768), 22_050, RATE
    )


def resample_sound(sound: Sound, before: float, after: float) -> Sound:
    """Sound at another rate."""
    return np.asarray(soxr.resample(sound, before, after, "HQ"), np.float32)


def collect_voices(folder: Path) -> Iterator[tuple[str, str, Sound]]:
    """Name, kind and sound at `RATE` of all voices: those of training/rate that are for tests, the demo, accents."""
    for voice in load_voices(folder, "test"):
        yield voice.name, voice.kind, resample_sound(np.concatenate(voice.clips), voice.rate, RATE)
    for path in sorted((Path(liveavatar.__file__).parent / "assets").glob("demo_*.ogg")):
        yield path.stem, "neural", resample_sound(*read_recording(path), RATE)
    for number, variant in enumerate(UNSEEN_VARIANTS):
        language = LANGUAGES[number % len(LANGUAGES)]
        yield f"espeak:{language}+{variant}", "formant", speak_espeak(language, variant)


def to_pcm(sound: Sound) -> bytes:
    """16-bit samples."""
    return np.round(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()


def shift_pitch_alone(sound: Sound, tempo: float, semitones: float) -> Sound:
    """Another tempo and pitch with formants that stay, by Rubber Band."""
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "in.wav", Path(folder) / "out.wav"
        with wave.open(str(source), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(to_pcm(sound))
        command = ["rubberband", "-q", "-F", "-T", str(tempo), "-p", str(semitones), str(source), str(result)]
        subprocess.run(command, check=True, capture_output=True)
        return read_recording(result)[0].astype(np.float32)


def sing_passage(sound: Sound) -> Iterator[SpeechVariant]:
    """Speech with the pitch of notes, held for half a second each, with vibrato, by WORLD."""
    samples = sound.astype(np.float64)
    pitch, times = pyworld.dio(samples, RATE, frame_period=10.0)
    if not (pitch > 0).any():
        return
    envelope = pyworld.cheaptrick(samples, pitch, times, RATE)
    breath = pyworld.d4c(samples, pitch, times, RATE)
    steps = np.arange(len(pitch))
    melody = np.array([0, 2, 4, 7, 9, 12, 7, 4])[(steps // 50) % 8] + 0.3 * np.sin(0.11 * np.pi * steps)
    tonic = float(np.median(pitch[pitch > 0])) * 2 ** (-4 / 12)
    for tempo, semitones in SONGS:
        sung = np.where(pitch > 0, tonic * 2 ** ((melody + semitones) / 12), 0.0)
        out = pyworld.synthesize(sung, envelope, breath, RATE, frame_period=10.0 / tempo)
        song = np.asarray(0.9 * out / (np.abs(out).max() + 1e-9), np.float32)
        yield SpeechVariant(kind="sung", tempo=tempo, semitones=semitones, sound=song)


def vary_passage(sound: Sound, random: np.random.Generator) -> Iterator[SpeechVariant]:
    """The variants of a passage that need a synthesiser."""

    def cut(tempo: float) -> Sound:
        return sound[: math.ceil(tempo * HEARD_SECONDS * RATE) + RATE // 10]

    for tempo, semitones in KEPT_FORMANTS:
        changed = shift_pitch_alone(cut(tempo), tempo, semitones)
        yield SpeechVariant(kind="pitch, formants kept", tempo=tempo, semitones=semitones, sound=changed)
    for shift in FORMANT_SEMITONES:
        tempo, ratio = float(random.choice(FORMANT_TEMPOS)), 2 ** (shift / 12)
        faster = resample_sound(cut(tempo), RATE, RATE / ratio)
        changed = shift_pitch_alone(faster, tempo / ratio, -shift)
        yield SpeechVariant(kind="formants alone", tempo=tempo, semitones=0, sound=changed)
    yield from sing_passage(cut(1.0))


def predict_grid(sound: Sound) -> Iterator[SpeedPrediction]:
    """The predictions of all tempos and pitches whose formants follow, from windows that are measured once a pitch."""
    for semitones in SEMITONES:
        shifted = resample_sound(sound, RATE * 2 ** (semitones / 12), SAMPLE_RATE)
        measured = measure_windows(slice_windows(shifted, PERIODICITY_WINDOW, GRID_SAMPLES))
        for tempo in TEMPOS:
            step = tempo * 2 ** (-semitones / 12) * STEP_SAMPLES / GRID_SAMPLES
            places = np.round(np.arange(2 * STEP_COUNT) * step).astype(int)
            steps = measured[places[places < len(measured)]]
            segments = [
                scale_steps(part) for part in (steps[:STEP_COUNT], steps[STEP_COUNT:]) if len(part) > 50
            ]
            speeds = embed_segments(segments)
            yield SpeedPrediction(kind="pitch and formants", tempo=tempo, semitones=semitones, speeds=speeds)


def predict_speeds(sound: Sound) -> list[SpeedProbabilities]:
    """Probabilities of speed from the first 4 s and the first 8 s of sound at 16 kHz, and the number of segments."""
    parts = [sound[start : start + SEGMENT_SAMPLES] for start in (0, SEGMENT_SAMPLES)]
    return embed_segments([extract_rate_features(part) for part in parts if len(part) > MIN_SEGMENT_SAMPLES])


def embed_segments(segments: list[StepFeatures | None]) -> list[SpeedProbabilities]:
    """Probabilities of speed from the first segment, and from both; silent ones are None."""
    embeddings = [embed_rate_features(features) for features in segments if features is not None]
    return [
        (predict_speed_probabilities(np.mean(embeddings[:count], axis=0), count), count)
        for count in range(1, len(embeddings) + 1)
    ]


def cut_passage(sound: Sound) -> Sound:
    """A passage as loud as speech of -20 dB, from the first half second on that begins 4 s with enough speech.

    `rules` does not doubt the rate where there is less.
    """
    plain = resample_sound(sound[: 2 * int(PASSAGE_SECONDS * RATE)], RATE, SAMPLE_RATE)
    is_speech = VoiceActivityDetector().push(plain) > SPEECH_THRESHOLD
    size, step = (round(seconds * SAMPLE_RATE / VAD_WINDOW_SAMPLES) for seconds in (4.0, 0.5))
    starts = range(0, max(1, len(is_speech) - size), step)
    spoken = [start for start in starts if is_speech[start : start + size].mean() >= MIN_SPEECH_SHARE]
    first = (spoken or [0])[0] * VAD_WINDOW_SAMPLES * RATE // SAMPLE_RATE
    passage = sound[first : first + int(PASSAGE_SECONDS * RATE)]
    return np.asarray(np.clip(passage * 0.1 / np.sqrt(np.square(passage).mean()), -1, 1), np.float32)


def predict_voice(name: str, sound: Sound) -> list[SpeedPrediction]:
    """The probabilities of speed of all variants, and of all wrong rates, of one voice."""
    passage = cut_passage(sound)
    predictions = list(predict_grid(passage))
    for variant in vary_passage(passage, np.random.default_rng([0, *name.encode()])):
        speeds = predict_speeds(resample_sound(variant.sound, RATE, SAMPLE_RATE))
        predictions.append(
            SpeedPrediction(
                kind=variant.kind, tempo=variant.tempo, semitones=variant.semitones, speeds=speeds
            )
        )
    for declared, true in PAIRS:
        played = resample_sound(resample_sound(passage, RATE, true), declared, SAMPLE_RATE)
        predictions.append(SpeedPrediction(declared=declared, true=true, speeds=predict_speeds(played)))
    return predictions


def load_predictions(cache: Path, name: str, sound: Sound) -> list[SpeedPrediction]:
    """The predictions of a voice, made once and stored in `cache` for later runs."""
    path = cache / f"{name.replace(':', '_')}.pkl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(predict_voice(name, sound)))
    predictions: list[SpeedPrediction] = pickle.loads(path.read_bytes())  # noqa: S301  (written by the line above)
    return predictions


def judge_voice(predictions: list[SpeedPrediction]) -> VoiceTallies:
    """What is decided on every variant, and on every wrong rate."""
    tallies = VoiceTallies()
    for p in predictions:
        if p.kind:
            guesses = [
                choose_rate(speed, rate, count) for speed, count in p.speeds for rate in DECLARED_RATES
            ]
            tallies.healthy[p.kind].add_guesses(guesses)
            tallies.by_speed[p.tempo, p.semitones].add_guesses(guesses)
        else:
            for speed, count in p.speeds:
                tallies.wrong[p.declared, p.true].add_guesses([choose_rate(speed, p.declared, count)])
    return tallies


def sum_tallies(tallies: Iterable[RateTally]) -> RateTally:
    """All counts together."""
    total = RateTally()
    for tally in tallies:
        total.add_tally(tally)
    return total


def bound_share(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a share by C. Clopper and E. Pearson (1934), by bisection of the binomial distribution."""

    def find_share(limit: int, target: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if binomial_below(limit, total, middle) > target else (low, middle)
        return low

    tail = (1 - confidence) / 2
    return find_share(count - 1, 1 - tail) if count else 0.0, find_share(count, tail)


def binomial_below(count: int, total: int, share: float) -> float:
    """The probability of at most `count` of `total`."""
    if not 0 < share < 1:
        return float(share <= 0 or count >= total)
    ways = (
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) for k in range(count + 1)
    )
    log, other = math.log(share), math.log1p(-share)
    return sum(math.exp(way + k * log + (total - k) * other) for k, way in enumerate(ways))


def format_tally(name: str, tally: RateTally) -> str:
    """A row of healthy speech."""
    low, high = bound_share(tally.changed, tally.recordings)
    return (
        f"| {name} | {tally.recordings} | {tally.doubted / tally.recordings:.1%} | {tally.changed} "
        f"| {low:.3%}…{high:.3%} | {tally.changed_before} ({tally.changed_before / tally.recordings:.1%}) |"
    )


def format_healthy_rates(voices: dict[str, VoiceTallies], kinds: Counter[str]) -> str:
    """All tables."""
    tallies = list(voices.values())
    total = sum_tallies(t for voice in tallies for t in voice.healthy.values())
    changed = sorted(n for n, voice in voices.items() if any(t.changed for t in voice.healthy.values()))
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    lines = [
        "# Healthy speech whose sample rate is doubted", "",
        f"Made by `benchmarks/audio/healthy_rates.py` on a {describe_machine()}.", "",
        f"{len(voices)} voices that are not in the training data ({counts}), {TEMPOS[0]} to {TEMPOS[-1]} times as "
        f"fast, up to five semitones higher and lower: {total.recordings} recordings. Each is judged from 4 and from "
        f"8 s at {len(DECLARED_RATES)} declared rates, {total.judgements} judgements. A recording counts as doubted or "
        "changed if it is in any of them. Time is changed on a guess alone if the guessed rate is more than "
        f"{MAX_SPEECH_SPEED} times the declared one, or less than its {MAX_SPEECH_SPEED}th; the last column is "
        "without that limit. Intervals are those of Clopper and Pearson, 95 %, as if recordings were independent.", "",
        "| varied | recordings | doubted, said | time changed | interval | without the limit |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for kind in tallies[0].healthy:
        lines.append(format_tally(kind, sum_tallies(v.healthy[kind] for v in tallies)))
    lines.append(format_tally("all", total))
    low, high = bound_share(len(changed), len(voices))
    lines += [
        "",
        f"Voices with a recording whose time was changed: {len(changed)} of {len(voices)} ({low:.1%}…{high:.1%})"
        + (f": {', '.join(changed)}." if changed else "."),
        "", "## What is doubted most", "",
        "| tempo | semitones | recordings | doubted | without the limit |", "|---|---|---|---|---|",
    ]  # fmt: skip
    speeds = {key: sum_tallies(v.by_speed[key] for v in tallies) for key in tallies[0].by_speed}
    worst = sorted(speeds.items(), key=lambda item: -item[1].changed_before / item[1].recordings)
    for (tempo, semitones), tally in worst[:WORST_KINDS]:
        lines.append(
            f"| {tempo} | {semitones:+g} | {tally.recordings} | {tally.doubted / tally.recordings:.0%} "
            f"| {tally.changed_before / tally.recordings:.0%} |"
        )
    return "\n".join([*lines, *format_wrong_rates(tallies)]) + "\n"


def format_wrong_rates(tallies: list[VoiceTallies]) -> list[str]:
    """The table of detection."""
    lines = [
        "", "## Wrong rates", "",
        "The same voices at their own pace, taken at one rate and declared as another, from 4 and from 8 s.", "",
        "| declared | true | ratio | judged | said | mended without asking |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for declared, true in PAIRS:
        tally = sum_tallies(v.wrong[declared, true] for v in tallies)
        lines.append(
            f"| {declared} | {true} | {true / declared:.2f} | {tally.judgements} "
            f"| {tally.doubted / tally.recordings:.0%} | {tally.changed / tally.recordings:.0%} |"
        )
    return lines


def main() -> None:
    """Measure all voices."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("voices", type=Path, help="folder written by training.rate.sources")
    parser.add_argument("--jobs", type=int, default=1, help="voices at a time")
    parser.add_argument("-o", "--output", type=Path, default=results_path(__file__))
    options = parser.parse_args()
    voices, kinds = {}, Counter[str]()
    collected = [c for c in collect_voices(options.voices) if len(c[2]) >= MIN_PASSAGE_SECONDS * RATE]
    cache = itertools.repeat(options.voices / "healthy")
    with ProcessPoolExecutor(options.jobs) as pool:
        predicted = pool.map(load_predictions, cache, [c[0] for c in collected], [c[2] for c in collected])
        for (name, kind, _), predictions in zip(collected, predicted, strict=True):
            voices[name] = judge_voice(predictions)
            kinds[kind] += 1
            print(name, sum_tallies(voices[name].healthy.values()), flush=True)
    write_results(options.output, format_healthy_rates(voices, kinds))


if __name__ == "__main__":
    main()
