"""The stream of a video whose pictures are shown, within a bound on their size."""

from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from liveavatar.errors import VideoError
from liveavatar.files import describe_path

MAX_PIXELS = 4096 * 4096
"""Of one picture. A decoder keeps up to seventeen of them, and as many as it has threads: 0.7 GB."""


def find_picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is not a cover picture. Its decoder refuses pictures above `MAX_PIXELS` too.

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
    if context.width * context.height > MAX_PIXELS:
        raise VideoError(
            f"{describe_path(path.name)} has pictures of {context.width}x{context.height}",
            f"scale it down to at most {MAX_PIXELS / 1e6:.1f} megapixels; 1920x1080 is plenty",
        )
    context.options = {**context.options, "max_pixels": str(MAX_PIXELS)}
