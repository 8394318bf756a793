"""What is repaired for the lips is repaired in the sound that is played, at its own rate."""

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.sounds import babble, noise
from liveavatar.audio.dsp.playback_repair import NO_REPAIR, PlaybackRepair

STEREO = ("FL", "FR")


def repair(repair: PlaybackRepair, sound: NDArray[np.float32], cut: int = 1_000) -> NDArray[np.float32]:
    chunks = [sound[start : start + cut] for start in range(0, len(sound), cut)]
    layout = STEREO if sound.shape[1] == 2 else ("FC",)
    return np.concatenate(list(repair.apply(chunks, 16_000, layout)))


def test_nothing_changes_without_a_repair() -> None:
    sound = noise(16_000, 1, 2)
    assert np.array_equal(repair(NO_REPAIR, sound), sound)


def test_offsets_and_peaks_are_mended() -> None:
    sound = 3 * noise(16_000, 1, 2) + np.array([0.5, -0.25], np.float32)
    mended = repair(PlaybackRepair(channel_offsets=(0.5, -0.25), gain=0.5), sound)
    assert np.abs(mended.mean(axis=0)).max() < 0.01
    assert mended.std() == pytest.approx(0.15, rel=0.02)


def test_channels_that_cancel_are_mixed() -> None:
    voice = babble(16_000, 2)
    mended = repair(PlaybackRepair(is_mixed=True), np.concatenate([voice, -voice], axis=1))
    assert mended.shape == (32_000, 1)
    assert np.abs(np.abs(mended) - np.abs(voice)).max() < 0.01


def test_the_only_channel_is_played_alone() -> None:
    sound = noise(16_000, 1, 2)
    assert np.array_equal(repair(PlaybackRepair(channel=1), sound), sound[:, 1:])
