"""The models of the engine, put together: from checkpoints, or at random for tests and benchmarks."""

import gc
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from liveavatar.dit import audio_encoder, loading, parts, text_encoder
from liveavatar.dit.assembly import Fill, Layout, assemble
from liveavatar.dit.audio_encoder import AudioEncoder
from liveavatar.dit.cache import MakeMemory, Rings
from liveavatar.dit.compiling import compile_model, compile_vae, memory_for
from liveavatar.dit.config import DitConfig
from liveavatar.dit.host_rings import HostRings, HostSink
from liveavatar.dit.lora import merge_pairs, read_pairs
from liveavatar.dit.memory import TEXT_ENCODER, Job, Plan, Rung, choose, find_rung
from liveavatar.dit.model import DiT
from liveavatar.dit.options import DitOptions
from liveavatar.dit.parts import AUDIO_FOLDER, Place
from liveavatar.dit.pictures import Still
from liveavatar.dit.presets import PRESETS
from liveavatar.dit.quantize import best_kind, multiplies
from liveavatar.dit.requirements import USUAL_SIZE, free_host_memory
from liveavatar.dit.speed import EXACT, Speed, resolve
from liveavatar.dit.vae import VAE
from liveavatar.dit.vae_tiles import TiledDecoder
from liveavatar.errors import EngineError, OptionError
from liveavatar.weights.bundles import LORA, WAN, find_bundle
from liveavatar.weights.hub import bundle_folder

BUNDLE = "live-avatar"
LORA_FILE = "liveavatar.safetensors"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Models:
    """Weights shared by all portraits and sessions, the prompt [L, text_dim] they were opened with, how all of it was
    made to fit and to be fast: `plan` and `speed`, and what makes the memory of a session.
    """

    dit: DiT
    vae: VAE
    audio: AudioEncoder
    prompt: Tensor
    plan: Plan
    rings: MakeMemory = Rings
    speed: Speed = EXACT

    def kept(self, still: Still) -> Still:
        """A portrait as it is kept for the sessions to come."""
        if not self.plan.rung.frugal:
            return still
        return replace(still, scene=replace(still.scene, sink=HostSink(still.scene.sink)))


def open_models(options: DitOptions, plan: Plan | None = None) -> Models:
    """Load what the options ask for, laid out as in `plan` (None chooses one).

    The text encoder reads the prompt first and is let go before the rest comes.

    Raises:
        EngineError: the device is not there, or has too little memory.
        WeightsError: a file is missing, damaged, or does not fit.
    """
    device = find_device(options.place)
    plan = plan or make_plan(options, device)
    place = Place(device=device, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)
    layout = lay_out(plan, device)
    if device.type == "cuda":
        _LOG.info("%s", describe(plan, layout))
    models = (_from_files if options.needs_files else _at_random)(options, place, plan, layout)
    return quickened(models, options.pace, device)


def quickened(models: Models, asked: Speed, device: torch.device) -> Models:
    """The same models, made as fast as was asked for and the device allows; compiled in place."""
    plan = models.plan
    if asked.wavefront and plan.rung.host_rings:
        raise OptionError(
            "the wavefront needs a card that holds its past", "leave it out, or use --memory 48"
        )
    speed = resolve(asked, device.type, streamed=plan.streamed > 0 or plan.rung.host_rings)
    if device.type == "cuda":
        _LOG.info("speed: %s", speed)
    if speed.compile:
        compile_model(models.dit)
        compile_vae(models.vae)
    return replace(models, speed=speed, rings=memory_maker(plan.rung, speed))


def fit_decoder(vae: VAE, rung: Rung) -> VAE:
    """The autoencoder, decoding in tiles if the rung says so."""
    if rung.tiles:
        vae.decoder = TiledDecoder(vae.decoder)  # type: ignore[assignment]
    return vae


def memory_maker(rung: Rung, speed: Speed = EXACT) -> MakeMemory:
    """What makes the memory of a session on this rung."""
    kept = replace(speed, kv="fp8") if rung.eight_rings else speed
    return memory_for(kept, HostRings if rung.host_rings else Rings)


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


