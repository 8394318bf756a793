"""The stream of a video whose pictures are shown, within a bound on their size."""

from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from liveavatar.errors import VideoError
from liveavatar.files import describe_path

MAX_PIXELS = 7680 * 4320
"""Of one picture: 8K."""

MAX_PICTURE_BYTES = 100_000_000
"""Of one decoded picture: 8K in 4:2:0 with 10 bits. A decoder keeps up to seventeen of them, and as many as it has
threads, so only one thread decodes pictures of more than a quarter of that."""

_USUAL_PIXEL_BYTES = 3
"""Of a stream that does not tell how its pixels are stored: 4:2:0 with 16 bits."""


def find_picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is not a cover picture. Its decoder refuses pictures above these bounds too.

    Raises:
        VideoError: there is none, or its pictures are too large.
    """
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.attached_pic and stream.codec_context is not None:
            _bound_picture_size(stream, path)
            return stream
    raise VideoError(f"{describe_path(path.name)} has no pictures", "choose a video of a talking face")


def _bound_picture_size(stream: VideoStream, path: Path) -> None:
    context = stream.codec_context
    pixel_bytes = context.format.padded_bits_per_pixel / 8 if context.format else _USUAL_PIXEL_BYTES
    max_pixels = min(MAX_PIXELS, int(MAX_PICTURE_BYTES / pixel_bytes))
    pixels = context.width * context.height
    if pixels > max_pixels:
        raise VideoError(
            f"{describe_path(path.name)} has pictures of {context.width}x{context.height}",
            f"scale it down to at most {max_pixels / 1e6:.1f} megapixels; 1920x1080 is plenty",
        )
    if 4 * pixels * pixel_bytes > MAX_PICTURE_BYTES:
        context.thread_count = 1
    context.options = {**context.options, "max_pixels": str(max_pixels)}
