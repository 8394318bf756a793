"""Two sizes of the whole model: the real one, and one of a few megabytes that runs its whole path on a CPU."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from liveavatar.dit.codecs.text_encoder import TextEncoderConfig
from liveavatar.dit.codecs.vae import VAEConfig
from liveavatar.dit.plan.config import DitConfig
from liveavatar.errors import OptionError

if TYPE_CHECKING:
    from transformers import Wav2Vec2Config


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioEncoderConfig:
    """Sizes of a wav2vec 2.0 with a norm in every convolution; the defaults are those of the large one."""

    width: int = 1024
    layers: int = 24
    heads: int = 16
    hidden: int = 4096
    convolution_width: int = 512
    position_kernel: int = 128
    position_groups: int = 16

    def to_wav2vec2(self) -> "Wav2Vec2Config":
        """The same in the words of transformers."""
        from transformers import Wav2Vec2Config

        return Wav2Vec2Config(
            hidden_size=self.width, num_hidden_layers=self.layers, num_attention_heads=self.heads,
            intermediate_size=self.hidden, conv_dim=[self.convolution_width] * 7, conv_bias=True,
            feat_extract_norm="layer", do_stable_layer_norm=True,
            num_conv_pos_embeddings=self.position_kernel, num_conv_pos_embedding_groups=self.position_groups,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPreset:
    """Sizes of all four networks, which must agree where they meet."""

    dit: DitConfig
    vae: VAEConfig
    text: TextEncoderConfig
    audio: AudioEncoderConfig

    def __post_init__(self) -> None:
        meetings = [
            (self.dit.channels, self.vae.latent_channels),
            (self.dit.text_dim, self.text.width),
            (self.dit.audio_dim, self.audio.width),
            (self.dit.audio_layers, self.audio.layers + 1),
        ]
        if any(ours != theirs for ours, theirs in meetings):
            raise OptionError("the networks of the preset do not fit together", "mend the preset")


FULL_PRESET = ModelPreset(
    dit=DitConfig(), vae=VAEConfig(), text=TextEncoderConfig(), audio=AudioEncoderConfig()
)
"""Live Avatar: 16.3 billion parameters, and 5.7 in the text encoder."""

TINY_PRESET = ModelPreset(
    dit=DitConfig(
        dim=96, heads=4, layers=4, ffn_dim=256, freq_dim=32, text_dim=32, text_len=64,
        audio_dim=32, audio_layers=4, inject=(0, 2),
    ),
    vae=VAEConfig(width=6),
    text=TextEncoderConfig(vocabulary=260, width=32, head_width=8, heads=4, hidden=64, layers=2),
    audio=AudioEncoderConfig(
        width=32, layers=3, heads=4, hidden=64, convolution_width=16, position_kernel=16, position_groups=4
    ),
)  # fmt: skip
"""Random weights that fit the whole path: for tests and examples."""

MODEL_PRESETS = {"full": FULL_PRESET, "tiny": TINY_PRESET}
