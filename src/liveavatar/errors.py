"""The exceptions of the package, as one tree.

```
LiveAvatarError            exit code 2, printed as one line: the problem, then the remedy
├── OptionError            an option or argument has an unusable value
├── AudioError             the recording cannot be read, or cannot be used as it is
├── PortraitError          the picture cannot be read, or has no usable face
├── VideoError             the video cannot be read, shows a face too briefly, or cannot be fixed
├── OutputError            the result cannot be written: folder, permission, disk space
├── WeightsError           a model file is missing, damaged, or could not be fetched
├── VoiceError             a text cannot be spoken, or no voice or recogniser can run on this machine
├── EngineError            an engine is unknown, or cannot run on this machine
├── EndpointError          a service of the conversation does not answer as it should
├── SpeechQueueFull        live speech comes faster than it is spoken, and too much of it waits
└── SessionClosed          a chunk was pushed after flush(), or the session was closed
```
"""


class LiveAvatarError(Exception):
    """A failure with a message for the user. `problem` and `remedy` (what to do next) are one line each."""

    exit_code = 2

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem


class OptionError(LiveAvatarError):
    """An option or argument has an unusable value."""


class AudioError(LiveAvatarError):
    """The recording cannot be read, or cannot be used as it is."""


class PortraitError(LiveAvatarError):
    """The picture cannot be read, or has no usable face."""


class VideoError(LiveAvatarError):
    """The video cannot be read, shows a face too briefly, or cannot be fixed."""


class OutputError(LiveAvatarError):
    """The result cannot be written."""


class WeightsError(LiveAvatarError):
    """A model file is missing, damaged, or could not be fetched."""


class VoiceError(LiveAvatarError):
    """A text cannot be spoken, or no voice or recogniser can run on this machine."""


class EngineError(LiveAvatarError):
    """An engine is unknown, or cannot run on this machine."""


class EndpointError(LiveAvatarError):
    """A service of the conversation does not answer as it should."""


class SpeechQueueFull(LiveAvatarError):  # noqa: N818  (a state, not a fault)
    """Live speech comes faster than it is spoken, and too much of it waits."""


class SessionClosed(LiveAvatarError):  # noqa: N818  (a state, not a fault)
    """A chunk was pushed after `flush()`, or the session was closed."""
