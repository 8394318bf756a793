"""H.264 for live viewers: no delay, key frames on demand."""

from fractions import Fraction

import av
from av.video.frame import PictureType

from liveavatar.frames import VideoFrame
from liveavatar.live.messages import MediaKind, MediaPacket
from liveavatar.video.color import rgb_to_yuv420

_BITS_PER_PIXEL = 0.12  # at most, averaged over a second: 800 kbit/s at 512x512 and 25 fps
_QUALITY = 24  # x264's constant rate factor: a face that waits takes far less than the limit
_KEY_FRAME_SECONDS = 10
_BT709 = 1  # ITU-T H.273, tables 2 to 4
_LIMITED_RANGE = 1  # FFmpeg's AVCOL_RANGE_MPEG

VIDEO_CODEC = "avc1.42c01f"
"""As RFC 6381 has it: constrained baseline, level 3.1. Decoders accept larger pictures by the stream's own header."""


class LiveVideoEncoder:
    """x264, superfast and without look-ahead, on one thread. Every key frame repeats the headers (Annex B)."""

    def __init__(self, size: tuple[int, int], fps: Fraction) -> None:
        self._fps = fps
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height = size
        context.pix_fmt = "yuv420p"
        context.framerate, context.time_base = fps, 1 / fps
        context.thread_count = 1
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED_RANGE
        rate = round(size[0] * size[1] * float(fps) * _BITS_PER_PIXEL)
        context.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": str(_QUALITY),
            "maxrate": str(rate),
            "bufsize": str(rate),
            "g": str(round(fps * _KEY_FRAME_SECONDS)),
            "x264-params": "sliced-threads=0:scenecut=0",
        }
        self._context = context

    def encode_frame(self, frame: VideoFrame, is_key: bool, generation: int) -> list[MediaPacket]:
        """The packet of a frame; its numbers rise, and may leave some out."""
        picture = av.VideoFrame.from_ndarray(rgb_to_yuv420(frame.rgb), format="yuv420p")
        picture.pts, picture.time_base = frame.pts, 1 / self._fps
        if is_key:
            picture.pict_type = PictureType.I
        return [
            MediaPacket(
                kind=MediaKind.VIDEO,
                data=bytes(packet),
                time=frame.time,
                is_key=packet.is_keyframe,
                generation=generation,
            )
            for packet in self._context.encode(picture)
        ]
