# ruff: noqa: N803  (names carry their shape, by the legend below)
"""What a session remembers: for every denoising step and layer a ring of the last blocks, beside the sink.

The sink is the portrait and the still past before the stream; its keys are kept as they are before turning,
because the portrait's place moves with the stream. Attention reads ring and sink as one piece of memory, so
nothing is joined while drawing: the sink lies between the rings of two steps, and both read it there.

    slots:  [ … ring of step 0, filled from its end | sink | ring of step 1, filled from its start … ]

The order of keys does not matter to attention. Blocks are numbered from 0 on; block b lies in slot b mod blocks,
so drawing a block again simply overwrites it.

Shapes: B batch, N tokens of a block, S slots, H heads, K channels of a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from liveavatar.dit.layers import KeyValue, Memory
from liveavatar.dit.rope import Rope, rotate


class SinkLayer:
    """Records one layer's keys and values while the sink is computed."""

    def __init__(self) -> None:
        self.kept: list[KeyValue] = []

    def extend(self, k_BNHK: Tensor, v_BNHK: Tensor, rope: Rope) -> KeyValue:
        """Keep the keys as they are, and let the sink see itself."""
        self.kept.append(KeyValue(k_BNHK, v_BNHK))
        return KeyValue(rotate(k_BNHK, rope), v_BNHK)


@dataclass(frozen=True, slots=True)
class RingLayer:
    """One layer of one step's ring: slots [1, S, H, K], where the block goes, and what it may see."""

    slots: KeyValue
    write: slice
    read: slice

    def extend(self, k_BNHK: Tensor, v_BNHK: Tensor, rope: Rope) -> KeyValue:
        """Write the block into its slot; it sees itself, the blocks before it that are still there, the sink."""
        self.slots.k[:, self.write] = rotate(k_BNHK, rope)
        self.slots.v[:, self.write] = v_BNHK
        return KeyValue(self.slots.k[:, self.read], self.slots.v[:, self.read])


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

    def __init__(self, shape: RingShape, like: Tensor) -> None:
        """`like` gives type and device."""
        self.shape = shape
        self._portrait: list[Tensor] = []
        self._pairs = [
            [self._allocate(min(2, shape.steps - first), like) for _ in range(shape.layers)]
            for first in range(0, shape.steps, 2)
        ]

    def _allocate(self, rings: int, like: Tensor) -> KeyValue:
        slots = self.shape.sink + rings * self.shape.ring
        size = (1, slots, self.shape.heads, self.shape.head_dim)
        return KeyValue(like.new_zeros(size), like.new_zeros(size))

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope) -> None:
        """Put a sink in place, turned by `rope`; the rings stay."""
        where = slice(self.shape.ring, self.shape.ring + self.shape.sink)
        for layer, part in enumerate(sink):
            turned = rotate(part.k, rope)
            for pair in self._pairs:
                pair[layer].k[:, where], pair[layer].v[:, where] = turned, part.v
        self._portrait = [part.k[:, : self.shape.portrait].clone() for part in sink]

    def turn_portrait(self, rope: Rope) -> None:
        """Turn the portrait's keys to another place; the rest of the sink never moves."""
        where = slice(self.shape.ring, self.shape.ring + self.shape.portrait)
        for layer, keys in enumerate(self._portrait):
            turned = rotate(keys, rope)
            for pair in self._pairs:
                pair[layer].k[:, where] = turned

    def step(self, step: int, block: int) -> list[RingLayer]:
        """Every layer's memory for block number `block` at denoising step `step`."""
        shape = self.shape
        slot, seen = block % shape.blocks, min(block + 1, shape.blocks)
        near, far = slot * shape.block, (slot + 1) * shape.block
        if step % 2:
            start = shape.ring + shape.sink
            write, read = slice(start + near, start + far), slice(shape.ring, start + seen * shape.block)
        else:
            write = slice(shape.ring - far, shape.ring - near)
            read = slice(shape.ring - seen * shape.block, shape.ring + shape.sink)
        return [RingLayer(slots, write, read) for slots in self._pairs[step // 2]]

    @property
    def bytes(self) -> int:
        """Memory in use."""
        tensors = (part for pair in self._pairs for slots in pair for part in slots)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
