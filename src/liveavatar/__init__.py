"""One portrait and any speech in, a talking video out whose lips are on time.

```python
import liveavatar

avatar = liveavatar.open("portrait.jpg")
avatar.render("speech.mp3", "out.mp4")
```
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liveavatar.avatar import Avatar, AvatarSession, open  # noqa: A004
    from liveavatar.errors import LiveAvatarError
    from liveavatar.frames import VideoFrame
    from liveavatar.generate import Result

__version__ = "0.1.0"
__all__ = ["Avatar", "AvatarSession", "LiveAvatarError", "Result", "VideoFrame", "open"]

_EXPORT_MODULES = {
    "Avatar": "avatar",
    "AvatarSession": "avatar",
    "LiveAvatarError": "errors",
    "Result": "generate",
    "VideoFrame": "frames",
    "open": "avatar",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the command line starts quickly."""
    if name not in _EXPORT_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"liveavatar.{_EXPORT_MODULES[name]}"), name)
    globals()[name] = value
    return value
