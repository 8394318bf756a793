# ruff: noqa: N803  (names carry their shape, by the legend below)
"""A stream of latents, drawn block by block: the state of one session.

Shapes: A voices, L layers of the audio encoder, C channels, P pictures, T latent frames, H rows, W columns.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from torch import Tensor

from liveavatar.dit.audio_tokens import Hearing
from liveavatar.dit.cache import MakeMemory, Rings
from liveavatar.dit.config import StreamConfig
from liveavatar.dit.graphs import Graphs, Pace
from liveavatar.dit.layers import Block, KeyValue, Memory
from liveavatar.dit.model import DiT, Given
from liveavatar.dit.sampler import TRAIN_STEPS, euler_step, sigmas
from liveavatar.dit.scenery import Scene, Scenery


class LatentStream:
    """Turns audio features into latents. Drawing a block again, until the next is begun, gives the same again.

    Everything that a denoising step reads and writes stays where it is in memory, so that a step can be recorded.
    """

    def __init__(
        self, model: DiT, scene: Scene, config: StreamConfig, seed: int, rings: MakeMemory = Rings,
        *, graphs: bool = False,
    ) -> None:  # fmt: skip
        self.config = config
        self._model = model
        self._text = scene.text
        self._scenery = Scenery(model, scene, config, seed)
        self._sigmas = sigmas(config.steps, config.shift)
        self._times = model.time([TRAIN_STEPS * sigma for sigma in self._sigmas[:-1]])
        self._rings = rings(self._scenery.shape, model.like)
        self._rope = self._scenery.moving(config.block_latents)
        noise = self._scenery.noise(0)
        self._latents = [noise.clone() for _ in range(config.steps + 1)]
        self._hearing: list[Hearing] = []
        self._graphs = Graphs(enabled=graphs)
        self._layers = list(model.blocks)
        self._pace = Pace(noise.device)
        self.set_sink(scene.sink)

    def set_sink(self, sink: Sequence[KeyValue]) -> None:
        """Look at another portrait and past from now on; what was drawn is still remembered."""
        self._rings.set_sink(sink, self._scenery.sink_rope())

    def draw(self, block: int, features_ALCP: Tensor, mask_AN: Tensor | None = None) -> Iterator[Tensor]:
        """Draw block number `block`: the latent [1, C, T, H, W] after each denoising step, the last one being clean.

        Args:
            block: the one after the last that was drawn to its end, or that one again.
            features_ALCP: what is said during the block, at 25 a second.
            mask_AN: which tokens each of several voices reaches.
        """
        self._rings.turn_portrait(self._scenery.portrait_rope(block))
        rope = self._rope.place(self._scenery.start(block))
        self._hear(features_ALCP)
        given = Given(text=self._text, rope=rope, hearing=self._hearing, mask=mask_AN)
        self._latents[0].copy_(self._scenery.noise(block))
        recorded = self._may_be_recorded(block) and mask_AN is None
        for step in range(self.config.steps):
            advance = partial(self._advance, step, given, self._rings.step(step, block))
            if recorded:
                self._graphs.run(step, advance)
            else:
                advance()
            self._pace.step()
            yield self._latents[step + 1].clone()

    def _may_be_recorded(self, block: int) -> bool:
        """Once a whole ring has been seen, nothing is left to compile; until weights move to host memory."""
        layers = list(self._model.blocks)
        if layers != self._layers:
            self._layers = layers
            self._graphs.forget()
        return block >= self.config.clip_blocks and all(type(layer) is Block for layer in layers)

    def put_aside(self, block: int) -> bool:
        """Keep what the first step of `block` will overwrite; False where memory cannot do that."""
        if not isinstance(self._rings, Rings):
            return False
        self._rings.put_aside(0, block)
        return True

    def put_back(self) -> None:
        """Undo what was drawn since the last `put_aside`, which is a first step."""
        if isinstance(self._rings, Rings):
            self._rings.put_back()

    def _advance(self, step: int, given: Given, memory: Sequence[Memory]) -> None:
        """One denoising step, from one place in memory to the next."""
        latent = self._latents[step]
        velocity = self._model(latent, self._times[step], given, memory)
        self._latents[step + 1].copy_(
            euler_step(latent, velocity, self._sigmas[step], self._sigmas[step + 1])
        )

    def _hear(self, features_ALCP: Tensor) -> None:
        """What is said, put where the last block's was, unless there are more or fewer voices now."""
        heard = self._model.hear(features_ALCP)
        if [part.shift.shape for part in heard] != [part.shift.shape for part in self._hearing]:
            self._hearing = heard
            self._graphs.forget()
            return
        for kept, new in zip(self._hearing, heard, strict=True):
            for target, source in zip(
                (kept.shift, kept.scale, *kept.given), (new.shift, new.scale, *new.given), strict=True
            ):
                target.copy_(source)
