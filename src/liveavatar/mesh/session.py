"""The mesh engine: 16 kHz sound in, frames out, on a CPU."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction

import numpy as np

from liveavatar.errors import OptionError, SessionClosed
from liveavatar.face.crop import fit
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples, VideoFrame
from liveavatar.mesh.anatomy import interocular
from liveavatar.mesh.compose import Stage
from liveavatar.mesh.expression import SHUT, Articulation, express, face_shapes
from liveavatar.mesh.field import floats
from liveavatar.mesh.lips import Lips
from liveavatar.mesh.motion import HeadPose, Motion
from liveavatar.mesh.prepare import prepare
from liveavatar.mesh.refine import settle, widen_open_mouth
from liveavatar.mesh.rig import fit_pose, misfit
from liveavatar.speech.stream import SpeechStream, check_ear
from liveavatar.speech.track import STEP, Speech
from liveavatar.timeline import Timeline

LAG = 200
"""Samples by which lips follow the sound's features. Voices start abruptly, lips do not: on a real face they come 41 ms
after the features, our network puts them at the very moment, phone labels at the same within 15 ms (`docs/mesh.md`)."""

PARTING = 0.1
"""Seconds in which lips that were shut come open. Lips are flesh: sounds change at once, they do not."""

_CALM = (0.06, 0.10), (1.0, 0.2)
"""A face's misfit, and the share of the motion that is left to it: a creature turned like a person looks wrong."""

_MOMENTS = 4
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
        check_ear(self.speech)

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> "MeshActor":
        """Prepare a portrait, in a second or less; `size` is (width, height), or None to follow the portrait."""
        SpeechStream(self.speech)  # so that what it lacks is said before any work
        fitted = fit(portrait, size)
        landmarks = widen_open_mouth(fitted.landmarks, fitted.rgb)
        lips = Lips.of(landmarks, interocular(landmarks), fitted.rgb)
        fitted = replace(fitted, landmarks=settle(landmarks, lips))
        share = float(np.interp(misfit(landmarks, fit_pose(landmarks)), *_CALM))
        stage = prepare(fitted, lips, face_shapes(fitted.landmarks))
        return MeshActor(stage=stage, engine=self, motion=share * self.motion)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshActor:
    """One prepared portrait, shared by its sessions; `motion` is how much of it this face bears."""

    stage: Stage
    engine: MeshEngine
    motion: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its frames."""
        height, width = self.stage.person.shape[:2]
        return width, height

    def session(self, fps: Fraction, seed: int) -> "MeshSession":
        """Start a conversation. Same sound and seed, same frames."""
        return MeshSession(self, fps, seed)


class MeshSession:
    """Listens a little ahead, then draws each frame once. Memory does not grow with the length of the sound."""

    def __init__(self, actor: MeshActor, fps: Fraction, seed: int) -> None:
        self._actor = actor
        self._timeline = Timeline(fps=fps)
        self._motion = Motion(fps, seed, actor.motion)
        self._next = 0  # frame to make next
        self._mouth = SHUT
        self._end: int | None = None  # samples in all, once flushed
        self._listen(origin=0)

    def _listen(self, origin: int) -> None:
        """Hear from sample `origin` of the session on, as if nothing had been said before."""
        self._speech = SpeechStream(self._actor.engine.speech)
        self._origin = origin
        self._heard = origin
        self._runs: list[Speech] = []

    @property
    def lookahead(self) -> int:
        """Samples that must follow a frame's last sample before it can be drawn."""
        return self._speech.lookahead - LAG

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length."""
        if self._end is not None:
            raise SessionClosed("the session has been flushed", "open a new one")
        self._heard += len(samples)
        self._keep(self._speech.push(samples))

    def flush(self) -> None:
        """The sound is over; the last frame is filled up with silence."""
        if self._end is not None:
            return
        end = self._heard
        whole = self._timeline.frame_start(self._timeline.frame_count(end))
        self.push(np.zeros(whole - end, np.float32))
        self._keep(self._speech.flush())
        self._end = end

    def interrupt(self) -> None:
        """Forget sound that has not become a frame; what is pushed next starts with the next frame."""
        self._listen(origin=self._timeline.frame_start(self._next))

    def frames(self) -> Iterator[VideoFrame]:
        """The frames that the sound so far allows, drawn as they are taken."""
        while (speech := self._take()) is not None:
            number = self._next
            self._next += 1
            pose = self._motion.step(
                float(speech.energy.mean()),
                float(speech.pitch.mean()),
                float(speech.emphasis.mean()),
                float(speech.speaking.mean()),
            )
            mouth = self._eased(Articulation.during(speech)).softened(self._actor.engine.expression)
            picture = self._actor.stage.render(express(mouth, self._opened(pose, number)))
            yield VideoFrame(rgb=picture, pts=number, fps=self._timeline.fps)

    def _eased(self, mouth: Articulation) -> Articulation:
        """The mouth of the next frame: lips shut at once, but part, and go to the teeth and back, within PARTING."""
        step, before = 1 / (PARTING * float(self._timeline.fps)), self._mouth
        closure = max(mouth.closure, before.closure - step)
        bite = min(max(mouth.bite, before.bite - step), before.bite + step)
        self._mouth = replace(mouth, closure=closure, bite=bite)
        return self._mouth

    def _opened(self, pose: HeadPose, number: int) -> HeadPose:
        """The pose of frame `number`; over the frames that only the end of the sound has released, eyes come open.

        A file never ends in the middle of a blink, and which frames these are does not depend on how sound is pushed.
        """
        if self._end is None:
            return pose
        last = self._timeline.frame_count(self._end) - 1
        surely_unheard = self.lookahead - 2 * STEP  # the network may be a step or two early
        first = self._timeline.frames_within(max(0, self._end - surely_unheard))
        if number < first:
            return pose
        share = (last - number) / (last + 1 - first)
        return replace(pose, blink_left=share * pose.blink_left, blink_right=share * pose.blink_right)

    def _keep(self, speech: Speech) -> None:
        if len(speech):
            self._runs = [Speech.join([*self._runs, speech])]

    def _take(self) -> Speech | None:
        """Speech during the next frame, or None while it is not known to its end; older steps are dropped."""
        start, end = (sample - self._origin for sample in self._timeline.frame_span(self._next))
        if end + self._origin > self._heard or not self._runs:
            return None
        run = self._runs[0]
        start, end = start - LAG, end - LAG
        first, last = max(start // STEP, 0) - run.start, max(-(-end // STEP), 1) - run.start
        if last > len(run):
            return None
        self._runs = [run.slice(first, len(run))]
        return read(run.slice(first, last), start, end)


def read(speech: Speech, start: int, end: int) -> Speech:
    """`speech` at _MOMENTS evenly spaced moments of samples [start, end): linear between the middles of its steps.

    So a frame stands for the middle of its time at every frame rate, whether or not it begins with a step.
    """
    moments = start + (end - start) * (np.arange(_MOMENTS) + 0.5) / _MOMENTS
    place = np.clip(moments / STEP - 0.5 - speech.start, 0, len(speech) - 1)
    weights = floats(np.clip(1 - np.abs(place[:, None] - np.arange(len(speech))), 0, 1))
    names = [field.name for field in fields(speech) if field.name != "start"]
    return Speech(start=speech.start, **{name: weights @ getattr(speech, name) for name in names})
