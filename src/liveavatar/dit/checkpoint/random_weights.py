"""Networks with random weights, without any file: for tests, examples and benchmarks."""

import math
import zlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from liveavatar.dit.checkpoint.load import Placement
from liveavatar.dit.codecs.audio_encoder import AudioEncoder, build_audio_network
from liveavatar.dit.codecs.text_encoder import MAX_PROMPT_TOKENS, TextEncoder, build_text_network
from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.plan.presets import ModelPreset


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoders:
    """The networks around the transformer; weights only."""

    vae: VAE
    text: TextEncoder
    audio: AudioEncoder


_CPU = Placement()


def build_random_encoders(
    preset: ModelPreset, *, seed: int, vae_placement: Placement = _CPU, text_placement: Placement = _CPU,
    audio_placement: Placement = _CPU,
) -> Encoders:  # fmt: skip
    """Encoders of a preset's sizes whose output means nothing. Text is tokenised by bytes."""
    with torch.device("meta"):
        vae = VAE(preset.vae)
        text = build_text_network(preset.text)
        audio = build_audio_network(preset.audio.to_wav2vec2())
    placed = [(vae, vae_placement), (text, text_placement), (audio, audio_placement)]
    for offset, (network, placement) in enumerate(placed):
        randomise_weights(network, seed=seed + offset, placement=placement)
    return Encoders(vae=vae, text=TextEncoder(text, tokenise_bytes), audio=AudioEncoder(audio))


@torch.no_grad()
def randomise_weights(network: nn.Module, *, seed: int, placement: Placement, prefix: str = "") -> None:
    """Allocate a network that was built on the meta device, with random weights that keep the variance of signals.

    Weights of norms are near 1 and biases near 0; all others have the variance 1 / fan-in. Each tensor depends on
    the seed and its full name (`prefix` and name) alone: a network drawn part by part equals one drawn at once.
    """
    network.to(placement.dtype).to_empty(device=placement.device)
    for name, weight in network.state_dict().items():
        tensor_seed = zlib.crc32(f"{seed} {prefix}{name}".encode())
        _draw_weight(name, weight, torch.Generator(placement.device).manual_seed(tensor_seed))
    network.requires_grad_(False).eval()


def _draw_weight(name: str, weight: Tensor, generator: torch.Generator) -> None:
    if name.endswith("bias"):
        weight.normal_(0, 0.05, generator=generator)
    elif weight.ndim == 1 or name.endswith("gamma"):
        weight.normal_(1, 0.1, generator=generator)
    else:
        weight.normal_(0, 1 / math.sqrt(weight[0].numel()), generator=generator)


def tokenise_bytes(text: str) -> list[int]:
    """Tokens without a tokenizer's file: the bytes of the text plus 3, and 1 at the end."""
    return [byte + 3 for byte in text.encode()[: MAX_PROMPT_TOKENS - 1]] + [1]
