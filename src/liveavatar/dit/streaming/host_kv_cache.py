# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The KV cache of a session in host memory, for GPUs that cannot hold it: the same numbers as `kv_cache.RingKVCache`.

The rings are most of a session's memory, and each is read once a denoising step, layer after layer. Two buffers on the
device take turns: while one layer attends, the next layer's past is copied from pinned memory into the other buffer,
and the block's own keys and values are copied back. The sink is small and stays on the device.

Shapes: N tokens of a block, H heads, K channels of a head; a dimension of 2 is keys and values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import torch
from torch import Tensor

from liveavatar.dit.model.attention import AttentionKernel, torch_attention
from liveavatar.dit.model.host_memory import allocate_host
from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import Rope, apply_rope
from liveavatar.dit.streaming.copy_stream import BufferRotation, CopyStream
from liveavatar.dit.streaming.kv_cache import RingLayerCache, RingLayout, RingShape
from liveavatar.dit.streaming.kv_ops import EAGER_KV_OPS, KVOps, KVStorage

BUFFER_COUNT = 2


class RingPosition(NamedTuple):
    """A block in the ring of one layer and denoising step."""

    step: int
    layer: int
    block: int


@dataclass(frozen=True, slots=True)
class HostLayerCache:
    """One layer of one step's ring, for one block."""

    cache: "HostKVCache"
    position: RingPosition

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Write the block to its slot; attend to it, the blocks before it in the ring, and the sink."""
        attended = self.cache.load_layer(self.position).attend(q_BNHK, k_BNHK, v_BNHK)
        self.cache.store_block(self.position)
        return attended


class HostKVCache:
    """The cache of one session: rings in host memory, the sink on the device."""

    def __init__(
        self, shape: RingShape, like: Tensor, storage_dtype: torch.dtype | None = None, ops: KVOps = EAGER_KV_OPS,
        *, kernel: AttentionKernel = torch_attention,
    ) -> None:  # fmt: skip
        """`like` gives type and device; `storage_dtype` is FP8 or None."""
        self.shape = shape
        self._template = like.new_empty(0, dtype=storage_dtype)
        self._ops = ops
        self._kernel = kernel
        self._storage = KVStorage(storage_dtype, ops)
        self._sink = self._allocate_device(shape.layers, shape.sink_tokens)
        self._portrait_keys: list[Tensor] = []
        self._buffers = [
            self._allocate_device(1, shape.sink_tokens + shape.ring_tokens)[0] for _ in range(BUFFER_COUNT)
        ]
        self._copy_stream = CopyStream(like.device)
        self._rotation = BufferRotation[RingPosition](self._copy_stream, BUFFER_COUNT)
        self._token_offsets = torch.arange(shape.block_tokens, device=like.device)
        block_size = (2, 1, shape.block_tokens, shape.heads, shape.head_dim)
        self._slots = [
            [
                [allocate_host(block_size, self._template.dtype, like.device) for _ in range(shape.blocks)]
                for _ in range(shape.layers)
            ]
            for _ in range(shape.steps)
        ]

    def _allocate_device(self, layers: int, tokens: int) -> Tensor:
        return self._template.new_zeros((layers, 2, 1, tokens, self.shape.heads, self.shape.head_dim))

    def set_sink(self, sink: Sequence[KeyValue], rope: Rope) -> None:
        """Replace the sink, whose keys are unrotated, and rotate it by `rope`; the rings stay."""
        self._storage.calibrate_scales(sink)
        for layer, part in enumerate(sink):
            self._sink[layer][0] = self._storage.pack_keys(layer, apply_rope(part.k, rope))
            self._sink[layer][1] = self._storage.pack_values(layer, part.v)
        self._portrait_keys = [part.k[:, : self.shape.portrait_tokens].clone() for part in sink]

    def move_portrait(self, rope: Rope) -> None:
        """Rotate the portrait's keys to another position; the rest of the sink never moves."""
        for layer, keys in enumerate(self._portrait_keys):
            rotated = self._storage.pack_keys(layer, self._ops.rotate(keys, rope))
            self._sink[layer][0][:, : self.shape.portrait_tokens] = rotated

    def prepare_layers(self, step: int, block: int) -> list[HostLayerCache]:
        """The cache of every layer for block number `block` at denoising step `step`."""
        return [HostLayerCache(self, RingPosition(step, layer, block)) for layer in range(self.shape.layers)]

    def load_layer(self, position: RingPosition) -> RingLayerCache:
        """The cache of a layer on the device; starts to copy the layer that follows."""
        index, layout = self._buffer_index(position), self._step_layout(position.step)
        self._rotation.load_content(position, index, self._copy_past)
        following = self._following_layer(position)
        if self._buffer_index(following) != index:
            self._rotation.prefetch_content(following, self._buffer_index(following), self._copy_past)
        for part, sink in zip(self._buffers[index], self._sink[position.layer], strict=True):
            part[:, layout.sink_range] = sink
        return RingLayerCache(
            KeyValue(*self._buffers[index].unbind()),
            self._token_offsets + layout.block_range(position.block).start,
            layout.visible_range(position.block),
            self._storage.layer_scale(position.layer),
            self._ops,
            self._kernel,
        )

    def store_block(self, position: RingPosition) -> None:
        """Start to copy the keys and values of a block to host memory."""
        source = self._step_layout(position.step).block_range(position.block)
        with self._copy_stream.queue_copies():
            for host, part in zip(
                self._host_slot(position, position.block),
                self._buffers[self._buffer_index(position)],
                strict=True,
            ):
                host.copy_(part[:, source], non_blocking=True)

    def _copy_past(self, position: RingPosition, buffer: int) -> None:
        """Copy the blocks of the ring before `position.block` to a buffer on the device."""
        layout = self._step_layout(position.step)
        for block in range(max(0, position.block + 1 - self.shape.blocks), position.block):
            for part, host in zip(self._buffers[buffer], self._host_slot(position, block), strict=True):
                part[:, layout.block_range(block)].copy_(host, non_blocking=True)

    def _host_slot(self, position: RingPosition, block: int) -> Tensor:
        """Keys and values [2, 1, N, H, K] of a block, in the layer and step of `position`."""
        return self._slots[position.step][position.layer][block % self.shape.blocks]

    def _step_layout(self, step: int) -> RingLayout:
        # as in RingKVCache, so that keys come in the same order and sums are equal to the last bit
        after_sink = bool(step % 2)
        return RingLayout(self.shape, 0 if after_sink else self.shape.ring_tokens, after_sink)

    def _buffer_index(self, position: RingPosition) -> int:
        return (position.step * self.shape.layers + position.layer) % BUFFER_COUNT

    def _following_layer(self, position: RingPosition) -> RingPosition:
        """The layer that is computed next, unless the block is interrupted."""
        if position.layer + 1 < self.shape.layers:
            return RingPosition(position.step, position.layer + 1, position.block)
        if position.step + 1 < self.shape.steps:
            return RingPosition(position.step + 1, 0, position.block)
        return RingPosition(0, 0, position.block + 1)

    @property
    def bytes(self) -> int:
        """Memory in use on the device."""
        return sum(tensor.nbytes for tensor in [self._sink, *self._buffers, *self._portrait_keys])


class HostSink(Sequence[KeyValue]):
    """A sink in host memory; indexing copies a layer to the device."""

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
