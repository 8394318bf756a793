"""One portrait and any speech in, a talking video out whose lips are on time.

```python
import liveavatar

avatar = liveavatar.open("portrait.jpg")
avatar.render("speech.mp3", "out.mp4")
```
"""

from liveavatar.avatar import Avatar, AvatarSession, open  # noqa: A004
from liveavatar.errors import LiveAvatarError
from liveavatar.frames import VideoFrame
from liveavatar.generate import Result

__version__ = "0.1.0"
__all__ = ["Avatar", "AvatarSession", "LiveAvatarError", "Result", "VideoFrame", "open"]
