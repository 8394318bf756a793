# ruff: noqa: N803  (names carry their shape, by the legend below)
"""A stream of latents, drawn block by block: the state of one session.

Shapes: A voices, L layers of the audio encoder, C channels, P pictures, T latent frames, H rows, W columns.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from liveavatar.dit.cache import MakeMemory, Rings, RingShape
from liveavatar.dit.config import StreamConfig
from liveavatar.dit.layers import KeyValue
from liveavatar.dit.model import DiT, Given
from liveavatar.dit.rope import REFERENCE_FRAME, block_positions, sink_positions
from liveavatar.dit.sampler import TRAIN_STEPS, clip_noise, euler_step, sigmas


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all streams of one portrait share: text and sink keys for every layer, height and width of its latents."""

    text: Sequence[KeyValue]
    sink: Sequence[KeyValue]
    height: int
    width: int


class LatentStream:
    """Turns audio features into latents. Drawing a block again, until the next is begun, gives the same again."""

    def __init__(
        self, model: DiT, scene: Scene, config: StreamConfig, seed: int, rings: MakeMemory = Rings
    ) -> None:
        self.config = config
        self._model = model
        self._scene = scene
        self._seed = seed
        self._rows, self._columns = scene.height // model.config.patch, scene.width // model.config.patch
        self._sigmas = sigmas(config.steps, config.shift)
        self._times = model.time([TRAIN_STEPS * sigma for sigma in self._sigmas[:-1]])
        self._rings = rings(self._shape(), model.like)
        self._noise: tuple[int, Tensor] | None = None
        self.set_sink(scene.sink)

    def _shape(self) -> RingShape:
        return RingShape(
            layers=self._model.config.layers,
            steps=self.config.steps,
            blocks=self.config.clip_blocks,
            block=self.config.block_latents * self._rows * self._columns,
            sink=self._scene.sink[0].k.shape[1],
            portrait=self._rows * self._columns,
            heads=self._model.config.heads,
            head_dim=self._model.config.head_dim,
        )

    def set_sink(self, sink: Sequence[KeyValue]) -> None:
        """Look at another portrait and past from now on; what was drawn is still remembered."""
        positions = sink_positions(REFERENCE_FRAME, self._rows, self._columns)
        self._rings.set_sink(sink, self._model.rope(positions))

    def draw(self, block: int, features_ALCP: Tensor, mask_AN: Tensor | None = None) -> Iterator[Tensor]:
        """Draw block number `block`: the latent [1, C, T, H, W] after each denoising step, the last one being clean.

        Args:
            block: the one after the last that was drawn to its end, or that one again.
            features_ALCP: what is said during the block, at 25 a second.
            mask_AN: which tokens each of several voices reaches.
        """
        start = block * self.config.block_latents
        positions = block_positions(start, self.config.block_latents, self._rows, self._columns)
        self._place_portrait(start, self._distance(block))
        given = Given(
            text=self._scene.text,
            rope=self._model.rope(positions),
            hearing=self._model.hear(features_ALCP),
            mask=mask_AN,
        )
        latent = self._block_noise(block)
        for step, time in enumerate(self._times):
            velocity = self._model(latent, time, given, self._rings.step(step, block))
            latent = euler_step(latent, velocity, self._sigmas[step], self._sigmas[step + 1])
            yield latent

    def _place_portrait(self, start: int, distance: int) -> None:
        """The portrait stands at frame 30 until the stream comes within `distance` of it; then it goes ahead of it."""
        frame = REFERENCE_FRAME + max(0, start - (REFERENCE_FRAME - distance))
        positions = block_positions(frame, 1, self._rows, self._columns)
        self._rings.turn_portrait(self._model.rope(positions))

    def _distance(self, block: int) -> int:
        return random.Random((self._seed << 32) + block).randint(*self.config.distance)

    def _block_noise(self, block: int) -> Tensor:
        clip, index = divmod(block, self.config.clip_blocks)
        if self._noise is None or self._noise[0] != clip:
            size = (
                self._model.config.channels,
                self.config.clip_latents,
                self._scene.height,
                self._scene.width,
            )
            self._noise = clip, clip_noise(clip, self._seed, size, self._model.like)
        frames = self.config.block_latents
        return self._noise[1][None, :, index * frames : (index + 1) * frames]
