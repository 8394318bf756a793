"""Which containers and codecs a video may have, and how each codec is driven for each quality."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import av

from liveavatar.errors import OptionError, OutputError
from liveavatar.files import describe_path
from liveavatar.video.sound_codecs import AAC, OPUS, PCM, SoundCodec

Quality = Literal["draft", "good", "best"]
QUALITIES: tuple[Quality, ...] = ("draft", "good", "best")
"""From small and fast to large and slow; `benchmarks/video/encoding.py` says what each costs and keeps."""

EncoderOptions = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoCodec:
    """How FFmpeg's encoder `encoder` is driven. `tag` is the code that players want in mp4 and mov."""

    encoder: str
    pixel_format: str
    qualities: Mapping[Quality, EncoderOptions]
    common: EncoderOptions = field(default_factory=dict)
    tag: str = ""

    @property
    def has_alpha(self) -> bool:
        """Whether pictures have an opacity."""
        return "yuva" in self.pixel_format


# Without B-frames detail does not pulse from frame to frame; tune grain keeps more of it, at the same time.
# rgb_to_yuv420 centres chroma: chromaloc=1.
_H264 = VideoCodec(
    encoder="libx264",
    pixel_format="yuv420p",
    common={"x264-params": "bframes=0:chromaloc=1"},
    qualities={
        "draft": {"preset": "superfast", "crf": "25"},
        "good": {"preset": "veryfast", "crf": "18", "tune": "grain"},
        "best": {"preset": "medium", "crf": "14", "tune": "grain"},
    },
)
_HEVC = VideoCodec(
    encoder="libx265",
    pixel_format="yuv420p",
    common={"x265-params": "bframes=0:chromaloc=1:log-level=none"},
    qualities={
        "draft": {"preset": "ultrafast", "crf": "26"},
        "good": {"preset": "superfast", "crf": "20", "tune": "grain"},
        "best": {"preset": "medium", "crf": "16", "tune": "grain"},
    },
    tag="hvc1",
)
# Low delay: frames that are coded from later ones pulse.
_AV1 = VideoCodec(
    encoder="libsvtav1",
    pixel_format="yuv420p",
    common={"svtav1-params": "pred-struct=1"},
    qualities={
        "draft": {"preset": "10", "crf": "35"},
        "good": {"preset": "9", "crf": "20"},
        "best": {"preset": "6", "crf": "12"},
    },
)
_VP9_QUALITIES: Mapping[Quality, EncoderOptions] = {
    "draft": {"deadline": "realtime", "cpu-used": "8", "crf": "32"},
    "good": {"deadline": "realtime", "cpu-used": "6", "crf": "18"},
    "best": {"deadline": "good", "cpu-used": "4", "crf": "10"},
}
_VP9_COMMON: EncoderOptions = {"b": "0", "row-mt": "1", "auto-alt-ref": "0"}
_VP9 = VideoCodec(encoder="libvpx-vp9", pixel_format="yuv420p", qualities=_VP9_QUALITIES, common=_VP9_COMMON)
_VP9_ALPHA = VideoCodec(
    encoder="libvpx-vp9", pixel_format="yuva420p", qualities=_VP9_QUALITIES, common=_VP9_COMMON
)
_QUANTISER_UNIT = 118  # FFmpeg's FF_QP2LAMBDA
_PRORES_ALPHA = VideoCodec(
    encoder="prores_ks",
    pixel_format="yuva444p10le",
    common={"profile": "4444", "alpha_bits": "8", "flags": "+qscale"},
    qualities={
        "draft": {"global_quality": str(16 * _QUANTISER_UNIT)},
        "good": {"global_quality": str(8 * _QUANTISER_UNIT)},
        "best": {"global_quality": str(4 * _QUANTISER_UNIT)},
    },
)

