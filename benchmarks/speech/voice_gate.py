"""What the voice gate takes away from speech of every kind, and how it keeps the mouth shut in music before a voice.

    apt install fillets-ng-data
    pip install pyworld
    python -m training.rate.sources VOICES --corpus CORPUS --splits test
    python -m training.rate.more_sources VOICES --unpacked SDISTS --splits test
    python -m benchmarks.speech.voice_gate VOICES --music /usr/share/games/fillets-ng/music/*.ogg

Each voice says some seconds after half a second of silence, as it is and changed. The stream of speech runs once; what
it gives with the gate is compared with what it gives without. A voice is cut where its level first comes within 30 dB
of its loudest, which is often a breath or a click; it begins where 100 ms are within 15 dB of its loud ones. Writes
`benchmarks/results/MACHINE/speech/voice_gate.md`.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pyworld  # type: ignore[import-not-found, import-untyped, unused-ignore]
import soxr  # type: ignore[import-untyped, unused-ignore]
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray
from training.rate.sources import load_voices, read_recording

from liveavatar.speech import CONTROLS, SpeechStream
from liveavatar.speech.track import STEP_SAMPLES
from liveavatar.speech.voice_gate import VoiceGate
from liveavatar.timeline import SAMPLE_RATE

Sound = NDArray[np.float32]

VOICE_SECONDS, SILENCE_SECONDS, MUSIC_SECONDS = 4.0, 0.5, 6.0
ONSET_STEPS = 30
"""The first 300 ms of a voice."""

SOUND_BELOW_DB, VOICE_BELOW_DB = 30.0, 15.0
SPEECH_LEVEL = 0.1
"""Root mean square after the front end: -20 dB."""

CLOSURE, JAW = CONTROLS.index("closure"), CONTROLS.index("jaw")
OPEN_JAW = 0.15


class MeteredGate(VoiceGate):
    """A gate that notes its opening and leaves the speech as it is."""

    def __init__(self, lead: int) -> None:
        super().__init__(lead)
        self.openings: list[NDArray[np.float32]] = []

    def track_opening(
        self, start: int, levels: NDArray[np.float32], references: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Ones; the opening goes to `openings`."""
        self.openings.append(super().track_opening(start, levels, references))
        return np.ones(len(levels), np.float32)


@dataclass(slots=True)
class GateTally:
    """Sums over the recordings of one kind; articulation is the sum of all controls."""

    recordings: int = 0
    onset: float = 0.0
    onset_lost: float = 0.0
    rest: float = 0.0
    rest_lost: float = 0.0
    closures: int = 0
    closures_lost: int = 0
    late: list[float] = field(default_factory=list)

    def add_recording(self, controls: NDArray[np.float32], opening: NDArray[np.float32], first: int) -> None:
        """Add one recording whose voice begins with step `first`."""
        moved = controls.sum(axis=1)
        lost = moved * (1 - opening)
        self.recordings += 1
        self.onset += float(moved[first : first + ONSET_STEPS].sum())
        self.onset_lost += float(lost[first : first + ONSET_STEPS].sum())
        self.rest += float(moved[first + ONSET_STEPS :].sum())
        self.rest_lost += float(lost[first + ONSET_STEPS :].sum())
        closed = np.flatnonzero(np.diff((controls[first:, CLOSURE] > 0.5).astype(int)) > 0) + first + 1
        self.closures += len(closed)
        self.closures_lost += int((opening[closed] < 0.5).sum())
        opened = np.flatnonzero(opening[first:] > 0.5)
        self.late.append(10.0 * int(opened[0]) if len(opened) else np.inf)


