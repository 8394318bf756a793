"""Render a portrait speaking a recording: python examples/render.py portrait.jpg speech.mp3 out.mp4"""

import sys

import liveavatar


def main(portrait: str, speech: str, video: str) -> None:
    """Open the portrait, render the speech, print how fast that was."""
    avatar = liveavatar.open(portrait)
    result = avatar.render(speech, video)
    print(f"{result.frames} frames, {result.real_time_factor:.1f} times real time")


if __name__ == "__main__":
    main(*sys.argv[1:4])
