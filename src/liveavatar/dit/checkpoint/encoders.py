"""The three networks around the transformer, from the official checkpoint folders: autoencoder, text, audio."""

import json
import re
from pathlib import Path

import torch

from liveavatar.dit.checkpoint.load import Placement, load_checkpoint, require_file
from liveavatar.dit.codecs.audio_encoder import MODEL_TYPES, AudioEncoder, build_audio_network
from liveavatar.dit.codecs.text_encoder import MAX_PROMPT_TOKENS, TextEncoder, Tokenize, build_text_network
from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.plan.config import TextEncoderConfig, VAEConfig
from liveavatar.errors import WeightsError

AUDIO_FOLDER = "wav2vec2-large-xlsr-53-english"
"""Folder of the audio encoder inside Wan2.2-S2V-14B."""

_REMEDY = "run: liveavatar weights fetch live-avatar"


def open_vae(folder: Path, placement: Placement, config: VAEConfig | None = None) -> VAE:
    """The autoencoder of a folder laid out like Wan2.2-S2V-14B; Wan2.1's sizes unless `config` is given.

    Raises:
        WeightsError: it is missing, damaged, or does not fit.
    """
    with torch.device("meta"):
        vae = VAE(config or VAEConfig())
    load_checkpoint(vae, [folder / "Wan2.1_VAE.pth"], dtype=placement.dtype, device=placement.device)
    return vae


def open_text_encoder(
    folder: Path,
    config: TextEncoderConfig | None = None,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
) -> TextEncoder:
    """The text encoder of a Wan checkpoint folder; UMT5-XXL's sizes unless `config` is given.

    Raises:
        WeightsError: the network's file or the tokenizer's folder is missing or damaged.
    """
    with torch.device("meta"):
        network = build_text_network(config or TextEncoderConfig())
    file = folder / "models_t5_umt5-xxl-enc-bf16.pth"
    load_checkpoint(network, [file], rename=map_text_key, dtype=dtype, device=device)
    return TextEncoder(network, open_tokenizer(folder / "google" / "umt5-xxl"))


def open_tokenizer(folder: Path) -> Tokenize:
    """The tokenizer in a checkpoint folder; texts are cut after 512 tokens.

    Raises:
        WeightsError: there is none.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder} holds no tokenizer", _REMEDY) from error

    def tokenize_prompt(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, truncation=True, max_length=MAX_PROMPT_TOKENS)["input_ids"]
        return ids

    return tokenize_prompt


_TEXT_LAYER_KEYS = {
    "norm1": "layer.0.layer_norm",
    "attn.q": "layer.0.SelfAttention.q",
    "attn.k": "layer.0.SelfAttention.k",
    "attn.v": "layer.0.SelfAttention.v",
    "attn.o": "layer.0.SelfAttention.o",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "norm2": "layer.1.layer_norm",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
}


def map_text_key(key: str) -> str:
    """The name in `transformers` of a tensor of the official file; an unknown name stays, to be reported."""
    if match := re.fullmatch(r"blocks\.(\d+)\.(.+)\.weight", key):
        part = _TEXT_LAYER_KEYS.get(match[2])
        return f"block.{match[1]}.{part}.weight" if part else key
    return {"token_embedding.weight": "embed_tokens.weight", "norm.weight": "final_layer_norm.weight"}.get(
        key, key
    )


def open_audio_encoder(
    folder: Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> AudioEncoder:
    """The encoder in a checkpoint folder: `config.json`, `preprocessor_config.json` if any, and the weights.

    Raises:
        WeightsError: something is missing, damaged, or of another family.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder} holds no audio encoder", _REMEDY) from error
    with torch.device("meta"):
        network = build_audio_network(config)
    load_checkpoint(network, [_find_audio_weights(folder)], rename=map_audio_key, dtype=dtype, device=device)
    return AudioEncoder(network, needs_normalisation=_needs_normalisation(folder))


def _find_audio_weights(folder: Path) -> Path:
    safetensors = folder / "model.safetensors"
    return safetensors if safetensors.is_file() else require_file(folder / "pytorch_model.bin")


def _needs_normalisation(folder: Path) -> bool:
    path = folder / "preprocessor_config.json"
    return not path.is_file() or bool(json.loads(path.read_text(encoding="utf-8")).get("do_normalize", True))


_UNUSED_AUDIO_PREFIXES = (
    "lm_head",
    "quantizer",
    "project_q",
    "project_hid",
    "dropout_features",
    "masked_spec_embed",
    "label_embs",
)
"""Tensors that only training and transcription need."""


def map_audio_key(key: str) -> str | None:
    """The name in `transformers` of a tensor of a checkpoint; None for what only training and transcription need."""
    for prefix in MODEL_TYPES:
        key = key.removeprefix(f"{prefix}.")
    if key.startswith(_UNUSED_AUDIO_PREFIXES):
        return None
    for old, new in (
        ("weight_g", "parametrizations.weight.original0"),
        ("weight_v", "parametrizations.weight.original1"),
    ):
        key = key.replace(f"pos_conv_embed.conv.{old}", f"pos_conv_embed.conv.{new}")
    return key
