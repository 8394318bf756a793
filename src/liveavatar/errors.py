"""Everything that can go wrong, as one tree.

```
LiveAvatarError            exit code 2, printed as one line: what is wrong, then the remedy
├── OptionError            an option or argument has a value nobody can use
├── AudioError             the recording cannot be read, or not used as it is
├── PortraitError          the picture cannot be read, or has no usable face
├── VideoError             the video cannot be read, shows no face for long enough, or cannot be mended
├── OutputError            the result cannot be written: folder, permission, disk space
├── WeightsError           a model file is missing, damaged, or could not be fetched
├── EngineError            an engine is unknown, or cannot run on this machine
└── SessionClosed          a chunk was pushed after flush(), or the session was closed
```
"""


class LiveAvatarError(Exception):
    """A failure a user can understand. `remedy` says what to do next; both are one line."""

    exit_code = 2

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem


class OptionError(LiveAvatarError):
    """An option or argument has a value nobody can use."""


class AudioError(LiveAvatarError):
    """The recording cannot be read, or not used as it is."""


class PortraitError(LiveAvatarError):
    """The picture cannot be read, or has no usable face."""


class VideoError(LiveAvatarError):
    """The video cannot be read, shows no face for long enough, or cannot be mended."""


class OutputError(LiveAvatarError):
    """The result cannot be written."""


class WeightsError(LiveAvatarError):
    """A model file is missing, damaged, or could not be fetched."""


class EngineError(LiveAvatarError):
    """An engine is unknown, or cannot run on this machine."""


class SessionClosed(LiveAvatarError):  # noqa: N818  (a state, not a fault)
    """A chunk was pushed after `flush()`, or the session was closed."""
