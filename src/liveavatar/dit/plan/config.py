"""What the transformer is made of, and how a stream is drawn with it. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from liveavatar.errors import OptionError, WeightsError

MODEL_FPS = 25
"""Pictures a second the model was trained at."""

PICTURES_PER_LATENT = 4
"""Pictures in one latent frame."""


def frame_to_picture(frame: int, fps: Fraction) -> int:
    """The picture, at 25 a second, that is shown at the middle of a frame's time."""
    return int((2 * frame + 1) * MODEL_FPS / (2 * fps))


@dataclass(frozen=True, kw_only=True, slots=True)
class DitConfig:
    """The shape of the network; the defaults are Wan2.2-S2V-14B.

    `inject` names the layers after which the audio is heard; `text_len` is the number of text tokens, short
    prompts being filled up with zeros, which are attended like any other.
    """

    dim: int = 5120
    heads: int = 40
    layers: int = 40
    ffn_dim: int = 13824
    freq_dim: int = 256
    text_dim: int = 4096
    text_len: int = 512
    channels: int = 16
    audio_dim: int = 1024
    audio_layers: int = 25
    audio_tokens: int = 4
    inject: tuple[int, ...] = (0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39)
    patch: int = 2
    eps: float = 1e-6

    def __post_init__(self) -> None:
        if self.dim % self.heads or self.head_dim % 2 or self.dim % 4:
            raise OptionError(
                f"{self.heads} heads do not divide {self.dim} channels evenly", "mend the config"
            )
        if any(not 0 <= layer < self.layers for layer in self.inject):
            raise OptionError(
                f"audio is injected after layers that are not there: {self.inject}", "mend the config"
            )

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.dim // self.heads

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> "DitConfig":
        """The shape written in a checkpoint's `config.json`.

        Raises:
            WeightsError: the checkpoint is of a kind this code does not compute.
        """
        for name, meant in _REQUIRED_VALUES.items():
            if name in values and values[name] != meant:
                raise WeightsError(
                    f"the checkpoint has {name} = {values[name]!r}, not {meant!r}", "use Wan2.2-S2V-14B"
                )
        shape = {ours: values[theirs] for theirs, ours in _CHECKPOINT_FIELDS.items() if theirs in values}
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in shape.items()})  # type: ignore[arg-type]


_CHECKPOINT_FIELDS = {
    "dim": "dim", "num_heads": "heads", "num_layers": "layers", "ffn_dim": "ffn_dim", "freq_dim": "freq_dim",
    "text_dim": "text_dim", "text_len": "text_len", "in_dim": "channels", "audio_dim": "audio_dim",
    "num_audio_token": "audio_tokens", "audio_inject_layers": "inject", "eps": "eps",
}  # fmt: skip
_REQUIRED_VALUES = {
    "enable_adain": True, "adain_mode": "attn_norm", "zero_timestep": True, "enable_motioner": False,
    "enable_framepack": True, "framepack_drop_mode": "padd", "cond_dim": 16,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamConfig:
    """How latents are drawn. A block is denoised at once; a clip is what a block can see of the past, and itself.

    `distance` is how many latent frames ahead of the block the portrait stands: one number, or a range from
    which the seed draws one for every block, as in training.
    """

    steps: int = 4
    shift: float = 3.0
    block_latents: int = 3
    clip_blocks: int = 4
    sink_distance: tuple[int, int] = (4, 30)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise OptionError(f"{self.steps} sample steps cannot make a picture", "use --sample-steps 4")
        if self.clip_blocks < 1 or self.block_latents < 1:
            raise OptionError("a clip needs at least one block", "use --infer-frames 48")
        if not 0 <= self.sink_distance[0] <= self.sink_distance[1] <= 30:
            raise OptionError(f"sink distance {self.sink_distance} is outside 0…30", "use 4, 30")

    @property
    def block_pictures(self) -> int:
        """Pictures in one block."""
        return PICTURES_PER_LATENT * self.block_latents

    @property
    def clip_latents(self) -> int:
        """Latent frames in one clip."""
        return self.block_latents * self.clip_blocks

    @staticmethod
    def count_clip_blocks(infer_frames: int) -> int:
        """Blocks in a clip of `infer_frames` pictures.

        Raises:
            OptionError: not a positive multiple of 12.
        """
        if infer_frames < 12 or infer_frames % 12:
            raise OptionError(f"--infer-frames {infer_frames} is not a multiple of 12", "use 48")
        return infer_frames // 12
