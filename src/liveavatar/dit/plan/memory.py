"""Memory that the engine takes of a GPU and of the host, and profiles that make it fit. No torch here.

Each profile is for cards of one size: first go the savings that free the most memory for the least loss. Sizes follow
from the configuration; activations and decoder state were counted by `benchmarks/dit/memory.py`, which runs the real
code on tensors without storage.
"""

from dataclasses import dataclass, field

from liveavatar.dit.plan.config import DitConfig, StreamConfig
from liveavatar.errors import EngineError, OptionError

TRANSFORMER_PARAMETERS = 16_295_755_609
"""Parameters of the transformer in full size, counted."""

VAE_BYTES = 254_000_000
"""The autoencoder in bfloat16."""

AUDIO_ENCODER_BYTES = 631_000_000
"""The audio encoder in bfloat16; twice that in float32."""

TEXT_ENCODER_BYTES = 11_400_000_000
"""The text encoder in bfloat16. It encodes the prompt before the rest is loaded, and is freed."""

DEFAULT_SIZE = (704, 384)
"""Width and height of the frames of the public reference."""

MEASURED_AREA = DEFAULT_SIZE[0] * DEFAULT_SIZE[1]
"""Pixels of the frames for which the bytes below were counted."""

DECODER_STATE_BYTES = 1_300_000_000
"""The autoencoder's past of one stream at 704x384. There are four: the portrait's own, those before and after the last
block, and the one being computed."""

DECODING_BYTES = 1_100_000_000
"""Activations of decoding at 704x384, with or without tiles; proportional to the area."""

ACTIVATION_BYTES = 900_000_000
"""Activations of one pass of the transformer at 704x384; proportional to the area."""

CUDA_CONTEXT_BYTES = 600_000_000
"""What the driver takes of a card before anything is computed."""

RESERVED_SHARE = 0.04
"""Share of a card that stays free, for fragmentation of PyTorch's allocator."""

OFFLOAD_BUFFERS = 2
"""Offloaded blocks that are on the device at a time: one computes while the next is copied."""

PIXELS_PER_TOKEN_SIDE = 16
"""Side of the square of pixels that becomes one token: 8 in the autoencoder, 2 in the transformer's patches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryProfile:
    """One set of savings.

    Attributes:
        name: value of `--memory`: gigabytes of the card that the profile is made for.
        eight_bit_weights: large weights are FP8 where the card multiplies FP8, else int8.
        eight_bit_cache: the KV cache is FP8.
        host_cache: the KV cache lies in host memory and is copied layer by layer.
        max_offloaded_blocks: blocks that may lie in host memory and be copied before they compute. A plan takes the
            fewest that fit.
        tiled_decoding: the autoencoder decodes in tiles, whose past lies in host memory.
    """

    name: str
    eight_bit_weights: bool = True
    eight_bit_cache: bool = False
    host_cache: bool = False
    max_offloaded_blocks: int = 0
    tiled_decoding: bool = False

    @property
    def offloads_text(self) -> bool:
        """Whether weights that are needed once a prompt, for keys and values of the text, lie in host memory."""
        return self.eight_bit_weights

    @property
    def offloads_sink(self) -> bool:
        """Whether the portrait's sink, needed once a session, lies in host memory. This delays a session's start."""
        return self.eight_bit_cache

    @property
    def half_audio_encoder(self) -> bool:
        """Whether the audio encoder is in bfloat16 instead of float32."""
        return self.eight_bit_cache

    @property
    def summary(self) -> str:
        """The savings in a few words."""
        savings = [
            (True, "weights in 8 bits" if self.eight_bit_weights else "bfloat16"),
            (self.eight_bit_cache, "KV cache in 8 bits"),
            (self.host_cache, "KV cache in host memory"),
            (self.tiled_decoding, "tiled decoding"),
        ]
        return ", ".join(words for is_used, words in savings if is_used)


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
    """Bytes of one session: on the GPU by use, and `host`, pinned memory of the machine.

    `snapshot` holds what the next block's first step overwrites in the KV cache, while this block may be drawn again.
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
        """All bytes on the GPU."""
        session = self.kv_cache + self.snapshot + self.sink + self.text
        return self.weights + session + self.activations + self.decoding


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """A profile, the number of offloaded blocks of the transformer, and the memory of both."""

    profile: MemoryProfile
    offloaded_blocks: int
    estimate: MemoryEstimate

    @property
    def summary(self) -> str:
        """One line."""
        blocks = f", {self.offloaded_blocks} blocks offloaded" if self.offloaded_blocks else ""
        host = f" and {self.estimate.host / 1e9:.0f} GB of host memory" if self.estimate.host else ""
        memory = f"{self.estimate.gpu_total / 1e9:.0f} GB{host}"
        return f"memory {self.profile.name}: {self.profile.summary}{blocks}; takes {memory}"


