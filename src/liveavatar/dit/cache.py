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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from liveavatar.dit.attention import attention
from liveavatar.dit.layers import KeyValue, Memory
from liveavatar.dit.rope import Rope, rotate
from liveavatar.dit.ways import EAGER, Ways, head_scale


class SinkLayer:
    """Records one layer's keys and values while the sink is computed; they come as they are before turning."""

    kept: KeyValue

    def __init__(self, rope: Rope) -> None:
        self._rope = rope

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Keep keys and values, and let the sink see itself."""
        # what comes out of one product for q, k and v would keep all three
        self.kept = KeyValue(k_BNHK, v_BNHK.contiguous())
        return attention(rotate(q_BNHK, self._rope), rotate(k_BNHK, self._rope), v_BNHK)


@dataclass(frozen=True, slots=True)
class RingLayer:
    """One layer of one step's ring: slots [1, S, H, K], where the block goes [N], and what it may see.

    `scale` [1, 1, H, 1] is what the numbers in the slots are to be multiplied by; None if they are kept as they are.
    """

    slots: KeyValue
    where: Tensor
    read: slice
    scale: KeyValue | None
    ways: Ways

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Write the block into its slot; it sees itself, the blocks before it that are still there, the sink."""
        self._write(0, k_BNHK)
        self._write(1, v_BNHK)
        seen = KeyValue(*(slots[:, self.read] for slots in self.slots))
        return (
            self.ways.look(q_BNHK, *seen)
            if self.scale is None
            else self._look_at_fp8(q_BNHK, seen, self.scale)
        )

    def _look_at_fp8(self, q_BNHK: Tensor, seen: KeyValue, scale: KeyValue) -> Tensor:
        if self.ways.look_at_fp8 is not None:
            return self.ways.look_at_fp8(q_BNHK, *seen, *scale)
        k, v = (self.ways.widen(part, by, q_BNHK.dtype) for part, by in zip(seen, scale, strict=True))
        return self.ways.look(q_BNHK, k, v)

    def _write(self, index: int, part_BNHK: Tensor) -> None:
        """Keep keys (0) or values (1) of the block; copied by index, so that a recorded graph can write anywhere."""
        slots = self.slots[index]
        if self.scale is None:
            slots.index_copy_(1, self.where, part_BNHK)
        else:  # as bytes, since not every device copies FP8 by index
            stored = self.ways.narrow(part_BNHK, self.scale[index])
            slots.view(torch.uint8).index_copy_(1, self.where, stored.view(torch.uint8))


@dataclass(frozen=True, kw_only=True, slots=True)
class RingShape:
    """Sizes of a session's memory; `block`, `sink` and `portrait`, its first part, are in tokens."""

    layers: int
    steps: int
    blocks: int
    block: int
    sink: int
    portrait: int
    heads: int
    head_dim: int

    @property
    def ring(self) -> int:
        """Tokens of one ring."""
        return self.blocks * self.block


class SessionMemory(Protocol):
    """Rings and sink of one session, wherever they lie."""

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope) -> None:
        """Put a sink in place, turned by `rope`; the rings stay."""
        ...

    def turn_portrait(self, rope: Rope) -> None:
        """Turn the portrait's keys to another place; the rest of the sink never moves."""
        ...

    def step(self, step: int, block: int) -> Sequence[Memory]:
        """Every layer's memory for block number `block` at denoising step `step`."""
        ...


MakeMemory = Callable[[RingShape, Tensor], SessionMemory]
"""Makes the memory of a session; the tensor gives the type and the device that are computed with."""


