"""Inputs of a stream that do not depend on the audio: text, sink, noise and positions.

Shapes: B batch (1), C channels, T latent frames, H rows, W columns.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.rope import REFERENCE_FRAME, MovingRope, Rope, sink_positions
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.streaming.kv_cache import RingShape
from liveavatar.dit.streaming.scheduler import clip_noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """What the streams of one portrait share: keys and values of text and sink, height and width of the latents."""

    text: Sequence[KeyValue]
    sink: Sequence[KeyValue]
    height: int
    width: int


class StreamContext:
    """Noise, positions and sizes of one stream."""

    def __init__(self, model: DiT, conditioning: Conditioning, config: StreamConfig, seed: int) -> None:
        self._model = model
        self._conditioning = conditioning
        self._config = config
        self._seed = seed
        self.rows, self.columns = (
            conditioning.height // model.config.patch,
            conditioning.width // model.config.patch,
        )
        self._portrait_rope = self.make_moving_rope(1)
        self._clip_noise: tuple[int, Tensor] | None = None

    @property
    def ring_shape(self) -> RingShape:
        """The sizes of the stream's KV cache."""
        tokens = self.rows * self.columns
        return RingShape(
            layers=self._model.config.layers,
            steps=self._config.steps,
            blocks=self._config.clip_blocks,
            block_tokens=self._config.block_latents * tokens,
            sink_tokens=self._conditioning.sink[0].k.shape[1],
            portrait_tokens=tokens,
            heads=self._model.config.heads,
            head_dim=self._model.config.head_dim,
        )

    def make_moving_rope(self, frames: int) -> MovingRope:
        """Rotation of the tokens of `frames` latent frames of this size."""
        grid = (frames, self.rows, self.columns)
        return MovingRope(grid, self._model.config.head_dim, self._model.template_tensor.device)

    def sink_rope(self) -> Rope:
        """Rotation of a sink when it enters the cache."""
        return self._model.compute_rope(sink_positions(REFERENCE_FRAME, self.rows, self.columns))

    def first_latent(self, block: int) -> int:
        """The first latent frame of a block."""
        return block * self._config.block_latents

    def portrait_rope(self, block: int) -> Rope:
        """Rotation of the portrait for a block; valid until the next call.

        The portrait is at frame 30 until the stream is nearer than the block's distance, then that far ahead of it.
        """
        distance = random.Random((self._seed << 32) + block).randint(*self._config.sink_distance)
        ahead = max(0, self.first_latent(block) - (REFERENCE_FRAME - distance))
        return self._portrait_rope.move_to(REFERENCE_FRAME + ahead)

    def block_noise(self, block: int) -> Tensor:
        """The noise that a block starts from, [1, C, T, H, W]."""
        clip, index = divmod(block, self._config.clip_blocks)
        if self._clip_noise is None or self._clip_noise[0] != clip:
            channels, frames = self._model.config.channels, self._config.clip_latents
            size = (channels, frames, self._conditioning.height, self._conditioning.width)
            self._clip_noise = clip, clip_noise(clip, self._seed, size, self._model.template_tensor)
        frames = self._config.block_latents
        return self._clip_noise[1][None, :, index * frames : (index + 1) * frames]
