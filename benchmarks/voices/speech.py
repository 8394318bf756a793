"""Voices and ears: speed, first sound, pitch and level of each voice, and what the recogniser makes of its sentences.

    python -m benchmarks.voices.speech [--voices NAME…]

Each voice speaks the same six sentences of its language. They are ours, without digits, since there are several ways to
write a number. Errors are those of voice and recogniser together: of words in English, of characters in Mandarin.
Ends of turns: each sentence as it is, and cut at 60 % of its length, both with a quarter of a second of silence.
Processor time is that of all threads; the wall clock is that of a machine which others may use at the same time.
"""

import argparse
import platform
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results

from liveavatar.audio.dsp.loudness import LoudnessMeter
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.audio.spectral.framing import slice_windows
from liveavatar.ears import EndOfTurn, transcribe
from liveavatar.frames import Samples
from liveavatar.speech.prosody import PITCH_WINDOW_SAMPLES, find_pitch
from liveavatar.timeline import SAMPLE_RATE
from liveavatar.voices import VOICES, open_voice

ENGLISH = (
    "The train to the city leaves every morning at seven, and it is rarely late.",
    "Please put the blue box on the table before you close the window.",
    "My brother bought a bicycle, but he has never learned to ride it.",
    "We will answer your question tomorrow, after we have read your letter.",
    "Why did nobody tell me that the museum is closed on Mondays?",
    "A warm wind blew across the valley, and the first leaves began to fall.",
)
MANDARIN = (
    "今天早上下了一场大雨，路上到处都是水。",
    "请把窗户关上，外面的声音太大了。",
    "我们明天下午去图书馆借书，你想一起去吗？",
    "他学了很多年中文，现在说得非常流利。",
    "这家饭馆的菜又便宜又好吃，常常要排队。",
    "如果您还有别的问题，可以随时打电话给我们。",
)
TURN_SILENCE = np.zeros(SAMPLE_RATE // 4, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One sentence of a voice: 16 kHz sound, and the seconds that it took."""

    sentence: str
    sound: Samples
    wall: float
    processor: float
    first_sound: float


def speak_sentence(voice: str, sentence: str) -> Spoken:
    """Speak a sentence and measure it."""
    wall, processor, first_sound, pieces, rate = time.perf_counter(), time.process_time(), 0.0, [], 0
    for clause in open_voice(voice).speak(sentence):
        first_sound = first_sound or time.perf_counter() - wall
        pieces.append(clause.samples)
        rate = clause.rate
    taken, used = time.perf_counter() - wall, time.process_time() - processor
    sound = Resampler(rate).resample_chunk(np.concatenate(pieces), last=True)
    return Spoken(sentence=sentence, sound=sound, wall=taken, processor=used, first_sound=first_sound)


def count_errors(heard: Sequence[str], said: Sequence[str]) -> int:
    """The edit distance (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(said, start=1):
        before, row[0] = row[0], i
        for j, found in enumerate(heard, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (expected != found))
    return row[-1]


def split_units(text: str, language: str) -> list[str]:
    """Words in small letters, or Chinese characters."""
    return re.findall("[\u4e00-\u9fff]" if language == "zh" else "[a-z']+", text.lower())


def measure_voice(voice: str, language: str) -> tuple[str, list[float]]:
    """A row of the table, and processor seconds of recognition for each second of sound."""
    sentences = MANDARIN if language == "zh" else ENGLISH
    speak_sentence(voice, sentences[0])  # loads the model
    spoken = [speak_sentence(voice, sentence) for sentence in sentences]
    seconds = [len(item.sound) / SAMPLE_RATE for item in spoken]
    errors, units, costs = 0, 0, []
    for item, length in zip(spoken, seconds, strict=True):
        started = time.process_time()
        heard = " ".join(segment.text for segment in transcribe(item.sound))
        costs.append((time.process_time() - started) / length)
        said = split_units(item.sentence, language)
        missed = count_errors(split_units(heard, language), said)
        errors, units = errors + missed, units + len(said)
        if missed:
            print(f"{voice}: {item.sentence} | {heard}")
    ears = EndOfTurn()
    trimmed = [item.sound[: np.flatnonzero(np.abs(item.sound) > 0.005)[-1] + 1] for item in spoken]
    whole = sum(ears.predict(np.concatenate([sound, TURN_SILENCE])) > 0.5 for sound in trimmed)
    cut = sum(ears.predict(np.concatenate([s[: len(s) * 6 // 10], TURN_SILENCE])) <= 0.5 for s in trimmed)
    all_sound = np.concatenate([item.sound for item in spoken])
    meter = LoudnessMeter(SAMPLE_RATE, ("FC",))
    meter.push(all_sound[None])
    pitches = find_pitch(slice_windows(all_sound, PITCH_WINDOW_SAMPLES, SAMPLE_RATE // 100))
    row = (
        f"| {voice} | {language} | {median(s / i.processor for i, s in zip(spoken, seconds, strict=True)):.1f} "
        f"| {median(s / i.wall for i, s in zip(spoken, seconds, strict=True)):.1f} "
        f"| {1000 * median(item.first_sound for item in spoken):.0f} ms "
        f"| {np.median(pitches[pitches > 0]):.0f} Hz | {meter.finish():.0f} LUFS "
        f"| {max(np.abs(all_sound)):.2f} | {100 * errors / units:.1f} % of {units} "
        f"| {whole} of {len(spoken)} | {cut} of {len(spoken)} |"
    )
    return row, costs


def main() -> None:
    """Measure the voices and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voices", nargs="+", default=[voice.name for voice in VOICES])
    names = parser.parse_args().voices
    languages = {voice.name: voice.languages[0][:2] for voice in VOICES}
    path, costs = results_path(__file__), list[float]()
    rows = read_rows(path)
    for name in names:
        rows[name], cost = measure_voice(name, languages[name])
        print(rows[name], flush=True)
        costs += cost
        write_results(path, format_table(rows, median(costs)))


def read_rows(path: Path) -> dict[str, str]:
    """The rows of an earlier run by voice; those that are not measured again stay."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = {voice.name for voice in VOICES}
    return {line.split()[1]: line for line in lines if line.startswith("| ") and line.split()[1] in names}


def format_table(rows: dict[str, str], recognition_cost: float) -> str:
    """The table as Markdown, voices in the order of the catalogue."""
    lines = [
        "# Voices and ears\n",
        f"Made by `benchmarks/voices/speech.py` on a {describe_machine()}, Python {platform.python_version()}.",
        "Times real time: seconds of speech in a second of processor time, and of the wall clock, during which",
        "other programs kept both cores busy. First sound: wall clock. Errors: of words (en) or characters (zh), of",
        "voice and recogniser together. Ends: sentences whose end of turn was found, and sentences cut at 60 % in",
        "which none was.\n",
        "| voice | language | x real time, processor | x real time, wall | first sound | pitch | loudness | peak "
        "| errors | whole: ended | cut: goes on |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(rows[voice.name] for voice in VOICES if voice.name in rows),
        f"\nRecognition takes {recognition_cost:.2f} processor seconds for each second of these sentences (median),",
        "most of it the same for any length up to 28 s.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
