"""The mesh engine: 16 kHz speech to frames, on a CPU."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import SessionClosed
from liveavatar.face.crop import crop_portrait
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture, Samples, VideoFrame
from liveavatar.mesh.emotions import EmotionTrack, parse_emotion
from liveavatar.mesh.expression import (
    RESTING_ARTICULATION,
    MouthArticulation,
    build_expression,
)
from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.rig import fit_rig_pose, rig_misfit
from liveavatar.mesh.motion.head_pose import HeadPose, HeadPoseGenerator
from liveavatar.mesh.mouth_ways import prepare_mouth
from liveavatar.mesh.options import MeshOptions
from liveavatar.mesh.render.face_renderer import FaceRenderer, FrameExpression
from liveavatar.mesh.render.person_layer import build_static_picture, extract_still_person, render_person
from liveavatar.report import Finding
from liveavatar.speech.stream import SpeechStream
from liveavatar.speech.track import STEP_SAMPLES, SpeechTrack
from liveavatar.timeline import StepClock, Timeline

LIP_LAG_SAMPLES = 200
"""Delay of the lips behind the features of speech, 12.5 ms. The articulation network places lips at the time of the
features; on a filmed person they come 41 ms later. Measured with `liveavatar sync`; figures in `docs/mesh.md`."""

LIP_PARTING_SECONDS = 0.1
"""Least duration in which closed lips open, and in which the lower lip reaches the teeth: chosen by eye."""

_MISFIT_TO_MOTION = (0.06, 0.10), (1.0, 0.2)
"""`rig_misfit` of a face, and share of the motion that it gets. People have up to 0.06; two painted creatures with 0.09
and 0.17 exceed the identity bound of `benchmarks/mesh/faces.py` with more."""

_MOMENTS_PER_FRAME = 4
"""Times within a frame at which the speech is sampled: as many as there are steps of 10 ms at 25 fps."""

_EARLY_STEPS = 2
"""Steps by which the articulation network may be ahead of its declared lookahead."""

_STEPS = StepClock(stride=STEP_SAMPLES, field=STEP_SAMPLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshEngine(MeshOptions):
    """Warps portraits with these options."""

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "MeshActor":
        """Prepare a portrait, in a second or less; `size` is (width, height), or None for that of the portrait."""
        SpeechStream(self.speech)  # fails early if its library or weights are missing
        fitted = crop_portrait(portrait, size)
        landmarks = fitted.landmarks
        share = float(np.interp(rig_misfit(landmarks, fit_rig_pose(landmarks)), *_MISFIT_TO_MOTION))
        mouth = prepare_mouth(fitted)
        return MeshActor(
            renderer=mouth.renderer, engine=self, motion=share * self.motion, findings=mouth.findings
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshActor:
    """One prepared portrait, shared by its sessions.

    `motion` is the amount of head motion, 0…2; `findings` say what is wrong with the drawn mouth.

    With `still_person`, what `extract_still_person` gives, frames have an opacity instead of a background.
    """

    renderer: FaceRenderer
    engine: MeshEngine
    motion: float
    findings: tuple[Finding, ...] = ()
    still_person: NDArray[np.uint8] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self.renderer.size

    def replace_background(self, background: Picture | None) -> Self:
        """The same person before `background`, RGB of the frames' size; None gives frames with an opacity."""
        if background is None:
            return replace(self, still_person=extract_still_person(self.renderer))
        picture = build_static_picture(self.renderer, background)
        return replace(self, renderer=replace(self.renderer, static_picture=picture))

    def session(self, fps: Fraction, seed: int) -> "MeshSession":
        """Open a session. The same sound and the same seed give the same frames."""
        return MeshSession(self, fps, seed)


