from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from drawn import draw
from liveavatar.errors import WeightsError
from liveavatar.face.picture import read_picture
from liveavatar.sync.mfcc import compute_mfcc
from liveavatar.sync.syncnet import (
    MAX_SHIFT_FRAMES,
    build_syncnet,
    compute_syncnet_score,
    embed_lips,
    embed_sound,
    extract_face_crops,
    load_syncnet,
    read_first_sound,
    score_syncnet,
)
from liveavatar.video.writer import VideoWriter
from sync.conftest import ASSETS

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "syncnet.safetensors")


@pytest.fixture(scope="module")
def network() -> Any:
    net = build_syncnet()
    net.load_state_dict(draw({name: p.shape for name, p in net.named_parameters()}, 31), strict=False)
    return net


def test_has_the_size_of_the_public_network(network: Any) -> None:
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(13.63e6, rel=1e-3)


def test_embeds_sound_as_the_reference_does(network: Any) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(
            embed_sound(network, GOLDEN["aud_in"]), GOLDEN["aud_out"], rtol=1e-4, atol=1e-4
        )


def test_embeds_lips_as_the_reference_does(network: Any) -> None:
    pictures = torch.rand(1, 3, 5, 224, 224, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        torch.testing.assert_close(embed_lips(network, pictures), GOLDEN["lip_out"], rtol=1e-4, atol=1e-3)


def test_reads_a_checkpoint_and_refuses_others(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "syncnet_v2.model"
    state = network.state_dict()
    torch.save({name: value for name, value in state.items() if "num_batches" not in name}, path)
    loaded = load_syncnet(path).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    torch.save({"other.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError):
        load_syncnet(path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError):
        load_syncnet(path)
    with pytest.raises(WeightsError):
        load_syncnet(tmp_path / "missing.model")


def test_the_cepstra_are_those_of_python_speech_features() -> None:
    """Its version 0.6 gives these for a chirp with a tone, at its tenth step."""
    time = np.arange(4000) / 16_000
    sound = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time) + 0.05 * np.cos(2 * np.pi * 3100 * time)
    found = compute_mfcc(sound.astype(np.float32))
    assert found.shape == (24, 13)
    expected = [20.1836, 5.2554, -3.6246, 17.1810, -46.7737, -38.5295, -0.7998, -50.7616, -15.8634,
                24.2013, -14.8964, 17.1651, 30.7329]  # fmt: skip
    np.testing.assert_allclose(found[10], expected, atol=2e-4)


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_scores_by_distance_over_shifts(late: int) -> None:
    """With networks that only pass on a number for each frame, lips that lag are found to lag."""
    values = np.random.default_rng(0).integers(0, 255, 80)
    pictures = np.repeat(np.roll(values, late).astype(np.uint8), 3 * 4).reshape(80, 2, 2, 3)
    cepstra = np.repeat(values.astype(np.float64), 4)[:, None] * np.ones(13)

    def as_is(value: torch.Tensor) -> torch.Tensor:
        return value

    network = {
        "netcnnlip": lambda x: x.mean(dim=(1, 3, 4)), "netfclip": as_is,
        "netcnnaud": lambda x: x.mean(dim=(1, 2))[:, ::4], "netfcaud": as_is,
    }  # fmt: skip
    found = compute_syncnet_score(network, pictures, cepstra, 80)
    assert found.offset_ms == 40 * late
    assert found.confidence > 50
    assert abs(late) <= MAX_SHIFT_FRAMES


@pytest.mark.slow
def test_scores_a_video(network: Any, photograph: Path, tmp_path: Path) -> None:
    checkpoint, video = tmp_path / "syncnet_v2.model", tmp_path / "still.mp4"
    torch.save(network.state_dict(), checkpoint)
    rgb = np.asarray(cv2.resize(read_picture(photograph), (240, 280)), np.uint8)
    with VideoWriter(video, Fraction(30), (240, 280), ASSETS / "demo_en.ogg") as writer:
        for _ in range(24):
            writer.write(rgb)
    pictures = extract_face_crops(video)
    assert pictures.shape == (20, 224, 224, 3)
    assert pictures[..., 2].mean() > pictures[..., 0].mean() + 10  # BGR: faces are red, and red is last
    assert len(read_first_sound(video)) == pytest.approx(0.8 * 16_000, abs=1100)
    found = score_syncnet(video, load_syncnet(checkpoint))
    assert found.distance > 0
    assert found.confidence >= 0
    assert abs(found.offset_ms) <= 600
