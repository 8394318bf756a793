"""GPU memory of the 14B, counted by running the real code, in full size, on tensors without storage.

    python -m benchmarks.dit.memory [--rungs 80 48]

With every memory profile the transformer is laid out, a portrait's sink is computed, and a few blocks are drawn and
decoded at 704x384, on PyTorch's fake tensors, which have a device, a shape and a type, and no data. One dispatch mode
follows every storage on the device from allocation to release, another counts operations. It needs no GPU, and a
minute or two of one core. Not counted: fragmentation, workspaces of kernels, the driver's context.
"""

import argparse
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from liveavatar.dit.codecs.vae import VAE, StreamingDecoder
from liveavatar.dit.loader import choose_cache_factory, tile_decoder
from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import block_positions, sink_positions
from liveavatar.dit.model.transformer import BlockInputs, DiT
from liveavatar.dit.performance.assembly import TransformerLayout, assemble_transformer
from liveavatar.dit.plan.config import DitConfig, StreamConfig, VAEConfig
from liveavatar.dit.plan.memory import (
    AUDIO_ENCODER_BYTES,
    CUDA_CONTEXT_BYTES,
    MEMORY_PROFILES,
    MemoryPlan,
    MemoryProfile,
    Workload,
    choose_memory_plan,
)
from liveavatar.dit.streaming.host_kv_cache import HostSink
from liveavatar.dit.streaming.kv_cache import RingKVCache, RingShape
from liveavatar.dit.streaming.scheduler import TRAIN_STEPS, compute_sigmas, euler_step

DEVICE = torch.device("meta")
"""In place of the GPU; "cpu" is the host."""

SIZE = (704, 384)
GIB = 1 << 30
CARDS = {"96": 94.0, "80": 79.1, "48": 44.5, "24": 23.6, "16": 15.7}
"""GiB of a card for each profile: RTX PRO 6000, H100, L40S, 4090, 4080."""


class StorageTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of live storage on the device, and their peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., object], types: object, args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:  # fmt: skip
        """Run the operation and count the storage of its results."""
        results = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(results):
            if isinstance(tensor, Tensor) and tensor.device == DEVICE:
                self._count_tensor(tensor)
        return results

    def _count_tensor(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata  # noqa: SLF001  (identifies a storage)
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._on_freed, key)

    def _on_freed(self, key: int) -> None:
        self.live -= self._sizes.pop(key)

    @contextmanager
    def span(self) -> Iterator[Callable[[], int]]:
        """A function that returns how far the peak is above the bytes live at the start of the context."""
        before = self.peak = self.live
        yield lambda: self.peak - before


class FlashAttentionMode(TorchFunctionMode):
    """Attention as GPUs compute it, without the matrix of all weights."""

    def __torch_function__(
        self, func: Callable[..., object], types: object, args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:  # fmt: skip
        """Run the function; attention by the flash kernel."""
        if func is functional.scaled_dot_product_attention:
            return torch.ops.aten._scaled_dot_product_flash_attention(*args)[0]  # noqa: SLF001  (has no other name)
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True, kw_only=True)
class MemoryCount:
    """Bytes by use, and operations of a step and of decoding a block."""

    weights: int
    session: int
    drawing: int
    decoding: int
    loading: int
    peak: int
    step_flops: int
    decode_flops: int


def allocate_weights(part: nn.Module) -> None:
    """Replace the weights of a part by fake ones on the device, in bfloat16."""
    for module in part.modules():
        for name, weight in module.named_parameters(recurse=False):
            fake = torch.empty(weight.shape, dtype=torch.bfloat16, device=DEVICE)
            module.register_parameter(name, nn.Parameter(fake, requires_grad=False))


def choose_fp8_layout(plan: MemoryPlan) -> TransformerLayout:
    """The plan's layout on a card that has FP8."""
    profile = plan.profile
    return TransformerLayout(
        device=DEVICE,
        weight_format="fp8" if profile.eight_bit_weights else "bf16",
        scaled_mm=profile.eight_bit_weights,
        offloaded_blocks=plan.offloaded_blocks,
        offloads_text=profile.offloads_text,
    )


