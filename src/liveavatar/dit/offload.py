"""Weights that do not fit: blocks live in host memory and come to the device just before they compute.

Blocks are needed in a known order, over and over. A few buffers on the device take turns: while one block computes,
the next one that is not on the device is copied into a free buffer, on a stream of its own, out of pinned memory.
A block's weights are views of its buffer, so nothing is rebound while drawing. On a CPU the same happens with plain
copies.

What is needed once a prompt, the keys and values of the text, is copied for the moment it computes (`Parked`).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

ALIGNED = 256
"""Bytes that every tensor begins at a multiple of, as kernels want it."""

_SMALLEST_PIECE = 1 << 20
_ONCE = re.compile(r"cross_attn\.(k|v|kv)\b")


class Lane:
    """Copies beside the computation: on a stream of its own on a GPU, at once elsewhere."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @contextmanager
    def copying(self) -> Iterator[None]:
        """What is copied inside waits for what has been asked of the device so far, and for nothing later."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            yield

    def mark(self) -> torch.cuda.Event | None:
        """The end of the copies so far."""
        return None if self._stream is None else self._stream.record_event()

    def wait(self, mark: torch.cuda.Event | None) -> None:
        """What is computed from now on waits for `mark`."""
        if self._stream is not None and mark is not None:
            torch.cuda.current_stream(self._stream.device).wait_event(mark)


@dataclass(frozen=True, slots=True)
class _Weight:
    """A tensor of a module, and where it begins among the bytes of its block."""

    owner: nn.Module
    name: str
    tensor: Tensor
    start: int

    @property
    def end(self) -> int:
        return self.start + self.tensor.nbytes


class HostBytes:
    """A run of bytes in host memory, pinned where there is a GPU.

    PyTorch rounds pinned memory up to a power of two, half as much again for a block of this model, so the run is
    cut into powers of two.
    """

    def __init__(self, count: int, *, pinned: bool) -> None:
        self.pieces = [torch.empty(size, dtype=torch.uint8, pin_memory=pinned) for size in powers(count)]

    def put(self, source: Tensor) -> None:
        """Keep a run of bytes; back when it is here."""
        for piece, part in zip(self.pieces, self._parts(source), strict=True):
            piece[: len(part)].copy_(part)

    def copy_to(self, target: Tensor) -> None:
        """Bring the run to `target` on the stream at hand, without waiting."""
        for piece, part in zip(self.pieces, self._parts(target), strict=True):
            part.copy_(piece[: len(part)], non_blocking=True)

    def _parts(self, run: Tensor) -> Iterator[Tensor]:
        start = 0
        for piece in self.pieces:
            yield run[start : start + len(piece)]
            start += len(piece)


def powers(count: int) -> list[int]:
    """Powers of two that hold `count` bytes, the largest first, less than 1 MiB too many."""
    sizes = []
    while count >= _SMALLEST_PIECE:
        sizes.append(1 << (count.bit_length() - 1))
        count -= sizes[-1]
    return [*sizes, 1 << (count - 1).bit_length()] if count else sizes


class Carousel:
    """Brings blocks to the device in turn. `add` them in the order of their layers."""

    def __init__(self, device: torch.device, buffers: int = 2) -> None:
        self._device = device
        self._lane = Lane(device)
        self._buffers: list[Tensor] = []
        self._count = buffers
        self._hosts: list[HostBytes] = []
        self._held: list[int | None] = [None] * buffers
        self._ready: list[torch.cuda.Event | None] = [None] * buffers

    @property
    def bytes(self) -> int:
        """Memory that the buffers take on the device."""
        return sum(len(buffer) for buffer in self._buffers)

    def add(self, block: nn.Module) -> "Streamed":
        """Move a block's large weights to host memory; it must be called through what is returned."""
        weights, size = _laid_out(block)
        run = torch.zeros(size, dtype=torch.uint8)
        for weight in weights:
            run[weight.start : weight.end] = _as_bytes(weight.tensor.cpu())
        host = HostBytes(size, pinned=self._device.type == "cuda")
        host.put(run)
        self._hosts.append(host)
        index = len(self._hosts) - 1
        buffer = self._buffer(index % self._count, size)
        for weight in weights:
            _rebind(weight, buffer)
        return Streamed(block, self, index)

    def _buffer(self, slot: int, size: int) -> Tensor:
        if slot == len(self._buffers):
            self._buffers.append(torch.empty(size, dtype=torch.uint8, device=self._device))
        if len(self._buffers[slot]) != size:
            raise ValueError(f"blocks of {len(self._buffers[slot])} and {size} bytes cannot share a buffer")
        return self._buffers[slot]

    def bring(self, index: int) -> None:
        """Have block `index` on the device before what is computed next."""
        slot = index % self._count
        if self._held[slot] != index:
            self._fetch(index)
        self._lane.wait(self._ready[slot])

    def done(self, index: int) -> None:
        """Block `index` has been asked to compute: its buffer is free for the next after that."""
        following = index + self._count
        following = following if following < len(self._hosts) else index % self._count
        if following != index:
            self._fetch(following)

    def _fetch(self, index: int) -> None:
        slot = index % self._count
        with self._lane.copying():
            self._hosts[index].copy_to(self._buffers[slot])
            self._ready[slot] = self._lane.mark()
        self._held[slot] = index


class Streamed(nn.Module):
    """A block whose large weights are on the device only while it is called; otherwise like the block itself."""

    def __init__(self, block: nn.Module, carousel: Carousel, index: int) -> None:
        super().__init__()
        self.block = block
        self._carousel = carousel
        self._index = index

    def forward(self, *args: object, **kwargs: object) -> Tensor:
        """What the block computes."""
        self._carousel.bring(self._index)
        out: Tensor = self.block(*args, **kwargs)
        self._carousel.done(self._index)
        return out

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        own = self.__dict__["_modules"]["block"]
        found: Tensor | nn.Module = own if name == "block" else getattr(own, name)
        return found


class Parked(nn.Module):
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


def park(block: nn.Module) -> None:
    """Keep what a block needs once a prompt in host memory."""
    for name, layer in list(block.named_modules()):
        if _ONCE.fullmatch(name) and not isinstance(layer, Parked):
            parent, _, own = name.rpartition(".")
            setattr(block.get_submodule(parent), own, Parked(layer))


def spread(count: int, layers: int) -> list[int]:
    """`count` of so many layers, as far from each other as can be: copies hide behind the layers between."""
    return [(2 * index + 1) * layers // (2 * count) for index in range(count)]


def _laid_out(block: nn.Module) -> tuple[list[_Weight], int]:
    """The matrices of a block one after another, and the bytes they take; what is needed once a prompt stays out."""
    weights, start = [], 0
    for name, module in block.named_modules():
        matrix = getattr(module, "weight", None)
        if isinstance(matrix, Tensor) and matrix.ndim == 2 and not _ONCE.fullmatch(name):
            weights.append(_Weight(module, "weight", matrix.detach(), start))
            start = -(-weights[-1].end // ALIGNED) * ALIGNED
    return weights, start


def _as_bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(-1).view(torch.uint8)


def _rebind(weight: _Weight, buffer: Tensor) -> None:
    view = buffer[weight.start : weight.end].view(weight.tensor.dtype).view(weight.tensor.shape)
    is_parameter = weight.name in dict(weight.owner.named_parameters(recurse=False))
    setattr(weight.owner, weight.name, nn.Parameter(view, requires_grad=False) if is_parameter else view)
