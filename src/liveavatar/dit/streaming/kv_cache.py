# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The KV cache of a session: for every denoising step and layer a ring of the last blocks, beside the sink.

The sink holds the portrait and the still past before the stream. The portrait's keys are also kept unrotated, because
its position moves with the stream. The sink lies between the rings of two steps, so that each step reads ring and
sink as one contiguous range and nothing is concatenated.

    slots:  [ … ring of step 0, filled from its end | sink | ring of step 1, filled from its start … ]

Attention does not depend on the order of keys. Blocks are numbered from 0; block b is written to slot b mod blocks,
so computing a block again overwrites it. Where several steps are computed at once (`wavefront`), each step has a sink
of its own, because the portrait's position differs between them.

Keys and values may be stored in FP8 (`kv_ops`), at half the size of bfloat16.

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
from liveavatar.dit.streaming.kv_ops import EAGER_KV_OPS, KVOps, KVStorage


@dataclass(frozen=True, slots=True)
class RingLayerCache:
    """One layer of one step's ring: slots [1, S, H, K], the slots a block is written to [N], and those it attends to.

    `scale` [1, 1, H, 1] belongs to FP8 slots; None if values are stored as they are.
    """

    slots: KeyValue
    write_index: Tensor
    visible_range: slice
    scale: KeyValue | None
    ops: KVOps
    kernel: AttentionKernel

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Write the block to its slot; attend to it, the blocks before it in the ring, and the sink."""
        self._write_slots(0, k_BNHK)
        self._write_slots(1, v_BNHK)
        visible = KeyValue(*(slots[:, self.visible_range] for slots in self.slots))
        if self.scale is None:
            return self.kernel(q_BNHK, *visible)
        return self._attend_fp8(q_BNHK, visible, self.scale)

    def _attend_fp8(self, q_BNHK: Tensor, visible: KeyValue, scale: KeyValue) -> Tensor:
        if self.ops.attend_fp8 is not None:
            return self.ops.attend_fp8(q_BNHK, *visible, *scale)
        k, v = (self.ops.from_fp8(part, by, q_BNHK.dtype) for part, by in zip(visible, scale, strict=True))
        return self.kernel(q_BNHK, k, v)

    def _write_slots(self, index: int, part_BNHK: Tensor) -> None:
        """Write keys (0) or values (1); by an index tensor, so that a recorded CUDA graph can write to any slot."""
        slots = self.slots[index]
        if self.scale is None:
            slots.index_copy_(1, self.write_index, part_BNHK)
        else:  # as bytes, because not every device copies FP8 by index
            stored = self.ops.to_fp8(part_BNHK, self.scale[index])
            slots.view(torch.uint8).index_copy_(1, self.write_index, stored.view(torch.uint8))


@dataclass(frozen=True, kw_only=True, slots=True)
class RingShape:
    """Sizes of a session's cache; `blocks` is those of a ring, and the portrait is the first part of the sink."""

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


@dataclass(frozen=True, slots=True)
class RingLayout:
    """Slots of one step's ring and sink in a layer.

    The sink starts at `sink_start`. The ring ends there and is filled from its end, or, with `after_sink`, lies behind
    the sink and is filled from its start.
    """

    shape: RingShape
    sink_start: int
    after_sink: bool

    @property
    def sink_range(self) -> slice:
        """Slots of the sink."""
        return slice(self.sink_start, self.sink_start + self.shape.sink_tokens)

    def block_range(self, block: int) -> slice:
        """Slots that `block` is written to."""
        slot, size = block % self.shape.blocks, self.shape.block_tokens
        start = self.sink_range.stop + slot * size if self.after_sink else self.sink_start - (slot + 1) * size
        return slice(start, start + size)

    def visible_range(self, block: int) -> slice:
        """Slots that `block` attends to: the sink, and the ring as far as it is filled."""
        filled = min(block + 1, self.shape.blocks) * self.shape.block_tokens
        if self.after_sink:
            return slice(self.sink_start, self.sink_range.stop + filled)
        return slice(self.sink_start - filled, self.sink_range.stop)


class KVCache(Protocol):
    """Rings and sink of one session, on the device or in host memory."""

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope) -> None:
        """Replace the sink, whose keys are unrotated, and rotate it by `rope`; the rings stay."""
        ...

    def move_portrait(self, rope: Rope) -> None:
        """Rotate the portrait's keys to another position; the rest of the sink never moves."""
        ...

    def prepare_layers(self, step: int, block: int) -> Sequence[LayerCache]:
        """The cache of every layer for block number `block` at denoising step `step`."""
        ...


class MakeKVCache(Protocol):
    """Makes the cache of a session."""

    def __call__(self, shape: RingShape, like: Tensor, *, kernel: AttentionKernel = ...) -> KVCache:
        """A cache of this shape, whose layers attend by `kernel`, in the type and on the device of `like`."""
        ...


