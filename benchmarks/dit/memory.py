"""What the 14B takes of a GPU, counted by running the real code, in full size, on tensors without memory.

    python -m benchmarks.dit.memory [--rungs 80 48]

Every rung of the ladder is laid out, a portrait's sink is made, and a few blocks are drawn and decoded at 704x384, on
fake tensors: PyTorch's own, which have a device, a shape and a type, and nothing else. A mode around them follows
every piece of storage on the device from its making to its end, and another counts operations. No GPU is needed, and
a minute or two of one core. What it does not see: gaps between pieces of memory, what kernels use inside, what the
driver takes.
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
"""Stands for the GPU; "cpu" is the host."""

SIZE = (704, 384)
GIB = 1 << 30
CARDS = {"96": 94.0, "80": 79.1, "48": 44.5, "24": 23.6, "16": 15.7}
"""GiB that a card for each rung has: RTX PRO 6000, H100, L40S, 4090, 4080."""


class Tracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of storage that are alive on the device, and the most there ever were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., object], types: object, args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:  # fmt: skip
        """Do as asked, and look at what came of it."""
        done = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(done):
            if isinstance(tensor, Tensor) and tensor.device == DEVICE:
                self._count_tensor(tensor)
        return done

    def _count_tensor(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata  # noqa: SLF001  (what tells one piece of memory from another)
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._on_freed, key)

    def _on_freed(self, key: int) -> None:
        self.live -= self._sizes.pop(key)

    @contextmanager
    def span(self) -> Iterator[Callable[[], int]]:
        """Within: how far the peak is above what was alive at the beginning."""
        before = self.peak = self.live
        yield lambda: self.peak - before


class Flash(TorchFunctionMode):
    """Attention as GPUs compute it, which never holds a weight for every query and key."""

    def __torch_function__(
        self, func: Callable[..., object], types: object, args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:  # fmt: skip
        """Do as asked, but for attention."""
        if func is functional.scaled_dot_product_attention:
            return torch.ops.aten._scaled_dot_product_flash_attention(*args)[0]  # noqa: SLF001  (has no other name)
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Bytes, and operations of a step and of decoding a block."""

    weights: int
    session: int
    drawing: int
    decoding: int
    loading: int
    peak: int
    step_flops: int
    decode_flops: int


def make_weightless(part: nn.Module) -> None:
    """Give a part tensors on the device, in bfloat16."""
    for module in part.modules():
        for name, weight in module.named_parameters(recurse=False):
            there = torch.empty(weight.shape, dtype=torch.bfloat16, device=DEVICE)
            module.register_parameter(name, nn.Parameter(there, requires_grad=False))


def fp8_layout(plan: MemoryPlan) -> TransformerLayout:
    """The plan on a card that has FP8."""
    rung = plan.profile
    return TransformerLayout(
        device=DEVICE,
        weight_format="fp8" if rung.eight_bit_weights else "bf16",
        scaled_mm=rung.eight_bit_weights,
        offloaded_blocks=plan.offloaded_blocks,
        offloads_text=rung.offloads_text,
    )


@torch.no_grad()
def count(plan: MemoryPlan, blocks: int = 1) -> Counted:
    """Load, prepare and draw on this rung, without numbers."""
    stream = StreamConfig()
    levels = compute_sigmas(stream.steps)
    with torch.device("meta"):
        dit, vae = DiT(DitConfig()), VAE(VAEConfig())
    with FakeTensorMode(allow_non_fake_inputs=True), Tracker() as tracker, Flash():
        with tracker.span() as grown:
            assemble_transformer(dit, lambda _name, part: make_weightless(part), fp8_layout(plan))
            make_weightless(vae)
            tile_decoder(vae, plan.profile)
        weights, loading = tracker.live, grown()
        session = Session(dit, vae, plan.profile, levels)
        held = tracker.live - weights
        with tracker.span() as grown, FlopCounterMode(display=False) as step:
            for block in range(3, 3 + blocks):  # the whole ring is seen
                session.draw(block)
        drawing = grown()
        decoder = session.decoder
        kept = []
        with tracker.span() as grown, FlopCounterMode(display=False) as decode:
            for _ in range(2):
                kept.append(decoder)
                decoder = decoder.fork()
                decoder.push(session.latent)
        decoding = grown()
    return Counted(
        weights=weights, session=held, drawing=drawing, decoding=decoding, loading=loading,
        peak=weights + held + drawing + decoding,
        step_flops=step.get_total_flops() // (blocks * stream.steps),
        decode_flops=decode.get_total_flops() // 2,
    )  # fmt: skip


