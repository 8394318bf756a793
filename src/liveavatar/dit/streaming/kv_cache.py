# ruff: noqa: N803  (names carry their shape, by the legend below)
"""What a session remembers: for every denoising step and layer a ring of the last blocks, beside the sink.

The sink is the portrait and the still past before the stream; its keys are kept as they are before turning,
because the portrait's place moves with the stream. Attention reads ring and sink as one piece of memory, so
nothing is joined while drawing: the sink lies between the rings of two steps, and both read it there.

    slots:  [ … ring of step 0, filled from its end | sink | ring of step 1, filled from its start … ]

The order of keys does not matter to attention. Blocks are numbered from 0 on; block b lies in slot b mod blocks,
so drawing a block again simply overwrites it. Where several steps are drawn at once (`wavefront`), each has a sink of
its own, since the portrait then stands elsewhere for each.

Memory may be kept in FP8 (`ways`), at half the size.

Shapes: B batch, N tokens of a block, S slots, H heads, K channels of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from liveavatar.dit.model.attention import AttentionKernel, torch_attention
from liveavatar.dit.model.layers import KeyValue, LayerCache
from liveavatar.dit.model.rope import Rope, apply_rope
from liveavatar.dit.streaming.kv_ops import EAGER_KV_OPS, KVOps, compute_head_scale


@dataclass(frozen=True, slots=True)
class RingLayerCache:
    """One layer of one step's ring: slots [1, S, H, K], where the block goes [N], and what it may see.

    `scale` [1, 1, H, 1] is what the numbers in the slots are to be multiplied by; None if they are kept as they are.
    """

    slots: KeyValue
    write_index: Tensor
    visible_range: slice
    scale: KeyValue | None
    ops: KVOps
    kernel: AttentionKernel

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Write the block into its slot; it sees itself, the blocks before it that are still there, the sink."""
        self._write_slots(0, k_BNHK)
        self._write_slots(1, v_BNHK)
        seen = KeyValue(*(slots[:, self.visible_range] for slots in self.slots))
        return (
            self.kernel(q_BNHK, *seen) if self.scale is None else self._attend_fp8(q_BNHK, seen, self.scale)
        )

    def _attend_fp8(self, q_BNHK: Tensor, visible: KeyValue, scale: KeyValue) -> Tensor:
        if self.ops.attend_fp8 is not None:
            return self.ops.attend_fp8(q_BNHK, *visible, *scale)
        k, v = (self.ops.from_fp8(part, by, q_BNHK.dtype) for part, by in zip(visible, scale, strict=True))
        return self.kernel(q_BNHK, k, v)

    def _write_slots(self, index: int, part_BNHK: Tensor) -> None:
        """Keep keys (0) or values (1) of the block; copied by index, so that a recorded graph can write anywhere."""
        slots = self.slots[index]
        if self.scale is None:
            slots.index_copy_(1, self.write_index, part_BNHK)
        else:  # as bytes, since not every device copies FP8 by index
            stored = self.ops.to_fp8(part_BNHK, self.scale[index])
            slots.view(torch.uint8).index_copy_(1, self.write_index, stored.view(torch.uint8))


@dataclass(frozen=True, kw_only=True, slots=True)
class RingShape:
    """Sizes of a session's memory; `block`, `sink` and `portrait`, its first part, are in tokens."""

    layers: int
    steps: int
    blocks: int
    block_tokens: int
    sink_tokens: int
    portrait_tokens: int
    heads: int
    head_dim: int

    @property
    def ring_tokens(self) -> int:
        """Tokens of one ring."""
        return self.blocks * self.block_tokens


class KVCache(Protocol):
    """Rings and sink of one session, wherever they lie."""

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope) -> None:
        """Put a sink in place, turned by `rope`; the rings stay."""
        ...

    def move_portrait(self, rope: Rope) -> None:
        """Turn the portrait's keys to another place; the rest of the sink never moves."""
        ...

    def prepare_layers(self, step: int, block: int) -> Sequence[LayerCache]:
        """Every layer's memory for block number `block` at denoising step `step`."""
        ...


class MakeKVCache(Protocol):
    """Makes the cache of a session."""

    def __call__(self, shape: RingShape, like: Tensor, *, kernel: AttentionKernel) -> KVCache:
        """A cache of this shape, whose layers attend by `kernel` in the type and on the device of `like`."""
        ...