def estimate_memory(
    config: DitConfig,
    stream: StreamConfig,
    size: tuple[int, int],
    profile: MemoryProfile = MEMORY_PROFILES[0],
    offloaded_blocks: int = 0,
    *,
    wavefront: bool = False,
) -> MemoryEstimate:
    """Memory in full size for frames of (width, height), with this many offloaded blocks.

    The wavefront draws as many blocks at once as there are steps, and each step has its own sink. Steps recorded as
    CUDA graphs have activations of their own.
    """
    recorded = not (wavefront or offloaded_blocks or profile.host_cache)
    tokens = count_frame_tokens(size)
    share = size[0] * size[1] / MEASURED_AREA
    decoder_states = (0 if profile.tiled_decoding else 4) * DECODER_STATE_BYTES
    gpu_weights, host_weights = _count_weight_bytes(config, profile, offloaded_blocks)
    gpu_sink, host_sink = _count_sink_bytes(config, stream, profile, tokens, wavefront=wavefront)
    cache = _count_cache_bytes(config, stream, profile, tokens)
    return MemoryEstimate(
        weights=gpu_weights + VAE_BYTES + (1 if profile.half_audio_encoder else 2) * AUDIO_ENCODER_BYTES,
        kv_cache=_count_staging_bytes(config, stream, profile, tokens) if profile.host_cache else cache,
        snapshot=0 if wavefront or profile.host_cache else cache // (stream.steps * stream.clip_blocks),
        sink=gpu_sink,
        text=config.text_len * _count_token_bytes(config),
        activations=int(ACTIVATION_BYTES * share * (stream.steps if wavefront else 2 if recorded else 1)),
        decoding=int((DECODING_BYTES + decoder_states) * share),
        host=host_weights + host_sink + (cache if profile.host_cache else 0),
    )


def count_frame_tokens(size: tuple[int, int]) -> int:
    """Tokens of one latent frame for frames of (width, height)."""
    return size[0] // PIXELS_PER_TOKEN_SIDE * (size[1] // PIXELS_PER_TOKEN_SIDE)


def count_sink_tokens(frame_tokens: int) -> int:
    """Tokens of the sink: the portrait's latent frame, and the still past packed into one and a half frames."""
    return frame_tokens * 5 // 2


