"""How often the time of healthy speech is changed because it is fast, slow, high or low, and what is detected beside.

    apt install espeak-ng flite festival festvox-italp16k festvox-itapc16k festvox-ru pocketsphinx-testdata \\
        asterisk-core-sounds-it-g722 asterisk-core-sounds-ru-g722 asterisk-prompt-it-menardi-wav sox rubberband-cli
    pip install pyworld
    python -m benchmarks.audio.healthy_rates [--more FILE ...]

The voices are not in the training data of the network (training/rate). SoX and Rubber Band make them 0.7 to 1.8 times
as fast and up to five semitones higher or lower, with formants that follow the pitch, stay, or move alone; WORLD makes
them sing. Each recording is judged at every rate in use, as one that declares it, from 4 and from 8 s. For detection,
the same voices at their own pace are taken at one rate and declared as another. Writes
`benchmarks/results/MACHINE/audio/healthy_rates.md`.
"""

import argparse
import itertools
import subprocess
import tempfile
import wave
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyworld  # type: ignore[import-not-found, import-untyped, unused-ignore]
import soxr  # type: ignore[import-untyped, unused-ignore]
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray
from training.rate.sources import ASTERISK, PROMPTS, Voice, read_recording, read_sphinx, read_voice

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
from liveavatar.audio.analysis.sample_rate_features import SEGMENT_SAMPLES, extract_rate_features
from liveavatar.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]

RATE = 24_000
"""In Hz, at which voices are varied."""

PASSAGE_SECONDS, PASSAGES = 15.0, 3
"""Of each voice: at 1.8 times the speed 8 s remain."""

DECLARED_RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
PAIRS = ((16_000, 44_100), (44_100, 16_000), (16_000, 48_000), (48_000, 16_000), (8_000, 16_000), (16_000, 8_000),
         (22_050, 44_100), (44_100, 22_050), (24_000, 48_000), (48_000, 24_000), (16_000, 22_050), (22_050, 16_000),
         (16_000, 24_000), (24_000, 16_000), (24_000, 44_100), (44_100, 24_000))  # fmt: skip
"""Declared and true rates for the detection."""

TEMPOS = (0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.45, 1.6, 1.7, 1.8)
SEMITONES = (-5, -3, 0, 3, 5)
FORMANT_SEMITONES = (-3, -1.5, 1.5, 3)
"""A vocal tract 19 % longer or shorter: a tall man, a child."""

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

TEXTS = {
    "en": "The train to the coast leaves at a quarter past nine, so we should meet by the big clock. My brother brings "
    "the bread and the apples, and you could buy some milk on the way. If it rains, we will walk through the old town.",
    "it": "Il treno per la costa parte alle nove e un quarto, quindi troviamoci vicino al grande orologio. Mio "
    "fratello porta il pane e le mele, e tu potresti comprare un po' di latte per strada. Se piove, andiamo nel "
    "centro storico.",
    "ru": "Поезд к морю отходит в четверть десятого, поэтому встретимся у больших часов. Мой брат принесёт хлеб и "
    "яблоки, а ты мог бы купить молока по дороге. Если пойдёт дождь, мы погуляем по старому городу.",
}  # fmt: skip
FESTIVAL_VOICES = {"lp_diphone": ("it", "iso-8859-1"), "pc_diphone": ("it", "iso-8859-1"),
                   "msu_ru_nsh_clunits": ("ru", "utf-8")}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechVariant:
    """A passage of a voice, and what was done to it."""

    voice: str
    kind: str
    sound: Sound


@dataclass(slots=True)
class RateTally:
    """Judgements, and how many of them doubted the rate, and would have changed time."""

    judged: int = 0
    doubted: int = 0
    changed: int = 0
    changed_before: int = 0

    def add_guess(self, guess: RateGuess) -> None:
        """Count one judgement. `changed_before` is without `MAX_SPEECH_SPEED`."""
        is_certain = guess.is_sure and guess.confidence >= MIN_RATE_CONFIDENCE
        self.judged += 1
        self.doubted += guess.likely_rate != guess.declared_rate
        self.changed_before += is_certain
        self.changed += is_certain and is_beyond_speech_speeds(guess)


def speak_espeak(language: str, variant: str, text: str) -> Sound:
    """A text by espeak-ng, float32 at `RATE`."""
    command = ["espeak-ng", "-v", f"{language}+{variant}", "--stdout", text]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return resample_sound(
        np.frombuffer(data[44:], np.int16).astype(np.float32) / np.float32(32768), 22_050, RATE
    )


def speak_festival_text(name: str, folder: Path) -> Sound:
    """A text by festival, float32 at `RATE`."""
    language, encoding = FESTIVAL_VOICES[name]
    path = folder / f"{name}.wav"
    text = TEXTS[language].encode(encoding, "ignore")
    subprocess.run(["text2wave", "-eval", f"(voice_{name})", "-o", str(path)], input=text, check=True,
                   capture_output=True)  # fmt: skip
    return resample_sound(*read_recording(path), RATE)


