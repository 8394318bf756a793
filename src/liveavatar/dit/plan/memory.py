"""What the engine takes of a GPU and of the machine around it, and how it is made to fit. No torch here.

A ladder of rungs, each for cards of one size: what takes most room for the least loss gives way first. Numbers
follow from sizes; what a pass works with was counted by running the real code on tensors without memory
(`benchmarks/dit_memory.py`).
"""

from dataclasses import dataclass, field

from liveavatar.dit.plan.config import DitConfig, StreamConfig
from liveavatar.errors import EngineError, OptionError

TRANSFORMER_PARAMETERS = 16_295_755_609
"""Of the transformer in full size."""

VAE_BYTES = 254_000_000
"""The autoencoder in bfloat16."""

AUDIO_ENCODER_BYTES = 631_000_000
"""The audio encoder in bfloat16; in float32 it takes twice that."""

TEXT_ENCODER_BYTES = 11_400_000_000
"""In bfloat16. It reads the prompt before the rest is loaded, and is let go."""

MEASURED_AREA = 704 * 384
DECODER_STATE_BYTES = 1_300_000_000
"""What the autoencoder remembers of a stream at 704x384. There are four of them: the portrait's own, before and after
the last block, and the one that is being made."""

DECODING_BYTES = 1_100_000_000
"""What the autoencoder works with at 704x384 beyond that, tiles and all; in proportion to the area at other sizes."""

ACTIVATION_BYTES = 900_000_000
"""What one pass of the transformer works with at 704x384, likewise."""

CUDA_CONTEXT_BYTES = 600_000_000
"""What the driver takes of a card before anything is computed."""

RESERVED_SHARE = 0.04
"""Share of a card that stays free: blocks of memory do not fit together without gaps."""

OFFLOAD_BUFFERS = 2
"""Blocks that are on the device at a time, of those that are streamed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryProfile:
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
    eight_bit_weights: bool = True
    eight_bit_cache: bool = False
    host_cache: bool = False
    max_offloaded_blocks: int = 0
    tiled_decoding: bool = False

    @property
    def offloads_text(self) -> bool:
        """Whether what is needed once a prompt, the text's weights, lies in host memory."""
        return self.eight_bit_weights

    @property
    def offloads_sink(self) -> bool:
        """Whether what is needed once a session, the portrait's own keys, lies there too, which delays its start;
        and whether the audio encoder has half its digits.
        """
        return self.eight_bit_cache

    @property
    def summary(self) -> str:
        """What it does, in a few words."""
        words = [
            (True, "weights in 8 bits" if self.eight_bit_weights else "bfloat16"),
            (self.eight_bit_cache, "past in 8 bits"),
            (self.host_cache, "past in host memory"),
            (self.tiled_decoding, "decoding in tiles"),
        ]
        return ", ".join(word for there, word in words if there)


MEMORY_PROFILES = (
    MemoryProfile(name="96", eight_bit_weights=False),
    MemoryProfile(name="80"),
    MemoryProfile(name="48", eight_bit_cache=True, max_offloaded_blocks=20),
    MemoryProfile(name="24", eight_bit_cache=True, host_cache=True, max_offloaded_blocks=20),
    MemoryProfile(
        name="16", eight_bit_cache=True, host_cache=True, max_offloaded_blocks=40, tiled_decoding=True
    ),
)
"""From the largest cards to the smallest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryEstimate:
    """Bytes of one session: on the GPU by what they are for, and `host`, pinned memory of the machine.

    `ahead` is what the next block's first step would overwrite, put aside while this block may be drawn again.
    """

    weights: int
    kv_cache: int
    snapshot: int
    sink: int
    text: int
    activations: int
    decoding: int
    host: int

    @property
    def gpu_total(self) -> int:
        """All of it on the GPU."""
        return (
            self.weights
            + self.kv_cache
            + self.snapshot
            + self.sink
            + self.text
            + self.activations
            + self.decoding
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """A rung, how many of the transformer's blocks are streamed, and the memory that takes."""

    profile: MemoryProfile
    offloaded_blocks: int
    estimate: MemoryEstimate

    @property
    def summary(self) -> str:
        """One line about it."""
        blocks = f", {self.offloaded_blocks} blocks streamed" if self.offloaded_blocks else ""
        host = f" and {self.estimate.host / 1e9:.0f} GB of host memory" if self.estimate.host else ""
        taken = f"{self.estimate.gpu_total / 1e9:.0f} GB{host}"
        return f"memory {self.profile.name}: {self.profile.summary}{blocks}; takes {taken}"


