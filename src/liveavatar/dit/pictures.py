# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Pictures of one session, block by block: latents are drawn, and decoded behind the still past.

Shapes: B batch (1), L layers of the audio encoder, C channels, P pictures, T latent frames, H rows, W columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from liveavatar.dit.cache import MakeMemory, Rings
from liveavatar.dit.config import StreamConfig
from liveavatar.dit.decoding import Decoding, Pending
from liveavatar.dit.layers import KeyValue
from liveavatar.dit.model import DiT
from liveavatar.dit.packer import HISTORY
from liveavatar.dit.scenery import Scene
from liveavatar.dit.speed import EXACT, Speed
from liveavatar.dit.stream import LatentStream
from liveavatar.dit.vae import FRAMES_PER_LATENT, VAE, StreamingDecoder
from liveavatar.dit.wavefront import Wavefront

STILL_PICTURES = 1 + FRAMES_PER_LATENT * (HISTORY - 1)
"""Copies of the portrait that make the still past: 73 pictures, 19 latent frames."""

WARM_LATENTS = 7
"""Latent frames of the still past that are decoded, and not shown, before the first block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A portrait ready to move: what all its sessions share. `decoder` has decoded the still past."""

    scene: Scene
    past: Tensor
    decoder: StreamingDecoder


def prepare_still(dit: DiT, vae: VAE, portrait_BCHW: Tensor, prompt_LD: Tensor) -> Still:
    """Encode a portrait, RGB in -1…1, whose sides are multiples of 64, and everything that depends on it alone."""
    picture = portrait_BCHW[:, :, None]
    past = vae.encode(picture.expand(-1, -1, STILL_PICTURES, -1, -1))
    text = dit.read(prompt_LD)
    height, width = past.shape[-2:]
    scene = Scene(text=text, sink=dit.sink(past[:, :, :1], past, text), height=height, width=width)
    decoder = StreamingDecoder(vae)
    decoder.push(past[:, :, :WARM_LATENTS])
    return Still(scene=scene, past=past, decoder=decoder)


class PictureStream:
    """The state of one session. After the first clip its first latent takes the portrait's place in the sink.

    The next block's first step can be drawn ahead, beside the decoding of this one (`begin`). It lies then where the
    oldest block was that this one still needs if it must be drawn again; so that is put aside, and put back.
    """

    def __init__(
        self, dit: DiT, still: Still, config: StreamConfig, seed: int,
        *, adaptive: bool, rings: MakeMemory = Rings, speed: Speed = EXACT,
    ) -> None:  # fmt: skip
        self.config = config
        self._dit = dit
        self._still = still
        self._latents = LatentStream(dit, still.scene, config, seed, rings, graphs=bool(speed.graphs))
        self._decoding = Decoding(dit.like.device, beside=bool(speed.vae_stream))
        self._adaptive = adaptive
        self._portrait: Tensor | None = None
        self._drawn = -1
        self._begun: tuple[int, Iterator[Tensor]] | None = None
        self._before = self._after = still.decoder

    def draw(
        self, block: int, features_BLCP: Tensor, cancelled: Callable[[], bool] = lambda: False
    ) -> Pending | None:
        """Pictures of the next block or of the last one again; None if it was cancelled.

        A block that was begun goes on with the features that it was begun with.
        """
        latent = None
        for step in self._steps(block, features_BLCP):
            if cancelled():
                return None
            latent = step
        return None if latent is None else self._decode(block, latent)

    def _steps(self, block: int, features_BLCP: Tensor) -> Iterator[Tensor]:
        if self._begun is not None and self._begun[0] == block:
            steps, self._begun = self._begun[1], None
            return steps
        self.leave(block)
        if self._renews(block):
            self._latents.set_sink(self._renewed_sink())
        return self._latents.draw(block, features_BLCP)

    def begin(self, block: int, features_BLCP: Tensor) -> None:
        """Draw the first step of the block after the last one, ahead of its time."""
        if self._renews(block) or not self._latents.put_aside(block):
            return
        steps = self._latents.draw(block, features_BLCP)
        self._begun = block, steps  # first of all, so that `leave` undoes a step that runs out of memory
        next(steps)

    def leave(self, block: int) -> None:
        """Leave `block` and those after it, as if they had not been begun."""
        if self._begun is not None and self._begun[0] >= block:
            self._latents.put_back()
            self._begun = None

    def _renews(self, block: int) -> bool:
        return self._adaptive and block == self.config.clip_blocks

    def _renewed_sink(self) -> list[KeyValue]:
        portrait = self._still.past[:, :, :1] if self._portrait is None else self._portrait
        return self._dit.sink(portrait, self._still.past, self._still.scene.text)

    def _decode(self, block: int, latent: Tensor) -> Pending:
        if block == 0:
            self._portrait = latent[:, :, :1]
        if block != self._drawn:
            self._before, self._drawn = self._after, block
        self._after = self._before.fork()
        return self._decoding.start(self._after, latent)


class WavePictures:
    """The state of one session that draws several blocks at once (`wavefront`)."""

    def __init__(
        self, dit: DiT, still: Still, config: StreamConfig, seed: int,
        *, adaptive: bool, rings: MakeMemory, speed: Speed,
    ) -> None:  # fmt: skip
        self.config = config
        self._dit = dit
        self._still = still
        self._wave = Wavefront(dit, still.scene, config, seed, rings)
        self._decoding = Decoding(dit.like.device, beside=bool(speed.vae_stream))
        self._decoder = still.decoder.fork()
        self._adaptive = adaptive
        self._portrait = still.past[:, :, :1]
        self._any = False

    def draw(
        self, hear: Callable[[int], Tensor | None], *, ended: bool, cancelled: Callable[[], bool]
    ) -> Pending | None:
        """Pictures of the next block; None if cancelled, or while the sound of those that come in with it is missing.

        `hear` gives what is said during a block [B, L, C, P]; `ended` is whether what it does not give never comes.
        """
        while not cancelled():
            features = hear(self._wave.next)
            if features is None and not (ended and self._wave.busy):
                return None
            if features is not None and self._adaptive and self._wave.next == self.config.clip_blocks:
                self._wave.set_sink(self._dit.sink(self._portrait, self._still.past, self._still.scene.text))
            if (latent := self._wave.push(features)) is not None:
                return self._decode(latent)
        return None

    def leave(self, block: int) -> None:
        """Leave what is on its way, and go on with `block` as if a stream began.

        It cannot go on from the block before, since those that are left lie where that one's past was.
        """
        self._wave.start(block)

    def _decode(self, latent: Tensor) -> Pending:
        if not self._any:
            self._portrait, self._any = latent[:, :, :1], True
        return self._decoding.start(self._decoder, latent)