@torch.no_grad()
def count_memory(plan: MemoryPlan, blocks: int = 1) -> MemoryCount:
    """Load, prepare and draw with this plan, without data."""
    stream = StreamConfig()
    levels = compute_sigmas(stream.steps)
    with torch.device("meta"):
        dit, vae = DiT(DitConfig()), VAE(VAEConfig())
    with FakeTensorMode(allow_non_fake_inputs=True), StorageTracker() as tracker, FlashAttentionMode():
        with tracker.span() as growth:
            assemble_transformer(dit, lambda _name, part: allocate_weights(part), choose_fp8_layout(plan))
            allocate_weights(vae)
            tile_decoder(vae, plan.profile)
        weights, loading = tracker.live, growth()
        session = FakeSession(dit, vae, plan.profile, levels)
        session_bytes = tracker.live - weights
        with tracker.span() as growth, FlopCounterMode(display=False) as step:
            for block in range(3, 3 + blocks):  # with a full ring
                session.draw(block)
        drawing = growth()
        decoder = session.decoder
        decoders = []
        with tracker.span() as growth, FlopCounterMode(display=False) as decode:
            for _ in range(2):
                decoders.append(decoder)
                decoder = decoder.fork()
                decoder.push(session.latent)
        decoding = growth()
    return MemoryCount(
        weights=weights, session=session_bytes, drawing=drawing, decoding=decoding, loading=loading,
        peak=weights + session_bytes + drawing + decoding,
        step_flops=step.get_total_flops() // (blocks * stream.steps),
        decode_flops=decode.get_total_flops() // 2,
    )  # fmt: skip


class FakeSession:
    """A portrait and a stream: everything that takes memory."""

    def __init__(self, dit: DiT, vae: VAE, profile: MemoryProfile, levels: list[float]) -> None:
        self.dit, self.levels = dit, levels
        width, height = SIZE
        self.rows, self.columns = height // 16, width // 16
        past = torch.empty(1, 16, 19, height // 8, width // 8, device=DEVICE)
        self.text = dit.project_text(torch.empty(40, 4096, dtype=torch.bfloat16, device=DEVICE))
        sink: Sequence[KeyValue] = dit.compute_sink(past[:, :, :1], past, self.text)
        self.sink = HostSink(sink) if profile.offloads_sink else sink
        del sink
        self.decoder = StreamingDecoder(vae)
        self.decoder.push(past[:, :, :7])
        self.times = dit.compute_modulations([TRAIN_STEPS * level for level in self.levels[:-1]])
        self.rings = choose_cache_factory(profile)(self.shape(), dit.template_tensor)
        self.rings.set_sink(self.sink, dit.compute_rope(sink_positions(30, self.rows, self.columns)))
        if isinstance(self.rings, RingKVCache):
            self.rings.snapshot(0, 3)  # the next block is begun while this one is decoded
        self.latent = torch.empty(1, 16, 3, height // 8, width // 8, dtype=torch.bfloat16, device=DEVICE)

    def shape(self) -> RingShape:
        """Sizes of the KV cache."""
        config, tokens = self.dit.config, self.rows * self.columns
        return RingShape(
            layers=config.layers, steps=len(self.times), blocks=StreamConfig().clip_blocks, block_tokens=3 * tokens,
            sink_tokens=self.sink[0].k.shape[1], portrait_tokens=tokens, heads=config.heads, head_dim=config.head_dim,
        )  # fmt: skip

    def draw(self, block: int) -> None:
        """All denoising steps of a block."""
        audio = self.dit.encode_audio_block(torch.empty(1, 25, 1024, 12, device=DEVICE))
        rope = self.dit.compute_rope(block_positions(3 * block, 3, self.rows, self.columns))
        inputs = BlockInputs(text=self.text, rope=rope, audio=audio)
        for step, time in enumerate(self.times):
            velocity = self.dit(self.latent, time, inputs, self.rings.prepare_layers(step, block))
            self.latent = euler_step(self.latent, velocity, self.levels[step], self.levels[step + 1])


def list_plans() -> dict[str, MemoryPlan]:
    """The plan of each profile on the card it is made for."""
    return {
        profile.name: choose_memory_plan(
            int(CARDS[profile.name] * GIB) - CUDA_CONTEXT_BYTES, Workload(size=SIZE), name=profile.name
        )
        for profile in MEMORY_PROFILES
    }


HEADER = (
    "| rung | blocks streamed | weights | session | a pass | decoding | while loading | counted peak | predicted "
    "| host | TFLOP a step | TFLOP a decoded block |\n" + "| --- " * 12 + "|"
)


def format_row(name: str, plan: MemoryPlan) -> str:
    """One profile, in gigabytes, counted and predicted. The audio encoder is added by arithmetic."""
    counted = count_memory(plan)
    audio = AUDIO_ENCODER_BYTES * (1 if plan.profile.half_audio_encoder else 2)
    sizes = [
        counted.weights + audio, counted.session, counted.drawing, counted.decoding, counted.loading,
        counted.peak + audio, plan.estimate.gpu_total, plan.estimate.host,
    ]  # fmt: skip
    flops = [counted.step_flops / 1e12, counted.decode_flops / 1e12]
    cells = [
        name,
        str(plan.offloaded_blocks),
        *(f"{size / 1e9:.1f}" for size in sizes),
        *(f"{f:.1f}" for f in flops),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table, profile by profile."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rungs", nargs="*", default=[profile.name for profile in MEMORY_PROFILES])
    arguments = parser.parse_args()
    plans = list_plans()
    print(HEADER)
    for name in arguments.rungs:
        print(format_row(name, plans[name]), flush=True)


if __name__ == "__main__":
    main()
