# ruff: noqa: N803, N806  (names carry their shape: B batch, N queries, S keys, H heads, D channels of a head)
"""What each saving of the engine `dit` costs in accuracy, in a model as deep as the 14B, and a tenth as wide.

    python -m benchmarks.dit.errors [--blocks 5] [--sharp 1 3] [--layers 40] [--side 128] [-o out/dit_errors.md]

Latents and pictures of the same noise, portrait and sound, drawn in float32 and with one saving each. Weights are
random. Since a random model looks at everything alike, which is kind to rounding, keys and queries are also made
longer, so that what a query gives to different keys spreads as far as it does in trained models (`--sharp`, the
standard deviation of what goes into the softmax). No GPU; about a minute of one core a figure.
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
"""40 layers, heads of 128 channels, sound heard where the 14B hears it."""

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Saving:
    """One way to save, and what it is called."""

    name: str
    kind: WeightFormat = "bf16"  # whatever the model computes in
    dtype: torch.dtype = torch.float32
    speed: SpeedOptions = EXACT_SPEED
    rings: MakeKVCache | None = None


def fp8_attention(q_BNHD: Tensor, k: Tensor, v: Tensor, k_scale: Tensor, v_scale: Tensor) -> Tensor:
    """What FlashAttention 3 computes in FP8: queries and the softmax's exponentials are rounded, sums are not."""
    stored, scale = quantise_queries(q_BNHD)
    wide = (stored, scale), (k, k_scale), (v, v_scale)
    q_BHND, k_BHSD, v_BHSD = (fp8_to_values(part, by, torch.float32).transpose(1, 2) for part, by in wide)
    logits = q_BHND @ k_BHSD.transpose(2, 3) * q_BHND.shape[-1] ** -0.5
    weights = (logits - logits.amax(-1, keepdim=True)).exp()
    seen: Tensor = (
        values_to_fp8(weights, weights.new_ones(1)).float() @ v_BHSD / weights.sum(-1, keepdim=True)
    )
    return seen.transpose(1, 2).to(q_BNHD.dtype)


fp8_rings = partial(RingKVCache, storage_dtype=FP8_DTYPE, ops=KVOps(attend_fp8=fp8_attention))
"""A cache in FP8, attended to in FP8."""


EXACT_SAVING = Saving(name="float32")
SAVINGS = (
    Saving(name="bfloat16 itself", dtype=torch.bfloat16),
    Saving(name="FP8 weights", kind="fp8"),
    Saving(name="int8 weights", kind="int8"),
    Saving(name="FP8 rings", speed=replace(EXACT_SPEED, kv="fp8")),
    Saving(name="FP8 weights and rings", kind="fp8", speed=replace(EXACT_SPEED, kv="fp8")),
    Saving(name="int8 weights, FP8 rings", kind="int8", speed=replace(EXACT_SPEED, kv="fp8")),
    Saving(name="FP8 attention", rings=fp8_rings),
    Saving(name="FP8 weights, rings, attention", kind="fp8", rings=fp8_rings),
    Saving(name="wavefront", speed=replace(EXACT_SPEED, wavefront=True)),
)


@dataclass(frozen=True, kw_only=True)
class BlockOutputs:
    """What came of it."""

    latents: Tensor
    pictures: Tensor


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is drawn: how sharply it looks, how deep it is, for how many blocks of which size."""

    sharp: float = 1
    layers: int = CONFIG.layers
    blocks: int = 5
    side: int = 128

    @property
    def config(self) -> DitConfig:
        """The transformer's shape."""
        heard = tuple(layer for layer in CONFIG.inject if layer < self.layers)
        return replace(CONFIG, layers=self.layers, inject=heard)


