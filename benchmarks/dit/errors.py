# ruff: noqa: N803, N806  (names carry their shape: B batch, N queries, S keys, H heads, D channels of a head)
"""The error of each saving of the engine `dit`, in a model as deep as the 14B and a tenth as wide.

    python -m benchmarks.dit.errors [--blocks 5] [--sharp 1 3] [--layers 40] [--side 128] [-o out/dit_errors.md]

Latents and pictures of the same noise, portrait and sound, drawn in float32 and with one saving each. Weights are
random. A random model attends to everything alike, which favours rounding. So keys and queries are also scaled up until
the logits spread as far as in trained models (`--sharp`, the standard deviation of the softmax's input). No GPU needed,
about a minute of one core a figure.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch
from benchmarks.dit.speed import psnr
from torch import Tensor, nn

from liveavatar.dit.checkpoint.load import Placement
from liveavatar.dit.checkpoint.random_weights import randomise_weights
from liveavatar.dit.codecs.vae import VAE, StreamingDecoder
from liveavatar.dit.loader import make_random_filler
from liveavatar.dit.model.layers import SelfAttention, TransformerBlock
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.performance.assembly import TransformerLayout, assemble_transformer
from liveavatar.dit.performance.compile import make_cache_factory
from liveavatar.dit.performance.kernels import quantise_queries
from liveavatar.dit.performance.quantise import WeightFormat
from liveavatar.dit.plan.config import DitConfig, StreamConfig, VAEConfig
from liveavatar.dit.plan.speed import EXACT_SPEED, SpeedOptions
from liveavatar.dit.streaming.conditioning import Conditioning
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.kv_ops import FP8_DTYPE, KVOps, fp8_to_values, values_to_fp8
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.video import STILL_PAST_PICTURES, WARM_UP_LATENTS
from liveavatar.dit.streaming.wavefront import WavefrontStream

CONFIG = DitConfig(dim=512, heads=4, ffn_dim=1408, text_dim=64, text_len=64, audio_dim=64, audio_layers=5)
"""40 layers, heads of 128 channels, audio injected after the same layers as in the 14B."""

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Saving:
    """One way to save, by its name in the table."""

    name: str
    kind: WeightFormat = "bf16"  # the type of the model
    dtype: torch.dtype = torch.float32
    speed: SpeedOptions = EXACT_SPEED
    make_cache: MakeKVCache | None = None


def fp8_attention(q_BNHD: Tensor, k: Tensor, v: Tensor, k_scale: Tensor, v_scale: Tensor) -> Tensor:
    """FlashAttention 3 in FP8: queries and the softmax's exponentials are rounded, sums are not."""
    stored, scale = quantise_queries(q_BNHD)
    quantised = (stored, scale), (k, k_scale), (v, v_scale)
    q_BHND, k_BHSD, v_BHSD = (
        fp8_to_values(part, by, torch.float32).transpose(1, 2) for part, by in quantised
    )
    logits = q_BHND @ k_BHSD.transpose(2, 3) * q_BHND.shape[-1] ** -0.5
    weights = (logits - logits.amax(-1, keepdim=True)).exp()
    attended: Tensor = (
        values_to_fp8(weights, weights.new_ones(1)).float() @ v_BHSD / weights.sum(-1, keepdim=True)
    )
    return attended.transpose(1, 2).to(q_BNHD.dtype)


make_fp8_cache = partial(RingKVCache, storage_dtype=FP8_DTYPE, ops=KVOps(attend_fp8=fp8_attention))
"""A cache in FP8, attended to in FP8."""


EXACT_SAVING = Saving(name="float32")
SAVINGS = (
    Saving(name="bfloat16 itself", dtype=torch.bfloat16),
    Saving(name="FP8 weights", kind="fp8"),
    Saving(name="int8 weights", kind="int8"),
    Saving(name="FP8 rings", speed=replace(EXACT_SPEED, kv="fp8")),
    Saving(name="FP8 weights and rings", kind="fp8", speed=replace(EXACT_SPEED, kv="fp8")),
    Saving(name="int8 weights, FP8 rings", kind="int8", speed=replace(EXACT_SPEED, kv="fp8")),
    Saving(name="FP8 attention", make_cache=make_fp8_cache),
    Saving(name="FP8 weights, rings, attention", kind="fp8", make_cache=make_fp8_cache),
    Saving(name="wavefront", speed=replace(EXACT_SPEED, wavefront=True)),
)