def resample_sound(sound: Sound, before: int, after: int) -> Sound:
    """Sound at another rate."""
    return np.asarray(soxr.resample(sound, before, after, "VHQ"), np.float32)


def collect_voices(folder: Path, more: list[Path]) -> Iterator[tuple[str, Sound]]:
    """Names and sound at `RATE` of all voices: people first, then synthesisers."""
    for voice in itertools.chain(read_prompts_of_tests(), read_sphinx()):
        yield voice.name, resample_sound(np.concatenate(voice.clips), voice.rate, RATE)
    assets = Path(liveavatar.__file__).parent / "assets"
    for path in (assets / "demo_en.ogg", assets / "demo_zh.ogg", *more):
        yield path.stem, resample_sound(*read_recording(path), RATE)
    for name in FESTIVAL_VOICES:
        yield f"festival:{name}", speak_festival_text(name, folder)
    for number, variant in enumerate(UNSEEN_VARIANTS):
        language = LANGUAGES[number % len(LANGUAGES)]
        yield f"espeak:{language}+{variant}", speak_espeak(language, variant, TEXTS["en"])


def read_prompts_of_tests() -> Iterator[Voice]:
    """Telephone prompts by test speakers, without the short ones."""
    for folder in (folder for folder, split in PROMPTS.items() if split == "test"):
        files = sorted(p for p in (ASTERISK / folder).rglob("*") if p.is_file() and p.stat().st_size > 12_000)
        yield read_voice(folder, "real", "test", [p for p in files if p.suffix in {".wav", ".g722"}])


def run_filter(command: list[str], sound: Sound, folder: Path) -> Sound:
    """Sound through a program that takes an input and an output file, at `RATE`."""
    source, result = folder / "in.wav", folder / "out.wav"
    write_plain_wav(source, sound)
    subprocess.run([str(source) if part == "IN" else str(result) if part == "OUT" else part for part in command],
                   check=True, capture_output=True)  # fmt: skip
    return read_recording(result)[0].astype(np.float32)


