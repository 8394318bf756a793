"""Figures: checked before work is done, placed by pixels, written completely or not at all."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from liveavatar import plotting
from liveavatar.errors import OptionError, OutputError


def test_other_endings_are_refused(tmp_path: Path) -> None:
    plotting.check_plot_path(tmp_path / "a.PNG")
    with pytest.raises(OptionError, match=r"a\.jpg does not end in \.png; name it .*a\.png"):
        plotting.check_plot_path(tmp_path / "a.jpg")


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotting, "find_spec", lambda name: None if name == "matplotlib" else importlib.util)
    with pytest.raises(
        OptionError, match=r"matplotlib is not installed; run: pip install 'liveavatar\[plot\]'"
    ):
        plotting.check_plot_path(tmp_path / "a.png")


def test_axes_fill_their_pixels(tmp_path: Path) -> None:
    figure = plotting.create_figure(200, 100)
    axes = plotting.add_axes(figure, 20, 10, 60, 30)
    axes.set(xticks=[], yticks=[], facecolor=plotting.RED)
    plotting.save_figure(figure, tmp_path / "a.png")
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture is not None
    assert picture.shape == (100, 200, 3)
    rows, columns = np.nonzero((picture != 255).any(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 39, 20, 79)


def test_a_title_is_inked_where_it_is_placed(tmp_path: Path) -> None:
    figure = plotting.create_figure(300, 100)
    plotting.write_title(figure, "声音 $x$_{é}.wav", 50, 40, plotting.GREEN)
    plotting.save_figure(figure, tmp_path / "a.png")
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture is not None
    rows, columns = np.nonzero((picture != 255).any(axis=2))
    assert 50 <= columns.min() <= 55
    assert 15 < rows.min() < 40 <= rows.max() < 50, "the baseline is at 40"


def test_a_folder_that_is_missing_is_an_error_of_output(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder .*; create it first"):
        plotting.save_figure(plotting.create_figure(10, 10), tmp_path / "none" / "a.png")
