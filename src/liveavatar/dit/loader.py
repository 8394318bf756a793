"""Open the models of the engine: from checkpoints, or with random weights for tests and benchmarks."""

import gc
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from liveavatar.dit.checkpoint.encoders import AUDIO_FOLDER, open_audio_encoder, open_text_encoder, open_vae
from liveavatar.dit.checkpoint.load import Placement, find_shards, load_checkpoint, require_file
from liveavatar.dit.checkpoint.lora import merge_lora_pairs, read_lora_pairs
from liveavatar.dit.checkpoint.package_weights import fill_network, read_small_weights
from liveavatar.dit.checkpoint.random_weights import build_random_encoders, randomise_weights
from liveavatar.dit.codecs.audio_encoder import AudioEncoder
from liveavatar.dit.codecs.placed_autoencoder import PlacedAutoencoder
from liveavatar.dit.codecs.speech_features import SpeechEncoder
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
    choose_memory_plan,
    find_memory_profile,
)
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.presets import (
    MODEL_PRESETS,
    SMALL_AUTOENCODER,
    SMALL_TRANSFORMER,
    TRANSFORMER_CONFIGS,
)
from liveavatar.dit.plan.requirements import BUNDLE, free_host_memory
from liveavatar.dit.plan.speed import EXACT_SPEED, SpeedOptions
from liveavatar.dit.streaming.host_kv_cache import HostKVCache, HostSink
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.video import PreparedPortrait
from liveavatar.dit.turns import DeviceTurns
from liveavatar.errors import EngineError, OptionError
from liveavatar.weights.bundles import LORA_REPOSITORY, WAN_REPOSITORY, find_weight_bundle
from liveavatar.weights.hub import bundle_folder

LORA_FILE = "liveavatar.safetensors"
"""File of the adapters inside their repository."""

_TEXT_ENCODER_HEADROOM = 1.1
"""Free memory that the text encoder needs on the GPU, over the size of its weights: activations and fragmentation."""

_LOG = logging.getLogger(__name__)

