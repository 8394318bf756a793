"""How much memory the engine takes on a GPU, from sizes alone. No torch here."""

from dataclasses import dataclass

from liveavatar.dit.config import DitConfig, StreamConfig

PARAMETERS = 16_295_755_609
"""Of the transformer in full size."""

VAE_AND_AUDIO = 254_000_000 + 1_262_000_000
"""The autoencoder in bfloat16, the audio encoder in float32."""

DECODING = 2_500_000_000
"""What the autoencoder remembers and works with at 704x384; in proportion to the area at other sizes."""

WORKING = 1_500_000_000
"""What one pass of the transformer works with at 704x384, likewise."""

MEASURED_AREA = 704 * 384


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes of one session on a GPU."""

    weights: int
    rings: int
    sink: int
    text: int
    working: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.rings + self.sink + self.text + self.working


def predict(config: DitConfig, stream: StreamConfig, size: tuple[int, int], number: int = 2) -> Memory:
    """Memory in full size for frames of (width, height), with numbers of `number` bytes.

    Keys and values take 2 vectors a token and layer; the sink lies between every two rings, is kept once more for
    the sessions to come, and is made once more when it is renewed.
    """
    width, height = size
    tokens = (width // 16) * (height // 16)
    vector = 2 * config.layers * config.dim * number
    sinks = -(-stream.steps // 2) + 2
    return Memory(
        weights=PARAMETERS * number + VAE_AND_AUDIO,
        rings=stream.steps * stream.clip_latents * tokens * vector,
        sink=sinks * tokens * 5 // 2 * vector,
        text=config.text_len * vector,
        working=(DECODING + WORKING) * width * height // MEASURED_AREA,
    )
