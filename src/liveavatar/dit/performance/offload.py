"""Weights in host memory, for GPUs that cannot hold them: blocks are copied to the device just before they compute.

Blocks are needed in a known order, over and over. A few buffers on the device take turns: while one block computes,
the next offloaded block is copied from pinned memory into a free buffer, on a stream of its own. A block's weights are
views of its buffer, so nothing is rebound later. On a CPU the copies are plain.

The projections of the text's keys and values compute once a prompt; they are copied for that moment alone
(`HostResidentLayer`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from liveavatar.dit.model.host_memory import allocate_host
from liveavatar.dit.streaming.copy_stream import BufferRotation, CopyStream

ALIGNMENT_BYTES = 256
"""Every tensor in a buffer starts at a multiple of this, as CUDA allocations do."""

_MIN_PIECE_BYTES = 1 << 20
_TEXT_LAYER_PATTERN = re.compile(r"cross_attn\.(k|v|kv)\b")


@dataclass(frozen=True, slots=True)
class _WeightSlice:
    """A tensor of a module, and its first byte in the buffer of its block."""

    module: nn.Module
    name: str
    tensor: Tensor
    start_byte: int

    @property
    def end_byte(self) -> int:
        return self.start_byte + self.tensor.nbytes


class HostBuffer:
    """Bytes in host memory, pinned if `device` is a GPU.

    PyTorch rounds a pinned allocation up to a power of two, which would waste half as much again for a block of this
    model; so the bytes are split into powers of two.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self.pieces = [allocate_host([size], torch.uint8, device) for size in split_powers_of_two(count)]

    def copy_from(self, source: Tensor) -> None:
        """Fill the buffer; returns when the copy is done."""
        for piece, part in zip(self.pieces, self._split_pieces(source), strict=True):
            piece[: len(part)].copy_(part)

    def copy_to(self, target: Tensor) -> None:
        """Copy the bytes to `target` on the current stream, without waiting."""
        for piece, part in zip(self.pieces, self._split_pieces(target), strict=True):
            part.copy_(piece[: len(part)], non_blocking=True)

    def _split_pieces(self, contiguous: Tensor) -> Iterator[Tensor]:
        start = 0
        for piece in self.pieces:
            yield contiguous[start : start + len(piece)]
            start += len(piece)


def split_powers_of_two(count: int) -> list[int]:
    """Powers of two that hold `count` bytes, the largest first, with less than 1 MiB to spare."""
    sizes = []
    while count >= _MIN_PIECE_BYTES:
        sizes.append(1 << (count.bit_length() - 1))
        count -= sizes[-1]
    return [*sizes, 1 << (count - 1).bit_length()] if count else sizes


class BlockSwapper:
    """Copies offloaded blocks to the device in turn; `add` them in the order of their layers."""

    def __init__(self, device: torch.device, buffers: int = 2) -> None:
        self._device = device
        self._rotation = BufferRotation[int](CopyStream(device), buffers)
        self._buffers: list[Tensor] = []
        self._buffer_count = buffers
        self._host_buffers: list[HostBuffer] = []

    @property
    def bytes(self) -> int:
        """Memory of the buffers on the device."""
        return sum(len(buffer) for buffer in self._buffers)

    def add(self, block: nn.Module) -> "OffloadedBlock":
        """Move a block's matrices to host memory; use the block that is returned in its place.

        Raises:
            ValueError: the block has another size than those it would share a buffer with.
        """
        weights, size = _pack_weights(block)
        packed = torch.zeros(size, dtype=torch.uint8)
        for weight in weights:
            packed[weight.start_byte : weight.end_byte] = _to_bytes(weight.tensor.cpu())
        host = HostBuffer(size, self._device)
        host.copy_from(packed)
        self._host_buffers.append(host)
        index = len(self._host_buffers) - 1
        buffer = self._ensure_buffer(index % self._buffer_count, size)
        for weight in weights:
            _rebind_weight(weight, buffer)
        return OffloadedBlock(block, self, index)

    def _ensure_buffer(self, slot: int, size: int) -> Tensor:
        if slot == len(self._buffers):
            self._buffers.append(torch.empty(size, dtype=torch.uint8, device=self._device))
        if len(self._buffers[slot]) != size:
            raise ValueError(f"blocks of {len(self._buffers[slot])} and {size} bytes cannot share a buffer")
        return self._buffers[slot]

    def load_block(self, index: int) -> None:
        """Make what is computed next wait until block `index` is on the device."""
        self._rotation.load_content(index, index % self._buffer_count, self._copy_block)

    def release_block(self, index: int) -> None:
        """Block `index` is queued for computation: start to copy the next block that uses its buffer."""
        following = index + self._buffer_count
        following = following if following < len(self._host_buffers) else index % self._buffer_count
        if following != index:
            self._rotation.prefetch_content(following, index % self._buffer_count, self._copy_block)

    def _copy_block(self, index: int, slot: int) -> None:
        self._host_buffers[index].copy_to(self._buffers[slot])


