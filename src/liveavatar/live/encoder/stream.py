"""One encoding of a session, for all its viewers."""

from fractions import Fraction

from liveavatar.live.encoder.sound import LiveSoundEncoder
from liveavatar.live.encoder.video import LiveVideoEncoder
from liveavatar.live.messages import LiveFrame, MediaPacket
from liveavatar.live.segments import PLAYBACK_RATIO
from liveavatar.timeline import Timeline


class LiveStreamEncoder:
    """Encodes frames and their sound, in order. It starts with the first frame that it gets."""

    def __init__(self, size: tuple[int, int], fps: Fraction) -> None:
        self._timeline = Timeline(fps=fps)
        self._video = LiveVideoEncoder(size, fps)
        self._sound: LiveSoundEncoder | None = None

    def encode_frame(self, live: LiveFrame, is_key: bool) -> list[MediaPacket]:
        """Packets of sound, then of the picture: a player needs the sound to start its clock."""
        if self._sound is None:
            start = self._timeline.frame_start(live.frame.pts) * PLAYBACK_RATIO
            self._sound = LiveSoundEncoder(start)
        packets = self._sound.encode_sound(live.sound, live.generation)
        return packets + self._video.encode_frame(live.frame, is_key, live.generation)
