# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Decoding of latents to RGB bytes, concurrent with denoising on a GPU.

The decoder may run on a CUDA stream of its own. The stream has a higher priority than the next block's first step,
which runs beside it, because its pictures are due first. The bytes are copied to pinned memory on that stream too;
the caller waits only when it reads them.

Shapes: B batch (1), C channels, P pictures, T latent frames, H rows, W columns.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liveavatar.dit.codecs.placed_autoencoder import PlacedDecoder
from liveavatar.dit.codecs.vae import StreamingDecoder
from liveavatar.dit.model.host_memory import allocate_host

Pictures = NDArray[np.uint8]
"""[P, height, width, 3], RGB."""


@dataclass(frozen=True, slots=True)
class PendingPictures:
    """Pictures whose decoding may not be done: the video [B, 3, P, H, W] in -1…1, and its bytes [P, H, W, 3]."""

    video: Tensor
    rgb: Tensor
    ready_event: torch.cuda.Event | None = None

    def wait_for_pictures(self) -> Pictures:
        """The bytes; waits until they are decoded and copied."""
        if self.ready_event is None:
            return self.rgb.numpy()
        self.ready_event.synchronize()
        return self.rgb.numpy().copy()  # frees the pinned memory


class AsyncDecoder:
    """Decodes the latents of a session."""

    def __init__(self, device: torch.device, *, concurrent: bool) -> None:
        """`concurrent` is whether decoding has a stream of its own; other devices than a GPU ignore it."""
        self._device = device
        own_stream = concurrent and device.type == "cuda"
        self._stream = torch.cuda.Stream(device, priority=-1) if own_stream else None  # type: ignore[no-untyped-call]

    def start_decode(
        self, decoder: StreamingDecoder | PlacedDecoder, latent_BCTHW: Tensor
    ) -> PendingPictures:
        """Queue the next latents of a video."""
        if self._stream is None:
            video = decoder.push(latent_BCTHW)
            return PendingPictures(video, video_to_rgb(video).cpu())
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            video = decoder.push(latent_BCTHW)
            levels = video_to_rgb(video)
            rgb = allocate_host(levels.shape, levels.dtype, levels.device)
            rgb.copy_(levels, non_blocking=True)
            ready = self._stream.record_event()
        latent_BCTHW.record_stream(self._stream)
        return PendingPictures(video, rgb, ready)


def video_to_rgb(video_BCTHW: Tensor, *, rounded: bool = True) -> Tensor:
    """Frames of a video in -1…1 as bytes [P, H, W, 3], rounded or, as in the reference, truncated."""
    levels = (video_BCTHW[0] + 1) * 127.5 + (0.5 if rounded else 0.0)
    return levels.clamp(0, 255).to(torch.uint8).permute(1, 2, 3, 0).contiguous()
