"""How often wrong sample rates are found and right ones doubted, on voices that the network is not trained on.

    python -m training.rate.sources VOICES --corpus CORPUS
    python -m benchmarks.audio.rate_detection VOICES --machine "2-core AMD EPYC"

Half of the recordings are as in their packages, half have a simulated microphone, room, narrow band, noise, babble,
music, G.711 or clipping (training/rate/damage.py). Writes
`benchmarks/results/MACHINE/audio/rate_detection.md`.
"""

import argparse
import pickle
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray
from training.rate.damage import RecordingSimulator, make_chords
from training.rate.dataset import extract_segments
from training.rate.sources import Voice, load_voices

from liveavatar.audio.analysis.sample_rate import (
    RATE_PRIORS,
    RateDetector,
    RateGuess,
    choose_rate,
    embed_rate_features,
    predict_speed_probabilities,
    wrong_rate_log_odds,
)
from liveavatar.audio.analysis.sample_rate_features import SEGMENT_SAMPLES
from liveavatar.timeline import SAMPLE_RATE

RESULT = results_path(__file__)
PAIRS = ((8_000, 16_000), (11_025, 16_000), (16_000, 22_050), (16_000, 24_000), (16_000, 44_100), (16_000, 48_000),
         (44_100, 48_000))  # fmt: skip
GROSS_RATIO = 1.3
"""Ratio from which a wrong rate should be found."""
SEGMENT_COUNTS = {"4 s": 1, "16 s": 4, "60 s": 15}
SENTENCE_KINDS = ("real", "neural", "diphone", "formant")
"""Kinds of voices that say sentences; voices of kind "words" say single letters and words."""

RIGHT, MORE_RIGHT = 6, 14
"""Recordings of each voice at the right rate, and further ones of voices that say sentences: enough to see 1 %."""

RESAMPLES = 500
"""Of the bootstrap."""

