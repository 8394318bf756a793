import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from transformers import HubertConfig, PreTrainedConfig, UMT5Config, Wav2Vec2Config, WavLMConfig

from drawn import SEEDS, draw
from liveavatar.dit.checkpoint.encoders import map_audio_key, open_audio_encoder
from liveavatar.dit.checkpoint.load import KeyMismatchError
from liveavatar.dit.codecs.audio_encoder import AudioEncoder, build_audio_network
from liveavatar.dit.codecs.clock import WAV2VEC2_CLOCK
from liveavatar.errors import OptionError, WeightsError

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "wav2vec2.safetensors")
SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "conv_dim": [16] * 7, "conv_bias": True, "feat_extract_norm": "layer", "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


def golden_weights() -> dict[str, Tensor]:
    """As the official checkpoint names them, with the heads for transcription and masking."""
    names = json.loads((Path(__file__).parents[2] / "golden" / "wav2vec2_keys.json").read_text())
    return draw(names, SEEDS["wav2vec2"])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wav2vec2", **SIZES}))
    save_file(golden_weights(), tmp_path / "model.safetensors")
    return tmp_path


def assert_golden(states: Tensor, encoder: AudioEncoder) -> None:
    """The golden file was made with transformers 5, whose last state is the one before the closing norm."""
    norm: Any = encoder.network.get_submodule("encoder.layer_norm")
    last = functional.layer_norm(GOLDEN["hidden"][-1], (32,), norm.weight, norm.bias, norm.eps)
    torch.testing.assert_close(states, torch.cat([GOLDEN["hidden"][:-1], last[None]]), rtol=0, atol=1e-5)


def test_encodes_as_the_reference_does(checkpoint: Path) -> None:
    encoder = open_audio_encoder(checkpoint)
    assert_golden(encoder(GOLDEN["audio"].numpy()), encoder)


def test_reads_older_checkpoints_too(checkpoint: Path) -> None:
    weights = golden_weights()
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        conv = "wav2vec2.encoder.pos_conv_embed.conv"
        weights[f"{conv}.{old}"] = weights.pop(f"{conv}.parametrizations.weight.{new}")
    (checkpoint / "model.safetensors").unlink()
    torch.save(weights, checkpoint / "pytorch_model.bin")
    encoder = open_audio_encoder(checkpoint)
    assert_golden(encoder(GOLDEN["audio"].numpy()), encoder)


def test_does_not_normalise_where_the_checkpoint_says_so(checkpoint: Path) -> None:
    wave = GOLDEN["audio"].numpy()
    loud = open_audio_encoder(checkpoint)
    (checkpoint / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    plain = open_audio_encoder(checkpoint)
    assert loud.needs_normalisation
    assert not plain.needs_normalisation
    assert torch.equal(plain(wave), plain.encode_normalised(wave))
    assert not torch.allclose(loud(wave), plain(wave), atol=1e-2)


def family() -> list[PreTrainedConfig]:
    base = {**SIZES, "feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False}
    return [kind(**sizes) for kind in (Wav2Vec2Config, HubertConfig, WavLMConfig) for sizes in (SIZES, base)]


@pytest.mark.parametrize("config", family(), ids=lambda c: f"{c.model_type}-{c.feat_extract_norm}")
def test_takes_every_model_type(config: PreTrainedConfig, tmp_path: Path) -> None:
    with torch.device("meta"):
        network = build_audio_network(config)
    weights = draw({name: tensor.shape for name, tensor in network.state_dict().items()}, seed=3)
    kind = config.model_type
    stored = {f"{kind}.{name}": tensor for name, tensor in weights.items()} | {
        "lm_head.weight": torch.ones(1)
    }
    save_file(stored, tmp_path / "model.safetensors")
    config.save_pretrained(tmp_path)
    wave = np.random.default_rng(0).standard_normal(4000, np.float32)
    states = open_audio_encoder(tmp_path)(wave)
    assert states.shape == (4, WAV2VEC2_CLOCK.steps_within(4000), 32)
    assert torch.isfinite(states).all()
    assert len({round(float(state.std()), 6) for state in states}) == 4


@pytest.mark.parametrize("length", [400, 719, 720, 4001])
def test_makes_as_many_steps_as_the_clock_says(checkpoint: Path, length: int) -> None:
    encoder = open_audio_encoder(checkpoint)
    assert encoder(np.ones(length, np.float32)).shape[1] == WAV2VEC2_CLOCK.steps_within(length)


def test_a_step_depends_on_its_own_samples_alone(checkpoint: Path) -> None:
    """The convolutions alone: a click changes the steps whose field it lies in."""
    extractor = open_audio_encoder(checkpoint).network.feature_extractor
    wave = torch.zeros(1, 8000)
    click = wave.clone()
    click[0, 3210] = 1
    changed = (extractor(click) != extractor(wave)).any(dim=1)[0].nonzero().flatten().tolist()  # type: ignore[operator]
    assert changed == [
        k
        for k in range(24)
        if k * WAV2VEC2_CLOCK.stride <= 3210 < k * WAV2VEC2_CLOCK.stride + WAV2VEC2_CLOCK.field
    ]


def test_gain_does_not_matter_with_normalisation(checkpoint: Path) -> None:
    encoder, wave = open_audio_encoder(checkpoint), GOLDEN["audio"].numpy()
    torch.testing.assert_close(
        encoder(np.float32(0.5) * wave + np.float32(0.1)), encoder(wave), rtol=0, atol=1e-4
    )


def test_half_precision_stays_close(checkpoint: Path) -> None:
    states = open_audio_encoder(checkpoint, dtype=torch.bfloat16)(GOLDEN["audio"].numpy())
    assert states.dtype == torch.float32
    assert (states[:-1] - GOLDEN["hidden"][:-1]).abs().mean() < 0.05


def test_refuses_too_little_sound(checkpoint: Path) -> None:
    encoder = open_audio_encoder(checkpoint)
    for length in (0, 399):
        with pytest.raises(OptionError, match="25 ms"):
            encoder(np.zeros(length, np.float32))


def test_refuses_models_of_another_type() -> None:
    with pytest.raises(WeightsError, match="wav2vec2, hubert, wavlm"):
        build_audio_network(UMT5Config())
    with pytest.raises(WeightsError, match="every 160 samples out of 240"):
        build_audio_network(
            Wav2Vec2Config(
                **{**SIZES, "conv_kernel": [10, 3, 3, 3, 3, 2, 1], "conv_stride": [5, 2, 2, 2, 2, 2, 1]}
            )
        )


def test_says_what_a_folder_lacks(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="holds no audio encoder"):
        open_audio_encoder(tmp_path / "nowhere")
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin is missing"):
        open_audio_encoder(checkpoint)


def test_names_the_tensors_that_do_not_fit(checkpoint: Path) -> None:
    weights = golden_weights() | {"adapter.weight": torch.ones(1)}
    del weights["wav2vec2.encoder.layer_norm.bias"]
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(KeyMismatchError) as raised:
        open_audio_encoder(checkpoint)
    assert raised.value.missing == ["encoder.layer_norm.bias"]
    assert raised.value.unexpected == ["adapter.weight"]


@pytest.mark.parametrize("key", ["lm_head.weight", "quantizer.codevectors", "hubert.masked_spec_embed"])
def test_leaves_out_what_only_training_needs(key: str) -> None:
    assert map_audio_key(key) is None
