"""Accuracy of the articulation models on voices that are not in their training data.

    python -m benchmarks.speech.articulation CORPUS/test -o benchmarks/results/MACHINE/speech/articulation.md
    python -m benchmarks.speech.articulation CORPUS/test --speech whisper --languages en zh \\
        -o benchmarks/results/MACHINE/speech/articulation_whisper.md

training/articulation/README.md says how to make the corpus. Every clip is stored as a file and read as in a session: by
the front end, which sets its level, and `SpeechStream`.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.audio.sample_rates import save
from benchmarks.machine import describe_machine
from numpy.typing import NDArray
from training.articulation.augment import make_background
from training.articulation.corpus import Clip, load_clip
from training.articulation.targets import StepRanges, list_closures, make_targets

from liveavatar.audio.front_end import read_speech
from liveavatar.frames import Samples
from liveavatar.speech import CONTROLS, VISEMES, SpeechStream, SpeechTrack
from liveavatar.speech.stream import ARTICULATION_MODELS
from liveavatar.timeline import SAMPLE_RATE

NOISE_DB = 10.0
CLOSURE_THRESHOLD = 0.5
"""Closure control from which lips count as closed."""

TOLERANCE_STEPS = 4
"""Tolerance of closures: 40 ms, one frame at 25 fps."""

NEARBY_STEPS = 2
"""Tolerance of visemes "within 20 ms"; labels are not more accurate."""

SHUT_JAW = 0.1
OPEN_JAW = 0.35
"""Jaw control up to which a mouth is closed, and from which it is open."""

SILENCE_MARGIN_STEPS = 15
"""Steps between speech and a step that counts as silent."""

JAW, CLOSURE = CONTROLS.index("jaw"), CONTROLS.index("closure")
CHUNK_LENGTHS = ((160_000, "at once"), (640, "in chunks of 40 ms"), (160, "in chunks of 10 ms"))
"""Samples of a chunk when speed is measured."""


@dataclass(slots=True)
class Score:
    """Counts over many clips."""

    seconds: float = 0.0
    right: int = 0
    nearly: int = 0
    frames: int = 0
    right_speech: int = 0
    speech: int = 0
    bilabials: int = 0
    found: int = 0
    claimed: int = 0
    justified: int = 0
    shut: int = 0
    silent: int = 0
    vowels: int = 0
    open_vowels: int = 0


def add_noise(sound: Samples, decibels: float) -> Samples:
    """Sound with white noise; the signal-to-noise ratio is that of the whole sound."""
    power = np.mean(sound**2) * 10 ** (-decibels / 10)
    noise = np.random.default_rng(0).normal(0, np.sqrt(power), len(sound))
    return np.asarray(sound + noise, np.float32)


def store_sound(sound: Samples, path: Path, codec: str = "pcm_s16le", bits: int | None = None) -> Path:
    """Write a file, attenuated if it would clip."""
    return save(sound / max(1.0, float(np.abs(sound).max())), SAMPLE_RATE, path, codec, bits)


Store = Callable[[Samples, Path], Path]
CLEAN, NOISY = "Clean", "White noise, 10 dB"
CONDITIONS: dict[str, Store] = {
    CLEAN: lambda sound, folder: store_sound(sound, folder / "clip.wav"),
    NOISY: lambda sound, folder: store_sound(add_noise(sound, NOISE_DB), folder / "clip.wav"),
    "Opus, 12 kbit/s": lambda sound, folder: store_sound(sound, folder / "clip.ogg", "libopus", 12_000),
    "MP3, 24 kbit/s": lambda sound, folder: store_sound(sound, folder / "clip.mp3", "libmp3lame", 24_000),
}
"""How clips are stored before they are read; each function writes a file into a folder."""


def read_stored(sound: Samples, store: Store) -> Samples:
    """A recording as the front end reads it from its file; samples that the codec adds at the end are dropped."""
    with tempfile.TemporaryDirectory() as folder:
        return np.concatenate(list(read_speech(store(sound, Path(folder)))[1]))[: len(sound)]


def predict_stored(sound: Samples, model: str, store: Store = CONDITIONS[CLEAN]) -> SpeechTrack:
    """Store a recording and run the model on it."""
    stream = SpeechStream(model)
    return SpeechTrack.join_runs([stream.push(read_stored(sound, store)), stream.flush()])


def find_ranges(flags: NDArray[np.bool_]) -> StepRanges:
    """Every run of True, as [first, last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def is_near_any(one: tuple[int, int], many: StepRanges) -> bool:
    """Whether a run is within TOLERANCE_STEPS of one of the others."""
    return any(one[0] < b + TOLERANCE_STEPS and a - TOLERANCE_STEPS < one[1] for a, b in many)


def match_nearby(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which steps have the viseme of a label within NEARBY_STEPS."""
    padded = np.pad(labels, NEARBY_STEPS, mode="edge")
    return np.asarray(
        np.any([padded[i : i + len(predicted)] == predicted for i in range(2 * NEARBY_STEPS + 1)], axis=0)
    )


def measure(clip: Clip, speech: SpeechTrack, score: Score, offsets: list[float]) -> None:
    """Add one clip, with its labels and its prediction `speech`."""
    targets = make_targets(clip)
    predicted = speech.visemes.argmax(axis=1)
    is_speech = targets.visemes != 0
    score.seconds += len(clip.samples) / 16_000
    count_steps(predicted, targets.visemes, score)
    score.speech += int(is_speech.sum())
    score.right_speech += int(np.sum((predicted == targets.visemes) & is_speech))
    wanted, claimed = list_closures(clip), find_ranges(speech.controls[:, CLOSURE] >= CLOSURE_THRESHOLD)
    count_closures(wanted, claimed, score)
    offsets += measure_offsets(wanted, claimed)
    jaw = speech.controls[:, JAW]
    is_silent = np.convolve(is_speech, np.ones(2 * SILENCE_MARGIN_STEPS + 1), "same") == 0
    score.silent += int(is_silent.sum())
    score.shut += int(
        np.sum(is_silent & (jaw < SHUT_JAW) & (speech.controls[:, CLOSURE] < CLOSURE_THRESHOLD))
    )
    wide = [i for i, name in enumerate(targets.visemes.tolist()) if VISEMES[name] == "aa"]
    score.vowels += len(wide)
    score.open_vowels += int(np.sum(jaw[wide] >= OPEN_JAW))


def count_steps(predicted: NDArray[np.int64], labels: NDArray[np.int64], score: Score) -> None:
    """Add steps with predicted visemes and their labels."""
    score.frames += len(predicted)
    score.right += int(np.sum(predicted == labels))
    score.nearly += int(np.sum(match_nearby(predicted, labels)))


def count_closures(wanted: StepRanges, claimed: StepRanges, score: Score) -> None:
    """Add the closures of the labels, `wanted`, and the predicted ones, `claimed`."""
    score.bilabials += len(wanted)
    score.found += sum(is_near_any(run, claimed) for run in wanted)
    score.claimed += len(claimed)
    score.justified += sum(is_near_any(run, wanted) for run in claimed)


def found_justified(score: Score) -> str:
    """Share of closures found / of claims justified, as a cell of a table."""
    return (
        f"{100 * score.found / score.bilabials:.0f} / {100 * score.justified / max(1, score.claimed):.0f} %"
    )


def measure_offsets(wanted: StepRanges, claimed: StepRanges) -> list[float]:
    """Milliseconds from the middle of each closure found to the nearest middle of a predicted one."""
    found = []
    for first, last in wanted:
        near = [(a + b) / 2 for a, b in claimed if is_near_any((first, last), [(a, b)])]
        if near:
            found.append(10.0 * min((at - (first + last) / 2 for at in near), key=abs))
    return found


def row(name: str, score: Score, offsets: list[float]) -> str:
    """One line of the table."""

    def share(part: int, whole: int) -> str:
        return f"{100 * part / whole:.1f} %" if whole else "–"

    late = f"{np.median(offsets):+.0f} ms" if offsets else "–"
    cells = [
        name, f"{score.seconds:.0f} s", share(score.right, score.frames),
        share(score.nearly, score.frames), share(score.right_speech, score.speech),
        f"{share(score.found, score.bilabials)} of {score.bilabials}", share(score.justified, score.claimed), late,
        share(score.shut, score.silent), share(score.open_vowels, score.vowels),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


HEADER = (
    "| voices | length | visemes | within 20 ms | visemes, speech | closures found | closures justified | offset "
    "| shut in silence | jaw open on /a/ |\n|---|---|---|---|---|---|---|---|---|---|"
)


def list_groups(clip: Clip) -> list[str]:
    """The lines of the table to which a clip belongs."""
    return [find_group(clip), *(["English, real, all"] if clip.speaker.startswith("real") else [])]


def find_group(clip: Clip) -> str:
    """The line of a clip's source and language."""
    source, name, *_ = clip.speaker.split(":")
    language = {"en": "English", "zh": "Mandarin"}[clip.language]
    return f"{language}, real, {name}" if source in ("real", "people") else f"{language}, synthetic"


def make_speechless_clips() -> list[Clip]:
    """Silence, hiss, hum and clicks that are not in the training data."""
    random, seconds = np.random.default_rng(20_000), 6.0
    nothing = [("", 0, round(seconds * SAMPLE_RATE))]
    return [
        Clip(speaker="nobody", language="", samples=make_background(random, seconds), phones=nothing)
        for _ in range(30)
    ]


def measure_speechless(model: str) -> str:
    """Share of steps with a closed mouth in clips without speech."""
    score = Score()
    for clip in make_speechless_clips():
        measure(clip, predict_stored(clip.samples, model), score, [])
    return f"{100 * score.shut / score.silent:.1f} %"


def table(clips: list[Clip], model: str, store: Store) -> list[str]:
    """The lines of the table."""
    scores: dict[str, Score] = defaultdict(Score)
    offsets: dict[str, list[float]] = defaultdict(list)
    for clip in clips:
        speech = predict_stored(clip.samples, model, store)
        for name in list_groups(clip):
            measure(clip, speech, scores[name], offsets[name])
    return [row(name, scores[name], offsets[name]) for name in sorted(scores)]


def measure_speed(chunk: int, model: str) -> float:
    """Seconds of sound for each second of processor time, in chunks of `chunk` samples; the best of five runs."""
    sound = np.random.default_rng(0).normal(0, 0.1, 10 * 16_000).astype(np.float32)
    durations = []
    for _ in range(5):
        stream, start = SpeechStream(model), time.process_time()
        for at in range(0, len(sound), chunk):
            stream.push(sound[at : at + chunk])
        durations.append(time.process_time() - start)
    return 10 / min(durations)


def main() -> None:
    """Measure and print; with -o, replace the tables after the marker of the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument(
        "-o", "--output", type=Path, help="the report: a file with a line `<!-- measured -->`"
    )
    parser.add_argument("--speech", choices=list(ARTICULATION_MODELS), default="small")
    parser.add_argument("--languages", nargs="*", default=["en", "zh"])
    options = parser.parse_args()
    if options.output and not options.output.exists():
        parser.error(
            f"{options.output} does not exist: the text of a report is written by hand, only its tables are replaced"
        )
    clips = [load_clip(path) for path in sorted(options.corpus.glob("*.npz"))]
    clips, model = [clip for clip in clips if clip.language in options.languages], options.speech
    lines = []
    for name, store in CONDITIONS.items():
        lines += [f"### {name}", "", HEADER, *table(clips, model, store), ""]
    lines += ["### No speech", ""]
    lines += [
        f"Mouth closed in {measure_speechless(model)} of 180 s of digital silence, hiss, hum and clicks.",
        "",
    ]
    lines += ["### Speed", ""]
    lines += [f"Processor time on one core of a {describe_machine()}, times faster than real time:"]
    lines += [
        ", ".join(
            f"{measure_speed(chunk, model):.{0 if model == 'small' else 1}f} {how}"
            for chunk, how in CHUNK_LENGTHS
        )
        + ".",
        "",
    ]
    text = "\n".join(lines)
    print(text)
    if options.output:
        before, marker, _ = options.output.read_text(encoding="utf-8").partition("<!-- measured -->\n")
        options.output.write_text(before + marker + "\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
