"""Text features: UMT5-XXL's encoder over the cleaned prompt.

The network is that of the transformers library; `checkpoint.encoders` maps the tensor names of
`models_t5_umt5-xxl-enc-bf16.pth`. A prompt is encoded at its own length: padding would be masked out and change
nothing. Source: UMT5 (arXiv 2304.09151).
"""

import html
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from liveavatar.dit.plan.config import TextEncoderConfig

MAX_PROMPT_TOKENS = 512
"""Longer prompts are truncated, as in Wan2.2."""

Tokenize = Callable[[str], list[int]]
"""Text to token numbers, ending with the end-of-text token."""


class TextEncoder:
    """Encodes prompts; sessions can share it."""

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
    """The network; takes no memory under `torch.device("meta")`."""
    from transformers import UMT5EncoderModel

    encoder: nn.Module = UMT5EncoderModel(config.to_umt5()).encoder
    return encoder.eval()


def clean_prompt(text: str) -> str:
    """The prompt without mis-decoded characters, HTML entities (even encoded twice) and repeated blanks."""
    import ftfy

    unescaped = html.unescape(html.unescape(ftfy.fix_text(text)))
    return re.sub(r"\s+", " ", unescaped).strip()
