import numpy as np
import pytest

from liveavatar.audio.spectral.filter_bank import (
    hertz_to_htk_mel,
    hertz_to_slaney_mel,
    htk_mel_to_hertz,
    make_triangles,
    make_triangles_between,
    slaney_mel_to_hertz,
)


def test_triangles_peak_at_one_and_add_up_to_one_between_the_outer_peaks() -> None:
    edges = np.array([0.0, 1.0, 3.0, 4.0, 8.0])
    bank = make_triangles(np.array([1.0, 3.0, 4.0, 2.0, 3.5, 6.0, 9.0]), edges)
    np.testing.assert_array_equal(bank[:3], np.eye(3))
    np.testing.assert_allclose(bank[3:5].sum(axis=1), 1.0)
    assert bank[5:].tolist() == [[0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]


def test_triangles_may_overlap() -> None:
    lower, peaks, upper = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    bank = make_triangles_between(np.array([1.5]), lower, peaks, upper)
    np.testing.assert_allclose(bank, [[0.5, 0.5]])


@pytest.mark.parametrize(("hertz", "mel"), [(0.0, 0.0), (1000.0, 999.985), (8000.0, 2840.023)])
def test_the_htk_scale(hertz: float, mel: float) -> None:
    assert hertz_to_htk_mel(np.array(hertz)) == pytest.approx(mel, abs=1e-3)
    assert htk_mel_to_hertz(np.array(mel)) == pytest.approx(hertz, abs=1e-2)


@pytest.mark.parametrize(("hertz", "mel"), [(1000.0, 15.0), (6400.0, 42.0), (8000.0, 45.2456)])
def test_the_slaney_scale(hertz: float, mel: float) -> None:
    assert hertz_to_slaney_mel(hertz) == pytest.approx(mel, abs=1e-4)
    assert slaney_mel_to_hertz(np.array(mel)) == pytest.approx(hertz, abs=0.1)


def test_the_slaney_scale_is_linear_under_one_kilohertz() -> None:
    np.testing.assert_allclose(
        slaney_mel_to_hertz(np.array([0.0, 3.0, 14.999])), [0.0, 200.0, 999.93], atol=0.01
    )
