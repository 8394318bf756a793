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

from liveavatar.dit.audio_tokens import Hearing
from liveavatar.dit.cache import MakeMemory, Rings
from liveavatar.dit.config import StreamConfig
from liveavatar.dit.layers import KeyValue, Memory
from liveavatar.dit.model import DiT, Given, Time
from liveavatar.dit.rope import Rope
from liveavatar.dit.sampler import TRAIN_STEPS, euler_step, sigmas
from liveavatar.dit.scenery import Scene, Scenery
from liveavatar.errors import OptionError


@dataclass(frozen=True, slots=True)
class WaveLayer:
    """One layer's memory of every block in the pass."""

    members: Sequence[Memory]

    def attend(self, q_BNHK: Tensor, k_BNHK: Tensor, v_BNHK: Tensor) -> Tensor:
        """Every block looks at the ring of its own step."""
        parts = zip(self.members, *(torch.split(part, 1) for part in (q_BNHK, k_BNHK, v_BNHK)), strict=True)
        return torch.cat([memory.attend(q, k, v) for memory, q, k, v in parts])


@dataclass(slots=True)
class Member:
    """A block on its way: its number, its latent, what is said during it, and its next step."""

    block: int
    latent: Tensor
    hearing: list[Hearing]
    rope: Rope
    step: int = 0


class Wavefront:
    """Turns audio features into latents, block by block, several at once."""

    def __init__(self, model: DiT, scene: Scene, config: StreamConfig, seed: int, rings: MakeMemory) -> None:
        """`rings` makes rings in which every step has a sink of its own.

        Raises:
            OptionError: rings that are not on the device cannot be read several at a time.
        """
        self.config = config
        self._model = model
        self._text = scene.text
        self._scenery = Scenery(model, scene, config, seed)
        self._ropes = [self._scenery.moving(config.block_latents) for _ in range(config.steps)]
        self._sigmas = sigmas(config.steps, config.shift)
        self._times = model.time([TRAIN_STEPS * sigma for sigma in self._sigmas[:-1]])
        memory = rings(self._scenery.shape, model.like)
        if not isinstance(memory, Rings):
            raise OptionError(
                "the wavefront needs rings in the memory of the GPU", "leave it out, or use a larger card"
            )
        self._rings = memory
        self._sinks: dict[int, Sequence[KeyValue]] = {}
        self.start(0)
        self._rings.set_sink(scene.sink, self._scenery.sink_rope())

    def start(self, block: int) -> None:
        """Leave everything that is on its way, and begin anew with `block`, which remembers nothing but the sink."""
        self._first = self.next = block
        self._members: deque[Member] = deque()
        for sink in self._sinks.values():
            self._rings.set_sink(sink, self._scenery.sink_rope())
        self._sinks.clear()

    def set_sink(self, sink: Sequence[KeyValue]) -> None:
        """Look at another portrait and past from the block on that goes in next."""
        self._sinks[self.next] = sink

    def push(self, features_ALCP: Tensor | None) -> Tensor | None:
        """Let block `next` in, or None where no more come, and take a step with all that are on their way.

        Returns the latent [1, C, T, H, W] of the one that is done now, if one is.
        """
        if features_ALCP is not None:
            self._enter(features_ALCP)
        return self._pass() if self._members else None

    def flush(self) -> Iterator[Tensor]:
        """Nothing more comes: the latents of the blocks on their way."""
        while self._members:
            if (latent := self.push(None)) is not None:
                yield latent

    @property
    def busy(self) -> bool:
        """Whether blocks are on their way."""
        return bool(self._members)

    def _enter(self, features_ALCP: Tensor) -> None:
        block = self.next
        self.next += 1
        rope = self._ropes[block % len(self._ropes)].place(self._scenery.start(block))
        hearing = self._model.hear(features_ALCP)
        self._members.appendleft(Member(block, self._scenery.noise(block), hearing, rope))

    def _pass(self) -> Tensor | None:
        """One step for every block on its way; the last one may be done."""
        members = list(self._members)
        memories = [self._memory(member) for member in members]
        given = Given(
            text=self._text,
            rope=Rope(
                *(torch.cat(parts) for parts in zip(*(member.rope for member in members), strict=True))
            ),
            hearing=[joined(parts) for parts in zip(*(member.hearing for member in members), strict=True)],
        )
        time = together([self._times[member.step] for member in members])
        layers = [WaveLayer(layer) for layer in zip(*memories, strict=True)]
        velocity = self._model(torch.cat([member.latent for member in members]), time, given, layers)
        for member, change in zip(members, torch.split(velocity, 1), strict=True):
            here, there = self._sigmas[member.step : member.step + 2]
            member.latent = euler_step(member.latent, change, here, there)
            member.step += 1
        return self._members.pop().latent if members[-1].step == self.config.steps else None

    def _memory(self, member: Member) -> Sequence[Memory]:
        """The ring of a block's next step, with the sink where it stands for this block."""
        step, only = member.step, [member.step]
        if (sink := self._sinks.get(member.block)) is not None:
            self._rings.set_sink(sink, self._scenery.sink_rope(), only)
            if step == self.config.steps - 1:
                del self._sinks[member.block]
        self._rings.turn_portrait(self._scenery.portrait_rope(member.block), only)
        return self._rings.step(step, member.block - self._first)


def joined(parts: Sequence[Hearing]) -> Hearing:
    """What is said during several blocks, block after block."""
    given = KeyValue(*(torch.cat(kept) for kept in zip(*(part.given for part in parts), strict=True)))
    return Hearing(
        torch.cat([part.shift for part in parts]), torch.cat([part.scale for part in parts]), given
    )


def together(times: Sequence[Time]) -> Time:
    """Several noise levels, one for each block."""
    return Time(
        torch.cat([time.blocks for time in times], dim=2), torch.cat([time.head for time in times], dim=1)
    )
