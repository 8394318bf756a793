"""The mesh engine: 16 kHz sound in, frames out, on a CPU."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction

import numpy as np

from liveavatar.errors import OptionError, SessionClosed
from liveavatar.face.crop import crop_portrait
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples, VideoFrame
from liveavatar.mesh.expression import (
    RESTING_ARTICULATION,
    MouthArticulation,
    build_expression,
    build_face_shapes,
)
from liveavatar.mesh.geometry.arrays import as_float32
from liveavatar.mesh.geometry.face_landmarks import interocular_distance
from liveavatar.mesh.geometry.lip_edges import LipEdges
from liveavatar.mesh.geometry.lip_refinement import snap_lip_landmarks, widen_open_mouth
from liveavatar.mesh.geometry.rig import fit_rig_pose, rig_misfit
from liveavatar.mesh.motion.head_pose import HeadPose, HeadPoseGenerator
from liveavatar.mesh.prepare import prepare_renderer
from liveavatar.mesh.render.face_renderer import FaceRenderer
from liveavatar.speech.stream import SpeechStream, check_articulation_model
from liveavatar.speech.track import STEP_SAMPLES, SpeechTrack
from liveavatar.timeline import Timeline

LIP_LAG_SAMPLES = 200
"""Samples by which lips follow the sound's features. Voices start abruptly, lips do not: on a real face they come 41 ms
after the features, our network puts them at the very moment, phone labels at the same within 15 ms (`docs/mesh.md`)."""

LIP_PARTING_SECONDS = 0.1
"""Seconds in which lips that were shut come open. Lips are flesh: sounds change at once, they do not."""

_MISFIT_TO_MOTION = (0.06, 0.10), (1.0, 0.2)
"""A face's misfit, and the share of the motion that is left to it: a creature turned like a person looks wrong."""

_MOMENTS_PER_FRAME = 4
"""At how many moments of a frame the speech is read: the steps of 10 ms at 25 frames a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshEngine:
    """Warps portraits. `motion` scales head and gaze, `expression` the mouth's opening; both 0…1. `speech` names the
    ear: "small", or "whisper", which hears better and takes longer.

    Raises:
        OptionError: one of them is outside 0…1, or there is no such ear.
    """

    motion: float = 1.0
    expression: float = 1.0
    speech: str = "small"

    def __post_init__(self) -> None:
        for name, value in (("motion", self.motion), ("expression", self.expression)):
            if not 0 <= value <= 1:
                raise OptionError(f"{name} {value} is outside 0…1", f"use --{name} 0.5, say")
        check_articulation_model(self.speech)

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "MeshActor":
        """Prepare a portrait, in a second or less; `size` is (width, height), or None to follow the portrait."""
        SpeechStream(self.speech)  # so that what it lacks is said before any work
        fitted = crop_portrait(portrait, size)
        landmarks = widen_open_mouth(fitted.landmarks, fitted.rgb)
        lips = LipEdges.from_portrait(landmarks, interocular_distance(landmarks), fitted.rgb)
        fitted = replace(fitted, landmarks=snap_lip_landmarks(landmarks, lips))
        share = float(np.interp(rig_misfit(landmarks, fit_rig_pose(landmarks)), *_MISFIT_TO_MOTION))
        stage = prepare_renderer(fitted, lips, build_face_shapes(fitted.landmarks))
        return MeshActor(renderer=stage, engine=self, motion=share * self.motion)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshActor:
    """One prepared portrait, shared by its sessions; `motion` is how much of it this face bears."""

    renderer: FaceRenderer
    engine: MeshEngine
    motion: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its frames."""
        width, height = self.renderer.size
        return width, height

    def session(self, fps: Fraction, seed: int) -> "MeshSession":
        """Start a conversation. Same sound and seed, same frames."""
        return MeshSession(self, fps, seed)


