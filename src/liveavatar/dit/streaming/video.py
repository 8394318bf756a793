# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Pictures of one session, block by block: latents are drawn, and decoded behind the still past.

Shapes: B batch (1), L layers of the audio encoder, C channels, P pictures, T latent frames, H rows, W columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from liveavatar.dit.codecs.vae import FRAMES_PER_LATENT, VAE, StreamingDecoder
from liveavatar.dit.model.frame_packer import HISTORY_LATENTS
from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import StreamConfig
from liveavatar.dit.plan.speed import EXACT_SPEED, SpeedOptions
from liveavatar.dit.streaming.conditioning import Conditioning
from liveavatar.dit.streaming.decoding import AsyncDecoder, PendingPictures
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.wavefront import WavefrontStream

STILL_PAST_PICTURES = 1 + FRAMES_PER_LATENT * (HISTORY_LATENTS - 1)
"""Copies of the portrait that make the still past: 73 pictures, 19 latent frames."""

WARM_UP_LATENTS = 7
"""Latent frames of the still past that are decoded, and not shown, before the first block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPortrait:
    """A portrait ready to move: what all its sessions share. `decoder` has decoded the still past."""

    conditioning: Conditioning
    past_latents: Tensor
    decoder: StreamingDecoder


def encode_portrait(dit: DiT, vae: VAE, portrait_BCHW: Tensor, prompt_LD: Tensor) -> PreparedPortrait:
    """Encode a portrait, RGB in -1…1, whose sides are multiples of 64, and everything that depends on it alone."""
    picture = portrait_BCHW[:, :, None]
    past = vae.encode(picture.expand(-1, -1, STILL_PAST_PICTURES, -1, -1))
    text = dit.project_text(prompt_LD)
    height, width = past.shape[-2:]
    scene = Conditioning(
        text=text, sink=dit.compute_sink(past[:, :, :1], past, text), height=height, width=width
    )
    decoder = StreamingDecoder(vae)
    decoder.push(past[:, :, :WARM_UP_LATENTS])
    return PreparedPortrait(conditioning=scene, past_latents=past, decoder=decoder)


class VideoStream:
    """The state of one session. After the first clip its first latent takes the portrait's place in the sink.

    The next block's first step can be drawn ahead, beside the decoding of this one (`begin`). It lies then where the
    oldest block was that this one still needs if it must be drawn again; so that is put aside, and put back.
    """

    def __init__(
        self, dit: DiT, portrait: PreparedPortrait, config: StreamConfig, seed: int,
        *, renew_sink: bool, make_cache: MakeKVCache = RingKVCache, speed: SpeedOptions = EXACT_SPEED,
    ) -> None:  # fmt: skip
        self.config = config
        self._dit = dit
        self._prepared = portrait
        self._latent_stream = LatentStream(
            dit, portrait.conditioning, config, seed, make_cache, record_graphs=bool(speed.graphs)
        )
        self._decoding = AsyncDecoder(dit.template_tensor.device, concurrent=bool(speed.vae_stream))
        self._renew_sink = renew_sink
        self._portrait_latent: Tensor | None = None
        self._last_block = -1
        self._begun_block: tuple[int, Iterator[Tensor]] | None = None
        self._decoder_before = self._decoder_after = portrait.decoder

    def draw_block(
        self, block: int, features_BLCP: Tensor, cancelled: Callable[[], bool] = lambda: False
    ) -> PendingPictures | None:
        """Pictures of the next block or of the last one again; None if it was cancelled.

        A block that was begun goes on with the features that it was begun with.
        """
        latent = None
        for step in self._denoise_block(block, features_BLCP):
            if cancelled():
                return None
            latent = step
        return None if latent is None else self._decode_latent(block, latent)

    def _denoise_block(self, block: int, features_BLCP: Tensor) -> Iterator[Tensor]:
        if self._begun_block is not None and self._begun_block[0] == block:
            steps, self._begun_block = self._begun_block[1], None
            return steps
        self.discard_from(block)
        if self._needs_new_sink(block):
            self._latent_stream.set_sink(self._compute_new_sink())
        return self._latent_stream.denoise_block(block, features_BLCP)

    def begin_block(self, block: int, features_BLCP: Tensor) -> None:
        """Draw the first step of the block after the last one, ahead of its time."""
        if self._needs_new_sink(block) or not self._latent_stream.snapshot(block):
            return
        steps = self._latent_stream.denoise_block(block, features_BLCP)
        self._begun_block = (
            block,
            steps,
        )  # first of all, so that `leave` undoes a step that runs out of memory
        next(steps)

    def discard_from(self, block: int) -> None:
        """Leave `block` and those after it, as if they had not been begun."""
        if self._begun_block is not None and self._begun_block[0] >= block:
            self._latent_stream.restore()
            self._begun_block = None

    def _needs_new_sink(self, block: int) -> bool:
        return self._renew_sink and block == self.config.clip_blocks

    def _compute_new_sink(self) -> list[KeyValue]:
        portrait = (
            self._prepared.past_latents[:, :, :1] if self._portrait_latent is None else self._portrait_latent
        )
        return self._dit.compute_sink(portrait, self._prepared.past_latents, self._prepared.conditioning.text)

    def _decode_latent(self, block: int, latent: Tensor) -> PendingPictures:
        if block == 0:
            self._portrait_latent = latent[:, :, :1]
        if block != self._last_block:
            self._decoder_before, self._last_block = self._decoder_after, block
        self._decoder_after = self._decoder_before.fork()
        return self._decoding.start_decode(self._decoder_after, latent)


class PipelinedVideoStream:
    """The state of one session that draws several blocks at once (`wavefront`)."""

    def __init__(
        self, dit: DiT, portrait: PreparedPortrait, config: StreamConfig, seed: int,
        *, renew_sink: bool, make_cache: MakeKVCache, speed: SpeedOptions,
    ) -> None:  # fmt: skip
        self.config = config
        self._dit = dit
        self._prepared = portrait
        self._wavefront = WavefrontStream(dit, portrait.conditioning, config, seed, make_cache)
        self._decoding = AsyncDecoder(dit.template_tensor.device, concurrent=bool(speed.vae_stream))
        self._decoder = portrait.decoder.fork()
        self._renew_sink = renew_sink
        self._portrait_latent = portrait.past_latents[:, :, :1]
        self._has_drawn = False

    def draw_next_block(
        self, read_features: Callable[[int], Tensor | None], *, ended: bool, cancelled: Callable[[], bool]
    ) -> PendingPictures | None:
        """Pictures of the next block; None if cancelled, or while the sound of those that come in with it is missing.

        `hear` gives what is said during a block [B, L, C, P]; `ended` is whether what it does not give never comes.
        """
        while not cancelled():
            features = read_features(self._wavefront.next_block)
            if features is None and not (ended and self._wavefront.is_busy):
                return None
            if (
                features is not None
                and self._renew_sink
                and self._wavefront.next_block == self.config.clip_blocks
            ):
                self._wavefront.set_sink(
                    self._dit.compute_sink(
                        self._portrait_latent, self._prepared.past_latents, self._prepared.conditioning.text
                    )
                )
            if (latent := self._wavefront.push(features)) is not None:
                return self._decode_latent(latent)
        return None

    def discard_from(self, block: int) -> None:
        """Leave what is on its way, and go on with `block` as if a stream began.

        It cannot go on from the block before, since those that are left lie where that one's past was.
        """
        self._wavefront.restart_at(block)

    def _decode_latent(self, latent: Tensor) -> PendingPictures:
        if not self._has_drawn:
            self._portrait_latent, self._has_drawn = latent[:, :, :1], True
        return self._decoding.start_decode(self._decoder, latent)
