# ruff: noqa: N803  (names carry their shape, by the legend below)
"""A stream of latents, drawn block by block: the state of one session.

Shapes: A voices, L layers of the audio encoder, C channels, P pictures, T latent frames, H rows, W columns.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from torch import Tensor

from liveavatar.dit.model.audio_injector import AudioConditioning
from liveavatar.dit.model.layers import KeyValue, LayerCache, TransformerBlock
from liveavatar.dit.model.transformer import BlockInputs, DiT
from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.streaming.conditioning import Conditioning, StreamContext
from liveavatar.dit.streaming.cuda_graphs import CudaGraphCache, LaunchThrottle
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.scheduler import TRAIN_STEPS, compute_sigmas, euler_step


class LatentStream:
    """Turns audio features into latents. Drawing a block again, until the next is begun, gives the same again.

    Everything that a denoising step reads and writes stays where it is in memory, so that a step can be recorded.
    """

    def __init__(
        self,
        model: DiT,
        conditioning: Conditioning,
        config: StreamConfig,
        seed: int,
        make_cache: MakeKVCache = RingKVCache,
        *,
        record_graphs: bool = False,
    ) -> None:
        self.config = config
        self._model = model
        self._text = conditioning.text
        self._context = StreamContext(model, conditioning, config, seed)
        self._sigmas = compute_sigmas(config.steps, config.shift)
        self._modulations = model.compute_modulations([TRAIN_STEPS * sigma for sigma in self._sigmas[:-1]])
        self._cache = make_cache(
            self._context.ring_shape, model.template_tensor, kernel=model.attention_kernel
        )
        self._block_rope = self._context.make_moving_rope(config.block_latents)
        noise = self._context.block_noise(0)
        self._latents = [noise.clone() for _ in range(config.steps + 1)]
        self._audio: list[AudioConditioning] = []
        self._graphs = CudaGraphCache(enabled=record_graphs)
        self._blocks = list(model.blocks)
        self._throttle = LaunchThrottle(noise.device)
        self.set_sink(conditioning.sink)

    def set_sink(self, sink: Sequence[KeyValue]) -> None:
        """Look at another portrait and past from now on; what was drawn is still remembered."""
        self._cache.set_sink(sink, self._context.sink_rope())

    def denoise_block(
        self, block: int, features_ALCP: Tensor, mask_AN: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Draw block number `block`: the latent [1, C, T, H, W] after each denoising step, the last one being clean.

        Args:
            block: the one after the last that was drawn to its end, or that one again.
            features_ALCP: what is said during the block, at 25 a second.
            mask_AN: which tokens each of several voices reaches.
        """
        self._cache.move_portrait(self._context.portrait_rope(block))
        rope = self._block_rope.move_to(self._context.first_latent(block))
        self._set_audio(features_ALCP)
        given = BlockInputs(text=self._text, rope=rope, audio=self._audio, voice_mask=mask_AN)
        self._latents[0].copy_(self._context.block_noise(block))
        recorded = self._can_record(block) and mask_AN is None
        for step in range(self.config.steps):
            advance = partial(self._run_step, step, given, self._cache.prepare_layers(step, block))
            if recorded:
                self._graphs.run_recorded(step, advance)
            else:
                advance()
            self._throttle.wait_previous_step()
            yield self._latents[step + 1].clone()

    def _can_record(self, block: int) -> bool:
        """Once a whole ring has been seen, nothing is left to compile; until weights move to host memory."""
        layers = list(self._model.blocks)
        if layers != self._blocks:
            self._blocks = layers
            self._graphs.clear()
        return block >= self.config.clip_blocks and all(type(layer) is TransformerBlock for layer in layers)

    def snapshot(self, block: int) -> bool:
        """Keep what the first step of `block` will overwrite; False where memory cannot do that."""
        if not isinstance(self._cache, RingKVCache):
            return False
        self._cache.snapshot(0, block)
        return True

    def restore(self) -> None:
        """Undo what was drawn since the last `put_aside`, which is a first step."""
        if isinstance(self._cache, RingKVCache):
            self._cache.restore()

    def _run_step(self, step: int, inputs: BlockInputs, caches: Sequence[LayerCache]) -> None:
        """One denoising step, from one place in memory to the next."""
        latent = self._latents[step]
        velocity = self._model(latent, self._modulations[step], inputs, caches)
        self._latents[step + 1].copy_(
            euler_step(latent, velocity, self._sigmas[step], self._sigmas[step + 1])
        )

    def _set_audio(self, features_ALCP: Tensor) -> None:
        """What is said, put where the last block's was, unless there are more or fewer voices now."""
        heard = self._model.encode_audio_block(features_ALCP)
        if [part.shift.shape for part in heard] != [part.shift.shape for part in self._audio]:
            self._audio = heard
            self._graphs.clear()
            return
        for kept, new in zip(self._audio, heard, strict=True):
            for target, source in zip(
                (kept.shift, kept.scale, *kept.key_value), (new.shift, new.scale, *new.key_value), strict=True
            ):
                target.copy_(source)
