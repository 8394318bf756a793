"""The library: `liveavatar.open("portrait.jpg")` gives an `Avatar`, which renders files and opens live sessions."""

from collections.abc import Iterator
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np

from liveavatar.audio.front_end import RepairPolicy, StreamFrontEnd
from liveavatar.audio.io.live_chunk import LiveChunk
from liveavatar.engine import Actor, Session, change_emotion, check_seed, open_actor
from liveavatar.engines import ENGINE_SOURCE_TYPES, open_engine
from liveavatar.errors import AudioError, OptionError, OutputError, PortraitError, SessionClosed
from liveavatar.face.crop import check_frame_size
from liveavatar.face.portrait import load_portrait
from liveavatar.files import to_path
from liveavatar.frames import VideoFrame
from liveavatar.generate import ProgressCallback, Result, render_video
from liveavatar.provenance.aigc import DEFAULT_PRODUCER
from liveavatar.provenance.frame_marker import FrameMarker, MarkedSession
from liveavatar.provenance.label.visible_label import AUTO_LABEL
from liveavatar.provenance.policy import DigitalSourceType, MarkPolicy
from liveavatar.timeline import SAMPLE_RATE, parse_fps
from liveavatar.video.formats import EncodingOptions

FilePath = str | bytes | PathLike[str] | PathLike[bytes]
"""A path as users write it."""

Fps = str | int | float | Fraction
"""A frame rate as users write it; `parse_fps` makes it exact."""


class Avatar:
    """A portrait prepared by an engine. Several renderings and sessions may share it; they are independent."""

    def __init__(
        self,
        actor: Actor,
        portrait: Path | None = None,
        source_type: DigitalSourceType = DigitalSourceType.COMPOSITE,
    ) -> None:
        """`portrait` is the picture's file, which no rendering replaces; `source_type` is what the engine makes."""
        self._actor = actor
        self._portrait = portrait
        self._source_type = source_type

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self._actor.size

    @property
    def actor(self) -> Actor:
        """What the engine prepared; `live.session` takes it."""
        return self._actor

    def render(
        self,
        audio: FilePath,
        output: FilePath,
        *,
        fps: Fps = 25,
        seed: int = 0,
        audio_policy: RepairPolicy = "fix",
        track: int | None = None,
        label: str = AUTO_LABEL,
        watermark: bool = True,
        certificate: FilePath | None = None,
        certificate_key: FilePath | None = None,
        producer: str = DEFAULT_PRODUCER,
        quality: str = "good",
        codec: str | None = None,
        background: str | PathLike[str] | None = None,
        emotion: str | None = None,
        progress: ProgressCallback = lambda _done, _total: None,
    ) -> Result:
        """Render the portrait speaking the recording `audio` into the video `output`.

        Args:
            audio: any file with sound that FFmpeg reads.
            output: the video, `.mp4`, `.mov` or `.webm`; it appears complete or not at all.
            fps: frames a second, 1…120; a string may be a fraction such as "30000/1001".
            seed: of blinks and head motion (mesh), or of the noise (dit).
            audio_policy: "fix" repairs the recording, "strict" refuses one with faults, "as-is" changes nothing.
            track: the number of the sound track of `audio`, from 1; None is the one that players play.
            label: the visible label: "auto" (by the locale), "none", or a text.
            watermark: whether the frames carry an imperceptible watermark.
            certificate: PEM file of the certificate chain that signs the content credentials; None makes one.
            certificate_key: PEM file of its private key.
            producer: who makes the video, for the `AIGC` tag.
            quality: "draft", "good" or "best": from small and fast to large and slow.
            codec: "h264", "hevc", "av1" or "vp9"; None is the usual one of the output's container.
            background: "transparent" (webm, mov), a colour as "#RRGGBB", or a picture; None is the portrait's own.
            emotion: of the face, as in `open`; None is that of the avatar.
            progress: called with the frames done and the frames in all.

        The law of many countries asks for such marks: see docs/provenance.md before you leave any out.

        Raises:
            OptionError: an argument has an unusable value.
            AudioError: the recording cannot be read, or is refused.
            EngineError: the engine failed; the frames so far are in a file named `….partial.mp4`.
            OutputError: the video cannot be written, has no such ending, or is an input.
        """
        return render_video(
            self._actor,
            to_path(audio, AudioError, "recording"),
            to_path(output, OutputError, "video"),
            fps=parse_fps(fps),
            seed=seed,
            policy=audio_policy,
            track=track,
            portrait=self._portrait,
            marks=MarkPolicy(
                label=label,
                watermark=watermark,
                certificate=_to_optional_path(certificate),
                certificate_key=_to_optional_path(certificate_key),
                producer=producer,
                source_type=self._source_type,
            ),
            encoding=EncodingOptions(codec=codec, quality=quality),
            background=None if background is None else str(background),
            emotion=emotion,
            on_progress=progress,
        )

    def session(
        self, *, fps: Fps = 25, seed: int = 0, label: str = AUTO_LABEL, watermark: bool = True
    ) -> "AvatarSession":
        """Start a live session. Its frames carry `label` and `watermark` as in `render`.

        Raises:
            OptionError: `fps`, `seed` or `label` has an unusable value.
        """
        rate = parse_fps(fps)
        marker = FrameMarker(self._actor.size, rate, MarkPolicy(label=label, watermark=watermark))
        return AvatarSession(MarkedSession(self._actor.session(rate, check_seed(seed)), marker))