@dataclass(frozen=True, kw_only=True)
class BlockOutputs:
    """Latents and pictures of all blocks."""

    latents: Tensor
    pictures: Tensor


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Sharpness and depth of the model, number of blocks, side of the square pictures."""

    sharp: float = 1
    layers: int = CONFIG.layers
    blocks: int = 5
    side: int = 128

    @property
    def config(self) -> DitConfig:
        """Sizes of the transformer."""
        inject = tuple(layer for layer in CONFIG.inject if layer < self.layers)
        return replace(CONFIG, layers=self.layers, inject=inject)


def build_model(saving: Saving, trial: Trial) -> DiT:
    """The transformer with this saving; the same weights for all."""
    fill_part = make_random_filler(Placement(dtype=saving.dtype))

    def sharpen(name: str, part: nn.Module) -> None:
        fill_part(name, part)
        if isinstance(part, TransformerBlock):
            scale_norms(part.self_attn, trial.sharp**0.5)

    with torch.device("meta"):
        dit = DiT(trial.config)
    return assemble_transformer(dit, sharpen, TransformerLayout(device=CPU, weight_format=saving.kind))


def scale_norms(attention: SelfAttention, times: float) -> None:
    """Scale queries and keys up."""
    for norm in (attention.norm_q, attention.norm_k):
        norm.weight.data.mul_(times)


@cache
@torch.no_grad()
def encode_noise_portrait(side: int) -> tuple[Tensor, StreamingDecoder]:
    """The still past of a portrait of noise, and a decoder after it, both in float32; the same for all."""
    with torch.device("meta"):
        vae = VAE(VAEConfig(width=12))
    randomise_weights(vae, seed=1, placement=Placement())
    portrait = torch.rand(1, 3, 1, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    past = vae.encode(portrait.expand(-1, -1, STILL_PAST_PICTURES, -1, -1))
    decoder = StreamingDecoder(vae)
    decoder.push(past[:, :, :WARM_UP_LATENTS])
    return past, decoder


@torch.no_grad()
def render_blocks(saving: Saving, trial: Trial) -> BlockOutputs:
    """Draw the blocks with this saving."""
    dit, (past, decoder) = build_model(saving, trial), encode_noise_portrait(trial.side)
    generator = torch.Generator().manual_seed(2)
    text = dit.project_text(torch.randn(20, CONFIG.text_dim, generator=generator))
    features = torch.randn(trial.blocks, 1, CONFIG.audio_layers, CONFIG.audio_dim, 12, generator=generator)
    sink = dit.compute_sink(past[:, :, :1], past, text)
    conditioning = Conditioning(text=text, sink=sink, height=past.shape[-2], width=past.shape[-1])
    make_cache = saving.make_cache or make_cache_factory(saving.speed)
    latents = list(choose_renderer(saving)(dit, conditioning, make_cache, features))
    decoder = decoder.fork()
    pictures = [decoder.push(latent.float()) for latent in latents]
    return BlockOutputs(latents=torch.cat(latents, 2).float(), pictures=torch.cat(pictures, 2))


Renderer = Callable[[DiT, Conditioning, MakeKVCache, Tensor], list[Tensor]]


def choose_renderer(saving: Saving) -> Renderer:
    """One block at a time, or several at once for the wavefront."""
    return render_pipelined if saving.speed.wavefront else render_sequential


def render_sequential(
    dit: DiT, conditioning: Conditioning, make_cache: MakeKVCache, features: Tensor
) -> list[Tensor]:
    """Block after block."""
    stream = LatentStream(dit, conditioning, StreamConfig(), 0, make_cache)
    return [list(stream.denoise_block(block, columns))[-1] for block, columns in enumerate(features)]


def render_pipelined(
    dit: DiT, conditioning: Conditioning, make_cache: MakeKVCache, features: Tensor
) -> list[Tensor]:
    """Several blocks at once."""
    stream = WavefrontStream(dit, conditioning, StreamConfig(), 0, make_cache)
    latents = [stream.push(columns) for columns in features]
    return [latent for latent in latents if latent is not None] + list(stream.flush())


def format_errors(saved: BlockOutputs, exact: BlockOutputs) -> str:
    """Relative error of the latents, and PSNR of the pictures."""
    latents = float((saved.latents - exact.latents).norm() / exact.latents.norm())
    decibels = psnr(saved.pictures, exact.pictures)
    return f"{latents:.1e}, {'same' if decibels is None else f'{decibels:.1f} dB'}"


def main() -> None:
    """Measure every saving and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=5, help="the ring is full at the fifth")
    parser.add_argument("--sharp", type=float, nargs="*", default=[1, 3])
    parser.add_argument("--layers", type=int, default=CONFIG.layers)
    parser.add_argument("--side", type=int, default=128, help="of the square pictures")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/dit_errors.md"))
    arguments = parser.parse_args()
    shape = {"layers": arguments.layers, "blocks": arguments.blocks, "side": arguments.side}
    trials = [Trial(sharp=sharp, **shape) for sharp in arguments.sharp]
    exact = [render_blocks(EXACT_SAVING, trial) for trial in trials]
    lines = [
        "| saving |" + "".join(f" sharpness {sharp:g} |" for sharp in arguments.sharp),
        "|" + " --- |" * (1 + len(arguments.sharp)),
    ]
    print(*lines, sep="\n")
    for saving in SAVINGS:
        cells = [
            format_errors(render_blocks(saving, trial), drawn)
            for trial, drawn in zip(trials, exact, strict=True)
        ]
        lines.append(f"| {saving.name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