CODECS: Mapping[str, VideoCodec] = MappingProxyType({"h264": _H264, "hevc": _HEVC, "av1": _AV1, "vp9": _VP9})
"""Codecs of opaque pictures by the names that users give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoContainer:
    """What a container holds: names of codecs, the first being the usual one, and the codec of transparent pictures."""

    muxer: str
    codecs: tuple[str, ...]
    sound: SoundCodec
    options: EncoderOptions
    alpha: VideoCodec | None = None


_INDEX_IN_FRONT = {"movflags": "faststart+use_metadata_tags"}

CONTAINERS: Mapping[str, VideoContainer] = MappingProxyType(
    {
        ".mp4": VideoContainer(
            muxer="mp4", codecs=("h264", "hevc", "av1"), sound=AAC, options=_INDEX_IN_FRONT
        ),
        ".mov": VideoContainer(
            muxer="mov", codecs=("h264", "hevc"), sound=AAC, options=_INDEX_IN_FRONT, alpha=_PRORES_ALPHA
        ),
        ".webm": VideoContainer(
            muxer="webm", codecs=("vp9", "av1"), sound=OPUS, options={"cues_to_front": "1"}, alpha=_VP9_ALPHA
        ),
    }
)
"""By the ending of a file's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingOptions:
    """What users choose: a name in `CODECS`, None being the container's usual one, and a quality."""

    codec: str | None = None
    quality: str = "good"


DEFAULT_ENCODING = EncodingOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFormat:
    """A container, a codec in it and its quality. `sound` is the codec of the sound."""

    container: VideoContainer
    codec: VideoCodec
    quality: Quality
    sound: SoundCodec

    @property
    def codec_options(self) -> dict[str, str]:
        """Options of FFmpeg's encoder."""
        return {**self.codec.common, **self.codec.qualities[self.quality]}


def choose_format(
    output: Path, encoding: EncodingOptions = DEFAULT_ENCODING, *, has_alpha: bool = False
) -> VideoFormat:
    """The format of the file `output`, by the ending of its name; `has_alpha` is for pictures with an opacity.

    Raises:
        OutputError: the name has no known ending, or one of a container that holds no opacity.
        OptionError: there is no such quality or codec, the container cannot hold it, or this FFmpeg has no encoder.
    """
    container = _find_container(output)
    quality = next((name for name in QUALITIES if name == encoding.quality), None)
    if quality is None:
        raise OptionError(f"there is no quality {encoding.quality!r}", f"use one of: {', '.join(QUALITIES)}")
    codec = _choose_alpha_codec(output, encoding) if has_alpha else _choose_codec(output, encoding)
    if not has_encoder(codec.encoder):
        raise OptionError(f"this FFmpeg has no encoder {codec.encoder}", "leave --codec out, or use another")
    sound = PCM if codec is _PRORES_ALPHA else container.sound
    return VideoFormat(container=container, codec=codec, quality=quality, sound=sound)


def has_encoder(name: str) -> bool:
    """Whether this FFmpeg can encode with codec `name`, such as "libx264"."""
    try:
        av.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _find_container(output: Path) -> VideoContainer:
    container = CONTAINERS.get(output.suffix.lower())
    if container is not None:
        return container
    name = describe_path(output)
    if not output.name:
        raise OutputError(f"{name} is a folder", "name a file in it")
    *others, last = CONTAINERS
    raise OutputError(
        f"{name} does not end in {', '.join(others)} or {last}",
        f"name it {describe_path(output.with_suffix('.mp4'))}",
    )


def _choose_codec(output: Path, encoding: EncodingOptions) -> VideoCodec:
    container = _find_container(output)
    name = container.codecs[0] if encoding.codec is None else encoding.codec
    if name not in CODECS:
        raise OptionError(f"there is no codec {name!r}", f"use one of: {', '.join(CODECS)}")
    if name not in container.codecs:
        raise OptionError(
            f"{output.suffix.lower()} files hold no {name}", f"use one of: {', '.join(container.codecs)}"
        )
    return CODECS[name]


def _choose_alpha_codec(output: Path, encoding: EncodingOptions) -> VideoCodec:
    codec = _find_container(output).alpha
    if codec is None:
        name = describe_path(output.with_suffix(".webm"))
        raise OutputError(
            f"{output.suffix.lower()} files hold no transparency", f"name it {name}, or .mov for editing"
        )
    if encoding.codec is not None and CODECS.get(encoding.codec, codec).encoder != codec.encoder:
        raise OptionError(
            f"{encoding.codec} in {output.suffix.lower()} holds no transparency", "leave --codec out"
        )
    return codec
