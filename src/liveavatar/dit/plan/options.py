"""Options of the engine. No torch here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.plan.memory import MEMORY_PROFILES, Workload, find_memory_profile
from liveavatar.dit.plan.speed import EXACT_SPEED, SPEED_PRESETS, SpeedOptions, find_speed_preset
from liveavatar.errors import OptionError

PresetName = Literal["full", "small", "tiny"]

DEFAULT_PROMPT = "A person looks into the camera and speaks, with natural expressions, in a steady shot."

MAX_FRAME_PIXELS: dict[PresetName, int] = {"full": 704 * 384, "small": 128 * 128, "tiny": 128 * 128}
"""Most pixels of a frame whose size follows the portrait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DitOptions:
    """Options of the engine. Those with a help text are on the command line too (`engine.py` describes the metadata).

    Attributes:
        live: for a conversation, the audio encoder's window is short; False encodes a recording 25 s at a time.
        device: "cuda", "cuda:1", "cpu", …; None takes a GPU for the full size and the CPU for the others.
    """

    prompt: str = field(default=DEFAULT_PROMPT, metadata={"help": "Describes the scene."})
    sample_steps: int = field(
        default=4,
        metadata={
            "help": "Denoising steps; the model was distilled for 4.",
            "flags": ("--sample-steps", "--sample_steps"),
        },
    )
    infer_frames: int = field(
        default=48,
        metadata={
            "help": "Frames of a clip, which a block attends to; a multiple of 12, 48 in training.",
            "flags": ("--infer-frames", "--infer_frames"),
        },
    )
    online_decode: bool = field(
        default=True,
        metadata={
            "help": "Replace the portrait by the first picture after the first clip, for steady colours.",
            "flags": ("--online-decode/--no-online-decode", "--enable_online_decode"),
        },
    )
    parity: bool = field(
        default=False,
        metadata={"help": "Compute what the public implementation does, defects included, for comparison."},
    )
    live: bool = True
    preset: PresetName = field(
        default="full",
        metadata={
            "help": "full; small, which has learned to draw the demo's portrait, on any CPU; "
            "or tiny: random weights."
        },
    )
    random_weights: bool = field(
        default=False,
        metadata={"help": "Full size without files: draws noise, for benchmarks."},
    )
    folder: Path | None = field(
        default=None,
        metadata={
            "help": "Folder of the checkpoints; the cache of `liveavatar weights fetch live-avatar` if not given. "
            "With the small preset: of small.safetensors of your own training.",
            "flags": ("--ckpt-dir", "--ckpt_dir"),
        },
    )
    memory: str = field(
        default="auto",
        metadata={
            "help": "Memory profile: auto, or the gigabytes of card to fit: "
            f"{', '.join(profile.name for profile in MEMORY_PROFILES)}."
        },
    )
    speed: SpeedOptions | str = field(
        default="auto", metadata={"help": f"One of {', '.join(SPEED_PRESETS)} (docs/dit.md)."}
    )
    device: str | None = None

    def __post_init__(self) -> None:
        if self.preset not in get_args(PresetName):
            raise OptionError(
                f"there is no preset {self.preset!r}", f"use one of: {', '.join(get_args(PresetName))}"
            )
        if not self.prompt.strip():
            raise OptionError("the prompt is empty", "describe the scene, or leave --prompt out")
        if self.parity and self.preset == "small":
            raise OptionError("the public implementation has no small preset", "leave --parity out")
        stream = self.to_stream_config()
        find_memory_profile(self.memory)
        if self.speed_options.wavefront and (self.live or stream.clip_blocks < stream.steps):
            raise OptionError(
                "the wavefront is for recordings, and clips of as many blocks as steps or more",
                "leave it out, or use live=False and --infer-frames 48",
            )

    @property
    def speed_options(self) -> SpeedOptions:
        """`speed`, resolved from a name. With `parity` it is always the exact one."""
        if self.parity:
            return EXACT_SPEED
        return find_speed_preset(self.speed) if isinstance(self.speed, str) else self.speed

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
        """Most pixels of a frame whose size follows the portrait."""
        return MAX_FRAME_PIXELS[self.preset]

    def to_stream_config(self) -> StreamConfig:
        """How latents are drawn.

        Raises:
            OptionError: `sample_steps` or `infer_frames` is out of range.
        """
        blocks = StreamConfig.count_clip_blocks(self.infer_frames)
        return StreamConfig(steps=self.sample_steps, clip_blocks=blocks)

    def to_workload(self) -> Workload:
        """What is drawn, at the default size."""
        return Workload(stream=self.to_stream_config(), wavefront=self.speed_options.wavefront)