OpenModels = Callable[[DitOptions, Placement, MemoryPlan, TransformerLayout], "DitModels"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DitModels:
    """Weights shared by all portraits and sessions, and how they are laid out.

    Attributes:
        prompt_embedding: the prompt that they were opened with, [L, text_dim].
        plan: where the weights lie.
        make_cache: makes the KV cache of a session.
        speed: resolved for the device.
        turns: of the device, which all sessions take.
    """

    dit: DiT
    vae: VAE | PlacedAutoencoder
    audio: AudioEncoder | SpeechEncoder
    prompt_embedding: Tensor
    plan: MemoryPlan
    make_cache: MakeKVCache = RingKVCache
    speed: SpeedOptions = EXACT_SPEED
    turns: DeviceTurns = field(default_factory=DeviceTurns)

    def offload_portrait(self, portrait: PreparedPortrait) -> PreparedPortrait:
        """The portrait with its sink in host memory, if the profile says so."""
        if not self.plan.profile.offloads_sink:
            return portrait
        host_sink = HostSink(portrait.conditioning.sink)
        return replace(portrait, conditioning=replace(portrait.conditioning, sink=host_sink))


def open_models(options: DitOptions, plan: MemoryPlan | None = None) -> DitModels:
    """Open the models that the options name, laid out as in `plan` (None chooses one).

    The text encoder encodes the prompt first and is freed before the rest is loaded.

    Raises:
        EngineError: the device does not exist, or has too little memory.
        WeightsError: a file is missing, damaged, or does not fit.
    """
    device = find_device(options.device_name)
    plan = plan or plan_device_memory(options, device)
    placement = Placement(device=device, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)
    layout = choose_layout(plan, device)
    if device.type == "cuda":
        _LOG.info("%s", describe_layout(plan, layout))
    return accelerate_models(
        _choose_source(options)(options, placement, plan, layout), options.speed_options, device
    )


def _choose_source(options: DitOptions) -> OpenModels:
    if options.preset == "small":
        return _load_from_package
    return _load_from_files if options.needs_files else _build_random_models


def accelerate_models(models: DitModels, requested: SpeedOptions, device: torch.device) -> DitModels:
    """Apply the speed options that the device supports; networks are compiled in place.

    Raises:
        OptionError: the wavefront, whose KV cache must be on the device, with a profile that keeps it on the host.
    """
    plan = models.plan
    if requested.wavefront and plan.profile.host_cache:
        raise OptionError(
            "the wavefront needs a card that holds its past", "leave it out, or use --memory 48"
        )
    offloaded = plan.offloaded_blocks > 0 or plan.profile.host_cache
    speed = resolve_speed(requested, device.type, offloaded=offloaded)
    if device.type == "cuda":
        _LOG.info("speed: %s", speed)
    models.dit.attention_kernel = choose_attention_kernel(
        speed.attention, models.dit.config, models.dit.template_tensor
    )
    if speed.compile:
        compile_model(models.dit)
        if isinstance(models.vae, VAE):
            compile_vae(models.vae)
    return replace(models, speed=speed, make_cache=choose_cache_factory(plan.profile, speed))


def tile_decoder(vae: VAE, profile: MemoryProfile) -> VAE:
    """The autoencoder, with a tiled decoder if the profile says so."""
    if profile.tiled_decoding:
        vae.decoder = TiledDecoder(vae.decoder)  # type: ignore[assignment]
    return vae


def choose_cache_factory(profile: MemoryProfile, speed: SpeedOptions = EXACT_SPEED) -> MakeKVCache:
    """What makes the KV cache of a session."""
    cache_speed = replace(speed, kv="fp8") if profile.eight_bit_cache else speed
    return make_cache_factory(cache_speed, HostKVCache if profile.host_cache else RingKVCache)


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
    """The memory profile that fits the free memory of a GPU, or that the options name.

    A CPU takes any profile; half of the blocks are offloaded if the profile offloads any.

    Raises:
        EngineError: nothing fits.
    """
    workload = options.to_workload()
    if device.type != "cuda":
        profile = find_memory_profile(options.memory)
        blocks = TRANSFORMER_CONFIGS[options.preset].layers // 2 if profile.max_offloaded_blocks else 0
        return workload.plan_profile(profile, blocks)
    free, _ = torch.cuda.mem_get_info(device)
    return choose_memory_plan(free, workload, name=options.memory, host_bytes=free_host_memory())


def choose_layout(plan: MemoryPlan, device: torch.device) -> TransformerLayout:
    """The plan's layout, in the eight-bit format that the device multiplies fastest."""
    kind = find_weight_format(device) if plan.profile.eight_bit_weights else "bf16"
    return TransformerLayout(
        device=device,
        weight_format=kind,
        scaled_mm=kind == "fp8" and has_fast_matmul(device, "fp8"),
        offloaded_blocks=plan.offloaded_blocks,
        offloads_text=plan.profile.offloads_text,
    )


def describe_layout(plan: MemoryPlan, layout: TransformerLayout) -> str:
    """One line: the profile, the number format, the device of the text encoder."""
    numbers = {"fp8": "FP8", "int8": "int8, since the card has no FP8", "bf16": "bfloat16"}[
        layout.weight_format
    ]
    text = "GPU" if choose_text_device(layout.device).type == "cuda" else "CPU"
    return f"{plan.summary}; numbers: {numbers}; the prompt is encoded on the {text} first"


def choose_text_device(device: torch.device) -> torch.device:
    """`device` if the text encoder fits while nothing else is loaded, else the CPU."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if free < _TEXT_ENCODER_HEADROOM * TEXT_ENCODER_BYTES:
            return torch.device("cpu")
    return device


def release_cached_memory(device: torch.device) -> None:
    """Return unused memory of PyTorch's allocator to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _audio_placement(placement: Placement, plan: MemoryPlan) -> Placement:
    dtype = placement.dtype if plan.profile.half_audio_encoder else torch.float32
    return replace(placement, dtype=dtype)


def _load_from_files(
    options: DitOptions, placement: Placement, plan: MemoryPlan, layout: TransformerLayout
) -> DitModels:
    folder = options.folder or bundle_folder(find_weight_bundle(BUNDLE))
    wan = folder / Path(WAN_REPOSITORY.name).name
    lora = folder / Path(LORA_REPOSITORY.name).name / LORA_FILE
    prompt = open_text_encoder(wan, device=choose_text_device(layout.device)).encode(options.prompt)
    release_cached_memory(layout.device)
    audio = _audio_placement(placement, plan)
    return DitModels(
        dit=open_transformer(wan, lora, placement, layout),
        vae=tile_decoder(open_vae(wan, placement), plan.profile),
        audio=open_audio_encoder(wan / AUDIO_FOLDER, dtype=audio.dtype, device=audio.device),
        prompt_embedding=prompt.to(placement.device),
        plan=plan,
    )


def open_transformer(folder: Path, lora: Path, placement: Placement, layout: TransformerLayout) -> DiT:
    """The transformer in a folder laid out like Wan2.2-S2V-14B, with the adapters in `lora` merged.

    Raises:
        WeightsError: something is missing, damaged, or does not fit.
    """
    config = json.loads(require_file(folder / "config.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        dit = DiT(DitConfig.from_json(config))
    pairs = read_lora_pairs(dit, lora)
    load_checkpoint(dit, find_shards(folder))  # mapped, not read

    def fill_part(name: str, part: nn.Module) -> None:
        part.to(placement.device, placement.dtype)
        merge_lora_pairs(part, name, pairs)

    return assemble_transformer(dit, fill_part, layout)


def _load_from_package(
    options: DitOptions, placement: Placement, plan: MemoryPlan, layout: TransformerLayout
) -> DitModels:
    weights = read_small_weights(options.folder)
    with torch.device("meta"):
        dit, vae, audio = DiT(SMALL_TRANSFORMER), PlacedAutoencoder(SMALL_AUTOENCODER), SpeechEncoder()
    fill_network(vae, weights, "autoencoder.").to(placement.device)
    fill_network(audio, weights, "audio.").to(placement.device)

    def fill_part(name: str, part: nn.Module) -> None:
        fill_network(part, weights, f"transformer.{name}").to(placement.device, placement.dtype)

    return DitModels(
        dit=assemble_transformer(dit, fill_part, layout),
        vae=vae,
        audio=audio,
        prompt_embedding=torch.zeros(1, SMALL_TRANSFORMER.text_dim, device=placement.device),
        plan=plan,
    )


def _build_random_models(
    options: DitOptions, placement: Placement, plan: MemoryPlan, layout: TransformerLayout
) -> DitModels:
    preset = MODEL_PRESETS[options.preset]
    encoders = build_random_encoders(
        preset,
        seed=1,
        vae_placement=placement,
        text_placement=replace(placement, device=choose_text_device(layout.device)),
        audio_placement=_audio_placement(placement, plan),
    )
    vae, audio, prompt = encoders.vae, encoders.audio, encoders.text.encode(options.prompt)
    del encoders  # with the text encoder
    release_cached_memory(layout.device)
    with torch.device("meta"):
        dit = DiT(preset.dit)
    return DitModels(
        dit=assemble_transformer(dit, make_random_filler(placement), layout),
        vae=tile_decoder(vae, plan.profile),
        audio=audio,
        prompt_embedding=prompt.to(placement.device),
        plan=plan,
    )


def make_random_filler(placement: Placement, seed: int = 0) -> WeightFiller:
    """Fills parts of the transformer with random weights, which depend on the seed and not on the layout."""

    def fill_part(name: str, part: nn.Module) -> None:
        randomise_weights(part, seed=seed, placement=placement, prefix=name)

    return fill_part
