# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The memory of a session in host memory, for cards that cannot hold it: the same keys and values as `cache.Rings`.

Rings are most of what a session takes, and each is read once a denoising step, layer after layer. Two buffers on the
device take turns: while one layer attends, the next layer's past is copied into the other one out of pinned memory,
and the block's own keys and values are copied back. The sink is small and stays on the device.

Shapes: N tokens of a block, S tokens of sink and ring, H heads, K channels of a head; 2 is keys and values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from liveavatar.dit.cache import RingLayer, RingShape
from liveavatar.dit.layers import KeyValue
from liveavatar.dit.offload import Lane
from liveavatar.dit.rope import Rope, rotate
from liveavatar.dit.ways import EAGER, Ways, head_scale

BUFFERS = 2


@dataclass(frozen=True, slots=True)
class HostLayer:
    """One layer of one step's ring, for one block."""

    rings: "HostRings"
    step: int
    layer: int
    block: int

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Write the block into its slot; it sees itself, the blocks before it that are still there, the sink."""
        seen = self.rings.brought(self).attend(q_BNHK, k_BNHK, v_BNHK)
        self.rings.keep(self)
        return seen


class HostRings:
    """The memory of one session: rings in host memory, the sink on the device."""

    def __init__(
        self, shape: RingShape, like: Tensor, store: torch.dtype | None = None, ways: Ways = EAGER
    ) -> None:
        """`like` gives type and device; `store` FP8 keeps numbers in that."""
        self.shape = shape
        self._like = like.new_empty(0, dtype=store)
        self._store = store
        self._ways = ways
        self._lane = Lane(like.device)
        self._sink = self._empty(shape.layers, shape.sink)
        self._scales: list[KeyValue] | None = None
        self._portrait: list[Tensor] = []
        self._buffers = [self._empty(1, shape.sink + shape.ring)[0] for _ in range(BUFFERS)]
        self._count = torch.arange(shape.block, device=like.device)
        self._held: list[HostLayer | None] = [None] * BUFFERS
        self._ready: list[torch.cuda.Event | None] = [None] * BUFFERS
        self._slots = [
            [[self._on_host() for _ in range(shape.blocks)] for _ in range(shape.layers)]
            for _ in range(shape.steps)
        ]

    def _empty(self, layers: int, tokens: int) -> Tensor:
        return self._like.new_zeros((layers, 2, 1, tokens, self.shape.heads, self.shape.head_dim))

    def _on_host(self) -> Tensor:
        size = (2, 1, self.shape.block, self.shape.heads, self.shape.head_dim)
        return torch.empty(size, dtype=self._like.dtype, pin_memory=self._like.is_cuda)

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope) -> None:
        """Put a sink in place, turned by `rope`; the rings stay."""
        if self._store is not None and self._scales is None:
            self._scales = [KeyValue(*(head_scale(part) for part in layer)) for layer in sink]
        for layer, part in enumerate(sink):
            self._sink[layer][0] = self._stored(0, layer, rotate(part.k, rope))
            self._sink[layer][1] = self._stored(1, layer, part.v)
        self._portrait = [part.k[:, : self.shape.portrait].clone() for part in sink]

    def turn_portrait(self, rope: Rope) -> None:
        """Turn the portrait's keys to another place; the rest of the sink never moves."""
        for layer, keys in enumerate(self._portrait):
            turned = self._stored(0, layer, self._ways.turn(keys, rope))
            self._sink[layer][0][:, : self.shape.portrait] = turned

    def _stored(self, index: int, layer: int, part: Tensor) -> Tensor:
        return part if self._scales is None else self._ways.narrow(part, self._scales[layer][index])

    def step(self, step: int, block: int) -> list[HostLayer]:
        """Every layer's memory for block number `block` at denoising step `step`."""
        return [HostLayer(self, step, layer, block) for layer in range(self.shape.layers)]

    def brought(self, place: HostLayer) -> RingLayer:
        """What the block at `place` may look at, on the device; what is needed next is on its way."""
        index = self._buffer(place)
        if self._held[index] != place:
            self._fetch(place)
        self._lane.wait(self._ready[index])
        if self._buffer(following := self._after(place)) != index:
            self._fetch(following)
        for kept, sink in zip(self._buffers[index], self._sink[place.layer], strict=True):
            kept[:, self._sink_slots(place.step)] = sink
        return RingLayer(
            KeyValue(*self._buffers[index].unbind()),
            self._count + self._slot(place.step, place.block % self.shape.blocks).start,
            self._seen(place),
            None if self._scales is None else self._scales[place.layer],
            self._ways,
        )

    def keep(self, place: HostLayer) -> None:
        """Begin to copy to the host what the block at `place` wrote."""
        slot = place.block % self.shape.blocks
        buffer = self._buffers[self._buffer(place)]
        with self._lane.copying():
            for host, kept in zip(self._slots[place.step][place.layer][slot], buffer, strict=True):
                host.copy_(kept[:, self._slot(place.step, slot)], non_blocking=True)

    # Keys lie in the order of `cache.Rings`, so that sums come out the same to the last bit: the ring of an even
    # step is filled from its end towards its start, with the sink after it.

    def _slot(self, step: int, slot: int) -> slice:
        shape = self.shape
        start = shape.sink + slot * shape.block if step % 2 else shape.ring - (slot + 1) * shape.block
        return slice(start, start + shape.block)

    def _sink_slots(self, step: int) -> slice:
        start = 0 if step % 2 else self.shape.ring
        return slice(start, start + self.shape.sink)

    def _seen(self, place: HostLayer) -> slice:
        shape = self.shape
        seen = min(place.block + 1, shape.blocks) * shape.block
        return slice(0, shape.sink + seen) if place.step % 2 else slice(shape.ring - seen, None)

    def _buffer(self, place: HostLayer) -> int:
        return (place.step * self.shape.layers + place.layer) % BUFFERS

    def _after(self, place: HostLayer) -> HostLayer:
        """What will be needed next, unless the drawing breaks off."""
        if place.layer + 1 < self.shape.layers:
            return HostLayer(self, place.step, place.layer + 1, place.block)
        if place.step + 1 < self.shape.steps:
            return HostLayer(self, place.step + 1, 0, place.block)
        return HostLayer(self, 0, 0, place.block + 1)

    def _fetch(self, place: HostLayer) -> None:
        """Begin to copy the blocks before `place.block`, as far as they are remembered."""
        index, blocks = self._buffer(place), self.shape.blocks
        with self._lane.copying():
            for block in range(max(0, place.block + 1 - blocks), place.block):
                source = self._slots[place.step][place.layer][block % blocks]
                where = self._slot(place.step, block % blocks)
                for kept, host in zip(self._buffers[index], source, strict=True):
                    kept[:, where].copy_(host, non_blocking=True)
            self._ready[index] = self._lane.mark()
        self._held[index] = place

    @property
    def bytes(self) -> int:
        """Memory in use on the device."""
        kept = [self._sink, *self._buffers, *self._portrait]
        return sum(tensor.nbytes for tensor in kept)

    @property
    def host_bytes(self) -> int:
        """Memory in use on the host."""
        return sum(slot.nbytes for step in self._slots for layer in step for slot in layer)


class HostSink(Sequence[KeyValue]):
    """A sink kept in host memory; each layer comes to the device when it is asked for."""

    def __init__(self, sink: Sequence[KeyValue]) -> None:
        self._device = sink[0].k.device
        self._layers = [KeyValue(*(part.cpu() for part in layer)) for layer in sink]

    def __len__(self) -> int:
        return len(self._layers)

    @overload
    def __getitem__(self, index: int) -> KeyValue: ...

    @overload
    def __getitem__(self, index: slice) -> list[KeyValue]: ...

    def __getitem__(self, index: int | slice) -> KeyValue | list[KeyValue]:
        if isinstance(index, slice):
            return [self[layer] for layer in range(*index.indices(len(self)))]
        return KeyValue(*(part.to(self._device) for part in self._layers[index]))
