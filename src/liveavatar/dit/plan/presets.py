"""Sizes of the whole model: the real one, a tiny one with random weights, and a small one with weights of our own."""

from dataclasses import dataclass

from liveavatar.dit.plan.config import (
    AudioEncoderConfig,
    DitConfig,
    PlacedConfig,
    TextEncoderConfig,
    VAEConfig,
)
from liveavatar.errors import OptionError


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPreset:
    """Sizes of all four networks, which must agree where they meet."""

    dit: DitConfig
    vae: VAEConfig
    text: TextEncoderConfig
    audio: AudioEncoderConfig

    def __post_init__(self) -> None:
        interfaces = [
            (self.dit.channels, self.vae.latent_channels),
            (self.dit.text_dim, self.text.width),
            (self.dit.audio_dim, self.audio.width),
            (self.dit.audio_layers, self.audio.layers + 1),
        ]
        if any(inputs != outputs for inputs, outputs in interfaces):
            raise OptionError("the networks of the preset do not fit together", "correct the ModelPreset")


FULL_PRESET = ModelPreset(
    dit=DitConfig(), vae=VAEConfig(), text=TextEncoderConfig(), audio=AudioEncoderConfig()
)
"""Live Avatar: 16.3 billion parameters, and 5.7 billion in the text encoder."""

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
"""Sizes for tests and examples, with random weights."""

SMALL_TRANSFORMER = DitConfig(
    dim=256, heads=4, layers=4, ffn_dim=1024, freq_dim=64, text_dim=8, text_len=1,
    channels=8, audio_dim=96, audio_layers=1, inject=(0, 1, 2, 3), patch=4,
)  # fmt: skip
"""The transformer whose weights ship with the package: 9 million parameters, for pictures of one face of 128x128."""

SMALL_AUTOENCODER = PlacedConfig(grid=16, latent_channels=8)

MODEL_PRESETS = {"full": FULL_PRESET, "tiny": TINY_PRESET}

TRANSFORMER_CONFIGS = {"full": FULL_PRESET.dit, "tiny": TINY_PRESET.dit, "small": SMALL_TRANSFORMER}