class Session:
    """A portrait and a stream, as far as they take memory."""

    def __init__(self, dit: DiT, vae: VAE, rung: MemoryProfile, levels: list[float]) -> None:
        self.dit, self.levels = dit, levels
        width, height = SIZE
        self.rows, self.columns = height // 16, width // 16
        past = torch.empty(1, 16, 19, height // 8, width // 8, device=DEVICE)
        self.text = dit.project_text(torch.empty(40, 4096, dtype=torch.bfloat16, device=DEVICE))
        sink: Sequence[KeyValue] = dit.compute_sink(past[:, :, :1], past, self.text)
        self.sink = HostSink(sink) if rung.offloads_sink else sink
        del sink
        self.decoder = StreamingDecoder(vae)
        self.decoder.push(past[:, :, :7])
        self.times = dit.compute_modulations([TRAIN_STEPS * level for level in self.levels[:-1]])
        self.rings = choose_cache_factory(rung)(
            self.shape(), dit.template_tensor, kernel=dit.attention_kernel
        )
        self.rings.set_sink(self.sink, dit.compute_rope(sink_positions(30, self.rows, self.columns)))
        if isinstance(self.rings, RingKVCache):
            self.rings.snapshot(0, 3)  # since the next block is begun while this one is decoded
        self.latent = torch.empty(1, 16, 3, height // 8, width // 8, dtype=torch.bfloat16, device=DEVICE)

    def shape(self) -> RingShape:
        """Of the session's memory."""
        config, tokens = self.dit.config, self.rows * self.columns
        return RingShape(
            layers=config.layers, steps=len(self.times), blocks=StreamConfig().clip_blocks, block_tokens=3 * tokens,
            sink_tokens=self.sink[0].k.shape[1], portrait_tokens=tokens, heads=config.heads, head_dim=config.head_dim,
        )  # fmt: skip

    def draw(self, block: int) -> None:
        """All steps of a block."""
        hearing = self.dit.encode_audio_block(torch.empty(1, 25, 1024, 12, device=DEVICE))
        rope = self.dit.compute_rope(block_positions(3 * block, 3, self.rows, self.columns))
        given = BlockInputs(text=self.text, rope=rope, audio=hearing)
        for step, time in enumerate(self.times):
            velocity = self.dit(self.latent, time, given, self.rings.prepare_layers(step, block))
            self.latent = euler_step(self.latent, velocity, self.levels[step], self.levels[step + 1])


def list_plans() -> dict[str, MemoryPlan]:
    """The plan of the card that each rung is made for."""
    return {
        rung.name: choose_memory_plan(
            int(CARDS[rung.name] * GIB) - CUDA_CONTEXT_BYTES, Workload(size=SIZE), name=rung.name
        )
        for rung in MEMORY_PROFILES
    }


HEADER = (
    "| rung | blocks streamed | weights | session | a pass | decoding | while loading | counted peak | predicted "
    "| host | TFLOP a step | TFLOP a decoded block |\n" + "| --- " * 12 + "|"
)


def row(name: str, plan: MemoryPlan) -> str:
    """One rung, in gigabytes: predicted beside counted. The audio encoder is added to both as arithmetic."""
    counted = count(plan)
    audio = AUDIO_ENCODER_BYTES * (1 if plan.profile.offloads_sink else 2)
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
    """Print the table, rung by rung."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rungs", nargs="*", default=[rung.name for rung in MEMORY_PROFILES])
    asked = parser.parse_args()
    chosen = list_plans()
    print(HEADER)
    for name in asked.rungs:
        print(row(name, chosen[name]), flush=True)


if __name__ == "__main__":
    main()
