# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Latents of a recording: as many consecutive blocks at once as there are denoising steps, each at another step.

Step s of block b needs the keys and values that step s of earlier blocks left in the ring of step s, and the latent of
its own step s - 1. So one pass of the transformer computes the first step of block b, the second of block b - 1, and
so on. The numbers are those of `latents.LatentStream`, but each weight is read once a block instead of once a step.
A block is done `steps` - 1 passes after it enters, when the sound of the blocks behind it is known.

Shapes: A voices (1), L layers of the audio encoder, B blocks in the pass, C channels, P pictures, T latent frames,
H rows, W columns or heads, K channels of a head, D channels, N tokens.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from liveavatar.dit.model.audio_injector import AudioConditioning
from liveavatar.dit.model.layers import KeyValue, LayerCache
from liveavatar.dit.model.rope import Rope
from liveavatar.dit.model.transformer import BlockInputs, DiT, TimeModulation
from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.streaming.conditioning import Conditioning, StreamContext
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.scheduler import TRAIN_STEPS, compute_sigmas, euler_step


@dataclass(frozen=True, slots=True)
class WavefrontLayerCache:
    """One layer's caches of the blocks in the pass."""

    caches: Sequence[LayerCache]

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Each block attends to the ring of its own step."""
        parts = zip(self.caches, *(torch.split(part, 1) for part in (q_BNHK, k_BNHK, v_BNHK)), strict=True)
        return torch.cat([cache.attend(q, k, v) for cache, q, k, v in parts])


@dataclass(slots=True)
class InFlightBlock:
    """A block between its first and last step; `step` is its next."""

    block: int
    latent: Tensor
    audio: list[AudioConditioning]
    rope: Rope
    step: int = 0


class WavefrontStream:
    """Turns audio features into latents, several blocks at once."""

    def __init__(
        self, model: DiT, conditioning: Conditioning, config: StreamConfig, seed: int, make_cache: MakeKVCache
    ) -> None:
        """`make_cache` makes a `RingKVCache` in which every step has a sink of its own (`steps_per_sink=1`)."""
        self.config = config
        self._model = model
        self._text = conditioning.text
        self._context = StreamContext(model, conditioning, config, seed)
        self._block_ropes = [
            self._context.make_moving_rope(config.block_latents) for _ in range(config.steps)
        ]
        self._sigmas = compute_sigmas(config.steps, config.shift)
        self._modulations = model.compute_modulations([TRAIN_STEPS * sigma for sigma in self._sigmas[:-1]])
        cache = make_cache(self._context.ring_shape, model.template_tensor, kernel=model.attention_kernel)
        self._cache = cast(RingKVCache, cache)  # the loader refuses the wavefront with a cache in host memory
        self._pending_sinks: dict[int, Sequence[KeyValue]] = {}
        self.restart_at(0)
        self._cache.set_sink(conditioning.sink, self._context.sink_rope())

    def restart_at(self, block: int) -> None:
        """Drop the blocks in flight; `block` is next, and attends to the sink alone."""
        self._first_block = self.next_block = block
        self._in_flight: deque[InFlightBlock] = deque()
        for sink in self._pending_sinks.values():
            self._cache.set_sink(sink, self._context.sink_rope())
        self._pending_sinks.clear()

    def set_sink(self, sink: Sequence[KeyValue]) -> None:
        """Replace the sink from the next block on; blocks in flight keep theirs."""
        self._pending_sinks[self.next_block] = sink

    def push(self, features_ALCP: Tensor | None) -> Tensor | None:
        """Admit block `next_block`, or none at the end of the sound, and compute a step of all blocks in flight.

        Returns the latent [1, C, T, H, W] of the block that is done, if one is.
        """
        if features_ALCP is not None:
            self._admit_block(features_ALCP)
        return self._step_blocks() if self._in_flight else None

    def flush(self) -> Iterator[Tensor]:
        """The latents of the blocks in flight, at the end of the sound."""
        while self._in_flight:
            if (latent := self.push(None)) is not None:
                yield latent

    @property
    def is_busy(self) -> bool:
        """Whether blocks are in flight."""
        return bool(self._in_flight)

    def _admit_block(self, features_ALCP: Tensor) -> None:
        block = self.next_block
        self.next_block += 1
        rope = self._block_ropes[block % len(self._block_ropes)].move_to(self._context.first_latent(block))
        audio = self._model.encode_audio_block(features_ALCP)
        self._in_flight.appendleft(InFlightBlock(block, self._context.block_noise(block), audio, rope))

    def _step_blocks(self) -> Tensor | None:
        """Compute one step of every block in flight; returns the latent of the oldest if it is done."""
        members = list(self._in_flight)
        layer_caches = [
            WavefrontLayerCache(caches) for caches in zip(*map(self._prepare_layers, members), strict=True)
        ]
        velocity = self._model(
            torch.cat([member.latent for member in members]),
            concat_time_modulations([self._modulations[member.step] for member in members]),
            self._concat_inputs(members),
            layer_caches,
        )
        for member, change in zip(members, torch.split(velocity, 1), strict=True):
            sigma, next_sigma = self._sigmas[member.step : member.step + 2]
            member.latent = euler_step(member.latent, change, sigma, next_sigma)
            member.step += 1
        return self._in_flight.pop().latent if members[-1].step == self.config.steps else None

    def _concat_inputs(self, members: Sequence[InFlightBlock]) -> BlockInputs:
        ropes = zip(*(member.rope for member in members), strict=True)
        audio = zip(*(member.audio for member in members), strict=True)
        return BlockInputs(
            text=self._text,
            rope=Rope(*(torch.cat(parts) for parts in ropes)),
            audio=[concat_audio_conditioning(parts) for parts in audio],
        )

    def _prepare_layers(self, member: InFlightBlock) -> Sequence[LayerCache]:
        """The ring of a block's next step, with the block's own sink and position of the portrait."""
        step, group = member.step, [member.step]
        if (sink := self._pending_sinks.get(member.block)) is not None:
            self._cache.set_sink(sink, self._context.sink_rope(), group)
            if step == self.config.steps - 1:
                del self._pending_sinks[member.block]
        self._cache.move_portrait(self._context.portrait_rope(member.block), group)
        return self._cache.prepare_layers(step, member.block - self._first_block)


def concat_audio_conditioning(parts: Sequence[AudioConditioning]) -> AudioConditioning:
    """The conditioning of several blocks, concatenated over the batch."""
    key_values = zip(*(part.key_value for part in parts), strict=True)
    return AudioConditioning(
        torch.cat([part.shift for part in parts]),
        torch.cat([part.scale for part in parts]),
        KeyValue(*(torch.cat(tensors) for tensors in key_values)),
    )


def concat_time_modulations(times: Sequence[TimeModulation]) -> TimeModulation:
    """The modulations of several noise levels, concatenated over the batch."""
    return TimeModulation(
        torch.cat([time.blocks for time in times], dim=2), torch.cat([time.head for time in times], dim=1)
    )