class RingKVCache:
    """The memory of one session, allocated once."""

    def __init__(
        self, shape: RingShape, like: Tensor, storage_dtype: torch.dtype | None = None, ops: KVOps = EAGER_KV_OPS,
        *, steps_per_sink: int = 2, kernel: AttentionKernel = torch_attention,
    ) -> None:  # fmt: skip
        """`like` gives type and device; `store` FP8 keeps numbers in that; `shared` steps, 1 or 2, have one sink."""
        self.shape = shape
        self._ops = ops
        self._kernel = kernel
        self._storage_dtype = storage_dtype
        self._steps_per_sink = steps_per_sink
        kept = like.new_empty(0, dtype=storage_dtype)
        self._groups = [
            [
                self._allocate_slots(min(steps_per_sink, shape.steps - first), kept)
                for _ in range(shape.layers)
            ]
            for first in range(0, shape.steps, steps_per_sink)
        ]
        self._portrait_keys: list[list[Tensor]] = [[] for _ in self._groups]
        self._scales: list[KeyValue] | None = None
        self._saved_slots: tuple[list[Tensor], list[Tensor]] | None = None
        self._token_offsets = torch.arange(shape.block_tokens, device=like.device)
        self._write_indices = [self._token_offsets.clone() for _ in range(shape.steps)]

    def _allocate_slots(self, rings: int, template: Tensor) -> KeyValue:
        slots = self.shape.sink_tokens + rings * self.shape.ring_tokens
        size = (1, slots, self.shape.heads, self.shape.head_dim)
        return KeyValue(template.new_zeros(size), template.new_zeros(size))

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope, groups: Sequence[int] | None = None) -> None:
        """Put a sink in place, turned by `rope`; the rings stay. `groups` of steps have a sink each; None is all."""
        if self._storage_dtype is not None and self._scales is None:
            self._scales = [KeyValue(*(compute_head_scale(part) for part in layer)) for layer in sink]
        groups = range(len(self._groups)) if groups is None else groups
        where = slice(self.shape.ring_tokens, self.shape.ring_tokens + self.shape.sink_tokens)
        for layer, part in enumerate(sink):
            self._write_range(0, layer, where, apply_rope(part.k, rope), groups)
            self._write_range(1, layer, where, part.v, groups)
        portrait = [part.k[:, : self.shape.portrait_tokens].clone() for part in sink]
        for group in groups:
            self._portrait_keys[group] = portrait

    def move_portrait(self, rope: Rope, groups: Sequence[int] | None = None) -> None:
        """Turn the portrait's keys to another place; the rest of the sink never moves."""
        where = slice(self.shape.ring_tokens, self.shape.ring_tokens + self.shape.portrait_tokens)
        for group in range(len(self._groups)) if groups is None else groups:
            for layer, keys in enumerate(self._portrait_keys[group]):
                self._write_range(0, layer, where, self._ops.rotate(keys, rope), [group])

    def _write_range(
        self, index: int, layer: int, target: slice, part: Tensor, groups: Sequence[int]
    ) -> None:
        numbers = part if self._scales is None else self._ops.to_fp8(part, self._scales[layer][index])
        for group in groups:
            self._groups[group][layer][index][:, target] = numbers

    def prepare_layers(self, step: int, block: int) -> list[RingLayerCache]:
        """Every layer's memory for block number `block` at denoising step `step`.

        What is asked for here is where the step writes, until it is asked for again.
        """
        torch.add(self._token_offsets, self._slot_range(step, block).start, out=self._write_indices[step])
        where, read, scales = self._write_indices[step], self._visible_range(step, block), self._scales
        return [
            RingLayerCache(
                slots, where, read, None if scales is None else scales[layer], self._ops, self._kernel
            )
            for layer, slots in enumerate(self._groups[step // self._steps_per_sink])
        ]

    def snapshot(self, step: int, block: int) -> None:
        """Keep what `block` will overwrite in the ring of `step`; what was kept before is forgotten."""
        slots = self._block_slots(step, block)
        if self._saved_slots is None:
            self._saved_slots = slots, [torch.empty_like(part) for part in slots]
        self._saved_slots = slots, self._saved_slots[1]
        for kept, part in zip(self._saved_slots[1], slots, strict=True):
            kept.copy_(part)

    def restore(self) -> None:
        """Restore what was put aside."""
        if self._saved_slots is not None:
            for part, kept in zip(*self._saved_slots, strict=True):
                part.copy_(kept)

    def _block_slots(self, step: int, block: int) -> list[Tensor]:
        where = self._slot_range(step, block)
        return [part[:, where] for layer in self._groups[step // self._steps_per_sink] for part in layer]

    def _slot_range(self, step: int, block: int) -> slice:
        shape, slot = self.shape, block % self.shape.blocks
        after_sink = step % self._steps_per_sink
        start = (
            shape.ring_tokens + shape.sink_tokens + slot * shape.block_tokens
            if after_sink
            else shape.ring_tokens - (slot + 1) * shape.block_tokens
        )
        return slice(start, start + shape.block_tokens)

    def _visible_range(self, step: int, block: int) -> slice:
        shape = self.shape
        seen = min(block + 1, shape.blocks) * shape.block_tokens
        if step % self._steps_per_sink:
            return slice(shape.ring_tokens, shape.ring_tokens + shape.sink_tokens + seen)
        return slice(shape.ring_tokens - seen, shape.ring_tokens + shape.sink_tokens)

    @property
    def bytes(self) -> int:
        """Memory in use."""
        return sum(part.nbytes for group in self._groups for slots in group for part in slots)