class RingKVCache:
    """The cache of one session on the device, allocated once."""

    def __init__(
        self, shape: RingShape, like: Tensor, storage_dtype: torch.dtype | None = None, ops: KVOps = EAGER_KV_OPS,
        *, steps_per_sink: int = 2, kernel: AttentionKernel = torch_attention,
    ) -> None:  # fmt: skip
        """`like` gives type and device; `storage_dtype` is FP8 or None; 1 or 2 steps share a sink."""
        self.shape = shape
        self._ops = ops
        self._kernel = kernel
        self._storage = KVStorage(storage_dtype, ops)
        self._steps_per_sink = steps_per_sink
        template = like.new_empty(0, dtype=storage_dtype)
        self._groups = [
            [
                self._allocate_slots(min(steps_per_sink, shape.steps - first), template)
                for _ in range(shape.layers)
            ]
            for first in range(0, shape.steps, steps_per_sink)
        ]
        self._portrait_keys: list[list[Tensor]] = [[] for _ in self._groups]
        self._saved_slots: tuple[list[Tensor], list[Tensor]] | None = None
        self._token_offsets = torch.arange(shape.block_tokens, device=like.device)
        self._write_indices = [self._token_offsets.clone() for _ in range(shape.steps)]

    def _allocate_slots(self, rings: int, template: Tensor) -> KeyValue:
        slots = self.shape.sink_tokens + rings * self.shape.ring_tokens
        size = (1, slots, self.shape.heads, self.shape.head_dim)
        return KeyValue(template.new_zeros(size), template.new_zeros(size))

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope, groups: Sequence[int] | None = None) -> None:
        """Replace the sink and rotate it by `rope`; the rings stay. `groups` of steps share a sink; None is all."""
        self._storage.calibrate_scales(sink)
        groups = range(len(self._groups)) if groups is None else groups
        target = self._step_layout(0).sink_range
        for layer, part in enumerate(sink):
            keys = self._storage.pack_keys(layer, apply_rope(part.k, rope))
            values = self._storage.pack_values(layer, part.v)
            for group in groups:
                self._groups[group][layer].k[:, target] = keys
                self._groups[group][layer].v[:, target] = values
        portrait = [part.k[:, : self.shape.portrait_tokens].clone() for part in sink]
        for group in groups:
            self._portrait_keys[group] = portrait

    def move_portrait(self, rope: Rope, groups: Sequence[int] | None = None) -> None:
        """Rotate the portrait's keys to another position; the rest of the sink never moves."""
        start = self._step_layout(0).sink_start
        target = slice(start, start + self.shape.portrait_tokens)
        for group in range(len(self._groups)) if groups is None else groups:
            for layer, keys in enumerate(self._portrait_keys[group]):
                rotated = self._storage.pack_keys(layer, self._ops.rotate(keys, rope))
                self._groups[group][layer].k[:, target] = rotated

    def prepare_layers(self, step: int, block: int) -> list[RingLayerCache]:
        """The cache of every layer for block number `block` at denoising step `step`.

        The step writes to these slots until the next call for it.
        """
        layout, write_index = self._step_layout(step), self._write_indices[step]
        torch.add(self._token_offsets, layout.block_range(block).start, out=write_index)
        visible = layout.visible_range(block)
        return [
            RingLayerCache(
                slots, write_index, visible, self._storage.layer_scale(layer), self._ops, self._kernel
            )
            for layer, slots in enumerate(self._groups[step // self._steps_per_sink])
        ]

    def snapshot(self, step: int, block: int) -> None:
        """Save the slots that `block` will overwrite in the ring of `step`, in place of what was saved before."""
        slots = self._block_slots(step, block)
        copies = (
            [torch.empty_like(part) for part in slots] if self._saved_slots is None else self._saved_slots[1]
        )
        for copy, part in zip(copies, slots, strict=True):
            copy.copy_(part)
        self._saved_slots = slots, copies

    def restore(self) -> None:
        """Write back what `snapshot` saved, if anything."""
        if self._saved_slots is not None:
            for part, copy in zip(*self._saved_slots, strict=True):
                part.copy_(copy)

    def _block_slots(self, step: int, block: int) -> list[Tensor]:
        target = self._step_layout(step).block_range(block)
        return [part[:, target] for layer in self._groups[step // self._steps_per_sink] for part in layer]

    def _step_layout(self, step: int) -> RingLayout:
        return RingLayout(self.shape, self.shape.ring_tokens, after_sink=bool(step % self._steps_per_sink))

    @property
    def bytes(self) -> int:
        """Memory in use."""
        return sum(part.nbytes for group in self._groups for slots in group for part in slots)
