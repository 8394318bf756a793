"""The models of the engine, put together: from checkpoints, or at random for tests and benchmarks."""

import gc
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from liveavatar.dit.checkpoint import encoders, load
from liveavatar.dit.checkpoint.encoders import AUDIO_FOLDER, Placement
from liveavatar.dit.checkpoint.lora import merge_lora_pairs, read_lora_pairs
from liveavatar.dit.codecs import audio_encoder, text_encoder
from liveavatar.dit.codecs.audio_encoder import AudioEncoder
from liveavatar.dit.codecs.tiled_vae import TiledDecoder
from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.performance.assembly import TransformerLayout, WeightFiller, assemble_transformer
from liveavatar.dit.performance.compile import compile_model, compile_vae, make_cache_factory
from liveavatar.dit.performance.kernels import choose_attention_kernel
from liveavatar.dit.performance.quantise import find_weight_format, has_fast_matmul
from liveavatar.dit.performance.resolve_speed import resolve_speed
from liveavatar.dit.plan.config import DitConfig
from liveavatar.dit.plan.memory import (
    TEXT_ENCODER_BYTES,
    MemoryPlan,
    MemoryProfile,
    Workload,
    choose_memory_plan,
    find_memory_profile,
)
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.presets import MODEL_PRESETS
from liveavatar.dit.plan.requirements import DEFAULT_SIZE, free_host_memory
from liveavatar.dit.plan.speed import EXACT_SPEED, SpeedOptions
from liveavatar.dit.streaming.host_kv_cache import HostKVCache, HostSink
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.video import PreparedPortrait
from liveavatar.errors import EngineError, OptionError
from liveavatar.weights.bundles import LORA_REPOSITORY, WAN_REPOSITORY, find_weight_bundle
from liveavatar.weights.hub import bundle_folder

BUNDLE = "live-avatar"
LORA_FILE = "liveavatar.safetensors"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class DitModels:
    """Weights shared by all portraits and sessions, the prompt [L, text_dim] they were opened with, how all of it was
    made to fit and to be fast: `plan` and `speed`, and what makes the memory of a session.
    """

    dit: DiT
    vae: VAE
    audio: AudioEncoder
    prompt_embedding: Tensor
    plan: MemoryPlan
    make_cache: MakeKVCache = RingKVCache
    speed: SpeedOptions = EXACT_SPEED

    def offload_portrait(self, portrait: PreparedPortrait) -> PreparedPortrait:
        """A portrait as it is kept for the sessions to come."""
        if not self.plan.profile.offloads_sink:
            return portrait
        return replace(
            portrait, conditioning=replace(portrait.conditioning, sink=HostSink(portrait.conditioning.sink))
        )


def open_models(options: DitOptions, plan: MemoryPlan | None = None) -> DitModels:
    """Load what the options ask for, laid out as in `plan` (None chooses one).

    The text encoder reads the prompt first and is let go before the rest comes.

    Raises:
        EngineError: the device is not there, or has too little memory.
        WeightsError: a file is missing, damaged, or does not fit.
    """
    device = find_device(options.device_name)
    plan = plan or plan_device_memory(options, device)
    place = Placement(device=device, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)
    layout = choose_layout(plan, device)
    if device.type == "cuda":
        _LOG.info("%s", describe_layout(plan, layout))
    models = (_load_from_files if options.needs_files else _build_random_models)(options, place, plan, layout)
    return accelerate_models(models, options.speed_options, device)


def accelerate_models(models: DitModels, requested: SpeedOptions, device: torch.device) -> DitModels:
    """The same models, made as fast as was asked for and the device allows; compiled in place."""
    plan = models.plan
    if requested.wavefront and plan.profile.host_cache:
        raise OptionError(
            "the wavefront needs a card that holds its past", "leave it out, or use --memory 48"
        )
    speed = resolve_speed(
        requested, device.type, offloaded=plan.offloaded_blocks > 0 or plan.profile.host_cache
    )
    if device.type == "cuda":
        _LOG.info("speed: %s", speed)
    models.dit.attention_kernel = choose_attention_kernel(
        speed.attention, models.dit.config, models.dit.template_tensor
    )
    if speed.compile:
        compile_model(models.dit)
        compile_vae(models.vae)
    return replace(models, speed=speed, make_cache=choose_cache_factory(plan.profile, speed))


def tile_decoder(vae: VAE, profile: MemoryProfile) -> VAE:
    """The autoencoder, decoding in tiles if the rung says so."""
    if profile.tiled_decoding:
        vae.decoder = TiledDecoder(vae.decoder)  # type: ignore[assignment]
    return vae


def choose_cache_factory(profile: MemoryProfile, speed: SpeedOptions = EXACT_SPEED) -> MakeKVCache:
    """What makes the memory of a session on this rung."""
    kept = replace(speed, kv="fp8") if profile.eight_bit_cache else speed
    return make_cache_factory(kept, HostKVCache if profile.host_cache else RingKVCache)


def find_device(name: str) -> torch.device:
    """The device called `name`.

    Raises:
        EngineError: there is none.
    """
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        remedy = "install a PyTorch built for your card, or use the tiny preset"
        raise EngineError(f"PyTorch has no device {name!r}", remedy) from error


