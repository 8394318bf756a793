"""The studio of one server: its uploads, its jobs, and those who watch them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from liveavatar.engines import ENGINE_SOURCE_TYPES
from liveavatar.provenance.label.visible_label import AUTO_LABEL, CHINESE_LABEL, ENGLISH_LABEL
from liveavatar.provenance.policy import MarkPolicy
from liveavatar.server.http.event_stream import EventBroadcast
from liveavatar.server.metrics import StudioMetrics
from liveavatar.server.settings import ServerSettings
from liveavatar.server.studio.job_queue import JobQueue
from liveavatar.server.studio.jobs import Job
from liveavatar.server.studio.storage import CONTENT_NAME, PICTURE_NAME, Storage, UploadKind
from liveavatar.server.studio.tasks import PortraitTask, SpeechTask, Task, TextTask
from liveavatar.server.studio.worker import Worker

_CHECK_SECONDS = 120.0
"""A check that takes longer is stopped: the file is odd, or meant to be."""
_SPEAK_SECONDS = 900.0
"""The same for a text, which may have to wait for a model to be fetched."""
_SWEEP_SECONDS = 60.0
_LABELS = {"en": ENGLISH_LABEL, "zh": CHINESE_LABEL}


class Studio:
    """Checks uploads and runs jobs. Belongs to the event loop; `run` has to be entered."""

    def __init__(self, settings: ServerSettings, metrics: StudioMetrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.storage = Storage(settings.folder)
        self.events = EventBroadcast()
        self.jobs = JobQueue(self.storage, self._choose_job_marks, self._send_job)
        self.checker = Worker()
        self.is_draining = False

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Work on jobs and delete what is old, until the block ends."""
        tasks = [asyncio.create_task(self.jobs.run_jobs()), asyncio.create_task(self._sweep_regularly())]
        try:
            yield
        finally:
            self.start_draining()
            await asyncio.gather(self.jobs.drain(self.settings.drain_seconds), self.checker.close())
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            self.storage.close()

    def start_draining(self) -> None:
        """Take nothing new, and let those who watch go: the server is about to end."""
        self.is_draining = True
        self.events.close()

    async def check_upload(self, folder: Path, kind: UploadKind, name: str) -> dict[str, Any]:
        """What is found in the file that was received into `folder`.

        Raises:
            TaskFailed: it cannot be used.
            TaskStopped: its check took too long, or killed its process.
        """
        path = folder / CONTENT_NAME
        task: Task = SpeechTask(path=path, name=name, max_seconds=self.settings.limits.speech_seconds)
        if kind == "portrait":
            task = PortraitTask(path=path, name=name, picture=folder / PICTURE_NAME)
        return await self._run_check(task, _CHECK_SECONDS)

    async def speak_text(self, folder: Path, text: str, voice: str, name: str) -> dict[str, Any]:
        """Speak a text into `folder`, and say what is found in it. Raises what `check_upload` does."""
        seconds = self.settings.limits.speech_seconds
        task = TextTask(text=text, voice=voice, path=folder / CONTENT_NAME, name=name, max_seconds=seconds)
        return await self._run_check(task, _SPEAK_SECONDS)

    async def _run_check(self, task: Task, limit_seconds: float) -> dict[str, Any]:
        check: dict[str, Any] = await self.checker.run_task(task, limit_seconds=limit_seconds)
        return check

    def describe_job(self, job: Job) -> dict[str, Any]:
        """A job as its owner sees it."""
        return job.to_json() | {"ahead": self.jobs.count_jobs_before(job)}

    def choose_marks(self, engine: str, language: str) -> MarkPolicy:
        """The operator's marks; where the label is automatic, in the language of the client's page."""
        marks = replace(self.settings.marks, source_type=ENGINE_SOURCE_TYPES[engine])
        if marks.label.lower() != AUTO_LABEL:
            return marks
        return replace(marks, label=_LABELS.get(language, AUTO_LABEL))

    def sweep(self) -> None:
        """Delete uploads and ended jobs that are older than `keep_hours`."""
        before = time.time() - 3600 * self.settings.keep_hours
        self.storage.delete_old_uploads(before)
        self.jobs.delete_old_jobs(before)

    async def _sweep_regularly(self) -> None:
        while True:
            self.sweep()
            await asyncio.sleep(_SWEEP_SECONDS)

    def _send_job(self, job: Job) -> None:
        if job.ended is not None:
            self.metrics.count_job(job.state, job.ended - (job.started or job.ended))
        self.events.send_state(job.owner, "job", job.id, self.describe_job(job))

    def _choose_job_marks(self, job: Job) -> MarkPolicy:
        return self.choose_marks(job.order["engine"], job.order["language"])
