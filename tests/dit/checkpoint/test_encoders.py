from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from liveavatar.dit.checkpoint.encoders import (
    AUDIO_FOLDER,
    map_text_key,
    open_audio_encoder,
    open_text_encoder,
    open_vae,
)
from liveavatar.dit.checkpoint.load import Placement
from liveavatar.dit.checkpoint.random_weights import (
    Encoders,
    build_random_encoders,
    randomise_weights,
    tokenise_bytes,
)
from liveavatar.dit.codecs.clock import WAV2VEC2_CLOCK
from liveavatar.dit.codecs.text_encoder import TextEncoder
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.presets import FULL_PRESET, MODEL_PRESETS, TINY_PRESET
from liveavatar.errors import OptionError, WeightsError

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.slow
def test_tiny_encoders_run() -> None:
    encoders = build_random_encoders(TINY_PRESET, seed=1)
    video = encoders.vae.decode(encoders.vae.encode(torch.zeros(1, 3, 5, 64, 64)))
    prompt = encoders.text.encode("a person speaks")
    states = encoders.audio(0.1 * np.random.default_rng(0).standard_normal(8000, np.float32))
    assert video.shape == (1, 3, 5, 64, 64)
    assert prompt.shape == (len("a person speaks") + 1, TINY_PRESET.dit.text_dim)
    assert states.shape == (
        TINY_PRESET.dit.audio_layers,
        WAV2VEC2_CLOCK.steps_within(8000),
        TINY_PRESET.dit.audio_dim,
    )
    for tensor in (video, prompt, states):
        assert torch.isfinite(tensor).all()
        assert 0.01 < tensor.std() < 10


def test_the_same_seed_gives_the_same_weights() -> None:
    encoders = [build_random_encoders(TINY_PRESET, seed=seed).vae.state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(encoders[0][name], encoders[1][name]) for name in encoders[0])
    assert not torch.equal(encoders[0]["conv2.weight"], encoders[2]["conv2.weight"])


@pytest.mark.slow
def test_tiny_is_a_few_megabytes() -> None:
    encoders = build_random_encoders(TINY_PRESET, seed=0)
    with torch.device("meta"):
        dit = DiT(TINY_PRESET.dit)
    networks = [dit, encoders.vae, encoders.text.network, encoders.audio.network]
    count = sum(weight.numel() for network in networks for weight in network.parameters())
    assert 4 * count < 8e6


def test_the_full_preset_has_the_published_sizes() -> None:
    assert FULL_PRESET.dit.audio_layers == FULL_PRESET.audio.layers + 1 == 25
    config = FULL_PRESET.audio.to_wav2vec2()
    assert (config.hidden_size, config.num_attention_heads, config.intermediate_size) == (1024, 16, 4096)
    assert sorted(MODEL_PRESETS) == ["full", "tiny"]


def test_networks_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(OptionError, match="do not fit together"):
        replace(TINY_PRESET, text=FULL_PRESET.text)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_random_weights_fill_everything_in_the_chosen_type(dtype: torch.dtype) -> None:
    with torch.device("meta"):
        dit = DiT(TINY_PRESET.dit)
    randomise_weights(dit, seed=0, placement=Placement(dtype=dtype))
    assert {weight.dtype for weight in dit.parameters()} == {dtype}
    assert not any(weight.is_meta or weight.requires_grad for weight in dit.parameters())
    assert all(0.001 < weight.float().abs().mean() < 2 for weight in dit.parameters())


def test_byte_tokens_fit_the_tiny_vocabulary_and_the_longest_prompt() -> None:
    tokens = tokenise_bytes("é" * 600)
    assert len(tokens) == 512
    assert max(tokens) < TINY_PRESET.text.vocabulary
    assert tokens[-1] == 1
    assert tokenise_bytes("") == [1]


def save_official_layout(encoders: Encoders, folder: Path) -> None:
    torch.save(encoders.vae.state_dict(), folder / "Wan2.1_VAE.pth")
    names = (line.split("\t")[0] for line in (GOLDEN / "t5_keys.txt").read_text().splitlines())
    weights = encoders.text.network.state_dict()
    official = {name: weights[map_text_key(name)] for name in names if map_text_key(name) in weights}
    torch.save(official, folder / "models_t5_umt5-xxl-enc-bf16.pth")
    (folder / "google" / "umt5-xxl").mkdir(parents=True)
    Tokenizer(WordLevel({"<unk>": 0, "speak": 5}, "<unk>")).save(
        str(folder / "google/umt5-xxl/tokenizer.json")
    )
    (folder / "google/umt5-xxl/tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}'
    )
    audio = folder / AUDIO_FOLDER
    TINY_PRESET.audio.to_wav2vec2().save_pretrained(audio)
    save_file(encoders.audio.network.state_dict(), audio / "model.safetensors")


def test_opens_a_folder_laid_out_like_the_official_one(tmp_path: Path) -> None:
    random = build_random_encoders(TINY_PRESET, seed=5)
    save_official_layout(random, tmp_path)
    wave = np.ones(4000, np.float32)
    latent = torch.ones(1, 16, 2, 2, 2)
    vae = open_vae(tmp_path, Placement(), TINY_PRESET.vae)
    text = open_text_encoder(tmp_path, TINY_PRESET.text, dtype=torch.float32)
    assert torch.equal(open_audio_encoder(tmp_path / AUDIO_FOLDER)(wave), random.audio(wave))
    assert torch.equal(vae.decode(latent), random.vae.decode(latent))
    assert torch.equal(text.encode("speak"), TextEncoder(random.text.network, lambda _: [5]).encode(""))


def test_tensors_of_the_autoencoder_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    torch.save(
        {name: torch.zeros(1) for name in build_random_encoders(TINY_PRESET, seed=0).vae.state_dict()},
        tmp_path / "Wan2.1_VAE.pth",
    )
    with pytest.raises(WeightsError, match="of another shape: conv1"):
        open_vae(tmp_path, Placement(), TINY_PRESET.vae)
    with pytest.raises(WeightsError, match=r"Wan2\.1_VAE\.pth is missing"):
        open_vae(tmp_path / "nowhere", Placement())
