"""The worker: one process that is kept, survives nothing bad, and can be stopped at any time."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from liveavatar.server.studio import worker as worker_module
from liveavatar.server.studio.tasks import SpeechTask
from liveavatar.server.studio.worker import TaskStopped, Worker
from server.odd_work import work_oddly


@pytest.fixture
def run_with_worker(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], Awaitable[None]]], None]:
    monkeypatch.setattr(worker_module, "perform_task", work_oddly)

    def run(test: Callable[[Any], Awaitable[None]]) -> None:
        async def use_worker() -> None:
            worker = Worker()
            try:
                await test(worker)
            finally:
                await worker.close()

        asyncio.run(use_worker())

    return run


@pytest.mark.slow
def test_a_process_is_kept_until_it_dies_hangs_or_is_stopped(
    run_with_worker: Callable[[Callable[[Any], Awaitable[None]]], None],
) -> None:
    async def use(worker: Any) -> None:
        seen: list[str] = []
        first, second = await asyncio.gather(
            worker.run_task("a", seen.append), worker.run_task("b", seen.append)
        )
        assert (first[0], second[0]) == ("a", "b")
        assert first[1] == second[1]
        assert seen == ["a", "b"]
        with pytest.raises(TaskStopped):
            await worker.run_task("die")
        third = await worker.run_task("c")
        assert third[1] != first[1]
        with pytest.raises(TaskStopped):
            await worker.run_task("hang", limit_seconds=0.01)

        def stop_soon(_: object) -> None:
            stops.append(asyncio.ensure_future(worker.stop_task()))

        stops: list[asyncio.Future[None]] = []
        with pytest.raises(TaskStopped):
            await worker.run_task("hang", stop_soon)
        await asyncio.gather(*stops)
        assert (await worker.run_task("d"))[0] == "d"
        assert worker.waiting_count == 0

    run_with_worker(use)


@pytest.mark.slow
def test_a_task_can_be_stopped_while_its_process_starts(
    run_with_worker: Callable[[Callable[[Any], Awaitable[None]]], None],
) -> None:
    async def use(worker: Any) -> None:
        running = asyncio.ensure_future(worker.run_task("a"))
        await asyncio.sleep(0)
        await worker.stop_task()
        with pytest.raises(TaskStopped):
            await running
        assert (await worker.run_task("b"))[0] == "b"

    run_with_worker(use)


def test_a_machine_without_room_for_a_process_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_work: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(worker_module, "WorkerProcess", start)
    with pytest.raises(TaskStopped, match="too many files are open"):
        asyncio.run(Worker().run_task(SpeechTask(path=Path("x"), name="x", max_seconds=1)))
