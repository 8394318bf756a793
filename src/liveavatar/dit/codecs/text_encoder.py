"""The prompt as the transformer sees it: UMT5-XXL's encoder over the cleaned text.

The network is the one in transformers; the checkpoint `models_t5_umt5-xxl-enc-bf16.pth` names its tensors in
another way, which `module_key` translates. A prompt is encoded at its own length: padding would be masked out and
change nothing. Source: UMT5 (arXiv 2304.09151).
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from liveavatar.dit.checkpoint import load
from liveavatar.errors import WeightsError

if TYPE_CHECKING:
    from transformers import UMT5Config

MAX_PROMPT_TOKENS = 512

Tokenize = Callable[[str], list[int]]
"""Text to token numbers, with the end-of-text token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextEncoderConfig:
    """Sizes of the encoder; the defaults are UMT5-XXL."""

    vocabulary: int = 256_384
    width: int = 4096
    head_width: int = 64
    heads: int = 64
    hidden: int = 10_240
    layers: int = 24

    def to_umt5(self) -> "UMT5Config":
        """The same in the words of transformers."""
        from transformers import UMT5Config

        return UMT5Config(
            vocab_size=self.vocabulary, d_model=self.width, d_kv=self.head_width, num_heads=self.heads,
            d_ff=self.hidden, num_layers=self.layers, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        )  # fmt: skip


class TextEncoder:
    """Encodes prompts; `network` and `tokenize` may be shared by any number of sessions."""

    def __init__(self, network: nn.Module, tokenize: Tokenize) -> None:
        self.network = network
        self._tokenize = tokenize

    @torch.no_grad()
    def encode(self, prompt: str) -> Tensor:
        """One vector a token, [L, width], with 1 ≤ L ≤ 512, on the network's device and in its dtype."""
        tokens = self._tokenize(clean_prompt(prompt))
        ids = torch.tensor([tokens], device=next(self.network.parameters()).device)
        vectors: Tensor = self.network(input_ids=ids).last_hidden_state[0]
        return vectors


def build_text_network(config: TextEncoderConfig) -> nn.Module:
    """The network alone; under `torch.device("meta")` it takes no memory."""
    from transformers import UMT5EncoderModel

    encoder: nn.Module = UMT5EncoderModel(config.to_umt5()).encoder
    return encoder.eval()


def open_text_encoder(
    folder: Path,
    config: TextEncoderConfig | None = None,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
) -> TextEncoder:
    """The encoder of a Wan checkpoint folder, UMT5-XXL unless `config` says otherwise.

    Raises:
        WeightsError: the network's file or the tokenizer's folder is missing or damaged.
    """
    with torch.device("meta"):
        network = build_text_network(config or TextEncoderConfig())
    file = folder / "models_t5_umt5-xxl-enc-bf16.pth"
    load.load_checkpoint(network, [file], rename=map_text_key, dtype=dtype, device=device)
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
        raise WeightsError(
            f"{folder} holds no tokenizer", "run: liveavatar weights fetch live-avatar"
        ) from error

    def tokenize_prompt(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, truncation=True, max_length=MAX_PROMPT_TOKENS)["input_ids"]
        return ids

    return tokenize_prompt


def clean_prompt(text: str) -> str:
    """The prompt without mis-decoded characters, HTML entities (twice encoded ones too) and runs of blanks."""
    import ftfy

    unescaped = html.unescape(html.unescape(ftfy.fix_text(text)))
    return re.sub(r"\s+", " ", unescaped).strip()


_LAYER_KEYS = {
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
    """The network's name for a tensor of the checkpoint; an unknown name stays as it is, to be reported."""
    if match := re.fullmatch(r"blocks\.(\d+)\.(.+)\.weight", key):
        part = _LAYER_KEYS.get(match[2])
        return f"block.{match[1]}.{part}.weight" if part else key
    return {"token_embedding.weight": "embed_tokens.weight", "norm.weight": "final_layer_norm.weight"}.get(
        key, key
    )