def estimate_memory(
    config: DitConfig,
    stream: StreamConfig,
    size: tuple[int, int],
    profile: MemoryProfile = MEMORY_PROFILES[0],
    offloaded_blocks: int = 0,
    *,
    wavefront: bool = False,
) -> MemoryEstimate:
    """Memory in full size for frames of (width, height), when so many blocks are streamed.

    The wavefront draws as many blocks at once as there are steps, and each step has a sink of its own. Steps that
    are recorded work in memory of their own.
    """
    recorded = not (wavefront or offloaded_blocks or profile.host_cache)
    tokens = size[0] // 16 * (size[1] // 16)
    share = size[0] * size[1] / MEASURED_AREA
    past = (0 if profile.tiled_decoding else 4) * DECODER_STATE_BYTES
    on_device, on_host = _count_weight_bytes(config, profile, offloaded_blocks)
    sink, sink_on_host = _count_sink_bytes(config, stream, profile, tokens, wavefront=wavefront)
    rings = _count_cache_bytes(config, stream, profile, tokens)
    return MemoryEstimate(
        weights=on_device + VAE_BYTES + (1 if profile.offloads_sink else 2) * AUDIO_ENCODER_BYTES,
        kv_cache=_count_staging_bytes(config, stream, profile, tokens) if profile.host_cache else rings,
        snapshot=0 if wavefront or profile.host_cache else rings // (stream.steps * stream.clip_blocks),
        sink=sink,
        text=config.text_len * _count_token_bytes(config),
        activations=int(ACTIVATION_BYTES * share * (stream.steps if wavefront else 2 if recorded else 1)),
        decoding=int((DECODING_BYTES + past) * share),
        host=on_host + sink_on_host + (rings if profile.host_cache else 0),
    )


