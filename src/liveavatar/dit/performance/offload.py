"""Weights that do not fit: blocks live in host memory and come to the device just before they compute.

Blocks are needed in a known order, over and over. A few buffers on the device take turns: while one block computes,
the next one that is not on the device is copied into a free buffer, on a stream of its own, out of pinned memory.
A block's weights are views of its buffer, so nothing is rebound while drawing. On a CPU the same happens with plain
copies.

What is needed once a prompt, the keys and values of the text, is copied for the moment it computes (`Parked`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from liveavatar.dit.streaming.copy_stream import CopyStream

ALIGNMENT_BYTES = 256
"""Bytes that every tensor begins at a multiple of, as kernels want it."""

_MIN_PIECE_BYTES = 1 << 20
_TEXT_LAYER_PATTERN = re.compile(r"cross_attn\.(k|v|kv)\b")


@dataclass(frozen=True, slots=True)
class _WeightSlice:
    """A tensor of a module, and where it begins among the bytes of its block."""

    module: nn.Module
    name: str
    tensor: Tensor
    start_byte: int

    @property
    def end_byte(self) -> int:
        return self.start_byte + self.tensor.nbytes


class HostBuffer:
    """A run of bytes in host memory, pinned where there is a GPU.

    PyTorch rounds pinned memory up to a power of two, half as much again for a block of this model, so the run is
    cut into powers of two.
    """

    def __init__(self, count: int, *, pinned: bool) -> None:
        self.pieces = [
            torch.empty(size, dtype=torch.uint8, pin_memory=pinned) for size in split_powers_of_two(count)
        ]

    def copy_from(self, source: Tensor) -> None:
        """Keep a run of bytes; back when it is here."""
        for piece, part in zip(self.pieces, self._split_run(source), strict=True):
            piece[: len(part)].copy_(part)

    def copy_to(self, target: Tensor) -> None:
        """Bring the run to `target` on the stream at hand, without waiting."""
        for piece, part in zip(self.pieces, self._split_run(target), strict=True):
            part.copy_(piece[: len(part)], non_blocking=True)

    def _split_run(self, run: Tensor) -> Iterator[Tensor]:
        start = 0
        for piece in self.pieces:
            yield run[start : start + len(piece)]
            start += len(piece)


def split_powers_of_two(count: int) -> list[int]:
    """Powers of two that hold `count` bytes, the largest first, less than 1 MiB too many."""
    sizes = []
    while count >= _MIN_PIECE_BYTES:
        sizes.append(1 << (count.bit_length() - 1))
        count -= sizes[-1]
    return [*sizes, 1 << (count - 1).bit_length()] if count else sizes


class BlockSwapper:
    """Brings blocks to the device in turn. `add` them in the order of their layers."""

    def __init__(self, device: torch.device, buffers: int = 2) -> None:
        self._device = device
        self._copy_stream = CopyStream(device)
        self._buffers: list[Tensor] = []
        self._buffer_count = buffers
        self._host_buffers: list[HostBuffer] = []
        self._loaded_blocks: list[int | None] = [None] * buffers
        self._ready_events: list[torch.cuda.Event | None] = [None] * buffers

    @property
    def bytes(self) -> int:
        """Memory that the buffers take on the device."""
        return sum(len(buffer) for buffer in self._buffers)

    def add(self, block: nn.Module) -> "OffloadedBlock":
        """Move a block's large weights to host memory; it must be called through what is returned."""
        weights, size = _pack_weights(block)
        run = torch.zeros(size, dtype=torch.uint8)
        for weight in weights:
            run[weight.start_byte : weight.end_byte] = _to_bytes(weight.tensor.cpu())
        host = HostBuffer(size, pinned=self._device.type == "cuda")
        host.copy_from(run)
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
        """Have block `index` on the device before what is computed next."""
        slot = index % self._buffer_count
        if self._loaded_blocks[slot] != index:
            self._prefetch_block(index)
        self._copy_stream.wait_event(self._ready_events[slot])

    def release_block(self, index: int) -> None:
        """Block `index` has been asked to compute: its buffer is free for the next after that."""
        following = index + self._buffer_count
        following = following if following < len(self._host_buffers) else index % self._buffer_count
        if following != index:
            self._prefetch_block(following)

    def _prefetch_block(self, index: int) -> None:
        slot = index % self._buffer_count
        with self._copy_stream.queue_copies():
            self._host_buffers[index].copy_to(self._buffers[slot])
            self._ready_events[slot] = self._copy_stream.record_event()
        self._loaded_blocks[slot] = index


class OffloadedBlock(nn.Module):
    """A block whose large weights are on the device only while it is called; otherwise like the block itself."""

    def __init__(self, block: nn.Module, swapper: BlockSwapper, index: int) -> None:
        super().__init__()
        self.block = block
        self._swapper = swapper
        self._index = index

    def forward(self, *args: object, **kwargs: object) -> Tensor:
        """What the block computes."""
        self._swapper.load_block(self._index)
        out: Tensor = self.block(*args, **kwargs)
        self._swapper.release_block(self._index)
        return out

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        own = self.__dict__["_modules"]["block"]
        found: Tensor | nn.Module = own if name == "block" else getattr(own, name)
        return found


class HostResidentLayer(nn.Module):
    """A layer whose weights stay in host memory, and are on the device only while it computes."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = [layer.cpu()]  # in a list, so that nobody moves it with the rest of the model

    def forward(self, x: Tensor) -> Tensor:
        """What the layer computes."""
        layer = self._layer[0]
        here = {name: weight.to(x.device) for name, weight in layer.state_dict().items()}
        out: Tensor = functional_call(layer, here, (x,))
        return out


def offload_text_layers(block: nn.Module) -> None:
    """Keep what a block needs once a prompt in host memory."""
    for name, layer in list(block.named_modules()):
        if _TEXT_LAYER_PATTERN.fullmatch(name) and not isinstance(layer, HostResidentLayer):
            parent, _, own = name.rpartition(".")
            setattr(block.get_submodule(parent), own, HostResidentLayer(layer))


def choose_spread_layers(count: int, layers: int) -> list[int]:
    """`count` of so many layers, as far from each other as can be: copies hide behind the layers between."""
    return [(2 * index + 1) * layers // (2 * count) for index in range(count)]


def _pack_weights(block: nn.Module) -> tuple[list[_WeightSlice], int]:
    """The matrices of a block one after another, and the bytes they take; what is needed once a prompt stays out."""
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
