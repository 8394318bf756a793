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

from liveavatar.dit.model.attention import AttentionKernel, torch_attention
from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import Rope, apply_rope
from liveavatar.dit.streaming.copy_stream import CopyStream
from liveavatar.dit.streaming.kv_cache import RingLayerCache, RingShape
from liveavatar.dit.streaming.kv_ops import EAGER_KV_OPS, KVOps, compute_head_scale

BUFFER_COUNT = 2


@dataclass(frozen=True, slots=True)
class HostLayerCache:
    """One layer of one step's ring, for one block."""

    cache: "HostKVCache"
    step: int
    layer: int
    block: int

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Write the block into its slot; it sees itself, the blocks before it that are still there, the sink."""
        seen = self.cache.load_layer(self).attend(q_BNHK, k_BNHK, v_BNHK)
        self.cache.store_block(self)
        return seen


class HostKVCache:
    """The memory of one session: rings in host memory, the sink on the device."""

    def __init__(
        self,
        shape: RingShape,
        like: Tensor,
        storage_dtype: torch.dtype | None = None,
        ops: KVOps = EAGER_KV_OPS,
        *,
        kernel: AttentionKernel = torch_attention,
    ) -> None:
        """`like` gives type and device; `store` FP8 keeps numbers in that."""
        self.shape = shape
        self._like = like.new_empty(0, dtype=storage_dtype)
        self._storage_dtype = storage_dtype
        self._ops = ops
        self._kernel = kernel
        self._copy_stream = CopyStream(like.device)
        self._sink = self._allocate_device(shape.layers, shape.sink_tokens)
        self._scales: list[KeyValue] | None = None
        self._portrait_keys: list[Tensor] = []
        self._buffers = [
            self._allocate_device(1, shape.sink_tokens + shape.ring_tokens)[0] for _ in range(BUFFER_COUNT)
        ]
        self._token_offsets = torch.arange(shape.block_tokens, device=like.device)
        self._loaded_layers: list[HostLayerCache | None] = [None] * BUFFER_COUNT
        self._ready_events: list[torch.cuda.Event | None] = [None] * BUFFER_COUNT
        self._slots = [
            [[self._allocate_host() for _ in range(shape.blocks)] for _ in range(shape.layers)]
            for _ in range(shape.steps)
        ]

    def _allocate_device(self, layers: int, tokens: int) -> Tensor:
        return self._like.new_zeros((layers, 2, 1, tokens, self.shape.heads, self.shape.head_dim))

    def _allocate_host(self) -> Tensor:
        size = (2, 1, self.shape.block_tokens, self.shape.heads, self.shape.head_dim)
        return torch.empty(size, dtype=self._like.dtype, pin_memory=self._like.is_cuda)

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope) -> None:
        """Put a sink in place, turned by `rope`; the rings stay."""
        if self._storage_dtype is not None and self._scales is None:
            self._scales = [KeyValue(*(compute_head_scale(part) for part in layer)) for layer in sink]
        for layer, part in enumerate(sink):
            self._sink[layer][0] = self._to_stored(0, layer, apply_rope(part.k, rope))
            self._sink[layer][1] = self._to_stored(1, layer, part.v)
        self._portrait_keys = [part.k[:, : self.shape.portrait_tokens].clone() for part in sink]

    def move_portrait(self, rope: Rope) -> None:
        """Turn the portrait's keys to another place; the rest of the sink never moves."""
        for layer, keys in enumerate(self._portrait_keys):
            turned = self._to_stored(0, layer, self._ops.rotate(keys, rope))
            self._sink[layer][0][:, : self.shape.portrait_tokens] = turned

    def _to_stored(self, index: int, layer: int, part: Tensor) -> Tensor:
        return part if self._scales is None else self._ops.to_fp8(part, self._scales[layer][index])

    def prepare_layers(self, step: int, block: int) -> list[HostLayerCache]:
        """Every layer's memory for block number `block` at denoising step `step`."""
        return [HostLayerCache(self, step, layer, block) for layer in range(self.shape.layers)]

    def load_layer(self, target: HostLayerCache) -> RingLayerCache:
        """What the block at `place` may look at, on the device; what is needed next is on its way."""
        index = self._buffer_index(target)
        if self._loaded_layers[index] != target:
            self._prefetch_layer(target)
        self._copy_stream.wait_event(self._ready_events[index])
        if self._buffer_index(following := self._following_layer(target)) != index:
            self._prefetch_layer(following)
        for kept, sink in zip(self._buffers[index], self._sink[target.layer], strict=True):
            kept[:, self._sink_range(target.step)] = sink
        return RingLayerCache(
            KeyValue(*self._buffers[index].unbind()),
            self._token_offsets + self._slot_range(target.step, target.block % self.shape.blocks).start,
            self._visible_range(target),
            None if self._scales is None else self._scales[target.layer],
            self._ops,
            self._kernel,
        )

    def store_block(self, target: HostLayerCache) -> None:
        """Begin to copy to the host what the block at `place` wrote."""
        slot = target.block % self.shape.blocks
        buffer = self._buffers[self._buffer_index(target)]
        with self._copy_stream.queue_copies():
            for host, kept in zip(self._slots[target.step][target.layer][slot], buffer, strict=True):
                host.copy_(kept[:, self._slot_range(target.step, slot)], non_blocking=True)

    # Keys lie in the order of `cache.Rings`, so that sums come out the same to the last bit: the ring of an even
    # step is filled from its end towards its start, with the sink after it.

    def _slot_range(self, step: int, slot: int) -> slice:
        shape = self.shape
        start = (
            shape.sink_tokens + slot * shape.block_tokens
            if step % 2
            else shape.ring_tokens - (slot + 1) * shape.block_tokens
        )
        return slice(start, start + shape.block_tokens)

    def _sink_range(self, step: int) -> slice:
        start = 0 if step % 2 else self.shape.ring_tokens
        return slice(start, start + self.shape.sink_tokens)

    def _visible_range(self, target: HostLayerCache) -> slice:
        shape = self.shape
        seen = min(target.block + 1, shape.blocks) * shape.block_tokens
        return (
            slice(0, shape.sink_tokens + seen) if target.step % 2 else slice(shape.ring_tokens - seen, None)
        )

    def _buffer_index(self, target: HostLayerCache) -> int:
        return (target.step * self.shape.layers + target.layer) % BUFFER_COUNT

    def _following_layer(self, target: HostLayerCache) -> HostLayerCache:
        """What will be needed next, unless the drawing breaks off."""
        if target.layer + 1 < self.shape.layers:
            return HostLayerCache(self, target.step, target.layer + 1, target.block)
        if target.step + 1 < self.shape.steps:
            return HostLayerCache(self, target.step + 1, 0, target.block)
        return HostLayerCache(self, 0, 0, target.block + 1)

    def _prefetch_layer(self, target: HostLayerCache) -> None:
        """Begin to copy the blocks before `place.block`, as far as they are remembered."""
        index, blocks = self._buffer_index(target), self.shape.blocks
        with self._copy_stream.queue_copies():
            for block in range(max(0, target.block + 1 - blocks), target.block):
                source = self._slots[target.step][target.layer][block % blocks]
                where = self._slot_range(target.step, block % blocks)
                for kept, host in zip(self._buffers[index], source, strict=True):
                    kept[:, where].copy_(host, non_blocking=True)
            self._ready_events[index] = self._copy_stream.record_event()
        self._loaded_layers[index] = target

    @property
    def bytes(self) -> int:
        """Memory in use on the device."""
        kept = [self._sink, *self._buffers, *self._portrait_keys]
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
