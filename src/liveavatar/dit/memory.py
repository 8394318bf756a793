"""What the engine takes of a GPU and of the machine around it, and how it is made to fit. No torch here.

A ladder of rungs, each for cards of one size: what takes most room for the least loss gives way first. Numbers
follow from sizes; what a pass works with was counted by running the real code on tensors without memory
(`benchmarks/dit_memory.py`).
"""

from dataclasses import dataclass, field

from liveavatar.dit.config import DitConfig, StreamConfig
from liveavatar.errors import EngineError, OptionError

PARAMETERS = 16_295_755_609
"""Of the transformer in full size."""

VAE = 254_000_000
"""The autoencoder in bfloat16."""

AUDIO = 631_000_000
"""The audio encoder in bfloat16; in float32 it takes twice that."""

TEXT_ENCODER = 11_400_000_000
"""In bfloat16. It reads the prompt before the rest is loaded, and is let go."""

MEASURED_AREA = 704 * 384
DECODER_PAST = 1_300_000_000
"""What the autoencoder remembers of a stream at 704x384. There are four of them: the portrait's own, before and after
the last block, and the one that is being made."""

DECODING = 1_100_000_000
"""What the autoencoder works with at 704x384 beyond that, tiles and all; in proportion to the area at other sizes."""

WORKING = 900_000_000
"""What one pass of the transformer works with at 704x384, likewise."""

CONTEXT = 600_000_000
"""What the driver takes of a card before anything is computed."""

SPARE = 0.04
"""Share of a card that stays free: blocks of memory do not fit together without gaps."""

BUFFERS = 2
"""Blocks that are on the device at a time, of those that are streamed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """One way to fit.

    Attributes:
        name: what `--memory` calls it: gigabytes of the card it is made for.
        eight: large weights have eight bits: FP8 where the card multiplies that, else int8.
        eight_rings: what a session remembers has eight bits too.
        host_rings: it lies in host memory and is copied layer by layer.
        streams: how many blocks may lie in host memory, and be copied before they compute; as few do as fit.
        tiles: the autoencoder decodes in tiles, whose past lies in host memory.
    """

    name: str
    eight: bool = True
    eight_rings: bool = False
    host_rings: bool = False
    streams: int = 0
    tiles: bool = False

    @property
    def parks(self) -> bool:
        """Whether what is needed once a prompt, the text's weights, lies in host memory."""
        return self.eight

    @property
    def frugal(self) -> bool:
        """Whether what is needed once a session, the portrait's own keys, lies there too, which delays its start;
        and whether the audio encoder has half its digits.
        """
        return self.eight_rings

    @property
    def says(self) -> str:
        """What it does, in a few words."""
        words = [
            (True, "weights in 8 bits" if self.eight else "bfloat16"),
            (self.eight_rings, "past in 8 bits"),
            (self.host_rings, "past in host memory"),
            (self.tiles, "decoding in tiles"),
        ]
        return ", ".join(word for there, word in words if there)


RUNGS = (
    Rung(name="96", eight=False),
    Rung(name="80"),
    Rung(name="48", eight_rings=True, streams=20),
    Rung(name="24", eight_rings=True, host_rings=True, streams=20),
    Rung(name="16", eight_rings=True, host_rings=True, streams=40, tiles=True),
)
"""From the largest cards to the smallest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes of one session: on the GPU by what they are for, and `host`, pinned memory of the machine.

    `ahead` is what the next block's first step would overwrite, put aside while this block may be drawn again.
    """

    weights: int
    rings: int
    ahead: int
    sink: int
    text: int
    working: int
    decoding: int
    host: int

    @property
    def total(self) -> int:
        """All of it on the GPU."""
        return self.weights + self.rings + self.ahead + self.sink + self.text + self.working + self.decoding


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A rung, how many of the transformer's blocks are streamed, and the memory that takes."""

    rung: Rung
    streamed: int
    memory: Memory

    @property
    def line(self) -> str:
        """One line about it."""
        blocks = f", {self.streamed} blocks streamed" if self.streamed else ""
        host = f" and {self.memory.host / 1e9:.0f} GB of host memory" if self.memory.host else ""
        taken = f"{self.memory.total / 1e9:.0f} GB{host}"
        return f"memory {self.rung.name}: {self.rung.says}{blocks}; takes {taken}"


def predict(
    config: DitConfig,
    stream: StreamConfig,
    size: tuple[int, int],
    rung: Rung = RUNGS[0],
    streamed: int = 0,
    *,
    wavefront: bool = False,
) -> Memory:
    """Memory in full size for frames of (width, height), when so many blocks are streamed.

    The wavefront draws as many blocks at once as there are steps, and each step has a sink of its own. Steps that
    are recorded work in memory of their own.
    """
    recorded = not (wavefront or streamed or rung.host_rings)
    tokens = size[0] // 16 * (size[1] // 16)
    share = size[0] * size[1] / MEASURED_AREA
    past = (0 if rung.tiles else 4) * DECODER_PAST
    on_device, on_host = _weights(config, rung, streamed)
    sink, sink_on_host = _sink(config, stream, rung, tokens, wavefront=wavefront)
    rings = _ring_bytes(config, stream, rung, tokens)
    return Memory(
        weights=on_device + VAE + (1 if rung.frugal else 2) * AUDIO,
        rings=_staging(config, stream, rung, tokens) if rung.host_rings else rings,
        ahead=0 if wavefront or rung.host_rings else rings // (stream.steps * stream.clip_blocks),
        sink=sink,
        text=config.text_len * _vector(config),
        working=int(WORKING * share * (stream.steps if wavefront else 2 if recorded else 1)),
        decoding=int((DECODING + past) * share),
        host=on_host + sink_on_host + (rings if rung.host_rings else 0),
    )