def write_plain_wav(path: Path, sound: Sound) -> None:
    """A 16-bit WAV at `RATE`."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


def shift_whole_voice(sound: Sound, tempo: float, semitones: float, folder: Path) -> Sound:
    """Another tempo and pitch, with formants that follow the pitch, by SoX."""
    command = [
        "sox",
        "IN",
        "OUT",
        "tempo",
        "-s",
        str(tempo),
        "pitch",
        str(100 * semitones),
        "rate",
        str(RATE),
    ]
    return run_filter(command, sound, folder)


def shift_pitch_alone(sound: Sound, tempo: float, semitones: float, folder: Path) -> Sound:
    """Another tempo and pitch with formants that stay, by Rubber Band."""
    command = ["rubberband", "-q", "-F", "-T", str(tempo), "-p", str(semitones), "IN", "OUT"]
    return run_filter(command, sound, folder)


def sing_passage(sound: Sound, tempo: float, semitones: float) -> Sound:
    """Speech with the pitch of notes, held for half a second each, with vibrato, by WORLD."""
    samples = sound.astype(np.float64)
    pitch, times = pyworld.dio(samples, RATE, frame_period=10.0)
    envelope = pyworld.cheaptrick(samples, pitch, times, RATE)
    breath = pyworld.d4c(samples, pitch, times, RATE)
    scale = np.array([0, 2, 4, 7, 9, 12, 7, 4]) + semitones
    notes = scale[(np.arange(len(pitch)) // 50) % len(scale)] + 0.3 * np.sin(
        2 * np.pi * 5.5 * np.arange(len(pitch)) / 100
    )
    tonic = float(np.median(pitch[pitch > 0])) * 2 ** (-4 / 12)
    sung = np.where(pitch > 0, tonic * 2 ** (notes / 12), 0.0)
    out = pyworld.synthesize(sung, envelope, breath, RATE, frame_period=10.0 / tempo)
    return np.asarray(0.9 * out / (np.abs(out).max() + 1e-9), np.float32)


def vary_passage(
    voice: str, sound: Sound, folder: Path, random: np.random.Generator
) -> Iterator[SpeechVariant]:
    """Every variant of a passage; those of formants, and songs, at tempos drawn at random."""
    for tempo, semitones in itertools.product(TEMPOS, SEMITONES):
        changed = shift_whole_voice(sound, tempo, semitones, folder)
        yield SpeechVariant(voice=voice, kind="pitch and formants", sound=changed)
        if random.random() < 0.4:
            changed = shift_pitch_alone(sound, tempo, semitones, folder)
            yield SpeechVariant(voice=voice, kind="pitch, formants kept", sound=changed)
    for formant_shift in FORMANT_SEMITONES:
        tempo = float(random.choice(TEMPOS))
        changed = shift_pitch_alone(
            shift_whole_voice(sound, 1.0, formant_shift, folder), tempo, -formant_shift, folder
        )
        yield SpeechVariant(voice=voice, kind="formants alone", sound=changed)
    for tempo, semitones in ((0.7, -5), (0.8, 0), (1.0, 5), (1.3, 3)):
        yield SpeechVariant(voice=voice, kind="sung", sound=sing_passage(sound, tempo, semitones))


def predict_speeds(sound: Sound) -> list[tuple[NDArray[np.float32], int]]:
    """Probabilities of speed from the first 4 s and the first 8 s of sound at 16 kHz, and the number of segments."""
    embeddings = []
    for start in (0, SEGMENT_SAMPLES):
        segment = sound[start : start + SEGMENT_SAMPLES]
        features = extract_rate_features(segment) if len(segment) > MIN_SEGMENT_SAMPLES else None
        if features is not None:
            embeddings.append(embed_rate_features(features))
    return [
        (predict_speed_probabilities(np.mean(embeddings[:count], axis=0), count), count)
        for count in range(1, len(embeddings) + 1)
    ]


def judge_recording(speeds: list[tuple[NDArray[np.float32], int]], declared: int, tally: RateTally) -> None:
    """Count the guesses of all durations."""
    for probabilities, count in speeds:
        tally.add_guess(choose_rate(probabilities, declared, count))


def cut_passages(sound: Sound) -> list[Sound]:
    """The passages of a voice, as loud as speech of -20 dB; one of less than 6 s is left out."""
    size = int(PASSAGE_SECONDS * RATE)
    pieces = [sound[start : start + size] for start in range(0, min(len(sound), PASSAGES * size), size)]
    return [
        np.asarray(np.clip(piece * 0.1 / np.sqrt(np.square(piece).mean()), -1, 1), np.float32)
        for piece in pieces
        if len(piece) >= 6 * RATE
    ]


def measure_voices(
    folder: Path, more: list[Path]
) -> tuple[dict[str, RateTally], dict[tuple[int, int], RateTally]]:
    """Tallies of healthy speech by kind of variant, and of wrong rates by declared and true rate."""
    healthy: dict[str, RateTally] = defaultdict(RateTally)
    wrong: dict[tuple[int, int], RateTally] = defaultdict(RateTally)
    for voice, sound in collect_voices(folder, more):
        random = np.random.default_rng([0, *voice.encode()])
        for passage in cut_passages(sound):
            for variant in vary_passage(voice, passage, folder, random):
                speeds = predict_speeds(resample_sound(variant.sound, RATE, SAMPLE_RATE))
                for declared in DECLARED_RATES:
                    judge_recording(speeds, declared, healthy[variant.kind])
            for declared, true in PAIRS:
                played = resample_sound(resample_sound(passage, RATE, true), declared, SAMPLE_RATE)
                judge_recording(predict_speeds(played), declared, wrong[declared, true])
        print(voice, healthy["pitch and formants"], flush=True)
    return healthy, wrong


def format_healthy_rates(healthy: dict[str, RateTally], wrong: dict[tuple[int, int], RateTally]) -> str:
    """The two tables."""
    total = RateTally(
        *(sum(getattr(tally, name) for tally in healthy.values()) for name in RateTally.__slots__)
    )
    lines = [
        "# Healthy speech whose sample rate is doubted", "",
        f"Made by `benchmarks/audio/healthy_rates.py` on a {describe_machine()}. Voices that are not in the training "
        f"data, {TEMPOS[0]} to {TEMPOS[-1]} times as fast, up to five semitones higher and lower, each judged from 4 "
        f"and from 8 s at {len(DECLARED_RATES)} declared rates. Time is changed on a guess alone if the guessed rate "
        f"is more than {MAX_SPEECH_SPEED} times the declared one, or less than its {MAX_SPEECH_SPEED}th; "
        "the last column is without that limit.", "",
        "| varied | judged | doubted, said | time changed | without the limit |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for kind, tally in [*healthy.items(), ("all", total)]:
        changed, before = tally.changed / tally.judged, tally.changed_before / tally.judged
        lines.append(
            f"| {kind} | {tally.judged} | {tally.doubted / tally.judged:.2%} | {tally.changed} ({changed:.3%}) | "
            f"{tally.changed_before} ({before:.2%}) |"
        )
    lines += [
        "", "## Wrong rates", "",
        "The same voices at their own pace, taken at one rate and declared as another.", "",
        "| declared | true | ratio | judged | said | mended without asking |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for (declared, true), tally in wrong.items():
        lines.append(
            f"| {declared} | {true} | {true / declared:.2f} | {tally.judged} | {tally.doubted / tally.judged:.0%} | "
            f"{tally.changed / tally.judged:.0%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure all voices."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--more", nargs="*", type=Path, default=[], help="recordings of further unseen voices"
    )
    parser.add_argument("-o", "--output", type=Path, default=results_path(__file__))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        healthy, wrong = measure_voices(Path(folder), options.more)
    write_results(options.output, format_healthy_rates(healthy, wrong))


if __name__ == "__main__":
    main()