class AvatarSession:
    """A live stream of speech into a stream of frames. As a context manager it calls `flush()` at the end.

    When the `with` block raises, the session is closed instead and yields no more frames.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._front_end = StreamFrontEnd()
        self._is_flushed = self._is_aborted = False
        self._pushed_seconds = Fraction(0)
        self._passed_samples = 0  # of them, how many the session has got

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.flush()
        else:
            self._is_aborted = True

    def push(self, chunk: LiveChunk, rate: float) -> None:
        """Add sound: float32 from -1 to 1, or int16, [samples] or [samples, channels].

        `rate` in Hz may change between calls.

        Raises:
            SessionClosed: after `flush()`.
            AudioError: the rate, type or shape is not supported, or floats are on the scale of integers.
        """
        if self._is_flushed or self._is_aborted:
            raise SessionClosed("the session has ended", "start a new one with avatar.session()")
        samples = self._front_end.push(chunk, rate)
        self._pushed_seconds += Fraction(np.shape(chunk)[0], int(float(rate)))
        self._passed_samples += len(samples)
        self._session.push(samples)

    def set_emotion(self, emotion: str) -> None:
        """Glide within half a second to `emotion`, as in `open`, from the sound on that is pushed next.

        Frames depend on what was pushed before, not on how it was cut or on which frames were taken. `interrupt()`
        lets the emotion begin with the next frame.

        Raises:
            OptionError: there is no such emotion, or the engine takes a prompt instead.
            SessionClosed: after `flush()`.
        """
        if self._is_flushed or self._is_aborted:
            raise SessionClosed("the session has ended", "start a new one with avatar.session()")
        waiting = int(self._pushed_seconds * SAMPLE_RATE) - self._passed_samples
        change_emotion(self._session, emotion, max(0, waiting))

    def flush(self) -> None:
        """End the sound: the remaining frames become available. Further calls do nothing."""
        if self._is_flushed or self._is_aborted:
            return
        self._is_flushed = True
        self._session.push(self._front_end.flush())
        self._session.flush()

    def interrupt(self) -> None:
        """Drop all sound that has not become a frame yet; the next frame continues from the last one."""
        self._front_end = StreamFrontEnd()
        self._pushed_seconds, self._passed_samples = Fraction(0), 0
        self._session.interrupt()

    def frames(self) -> Iterator[VideoFrame]:
        """Yield the frames that the sound so far allows, each once, in order. They are rendered as they are taken."""
        return iter(()) if self._is_aborted else self._session.frames()


def open(  # noqa: A001  (liveavatar.open is meant)
    image: FilePath,
    *,
    engine: str = "mesh",
    size: tuple[int, int] | None = None,
    face: int | None = None,
    force: bool = False,
    **options: object,
) -> Avatar:
    """Read a portrait and prepare it for an engine.

    Args:
        image: a picture file with a face in it.
        engine: "mesh" (any CPU) or "dit" (a GPU).
        size: (width, height) of the frames, even and 64…4096, cut around head and shoulders; None follows the picture.
        face: the number of the face, from 1, largest first; None takes the largest.
        force: draw a portrait that `liveavatar portrait check`, or the engine's look at its own drawing, calls bad.
        options: options of the engine. For "mesh": `motion` (head and gaze, 0…2), `expression` (mouth opening, 0…1),
            `emotion` ("neutral", "warm", "happy", "serious", "sad", "surprised", or with an amount "happy:0.6") and
            `speech` ("small" or "whisper"). For "dit": see docs/dit.md.

    Raises:
        PortraitError: the picture cannot be read, has no usable face, one of under 40 pixels in frames of `size`, or is
            bad and `force` is not set.
        OptionError: an option has no effect with this engine, or an unusable value.
        EngineError: the engine cannot run on this machine.
        WeightsError: a model file cannot be fetched.
    """
    frame_size = check_frame_size(size)
    opened = open_engine(engine, options)
    portrait = to_path(image, PortraitError, "picture")
    actor = open_actor(opened, load_portrait(portrait, face), frame_size, force=force)
    return Avatar(actor, portrait, ENGINE_SOURCE_TYPES[engine])


def _to_optional_path(path: FilePath | None) -> Path | None:
    return None if path is None else to_path(path, OptionError, "PEM file")
