"""The models of the engine, put together: from checkpoints, or at random for tests and benchmarks."""

import gc
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from liveavatar.dit import audio_encoder, loading, parts, text_encoder
from liveavatar.dit.audio_encoder import AudioEncoder
from liveavatar.dit.cache import MakeMemory, Rings
from liveavatar.dit.config import DitConfig
from liveavatar.dit.lora import merge_lora
from liveavatar.dit.model import DiT
from liveavatar.dit.options import DitOptions
from liveavatar.dit.parts import AUDIO_FOLDER, Place
from liveavatar.dit.presets import PRESETS
from liveavatar.dit.vae import VAE
from liveavatar.errors import EngineError
from liveavatar.weights.bundles import LORA, WAN, find_bundle
from liveavatar.weights.hub import bundle_folder

BUNDLE = "live-avatar"
LORA_FILE = "liveavatar.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Models:
    """Weights shared by all portraits and sessions, the prompt [L, text_dim] they were opened with, and how much
    room a session's memory is given."""

    dit: DiT
    vae: VAE
    audio: AudioEncoder
    prompt: Tensor
    rings: MakeMemory = Rings


def open_models(options: DitOptions) -> Models:
    """Load what the options ask for. The text encoder reads the prompt first and is let go before the rest comes.

    Raises:
        EngineError: the device is not there.
        WeightsError: a file is missing, damaged, or does not fit.
    """
    device = find_device(options.place)
    place = Place(device=device, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)
    return _from_files(options, place) if options.needs_files else _at_random(options, place)


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


def _from_files(options: DitOptions, place: Place) -> Models:
    folder = options.folder or bundle_folder(find_bundle(BUNDLE))
    wan, lora = (folder / repository.name.rpartition("/")[2] for repository in (WAN, LORA))
    prompt = text_encoder.open_checkpoint(wan, device=place.device).encode(options.prompt)
    _let_go(place.device)
    return Models(
        dit=open_dit(wan, lora / LORA_FILE, place),
        vae=parts.open_vae(wan, place),
        audio=audio_encoder.open_checkpoint(wan / AUDIO_FOLDER, device=place.device),
        prompt=prompt,
    )


def _let_go(device: torch.device | str) -> None:
    """Give memory that nothing uses any more back to the device."""
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()


def open_dit(folder: Path, lora: Path, place: Place) -> DiT:
    """The transformer in a folder laid out like Wan2.2-S2V-14B, with the adapters in `lora` merged.

    Raises:
        WeightsError: something is missing, damaged, or does not fit.
    """
    config = json.loads(loading.existing(folder / "config.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        dit = DiT(DitConfig.from_json(config))
    loading.load(dit, loading.shards(folder), dtype=place.dtype, device=place.device)
    merge_lora(dit, lora)
    return dit


def _at_random(options: DitOptions, place: Place) -> Models:
    preset = PRESETS[options.preset]
    everywhere = parts.Places(vae=place, text=place, audio=Place(device=place.device))
    around = parts.random_parts(preset, seed=1, places=everywhere)
    vae, audio, prompt = around.vae, around.audio, around.text.encode(options.prompt)
    del around
    _let_go(place.device)
    with torch.device("meta"):
        dit = DiT(preset.dit)
    parts.randomise(dit, seed=0, place=place)
    return Models(dit=dit, vae=vae, audio=audio, prompt=prompt)