class MeshSession:
    """One stream of speech to frames, each drawn once. Memory does not grow with the length of the sound."""

    def __init__(self, actor: MeshActor, fps: Fraction, seed: int) -> None:
        self._actor = actor
        self._timeline = Timeline(fps=fps)
        self._pose_generator = HeadPoseGenerator(fps, seed, actor.motion, actor.engine.gaze)
        self._emotions = EmotionTrack(self._timeline, parse_emotion(actor.engine.emotion))
        self._next_frame = 0
        self._last_articulation = RESTING_ARTICULATION
        self._flushed_at: int | None = None  # samples of sound in all, once flushed
        self._restart_speech(origin=0)

    def _restart_speech(self, origin: int) -> None:
        """Analyse speech anew from sample `origin` of the session on."""
        self._speech_stream = SpeechStream(self._actor.engine.speech)
        self._origin = origin
        self._received_until = origin
        self._pending_runs: list[SpeechTrack] = []

    @property
    def lookahead(self) -> int:
        """Samples after a frame's last sample that are needed to draw it."""
        return self._speech_stream.lookahead - LIP_LAG_SAMPLES

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length."""
        if self._flushed_at is not None:
            raise SessionClosed("the session has been flushed", "open a new one")
        self._received_until += len(samples)
        self._store_speech(self._speech_stream.push(samples))

    def flush(self) -> None:
        """End the sound; silence completes the last frame."""
        if self._flushed_at is not None:
            return
        end = self._received_until
        padded = self._timeline.frame_start(self._timeline.frame_count(end))
        self.push(np.zeros(padded - end, np.float32))
        self._store_speech(self._speech_stream.flush())
        self._flushed_at = end

    def interrupt(self) -> None:
        """Drop sound that has not become a frame; sound pushed from now on starts with the next frame."""
        self._restart_speech(origin=self._timeline.frame_start(self._next_frame))
        self._emotions.move_changes(self._next_frame)

    def set_emotion(self, emotion: str, delay: int = 0) -> None:
        """Glide to `emotion`, as in `MeshOptions`, from `delay` samples after the sound pushed so far on.

        Raises:
            OptionError: there is no such emotion.
            SessionClosed: after `flush()`.
        """
        weights = parse_emotion(emotion)
        if self._flushed_at is not None:
            raise SessionClosed("the session has been flushed", "open a new one")
        self._emotions.change_emotion(self._timeline.frames_within(self._received_until + delay), weights)

    def check_emotion(self, emotion: str) -> None:
        """Refuse what `set_emotion` would.

        Raises:
            OptionError: there is no such emotion.
        """
        parse_emotion(emotion)

    def frames(self) -> Iterator[VideoFrame]:
        """The frames that are complete, each drawn when it is taken."""
        while (speech := self._take_frame_speech()) is not None:
            number = self._next_frame
            self._next_frame += 1
            pose = self._open_eyes_at_end(self._next_pose(speech), number)
            articulation = self._ease_articulation(MouthArticulation.from_speech(speech))
            articulation = articulation.scale_except_closure(self._actor.engine.expression)
            emotion = self._emotions.read_frame(number)
            yield self._draw_frame(build_expression(articulation, pose, emotion), number)

    def _draw_frame(self, expression: FrameExpression, number: int) -> VideoFrame:
        renderer, still_person, fps = self._actor.renderer, self._actor.still_person, self._timeline.fps
        if still_person is None:
            return VideoFrame(rgb=renderer.render(expression), pts=number, fps=fps)
        rgb, opacity = render_person(renderer, still_person, expression)
        return VideoFrame(rgb=rgb, pts=number, fps=fps, opacity=opacity)

    def _next_pose(self, speech: SpeechTrack) -> HeadPose:
        return self._pose_generator.next_pose(
            float(speech.energy.mean()),
            float(speech.pitch.mean()),
            float(speech.emphasis.mean()),
            float(speech.speaking.mean()),
        )

    def _ease_articulation(self, articulation: MouthArticulation) -> MouthArticulation:
        """The next frame's articulation. Lips close at once; parting and bite change within LIP_PARTING_SECONDS."""
        step, before = 1 / self._timeline.frames_in(LIP_PARTING_SECONDS), self._last_articulation
        closure = max(articulation.closure, before.closure - step)
        bite = min(max(articulation.bite, before.bite - step), before.bite + step)
        self._last_articulation = replace(articulation, closure=closure, bite=bite)
        return self._last_articulation

    def _open_eyes_at_end(self, pose: HeadPose, number: int) -> HeadPose:
        """The pose of frame `number`; over the last frames after `flush`, the eyes open.

        A video never ends in the middle of a blink. The frames are those that could not be drawn before the end of the
        sound, however it was pushed.
        """
        if self._flushed_at is None:
            return pose
        last = self._timeline.frame_count(self._flushed_at) - 1
        certain_lookahead = self.lookahead - _STEPS.step_start(_EARLY_STEPS)
        first = self._timeline.frames_within(max(0, self._flushed_at - certain_lookahead))
        if number < first:
            return pose
        share = (last - number) / (last + 1 - first)
        return replace(pose, blink_left=share * pose.blink_left, blink_right=share * pose.blink_right)

    def _store_speech(self, speech: SpeechTrack) -> None:
        if len(speech):
            self._pending_runs = [SpeechTrack.join_runs([*self._pending_runs, speech])]

    def _take_frame_speech(self) -> SpeechTrack | None:
        """Speech during the next frame, or None while it is incomplete; older steps are dropped."""
        start, end = (sample - self._origin for sample in self._timeline.frame_span(self._next_frame))
        if end + self._origin > self._received_until or not self._pending_runs:
            return None
        run = self._pending_runs[0]
        start, end = start - LIP_LAG_SAMPLES, end - LIP_LAG_SAMPLES
        first, last = _STEPS.step_span(start, end)
        first, last = max(first, 0) - run.start, max(last, 1) - run.start
        if last > len(run):
            return None
        self._pending_runs = [run.slice_steps(first, len(run))]
        return resample_speech(run.slice_steps(first, last), start, end)


def resample_speech(speech: SpeechTrack, start: int, end: int) -> SpeechTrack:
    """`speech` at four evenly spaced times of the samples [start, end), linear between the middles of its steps.

    A frame thus represents the middle of its time at every frame rate.
    """
    moments = start + (end - start) * (np.arange(_MOMENTS_PER_FRAME) + 0.5) / _MOMENTS_PER_FRAME
    positions = np.clip(_STEPS.step_positions(moments) - speech.start, 0, len(speech) - 1)
    weights = as_float32(np.clip(1 - np.abs(positions[:, None] - np.arange(len(speech))), 0, 1))
    names = [field.name for field in fields(speech) if field.name != "start"]
    return SpeechTrack(start=speech.start, **{name: weights @ getattr(speech, name) for name in names})
