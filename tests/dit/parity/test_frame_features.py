from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from liveavatar.dit.parity.frame_features import bucket_by_clip, resample_to_30_hz

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "audio_bucket.safetensors")


@pytest.mark.parametrize("length", [149, 199, 333])
def test_features_are_those_of_the_reference(length: int) -> None:
    resampled = resample_to_30_hz(GOLDEN[f"h{length}"])
    torch.testing.assert_close(resampled, GOLDEN[f"z{length}"], rtol=0, atol=1e-6)
    columns = bucket_by_clip(resampled)
    assert columns.shape[2] == 48 * int(GOLDEN[f"n{length}"])
    torch.testing.assert_close(columns, GOLDEN[f"bucket{length}"], rtol=0, atol=1e-6)
