# ruff: noqa: N803  (names carry their shape, by the legend below)
"""The Wan 2.1 video autoencoder: 8x8 pixels of four frames become one latent of 16 channels, and back.

Every temporal layer is causal, so video is processed in pieces: the encoder takes the first frame alone, then four at
a time; the decoder the first latent alone, then any number at a time. Between pieces a layer needs its last input
frames. A `CausalPast` holds them; it belongs to one encoding or one decoder session, never to the module.

Legend: B batch, C channels, T time, H height, W width. Pixels are RGB in -1…1; a latent has 1/8 of their
height and width, and latents are normalised channel by channel with the statistics of the training data.
Module names are those of the official `Wan2.1_VAE.pth`. Source: Wan 2.1 (arXiv 2503.20314), section 4.1.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from liveavatar.dit.plan.config import PICTURES_PER_LATENT, VAEConfig
from liveavatar.errors import OptionError

LATENT_MEAN = (-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
               0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921)  # fmt: skip
LATENT_STD = (2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
              3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160)  # fmt: skip

PIXELS_PER_LATENT = 8

INITIAL_LATENTS = 2
"""Latents at the start of a video that are decoded by other operations: the first is not doubled in time."""


PastKey = nn.Module | tuple[int, str]
"""A causal layer; for tiles, the tile's number and the layer's name (`tiled_vae`)."""


class CausalPast:
    """The last input frames [B, C, T, H, W] of the causal layers, for one stream."""

    def __init__(self, keys: Sequence[PastKey] = (), frames: Sequence[Tensor] = ()) -> None:
        self._frames: dict[PastKey, Tensor] = dict(zip(keys, frames, strict=True))

    @property
    def keys(self) -> list[PastKey]:
        """The layers with a past, in the order of their first call."""
        return list(self._frames)

    @property
    def frames(self) -> list[Tensor]:
        """The past of each layer in `keys`."""
        return list(self._frames.values())

    def extend_frames(self, layer: nn.Module, x_BCTHW: Tensor, keep_count: int, fill_count: int) -> Tensor:
        """The past of `layer` followed by `x`; the last `keep_count` frames become its past.

        At the start of a stream the past is `fill_count` frames of zeros.
        """
        before = self._frames.get(layer)
        if before is None:
            before = x_BCTHW.new_zeros((*x_BCTHW.shape[:2], fill_count, *x_BCTHW.shape[3:]))
        extended = torch.cat([before, x_BCTHW], dim=2)
        self._frames[layer] = extended[:, :, -keep_count:].clone()
        return extended

    def copy(self) -> "CausalPast":
        """An independent past. Frames are replaced and never written to, so both share them."""
        return CausalPast(self.keys, self.frames)

    def has_frames(self, key: PastKey) -> bool:
        """Whether the layer has a past."""
        return key in self._frames

    def get_frames(self, key: PastKey) -> Tensor:
        """The past of a layer that has one."""
        return self._frames[key]

    def set_frames(self, key: PastKey, frames_BCTHW: Tensor) -> None:
        """Replace the past of a layer."""
        self._frames[key] = frames_BCTHW


class CausalModule(nn.Module):
    """A module whose `forward(x, past)` reads and updates a `CausalPast`."""

    def forward_pure(
        self, x_BCTHW: Tensor, keys: Sequence[PastKey], frames: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """`forward` as a pure function, which can be compiled: the output, and the past afterwards."""
        past = CausalPast(keys, frames)
        return self(x_BCTHW, past), past.frames


class VAERMSNorm(nn.Module):
    """RMS norm over the channels of each position, times `gamma`; `axes` dimensions follow the channels."""

    def __init__(self, channels: int, axes: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * axes))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        # PyTorch's own norm is 15 times as slow over an outer dimension
        length = x.square().sum(dim=1, keepdim=True, dtype=torch.float32).sqrt().clamp_min(1e-12)
        return x / length.to(x.dtype) * math.sqrt(len(self.gamma)) * self.gamma


class CausalConv3d(nn.Conv3d):
    """A 3-d convolution that is causal in time: two past frames take the place of padding."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int, int]) -> None:
        self._space_padding = (0, kernel[1] // 2, kernel[2] // 2)
        super().__init__(inputs, outputs, kernel, padding=self._space_padding)
        self._onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]

    def forward(self, x_BCTHW: Tensor, past: CausalPast) -> Tensor:  # type: ignore[override]
        """[B, outputs, T, H, W]."""
        extended = past.extend_frames(self, x_BCTHW, keep_count=2, fill_count=2)
        # PyTorch does not use oneDNN for small pictures, where it is ten times as fast
        if (
            self._onednn
            and extended.is_cpu
            and extended.dtype is torch.float32
            and not torch.compiler.is_compiling()
        ):
            weight, bias, one = self.weight, self.bias, (1, 1, 1)
            return torch.mkldnn_convolution(extended, weight, bias, self._space_padding, one, one, 1)
        return super().forward(extended)


