# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The latents of one session, denoised block by block.

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
    """Turns audio features into latents. Until the next block is begun, a block can be computed again.

    A denoising step reads and writes tensors at fixed addresses, so that it can be recorded as a CUDA graph.
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
        """Replace the portrait and the past before the stream; the blocks computed so far stay in the cache."""
        self._cache.set_sink(sink, self._context.sink_rope())

    def denoise_block(
        self, block: int, features_ALCP: Tensor, mask_AN: Tensor | None = None
    ) -> Iterator[Tensor]:
        """The latent [1, C, T, H, W] of a block after each denoising step; the last is clean.

        Args:
            block: number of the block: the one after the last complete one, or that one again.
            features_ALCP: audio features during the block, 25 a second.
            mask_AN: the tokens that each of several voices reaches.
        """
        self._cache.move_portrait(self._context.portrait_rope(block))
        rope = self._block_rope.move_to(self._context.first_latent(block))
        self._set_audio(features_ALCP)
        inputs = BlockInputs(text=self._text, rope=rope, audio=self._audio, voice_mask=mask_AN)
        self._latents[0].copy_(self._context.block_noise(block))
        can_record = self._can_record(block) and mask_AN is None
        for step in range(self.config.steps):
            run_step = partial(self._run_step, step, inputs, self._cache.prepare_layers(step, block))
            if can_record:
                self._graphs.run_recorded(step, run_step)
            else:
                run_step()
            self._throttle.wait_previous_step()
            yield self._latents[step + 1].clone()

    def _can_record(self, block: int) -> bool:
        """Whether the shapes are final, because the ring is full, and no weights lie in host memory."""
        blocks = list(self._model.blocks)
        if blocks != self._blocks:  # some were offloaded since
            self._blocks = blocks
            self._graphs.clear()
        return block >= self.config.clip_blocks and all(type(layer) is TransformerBlock for layer in blocks)

    def snapshot(self, block: int) -> bool:
        """Save what the first step of `block` will overwrite; False if the cache cannot."""
        if not isinstance(self._cache, RingKVCache):
            return False
        self._cache.snapshot(0, block)
        return True

    def restore(self) -> None:
        """Undo the first step that was computed since the last `snapshot`."""
        if isinstance(self._cache, RingKVCache):
            self._cache.restore()

    def _run_step(self, step: int, inputs: BlockInputs, caches: Sequence[LayerCache]) -> None:
        """One denoising step, from its input latent to the next."""
        latent = self._latents[step]
        velocity = self._model(latent, self._modulations[step], inputs, caches)
        self._latents[step + 1].copy_(
            euler_step(latent, velocity, self._sigmas[step], self._sigmas[step + 1])
        )

    def _set_audio(self, features_ALCP: Tensor) -> None:
        """Replace the audio of the last block, in place unless the number of voices changed."""
        audio = self._model.encode_audio_block(features_ALCP)
        if [part.shift.shape for part in audio] != [part.shift.shape for part in self._audio]:
            self._audio = audio
            self._graphs.clear()
            return
        for old, new in zip(self._audio, audio, strict=True):
            for target, source in zip(
                (old.shift, old.scale, *old.key_value), (new.shift, new.scale, *new.key_value), strict=True
            ):
                target.copy_(source)
