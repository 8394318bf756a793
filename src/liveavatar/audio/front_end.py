"""The way into every engine: any recording or live stream as 16 kHz mono float32."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

from liveavatar.audio.decode import open_audio
from liveavatar.audio.downmix import Downmix
from liveavatar.audio.quality import AudioReport
from liveavatar.audio.resample import Resampler
from liveavatar.frames import Samples

Policy = Literal["fix", "strict", "as-is"]


def read_speech(path: str | Path, policy: Policy = "fix") -> tuple[AudioReport, Iterator[Samples]]:
    """The sound of a file as 16 kHz mono chunks, after a first pass that measures it.

    Raises:
        AudioError: the file cannot be read, or needs mending and the policy is "strict".
    """
    with open_audio(path, mend=policy == "fix") as stream:
        for _ in stream:
            pass
        report = AudioReport(
            info=stream.info,
            samples=stream.samples,
            duration=Fraction(stream.samples, stream.info.rate),
            findings=(),
        )
    return report, _speech(Path(path), policy)


def _speech(path: Path, policy: Policy) -> Iterator[Samples]:
    with open_audio(path, mend=policy == "fix") as stream:
        downmix = Downmix(stream.info.rate, stream.info.layout)
        resampler = Resampler(stream.info.rate)
        for chunk in stream:
            yield resampler.resample_chunk(downmix.push(chunk.samples))
        yield resampler.resample_chunk(downmix.flush(), last=True)
