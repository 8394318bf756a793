# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Pictures of one session, block by block: latents are denoised, then decoded after a still past of the portrait.

Shapes: B batch (1), L layers of the audio encoder, C channels, P pictures, T latent frames, H rows, W columns,
D channels of a text token. `prompt_LD` is [tokens, D].
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from liveavatar.dit.codecs.placed_autoencoder import PlacedAutoencoder, PlacedDecoder
from liveavatar.dit.codecs.vae import VAE, StreamingDecoder
from liveavatar.dit.model.frame_packer import HISTORY_LATENTS
from liveavatar.dit.model.layers import KeyValue
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import MODEL_FPS, PICTURES_PER_LATENT, StreamConfig
from liveavatar.dit.plan.speed import EXACT_SPEED, SpeedOptions
from liveavatar.dit.streaming.conditioning import Conditioning
from liveavatar.dit.streaming.decoding import AsyncDecoder, PendingPictures
from liveavatar.dit.streaming.kv_cache import MakeKVCache, RingKVCache
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.wavefront import WavefrontStream
from liveavatar.dit.turns import DeviceTurns, SessionTurns

STILL_PAST_PICTURES = 1 + PICTURES_PER_LATENT * (HISTORY_LATENTS - 1)
"""Copies of the portrait that make the still past: 73 pictures, 19 latent frames."""

WARM_UP_LATENTS = 7
"""Latent frames of the still past that are decoded, and not shown, before the first block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPortrait:
    """What all sessions of a portrait share. `decoder` has decoded the end of the still past.

    `past_latents` is [B, C, 19, H/8, W/8]; its first frame is the portrait.
    """

    conditioning: Conditioning
    past_latents: Tensor
    decoder: StreamingDecoder | PlacedDecoder


def encode_portrait(
    dit: DiT, vae: VAE | PlacedAutoencoder, portrait_BCHW: Tensor, prompt_LD: Tensor
) -> PreparedPortrait:
    """Encode a portrait, RGB in -1…1 with sides that are multiples of 64, and all that depends on it alone."""
    picture = portrait_BCHW[:, :, None]
    past = vae.encode(picture.expand(-1, -1, STILL_PAST_PICTURES, -1, -1))
    text = dit.project_text(prompt_LD)
    sink = dit.compute_sink(past[:, :, :1], past, text)
    height, width = past.shape[-2:]
    decoder = vae.make_decoder()
    decoder.push(past[:, :, :WARM_UP_LATENTS])
    conditioning = Conditioning(text=text, sink=sink, height=height, width=width)
    return PreparedPortrait(conditioning=conditioning, past_latents=past, decoder=decoder)


def block_seconds(config: StreamConfig) -> float:
    """How long the pictures of a block are shown."""
    return float(config.block_pictures / MODEL_FPS)


def _renew_sink(dit: DiT, prepared: PreparedPortrait, portrait_latent: Tensor) -> list[KeyValue]:
    """The sink with another latent in the portrait's place."""
    return dit.compute_sink(portrait_latent, prepared.past_latents, prepared.conditioning.text)