def find_rung(name: str) -> Rung:
    """The rung called `name`; "auto" is the first.

    Raises:
        OptionError: there is none.
    """
    for rung in RUNGS:
        if name in ("auto", rung.name):
            return rung
    raise OptionError(
        f"--memory {name} is no rung of the ladder", f"use auto, {', '.join(r.name for r in RUNGS)}"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is to be drawn in full size: how, and frames of which size (width, height)."""

    stream: StreamConfig = field(default_factory=StreamConfig)
    size: tuple[int, int] = (704, 384)
    wavefront: bool = False

    def memory(self, rung: Rung, streamed: int) -> Memory:
        """What that takes."""
        return predict(DitConfig(), self.stream, self.size, rung, streamed, wavefront=self.wavefront)


def choose(available: int, job: Job, *, name: str = "auto", host: int | None = None) -> Plan:
    """The first rung that fits `available` bytes of a card, or the one called `name`; `host` limits host memory.

    A rung that streams does so with as few blocks as it can.

    Raises:
        OptionError: there is no such rung.
        EngineError: nothing fits.
    """
    first = find_rung(name)
    rungs = RUNGS if name == "auto" else (first,)
    room = int(available * (1 - SPARE))
    for rung in rungs:
        plan = fitted(rung, room, job)
        if plan is not None and (host is None or plan.memory.host <= host):
            return plan
    raise _too_small(available, host, job.memory(rungs[-1], rungs[-1].streams))


def fitted(rung: Rung, room: int, job: Job) -> Plan | None:
    """The rung with as few streamed blocks as fit `room` bytes; None if it does not fit."""
    for streamed in range(0, rung.streams + 1, BUFFERS):
        memory = job.memory(rung, streamed)
        if memory.total <= room:
            return Plan(rung=rung, streamed=streamed, memory=memory)
    return None


def _too_small(available: int, host: int | None, least: Memory) -> EngineError:
    has, needs = (
        f"{available / 1e9:.0f} GB of GPU memory are free",
        f"{least.total / (1 - SPARE) / 1e9:.0f} are needed",
    )
    if host is not None and least.host > host:
        has += f" and {host / 1e9:.0f} GB of the machine's"
        needs += f", with {least.host / 1e9:.0f} GB of the machine's"
    return EngineError(f"{has}; {needs}", "use --memory auto, a smaller --size, or a card with more memory")


def below(rung: Rung) -> Rung | None:
    """The next rung down the ladder."""
    index = RUNGS.index(rung) + 1
    return RUNGS[index] if index < len(RUNGS) else None


def _vector(config: DitConfig, number: int = 2) -> int:
    """Keys and values of one token in every layer."""
    return 2 * config.layers * config.dim * number


def _weights(config: DitConfig, rung: Rung, streamed: int) -> tuple[int, int]:
    """Bytes of the transformer on the device and on the host."""
    number = 1 if rung.eight else 2
    square = config.dim**2
    once = 2 * square * number  # keys and values of the text
    block = (8 * square + 2 * config.dim * config.ffn_dim) * number
    large = config.layers * block + len(config.inject) * 6 * square * number
    kept = (PARAMETERS - large // number) * 2
    parked = (config.layers if rung.parks else 0) * once
    moved = streamed * (block - once)
    buffers = BUFFERS * (block - once) if streamed else 0
    return kept + large - parked - moved + buffers, parked + moved


def _ring_bytes(config: DitConfig, stream: StreamConfig, rung: Rung, tokens: int) -> int:
    number = 1 if rung.eight_rings else 2
    return stream.steps * stream.clip_latents * tokens * _vector(config, number)


def _staging(config: DitConfig, stream: StreamConfig, rung: Rung, tokens: int) -> int:
    """Two layers' past, as it is kept."""
    seen = tokens * 5 // 2 + stream.clip_latents * tokens
    return 2 * seen * 2 * config.dim * (1 if rung.eight_rings else 2)


def _sink(
    config: DitConfig, stream: StreamConfig, rung: Rung, tokens: int, *, wavefront: bool
) -> tuple[int, int]:
    """Bytes on the device and on the host.

    The sink lies between every two rings, or once beside rings in host memory; it is kept as it was for the sessions
    to come, and made once more when it is renewed. The portrait's own keys are kept as they are before turning.
    """
    whole = tokens * 5 // 2 * _vector(config)
    number = 1 if rung.eight_rings else 2
    copies = 1 if rung.host_rings else stream.steps if wavefront else -(-stream.steps // 2)
    portrait = tokens * _vector(config) // 2
    on_device = copies * whole * number // 2 + portrait + whole
    return (on_device, whole) if rung.frugal else (on_device + whole, 0)