def plan_device_memory(options: DitOptions, device: torch.device) -> MemoryPlan:
    """The rung that fits the card's free memory, or that the options name; a CPU is given any, half of it streamed.

    Raises:
        EngineError: nothing fits.
    """
    job = Workload(
        stream=options.to_stream_config(), size=DEFAULT_SIZE, wavefront=options.speed_options.wavefront
    )
    if device.type != "cuda":
        rung = find_memory_profile(options.memory)
        streamed = MODEL_PRESETS[options.preset].dit.layers // 2 if rung.max_offloaded_blocks else 0
        return MemoryPlan(
            profile=rung, offloaded_blocks=streamed, estimate=job.estimate_memory(rung, streamed)
        )
    free, _ = torch.cuda.mem_get_info(device)
    return choose_memory_plan(free, job, name=options.memory, host_bytes=free_host_memory())


def choose_layout(plan: MemoryPlan, device: torch.device) -> TransformerLayout:
    """The plan on this device, in eight-bit numbers that it multiplies."""
    kind = find_weight_format(device) if plan.profile.eight_bit_weights else "bf16"
    return TransformerLayout(
        device=device,
        kind=kind,
        scaled_mm=kind == "fp8" and has_fast_matmul(device, "fp8"),
        offloaded_blocks=plan.offloaded_blocks,
        offloads_text=plan.profile.offloads_text,
    )


def describe_layout(plan: MemoryPlan, layout: TransformerLayout) -> str:
    """One line: the rung, the numbers, where the text encoder runs."""
    numbers = {"fp8": "FP8", "int8": "int8, since the card has no FP8", "bf16": "bfloat16"}[layout.kind]
    text = "GPU" if choose_text_device(layout.device).type == "cuda" else "CPU"
    return (
        f"{plan.summary}; numbers: {numbers}; the text encoder reads the prompt on the {text}, and is let go"
    )


def choose_text_device(device: torch.device) -> torch.device:
    """Where the text encoder finds room, while nothing else is loaded."""
    if device.type == "cuda" and torch.cuda.mem_get_info(device)[0] < 1.1 * TEXT_ENCODER_BYTES:
        return torch.device("cpu")
    return device


def _choose_audio_dtype(plan: MemoryPlan, placement: Placement) -> torch.dtype:
    return placement.dtype if plan.profile.offloads_sink else torch.float32


def _load_from_files(
    options: DitOptions, placement: Placement, plan: MemoryPlan, layout: TransformerLayout
) -> DitModels:
    folder = options.folder or bundle_folder(find_weight_bundle(BUNDLE))
    wan, lora = (
        folder / repository.name.rpartition("/")[2] for repository in (WAN_REPOSITORY, LORA_REPOSITORY)
    )
    prompt = text_encoder.open_text_encoder(wan, device=choose_text_device(layout.device)).encode(
        options.prompt
    )
    _release_cached_memory(layout.device)
    audio = audio_encoder.open_audio_encoder(
        wan / AUDIO_FOLDER, dtype=_choose_audio_dtype(plan, placement), device=placement.device
    )
    return DitModels(
        dit=open_transformer(wan, lora / LORA_FILE, placement, layout),
        vae=tile_decoder(encoders.open_vae(wan, placement), plan.profile),
        audio=audio,
        prompt_embedding=prompt.to(placement.device),
        plan=plan,
    )


def _release_cached_memory(device: torch.device) -> None:
    """Give memory that nothing uses any more back to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def open_transformer(folder: Path, lora: Path, placement: Placement, layout: TransformerLayout) -> DiT:
    """The transformer in a folder laid out like Wan2.2-S2V-14B, with the adapters in `lora` merged.

    Raises:
        WeightsError: something is missing, damaged, or does not fit.
    """
    config = json.loads(load.require_file(folder / "config.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        dit = DiT(DitConfig.from_json(config))
    pairs = read_lora_pairs(dit, lora)
    load.load_checkpoint(dit, load.find_shards(folder))  # mapped, not read

    def fill_part(name: str, part: nn.Module) -> None:
        part.to(placement.device, placement.dtype)
        merge_lora_pairs(part, name, pairs)

    return assemble_transformer(dit, fill_part, layout)


def _build_random_models(
    options: DitOptions, placement: Placement, plan: MemoryPlan, layout: TransformerLayout
) -> DitModels:
    preset = MODEL_PRESETS[options.preset]
    around = encoders.EncoderPlacements(
        vae=placement,
        text=Placement(device=choose_text_device(layout.device), dtype=placement.dtype),
        audio=Placement(device=placement.device, dtype=_choose_audio_dtype(plan, placement)),
    )
    made = encoders.build_random_encoders(preset, seed=1, placements=around)
    vae, audio, prompt = made.vae, made.audio, made.text.encode(options.prompt)
    del made
    _release_cached_memory(layout.device)
    with torch.device("meta"):
        dit = DiT(preset.dit)
    assemble_transformer(dit, make_random_filler(placement), layout)
    return DitModels(
        dit=dit,
        vae=tile_decoder(vae, plan.profile),
        audio=audio,
        prompt_embedding=prompt.to(placement.device),
        plan=plan,
    )


def make_random_filler(placement: Placement, seed: int = 0) -> WeightFiller:
    """Draws the weights of a part; every layout of one seed has the same weights."""

    def fill_part(name: str, part: nn.Module) -> None:
        encoders.randomise_weights(part, seed=seed, placement=placement, prefix=name)

    return fill_part
