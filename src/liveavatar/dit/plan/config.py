"""Sizes of the networks, and how a stream of latents is drawn. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from liveavatar.errors import OptionError, WeightsError
from liveavatar.timeline import Timeline

if TYPE_CHECKING:
    from transformers import UMT5Config, Wav2Vec2Config

MODEL_FPS = Fraction(25)
"""Pictures a second that the model was trained at. "Picture" is the model's frame, "frame" the output video's."""

MODEL_TIMELINE = Timeline(fps=MODEL_FPS)
"""Pictures of the model on the clock of the sound."""

PICTURES_PER_LATENT = 4
"""Pictures in one latent frame: the temporal compression of Wan2.1's autoencoder."""

LATENT_CHANNELS = 16
"""Channels of Wan2.1's latent, whose statistics `codecs.vae` knows."""

SKIPPED_PICTURES = 3
"""Pictures at the start of a stream that the public reference leaves out: they still show some of the portrait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DitConfig:
    """Sizes of the transformer; the defaults are Wan2.2-S2V-14B.

    `inject` lists the layers after which audio is injected. `text_len` is the number of text tokens: a shorter prompt
    is padded with zeros, which attention does not mask.
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
                f"{self.heads} heads do not divide {self.dim} channels evenly", "correct the DitConfig"
            )
        if any(not 0 <= layer < self.layers for layer in self.inject):
            raise OptionError(
                f"audio is injected after layers that are not there: {self.inject}", "correct the DitConfig"
            )

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.dim // self.heads

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> "DitConfig":
        """The sizes in a checkpoint's `config.json`.

        Raises:
            WeightsError: the checkpoint needs a variant that is not implemented.
        """
        for name, required in _REQUIRED_VALUES.items():
            if name in values and values[name] != required:
                raise WeightsError(
                    f"the checkpoint has {name} = {values[name]!r}, not {required!r}", "use Wan2.2-S2V-14B"
                )
        sizes = {ours: values[theirs] for theirs, ours in _CHECKPOINT_FIELDS.items() if theirs in values}
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in sizes.items()})  # type: ignore[arg-type]


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
class VAEConfig:
    """Sizes of the video autoencoder; the defaults are Wan2.1's. `multipliers` has one entry a stage.

    Each step between two stages halves height and width, and the length where `halves_time` says so.
    """

    width: int = 96
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    halves_time: tuple[bool, ...] = (False, True, True)
    blocks_per_stage: int = 2
    latent_channels: int = LATENT_CHANNELS

    def __post_init__(self) -> None:
        if len(self.halves_time) != len(self.multipliers) - 1:
            raise OptionError(
                "halves_time needs one entry for each step between stages", "correct the VAEConfig"
            )
        if self.latent_channels != LATENT_CHANNELS:
            raise OptionError("the statistics are of 16 latent channels", "set latent_channels=16")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedConfig:
    """Sizes of the autoencoder of one head: pictures of `grid` x `grid` places of 8x8 pixels."""

    grid: int = 16
    latent_channels: int = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class TextEncoderConfig:
    """Sizes of the text encoder; the defaults are UMT5-XXL."""

    vocabulary: int = 256_384
    width: int = 4096
    head_width: int = 64
    heads: int = 64
    hidden: int = 10_240
    layers: int = 24

    def to_umt5(self) -> "UMT5Config":
        """The configuration of `transformers`."""
        from transformers import UMT5Config

        return UMT5Config(
            vocab_size=self.vocabulary, d_model=self.width, d_kv=self.head_width, num_heads=self.heads,
            d_ff=self.hidden, num_layers=self.layers, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioEncoderConfig:
    """Sizes of a wav2vec 2.0 with layer norm in every convolution; the defaults are wav2vec2-large."""

    width: int = 1024
    layers: int = 24
    heads: int = 16
    hidden: int = 4096
    convolution_width: int = 512
    position_kernel: int = 128
    position_groups: int = 16

    def to_wav2vec2(self) -> "Wav2Vec2Config":
        """The configuration of `transformers`."""
        from transformers import Wav2Vec2Config

        return Wav2Vec2Config(
            hidden_size=self.width, num_hidden_layers=self.layers, num_attention_heads=self.heads,
            intermediate_size=self.hidden, conv_dim=[self.convolution_width] * 7, conv_bias=True,
            feat_extract_norm="layer", do_stable_layer_norm=True,
            num_conv_pos_embeddings=self.position_kernel, num_conv_pos_embedding_groups=self.position_groups,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamConfig:
    """How latents are drawn: block by block, each in `steps` denoising steps with flow `shift`.

    A clip is a block and the blocks before it that it attends to, `clip_blocks` in all. `sink_distance` is how many
    latent frames after the block the portrait stands in the rotary positions: a range from which the seed draws one
    number for every block, as in training.
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
