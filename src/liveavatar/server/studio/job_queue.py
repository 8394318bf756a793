"""Runs jobs one after another, in the order in which they came."""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from liveavatar.errors import LiveAvatarError, OptionError, OutputError
from liveavatar.provenance.policy import MarkPolicy
from liveavatar.server.http.errors import name_error
from liveavatar.server.studio.jobs import JOB_RECORD, SYNC_PLOT_NAME, VIDEO_NAME, Job, read_job
from liveavatar.server.studio.orders import parse_order
from liveavatar.server.studio.storage import Storage, Upload, create_id, write_record
from liveavatar.server.studio.tasks import RenderTask
from liveavatar.server.studio.worker import TaskFailed, TaskStopped, Worker

_LOG = logging.getLogger(__name__)
_ENDING = re.compile(r"\.\w{1,5}$")
_MAX_STEM = 60  # characters of each part of a video's name


class JobQueue:
    """All jobs of a server, and the worker that does them. Belongs to the event loop.

    `on_change` is called with a job whenever something of it has changed.
    """

    def __init__(
        self, storage: Storage, choose_marks: Callable[[Job], MarkPolicy], on_change: Callable[[Job], None]
    ) -> None:
        self._storage = storage
        self._choose_marks = choose_marks
        self._on_change = on_change
        self._worker = Worker()
        self._added = asyncio.Event()
        self._is_draining = False
        jobs = sorted(map(read_job, storage.read_job_records()), key=lambda job: job.created)
        self._jobs = {job.id: job for job in jobs}

    async def run_jobs(self) -> None:
        """Do what waits, until `drain`."""
        while not self._is_draining:
            job = next((job for job in self._jobs.values() if job.state == "waiting"), None)
            if job is None:
                self._added.clear()
                await self._added.wait()
            else:
                await self._run_job(job)

    async def drain(self, seconds: float) -> None:
        """Start nothing more, and give the job that runs this long; then it waits for the next start of the server."""
        self._is_draining = True
        self._added.set()
        deadline = time.monotonic() + seconds
        while self._find_running() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        await self._worker.close()

    @property
    def waiting_count(self) -> int:
        """Jobs that nothing has been done for yet."""
        return sum(job.state == "waiting" for job in self._jobs.values())

    def list_jobs(self, owner: str) -> list[Job]:
        """The jobs of an owner, the oldest first."""
        return [job for job in self._jobs.values() if job.owner == owner]

    def find_job(self, job_id: str, owner: str) -> Job | None:
        """The job of that owner, None if there is none."""
        job = self._jobs.get(job_id)
        return job if job and job.owner == owner else None

    def count_jobs_before(self, job: Job) -> int:
        """How many jobs are done before one that waits; 0 for any other."""
        if job.state != "waiting":
            return 0
        return sum(not other.has_ended and other.created < job.created for other in self._jobs.values())

    def add_job(self, order: dict[str, Any], portrait: Upload, speech: Upload) -> Job:
        """Put a job at the end of the queue.

        Raises:
            OutputError: its record cannot be written.
        """
        names = {"portrait": portrait.name, "speech": speech.name, "video": name_video(portrait, speech)}
        job = Job(id=create_id(), owner=portrait.owner, order=order, names=names, created=time.time())
        self._storage.create_job_folder(job.id, portrait, speech)
        try:
            write_record(self.locate_file(job, JOB_RECORD), asdict(job))
        except OutputError:
            self._storage.delete_job_folder(job.id)
            raise
        self._jobs[job.id] = job
        self._on_change(job)
        self._added.set()
        return job

    async def cancel_job(self, job: Job) -> None:
        """Stop a job that waits or runs."""
        if job.state == "waiting":
            self._end_job(job, "cancelled")
        elif job.state == "running":
            job.is_stopping = True
            await self._worker.stop_task()

    async def delete_job(self, job: Job) -> None:
        """Stop a job and remove all its files."""
        await self.cancel_job(job)
        self._jobs.pop(job.id, None)
        self._storage.delete_job_folder(job.id)

    def delete_old_jobs(self, before: float) -> None:
        """Remove the jobs that ended before that time."""
        for job in list(self._jobs.values()):
            if job.ended is not None and job.ended < before:
                del self._jobs[job.id]
                self._storage.delete_job_folder(job.id)

    def locate_file(self, job: Job, name: str) -> Path:
        """The path of a file of a job."""
        return self._storage.locate_job(job.id) / name

    async def _run_job(self, job: Job) -> None:
        job.state, job.started = "running", time.time()
        self._save_job(job)
        try:
            result = await self._worker.run_task(
                self._build_task(job), lambda progress: self._note_progress(job, progress)
            )
        except TaskFailed as error:
            self._fail_job(job, error.code, error)
        except OptionError as error:  # of an order that an older version of the program took
            self._fail_job(job, name_error(error), error)
        except TaskStopped as error:
            self._note_stop(job, error)
        else:
            job.video = result
            self._end_job(job, "done")

    def _note_stop(self, job: Job, error: TaskStopped) -> None:
        """Its process ended: because the client cancelled it, because the server ends, or by a fault."""
        if job.is_stopping:
            self._end_job(job, "cancelled")
        elif self._is_draining:
            self._jobs[job.id] = read_job(asdict(job))
            self._save_job(self._jobs[job.id])
        elif job.video is not None:  # only its lips were not measured to the end
            job.video["lips"] = {"verdict": None, "problem": error.problem}
            self._end_job(job, "done")
        else:
            self._fail_job(job, "crash", error)

    def _fail_job(self, job: Job, code: str, error: LiveAvatarError) -> None:
        job.error = {"code": code, "problem": error.problem, "remedy": error.remedy}
        self._end_job(job, "failed")

    def _build_task(self, job: Job) -> RenderTask:
        order, folder = parse_order(job.order), self._storage.locate_job(job.id)
        return RenderTask(
            portrait=folder / "portrait",
            speech=folder / "speech",
            video=folder / VIDEO_NAME,
            sync_plot=folder / SYNC_PLOT_NAME,
            names=job.names,
            engine=order.engine,
            options=order.engine_options,
            size=order.frame_size,
            fps=order.fps,
            seed=order.seed,
            quality=order.quality,
            marks=self._choose_marks(job),
        )

    def _note_progress(self, job: Job, progress: dict[str, Any]) -> None:
        job.stage, job.share = progress["stage"], progress["share"]
        job.video = progress.get("video", job.video)
        self._on_change(job)

    def _end_job(self, job: Job, state: Any) -> None:
        job.state, job.ended = state, time.time()
        for name in ("portrait", "speech"):
            self.locate_file(job, name).unlink(missing_ok=True)
        if state != "done":
            job.video = None
            for name in (VIDEO_NAME, SYNC_PLOT_NAME):
                self.locate_file(job, name).unlink(missing_ok=True)
        self._save_job(job)

    def _save_job(self, job: Job) -> None:
        """Write the record of a job, unless it was deleted meanwhile. On a full disk, the queue goes on without it."""
        if job.id in self._jobs:
            try:
                write_record(self.locate_file(job, JOB_RECORD), asdict(job))
            except OutputError as error:
                _LOG.warning("the record of a job is not up to date: %s", error)
            self._on_change(job)

    def _find_running(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state == "running"), None)


def name_video(portrait: Upload, speech: Upload) -> str:
    """The name under which a video is downloaded."""
    stems = (_ENDING.sub("", upload.name)[:_MAX_STEM] for upload in (portrait, speech))
    return f"{' - '.join(stems)}.mp4"
