# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The throughput mode: as many consecutive blocks at once as there are denoising steps, each at another step.

Step s of block b needs what step s of the blocks before it left in the ring of step s, and step s - 1 of its own.
So, in one pass, block b takes its first step, block b - 1 its second, and so on: the same numbers as one after the
other, with every weight read once a block instead of once a step. A block comes out as many passes after it went in
as there are steps, less one, and its frames wait for the sound of the blocks behind it: for recordings.

Shapes: A voices (1), L layers of the audio encoder, B blocks in the pass, C channels, P pictures, T latent frames,
H rows, W columns or heads, K channels of a head, D channels, N tokens.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
from liveavatar.errors import OptionError


@dataclass(frozen=True, slots=True)
class WavefrontLayerCache:
    """One layer's memory of every block in the pass."""

    caches: Sequence[LayerCache]

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Every block looks at the ring of its own step."""
        parts = zip(self.caches, *(torch.split(part, 1) for part in (q_BNHK, k_BNHK, v_BNHK)), strict=True)
        return torch.cat([memory.attend(q, k, v) for memory, q, k, v in parts])


@dataclass(slots=True)
class InFlightBlock:
    """A block on its way: its number, its latent, what is said during it, and its next step."""

    block: int
    latent: Tensor
    audio: list[AudioConditioning]
    rope: Rope
    step: int = 0


class WavefrontStream:
    """Turns audio features into latents, block by block, several at once."""

    def __init__(
        self, model: DiT, conditioning: Conditioning, config: StreamConfig, seed: int, make_cache: MakeKVCache
    ) -> None:
        """`rings` makes rings in which every step has a sink of its own.

        Raises:
            OptionError: rings that are not on the device cannot be read several at a time.
        """
        self.config = config
        self._model = model
        self._text = conditioning.text
        self._context = StreamContext(model, conditioning, config, seed)
        self._block_ropes = [
            self._context.make_moving_rope(config.block_latents) for _ in range(config.steps)
        ]
        self._sigmas = compute_sigmas(config.steps, config.shift)
        self._modulations = model.compute_modulations([TRAIN_STEPS * sigma for sigma in self._sigmas[:-1]])
        memory = make_cache(self._context.ring_shape, model.template_tensor, kernel=model.attention_kernel)
        if not isinstance(memory, RingKVCache):
            raise OptionError(
                "the wavefront needs rings in the memory of the GPU", "leave it out, or use a larger card"
            )
        self._cache = memory
        self._pending_sinks: dict[int, Sequence[KeyValue]] = {}
        self.restart_at(0)
        self._cache.set_sink(conditioning.sink, self._context.sink_rope())

    def restart_at(self, block: int) -> None:
        """Leave everything that is on its way, and begin anew with `block`, which remembers nothing but the sink."""
        self._first_block = self.next_block = block
        self._in_flight: deque[InFlightBlock] = deque()
        for sink in self._pending_sinks.values():
            self._cache.set_sink(sink, self._context.sink_rope())
        self._pending_sinks.clear()

    def set_sink(self, sink: Sequence[KeyValue]) -> None:
        """Look at another portrait and past from the block on that goes in next."""
        self._pending_sinks[self.next_block] = sink

    def push(self, features_ALCP: Tensor | None) -> Tensor | None:
        """Let block `next` in, or None where no more come, and take a step with all that are on their way.

        Returns the latent [1, C, T, H, W] of the one that is done now, if one is.
        """
        if features_ALCP is not None:
            self._admit_block(features_ALCP)
        return self._step_blocks() if self._in_flight else None

    def flush(self) -> Iterator[Tensor]:
        """Nothing more comes: the latents of the blocks on their way."""
        while self._in_flight:
            if (latent := self.push(None)) is not None:
                yield latent

    @property
    def is_busy(self) -> bool:
        """Whether blocks are on their way."""
        return bool(self._in_flight)

    def _admit_block(self, features_ALCP: Tensor) -> None:
        block = self.next_block
        self.next_block += 1
        rope = self._block_ropes[block % len(self._block_ropes)].move_to(self._context.first_latent(block))
        hearing = self._model.encode_audio_block(features_ALCP)
        self._in_flight.appendleft(InFlightBlock(block, self._context.block_noise(block), hearing, rope))

    def _step_blocks(self) -> Tensor | None:
        """One step for every block on its way; the last one may be done."""
        members = list(self._in_flight)
        memories = [self._prepare_layers(member) for member in members]
        given = BlockInputs(
            text=self._text,
            rope=Rope(
                *(torch.cat(parts) for parts in zip(*(member.rope for member in members), strict=True))
            ),
            audio=[
                concat_audio_conditioning(parts)
                for parts in zip(*(member.audio for member in members), strict=True)
            ],
        )
        time = concat_time_modulations([self._modulations[member.step] for member in members])
        layers = [WavefrontLayerCache(layer) for layer in zip(*memories, strict=True)]
        velocity = self._model(torch.cat([member.latent for member in members]), time, given, layers)
        for member, change in zip(members, torch.split(velocity, 1), strict=True):
            here, there = self._sigmas[member.step : member.step + 2]
            member.latent = euler_step(member.latent, change, here, there)
            member.step += 1
        return self._in_flight.pop().latent if members[-1].step == self.config.steps else None

    def _prepare_layers(self, target: InFlightBlock) -> Sequence[LayerCache]:
        """The ring of a block's next step, with the sink where it stands for this block."""
        step, only = target.step, [target.step]
        if (sink := self._pending_sinks.get(target.block)) is not None:
            self._cache.set_sink(sink, self._context.sink_rope(), only)
            if step == self.config.steps - 1:
                del self._pending_sinks[target.block]
        self._cache.move_portrait(self._context.portrait_rope(target.block), only)
        return self._cache.prepare_layers(step, target.block - self._first_block)


def concat_audio_conditioning(parts: Sequence[AudioConditioning]) -> AudioConditioning:
    """What is said during several blocks, block after block."""
    given = KeyValue(*(torch.cat(kept) for kept in zip(*(part.key_value for part in parts), strict=True)))
    return AudioConditioning(
        torch.cat([part.shift for part in parts]), torch.cat([part.scale for part in parts]), given
    )


def concat_time_modulations(times: Sequence[TimeModulation]) -> TimeModulation:
    """Several noise levels, one for each block."""
    return TimeModulation(
        torch.cat([time.blocks for time in times], dim=2), torch.cat([time.head for time in times], dim=1)
    )
