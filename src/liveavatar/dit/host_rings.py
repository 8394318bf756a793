# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The memory of a session in host memory, for cards that cannot hold it: the same keys and values as `cache.Rings`.

Rings are most of what a session takes, and each is read once a denoising step, layer after layer. Two buffers on the
device take turns: while one layer attends, the next layer's past is copied into the other one out of pinned memory,
and the block's own keys and values are copied back. The sink is small and stays on the device.

Shapes: N tokens of a block, S tokens of sink and ring, H heads, K channels of a head; 2 is keys and values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from liveavatar.dit.attention import attention
from liveavatar.dit.cache import RingShape
from liveavatar.dit.layers import KeyValue
from liveavatar.dit.offload import Lane
from liveavatar.dit.rope import Rope, rotate

BUFFERS = 2
_E4M3_LARGEST = 448.0


def stored(x: Tensor, kind: torch.dtype) -> Tensor:
    """`x` as numbers of `kind`; what FP8 cannot hold becomes the largest that it can."""
    return x.clamp(-_E4M3_LARGEST, _E4M3_LARGEST).to(kind) if kind is torch.float8_e4m3fn else x.to(kind)


@dataclass(frozen=True, slots=True)
class HostLayer:
    """One layer of one step's ring, for one block."""

    rings: "HostRings"
    step: int
    layer: int
    block: int

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Write the block into its slot; it sees itself, the blocks before it that are still there, the sink."""
        seen = self.rings.extend(self, k_BNHK, v_BNHK)
        return attention(q_BNHK, seen.k, seen.v)


class HostRings:
    """The memory of one session: rings in host memory, the sink on the device."""

    def __init__(self, shape: RingShape, like: Tensor, store: torch.dtype | None = None) -> None:
        """`like` gives the device and the type of what is returned; `store` the type it is kept in."""
        self.shape = shape
        self._like = like
        self._kind = store or like.dtype
        self._lane = Lane(like.device)
        self._sink = self._empty(shape.layers, shape.sink)
        self._portrait: list[Tensor] = []
        self._buffers = [self._empty(1, shape.sink + shape.ring)[0] for _ in range(BUFFERS)]
        self._held: list[HostLayer | None] = [None] * BUFFERS
        self._ready: list[torch.cuda.Event | None] = [None] * BUFFERS
        self._slots = [
            [[self._on_host() for _ in range(shape.blocks)] for _ in range(shape.layers)]
            for _ in range(shape.steps)
        ]

    def _empty(self, layers: int, tokens: int) -> Tensor:
        size = (layers, 2, 1, tokens, self.shape.heads, self.shape.head_dim)
        return torch.zeros(size, dtype=self._kind, device=self._like.device)

    def _on_host(self) -> Tensor:
        size = (2, 1, self.shape.block, self.shape.heads, self.shape.head_dim)
        return torch.empty(size, dtype=self._kind, pin_memory=self._like.is_cuda)

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope) -> None:
        """Put a sink in place, turned by `rope`; the rings stay."""
        for kept, part in zip(self._sink, sink, strict=True):
            kept[0], kept[1] = stored(rotate(part.k, rope), self._kind), stored(part.v, self._kind)
        self._portrait = [part.k[:, : self.shape.portrait].clone() for part in sink]

    def turn_portrait(self, rope: Rope) -> None:
        """Turn the portrait's keys to another place; the rest of the sink never moves."""
        for kept, keys in zip(self._sink, self._portrait, strict=True):
            kept[0][:, : self.shape.portrait] = stored(rotate(keys, rope), self._kind)

    def step(self, step: int, block: int) -> list[HostLayer]:
        """Every layer's memory for block number `block` at denoising step `step`."""
        return [HostLayer(self, step, layer, block) for layer in range(self.shape.layers)]

    def extend(self, place: HostLayer, k_BNHK: Tensor, v_BNHK: Tensor) -> KeyValue:
        """What the block at `place` may look at, itself included; its keys are turned already."""
        index, slot = self._buffer(place), place.block % self.shape.blocks
        if self._held[index] != place:
            self._fetch(place)
        self._lane.wait(self._ready[index])
        for kept, sink, new in zip(
            self._buffers[index], self._sink[place.layer], (k_BNHK, v_BNHK), strict=True
        ):
            kept[:, self._slot(place.step, slot)] = stored(new, self._kind)
            kept[:, self._sink_slots(place.step)] = sink
        with self._lane.copying():
            for host, kept in zip(
                self._slots[place.step][place.layer][slot], self._buffers[index], strict=True
            ):
                host.copy_(kept[:, self._slot(place.step, slot)], non_blocking=True)
        if self._buffer(following := self._after(place)) != index:
            self._fetch(following)
        seen = self._seen(place)
        return KeyValue(*(kept[:, seen].to(self._like.dtype) for kept in self._buffers[index]))

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
