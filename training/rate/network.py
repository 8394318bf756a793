"""The PyTorch form of the network that `liveavatar.audio.analysis.sample_rate` runs in numpy."""

from pathlib import Path

import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray
from torch import Tensor, nn  # type: ignore[import-not-found, unused-ignore]

from liveavatar.audio.analysis.sample_rate import LOG_SPEEDS
from liveavatar.audio.analysis.sample_rate_features import FEATURE_COUNT

FIRST, SECOND, WIDE, EMBEDDING_WIDTH, HIDDEN = 64, 72, 88, 128, 96
TARGET_WIDTH = 0.05
"""Standard deviation of the soft targets in log speed: neighbouring bins are nearly right."""


class RateNet(nn.Module):  # type: ignore[misc, unused-ignore]
    """Segments of recordings to the speed of each recording; the embeddings of its segments are averaged.

    Attribute names are those of the weights in `rate.npz`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURE_COUNT, FIRST)
        self.second = nn.Conv1d(FIRST, SECOND, 5, stride=2)
        self.third = nn.Conv1d(SECOND, WIDE, 5, stride=2)
        self.near = nn.Conv1d(WIDE, WIDE, 3)
        self.far = nn.Conv1d(WIDE, WIDE, 3, dilation=4)
        self.look = nn.Linear(2 * WIDE, EMBEDDING_WIDTH)
        self.hidden = nn.Linear(EMBEDDING_WIDTH + 1, HIDDEN)
        self.speeds = nn.Linear(HIDDEN, len(LOG_SPEEDS))
        self.forget = nn.Dropout(0.15)

    def embed(self, segments: Tensor) -> Tensor:
        """Features [n, STEP_COUNT, FEATURE_COUNT] to embeddings [n, EMBEDDING_WIDTH]."""
        x = torch.relu(self.first(segments)).transpose(1, 2)
        x = torch.relu(self.second(x))
        x = torch.relu(self.third(x))
        x = x[..., 1:-1] + torch.relu(self.near(x))
        x = x[..., 4:-4] + torch.relu(self.far(x))
        pooled = torch.cat([x.mean(-1), x.std(-1, unbiased=False)], -1)
        return torch.relu(self.look(self.forget(pooled)))

    def classify(self, embeddings: Tensor, is_present: Tensor) -> Tensor:
        """Embeddings [n, segments, EMBEDDING_WIDTH] and the mask of present ones [n, segments] to logits [n, 81]."""
        count = is_present.sum(1, keepdim=True)
        mean = (embeddings * is_present[..., None]).sum(1) / count
        joined = torch.cat([self.forget(mean), torch.log2(count) / 5.0], -1)
        logits: Tensor = self.speeds(torch.relu(self.hidden(joined)))
        return logits


def make_soft_targets(log_speeds: Tensor) -> Tensor:
    """Probabilities of `LOG_SPEEDS` [n, 81] around the true speed; uniform where it is unknown (NaN)."""
    bins = torch.from_numpy(LOG_SPEEDS.astype(np.float32))
    distance = (bins - torch.nan_to_num(log_speeds)[:, None]) / TARGET_WIDTH
    near = torch.softmax(-0.5 * distance**2, 1)
    return torch.where(torch.isnan(log_speeds)[:, None], torch.full_like(near, 1 / len(LOG_SPEEDS)), near)


def export_weights(net: RateNet) -> dict[str, NDArray[np.float16]]:
    """Weights as `liveavatar.audio.analysis.sample_rate` reads them: [in, out], taps oldest first, float16."""
    exported = {}
    for name, value in net.state_dict().items():
        array = value.numpy()
        if array.ndim == 3:
            array = array.transpose(0, 2, 1).reshape(len(array), -1)
        exported[name] = array.T.astype(np.float16)
    return exported


def load_weights(net: RateNet, path: Path) -> None:
    """Load what `export_weights` returned."""
    state = net.state_dict()
    with np.load(path, allow_pickle=False) as data:
        for name, value in state.items():
            array = data[name].astype(np.float32).T
            if value.ndim == 3:
                array = array.reshape(value.shape[0], value.shape[2], value.shape[1]).transpose(0, 2, 1)
            value.copy_(torch.from_numpy(array.copy()))
