"""The engine: portraits become actors, actors hold sessions, sessions turn sound into frames.

The model draws 25 pictures a second, 12 at a time. Frame i of a video at another rate is the picture shown at the
middle of the frame's time: lips stay on time, and pictures are repeated or left out.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from functools import partial

import numpy as np
from torch import Tensor

from liveavatar.dit.codecs import image
from liveavatar.dit.codecs.face_window import (
    FacePaster,
    check_known_face,
    choose_face_window,
    cut_face,
    move_window,
)
from liveavatar.dit.loader import DitModels, open_models
from liveavatar.dit.plan.config import MODEL_FPS, MODEL_TIMELINE, SKIPPED_PICTURES
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.streaming.audio_features import AudioFeatureStream
from liveavatar.dit.streaming.decoding import PendingPictures, Pictures, video_to_rgb
from liveavatar.dit.streaming.video import (
    PipelinedVideoStream,
    PreparedPortrait,
    VideoStream,
    encode_portrait,
)
from liveavatar.errors import SessionClosed
from liveavatar.face.crop import cover_frame, crop_portrait
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture, Samples, VideoFrame
from liveavatar.report import Finding
from liveavatar.timeline import Timeline

_LOG = logging.getLogger(__name__)


class DitEngine:
    """Live Avatar. Holds the models, which all actors share."""

    def __init__(self, options: DitOptions, models: DitModels | None = None) -> None:
        """`models` must have been opened with these options; None opens them."""
        self._options = options
        self._models = models or open_models(options)

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "DitActor":
        """Encode a portrait, and what all its sessions share.

        `size` is (width, height); None follows the portrait's shape within about 704x384 pixels. The model draws whole
        patches of 64 pixels; what exceeds `size` is cropped.

        Raises:
            PortraitError: the small model has not learned this face.
        """
        if self._options.preset == "small":
            return self._open_face(portrait, size)
        height, width = portrait.rgb.shape[:2]
        frame_size = size or image.fit_frame_size((width, height), self._options.max_frame_pixels)
        drawn_size = round_up_to_patches(frame_size)
        fitted = cover_frame(portrait, drawn_size) if size is None else crop_portrait(portrait, drawn_size)
        return DitActor(
            models=self._models,
            options=self._options,
            prepared=self._prepare_portrait(fitted.rgb, drawn_size),
            compose_frame=partial(crop_middle, size=frame_size),
            size=frame_size,
        )

    def _prepare_portrait(self, rgb: Picture, size: tuple[int, int]) -> PreparedPortrait:
        """Encode a picture in a frame of `size`."""
        models = self._models
        framed = image.frame_portrait(rgb, size)[None].to(models.prompt_embedding.device)
        with models.turns.take_turn():
            encoded = encode_portrait(models.dit, models.vae, framed, models.prompt_embedding)
        return models.offload_portrait(encoded)

    def _open_face(self, portrait: Portrait, size: tuple[int, int] | None) -> "DitActor":
        """The small model draws the face alone, which is laid back into the still portrait."""
        vae, pixels = self._models.vae, image.SMALL_FACE_PIXELS
        window = choose_face_window(portrait.landmarks)
        face = cut_face(portrait.rgb, window, pixels)
        prepared = self._prepare_portrait(face, (pixels, pixels))
        resting_face = video_to_rgb(vae.make_decoder().push(prepared.past_latents[:, :, :1]))[0].cpu().numpy()
        check_known_face(face, resting_face)
        still = crop_portrait(portrait, size)
        moved = move_window(window, portrait.landmarks, still.landmarks)
        return DitActor(
            models=self._models,
            options=self._options,
            prepared=prepared,
            compose_frame=FacePaster(still, moved, resting_face).paste_face,
            size=(still.rgb.shape[1], still.rgb.shape[0]),
        )


def round_up_to_patches(size: tuple[int, int]) -> tuple[int, int]:
    """The smallest frame of whole patches that covers `size`."""
    width, height = (-(-side // image.SIDE_DIVISOR) * image.SIDE_DIVISOR for side in size)
    return width, height


def crop_middle(picture: Picture, size: tuple[int, int]) -> Picture:
    """The middle of a drawn picture, of `size` (width, height)."""
    height, width = picture.shape[:2]
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    return np.ascontiguousarray(picture[top : top + size[1], left : left + size[0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class DitActor:
    """One prepared portrait. `compose_frame` makes frames of `size` from drawn pictures."""

    models: DitModels
    options: DitOptions
    prepared: PreparedPortrait
    compose_frame: Callable[[Picture], Picture]
    size: tuple[int, int]
    findings: tuple[Finding, ...] = ()

    def session(self, fps: Fraction, seed: int) -> "DitSession":
        """Start a session. Same sound and seed, same frames."""
        if fps != MODEL_FPS:
            _LOG.info(
                "the model draws %s pictures a second; %s are made by repeating or leaving out",
                MODEL_FPS,
                fps,
            )
        return DitSession(self, fps, seed)


class SessionSignal(Enum):
    """Events of a session besides sound."""

    INTERRUPT = auto()
    FLUSH = auto()


class DitSession:
    """Draws a block as soon as its sound is there. `push`, `flush` and `interrupt` may come from another thread.

    They are queued and take effect while frames are made: an interruption stops the block that is being drawn at its
    next denoising step. If some of the block's frames have been taken, it is drawn again from the same noise with the
    sound that follows from there on, so that the next frame continues the last one.
    """

    def __init__(self, actor: DitActor, fps: Fraction, seed: int) -> None:
        config = actor.options.to_stream_config()
        models, speed = actor.models, actor.models.speed
        self._actor = actor
        self._timeline = Timeline(fps=fps)
        self._block_pictures = config.block_pictures
        self._feature_stream = AudioFeatureStream(models.audio, self._block_pictures, live=actor.options.live)
        self._video_stream = (PipelinedVideoStream if speed.wavefront else VideoStream)(
            models.dit, actor.prepared, config, seed,
            renew_sink=actor.options.online_decode, make_cache=models.make_cache, speed=speed,
            turns=models.turns,
        )  # fmt: skip
        self._pictures_ahead = self._block_pictures * (config.steps - 1 if speed.wavefront else 0)
        self._events: deque[Samples | SessionSignal] = deque()
        self._interruptions_requested = 0  # counted by the thread that interrupts
        self._interruptions_handled = 0  # counted by the thread that takes frames
        self._closed = False
        self._next_frame = 0
        self._end_frame: int | None = None  # the frame after the last, once known
        self._sound_start = self._sound_end = 0  # samples: first one, and the one after the last so far
        self._last_block = -1  # the last block drawn, or the one before a block that must be drawn again
        self._pictures: Pictures | None = None

    @property
    def lookahead(self) -> int:
        """Samples that must follow a frame before it can be made: the rest of its block, and the encoder's own."""
        block = MODEL_TIMELINE.frame_start(self._block_pictures + self._pictures_ahead)
        return block - self._timeline.half_frame + self._feature_stream.lookahead

    @property
    def block_frames(self) -> int:
        """Frames that are drawn at a time, at most."""
        return self._timeline.frame_count(MODEL_TIMELINE.frame_start(self._block_pictures))

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length."""
        if self._closed:
            raise SessionClosed("the session has been flushed", "open a new one")
        self._events.append(np.array(samples, np.float32))

    def flush(self) -> None:
        """The sound is over; the last block is padded with silence."""
        if not self._closed:
            self._closed = True
            self._events.append(SessionSignal.FLUSH)

    def interrupt(self) -> None:
        """Drop sound that has not become a frame; what is pushed next starts with the next frame."""
        self._interruptions_requested += 1
        self._events.append(SessionSignal.INTERRUPT)

    def frames(self) -> Iterator[VideoFrame]:
        """The frames that the sound so far allows, drawn as they are taken."""
        while (picture := self._take_picture()) is not None:
            number = self._next_frame
            self._next_frame += 1
            yield VideoFrame(rgb=self._actor.compose_frame(picture), pts=number, fps=self._timeline.fps)

    def _take_picture(self) -> Picture | None:
        """The next frame's picture, or None while there is none."""
        while True:
            self._handle_events()
            if self._end_frame is not None and self._next_frame >= self._end_frame:
                return None
            if (picture := self._find_picture(self._shown_picture(self._next_frame))) is not None:
                return picture
            if not self._draw_block(self._last_block + 1) and not self._events:
                return None

    def _shown_picture(self, frame: int) -> int:
        return self._timeline.frame_at_middle(frame, MODEL_FPS)

    def _find_picture(self, number: int) -> Picture | None:
        block, index = divmod(number, self._block_pictures)
        return self._pictures[index] if self._pictures is not None and block == self._last_block else None

    def _draw_block(self, block: int) -> bool:
        """Draw a block; False if its sound is missing, or it was interrupted."""
        pending = self._start_block(block)
        if pending is None:
            return False
        self._last_block, self._pictures = block, pending.wait_for_pictures()
        if block == 0:
            self._pictures[:SKIPPED_PICTURES] = self._pictures[SKIPPED_PICTURES]
        return True

    def _start_block(self, block: int) -> PendingPictures | None:
        """Draw a block and start its decoding; meanwhile the next block is begun."""
        if isinstance(self._video_stream, PipelinedVideoStream):
            return self._video_stream.draw_next_block(
                self._read_features, ended=self._end_frame is not None, cancelled=self._is_interrupted
            )
        features = self._read_features(block)
        if features is None:
            return None
        pending = self._video_stream.draw_block(block, features, self._is_interrupted)
        if pending is not None and self._actor.models.speed.vae_stream and not self._is_interrupted():
            next_features = self._read_features(block + 1)
            if next_features is not None:
                self._video_stream.begin_block(block + 1, next_features)
        return pending

    def _read_features(self, block: int) -> Tensor | None:
        """Audio features of a block [1, L, C, P], if its sound is there and one of its pictures will be shown."""
        if self._end_frame is not None:
            last_picture = self._shown_picture(self._end_frame - 1)
            if block * self._block_pictures > last_picture:
                return None
        features = self._feature_stream.read_block(block)
        return None if features is None else features[None]

    def _is_interrupted(self) -> bool:
        return self._interruptions_requested > self._interruptions_handled

    def _handle_events(self) -> None:
        while self._events:
            event = self._events.popleft()
            if event is SessionSignal.INTERRUPT:
                self._interruptions_handled += 1
                self._discard_sound()
            elif event is SessionSignal.FLUSH:
                self._end_sound()
            elif isinstance(event, np.ndarray):
                self._sound_end += len(event)
                self._feature_stream.push(event)

    def _discard_sound(self) -> None:
        """Drop the sound that has not become a frame: the sound to come starts with the next frame."""
        picture = self._shown_picture(self._next_frame)
        self._sound_start = self._sound_end = self._timeline.frame_start(self._next_frame)
        self._last_block = min(self._last_block, picture // self._block_pictures - 1)
        self._pictures = None
        self._video_stream.discard_from(self._last_block + 1)
        self._feature_stream.restart_at(picture, self._sound_start)
        if self._end_frame is not None:
            self._end_frame = self._next_frame

    def _end_sound(self) -> None:
        """Add the silence that the last block needs."""
        has_sound = self._sound_end > self._sound_start
        self._end_frame = self._timeline.frame_count(self._sound_end) if has_sound else self._next_frame
        blocks = self._shown_picture(self._end_frame - 1) // self._block_pictures + 1
        missing = MODEL_TIMELINE.frame_start(blocks * self._block_pictures) - self._sound_end
        self._feature_stream.push(np.zeros(max(0, missing), np.float32))
        self._feature_stream.flush()
