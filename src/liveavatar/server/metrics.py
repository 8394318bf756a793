"""Figures for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

_JOB_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)


class StudioMetrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._uploads = Counter("liveavatar_uploads", "Files received.", ["kind"], registry=self.registry)
        self._upload_bytes = Counter(
            "liveavatar_upload_bytes", "Bytes received.", ["kind"], registry=self.registry
        )
        self._jobs = Counter(
            "liveavatar_jobs", "Videos by how they ended.", ["state"], registry=self.registry
        )
        self._job_seconds = Histogram(
            "liveavatar_job_seconds",
            "Seconds from start to end.",
            buckets=_JOB_SECONDS,
            registry=self.registry,
        )

    def count_upload(self, kind: str, size: int) -> None:
        """A file of `size` bytes was received."""
        self._uploads.labels(kind).inc()
        self._upload_bytes.labels(kind).inc(size)

    def count_job(self, state: str, seconds: float) -> None:
        """A job ended so after that time."""
        self._jobs.labels(state).inc()
        self._job_seconds.observe(seconds)

    def watch_value(self, name: str, text: str, read_value: Callable[[], float]) -> None:
        """Show what `read_value` gives at the time of the request."""
        Gauge(name, text, registry=self.registry).set_function(read_value)

    def answer_request(self) -> Response:
        """All figures, in the text format of Prometheus."""
        return Response(generate_latest(self.registry), media_type="text/plain; version=0.0.4")
