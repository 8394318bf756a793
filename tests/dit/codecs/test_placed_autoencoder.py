import pytest
import torch
from torch import Tensor

from liveavatar.dit.codecs.placed_autoencoder import PlacedAutoencoder, join_places, split_places
from liveavatar.dit.plan.config import PlacedConfig
from liveavatar.errors import OptionError

GRID, CHANNELS = 2, 5
SIDE = 8 * GRID


@pytest.fixture(scope="module")
def autoencoder() -> PlacedAutoencoder:
    """Random orthonormal components."""
    random = torch.Generator().manual_seed(0)
    made = PlacedAutoencoder(PlacedConfig(grid=GRID, latent_channels=CHANNELS))
    made.mean.normal_(0, 0.1, generator=random)
    made.basis.copy_(torch.linalg.qr(torch.randn(made.basis.shape, generator=random)).Q)
    made.scale.uniform_(0.5, 2, generator=random)
    return made


def random_latents(frames: int) -> Tensor:
    return 0.3 * torch.randn(1, CHANNELS, frames, GRID, GRID, generator=torch.Generator().manual_seed(1))


def test_places_are_joined_as_they_were_split() -> None:
    video = torch.randn(2, 3, 8, 16, 24)
    values = split_places(video)
    assert values.shape == (2, 2, 6, 768)
    square = video[..., :16]
    assert torch.equal(join_places(split_places(square), 2), square)
    assert torch.equal(values[0, 1, 4].view(4, 8, 8, 3)[2, 3, 5], video[0, :, 6, 11, 13])


def test_latents_come_back(autoencoder: PlacedAutoencoder) -> None:
    latents = random_latents(4)
    decoded = autoencoder.decode_groups(latents)
    assert decoded.shape == (1, 3, 16, SIDE, SIDE)
    torch.testing.assert_close(autoencoder.encode_groups(split_places(decoded)), latents, atol=1e-5, rtol=0)


def test_the_first_frame_has_a_latent_of_its_own(autoencoder: PlacedAutoencoder) -> None:
    picture = torch.rand(1, 3, 1, SIDE, SIDE) * 2 - 1
    still = picture.expand(-1, -1, 9, -1, -1)
    latents = autoencoder.encode(still)
    assert latents.shape == (1, CHANNELS, 3, GRID, GRID)
    torch.testing.assert_close(latents[:, :, 1:], latents[:, :, :1].expand(-1, -1, 2, -1, -1))
    assert autoencoder.encode(still[:, :, :8]).shape[2] == 2


@pytest.mark.parametrize("pieces", [[5], [1, 4], [2, 1, 2], [1, 1, 1, 1, 1]])
def test_frames_do_not_depend_on_the_pieces(autoencoder: PlacedAutoencoder, pieces: list[int]) -> None:
    latents = random_latents(5)
    whole = autoencoder.make_decoder().push(latents)
    assert whole.shape[2] == 17
    decoder = autoencoder.make_decoder()
    parts = [decoder.push(part) for part in torch.split(latents, pieces, dim=2)]
    assert torch.equal(torch.cat(parts, dim=2), whole)


def test_a_fork_goes_on_where_it_began(autoencoder: PlacedAutoencoder) -> None:
    decoder = autoencoder.make_decoder()
    assert decoder.fork().push(random_latents(1)).shape[2] == 1
    decoder.push(random_latents(1))
    assert torch.equal(decoder.fork().push(random_latents(2)), decoder.push(random_latents(2)))


@pytest.mark.parametrize("shape", [(1, 3, 0, 16, 16), (1, 3, 1, 8, 16), (1, 3, 5, 24, 24)])
def test_pictures_of_another_size_are_refused(autoencoder: PlacedAutoencoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="cannot be encoded"):
        autoencoder.encode(torch.zeros(shape))
