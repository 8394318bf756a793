"""What an engine is: a portrait is prepared once, then any number of sessions turn sound into frames.

```
engine = open_engine("mesh")          # loads what the engine needs (engines.py)
actor = open_actor(engine, portrait, None)   # checks and prepares one face; sessions share it
session = actor.session(fps)          # one conversation; all state lives here
session.push(samples); session.flush()
for frame in session.frames(): ...
```

The options of an engine are the fields of a frozen dataclass. A field with `metadata={"help": …}` becomes an option of
the command line, spelled `--name` or as in the metadata's `flags`; `instead` says what to do with engines that do not
have the option. One whose metadata bounds it by a `range` (least, most) or by `choices` may also be set by clients of a
server; the others are its operator's. `packages` names what has to be installed for a choice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import Protocol, Self, runtime_checkable

from liveavatar.errors import OptionError, PortraitError
from liveavatar.face.crop import choose_crop_window, judge_enlargement
from liveavatar.face.inspection.quality import check_portrait
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture, Samples, VideoFrame
from liveavatar.report import Finding

MAX_SEED = 2**63 - 1
"""The largest one; PyTorch's generators take no more bits."""


def check_seed(seed: object) -> int:
    """A seed as an `int`.

    Raises:
        OptionError: it is no whole number within 0…2^63 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) <= MAX_SEED:
        raise OptionError(f"seed {seed!r} is not possible", "use a whole number from 0 to 2^63 - 1")
    return int(seed)


class Session(Protocol):
    """One stream of sound into one stream of frames. Not thread-safe; sessions are independent of each other."""

    @property
    def lookahead(self) -> int:
        """Samples at 16 kHz that must follow a frame's last sample before the frame can be made."""
        ...

    def push(self, samples: Samples) -> None:
        """Add sound: float32 mono at 16 kHz, any length.

        Raises:
            SessionClosed: after `flush()`.
        """
        ...

    def flush(self) -> None:
        """The sound is over: the rest of the frames become available, the last padded with silence."""
        ...

    def interrupt(self) -> None:
        """Drop sound that has not become a frame yet; the next frame follows the last one made."""
        ...

    def frames(self) -> Iterator[VideoFrame]:
        """Frames that the sound so far allows, each once, in order. Made as they are taken."""
        ...


@runtime_checkable
class EmotionalSession(Session, Protocol):
    """A session whose face shows an emotion that may change while it speaks."""

    def set_emotion(self, emotion: str, delay: int = 0) -> None:
        """Glide to `emotion` from the sound on that is pushed next, or from `delay` samples after its start.

        Raises:
            OptionError: there is no such emotion.
            SessionClosed: after `flush()`.
        """
        ...

    def check_emotion(self, emotion: str) -> None:
        """Refuse what `set_emotion` would; any thread may call it.

        Raises:
            OptionError: there is no such emotion.
        """
        ...


@runtime_checkable
class BlockSession(Session, Protocol):
    """A session that draws several frames at a time, which takes long.

    Its `push`, `flush` and `interrupt` may come from another thread than the one that takes frames; an interruption
    stops what is being drawn.
    """

    @property
    def block_frames(self) -> int:
        """Frames that are drawn at a time."""
        ...


class Actor(Protocol):
    """One prepared portrait."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its frames."""
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """What the engine found when it looked at what it draws."""
        ...

    def session(self, fps: Fraction, seed: int) -> Session:
        """Start a session. Same sound and seed, same frames."""
        ...


@runtime_checkable
class SeparableActor(Actor, Protocol):
    """An actor whose person is separated from the background."""

    def replace_background(self, background: Picture | None) -> Self:
        """The same person before `background`, RGB of the frames' size; None gives frames with an opacity."""
        ...


class Engine(Protocol):
    """A way to animate portraits."""

    def open(self, portrait: Portrait, size: tuple[int, int] | None) -> Actor:
        """Prepare a portrait; `size` is (width, height), or None to follow the portrait."""
        ...


def change_emotion(session: Session, emotion: str, delay: int = 0) -> None:
    """`set_emotion` of an `EmotionalSession`.

    Raises:
        OptionError: the engine takes no emotions, or there is no such emotion.
        SessionClosed: after `flush()`.
    """
    _require_emotions(session).set_emotion(emotion, delay)


def check_emotion(session: Session, emotion: str) -> None:
    """`check_emotion` of an `EmotionalSession`.

    Raises:
        OptionError: the engine takes no emotions, or there is no such emotion.
    """
    _require_emotions(session).check_emotion(emotion)


def _require_emotions(session: Session) -> EmotionalSession:
    if not isinstance(session, EmotionalSession):
        raise OptionError("this engine takes no emotion", "describe the face in its prompt")
    return session


def open_actor(
    engine: Engine,
    portrait: Portrait,
    size: tuple[int, int] | None,
    *,
    force: bool = False,
    on_finding: Callable[[Finding], None] = lambda _finding: None,
) -> Actor:
    """Check a portrait, prepare it, and check what the engine draws; `on_finding` is called with each finding.

    Raises:
        PortraitError: the portrait or its drawing is bad, and `force` is not set; or the face has under 40 pixels in
            frames of `size`.
    """
    findings = check_portrait(portrait)
    if size is not None:
        findings.append(judge_enlargement(choose_crop_window(portrait, size), size))
    _refuse_bad_findings(findings, force, on_finding)
    actor = engine.open(portrait, size)
    _refuse_bad_findings(actor.findings, force, on_finding)
    return actor


def _refuse_bad_findings(
    findings: Sequence[Finding], force: bool, on_finding: Callable[[Finding], None]
) -> None:
    for finding in findings:
        on_finding(finding)
    bad = next((finding for finding in findings if finding.level == "bad"), None)
    if bad and not force:
        raise PortraitError(bad.sentence, f"{bad.remedy}; or draw it all the same with --force")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether an engine can run on this machine, and if not, what is missing."""

    ready: bool
    reason: str
