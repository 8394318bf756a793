"""The live room without a network: what a session costs, and how long sound takes to become packets.

    python -m benchmarks.live.room [--seconds 20] [--segments 20]

The cost is CPU time of the session's thread for each second of its timeline, on a clock that does not wait. The
latency is measured in real time: from the first chunk of a segment to the packets of its first frame.
"""

import argparse
import os
import time
from fractions import Fraction
from importlib import resources
from pathlib import Path
from statistics import median
from threading import Event

import cv2
import matplotlib as mpl
import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results

import liveavatar
from liveavatar.audio.front_end import read_speech
from liveavatar.avatar import Avatar
from liveavatar.frames import Samples
from liveavatar.live.encoder.stream import LiveStreamEncoder
from liveavatar.live.messages import LiveFrame, MediaPacket
from liveavatar.live.runner import SessionRunner
from liveavatar.live.session import LiveOptions, LiveSession
from liveavatar.live.viewers import Viewer

SIZE = (512, 512)
RATE = 24_000
CHUNK_SECONDS = 0.2


class SteppedClock:
    """A clock that stands at the time that it was set to."""

    now = 0.0

    def read_time(self) -> float:
        """The time that it was set to."""
        return self.now

    def wait_until(self, moment: float, wake: Event) -> None:
        """Never called: nothing waits."""


class TimedEncoder(LiveStreamEncoder):
    """Adds up the CPU time of encoding, and the bytes."""

    cpu_seconds = 0.0
    byte_count = 0

    def encode_frame(self, live: LiveFrame, is_key: bool) -> list[MediaPacket]:
        """The packets of the next frame."""
        start = time.thread_time()
        packets = super().encode_frame(live, is_key)
        TimedEncoder.cpu_seconds += time.thread_time() - start
        TimedEncoder.byte_count += sum(len(packet.data) for packet in packets)
        return packets


def read_demo_speech() -> Samples:
    """The demo's speech at 24 kHz, as most voices have it."""
    with resources.as_file(resources.files("liveavatar") / "assets" / "demo_en.ogg") as path:
        speech = np.concatenate(list(read_speech(path)[1]))
    times = np.arange(len(speech) * RATE // 16_000) * (16_000 / RATE)
    return np.asarray(np.interp(times, np.arange(len(speech)), speech), np.float32)


def measure_cost(avatar: Avatar, seconds: float, speech: Samples | None) -> tuple[float, float, float]:
    """CPU seconds a second in all, those of encoding, and kbit/s."""
    clock, viewer = SteppedClock(), Viewer()
    session = LiveSession(avatar.actor, LiveOptions(), clock=clock, make_encoder=TimedEncoder)
    session.add_viewer(viewer)
    run_until(session, clock, 1.0)
    if speech is not None:
        segment = session.open_segment()
        for chunk in np.split(
            np.resize(speech, round(seconds * RATE)), range(4800, round(seconds * RATE), 4800)
        ):
            segment.push(chunk, RATE)
    TimedEncoder.cpu_seconds, TimedEncoder.byte_count = 0.0, 0
    start = time.thread_time()
    run_until(session, clock, 1.0 + seconds)
    cost = time.thread_time() - start
    return (
        cost / seconds,
        TimedEncoder.cpu_seconds / seconds,
        TimedEncoder.byte_count * 8 / seconds / 1000,
    )


def run_until(session: LiveSession, clock: SteppedClock, end: float) -> None:
    """Make the frames that are due by `end`."""
    while session.next_due_time < end:
        clock.now = session.next_due_time
        session.advance()


def measure_latency(avatar: Avatar, segments: int, speech: Samples) -> str:
    """The budget after so many short segments in real time."""
    session, viewer = LiveSession(avatar.actor, LiveOptions()), Viewer()
    session.add_viewer(viewer)
    runner = SessionRunner(session)
    runner.start()
    random = np.random.default_rng(0)
    for _ in range(segments):
        segment = session.open_segment()
        for chunk in np.array_split(speech[: RATE // 2], 3):
            segment.push(chunk, RATE)
        segment.end()
        time.sleep(1.0 + random.random() / 25)
        viewer.take_messages()
    runner.stop()
    lines = ["| stage | median | p95 | n |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {latency.stage.value} | {latency.median_ms:.1f} ms | {latency.p95_ms:.1f} ms | {latency.count} |"
        for latency in session.budget.summarise_stages()
    ]
    return "\n".join([*lines, "", f"The stream was postponed by {session.postponed_seconds:.2f} s in all."])


def describe_costs(costs: list[tuple[float, float, float]], name: str) -> str:
    """A row of the table: the medians of some runs."""
    total, encoding, rate = (median(values) for values in zip(*costs, strict=True))
    return f"| {name} | {100 * total:.1f} % | {100 * encoding:.1f} % | {rate:.0f} kbit/s | {2 / total:.1f} |"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--segments", type=int, default=20)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    portrait = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    avatar, speech = liveavatar.open(portrait, size=SIZE), read_demo_speech()
    load = os.getloadavg()[0]
    rows = [
        describe_costs([measure_cost(avatar, arguments.seconds, sound) for _ in range(3)], name)
        for name, sound in (("speaking", speech), ("idle", None))
    ]
    latency = measure_latency(avatar, arguments.segments, speech)
    text = "\n".join(
        [
            "# The live room, without a network", "",
            f"{describe_machine()}; mesh engine, {SIZE[0]}x{SIZE[1]}, {Fraction(25)} frames a second, label and",
            f"watermark on, one viewer; the load average was {load:.1f} when it began. Written by",
            "`benchmarks.live.room`.",
            "", "## CPU of a session, of one core", "",
            "| session | in all | H.264 and Opus | rate | sessions on two cores |",
            "| --- | --- | --- | --- | --- |", *rows,
            "", "## Sound in to frame out, one session in real time", "", latency, "",
        ]
    )  # fmt: skip
    write_results(results_path(__file__), text)
    print(text)


if __name__ == "__main__":
    main()
