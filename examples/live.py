"""Live sound in small chunks, frames as soon as they are ready: python examples/live.py portrait.jpg speech.wav"""

import sys
import wave

import numpy as np

import liveavatar


def main(portrait: str, speech: str) -> None:
    """Push a 16-bit mono WAV into a session in chunks of 20 ms, as a microphone would."""
    avatar = liveavatar.open(portrait)
    with wave.open(speech, "rb") as file, avatar.session(fps=25) as session:
        rate = file.getframerate()
        while chunk := file.readframes(rate // 50):
            session.push(np.frombuffer(chunk, "<i2"), rate)
            for frame in session.frames():
                print(
                    f"frame {frame.pts} at {float(frame.time):.2f} s: {frame.rgb.shape[1]}x{frame.rgb.shape[0]}"
                )
        session.flush()
        print(f"{sum(1 for _ in session.frames())} more after the end")


if __name__ == "__main__":
    main(*sys.argv[1:3])
