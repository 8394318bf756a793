# ruff: noqa: N806  (names carry their shape, by the legend below)
"""Audio features: every hidden state of a wav2vec2, HuBERT or WavLM encoder, 50 steps a second.

Shapes: L layers (the states before the first layer and after each one), T steps, C channels. The networks are those
of the transformers library. Sources: wav2vec 2.0 (arXiv 2006.11477), HuBERT (2106.07447), WavLM (2110.13900).
"""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from liveavatar.dit.codecs.clock import WAV2VEC2_CLOCK
from liveavatar.errors import OptionError, WeightsError
from liveavatar.frames import Samples

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm")
"""`model_type` in a checkpoint's `config.json`."""


class AudioEncoder:
    """Encodes speech; holds weights only, so that sessions can share it."""

    def __init__(self, network: nn.Module, *, needs_normalisation: bool = True) -> None:
        self.network = network
        self.needs_normalisation = needs_normalisation

    def __call__(self, samples: Samples) -> Tensor:
        """All hidden states [L, T, C], float32, of complete speech at 16 kHz.

        Raises:
            OptionError: fewer than 400 samples, which is less than one step.
        """
        waveform = _check_length(np.asarray(samples, np.float32))
        if self.needs_normalisation:
            waveform = SpeechLevel.from_samples(waveform).normalise_samples(waveform)
        return self.encode_normalised(waveform)

    @torch.no_grad()
    def encode_normalised(self, waveform: Samples) -> Tensor:
        """All hidden states [L, T, C] of a waveform that is normalised already."""
        first = next(self.network.parameters())
        batch = torch.from_numpy(_check_length(waveform)).to(first)[None]
        output = self.network(batch, output_hidden_states=True)
        # the last state follows the final norm, as in training; transformers 5 has it in `last_hidden_state` alone
        states_LTC = torch.cat([*output.hidden_states[:-1], output.last_hidden_state])
        return states_LTC.float()


def _check_length(waveform: Samples) -> Samples:
    if len(waveform) < WAV2VEC2_CLOCK.field:
        raise OptionError(f"{len(waveform)} samples are less than one step of speech", "give at least 25 ms")
    return waveform


@dataclass(frozen=True, slots=True)
class SpeechLevel:
    """Mean and mean square of so many samples; speech is normalised by them."""

    mean: float
    mean_square: float
    sample_count: int

    @classmethod
    def from_samples(cls, samples: Samples) -> "SpeechLevel":
        """The level of `samples`."""
        return cls(
            float(samples.mean(dtype=np.float64)),
            float(np.square(samples, dtype=np.float64).mean()),
            len(samples),
        )

    def with_samples(self, samples: Samples) -> "SpeechLevel":
        """The level of the samples so far and `samples` together."""
        if not len(samples):
            return self
        other, count = SpeechLevel.from_samples(samples), self.sample_count + len(samples)
        share = len(samples) / count
        return SpeechLevel(
            self.mean + (other.mean - self.mean) * share,
            self.mean_square + (other.mean_square - self.mean_square) * share,
            count,
        )

    def normalise_samples(self, samples: Samples) -> Samples:
        """`samples` with mean 0 and variance 1."""
        variance = max(0.0, self.mean_square - self.mean**2)
        normalised: NDArray[np.float32] = ((samples - self.mean) / np.sqrt(variance + 1e-7)).astype(
            np.float32
        )
        return normalised


def build_audio_network(config: "PreTrainedConfig") -> nn.Module:
    """The network without the parts that only training needs; takes no memory under `torch.device("meta")`.

    Raises:
        WeightsError: the model is not of the wav2vec2 family, or its step is not 320 samples out of 400.
    """
    from transformers import AutoModel

    if config.model_type not in MODEL_TYPES:
        raise WeightsError(
            f"a {config.model_type} model is no audio encoder", f"use one of: {', '.join(MODEL_TYPES)}"
        )
    _check_step_rate(config)
    config.apply_spec_augment = False
    network: nn.Module = AutoModel.from_config(config).eval()  # type: ignore[no-untyped-call]
    if hasattr(network, "masked_spec_embed"):
        del network.masked_spec_embed
    return network


def _check_step_rate(config: "PreTrainedConfig") -> None:
    kernels, strides = config.conv_kernel, config.conv_stride
    field = 1 + sum((kernel - 1) * prod(strides[:index]) for index, kernel in enumerate(kernels))
    if (prod(strides), field) != (WAV2VEC2_CLOCK.stride, WAV2VEC2_CLOCK.field):
        raise WeightsError(
            f"the audio encoder makes a step every {prod(strides)} samples out of {field}, not 320 out of 400",
            "use a checkpoint with 50 steps a second",
        )
