# ruff: noqa: N803  (names carry their shape, by the legend below)
"""Latents become bytes, beside the drawing if the device can do two things at once.

On a GPU the decoder may have a stream of its own, of higher priority: its pictures are wanted now, while the next
block's first step, which runs beside it, is wanted later. The bytes go to pinned memory on that stream too, so that
nobody waits before they are asked for.

Shapes: B batch (1), C channels, P pictures, T latent frames, H rows, W columns.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liveavatar.dit.codecs.vae import StreamingDecoder

Pictures = NDArray[np.uint8]
"""[P, height, width, 3], RGB."""


@dataclass(frozen=True, slots=True)
class PendingPictures:
    """Pictures that may still be in the making: the video [B, 3, P, H, W] in -1…1, and its bytes."""

    video: Tensor
    rgb: Tensor
    ready_event: torch.cuda.Event | None = None

    def wait_for_pictures(self) -> Pictures:
        """The bytes; waits until they are there."""
        if self.ready_event is None:
            return self.rgb.numpy()
        self.ready_event.synchronize()
        return self.rgb.numpy().copy()  # pinned memory is scarce


class AsyncDecoder:
    """Where a session's latents are decoded."""

    def __init__(self, device: torch.device, *, concurrent: bool) -> None:
        """`beside` is whether decoding may go on while something else is computed; a CPU decodes at once."""
        self._device = device
        own_stream = concurrent and device.type == "cuda"
        self._stream = torch.cuda.Stream(device, priority=-1) if own_stream else None  # type: ignore[no-untyped-call]

    def start_decode(self, decoder: StreamingDecoder, latent_BCTHW: Tensor) -> PendingPictures:
        """Decode the next latents of a video."""
        if self._stream is None:
            video = decoder.push(latent_BCTHW)
            return PendingPictures(video, video_to_rgb(video).cpu())
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            video = decoder.push(latent_BCTHW)
            levels = video_to_rgb(video)
            bytes_there = torch.empty(levels.shape, dtype=levels.dtype, pin_memory=True)
            bytes_there.copy_(levels, non_blocking=True)
            ready = self._stream.record_event()
        latent_BCTHW.record_stream(self._stream)
        return PendingPictures(video, bytes_there, ready)


def video_to_rgb(video_BCTHW: Tensor, *, rounded: bool = True) -> Tensor:
    """Frames of a video in -1…1 as bytes [P, H, W, 3], rounded or, as the reference does, cut off."""
    levels = (video_BCTHW[0] + 1) * 127.5 + (0.5 if rounded else 0.0)
    return levels.clamp(0, 255).to(torch.uint8).permute(1, 2, 3, 0).contiguous()
