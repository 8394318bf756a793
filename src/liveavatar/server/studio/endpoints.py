"""The studio's part of the programming interface: portraits, speech, jobs, events."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from liveavatar.files import describe_path
from liveavatar.server.http.authentication import read_json_object
from liveavatar.server.http.endpoints import Endpoint
from liveavatar.server.http.errors import RequestRefused
from liveavatar.server.http.event_stream import EventSubscription
from liveavatar.server.http.uploads import receive_file
from liveavatar.server.studio.jobs import SYNC_PLOT_NAME, VIDEO_NAME, Job
from liveavatar.server.studio.orders import (
    FRAME_SIZES,
    describe_client_options,
    list_ready_engines,
    order_to_json,
    parse_order,
)
from liveavatar.server.studio.schemas import JOB_SCHEMA, ORDER_SCHEMA, TEXT_SCHEMA, UPLOAD_SCHEMA
from liveavatar.server.studio.spoken_text import AUTO_VOICE, list_voices, name_text
from liveavatar.server.studio.storage import CONTENT_NAME, PICTURE_NAME, Upload, UploadKind
from liveavatar.server.studio.studio import Studio
from liveavatar.server.studio.worker import TaskFailed, TaskStopped

_NAME_QUERY = {"name": "what the file is called; shown, and part of the video's name"}
_WAIT_HEADERS = {"Retry-After": "10"}


class StudioEndpoints:
    """Handlers of requests, and the table of them."""

    def __init__(self, studio: Studio, pages: Sequence[Mapping[str, str]]) -> None:
        self._studio = studio
        self._pages = pages

    @property
    def endpoints(self) -> list[Endpoint]:
        """The table."""
        limits = self._studio.settings.limits
        return [
            Endpoint(method="GET", path="/api/studio", handler=self.describe_studio,
                     summary="What can be chosen: engines, their options, sizes; and the limits.",
                     answer={"type": "object"}),
            Endpoint(method="POST", path="/api/portraits", handler=self.add_portrait, status=201, query=_NAME_QUERY,
                     summary="Upload a picture, as the body or the field `file` of a form; the answer is its check.",
                     body="application/octet-stream",
                     answer=UPLOAD_SCHEMA, errors=(413, 422, 503, 507), max_bytes=limits.portrait_bytes),
            Endpoint(method="GET", path="/api/portraits/{upload_id}/picture", handler=self.show_picture,
                     summary="A small upright copy.", answer="image/jpeg", errors=(404,)),
            Endpoint(method="DELETE", path="/api/portraits/{upload_id}", handler=self.delete_portrait, status=204,
                     summary="Delete a portrait now.", errors=(404,)),
            Endpoint(method="POST", path="/api/speeches", handler=self.add_speech, status=201, query=_NAME_QUERY,
                     summary="Upload a recording, as the body or the field `file` of a form; the answer is its check.",
                     body="application/octet-stream",
                     answer=UPLOAD_SCHEMA, errors=(413, 422, 503, 507), max_bytes=limits.speech_bytes),
            Endpoint(method="POST", path="/api/speeches/text", handler=self.add_text, status=201, body=TEXT_SCHEMA,
                     summary="Speak a text; the answer is as for a recording. GET /api/studio lists the voices.",
                     answer=UPLOAD_SCHEMA, errors=(400, 413, 422, 503, 507)),
            Endpoint(method="GET", path="/api/speeches/{upload_id}/sound", handler=self.show_sound,
                     summary="The recording as it was sent, or the spoken text as WAV.",
                     answer="application/octet-stream", errors=(404,)),
            Endpoint(method="DELETE", path="/api/speeches/{upload_id}", handler=self.delete_speech, status=204,
                     summary="Delete a recording now.", errors=(404,)),
            Endpoint(method="POST", path="/api/jobs", handler=self.add_job, status=202, body=ORDER_SCHEMA,
                     summary="Order a video. `consent` says that the person agreed.", answer=JOB_SCHEMA,
                     errors=(400, 404, 413, 503, 507)),
            Endpoint(method="GET", path="/api/jobs", handler=self.list_jobs, summary="All jobs, the oldest first.",
                     answer={"type": "object", "properties": {"jobs": {"type": "array", "items": JOB_SCHEMA}}}),
            Endpoint(method="GET", path="/api/jobs/{job_id}", handler=self.show_job, summary="One job.",
                     answer=JOB_SCHEMA, errors=(404,)),
            Endpoint(method="POST", path="/api/jobs/{job_id}/cancel", handler=self.cancel_job, summary="Stop a job.",
                     answer=JOB_SCHEMA, errors=(404,)),
            Endpoint(method="DELETE", path="/api/jobs/{job_id}", handler=self.delete_job, status=204,
                     summary="Stop a job and delete its video.", errors=(404,)),
            Endpoint(method="GET", path="/api/jobs/{job_id}/video", handler=self.show_video, answer="video/mp4",
                     summary="The video; ranges are supported.", errors=(404,),
                     query={"download": "1: as an attachment with a name"}),
            Endpoint(method="GET", path="/api/jobs/{job_id}/sync", handler=self.show_sync_plot, answer="image/png",
                     summary="The measurement of its lips as a picture.", errors=(404,)),
            Endpoint(method="GET", path="/api/events", handler=self.stream_events, answer="text/event-stream",
                     summary="Server-sent events named `job`: all jobs once, then each that changes.", errors=(503,)),
        ]  # fmt: skip

    async def describe_studio(self, _request: Request) -> Response:
        """What can be chosen, and the limits."""
        settings = self._studio.settings
        limits = settings.limits
        return JSONResponse({
            "engines": [
                {"name": name, "options": describe_client_options(name)} for name in list_ready_engines()
            ],
            "sizes": FRAME_SIZES,
            "pages": self._pages,
            "voices": list_voices(),
            "limits": {name: getattr(limits, name) for name in limits.__slots__},
            "keep_hours": settings.keep_hours,
            "has_token": settings.token is not None,
        })  # fmt: skip

    async def add_portrait(self, request: Request) -> Response:
        """Receive a picture and check it."""
        return await self._receive_upload(request, "portrait")

    async def add_speech(self, request: Request) -> Response:
        """Receive a recording and check it."""
        return await self._receive_upload(request, "speech")

    async def add_text(self, request: Request) -> Response:
        """Speak a text."""
        values = await read_json_object(request)
        text, voice = values.get("text"), values.get("voice", AUTO_VOICE)
        if not (isinstance(text, str) and text.strip() and isinstance(voice, str)):
            raise RequestRefused(400, "no-text", "there is no text to speak", "send text, and perhaps voice")
        if len(text) > self._studio.settings.limits.text_characters:
            problem, most = (
                f"the text has {len(text)} characters",
                self._studio.settings.limits.text_characters,
            )
            raise RequestRefused(413, "text-too-long", problem, f"use {most} or fewer")
        name = describe_path(name_text(text))
        self._require_room(0)
        with self._studio.storage.receive_upload() as folder:
            check = await self._await_check(self._studio.speak_text(folder, text, voice, name))
            return await self._keep_upload(request, folder, "speech", name, check)

    async def show_sound(self, request: Request) -> Response:
        """The sound of a speech, as a file that no browser takes for a page."""
        upload = self._find_upload(request, "speech")
        path = self._studio.storage.locate_upload(upload) / CONTENT_NAME
        return FileResponse(path, media_type="application/octet-stream", filename=upload.name)

    async def show_picture(self, request: Request) -> Response:
        """The copy of a portrait."""
        upload = self._find_upload(request, "portrait")
        return FileResponse(self._studio.storage.locate_upload(upload) / PICTURE_NAME)

    async def delete_portrait(self, request: Request) -> Response:
        """Delete a portrait."""
        self._studio.storage.delete_upload(self._find_upload(request, "portrait"))
        return Response(status_code=204)

    async def delete_speech(self, request: Request) -> Response:
        """Delete a recording."""
        self._studio.storage.delete_upload(self._find_upload(request, "speech"))
        return Response(status_code=204)

    async def add_job(self, request: Request) -> Response:
        """Put a video into the queue."""
        values = await read_json_object(request)
        if values.pop("consent", None) is not True:
            problem = "nobody said that the person in the picture agreed to be animated"
            raise RequestRefused(400, "no-consent", problem, "ask them, then send consent: true")
        order = parse_order(values)
        portrait = self._require_upload(order.portrait, "portrait", request.state.owner)
        speech = self._require_upload(order.speech, "speech", request.state.owner)
        width, height = order.frame_size or (portrait.check["width"], portrait.check["height"])
        if width * height > self._studio.settings.limits.frame_pixels:
            problem = f"frames of {width}x{height} are too large for this server"
            raise RequestRefused(413, "too-large", problem, "choose a size, such as 720x720")
        self._require_room(0)
        if self._studio.jobs.waiting_count >= self._studio.settings.limits.waiting_jobs:
            problem = f"{self._studio.jobs.waiting_count} videos wait already"
            raise RequestRefused(503, "queue-full", problem, "try again later", _WAIT_HEADERS)
        job = self._studio.jobs.add_job(order_to_json(order), portrait, speech)
        return JSONResponse(self._studio.describe_job(job), 202, headers={"Location": f"/api/jobs/{job.id}"})

    async def list_jobs(self, request: Request) -> Response:
        """All jobs of the client."""
        jobs = self._studio.jobs.list_jobs(request.state.owner)
        return JSONResponse({"jobs": [self._studio.describe_job(job) for job in jobs]})

    async def show_job(self, request: Request) -> Response:
        """One job."""
        return JSONResponse(self._studio.describe_job(self._find_job(request)))

    async def cancel_job(self, request: Request) -> Response:
        """Stop a job."""
        job = self._find_job(request)
        await self._studio.jobs.cancel_job(job)
        return JSONResponse(self._studio.describe_job(job))

    async def delete_job(self, request: Request) -> Response:
        """Stop a job and delete what it made."""
        await self._studio.jobs.delete_job(self._find_job(request))
        return Response(status_code=204)

    async def show_video(self, request: Request) -> Response:
        """The video of a job."""
        job = self._find_job(request)
        if job.video is None:
            raise RequestRefused(404, "not-found", "there is no video yet")
        kind = "attachment" if request.query_params.get("download") == "1" else "inline"
        path = self._studio.jobs.locate_file(job, VIDEO_NAME)
        return FileResponse(path, filename=job.names["video"], content_disposition_type=kind)

    async def show_sync_plot(self, request: Request) -> Response:
        """The picture of how the lips follow the sound."""
        path = self._studio.jobs.locate_file(self._find_job(request), SYNC_PLOT_NAME)
        if not path.is_file():
            raise RequestRefused(404, "not-found", "there is no such picture")
        return FileResponse(path)

    async def stream_events(self, request: Request) -> Response:
        """Send the client's jobs, then every change."""
        studio = self._studio
        if studio.is_draining or studio.events.subscription_count >= studio.settings.limits.event_streams:
            raise RequestRefused(503, "busy", "too many watch already", "try again later", _WAIT_HEADERS)
        subscription = studio.events.subscribe(request.state.owner)
        for job in studio.jobs.list_jobs(request.state.owner):
            studio.events.send_state(job.owner, "job", job.id, studio.describe_job(job))
        return StreamingResponse(self._stream_subscription(subscription), media_type="text/event-stream")

    async def _stream_subscription(self, subscription: EventSubscription) -> AsyncIterator[str]:
        try:
            async for text in subscription.stream_text():
                yield text
        finally:
            self._studio.events.unsubscribe(subscription)

    async def _receive_upload(self, request: Request, kind: UploadKind) -> Response:
        """Write the body into a folder of its own, check it, and keep it if it can be used."""
        studio = self._studio
        self._require_room(int(request.headers.get("content-length") or 0))
        with studio.storage.receive_upload() as folder:
            name = await receive_file(request, folder / CONTENT_NAME) or kind
            studio.metrics.count_upload(kind, (folder / CONTENT_NAME).stat().st_size)
            check = await self._await_check(studio.check_upload(folder, kind, name))
            return await self._keep_upload(request, folder, kind, name, check)

    async def _await_check(self, checking: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        """The result of a check; one that fails is answered with what is wrong with the file."""
        try:
            return await checking
        except TaskFailed as error:
            raise RequestRefused(422, error.code, error.problem, error.remedy) from error
        except TaskStopped as error:
            raise RequestRefused(422, "crash", error.problem, error.remedy) from error

    async def _keep_upload(
        self, request: Request, folder: Path, kind: UploadKind, name: str, check: dict[str, Any]
    ) -> Response:
        """Keep what is in `folder`, unless nobody waits for it any more."""
        if await request.is_disconnected():
            raise RequestRefused(400, "cut-off", "the upload was cut off")
        upload = self._studio.storage.keep_upload(folder, kind, request.state.owner, name, check)
        return JSONResponse({"id": upload.id, "name": name, "bytes": upload.size, "check": check}, 201)

    def _require_room(self, wanted: int) -> None:
        """Refuse what would need `wanted` bytes more than there are, or one check more than may wait."""
        studio = self._studio
        if studio.checker.waiting_count >= studio.settings.limits.waiting_checks:
            raise RequestRefused(503, "busy", "too many files are being checked", "try again", _WAIT_HEADERS)
        if studio.is_draining:
            raise RequestRefused(
                503, "ending", "the server is about to end", "try again later", _WAIT_HEADERS
            )
        if studio.storage.measure_size() + wanted > studio.settings.limits.stored_bytes:
            raise RequestRefused(
                507, "full", "this server keeps too many files already", "delete some videos"
            )

    def _find_upload(self, request: Request, kind: UploadKind) -> Upload:
        return self._require_upload(request.path_params["upload_id"], kind, request.state.owner)

    def _require_upload(self, upload_id: str, kind: UploadKind, owner: str) -> Upload:
        upload = self._studio.storage.find_upload(upload_id, kind, owner)
        if upload is None:
            raise RequestRefused(404, "not-found", f"there is no such {kind}", "upload it again")
        return upload

    def _find_job(self, request: Request) -> Job:
        job = self._studio.jobs.find_job(request.path_params["job_id"], request.state.owner)
        if job is None:
            raise RequestRefused(404, "not-found", "there is no such job")
        return job
