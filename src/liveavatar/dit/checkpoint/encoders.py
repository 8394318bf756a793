"""The three networks around the transformer, from a checkpoint or with random weights."""

import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from liveavatar.dit.checkpoint import load
from liveavatar.dit.codecs import audio_encoder, text_encoder
from liveavatar.dit.codecs.audio_encoder import AudioEncoder
from liveavatar.dit.codecs.text_encoder import TextEncoder
from liveavatar.dit.codecs.vae import VAE, VAEConfig
from liveavatar.dit.plan.presets import FULL_PRESET, ModelPreset

AUDIO_FOLDER = "wav2vec2-large-xlsr-53-english"


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a network lives, and in which numbers."""

    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoders:
    """What turns pictures, prompts and speech into what the transformer takes; holds weights only."""

    vae: VAE
    text: TextEncoder
    audio: AudioEncoder


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderPlacements:
    """Where each part lives. The text encoder is large and needed once a prompt: by default it stays off the GPU."""

    vae: Placement = Placement()
    text: Placement = Placement(dtype=torch.bfloat16)
    audio: Placement = Placement()


def open_encoders(
    folder: Path,
    placements: EncoderPlacements,
    preset: ModelPreset = FULL_PRESET,
    *,
    audio_folder: Path | None = None,
) -> Encoders:
    """The parts of a folder laid out like Wan2.2-S2V-14B; `audio_folder` holds another audio encoder.

    Raises:
        WeightsError: something is missing, damaged, or does not fit.
    """
    heard = audio_folder or folder / AUDIO_FOLDER
    text, audio = placements.text, placements.audio
    return Encoders(
        vae=open_vae(folder, placements.vae, preset.vae),
        text=text_encoder.open_text_encoder(folder, preset.text, dtype=text.dtype, device=text.device),
        audio=audio_encoder.open_audio_encoder(heard, dtype=audio.dtype, device=audio.device),
    )


def open_vae(folder: Path, placement: Placement, config: VAEConfig = FULL_PRESET.vae) -> VAE:
    """The autoencoder in such a folder.

    Raises:
        WeightsError: it is missing, damaged, or does not fit.
    """
    with torch.device("meta"):
        vae = VAE(config)
    load.load_checkpoint(vae, [folder / "Wan2.1_VAE.pth"], dtype=placement.dtype, device=placement.device)
    return vae


def build_random_encoders(
    preset: ModelPreset, *, seed: int, placements: EncoderPlacements | None = None
) -> Encoders:
    """Parts that compute nothing sensible, without any file: for tests, examples and benchmarks."""
    placements = placements or EncoderPlacements(text=Placement())
    with torch.device("meta"):
        vae = VAE(preset.vae)
        text = text_encoder.build_text_network(preset.text)
        audio = audio_encoder.build_audio_network(preset.audio.to_wav2vec2())
    for offset, (network, place) in enumerate(
        [(vae, placements.vae), (text, placements.text), (audio, placements.audio)]
    ):
        randomise_weights(network, seed=seed + offset, placement=place)
    return Encoders(vae=vae, text=TextEncoder(text, tokenise_bytes), audio=AudioEncoder(audio))


@torch.no_grad()
def randomise_weights(network: nn.Module, *, seed: int, placement: Placement, prefix: str = "") -> None:
    """Give a network that was built on the meta device memory and random weights, which keep signals at their size.

    Weights of norms are near 1 and biases near 0; anything else has the variance 1 / fan-in. Each depends on its
    name alone, `prefix` included, so that a network drawn part by part is the one drawn at once.
    """
    network.to(placement.dtype).to_empty(device=placement.device)
    for name, weight in network.state_dict().items():
        own = zlib.crc32(f"{seed} {prefix}{name}".encode())
        _draw_weight(name, weight, torch.Generator(placement.device).manual_seed(own))
    network.requires_grad_(False).eval()


def _draw_weight(name: str, weight: Tensor, generator: torch.Generator) -> None:
    if name.endswith("bias"):
        weight.normal_(0, 0.05, generator=generator)
    elif weight.ndim == 1 or name.endswith("gamma"):
        weight.normal_(1, 0.1, generator=generator)
    else:
        weight.normal_(0, 1 / math.sqrt(weight[0].numel()), generator=generator)


def tokenise_bytes(text: str) -> list[int]:
    """Tokens without a tokenizer's file: the bytes of the text, from 3 on, and 1 at the end."""
    return [byte + 3 for byte in text.encode()[: text_encoder.MAX_PROMPT_TOKENS - 1]] + [1]