def make_plan(options: DitOptions, device: torch.device) -> Plan:
    """The rung that fits the card's free memory, or that the options name; a CPU is given any, half of it streamed.

    Raises:
        EngineError: nothing fits.
    """
    job = Job(stream=options.stream(), size=USUAL_SIZE, wavefront=options.pace.wavefront)
    if device.type != "cuda":
        rung = find_rung(options.memory)
        streamed = PRESETS[options.preset].dit.layers // 2 if rung.streams else 0
        return Plan(rung=rung, streamed=streamed, memory=job.memory(rung, streamed))
    free, _ = torch.cuda.mem_get_info(device)
    return choose(free, job, name=options.memory, host=free_host_memory())


def lay_out(plan: Plan, device: torch.device) -> Layout:
    """The plan on this device, in eight-bit numbers that it multiplies."""
    kind = best_kind(device) if plan.rung.eight else "bf16"
    return Layout(
        device=device,
        kind=kind,
        scaled_mm=kind == "fp8" and multiplies(device, "fp8"),
        streamed=plan.streamed,
        parks=plan.rung.parks,
    )


def describe(plan: Plan, layout: Layout) -> str:
    """One line: the rung, the numbers, where the text encoder runs."""
    numbers = {"fp8": "FP8", "int8": "int8, since the card has no FP8", "bf16": "bfloat16"}[layout.kind]
    text = "GPU" if text_device(layout.device).type == "cuda" else "CPU"
    return f"{plan.line}; numbers: {numbers}; the text encoder reads the prompt on the {text}, and is let go"


def text_device(device: torch.device) -> torch.device:
    """Where the text encoder finds room, while nothing else is loaded."""
    if device.type == "cuda" and torch.cuda.mem_get_info(device)[0] < 1.1 * TEXT_ENCODER:
        return torch.device("cpu")
    return device


def _audio_dtype(plan: Plan, place: Place) -> torch.dtype:
    return place.dtype if plan.rung.frugal else torch.float32


def _from_files(options: DitOptions, place: Place, plan: Plan, layout: Layout) -> Models:
    folder = options.folder or bundle_folder(find_bundle(BUNDLE))
    wan, lora = (folder / repository.name.rpartition("/")[2] for repository in (WAN, LORA))
    prompt = text_encoder.open_checkpoint(wan, device=text_device(layout.device)).encode(options.prompt)
    _let_go(layout.device)
    audio = audio_encoder.open_checkpoint(
        wan / AUDIO_FOLDER, dtype=_audio_dtype(plan, place), device=place.device
    )
    return Models(
        dit=open_dit(wan, lora / LORA_FILE, place, layout),
        vae=fit_decoder(parts.open_vae(wan, place), plan.rung),
        audio=audio,
        prompt=prompt.to(place.device),
        plan=plan,
    )


def _let_go(device: torch.device) -> None:
    """Give memory that nothing uses any more back to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def open_dit(folder: Path, lora: Path, place: Place, layout: Layout) -> DiT:
    """The transformer in a folder laid out like Wan2.2-S2V-14B, with the adapters in `lora` merged.

    Raises:
        WeightsError: something is missing, damaged, or does not fit.
    """
    config = json.loads(loading.existing(folder / "config.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        dit = DiT(DitConfig.from_json(config))
    pairs = read_pairs(dit, lora)
    loading.load(dit, loading.shards(folder))  # mapped, not read

    def fill(name: str, part: nn.Module) -> None:
        part.to(place.device, place.dtype)
        merge_pairs(part, name, pairs)

    return assemble(dit, fill, layout)


def _at_random(options: DitOptions, place: Place, plan: Plan, layout: Layout) -> Models:
    preset = PRESETS[options.preset]
    around = parts.Places(
        vae=place,
        text=Place(device=text_device(layout.device), dtype=place.dtype),
        audio=Place(device=place.device, dtype=_audio_dtype(plan, place)),
    )
    made = parts.random_parts(preset, seed=1, places=around)
    vae, audio, prompt = made.vae, made.audio, made.text.encode(options.prompt)
    del made
    _let_go(layout.device)
    with torch.device("meta"):
        dit = DiT(preset.dit)
    assemble(dit, random_fill(place), layout)
    return Models(
        dit=dit,
        vae=fit_decoder(vae, plan.rung),
        audio=audio,
        prompt=prompt.to(place.device),
        plan=plan,
    )


def random_fill(place: Place, seed: int = 0) -> Fill:
    """Draws the weights of a part; every layout of one seed has the same weights."""

    def fill(name: str, part: nn.Module) -> None:
        parts.randomise(part, seed=seed, place=place, prefix=name)

    return fill
