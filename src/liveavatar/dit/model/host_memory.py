"""Host memory for copies to and from a GPU."""

from collections.abc import Sequence

import torch
from torch import Tensor


def allocate_host(size: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """An uninitialised tensor in host memory, pinned if `device` is a GPU: only then copies run asynchronously."""
    return torch.empty(tuple(size), dtype=dtype, pin_memory=device.type == "cuda")
