"""The diffusion engine end to end on any CPU: python examples/diffusion.py portrait.jpg speech.mp3 out.mp4

The tiny preset has random weights and renders noise: it shows that everything runs. With a GPU and the checkpoints of
`liveavatar weights fetch live-avatar`, leave `preset` out.
"""

import sys

import liveavatar


def main(portrait: str, speech: str, video: str) -> None:
    """The same as `render.py`, with another engine."""
    avatar = liveavatar.open(portrait, engine="dit", preset="tiny", size=(128, 128))
    result = avatar.render(speech, video)
    print(f"{result.frames} frames, first one after {result.first_frame:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:4])
