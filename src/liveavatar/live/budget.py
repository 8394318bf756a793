"""Where each millisecond goes, from sound in to frame out."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from threading import Lock

import numpy as np

from liveavatar.live.clock import Clock

_KEPT_FRAMES = 1500  # a minute at 25 fps


class LatencyStage(Enum):
    """A part of the way. `TOTAL` is from the first chunk of a segment to the packets of its first frame."""

    QUEUE = "queue"
    LOOKAHEAD = "lookahead"
    DRAW = "draw"
    ENCODE = "encode"
    PUBLISH = "publish"
    LATE = "late"
    TOTAL = "total"


STAGE_MEANINGS = {
    LatencyStage.QUEUE: "a segment's first sound waits for the next frame",
    LatencyStage.LOOKAHEAD: "sound that the engine needs after a frame, or to draw a block",
    LatencyStage.DRAW: "the engine draws and marks the frame",
    LatencyStage.ENCODE: "H.264 and Opus",
    LatencyStage.PUBLISH: "the packets reach the queues of the viewers",
    LatencyStage.LATE: "the frame starts after it was due",
    LatencyStage.TOTAL: "a segment's first sound in, its first frame out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLatency:
    """Milliseconds of a stage: median and 95th percentile of the last `count` measurements."""

    stage: LatencyStage
    median_ms: float
    p95_ms: float
    count: int


class LatencyBudget:
    """Collects durations by stage. Any thread may read it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._seconds = {stage: deque[float](maxlen=_KEPT_FRAMES) for stage in LatencyStage}

    def add_duration(self, stage: LatencyStage, seconds: float) -> None:
        """Add a measurement."""
        with self._lock:
            self._seconds[stage].append(seconds)

    @contextmanager
    def measure_stage(self, stage: LatencyStage) -> Iterator[None]:
        """Add the duration of a `with` block."""
        start = self._clock.read_time()
        yield
        self.add_duration(stage, self._clock.read_time() - start)

    def summarise_stages(self) -> list[StageLatency]:
        """The stages that were measured, in the order of the way."""
        with self._lock:
            measured = {stage: np.array(seconds) for stage, seconds in self._seconds.items() if seconds}
        return [
            StageLatency(
                stage=stage,
                median_ms=1000 * float(np.median(seconds)),
                p95_ms=1000 * float(np.percentile(seconds, 95)),
                count=len(seconds),
            )
            for stage, seconds in measured.items()
        ]

    def format_table(self) -> str:
        """The stages as lines of text."""
        lines = [f"{'stage':10} {'median':>8} {'p95':>8}   what"]
        lines += [
            f"{latency.stage.value:10} {latency.median_ms:5.0f} ms {latency.p95_ms:5.0f} ms   "
            f"{STAGE_MEANINGS[latency.stage]}"
            for latency in self.summarise_stages()
        ]
        return "\n".join(lines)
