"""CUDA graphs: the kernels of a denoising step, recorded once and launched with one call.

Recorded functions take no arguments: they read and write tensors at fixed addresses. On a CPU, and with recording off,
they are called each time.
"""

from collections import deque
from collections.abc import Callable

import torch


class CudaGraphCache:
    """Recorded functions of one stream, by key. They share a memory pool, because they never run concurrently."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._pool = torch.cuda.graph_pool_handle() if enabled else None

    def run_recorded(self, key: int, function: Callable[[], None]) -> None:
        """Replay the graph of `key`; the first time, record `function` first.

        `function` must have run before, because compiling and allocating cannot be recorded.
        """
        if not self._enabled:
            function()
            return
        if key not in self._graphs:
            self._graphs[key] = self._record_graph(function)
        self._graphs[key].replay()

    def _record_graph(self, function: Callable[[], None]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # other threads may use the GPU meanwhile
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            function()
        return graph

    def clear(self) -> None:
        """Drop all graphs: the tensors they read have been replaced."""
        self._graphs.clear()


class LaunchThrottle:
    """Limits the launch queue of the GPU to one step ahead, so that an interruption takes effect soon."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._step_events: deque[torch.cuda.Event] = deque()

    def wait_previous_step(self) -> None:
        """After a step is launched: wait until the one before it is done."""
        if self._device.type != "cuda":
            return
        self._step_events.append(torch.cuda.current_stream(self._device).record_event())
        if len(self._step_events) > 1:
            self._step_events.popleft().synchronize()