def model(saving: Saving, trial: Trial) -> DiT:
    """The transformer with this saving; the same weights for all."""
    fill = make_random_filler(Placement(dtype=saving.dtype))

    def sharpen(name: str, part: nn.Module) -> None:
        fill(name, part)
        if isinstance(part, TransformerBlock):
            scale_norms(part.self_attn, trial.sharp**0.5)

    with torch.device("meta"):
        dit = DiT(trial.config)
    return assemble_transformer(dit, sharpen, TransformerLayout(device=CPU, weight_format=saving.kind))


def scale_norms(attention: SelfAttention, times: float) -> None:
    """Make queries and keys longer."""
    for norm in (attention.norm_q, attention.norm_k):
        norm.weight.data.mul_(times)


@cache
@torch.no_grad()
def encoded(side: int) -> tuple[Tensor, StreamingDecoder]:
    """The still past of a portrait of noise, and a decoder that has seen it, both in float32; the same for all."""
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
    """The same blocks with this saving."""
    dit, (past, decoder) = model(saving, trial), encoded(trial.side)
    generator = torch.Generator().manual_seed(2)
    text = dit.project_text(torch.randn(20, CONFIG.text_dim, generator=generator))
    heard = torch.randn(trial.blocks, 1, CONFIG.audio_layers, CONFIG.audio_dim, 12, generator=generator)
    sink = dit.compute_sink(past[:, :, :1], past, text)
    scene = Conditioning(text=text, sink=sink, height=past.shape[-2], width=past.shape[-1])
    latents = list(
        choose_renderer(saving)(dit, scene, saving.rings or make_cache_factory(saving.speed), heard)
    )
    decoder = decoder.fork()
    pictures = [decoder.push(latent.float()) for latent in latents]
    return BlockOutputs(latents=torch.cat(latents, 2).float(), pictures=torch.cat(pictures, 2))


Drawing = Callable[[DiT, Conditioning, MakeKVCache, Tensor], list[Tensor]]


def choose_renderer(saving: Saving) -> Drawing:
    """How blocks are drawn with this saving."""
    return render_pipelined if saving.speed.wavefront else render_sequential


def render_sequential(dit: DiT, scene: Conditioning, rings: MakeKVCache, heard: Tensor) -> list[Tensor]:
    """Block after block."""
    stream = LatentStream(dit, scene, StreamConfig(), 0, rings)
    return [list(stream.denoise_block(block, features))[-1] for block, features in enumerate(heard)]


def render_pipelined(dit: DiT, scene: Conditioning, rings: MakeKVCache, heard: Tensor) -> list[Tensor]:
    """Several blocks at once."""
    wave = WavefrontStream(dit, scene, StreamConfig(), 0, rings)
    done = [wave.push(features) for features in heard]
    return [latent for latent in done if latent is not None] + list(wave.flush())


def cell(saved: BlockOutputs, exact: BlockOutputs) -> str:
    """Both errors."""
    latents = float((saved.latents - exact.latents).norm() / exact.latents.norm())
    decibels = psnr(saved.pictures, exact.pictures)
    return f"{latents:.1e}, {'same' if decibels is None else f'{decibels:.1f} dB'}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=5, help="the ring is full at the fifth")
    parser.add_argument("--sharp", type=float, nargs="*", default=[1, 3])
    parser.add_argument("--layers", type=int, default=CONFIG.layers)
    parser.add_argument("--side", type=int, default=128, help="of the square pictures")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/dit_errors.md"))
    asked = parser.parse_args()
    shape = {"layers": asked.layers, "blocks": asked.blocks, "side": asked.side}
    trials = [Trial(sharp=sharp, **shape) for sharp in asked.sharp]
    exact = [render_blocks(EXACT_SAVING, trial) for trial in trials]
    lines = [
        "| saving |" + "".join(f" sharpness {sharp:g} |" for sharp in asked.sharp),
        "|" + " --- |" * (1 + len(asked.sharp)),
    ]
    print(*lines, sep="\n")
    for saving in SAVINGS:
        cells = [
            cell(render_blocks(saving, trial), drawn) for trial, drawn in zip(trials, exact, strict=True)
        ]
        lines.append(f"| {saving.name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
