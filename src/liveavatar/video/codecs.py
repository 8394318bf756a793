"""Which encoders the bundled FFmpeg has."""

import av
from av.codec.codec import UnknownCodecError


def has_encoder(name: str) -> bool:
    """Whether this build can encode `name`, such as `libx264`."""
    try:
        av.Codec(name, "w")
    except UnknownCodecError:
        return False
    return True