class VideoStream:
    """Draws one session, one block at a time. After the first clip its first latent replaces the portrait in the sink.

    `begin_block` denoises the first step of the next block while this one is decoded. It writes where the cache holds
    the oldest block, which this block still needs if it must be drawn again. So that part is saved first, and restored
    by `discard_from`.
    """

    def __init__(
        self, dit: DiT, portrait: PreparedPortrait, config: StreamConfig, seed: int,
        *, renew_sink: bool, make_cache: MakeKVCache = RingKVCache, speed: SpeedOptions = EXACT_SPEED,
        turns: DeviceTurns | None = None,
    ) -> None:  # fmt: skip
        """`turns` are those of the device; None if no other session uses it."""
        self.config = config
        self._dit = dit
        self._prepared = portrait
        self._turns = SessionTurns(turns or DeviceTurns())
        self._latent_stream = LatentStream(
            dit, portrait.conditioning, config, seed, make_cache, record_graphs=bool(speed.graphs)
        )
        self._decoding = AsyncDecoder(dit.template_tensor.device, concurrent=bool(speed.vae_stream))
        self._renew_sink = renew_sink
        self._portrait_latent = portrait.past_latents[:, :, :1]
        self._last_block = -1
        self._begun_block: tuple[int, Iterator[Tensor]] | None = None
        self._decoder_before = self._decoder_after = portrait.decoder

    def draw_block(
        self, block: int, features_BLCP: Tensor, cancelled: Callable[[], bool] = lambda: False
    ) -> PendingPictures | None:
        """Pictures of the next block, or of the last one again; None if cancelled.

        A block that `begin_block` has started keeps the features it was started with.
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
        self._turns.begin_block(block_seconds(self.config))
        if self._needs_new_sink(block):
            with self._turns.take_turn():
                self._latent_stream.set_sink(_renew_sink(self._dit, self._prepared, self._portrait_latent))
        return self._take_steps(self._latent_stream.denoise_block(block, features_BLCP))

    def _take_steps(self, steps: Iterator[Tensor]) -> Iterator[Tensor]:
        """The latents of `steps`, each computed in a turn of its own."""
        latent: Tensor | None
        while True:
            with self._turns.take_turn():
                latent = next(steps, None)
            if latent is None:
                return
            yield latent

    def begin_block(self, block: int, features_BLCP: Tensor) -> None:
        """Denoise the first step of the block after the last one, ahead of time."""
        if self._needs_new_sink(block) or not self._latent_stream.snapshot(block):
            return
        self._turns.begin_block(block_seconds(self.config))
        steps = self._take_steps(self._latent_stream.denoise_block(block, features_BLCP))
        # set before the step runs, so that `discard_from` undoes a step that runs out of memory
        self._begun_block = block, steps
        next(steps)

    def discard_from(self, block: int) -> None:
        """Undo what was begun of `block` and those after it."""
        if self._begun_block is not None and self._begun_block[0] >= block:
            self._latent_stream.restore()
            self._begun_block = None

    def _needs_new_sink(self, block: int) -> bool:
        return self._renew_sink and block == self.config.clip_blocks

    def _decode_latent(self, block: int, latent: Tensor) -> PendingPictures:
        if block == 0:
            self._portrait_latent = latent[:, :, :1]
        if block != self._last_block:
            self._decoder_before, self._last_block = self._decoder_after, block
        self._decoder_after = self._decoder_before.fork()
        with self._turns.take_turn():
            return self._decoding.start_decode(self._decoder_after, latent)


class PipelinedVideoStream:
    """Draws one session, several blocks at once, each at another denoising step (`wavefront`)."""

    def __init__(
        self, dit: DiT, portrait: PreparedPortrait, config: StreamConfig, seed: int,
        *, renew_sink: bool, make_cache: MakeKVCache, speed: SpeedOptions, turns: DeviceTurns | None = None,
    ) -> None:  # fmt: skip
        """`turns` are those of the device; None if no other session uses it."""
        self._turns = SessionTurns(turns or DeviceTurns())
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
        """Pictures of the next block; None if cancelled, or while sound of a block in the pipeline is missing.

        `read_features` returns the features [B, L, C, P] of a block, or None; `ended` is whether None is final.
        """
        while not cancelled():
            block = self._wavefront.next_block
            features = read_features(block)
            if features is None and not (ended and self._wavefront.is_busy):
                return None
            self._turns.begin_block(block_seconds(self.config))
            with self._turns.take_turn():
                if features is not None and self._renew_sink and block == self.config.clip_blocks:
                    self._wavefront.set_sink(_renew_sink(self._dit, self._prepared, self._portrait_latent))
                if (latent := self._wavefront.push(features)) is not None:
                    return self._decode_latent(latent)
        return None

    def discard_from(self, block: int) -> None:
        """Drop the blocks in the pipeline, and start with `block` as if the stream began there.

        The stream cannot continue: the dropped blocks have overwritten the past in the cache.
        """
        self._wavefront.restart_at(block)

    def _decode_latent(self, latent: Tensor) -> PendingPictures:
        if not self._has_drawn:
            self._portrait_latent, self._has_drawn = latent[:, :, :1], True
        return self._decoding.start_decode(self._decoder, latent)