def run_metered(sound: Sound) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Controls without the gate [n, 6], and its opening [n]."""
    stream = SpeechStream()
    gate = stream._gate = MeteredGate(stream._gate._lead)  # noqa: SLF001  (what it takes away is measured)
    controls = np.concatenate([stream.push(sound).controls, stream.flush().controls])
    return controls, np.concatenate(gate.openings)[: len(controls)]


@cache
def analyse_voice(samples: bytes) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pitch [n], envelope and breath [n, bins] of float32 samples, every 5 ms, by WORLD."""
    sound = np.frombuffer(samples, np.float32).astype(np.float64)
    pitch, times = pyworld.dio(sound, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(sound, pitch, times, SAMPLE_RATE)
    return pitch, envelope, pyworld.d4c(sound, pitch, times, SAMPLE_RATE)


def sing(sound: Sound) -> Sound:
    """On notes of half a second with vibrato."""
    pitch, envelope, breath = analyse_voice(sound.tobytes())
    steps = np.arange(len(pitch))
    notes = np.array([0, 4, 7, 12, 7, 4])[(steps // 100) % 6] + 0.3 * np.sin(0.055 * np.pi * steps)
    tonic = np.median(pitch[pitch > 0]) if (pitch > 0).any() else 0.0
    sung = np.where(pitch > 0, tonic * 2 ** (notes / 12), 0.0)
    return np.asarray(pyworld.synthesize(sung, envelope, breath, SAMPLE_RATE)[: len(sound)], np.float32)


def breathe(sound: Sound) -> Sound:
    """A breathy voice: noise takes the place of most of its harmonics."""
    pitch, envelope, breath = analyse_voice(sound.tobytes())
    breathy = pyworld.synthesize(pitch, envelope, breath**0.15, SAMPLE_RATE)
    return np.asarray(breathy[: len(sound)], np.float32)


def whisper(sound: Sound) -> Sound:
    """Without a voice."""
    pitch, envelope, breath = analyse_voice(sound.tobytes())
    whispered = pyworld.synthesize(np.zeros_like(pitch), envelope, np.ones_like(breath), SAMPLE_RATE)
    return np.asarray(whispered[: len(sound)], np.float32)


def add_noise(decibels: float) -> Callable[[Sound], Sound]:
    """White noise so far below the voice, from the first sample on."""

    def add(sound: Sound) -> Sound:
        noise = np.random.default_rng(0).standard_normal(len(sound)) * SPEECH_LEVEL * 10 ** (-decibels / 20)
        return np.asarray(sound + noise, np.float32)

    return add


def narrow_band(sound: Sound) -> Sound:
    """By telephone."""
    return np.asarray(soxr.resample(soxr.resample(sound, SAMPLE_RATE, 8_000), 8_000, SAMPLE_RATE), np.float32)


def echo(sound: Sound) -> Sound:
    """In a room of 0.5 s."""
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    tail = np.random.default_rng(1).standard_normal(len(time)) * 10 ** (-6 * time)
    tail *= 1.4 / np.sqrt((tail**2).sum())
    size = len(sound) + len(tail)
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)]
    return np.asarray(0.6 * (sound + wet), np.float32)


CHANGES: dict[str, Callable[[Sound], Sound]] = {
    "as it is": lambda sound: sound,
    "40 dB quieter": lambda sound: np.asarray(0.01 * sound, np.float32),
    "breathy": breathe,
    "whispered": whisper,
    "sung": sing,
    "white noise, 10 dB": add_noise(10),
    "white noise, 0 dB": add_noise(0),
    "telephone": narrow_band,
    "in a room": echo,
}


def find_sound(sound: Sound) -> int:
    """The first step within `SOUND_BELOW_DB` of the loudest."""
    steps = sound[: len(sound) // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES)
    power = np.square(steps).mean(axis=1)
    return int(np.flatnonzero(power > power.max() * 10 ** (-SOUND_BELOW_DB / 10))[0])


def find_voice(sound: Sound) -> int:
    """The first step of 100 ms within `VOICE_BELOW_DB` of the loud ones, the 95th percentile."""
    power = np.square(sound[: len(sound) // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES)).mean(
        axis=1
    )
    smooth = np.convolve(power, np.ones(10) / 10, "valid")
    return int(np.flatnonzero(smooth > np.percentile(smooth, 95) * 10 ** (-VOICE_BELOW_DB / 10))[0])


def list_speech(folder: Path) -> Iterator[tuple[str, Sound]]:
    """Kind and sound at 16 kHz of every voice, from its first sound on, at `SPEECH_LEVEL`."""
    for voice in load_voices(folder, "test"):
        sound = np.concatenate(voice.clips)[: int((VOICE_SECONDS + 3) * voice.rate)]
        sound = np.asarray(soxr.resample(sound, voice.rate, SAMPLE_RATE), np.float32)
        sound = sound[find_sound(sound) * STEP_SAMPLES :][: int(VOICE_SECONDS * SAMPLE_RATE)]
        yield voice.kind, np.asarray(sound * SPEECH_LEVEL / np.sqrt(np.square(sound).mean()), np.float32)


def measure_speech(speech: list[tuple[str, Sound]]) -> dict[str, GateTally]:
    """A tally for every change, and one for every kind of voice as it is."""
    tallies: dict[str, GateTally] = defaultdict(GateTally)
    silence = np.zeros(int(SILENCE_SECONDS * SAMPLE_RATE), np.float32)
    for kind, sound in speech:
        first = len(silence) // STEP_SAMPLES + find_voice(sound)
        for name, change in CHANGES.items():
            controls, opening = run_metered(change(np.concatenate([silence, sound])))
            tallies[name].add_recording(controls, opening, first)
            if name == "as it is":
                tallies[f"{name}, {kind}"].add_recording(controls, opening, first)
    return tallies


def measure_music(files: list[Path], speech: list[tuple[str, Sound]]) -> list[str]:
    """Rows for music before a voice: how long the mouth is open in it, and what the voice after it loses."""
    rows = []
    for number, path in enumerate(files):
        music, rate = read_recording(path)
        music = np.asarray(soxr.resample(music[: int(MUSIC_SECONDS * rate)], rate, SAMPLE_RATE), np.float32)
        music *= SPEECH_LEVEL / np.sqrt(np.square(music).mean())
        voice = speech[number % len(speech)][1]
        controls, opening = run_metered(np.concatenate([music, voice]))
        begin, tally = len(music) // STEP_SAMPLES, GateTally()
        tally.add_recording(controls, opening, begin + find_voice(voice))
        before = controls[: begin - 11]  # a gate opens 108 ms before a voice is heard
        is_open = before[:, JAW] > OPEN_JAW
        kept = before[:, JAW] * opening[: len(before)] > OPEN_JAW
        rows.append(
            f"| {path.stem} | {is_open.mean():.0%} | {kept.mean():.0%} "
            f"| {tally.onset_lost / max(tally.onset, 1e-9):.1%} | {tally.rest_lost / tally.rest:.1%} |"
        )
        print(rows[-1], flush=True)
    return rows


def format_gate(tallies: dict[str, GateTally], music: list[str]) -> str:
    """The page."""
    lines = [
        "# The voice gate", "",
        f"Made by `benchmarks/speech/voice_gate.py` on a {describe_machine()}. Voices that are not in the training "
        f"data, each {VOICE_SECONDS:.0f} s after {SILENCE_SECONDS} s of silence. Articulation is the sum of all "
        "controls without the gate; lost is what the gate takes away.", "",
        "| speech | recordings | lost in the first 300 ms | lost later | closures lost | gate opens late, ms: median, "
        "95 %, worst |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, tally in tallies.items():
        late = np.sort(tally.late)
        lines.append(
            f"| {name} | {tally.recordings} | {tally.onset_lost / tally.onset:.1%} "
            f"| {tally.rest_lost / tally.rest:.2%} | {tally.closures_lost} of {tally.closures} "
            f"| {np.median(late):.0f}, {late[int(0.95 * (len(late) - 1))]:.0f}, {late[-1]:.0f} |"
        )
    if music:
        lines += [
            "", "## Music before a voice", "",
            f"{MUSIC_SECONDS:.0f} s of each piece at the level of speech, then one of the voices.", "",
            "| piece | mouth open in it without the gate | with it | voice after it, lost in 300 ms | later |",
            "|---|---|---|---|---|", *music,
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure speech and music."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("voices", type=Path, help="folder written by training.rate.sources")
    parser.add_argument("--music", type=Path, nargs="*", default=[])
    parser.add_argument("-o", "--output", type=Path, default=results_path(__file__))
    options = parser.parse_args()
    speech = list(list_speech(options.voices))
    music = measure_music(options.music, speech)
    write_results(options.output, format_gate(measure_speech(speech), music))


if __name__ == "__main__":
    main()
