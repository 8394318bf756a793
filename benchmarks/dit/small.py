"""The small preset on voices it was never trained on: lips, seams, drift and speed, beside the engine that taught it.

    python -m benchmarks.dit.small [--data DATA] [--minutes 10] [--weights FOLDER]

The recordings are those of the demo, in English and Mandarin, and, with the training data at hand, of its held-out
voices. Videos go through the real session and are judged by `liveavatar sync`: lips by landmarks in the picture; with
pocketsphinx installed, closures by its phones and not by the network that taught the lips.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from benchmarks.machine import describe_machine, results_path, write_results
from benchmarks.mesh.long_run import write_wav
from numpy.typing import NDArray

import liveavatar
from liveavatar.audio.front_end import read_speech
from liveavatar.cli.commands.demo import find_demo_portrait
from liveavatar.dit.codecs.face_window import choose_face_window, cut_face
from liveavatar.dit.codecs.image import SMALL_FACE_PIXELS
from liveavatar.dit.loader import open_models
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.session import DitActor, DitEngine
from liveavatar.engine import Actor
from liveavatar.engines import EngineOptions
from liveavatar.face.portrait import Portrait, load_portrait
from liveavatar.frames import Picture, Samples
from liveavatar.mesh.session import MeshEngine
from liveavatar.sync.measure import measure_sync
from liveavatar.sync.report import build_sync_report

FPS = Fraction(25)
BLOCK_PICTURES = 12
HELD_OUT_SAMPLES = 40 * 16_000
"""What is taken of the voices held out."""

MOUTH = slice(76, 112), slice(40, 88)
"""Rows and columns of mouth and chin in a drawn picture."""

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Recording:
    """Speech at 16 kHz."""

    name: str
    sound: Samples


def read_recordings(data: Path | None) -> Iterator[Recording]:
    """The demo's speech, and the held-out clips of the training data, joined."""
    for language in ("en", "zh"):
        with resources.as_file(resources.files("liveavatar") / "assets" / f"demo_{language}.ogg") as path:
            yield Recording(f"demo, {language}", np.concatenate(list(read_speech(path)[1])))
    if data is not None:
        clips = [np.load(path) for path in sorted(data.glob("test-*.sound.npy"))]
        sound: Samples = (np.concatenate(clips)[:HELD_OUT_SAMPLES] / 32767).astype(np.float32)
        yield Recording("voices held out", sound)


def list_sync(engine: str, recording: Recording, options: EngineOptions) -> str:
    """A row of the table: a recording rendered by an engine, measured from the file."""
    with tempfile.TemporaryDirectory() as folder:
        sound = write_wav(Path(folder) / "speech.wav", iter([recording.sound]))
        video = Path(folder) / "out.mp4"
        liveavatar.open(find_demo_portrait(), engine=engine, **options).render(sound, video, fps=FPS)  # type: ignore[arg-type]
        report = build_sync_report(measure_sync(video))
    low, high = report.offset_interval
    closures = f"{report.closures_met} of {report.closures_heard} ({report.closures_source})"
    return (
        f"| {recording.name} | {engine} | {report.offset:+.0f} ({low:+.0f} … {high:+.0f}) "
        f"| {report.offset_by_loudness:+.0f} | {report.match:.2f} | {closures} | {report.verdict} |"
    )


def draw_faces(actor: Actor, portrait: Portrait, sound: Samples) -> Pictures:
    """The face of every frame, 128x128."""
    session = actor.session(FPS, 0)
    session.push(sound)
    session.flush()
    window = choose_face_window(portrait.landmarks)

    def reduce(rgb: Picture) -> Picture:
        return rgb if len(rgb) == SMALL_FACE_PIXELS else cut_face(rgb, window, SMALL_FACE_PIXELS)

    return np.stack([reduce(frame.rgb) for frame in session.frames()])


def measure_seam(pictures: Pictures) -> float:
    """Mean change from picture to picture at borders of blocks, over that within blocks."""
    change = np.abs(np.diff(pictures.astype(np.float32), axis=0)).mean((1, 2, 3))
    at_border = np.arange(len(change)) % BLOCK_PICTURES == BLOCK_PICTURES - 1
    return float(change[at_border].mean() / change[~at_border].mean())


