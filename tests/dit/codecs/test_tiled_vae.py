import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.dit.checkpoint.load import Placement
from liveavatar.dit.checkpoint.random_weights import randomise_weights
from liveavatar.dit.codecs.tiled_vae import DECODER_REACH_LATENTS, TiledDecoder, split_tiles
from liveavatar.dit.codecs.vae import VAE, StreamingDecoder
from liveavatar.dit.plan.config import VAEConfig


def made() -> VAE:
    with torch.device("meta"):
        vae = VAE(VAEConfig(width=4))
    randomise_weights(vae, seed=1, placement=Placement())
    return vae


def decoded(vae: VAE, latent: torch.Tensor) -> torch.Tensor:
    """Piece by piece, forks and all."""
    decoder = StreamingDecoder(vae)
    frames = [decoder.push(latent[:, :, :2])]
    decoder = decoder.fork()
    frames += [decoder.push(latent[:, :, 2:3]), decoder.push(latent[:, :, 3:])]
    return torch.cat(frames, dim=2)


@pytest.mark.parametrize("size", [(6, 40), (40, 6)])
def test_tiles_that_reach_far_enough_give_the_frame_of_the_whole(size: tuple[int, int]) -> None:
    latent = torch.randn(1, 16, 4, *size, generator=torch.Generator().manual_seed(2))
    vae = made()
    whole = decoded(vae, latent)
    errors = []
    for halo in (DECODER_REACH_LATENTS, 3):
        tiled = made()
        tiled.decoder = TiledDecoder(tiled.decoder, 3, halo)  # type: ignore[assignment]
        errors.append(float((decoded(tiled, latent) - whole).abs().max()))
    assert errors[0] < 1e-4 < errors[1] < 0.5


def test_a_fork_of_tiles_goes_its_own_way() -> None:
    vae, latent = made(), torch.randn(1, 16, 4, 4, 16, generator=torch.Generator().manual_seed(3))
    vae.decoder = TiledDecoder(vae.decoder, 2, 2)  # type: ignore[assignment]
    decoder = StreamingDecoder(vae)
    decoder.push(latent[:, :, :3])
    other = decoder.fork()
    first = decoder.push(latent[:, :, 3:])
    assert torch.equal(other.push(latent[:, :, 3:]), first)


@given(st.integers(1, 120), st.integers(1, 8), st.integers(0, 20))
def test_tiles_cover_the_side_once(length: int, count: int, halo: int) -> None:
    tiles = split_tiles(length, count, halo)
    kept = [place for tile in tiles for place in range(tile.keep_begin, tile.keep_end)]
    assert kept == list(range(length))
    assert all(0 <= t.begin <= t.keep_begin < t.keep_end <= t.end <= length for t in tiles)