def find_memory_profile(name: str) -> MemoryProfile:
    """The profile called `name`; "auto" is the first.

    Raises:
        OptionError: there is none.
    """
    for profile in MEMORY_PROFILES:
        if name in ("auto", profile.name):
            return profile
    names = ", ".join(profile.name for profile in MEMORY_PROFILES)
    raise OptionError(f"--memory {name} is no memory profile", f"use auto, {names}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """What is drawn in full size: latents as in `stream`, frames of `size` (width, height)."""

    stream: StreamConfig = field(default_factory=StreamConfig)
    size: tuple[int, int] = DEFAULT_SIZE
    wavefront: bool = False

    def estimate_memory(self, profile: MemoryProfile, offloaded_blocks: int) -> MemoryEstimate:
        """Its memory with this profile."""
        return estimate_memory(
            DitConfig(), self.stream, self.size, profile, offloaded_blocks, wavefront=self.wavefront
        )

    def plan_profile(self, profile: MemoryProfile, offloaded_blocks: int) -> MemoryPlan:
        """The plan with this profile, whether it fits or not."""
        estimate = self.estimate_memory(profile, offloaded_blocks)
        return MemoryPlan(profile=profile, offloaded_blocks=offloaded_blocks, estimate=estimate)


def choose_memory_plan(
    available_bytes: int, workload: Workload, *, name: str = "auto", host_bytes: int | None = None
) -> MemoryPlan:
    """The first profile that fits `available_bytes` of a card, or the one called `name`.

    `host_bytes` limits host memory. A profile that offloads blocks offloads as few as it can.

    Raises:
        OptionError: there is no such profile.
        EngineError: nothing fits.
    """
    first = find_memory_profile(name)
    profiles = MEMORY_PROFILES if name == "auto" else (first,)
    usable_bytes = int(available_bytes * (1 - RESERVED_SHARE))
    for profile in profiles:
        plan = fit_memory_profile(profile, usable_bytes, workload)
        if plan is not None and (host_bytes is None or plan.estimate.host <= host_bytes):
            return plan
    least = workload.estimate_memory(profiles[-1], profiles[-1].max_offloaded_blocks)
    raise _build_shortage_error(available_bytes, host_bytes, least)


def fit_memory_profile(profile: MemoryProfile, available_bytes: int, workload: Workload) -> MemoryPlan | None:
    """The profile with the fewest offloaded blocks that fit `available_bytes`; None if it does not fit."""
    for blocks in range(0, profile.max_offloaded_blocks + 1, OFFLOAD_BUFFERS):
        plan = workload.plan_profile(profile, blocks)
        if plan.estimate.gpu_total <= available_bytes:
            return plan
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
    """The next profile, for smaller cards; None after the last."""
    index = MEMORY_PROFILES.index(profile) + 1
    return MEMORY_PROFILES[index] if index < len(MEMORY_PROFILES) else None


def _count_token_bytes(config: DitConfig, value_bytes: int = 2) -> int:
    """Keys and values of one token in every layer."""
    return 2 * config.layers * config.dim * value_bytes


def _cache_value_bytes(profile: MemoryProfile) -> int:
    return 1 if profile.eight_bit_cache else 2


def _count_weight_bytes(config: DitConfig, profile: MemoryProfile, offloaded_blocks: int) -> tuple[int, int]:
    """Bytes of the transformer on the device and on the host."""
    weight_bytes = 1 if profile.eight_bit_weights else 2
    square = config.dim**2
    text_layers = 2 * square * weight_bytes  # of one block: keys and values of the text
    block = (8 * square + 2 * config.dim * config.ffn_dim) * weight_bytes
    large = config.layers * block + len(config.inject) * 6 * square * weight_bytes
    small = (TRANSFORMER_PARAMETERS - large // weight_bytes) * 2
    host_text = (config.layers if profile.offloads_text else 0) * text_layers
    host_blocks = offloaded_blocks * (block - text_layers)
    buffers = OFFLOAD_BUFFERS * (block - text_layers) if offloaded_blocks else 0
    return small + large - host_text - host_blocks + buffers, host_text + host_blocks


def _count_cache_bytes(config: DitConfig, stream: StreamConfig, profile: MemoryProfile, tokens: int) -> int:
    token_bytes = _count_token_bytes(config, _cache_value_bytes(profile))
    return stream.steps * stream.clip_latents * tokens * token_bytes


def _count_staging_bytes(config: DitConfig, stream: StreamConfig, profile: MemoryProfile, tokens: int) -> int:
    """Keys and values of two layers on the device, of a cache in host memory."""
    visible = count_sink_tokens(tokens) + stream.clip_latents * tokens
    return 2 * visible * 2 * config.dim * _cache_value_bytes(profile)


def _count_sink_bytes(
    config: DitConfig, stream: StreamConfig, profile: MemoryProfile, tokens: int, *, wavefront: bool
) -> tuple[int, int]:
    """Bytes on the device and on the host.

    The cache holds one copy for every two steps, or one alone in host memory. There is one more of the portrait, for
    sessions to come, and one more while the sink is renewed. The portrait's keys are also kept before rotation.
    """
    sink = count_sink_tokens(tokens) * _count_token_bytes(config)
    copies = 1 if profile.host_cache else stream.steps if wavefront else -(-stream.steps // 2)
    portrait_keys = tokens * _count_token_bytes(config) // 2
    on_device = copies * sink * _cache_value_bytes(profile) // 2 + portrait_keys + sink
    return (on_device, sink) if profile.offloads_sink else (on_device + sink, 0)