Segments = NDArray[np.float16]
Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A voice taken at `true` Hz and declared as `declared`; features [n, STEP_COUNT, FEATURE_COUNT]."""

    voice: str
    kind: str
    clean: bool
    declared: int
    true: int
    segments: Segments


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPrediction:
    """A recording without its sound, and the probabilities of speed for each duration."""

    voice: str
    kind: str
    clean: bool
    declared: int
    true: int
    speeds: dict[str, NDArray[np.float32]]

    def guess(self, duration: str) -> RateGuess:
        """The guess for a duration."""
        return choose_rate(self.speeds[duration], self.declared, SEGMENT_COUNTS[duration])


def simulate_recordings(voice: Voice, others: list[Voice], seed: int) -> Iterator[Recording]:
    """A voice at the right rate and at every wrong one, clean and damaged in turn."""
    right = [(16_000, 16_000)]
    first = right * RIGHT + [*PAIRS, *((true, declared) for declared, true in PAIRS)]
    second = right * MORE_RIGHT if voice.kind in SENTENCE_KINDS else []
    for session, pairs in enumerate((first, second)):
        random = np.random.default_rng([seed + session, *voice.name.encode()])
        simulators = [
            RecordingSimulator(random=random, voices=others, clean=clean) for clean in (True, False)
        ]
        for number, (declared, true) in enumerate(pairs):
            simulator = simulators[(number + len(voice.name)) % 2]
            segments = extract_segments(
                simulator.simulate(
                    voice, SEGMENT_COUNTS["60 s"] * SEGMENT_SAMPLES / SAMPLE_RATE, declared / true
                )
            )
            if len(segments):
                about = {"voice": voice.name, "kind": voice.kind, "clean": simulator.clean}
                yield Recording(**about, declared=declared, true=true, segments=segments)  # type: ignore[arg-type]


def load_recordings(folder: Path, voices: list[Voice], seed: int) -> Iterator[Recording]:
    """Recordings, simulated once and stored in `folder` for later runs."""
    folder.mkdir(parents=True, exist_ok=True)
    for voice in voices:
        path = folder / f"{voice.name.replace(':', '_')}.pkl"
        if not path.exists():
            path.write_bytes(pickle.dumps(list(simulate_recordings(voice, voices, seed))))
        yield from pickle.loads(path.read_bytes())  # noqa: S301  (written by the line above)


def predict_recording(recording: Recording) -> RecordingPrediction:
    """The probabilities of speed of a recording."""
    about = {field: getattr(recording, field) for field in ("voice", "kind", "clean", "declared", "true")}
    return RecordingPrediction(**about, speeds=predict_speeds(recording.segments))


def predict_speeds(segments: Segments) -> dict[str, NDArray[np.float32]]:
    """Probabilities of speed for each of `SEGMENT_COUNTS`, [81] each."""
    embeddings = np.array([embed_rate_features(segment.astype(np.float32)) for segment in segments])
    counts = {name: min(count, len(embeddings)) for name, count in SEGMENT_COUNTS.items()}
    return {name: predict_speed_probabilities(embeddings[:n].mean(axis=0), n) for name, n in counts.items()}


def is_gross(prediction: RecordingPrediction) -> bool:
    """Whether the rate is wrong by `GROSS_RATIO` or more."""
    return max(prediction.declared / prediction.true, prediction.true / prediction.declared) >= GROSS_RATIO


def is_doubted(guess: RateGuess) -> bool:
    """Whether another rate than the declared one is guessed."""
    return guess.likely_rate != guess.declared_rate


def format_share(flags: Iterable[bool]) -> str:
    """Percentage and number."""
    found = list(flags)
    return f"{100 * np.mean(found):.1f} % of {len(found)}" if found else "–"


def format_duration_rows(predictions: list[RecordingPrediction], title: str) -> list[str]:
    """A row for each duration: right rates doubted, wrong ones found."""
    rows = []
    for duration in SEGMENT_COUNTS:
        guesses = [(p, p.guess(duration)) for p in predictions]
        wrong = [(p, g) for p, g in guesses if is_gross(p)]
        right = [g for p, g in guesses if p.declared == p.true]
        rows.append(
            f"| {title} | {duration} | {format_share(map(is_doubted, right))} "
            f"| {format_share(g.is_sure for g in right)} | {format_share(is_doubted(g) for _, g in wrong)} "
            f"| {format_share(g.is_sure for _, g in wrong)} "
            f"| {format_share(p.true in (g.likely_rate, *g.alternatives) for p, g in wrong)} |"
        )
    return rows


def format_confusion_rows(predictions: list[RecordingPrediction], duration: str) -> list[str]:
    """The confusion table: the guesses for each pair of declared and true rate."""
    rates = sorted(RATE_PRIORS)
    lines = [
        "| declared → true | ratio | found | sure | " + " | ".join(f"{r / 1000:g}" for r in rates) + " |"
    ]
    lines.append("|" + " --- |" * (4 + len(rates)))
    for declared, true in sorted(
        {(p.declared, p.true) for p in predictions}, key=lambda pair: pair[1] / pair[0]
    ):
        guesses = [p.guess(duration) for p in predictions if (p.declared, p.true) == (declared, true)]
        counts = [sum(g.likely_rate == rate for g in guesses) for rate in rates]
        cells = [str(n or "") if rate != true else f"**{n}**" for n, rate in zip(counts, rates, strict=True)]
        lines.append(
            f"| {declared / 1000:g} → {true / 1000:g} | {true / declared:.2f} "
            f"| {format_share(map(is_doubted, guesses))} | {format_share(g.is_sure for g in guesses)} "
            f"| {' | '.join(cells)} |"
        )
    return lines


def compute_shares(odds: Numbers, claimed: Numbers, right: Numbers, wrong: Numbers) -> list[float]:
    """Found at 1 and 5 % false alarms of these recordings; found and doubted with the shipped thresholds."""
    limits = [np.quantile(odds[right], 1.0 - alarms) for alarms in (0.01, 0.05)]
    at = [float(np.mean(odds[wrong] > limit)) for limit in limits]
    return [*at, float(np.mean(claimed[wrong])), float(np.mean(claimed[right]))]


def measure_bootstrap(predictions: list[RecordingPrediction], random: np.random.Generator) -> list[str]:
    """Shares found, with 95 % intervals by a bootstrap over voices."""
    lines = ["| voices | duration | found at 1 % false alarms | at 5 % | found, as shipped | right doubted |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for title, group in (("all", predictions), ("real", [p for p in predictions if p.kind == "real"])):
        voices = np.array([p.voice for p in group])
        rows = [np.flatnonzero(voices == name) for name in np.unique(voices)]
        truth = [np.array([p.declared == p.true for p in group]), np.array([is_gross(p) for p in group])]
        for duration in SEGMENT_COUNTS:
            odds = np.array([wrong_rate_log_odds(p.speeds[duration], p.declared) for p in group])
            claimed = np.array([is_doubted(p.guess(duration)) for p in group])
            columns = (odds, claimed, *truth)
            samples = []
            for _ in range(RESAMPLES):
                chosen = np.concatenate([rows[i] for i in random.integers(0, len(rows), len(rows))])
                samples.append(compute_shares(*(column[chosen] for column in columns)))
            low, high = np.quantile(samples, [0.025, 0.975], axis=0)
            cells = [
                f"{m:.1%} ({a:.0%}…{b:.0%})"
                for m, a, b in zip(compute_shares(*columns), low, high, strict=True)
            ]
            lines.append(f"| {title} | {duration} | {' | '.join(cells)} |")
    return lines


def measure_music(random: np.random.Generator) -> str:
    """The share of synthetic music whose rate is called wrong."""
    found = []
    for _ in range(40):
        speeds = predict_speeds(
            extract_segments(make_chords(random, 4 * SEGMENT_SAMPLES, float(np.exp(random.uniform(-1, 1)))))
        )
        found.append(choose_rate(speeds["16 s"], 16_000, 4).likely_rate != 16_000)
    return format_share(found)


def measure_speed() -> str:
    """Real-time factor on one core, the median of nine runs."""
    sound = np.random.default_rng(0).normal(0, 0.1, 60 * SAMPLE_RATE).astype(np.float32)
    detector, spent = RateDetector(16_000), []
    for _ in range(9):
        clock = time.process_time()
        detector.push(sound)
        detector.finish()
        spent.append(time.process_time() - clock)
    return f"{60 / np.median(spent):.0f}x"


NOTES = (
    "## Where it fails",
    "",
    "- Ratios of 1.3 to 1.5 are those by which people differ most: 22.05 kHz declared and 16 true turns a slow deep",
    "  voice into a quick light one, and so does 16 declared and 11.025 true. These are missed most often. Ratios of 2",
    "  or more are hardly ever missed.",
    "- 44.1 and 48 kHz, 22.05 and 24, 11.025 and 12 differ by less than people do. Found wrong, both of a pair are",
    "  named; taken for each other, they are not found.",
    "- 4 s show less than 16 s, single letters and words less than sentences. Two voices of the word lists have about",
    "  ten seconds of words, which are repeated; a third and a sixth of their right rates are doubted.",
    "- The thresholds come from the dev voices, which are harder than these: as shipped, fewer than 1 % are doubted.",
    "- The speakers are few: 19 people, three festival voices cut from recordings of people, five neural voices. The",
    "  bootstrap over voices shows how far another sample of people may differ. At 4 s one unusual voice decides.",
    "- Children, whispering, singing and shouting are not among the test voices. The music is synthetic.",
    "",
    "## Earlier networks, and what does not help",
    "",
    "- At 1 % false alarms the network before this one found 93.8 % of these at 16 s and 96.3 % at 60 s (84.9 % at",
    "  4 s). On the 16 voices that it was measured on, before eleven more were added, it found 92.7 and 93.2 %; this",
    "  one finds 95.3 and 97.4 %.",
    "- New since then: 67 roles of a game (by fewer actors), six people who name pictures and two who say syllables,",
    "  twice as much training, and another frequency response for every recording in every epoch.",
    "- The mean of the outputs of two networks is no better than the better one (on the dev voices). One network with",
    "  the mean of both weights is worse.",
    "- Other odds are no better on the dev voices, at 4 s or at 16 s: the sum over rates instead of the likeliest, any",
    "  other speed, a narrower or wider LOG_SPEED_TOLERANCE, more weight for distant rates.",
    "- Of 44.1 and 48 kHz the first is named where they are nearly equal: for a reader among the test voices the",
    "  weights differed by 3 %, which decided the order of the two priors. It changes only the last columns here.",
)
HEADER = (
    "| voices | duration | right doubted | … and sure | wrong (1.3 or more) found | … and sure | true rate named |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)


def format_report(predictions: list[RecordingPrediction], machine: str, random: np.random.Generator) -> str:
    """The page."""
    sentences = [p for p in predictions if p.kind in SENTENCE_KINDS]
    words = [p for p in predictions if p.kind == "words"]
    lines = ["# Detection of wrong sample rates", ""]
    lines += [
        f"Machine: {machine}; {measure_speed()} real time on one core. Script: `benchmarks/audio/rate_detection.py`.",
        "",
    ]
    counts = [len({p.voice for p in group}) for group in (sentences, words)]
    lines += [
        f"{counts[0]} voices that say sentences and {counts[1]} that say words, none of them in the training data."
    ]
    lines += ["Ratio is true over declared rate. Every recording is analysed for 4, 16 and 60 s.", ""]
    lines += ["## Found and doubted", "", *HEADER]
    for kind in sorted({p.kind for p in sentences}):
        lines += format_duration_rows([p for p in predictions if p.kind == kind], kind)
    lines += format_duration_rows(sentences, "all sentences") + format_duration_rows(words, "words")
    lines += format_duration_rows([p for p in sentences if p.clean], "sentences, as recorded")
    lines += format_duration_rows([p for p in sentences if not p.clean], "sentences, damaged")
    lines += ["", f"Music without speech, called wrong: {measure_music(random)}.", ""]
    lines += ["## Confidence intervals, sentences", "", *measure_bootstrap(sentences, random), ""]
    lines += ["## Confusion, sentences, 60 s", "", *format_confusion_rows(sentences, "60 s"), ""]
    lines += ["## Confusion, sentences, 16 s", "", *format_confusion_rows(sentences, "16 s"), ""]
    lines += [
        "## By voice, 60 s",
        "",
        "| voice | right rate doubted | wrong rate found |",
        "| --- | --- | --- |",
    ]
    for name in sorted({p.voice for p in predictions}):
        own = [p for p in predictions if p.voice == name]
        doubted = format_share(is_doubted(p.guess("60 s")) for p in own if p.declared == p.true)
        found = format_share(is_doubted(p.guess("60 s")) for p in own if is_gross(p))
        lines.append(f"| {name} | {doubted} | {found} |")
    return "\n".join([*lines, "", *NOTES]) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("voices", type=Path, help="folder written by training.rate.sources")
    parser.add_argument("--machine", default=describe_machine(), help="name of this machine in the table")
    parser.add_argument("--split", default="test", help="dev is for the thresholds, test for the report")
    parser.add_argument("-o", "--out", type=Path, default=RESULT)
    options = parser.parse_args()
    cache = options.voices / f"segments-{options.split}"
    predictions = [
        predict_recording(recording)
        for recording in load_recordings(cache, load_voices(options.voices, options.split), 5)
    ]
    write_results(options.out, format_report(predictions, options.machine, np.random.default_rng(6)))


if __name__ == "__main__":
    main()
