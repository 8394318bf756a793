import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.dit.checkpoint.load import Placement
from liveavatar.dit.checkpoint.random_weights import randomise_weights
from liveavatar.dit.codecs.tiled_vae import DECODER_REACH_LATENTS, TiledDecoder, split_tiles
from liveavatar.dit.codecs.vae import VAE, StreamingDecoder
from liveavatar.dit.plan.config import VAEConfig


def make_vae() -> VAE:
    with torch.device("meta"):
        vae = VAE(VAEConfig(width=4))
    randomise_weights(vae, seed=1, placement=Placement())
    return vae


def decode_streaming(vae: VAE, latent: torch.Tensor) -> torch.Tensor:
    """Piece by piece, forks and all."""
    decoder = StreamingDecoder(vae)
    frames = [decoder.push(latent[:, :, :2])]
    decoder = decoder.fork()
    frames += [decoder.push(latent[:, :, 2:3]), decoder.push(latent[:, :, 3:])]
    return torch.cat(frames, dim=2)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(6, 40), (40, 6)])
def test_tiles_with_enough_overlap_give_the_untiled_frame(size: tuple[int, int]) -> None:
    latent = torch.randn(1, 16, 4, *size, generator=torch.Generator().manual_seed(2))
    vae = make_vae()
    untiled = decode_streaming(vae, latent)
    errors = []
    for halo in (DECODER_REACH_LATENTS, 3):
        tiled = make_vae()
        tiled.decoder = TiledDecoder(tiled.decoder, 3, halo)  # type: ignore[assignment]
        errors.append(float((decode_streaming(tiled, latent) - untiled).abs().max()))
    assert errors[0] < 1e-4 < errors[1] < 0.5


def test_a_fork_of_a_tiled_decoder_is_independent() -> None:
    vae, latent = make_vae(), torch.randn(1, 16, 4, 4, 16, generator=torch.Generator().manual_seed(3))
    vae.decoder = TiledDecoder(vae.decoder, 2, 2)  # type: ignore[assignment]
    decoder = StreamingDecoder(vae)
    decoder.push(latent[:, :, :3])
    other = decoder.fork()
    first = decoder.push(latent[:, :, 3:])
    assert torch.equal(other.push(latent[:, :, 3:]), first)


@given(st.integers(1, 120), st.integers(1, 8), st.integers(0, 20))
def test_tiles_cover_the_side_once(length: int, count: int, halo: int) -> None:
    tiles = split_tiles(length, count, halo)
    latents = [place for tile in tiles for place in range(tile.keep_begin, tile.keep_end)]
    assert latents == list(range(length))
    assert all(0 <= t.begin <= t.keep_begin < t.keep_end <= t.end <= length for t in tiles)
