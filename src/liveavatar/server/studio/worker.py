"""One process beside the event loop, which does one task at a time and keeps its models."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from liveavatar.audio.batch.worker_process import Progress, WorkerCrash, WorkerProcess
from liveavatar.errors import LiveAvatarError
from liveavatar.files import describe_write_error
from liveavatar.server.studio.tasks import Task, TaskFailure, perform_task

_STOP_SECONDS = 5.0
"""How long a process that is asked to end may remove its partial files."""


class TaskStopped(LiveAvatarError):  # noqa: N818  (a state, not a fault)
    """The task was stopped, or its process ended by itself."""


class TaskFailed(LiveAvatarError):  # noqa: N818
    """The task found its input unusable; `code` says which room did."""

    def __init__(self, failure: TaskFailure) -> None:
        super().__init__(failure.problem, failure.remedy)
        self.code = failure.code


class Worker:
    """Starts its process with the first task, and again after one that was stopped. Belongs to the event loop."""

    def __init__(self) -> None:
        self._process: WorkerProcess | None = None
        self._turn = asyncio.Lock()
        self._is_stopping = False
        self.waiting_count = 0

    async def run_task(
        self,
        task: Task,
        on_progress: Callable[[Any], None] = lambda _: None,
        limit_seconds: float | None = None,
    ) -> Any:
        """Run a task after those that wait already; `on_progress` is called on the event loop.

        Raises:
            TaskFailed: its input is unusable.
            TaskStopped: it was stopped, took longer than `limit_seconds`, or killed its process.
        """
        self.waiting_count += 1
        try:
            async with self._turn:
                return await self._run_alone(task, on_progress, limit_seconds)
        finally:
            self.waiting_count -= 1

    async def stop_task(self) -> None:
        """Stop the task that runs, if there is one; its partial files are removed."""
        self._is_stopping = self._turn.locked()
        process = self._process
        if self._is_stopping and process is not None:
            process.ask_to_end()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wait_for_end(process), _STOP_SECONDS)
            process.kill()

    async def close(self) -> None:
        """End the process."""
        await self.stop_task()
        if self._process is not None:
            await asyncio.to_thread(self._process.stop)
            self._process = None

    async def _run_alone(
        self, task: Task, on_progress: Callable[[Any], None], limit_seconds: float | None
    ) -> Any:
        loop = asyncio.get_running_loop()
        self._is_stopping = False
        if self._process is None:
            self._process = await self._start_process()
        if self._is_stopping:  # while the process started
            raise TaskStopped("the work was stopped")
        process = self._process
        process.send_task(task)
        timer = None if limit_seconds is None else loop.call_later(limit_seconds, process.kill)

        def receive_result() -> Any:
            while isinstance(message := process.receive_message(), Progress):
                loop.call_soon_threadsafe(on_progress, message.value)
            return message

        try:
            result = await asyncio.to_thread(receive_result)
        finally:
            if timer is not None:
                timer.cancel()
        if isinstance(result, WorkerCrash):
            self._process = None
            await asyncio.to_thread(process.stop)
            raise TaskStopped("the work ended before its time", "try again, or use another file")
        if isinstance(result, TaskFailure):
            raise TaskFailed(result)
        return result

    async def _start_process(self) -> WorkerProcess:
        try:
            return await asyncio.to_thread(WorkerProcess, perform_task)
        except OSError as error:
            reason, _ = describe_write_error(error.errno, error.strerror)
            raise TaskStopped(f"no process can be started: {reason}", "try again later") from error

    async def _wait_for_end(self, process: WorkerProcess) -> None:
        while process.is_alive and self._process is process:
            await asyncio.sleep(0.05)
