"""What can be chosen about the engine. No torch here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.plan.memory import find_memory_profile
from liveavatar.dit.plan.speed import EXACT_SPEED, SpeedOptions, find_speed_preset
from liveavatar.errors import OptionError

PresetName = Literal["full", "tiny"]

DEFAULT_PROMPT = "A person looks into the camera and speaks, with natural expressions, in a steady shot."
"""What the scene is like, where nothing is said about it."""

MAX_FRAME_PIXELS: dict[PresetName, int] = {"full": 704 * 384, "tiny": 128 * 128}
"""Pixels of a frame whose size follows the portrait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DitOptions:
    """Options of the engine.

    Attributes:
        prompt: what the scene is like.
        sample_steps: denoising steps; the model was distilled for 4.
        infer_frames: pictures that a block can see of the past, itself included; a multiple of 12, 48 in training.
        online_decode: after the first clip its first picture takes the portrait's place, which keeps colours steady.
        parity: compute what the public reference does from a whole file, defects included, for comparison.
        live: hear through a window short enough for a conversation; False hears a recording 25 s at a time.
        preset: "full" is Live Avatar; "tiny" has random weights and a few megabytes, and shows that everything runs.
        random_weights: the full size without any file. A benchmark aid: it draws noise.
        folder: where the checkpoints lie; None is the cache that `liveavatar weights fetch live-avatar` fills.
        memory: a rung of the ladder in `memory.py`, or "auto" for the first that the card has room for.
        speed: ways to save time, or the name of some in `speed.py`; what is not said is decided at start-up.
        device: "cuda", "cuda:1", "cpu", …; None takes a GPU for the full size and the CPU for the tiny one.
    """

    prompt: str = DEFAULT_PROMPT
    sample_steps: int = 4
    infer_frames: int = 48
    online_decode: bool = True
    parity: bool = False
    live: bool = True
    preset: PresetName = "full"
    random_weights: bool = False
    folder: Path | None = None
    memory: str = "auto"
    speed: SpeedOptions | str = "auto"
    device: str | None = None

    def __post_init__(self) -> None:
        if self.preset not in get_args(PresetName):
            raise OptionError(
                f"there is no preset {self.preset!r}", f"use one of: {', '.join(get_args(PresetName))}"
            )
        if not self.prompt.strip():
            raise OptionError("the prompt is empty", "say what the scene is like, or leave --prompt out")
        stream = self.to_stream_config()
        find_memory_profile(self.memory)
        if self.speed_options.wavefront and (self.live or stream.clip_blocks < stream.steps):
            raise OptionError("the wavefront is for recordings, and clips of as many blocks as steps or more",
                              "leave it out, or use live=False and --infer-frames 48")  # fmt: skip

    @property
    def speed_options(self) -> SpeedOptions:
        """`speed`; what is compared with the public implementation is computed one by one."""
        asked = find_speed_preset(self.speed) if isinstance(self.speed, str) else self.speed
        return EXACT_SPEED if self.parity else asked

    @property
    def needs_files(self) -> bool:
        """Whether checkpoints are read."""
        return self.preset == "full" and not self.random_weights

    @property
    def device_name(self) -> str:
        """The device to compute on."""
        return self.device or ("cuda" if self.preset == "full" else "cpu")

    @property
    def max_frame_pixels(self) -> int:
        """Pixels of a frame whose size follows the portrait, at most."""
        return MAX_FRAME_PIXELS[self.preset]

    def to_stream_config(self) -> StreamConfig:
        """How latents are drawn.

        Raises:
            OptionError: steps or frames nobody can use.
        """
        blocks = StreamConfig.count_clip_blocks(self.infer_frames)
        return StreamConfig(steps=self.sample_steps, clip_blocks=blocks)