class MeshSession:
    """Listens a little ahead, then draws each frame once. Memory does not grow with the length of the sound."""

    def __init__(self, actor: MeshActor, fps: Fraction, seed: int) -> None:
        self._actor = actor
        self._timeline = Timeline(fps=fps)
        self._pose_generator = HeadPoseGenerator(fps, seed, actor.motion)
        self._next_frame = 0  # frame to make next
        self._last_articulation = RESTING_ARTICULATION
        self._flushed_at: int | None = None  # samples in all, once flushed
        self._restart_speech(origin=0)

    def _restart_speech(self, origin: int) -> None:
        """Hear from sample `origin` of the session on, as if nothing had been said before."""
        self._speech_stream = SpeechStream(self._actor.engine.speech)
        self._origin = origin
        self._received_until = origin
        self._pending_runs: list[SpeechTrack] = []

    @property
    def lookahead(self) -> int:
        """Samples that must follow a frame's last sample before it can be drawn."""
        return self._speech_stream.lookahead - LIP_LAG_SAMPLES

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length."""
        if self._flushed_at is not None:
            raise SessionClosed("the session has been flushed", "open a new one")
        self._received_until += len(samples)
        self._store_speech(self._speech_stream.push(samples))

    def flush(self) -> None:
        """The sound is over; the last frame is filled up with silence."""
        if self._flushed_at is not None:
            return
        end = self._received_until
        whole = self._timeline.frame_start(self._timeline.frame_count(end))
        self.push(np.zeros(whole - end, np.float32))
        self._store_speech(self._speech_stream.flush())
        self._flushed_at = end

    def interrupt(self) -> None:
        """Forget sound that has not become a frame; what is pushed next starts with the next frame."""
        self._restart_speech(origin=self._timeline.frame_start(self._next_frame))

    def frames(self) -> Iterator[VideoFrame]:
        """The frames that the sound so far allows, drawn as they are taken."""
        while (speech := self._take_frame_speech()) is not None:
            number = self._next_frame
            self._next_frame += 1
            pose = self._pose_generator.next_pose(
                float(speech.energy.mean()),
                float(speech.pitch.mean()),
                float(speech.emphasis.mean()),
                float(speech.speaking.mean()),
            )
            mouth = self._ease_articulation(MouthArticulation.from_speech(speech)).scale_except_closure(
                self._actor.engine.expression
            )
            picture = self._actor.renderer.render(
                build_expression(mouth, self._open_eyes_at_end(pose, number))
            )
            yield VideoFrame(rgb=picture, pts=number, fps=self._timeline.fps)

    def _ease_articulation(self, articulation: MouthArticulation) -> MouthArticulation:
        """The mouth of the next frame: lips shut at once, but part, and go to the teeth and back, within PARTING."""
        step, before = 1 / (LIP_PARTING_SECONDS * float(self._timeline.fps)), self._last_articulation
        closure = max(articulation.closure, before.closure - step)
        bite = min(max(articulation.bite, before.bite - step), before.bite + step)
        self._last_articulation = replace(articulation, closure=closure, bite=bite)
        return self._last_articulation

    def _open_eyes_at_end(self, pose: HeadPose, number: int) -> HeadPose:
        """The pose of frame `number`; over the frames that only the end of the sound has released, eyes come open.

        A file never ends in the middle of a blink, and which frames these are does not depend on how sound is pushed.
        """
        if self._flushed_at is None:
            return pose
        last = self._timeline.frame_count(self._flushed_at) - 1
        surely_unheard = self.lookahead - 2 * STEP_SAMPLES  # the network may be a step or two early
        first = self._timeline.frames_within(max(0, self._flushed_at - surely_unheard))
        if number < first:
            return pose
        share = (last - number) / (last + 1 - first)
        return replace(pose, blink_left=share * pose.blink_left, blink_right=share * pose.blink_right)

    def _store_speech(self, speech: SpeechTrack) -> None:
        if len(speech):
            self._pending_runs = [SpeechTrack.join_runs([*self._pending_runs, speech])]

    def _take_frame_speech(self) -> SpeechTrack | None:
        """Speech during the next frame, or None while it is not known to its end; older steps are dropped."""
        start, end = (sample - self._origin for sample in self._timeline.frame_span(self._next_frame))
        if end + self._origin > self._received_until or not self._pending_runs:
            return None
        run = self._pending_runs[0]
        start, end = start - LIP_LAG_SAMPLES, end - LIP_LAG_SAMPLES
        first, last = max(start // STEP_SAMPLES, 0) - run.start, max(-(-end // STEP_SAMPLES), 1) - run.start
        if last > len(run):
            return None
        self._pending_runs = [run.slice_steps(first, len(run))]
        return resample_speech(run.slice_steps(first, last), start, end)


def resample_speech(speech: SpeechTrack, start: int, end: int) -> SpeechTrack:
    """`speech` at _MOMENTS evenly spaced moments of samples [start, end): linear between the middles of its steps.

    So a frame stands for the middle of its time at every frame rate, whether or not it begins with a step.
    """
    moments = start + (end - start) * (np.arange(_MOMENTS_PER_FRAME) + 0.5) / _MOMENTS_PER_FRAME
    place = np.clip(moments / STEP_SAMPLES - 0.5 - speech.start, 0, len(speech) - 1)
    weights = as_float32(np.clip(1 - np.abs(place[:, None] - np.arange(len(speech))), 0, 1))
    names = [field.name for field in fields(speech) if field.name != "start"]
    return SpeechTrack(start=speech.start, **{name: weights @ getattr(speech, name) for name in names})
