"""Jobs: videos that wait, are made, or are ready. Each is a record in its folder, so that they survive a restart."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]

ENDED_STATES: tuple[JobState, ...] = ("done", "failed", "cancelled")

VIDEO_NAME, SYNC_PLOT_NAME, JOB_RECORD = "video.mp4", "sync.png", "job.json"


@dataclass(slots=True, kw_only=True)
class Job:
    """One video for one owner. Times are seconds since 1970.

    `order` is that of the client, `names` are those of the uploads. `stage` and `share` (0…1) say how far it is;
    `video` describes the video once it can be watched; `error` is there if it failed.
    """

    id: str
    owner: str
    order: dict[str, Any]
    names: dict[str, str]
    created: float
    state: JobState = "waiting"
    started: float | None = None
    ended: float | None = None
    stage: str = ""
    share: float = 0.0
    video: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    is_stopping: bool = field(default=False, compare=False)

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED_STATES

    def to_json(self) -> dict[str, Any]:
        """What its owner may know."""
        values = asdict(self)
        del values["owner"], values["is_stopping"]
        return values


def read_job(record: dict[str, Any]) -> Job:
    """The job of a record. One that ran when the server ended waits again."""
    job = Job(**record)
    if job.state == "running":
        job.state, job.started, job.stage, job.share, job.video = "waiting", None, "", 0.0, None
    job.is_stopping = False
    return job