def measure_likeness(drawn: Pictures, taught: Pictures) -> tuple[float, float]:
    """PSNR of the drawn mouths to the teacher's, and the correlation of the mouths' darkness."""
    mouths = [part[:, MOUTH[0], MOUTH[1]].astype(np.float32) for part in (drawn, taught)]
    psnr = 10 * np.log10(255**2 / np.square(mouths[0] - mouths[1]).mean())
    middles = [mouth[:, 6:24, 12:36].mean((1, 2, 3)) for mouth in mouths]
    return float(psnr), float(np.corrcoef(*middles)[0, 1])


def measure_drift(actor: DitActor, sounds: Sequence[Samples], minutes: float) -> tuple[float, float]:
    """Largest change of the mean picture, in levels, from the first minute to a later one: of a channel's mean, and of
    the mean over pixels."""
    session, means = actor.session(FPS, 0), []
    speech = np.concatenate(list(sounds))
    for _ in range(round(minutes)):
        session.push(np.resize(speech, 60 * 16_000))
        means.append(np.mean([frame.rgb for frame in session.frames()], axis=0))
    changes = np.stack(means[1:]) - means[0]
    return float(np.abs(changes.mean((1, 2))).max()), float(np.abs(changes).mean((1, 2, 3)).max())


def measure_speed(actor: DitActor, sound: Samples) -> tuple[float, float]:
    """Pictures a second, by the clock and by the processor's time."""
    clock, cpu = time.perf_counter(), time.process_time()
    session = actor.session(FPS, 0)
    session.push(sound)
    session.flush()
    count = sum(1 for _ in session.frames())
    return count / (time.perf_counter() - clock), count / (time.process_time() - cpu)


def describe_faces(drawer: DitActor, portrait: Portrait, recordings: Sequence[Recording]) -> list[str]:
    """Rows of the table of seams."""
    teacher = MeshEngine(motion=0.0, gaze="camera").open(portrait, None)
    rows = []
    for recording in recordings:
        drawn, taught = (draw_faces(actor, portrait, recording.sound) for actor in (drawer, teacher))
        seams = [measure_seam(part) for part in (drawn, taught)]
        mouth_seams = [measure_seam(part[:, MOUTH[0], MOUTH[1]]) for part in (drawn, taught)]
        psnr, likeness = measure_likeness(drawn, taught)
        rows.append(
            f"| {recording.name} | {seams[0]:.2f} ({seams[1]:.2f}) | {mouth_seams[0]:.2f} ({mouth_seams[1]:.2f}) "
            f"| {psnr:.1f} | {likeness:.2f} |"
        )
    return rows


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="training data, for its held-out voices")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--weights", type=Path, help="folder of small.safetensors; default: the package's")
    options = parser.parse_args()
    torch.set_num_threads(2)
    recordings = list(read_recordings(options.data))
    engines: dict[str, EngineOptions] = {"dit": {"preset": "small", "folder": options.weights}, "mesh": {}}
    rows = [list_sync(name, recording, given) for recording in recordings for name, given in engines.items()]
    portrait = load_portrait(find_demo_portrait())
    chosen = DitOptions(preset="small", folder=options.weights)
    actor = DitEngine(chosen, open_models(chosen)).open(portrait, None)
    drawer = replace(actor, compose_frame=lambda picture: picture)
    faces = describe_faces(drawer, portrait, recordings)
    by_clock, by_cpu = measure_speed(drawer, recordings[0].sound)
    whole_clock, whole_cpu = measure_speed(actor, recordings[0].sound)
    sounds = [recording.sound for recording in recordings]
    levels, pixels = measure_drift(drawer, sounds, options.minutes)
    text = f"""# The small preset of the diffusion engine

Made by `benchmarks/dit/small.py` on a {describe_machine()}. The portrait is in the training data,
and no voice: the demo's are Kokoro's, those held out one of flite and two of espeak-ng (whose timbres it heard in other
languages).

| speech | engine | offset, ms (95 %) | by loudness | match | closures met | verdict |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}

Change from picture to picture at borders of blocks over that within blocks, in brackets the teacher's, whose pictures
have no blocks; likeness to the teacher's mouth.

| speech | whole face | mouth and chin | mouth's PSNR, dB | correlation of its darkness |
|---|---|---|---|---|
{chr(10).join(faces)}

- {by_clock:.0f} pictures of 128x128 a second on two threads beside other work, {by_cpu:.0f} a second of processor time;
  laid back into the portrait of 512x600, {whole_clock:.0f} and {whole_cpu:.0f}.
- In {options.minutes:.0f} minutes the mean of a channel moves by {levels:.2f} levels at most, the mean picture by
  {pixels:.2f} a pixel.
"""
    write_results(results_path(__file__), text)


if __name__ == "__main__":
    main()
