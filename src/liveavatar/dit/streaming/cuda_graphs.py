"""CUDA graphs: what the GPU is asked for once is asked for again in one call.

The functions recorded take no arguments: they read and write tensors that stay where they are. On a CPU, and
wherever recording is off, they are simply called.
"""

from collections import deque
from collections.abc import Callable

import torch


class CudaGraphCache:
    """Recorded functions of one stream, by name. They share one pool of memory, since they never run side by side."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._pool = torch.cuda.graph_pool_handle() if enabled else None

    def run_recorded(self, key: int, function: Callable[[], None]) -> None:
        """Do what `function` does; it is called only the first time, and must have been called before outside of it.

        That earlier call is what compiles and allocates, which cannot be recorded.
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
        """The tensors they read are no longer those to be read."""
        self._graphs.clear()


class LaunchThrottle:
    """Keeps the GPU busy and no further ahead than one step, so that an interruption finds little left to undo."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._step_events: deque[torch.cuda.Event] = deque()

    def wait_previous_step(self) -> None:
        """A step has been asked of the GPU: wait until the one before it is done."""
        if self._device.type != "cuda":
            return
        self._step_events.append(torch.cuda.current_stream(self._device).record_event())
        if len(self._step_events) > 1:
            self._step_events.popleft().synchronize()