class ResidualBlock(nn.Module):
    """Norm, SiLU and causal convolution, twice, and a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.residual = nn.ModuleDict({
            "0": VAERMSNorm(inputs, 3), "2": CausalConv3d(inputs, outputs, (3, 3, 3)),
            "3": VAERMSNorm(outputs, 3), "6": CausalConv3d(outputs, outputs, (3, 3, 3)),
        })  # fmt: skip
        self.shortcut = nn.Conv3d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x_BCTHW: Tensor, past: CausalPast) -> Tensor:
        """[B, outputs, T, H, W]."""
        y = self.residual["2"](functional.silu(self.residual["0"](x_BCTHW)), past)
        y = self.residual["6"](functional.silu(self.residual["3"](y)), past)
        return self.shortcut(x_BCTHW) + y  # type: ignore[no-any-return]


class FrameAttention(nn.Module):
    """Single-head attention among the positions of each frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = VAERMSNorm(channels, 2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x_BCTHW: Tensor, _past: CausalPast) -> Tensor:
        """Same shape."""
        frames = _fold_time(x_BCTHW)
        q, k, v = self.to_qkv(self.norm(frames)).flatten(2).transpose(1, 2)[:, None].chunk(3, dim=-1)
        mixed = functional.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2)
        return x_BCTHW + _unfold_time(self.proj(mixed.reshape(frames.shape)), len(x_BCTHW))


class Downsample(nn.Module):
    """Halves height and width and, with `halves_time`, time: the first frame stays, then two become one."""

    def __init__(self, channels: int, halves_time: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels, 3, stride=2)})
        if halves_time:
            self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1))
        self._halves_time = halves_time

    def forward(self, x_BCTHW: Tensor, past: CausalPast) -> Tensor:
        """Half the height and width; half the frames with `halves_time`."""
        frames = functional.pad(_fold_time(x_BCTHW), (0, 1, 0, 1))
        x = _unfold_time(self.resample["1"](frames), len(x_BCTHW))
        if not self._halves_time:
            return x
        first = not past.has_frames(self)
        extended = past.extend_frames(self, x, keep_count=1, fill_count=0)
        return extended if first else self.time_conv(extended)


