import numpy as np
import pytest

from liveavatar.audio.spectral.spectrum import compute_power_spectrum, interpolate_peak, make_hann_window


@pytest.mark.parametrize(("size", "fft_size"), [(400, 512), (400, 400), (1024, 2048)])
def test_bins_add_up_to_the_mean_square(size: int, fft_size: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (500, size)).astype(np.float32)
    power = compute_power_spectrum(noise, make_hann_window(size, fft_size), fft_size)
    both_sides = power[:, 0] + power[:, -1] + 2 * power[:, 1:-1].sum(axis=1)
    assert both_sides.mean() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("place", [-0.5, -0.2, 0.0, 0.4])
def test_the_top_of_a_parabola_is_found(place: float) -> None:
    left, top, right = (np.array(1 - (x - place) ** 2) for x in (-1, 0, 1))
    assert interpolate_peak(left, top, right, 1.0) == pytest.approx(place)


def test_a_peak_stays_within_reach_and_a_flat_one_in_the_middle() -> None:
    ramp, flat = np.array([0.0, 1.0]), np.array([1.0, 1.0])
    found = interpolate_peak(ramp, flat, np.array([1.9, 1.0]), 0.5)
    assert found.tolist() == [0.5, 0.0]