def find_memory_profile(name: str) -> MemoryProfile:
    """The rung called `name`; "auto" is the first.

    Raises:
        OptionError: there is none.
    """
    for rung in MEMORY_PROFILES:
        if name in ("auto", rung.name):
            return rung
    raise OptionError(
        f"--memory {name} is no rung of the ladder", f"use auto, {', '.join(r.name for r in MEMORY_PROFILES)}"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """What is to be drawn in full size: how, and frames of which size (width, height)."""

    stream: StreamConfig = field(default_factory=StreamConfig)
    size: tuple[int, int] = (704, 384)
    wavefront: bool = False

    def estimate_memory(self, profile: MemoryProfile, offloaded_blocks: int) -> MemoryEstimate:
        """What that takes."""
        return estimate_memory(
            DitConfig(), self.stream, self.size, profile, offloaded_blocks, wavefront=self.wavefront
        )


def choose_memory_plan(
    available_bytes: int, workload: Workload, *, name: str = "auto", host_bytes: int | None = None
) -> MemoryPlan:
    """The first rung that fits `available` bytes of a card, or the one called `name`; `host` limits host memory.

    A rung that streams does so with as few blocks as it can.

    Raises:
        OptionError: there is no such rung.
        EngineError: nothing fits.
    """
    first = find_memory_profile(name)
    rungs = MEMORY_PROFILES if name == "auto" else (first,)
    room = int(available_bytes * (1 - RESERVED_SHARE))
    for rung in rungs:
        plan = fit_memory_profile(rung, room, workload)
        if plan is not None and (host_bytes is None or plan.estimate.host <= host_bytes):
            return plan
    raise _build_shortage_error(
        available_bytes, host_bytes, workload.estimate_memory(rungs[-1], rungs[-1].max_offloaded_blocks)
    )


def fit_memory_profile(profile: MemoryProfile, available_bytes: int, workload: Workload) -> MemoryPlan | None:
    """The rung with as few streamed blocks as fit `room` bytes; None if it does not fit."""
    for streamed in range(0, profile.max_offloaded_blocks + 1, OFFLOAD_BUFFERS):
        memory = workload.estimate_memory(profile, streamed)
        if memory.gpu_total <= available_bytes:
            return MemoryPlan(profile=profile, offloaded_blocks=streamed, estimate=memory)
    return None


def _build_shortage_error(available_bytes: int, host_bytes: int | None, least: MemoryEstimate) -> EngineError:
    has, needs = (
        f"{available_bytes / 1e9:.0f} GB of GPU memory are free",
        f"{least.gpu_total / (1 - RESERVED_SHARE) / 1e9:.0f} are needed",
    )
    if host_bytes is not None and least.host > host_bytes:
        has += f" and {host_bytes / 1e9:.0f} GB of the machine's"
        needs += f", with {least.host / 1e9:.0f} GB of the machine's"
    return EngineError(f"{has}; {needs}", "use --memory auto, a smaller --size, or a card with more memory")


def find_smaller_profile(profile: MemoryProfile) -> MemoryProfile | None:
    """The next rung down the ladder."""
    index = MEMORY_PROFILES.index(profile) + 1
    return MEMORY_PROFILES[index] if index < len(MEMORY_PROFILES) else None


def _count_token_bytes(config: DitConfig, value_bytes: int = 2) -> int:
    """Keys and values of one token in every layer."""
    return 2 * config.layers * config.dim * value_bytes


def _count_weight_bytes(config: DitConfig, profile: MemoryProfile, offloaded_blocks: int) -> tuple[int, int]:
    """Bytes of the transformer on the device and on the host."""
    number = 1 if profile.eight_bit_weights else 2
    square = config.dim**2
    once = 2 * square * number  # keys and values of the text
    block = (8 * square + 2 * config.dim * config.ffn_dim) * number
    large = config.layers * block + len(config.inject) * 6 * square * number
    kept = (TRANSFORMER_PARAMETERS - large // number) * 2
    parked = (config.layers if profile.offloads_text else 0) * once
    moved = offloaded_blocks * (block - once)
    buffers = OFFLOAD_BUFFERS * (block - once) if offloaded_blocks else 0
    return kept + large - parked - moved + buffers, parked + moved


def _count_cache_bytes(config: DitConfig, stream: StreamConfig, profile: MemoryProfile, tokens: int) -> int:
    number = 1 if profile.eight_bit_cache else 2
    return stream.steps * stream.clip_latents * tokens * _count_token_bytes(config, number)


def _count_staging_bytes(config: DitConfig, stream: StreamConfig, profile: MemoryProfile, tokens: int) -> int:
    """Two layers' past, as it is kept."""
    seen = tokens * 5 // 2 + stream.clip_latents * tokens
    return 2 * seen * 2 * config.dim * (1 if profile.eight_bit_cache else 2)


def _count_sink_bytes(
    config: DitConfig, stream: StreamConfig, profile: MemoryProfile, tokens: int, *, wavefront: bool
) -> tuple[int, int]:
    """Bytes on the device and on the host.

    The sink lies between every two rings, or once beside rings in host memory; it is kept as it was for the sessions
    to come, and made once more when it is renewed. The portrait's own keys are kept as they are before turning.
    """
    whole = tokens * 5 // 2 * _count_token_bytes(config)
    number = 1 if profile.eight_bit_cache else 2
    copies = 1 if profile.host_cache else stream.steps if wavefront else -(-stream.steps // 2)
    portrait = tokens * _count_token_bytes(config) // 2
    on_device = copies * whole * number // 2 + portrait + whole
    return (on_device, whole) if profile.offloads_sink else (on_device + whole, 0)