class Upsample(nn.Module):
    """Doubles height and width, halves the channels and, with `doubles_time`, doubles time but for the first frame."""

    def __init__(self, channels: int, doubles_time: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels // 2, 3, padding=1)})
        if doubles_time:
            self.time_conv = CausalConv3d(channels, 2 * channels, (3, 1, 1))
        self._doubles_time = doubles_time

    def forward(self, x_BCTHW: Tensor, past: CausalPast) -> Tensor:
        """Twice the height and width, half the channels; twice the frames with `doubles_time`."""
        x = self._double_time(x_BCTHW, past) if self._doubles_time else x_BCTHW
        frames = functional.interpolate(_fold_time(x), scale_factor=2.0, mode="nearest-exact")
        return _unfold_time(self.resample["1"](frames), len(x))

    def _double_time(self, x_BCTHW: Tensor, past: CausalPast) -> Tensor:
        if not past.has_frames(self):
            past.set_frames(
                self, x_BCTHW[:, :, :0]
            )  # the first frame stays one, and is not part of the past of later ones
            return x_BCTHW
        even, odd = self.time_conv(x_BCTHW, past).chunk(2, dim=1)
        return torch.stack([even, odd], dim=3).flatten(2, 3)


class _CoderBase(CausalModule):
    """Convolution, blocks, norm and convolution: what encoder and decoder have in common."""

    conv1: CausalConv3d
    head: nn.ModuleDict

    def _run_blocks(self, x_BCTHW: Tensor, past: CausalPast, blocks: Iterator[nn.Module]) -> Tensor:
        x = self.conv1(x_BCTHW, past)
        for block in blocks:
            x = block(x, past)
        return self.head["2"](functional.silu(self.head["0"](x)), past)  # type: ignore[no-any-return]

    @staticmethod
    def _make_middle(channels: int) -> nn.ModuleList:
        return nn.ModuleList([
            ResidualBlock(channels, channels), FrameAttention(channels), ResidualBlock(channels, channels)
        ])  # fmt: skip

    @staticmethod
    def _make_head(inputs: int, outputs: int) -> nn.ModuleDict:
        return nn.ModuleDict({"0": VAERMSNorm(inputs, 3), "2": CausalConv3d(inputs, outputs, (3, 3, 3))})


class VAEEncoder(_CoderBase):
    """Pixels to the mean and log-variance of the latent."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.width * m for m in (1, *config.multipliers)]
        self.conv1 = CausalConv3d(3, widths[0], (3, 3, 3))
        self.downsamples = nn.ModuleList()
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            for block in range(config.blocks_per_stage):
                self.downsamples.append(ResidualBlock(outputs if block else inputs, outputs))
            if stage < len(config.halves_time):
                self.downsamples.append(Downsample(outputs, config.halves_time[stage]))
        self.middle = self._make_middle(widths[-1])
        self.head = self._make_head(widths[-1], 2 * config.latent_channels)

    def forward(self, video_BCTHW: Tensor, past: CausalPast) -> Tensor:
        """Mean and log-variance [B, 32, t, H/8, W/8]."""
        return self._run_blocks(video_BCTHW, past, iter([*self.downsamples, *self.middle]))


class VAEDecoder(_CoderBase):
    """A latent to pixels."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.width * m for m in (config.multipliers[-1], *reversed(config.multipliers))]
        doubles_time = config.halves_time[::-1]
        self.conv1 = CausalConv3d(config.latent_channels, widths[0], (3, 3, 3))
        self.middle = self._make_middle(widths[0])
        self.upsamples = nn.ModuleList()
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            first = inputs // 2 if stage else inputs  # an upsampler halved the channels
            for block in range(config.blocks_per_stage + 1):
                self.upsamples.append(ResidualBlock(outputs if block else first, outputs))
            if stage < len(doubles_time):
                self.upsamples.append(Upsample(outputs, doubles_time[stage]))
        self.head = self._make_head(widths[-1], 3)

    def forward(self, latent_BCTHW: Tensor, past: CausalPast) -> Tensor:
        """Pixels [B, 3, t, 8H, 8W], not yet clamped to -1…1."""
        return self._run_blocks(latent_BCTHW, past, iter([*self.middle, *self.upsamples]))


class VAE(nn.Module):
    """The autoencoder; holds weights only. Takes any dtype, computes in the dtype of its weights, returns float32."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        channels = config.latent_channels
        self.encoder = VAEEncoder(config)
        self.conv1 = nn.Conv3d(2 * channels, 2 * channels, 1)
        self.conv2 = nn.Conv3d(channels, channels, 1)
        self.decoder = VAEDecoder(config)

    @torch.no_grad()
    def encode(self, video_BCTHW: Tensor) -> Tensor:
        """Normalised latents [B, 16, 1 + (T-1)//4, H/8, W/8] of a video [B, 3, T, H, W] in -1…1.

        The first frame has a latent of its own; frames after the last complete group of four are dropped.

        Raises:
            OptionError: no frame, or height and width are not multiples of 8.
        """
        if video_BCTHW.shape[2] < 1 or any(side % PIXELS_PER_LATENT for side in video_BCTHW.shape[3:]):
            raise OptionError(f"a video of shape {tuple(video_BCTHW.shape)} cannot be encoded",
                              "give at least one frame whose sides are multiples of 8")  # fmt: skip
        past = CausalPast()
        video = video_BCTHW.to(self.conv1.weight.dtype)
        groups = [self.encoder(group, past) for group in _split_frame_groups(video)]
        mean = self.conv1(torch.cat(groups, dim=2)).chunk(2, dim=1)[0].float()
        return (mean - _channel_constants(LATENT_MEAN, mean)) / _channel_constants(LATENT_STD, mean)  # type: ignore[no-any-return]

    @torch.no_grad()
    def decode(self, latent_BCTHW: Tensor) -> Tensor:
        """Video [B, 3, 4T-3, 8H, 8W] in -1…1 of normalised latents [B, 16, T, H, W]."""
        return self.make_decoder().push(latent_BCTHW)

    def make_decoder(self) -> "StreamingDecoder":
        """A decoder at the start of a video."""
        return StreamingDecoder(self)


class StreamingDecoder:
    """Decodes a video in pieces of any number of latents; frames equal those of one piece, bit for bit."""

    def __init__(self, vae: VAE) -> None:
        self._vae = vae
        self._past = CausalPast()
        self._latent_count = 0

    @torch.no_grad()
    def push(self, latent_BCTHW: Tensor) -> Tensor:
        """The next frames [B, 3, n, 8H, 8W] in -1…1 of latents [B, 16, T, H, W].

        n is 4T, or 4T-3 in the first call: the first latent is one frame.
        """
        # one at a time: the order of summation in kernels depends on the length, and frames must not
        frames = [
            self._decode_latent(latent_BCTHW[:, :, step, None]) for step in range(latent_BCTHW.shape[2])
        ]
        return torch.cat(frames, dim=2)

    def _decode_latent(self, latent_BCTHW: Tensor) -> Tensor:
        mean, std = (_channel_constants(values, latent_BCTHW) for values in (LATENT_MEAN, LATENT_STD))
        latent = self._vae.conv2((latent_BCTHW * std + mean).contiguous().to(self._vae.conv2.weight.dtype))
        return self._run_decoder(latent).float().clamp(-1, 1)

    def _run_decoder(self, latent: Tensor) -> Tensor:
        decoder, keys = self._vae.decoder, self._past.keys
        self._latent_count += 1
        if self._latent_count <= INITIAL_LATENTS:
            video: Tensor = decoder(latent, self._past)
            return video
        video, frames = decoder.forward_pure(latent, keys, self._past.frames)
        self._past = CausalPast(keys, frames)
        return video

    def fork(self) -> "StreamingDecoder":
        """A decoder that continues from here, independent of this one."""
        other = StreamingDecoder(self._vae)
        other._past, other._latent_count = self._past.copy(), self._latent_count
        return other

    def reset(self) -> None:
        """Start a new video with the next latent."""
        self._past = CausalPast()
        self._latent_count = 0


def _split_frame_groups(video_BCTHW: Tensor) -> Iterator[Tensor]:
    yield video_BCTHW[:, :, :1]
    for start in range(1, video_BCTHW.shape[2] - PICTURES_PER_LATENT + 1, PICTURES_PER_LATENT):
        yield video_BCTHW[:, :, start : start + PICTURES_PER_LATENT]


def _channel_constants(values: tuple[float, ...], like: Tensor) -> Tensor:
    return _cached_channel_constants(values, like.dtype, like.device)


@cache
def _cached_channel_constants(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Copied to the device once, because the copy waits for the device."""
    return torch.tensor(values, dtype=dtype, device=device).view(1, -1, 1, 1, 1)


def _fold_time(x_BCTHW: Tensor) -> Tensor:
    return x_BCTHW.transpose(1, 2).flatten(0, 1)


def _unfold_time(frames: Tensor, batch: int) -> Tensor:
    return frames.view(batch, -1, *frames.shape[1:]).transpose(1, 2)
