"""Codecs of the sound in a video, with the rates that they take."""

from dataclasses import dataclass

AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
"""Hz: the sampling frequencies of ISO/IEC 14496-3, table 1.18, less 7350, which FFmpeg's muxers do not all take."""
OPUS_RATES = (48_000, 24_000, 16_000, 12_000, 8_000)
"""Hz: RFC 6716, section 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundCodec:
    """FFmpeg's encoder, the rates that it takes (none: all) and its bits a second (0: what the samples need)."""

    encoder: str
    rates: tuple[int, ...]
    bit_rate: int
    sample_format: str

    def choose_rate(self, rate: int) -> int:
        """`rate` in Hz if the codec has it, else 48 kHz."""
        return rate if rate in self.rates or not self.rates else 48_000


AAC = SoundCodec(encoder="aac", rates=AAC_RATES, bit_rate=192_000, sample_format="fltp")
OPUS = SoundCodec(encoder="libopus", rates=OPUS_RATES, bit_rate=160_000, sample_format="flt")
PCM = SoundCodec(encoder="pcm_s16le", rates=(), bit_rate=0, sample_format="s16")
