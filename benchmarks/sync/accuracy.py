"""Accuracy of `liveavatar sync` on videos with known changes: offsets, drifts, other speech, photographs.

    python -m benchmarks.sync.accuracy --speech SOUND…

The videos are a real talking face, once and ten times in a row, and our own renders of the demo's and any further
speech. Their sound is shifted, stretched, swapped, and put under a photograph. Lips are tracked once a video, as the
pixels do not change; every sound is analysed anew. The real face is also shown with fewer pictures a second, in four
phases. The real face is downloaded by pip.
"""

import argparse
import platform
import tempfile
import wave
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import matplotlib as mpl
import numpy as np
import soxr  # type: ignore[import-untyped]
from benchmarks.downloads import download_filmed_man
from benchmarks.machine import describe_machine, results_path, write_results
from numpy.typing import NDArray

import liveavatar
from liveavatar.face.picture import read_picture
from liveavatar.frames import Samples
from liveavatar.sync.audio_track import extract_audio_track, stream_mono_audio
from liveavatar.sync.lip_track import LipTrack, extract_lip_track
from liveavatar.sync.measure import compare_tracks
from liveavatar.sync.report import SyncReport, build_sync_report
from liveavatar.video.reader import open_video
from liveavatar.video.writer import VideoWriter

SHIFTS_MS = (-400, -300, -200, -100, 0, 100, 200, 300, 400)
STRETCH_PERCENTS = (-5.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 5.0)
MIN_DRIFT_SECONDS = 20.0
"""Drifts are measured only in longer videos."""
VERDICTS = ("in step", "late", "early", "drifting", "uncertain", "not the same speech")
OTHER_SPEECH = "not the same speech"
SLOW_RATES = (15, 12, 10, 8)
PHASES = (0.0, 0.25, 0.5, 0.75)
"""At which part of the time between two slow pictures the first one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The lips of a video and its sound at 16 kHz."""

    name: str
    lip_track: LipTrack
    sound: Samples

    @property
    def seconds(self) -> float:
        """Duration of the pictures."""
        return float(self.lip_track.times[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One change of a subject: lips late by `offset` ms at the start, and `drift` ms a minute."""

    subject: str
    what: str
    truth: str
    offset: float
    drift: float
    found: SyncReport


def make_subject(name: str, video: Path) -> Subject:
    """Track the lips and read the sound."""
    with open_video(video) as file:
        return Subject(
            name=name, lip_track=extract_lip_track(file), sound=np.concatenate(list(stream_mono_audio(video)))
        )


def repeat_subject(one: Subject, times: int) -> Subject:
    """The same video several times in a row."""
    length = len(one.sound) / 16_000
    starts = np.repeat(np.arange(times) * length, len(one.lip_track.times))
    lip_track = LipTrack(
        times=np.tile(one.lip_track.times, times) + starts,
        openings=np.tile(one.lip_track.openings, times),
        frame_seconds=one.lip_track.frame_seconds,
    )
    return Subject(name=f"{one.name}, {times} times", lip_track=lip_track, sound=np.tile(one.sound, times))


def render_speech(folder: Path, speech: Path) -> Path:
    """A video of our own engine from a recording."""
    output = folder / f"{speech.stem}.mp4"
    liveavatar.open(find_photograph(), size=(256, 304)).render(speech, output)
    return output


def find_photograph() -> Path:
    """A public-domain portrait that comes with matplotlib."""
    return Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def track_photograph(folder: Path, seconds: float) -> LipTrack:
    """The lips of a video that shows a photograph."""
    rgb = read_picture(find_photograph())
    rgb = np.ascontiguousarray(rgb[: rgb.shape[0] & ~1, : rgb.shape[1] & ~1])
    path = folder / "still.mp4"
    with VideoWriter(path, Fraction(25), (rgb.shape[1], rgb.shape[0])) as writer:
        for _ in range(round(25 * seconds)):
            writer.write(rgb)
    with open_video(path) as video:
        return extract_lip_track(video)


def shift_sound(sound: Samples, early: float, stretch: float) -> Samples:
    """The sound `early` seconds earlier, and faster by `stretch` percent."""
    faster = soxr.resample(sound, 16_000 * (1 + stretch / 100), 16_000, quality="VHQ") if stretch else sound
    shift = round(early * 16_000)
    return np.asarray(
        faster[shift:] if shift >= 0 else np.concatenate([np.zeros(-shift, np.float32), faster])
    )


def measure_case(name: str, lip_track: LipTrack, sound: Samples, folder: Path) -> SyncReport:
    """Compare lips with a sound that is read from a file, as in the command."""
    path = folder / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return build_sync_report(compare_tracks(Path(name), lip_track, extract_audio_track(path), 0.0))


def slow_pictures(lip_track: LipTrack, fps: int, phase: float) -> tuple[LipTrack, float]:
    """The video with `fps` pictures a second, each held until the next one; and by how many ms that is later."""
    starts = lip_track.times - lip_track.frame_seconds / 2
    shown = np.arange(starts[0] + phase / fps, starts[-1], 1 / fps)
    picked = np.searchsorted(starts, shown + 1e-6, side="right") - 1
    times = shown + 0.5 / fps
    slow = LipTrack(times=times, openings=lip_track.openings[picked], frame_seconds=1 / fps)
    return slow, 1000 * float((times - lip_track.times[picked]).mean())


def measure_slow_pictures(one: Subject, folder: Path) -> list[str]:
    """The table of frame rates."""
    lines = ["## Pictures a second", "",
             f"The {one.name} ({one.seconds:.1f} s) with fewer pictures, in four phases. Each picture is held, which "
             "makes lips later by the third column.", "",
             "| pictures a second | phase | later by | measured | confident | match | verdict |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for fps in SLOW_RATES:
        for phase in PHASES:
            slow, later = slow_pictures(one.lip_track, fps, phase)
            found = measure_case(one.name, slow, one.sound, folder)
            low, high = found.offset_interval
            lines.append(
                f"| {fps} | {phase:g} | {later:.0f} ms | {found.offset:+.0f} ms ({low:+.0f} to {high:+.0f}) | "
                f"{'yes' if found.confident else 'no'} | {found.match:.2f} | {found.verdict} |"
            )
    return lines


def measure_cases(subjects: list[Subject], folder: Path) -> Iterator[Case]:
    """All changes of all subjects."""
    for one in subjects:
        for shift in SHIFTS_MS:
            found = measure_case(one.name, one.lip_track, shift_sound(one.sound, shift / 1000, 0), folder)
            yield Case(
                subject=one.name,
                what=f"{shift:+d} ms",
                truth=expected_verdict(shift),
                offset=shift,
                drift=0,
                found=found,
            )
        for stretch in STRETCH_PERCENTS if one.seconds > MIN_DRIFT_SECONDS else ():
            found = measure_case(one.name, one.lip_track, shift_sound(one.sound, 0, stretch), folder)
            drift = 60_000 * (1 - 1 / (1 + stretch / 100))
            yield Case(
                subject=one.name, what=f"{stretch:+g} %", truth="drifting", offset=0, drift=drift, found=found
            )
        for other in subjects:
            if other.name.split(",")[0] != one.name.split(",")[0]:
                found = measure_case(one.name, one.lip_track, other.sound, folder)
                what = f"sound of {other.name}"
                yield Case(subject=one.name, what=what, truth=OTHER_SPEECH, offset=0, drift=0, found=found)
    photo = track_photograph(folder, 12)
    for one in subjects:
        found = measure_case("photograph", photo, one.sound, folder)
        what = f"sound of {one.name}"
        yield Case(subject="photograph", what=what, truth=OTHER_SPEECH, offset=0, drift=0, found=found)


def expected_verdict(shift: float) -> str:
    """The verdict on lips that are late by `shift` ms."""
    return "late" if shift > 40 else "early" if shift < -60 else "in step"


def format_results(cases: list[Case], subjects: list[Subject], frame_rates: list[str]) -> str:
    """The results as markdown; `frame_rates` is the table of `measure_slow_pictures`."""
    lines = [
        "# Accuracy of `liveavatar sync` on videos with known changes",
        "",
        f"Made by `benchmarks/sync/accuracy.py` on a {describe_machine()}, Python {platform.python_version()}.",
    ]
    lines += [
        "",
        "## Verdicts",
        "",
        "| truth \\ verdict | " + " | ".join(VERDICTS) + " |",
        "|---|" + "---|" * len(VERDICTS),
    ]
    counts = Counter((case.truth, str(case.found.verdict)) for case in cases)
    lines += [
        f"| {true} | " + " | ".join(str(counts[true, found]) for found in VERDICTS) + " |"
        for true in VERDICTS
    ]
    lines += [
        "",
        *format_offsets(cases, subjects),
        "",
        *format_drifts(cases, subjects),
        "",
        *format_other_speech(cases),
        "",
        *frame_rates,
    ]
    return "\n".join(lines) + "\n"


def list_errors(cases: list[Case], name: str) -> NDArray[np.float64]:
    """Measured minus true offsets of one subject, ms."""
    return np.array([c.found.offset - c.offset for c in cases if c.subject == name and c.what.endswith("ms")])


def format_offsets(cases: list[Case], subjects: list[Subject]) -> list[str]:
    """The table of offsets from -400 to 400 ms."""
    lines = ["## Offsets, -400 to +400 ms", "",
             "Errors are against the true shift; in the last column, less the offset of the unchanged video.", "",
             "| video | seconds | unchanged | by loudness alone | match | worst error | worst error beyond its own |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for one in subjects:
        off = list_errors(cases, one.name)
        own = next(c.found for c in cases if c.subject == one.name and c.what == "+0 ms")
        low, high = own.offset_interval
        lines.append(
            f"| {one.name} | {one.seconds:.1f} | {own.offset:+.0f} ms ({low:+.0f} to {high:+.0f}) | "
            f"{own.offset_by_loudness:+.0f} ms | {own.match:.2f} | {np.abs(off).max():.0f} ms | "
            f"{np.abs(off - own.offset).max():.0f} ms |"
        )
    return lines


def format_drifts(cases: list[Case], subjects: list[Subject]) -> list[str]:
    """The table of stretches of 0.5 to 5 %."""
    lines = ["## Drifts, in ms a minute", "",
             "| video | " + " | ".join(f"{s:+g} %" for s in STRETCH_PERCENTS) + " | worst error | beyond its own |",
             "|---|" + "---|" * (len(STRETCH_PERCENTS) + 2)]  # fmt: skip
    for one in subjects:
        stretched = [c for c in cases if c.subject == one.name and c.truth == "drifting"]
        if stretched:
            own = next(c.found.drift for c in cases if c.subject == one.name and c.what == "+0 ms")
            worst, beyond = (
                max(abs((c.found.drift - own * k) / c.drift - 1) for c in stretched) for k in (0, 1)
            )
            cells = " | ".join(f"{c.found.drift:+.0f}" for c in stretched)
            lines.append(f"| {one.name} | {cells} | {worst:.1%} | {beyond:.1%} |")
    true = " | ".join(f"{60_000 * (1 - 1 / (1 + s / 100)):+.0f}" for s in STRETCH_PERCENTS)
    return [*lines, f"| true | {true} | | |"]


def format_other_speech(cases: list[Case]) -> list[str]:
    """How much the matches of the same and of other speech differ."""
    same = [c.found.match - c.found.needed for c in cases if c.truth != OTHER_SPEECH]
    other = [c.found.match - c.found.needed for c in cases if c.truth == OTHER_SPEECH]
    return ["## Other speech", "",
            "Match above the needed one: "
            f"the same speech {min(same):+.2f} to {max(same):+.2f} ({len(same)} videos), "
            f"another or a photograph {min(other):+.2f} to {max(other):+.2f} ({len(other)})."]  # fmt: skip


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", nargs="*", type=Path, default=[], help="further recordings to render")
    parser.add_argument("-o", "--output", type=Path, default=results_path(__file__))
    options = parser.parse_args()
    assets = Path(liveavatar.__file__).parent / "assets"
    speech = [assets / "demo_en.ogg", assets / "demo_zh.ogg", *options.speech]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real = make_subject("real face", download_filmed_man())
        ours = [make_subject(f"render of {one.stem}", render_speech(folder, one)) for one in speech]
        subjects = [real, repeat_subject(real, 10), *ours]
        cases = []
        for case in measure_cases(subjects, folder):
            found = case.found
            print(f"{case.subject}, {case.what}: {found.verdict}, {found.offset:+.0f} ms, {found.drift:+.0f}")
            cases.append(case)
        frame_rates = measure_slow_pictures(real, folder)
    write_results(options.output, format_results(cases, subjects, frame_rates))


if __name__ == "__main__":
    main()