class OffloadedBlock(nn.Module):
    """A block whose matrices are on the device only while it is called; other attributes are those of the block."""

    def __init__(self, block: nn.Module, swapper: BlockSwapper, index: int) -> None:
        super().__init__()
        self.block = block
        self._swapper = swapper
        self._index = index

    def forward(self, *args: object, **kwargs: object) -> Tensor:
        """The output of the block."""
        self._swapper.load_block(self._index)
        out: Tensor = self.block(*args, **kwargs)
        self._swapper.release_block(self._index)
        return out

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        own = self.__dict__["_modules"]["block"]
        found: Tensor | nn.Module = own if name == "block" else getattr(own, name)
        return found


class HostResidentLayer(nn.Module):
    """A layer whose weights stay in host memory and are copied to the device for each call."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = [layer.cpu()]  # in a list, so that `model.to(device)` does not move it

    def forward(self, x: Tensor) -> Tensor:
        """The output of the layer, on the device of `x`."""
        layer = self._layer[0]
        weights = {name: weight.to(x.device) for name, weight in layer.state_dict().items()}
        out: Tensor = functional_call(layer, weights, (x,))
        return out


def offload_text_layers(block: nn.Module) -> None:
    """Move the projections of a block's text keys and values to host memory; they compute once a prompt."""
    for name, layer in list(block.named_modules()):
        if _TEXT_LAYER_PATTERN.fullmatch(name) and not isinstance(layer, HostResidentLayer):
            parent, _, own = name.rpartition(".")
            setattr(block.get_submodule(parent), own, HostResidentLayer(layer))


def choose_spread_layers(count: int, layers: int) -> list[int]:
    """`count` of `layers` indices, evenly spread, so that a copy runs while the layers between compute."""
    return [(2 * index + 1) * layers // (2 * count) for index in range(count)]


def _pack_weights(block: nn.Module) -> tuple[list[_WeightSlice], int]:
    """The matrices of a block, aligned one after another, and the bytes they take; without the text projections."""
    weights, start = [], 0
    for name, module in block.named_modules():
        matrix = getattr(module, "weight", None)
        if isinstance(matrix, Tensor) and matrix.ndim == 2 and not _TEXT_LAYER_PATTERN.fullmatch(name):
            weights.append(_WeightSlice(module, "weight", matrix.detach(), start))
            start = -(-weights[-1].end_byte // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return weights, start


def _to_bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(-1).view(torch.uint8)


def _rebind_weight(weight: _WeightSlice, buffer: Tensor) -> None:
    view = buffer[weight.start_byte : weight.end_byte].view(weight.tensor.dtype).view(weight.tensor.shape)
    is_parameter = weight.name in dict(weight.module.named_parameters(recurse=False))
    setattr(weight.module, weight.name, nn.Parameter(view, requires_grad=False) if is_parameter else view)