class Rings:
    """The memory of one session, allocated once."""

    def __init__(
        self, shape: RingShape, like: Tensor, store: torch.dtype | None = None, ways: Ways = EAGER,
        *, shared: int = 2,
    ) -> None:  # fmt: skip
        """`like` gives type and device; `store` FP8 keeps numbers in that; `shared` steps, 1 or 2, have one sink."""
        self.shape = shape
        self._ways = ways
        self._store = store
        self._shared = shared
        kept = like.new_empty(0, dtype=store)
        self._groups = [
            [self._allocate(min(shared, shape.steps - first), kept) for _ in range(shape.layers)]
            for first in range(0, shape.steps, shared)
        ]
        self._portraits: list[list[Tensor]] = [[] for _ in self._groups]
        self._scales: list[KeyValue] | None = None
        self._aside: tuple[list[Tensor], list[Tensor]] | None = None
        self._count = torch.arange(shape.block, device=like.device)
        self._where = [self._count.clone() for _ in range(shape.steps)]

    def _allocate(self, rings: int, kept: Tensor) -> KeyValue:
        slots = self.shape.sink + rings * self.shape.ring
        size = (1, slots, self.shape.heads, self.shape.head_dim)
        return KeyValue(kept.new_zeros(size), kept.new_zeros(size))

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope, groups: Sequence[int] | None = None) -> None:
        """Put a sink in place, turned by `rope`; the rings stay. `groups` of steps have a sink each; None is all."""
        if self._store is not None and self._scales is None:
            self._scales = [KeyValue(*(head_scale(part) for part in layer)) for layer in sink]
        groups = range(len(self._groups)) if groups is None else groups
        where = slice(self.shape.ring, self.shape.ring + self.shape.sink)
        for layer, part in enumerate(sink):
            self._put(0, layer, where, rotate(part.k, rope), groups)
            self._put(1, layer, where, part.v, groups)
        portrait = [part.k[:, : self.shape.portrait].clone() for part in sink]
        for group in groups:
            self._portraits[group] = portrait

    def turn_portrait(self, rope: Rope, groups: Sequence[int] | None = None) -> None:
        """Turn the portrait's keys to another place; the rest of the sink never moves."""
        where = slice(self.shape.ring, self.shape.ring + self.shape.portrait)
        for group in range(len(self._groups)) if groups is None else groups:
            for layer, keys in enumerate(self._portraits[group]):
                self._put(0, layer, where, self._ways.turn(keys, rope), [group])

    def _put(self, index: int, layer: int, where: slice, part: Tensor, groups: Sequence[int]) -> None:
        numbers = part if self._scales is None else self._ways.narrow(part, self._scales[layer][index])
        for group in groups:
            self._groups[group][layer][index][:, where] = numbers

    def step(self, step: int, block: int) -> list[RingLayer]:
        """Every layer's memory for block number `block` at denoising step `step`.

        What is asked for here is where the step writes, until it is asked for again.
        """
        torch.add(self._count, self._slot(step, block).start, out=self._where[step])
        where, read, scales = self._where[step], self._seen(step, block), self._scales
        return [
            RingLayer(slots, where, read, None if scales is None else scales[layer], self._ways)
            for layer, slots in enumerate(self._groups[step // self._shared])
        ]

    def put_aside(self, step: int, block: int) -> None:
        """Keep what `block` will overwrite in the ring of `step`; what was kept before is forgotten."""
        slots = self._slots(step, block)
        if self._aside is None:
            self._aside = slots, [torch.empty_like(part) for part in slots]
        self._aside = slots, self._aside[1]
        for kept, part in zip(self._aside[1], slots, strict=True):
            kept.copy_(part)

    def put_back(self) -> None:
        """Restore what was put aside."""
        if self._aside is not None:
            for part, kept in zip(*self._aside, strict=True):
                part.copy_(kept)

    def _slots(self, step: int, block: int) -> list[Tensor]:
        where = self._slot(step, block)
        return [part[:, where] for layer in self._groups[step // self._shared] for part in layer]

    def _slot(self, step: int, block: int) -> slice:
        shape, slot = self.shape, block % self.shape.blocks
        after_sink = step % self._shared
        start = (
            shape.ring + shape.sink + slot * shape.block
            if after_sink
            else shape.ring - (slot + 1) * shape.block
        )
        return slice(start, start + shape.block)

    def _seen(self, step: int, block: int) -> slice:
        shape = self.shape
        seen = min(block + 1, shape.blocks) * shape.block
        if step % self._shared:
            return slice(shape.ring, shape.ring + shape.sink + seen)
        return slice(shape.ring - seen, shape.ring + shape.sink)

    @property
    def bytes(self) -> int:
        """Memory in use."""
        return sum(part.nbytes for group in self._groups for slots in group for part in slots)
