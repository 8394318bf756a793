"""The public reference's results from a whole recording, behind the engine's protocols, for comparison.

No frame comes before `flush()`, and memory grows with the recording, as in the reference.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

import numpy as np
from torch import Tensor

from liveavatar.dit.codecs import image
from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.loader import DitModels
from liveavatar.dit.parity.frame_features import bucket_by_clip, resample_to_30_hz
from liveavatar.dit.parity.whole_file import REFERENCE_SINK_DISTANCE, draw_reference_clips
from liveavatar.dit.plan.config import MODEL_FPS
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.streaming.decoding import video_to_rgb
from liveavatar.errors import SessionClosed
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture, Samples, VideoFrame
from liveavatar.report import Finding
from liveavatar.timeline import Timeline


@dataclass(frozen=True, slots=True)
class ReferenceEngine:
    """The engine with `parity`: what the public reference computes, defects included."""

    options: DitOptions
    models: DitModels

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "ReferenceActor":
        """Choose the frame as the reference does: of the portrait's shape, within the area of `size`."""
        height, width = portrait.rgb.shape[:2]
        area = size[0] * size[1] if size else self.options.max_frame_pixels
        frame_size = image.fit_frame_size((width, height), area)
        return ReferenceActor(
            models=self.models, options=self.options, portrait=portrait.rgb, size=frame_size
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceActor:
    """A portrait, framed as in the reference: with black bars where its shape does not fit."""

    models: DitModels
    options: DitOptions
    portrait: Picture
    size: tuple[int, int]
    findings: tuple[Finding, ...] = ()

    def session(self, fps: Fraction, seed: int) -> "ReferenceSession":
        """Start a session for one recording."""
        return ReferenceSession(self, fps, seed)

    def draw_clips(self, samples: Samples, seed: int) -> Iterator[Tensor]:
        """Pictures [1, 3, P, H, W] in -1…1, clip by clip."""
        config = replace(self.options.to_stream_config(), sink_distance=REFERENCE_SINK_DISTANCE)
        clip = config.clip_blocks * config.block_pictures
        picture = image.frame_portrait(self.portrait, self.size, black_bars=True)[None]
        features = bucket_by_clip(resample_to_30_hz(self.models.audio(samples)), clip=clip)
        return draw_reference_clips(
            self.models.dit,
            cast(VAE, self.models.vae),  # the options refuse parity with the small preset
            picture.to(self.models.prompt_embedding.device),
            self.models.prompt_embedding,
            features[None],
            config=config,
            seed=seed,
            online=self.options.online_decode,
        )


class ReferenceSession:
    """Collects a recording; its frames come after `flush()`."""

    def __init__(self, actor: ReferenceActor, fps: Fraction, seed: int) -> None:
        self._actor = actor
        self._timeline = Timeline(fps=fps)
        self._seed = seed
        self._sound: list[Samples] = []
        self._pending_frames: Iterator[VideoFrame] | None = None

    @property
    def lookahead(self) -> int:
        """Unlimited: the whole recording comes first."""
        return sys.maxsize

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length."""
        if self._pending_frames is not None:
            raise SessionClosed("the session has been flushed", "open a new one")
        self._sound.append(np.array(samples, np.float32))

    def flush(self) -> None:
        """The sound is over."""
        if self._pending_frames is None:
            self._pending_frames = self._draw_frames(np.concatenate([np.zeros(0, np.float32), *self._sound]))

    def interrupt(self) -> None:
        """Drop the sound; after `flush()`, the frames that were not taken."""
        self._sound = []
        if self._pending_frames is not None:
            self._pending_frames = iter(())

    def frames(self) -> Iterator[VideoFrame]:
        """All frames after `flush()`, none before."""
        while self._pending_frames is not None and (frame := next(self._pending_frames, None)) is not None:
            yield frame

    def _draw_frames(self, samples: Samples) -> Iterator[VideoFrame]:
        """The reference's pictures, 3 too early, by time; the last picture stays until the end of the sound."""
        pictures = (
            picture
            for clip in self._actor.draw_clips(samples, self._seed)
            for picture in video_to_rgb(clip, rounded=False).cpu().numpy()
        )
        number, picture = -1, None
        for frame in range(self._timeline.frame_count(len(samples))):
            while number < self._timeline.frame_at_middle(frame, MODEL_FPS):
                number, picture = number + 1, next(pictures, picture)
            if picture is not None:
                yield VideoFrame(rgb=picture, pts=frame, fps=self._timeline.fps)
