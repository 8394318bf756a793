from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from liveavatar.sync.lip_track import LipTrack, choose_spans


def test_every_frame_of_a_short_video_is_analysed() -> None:
    assert choose_spans(Fraction(600)) == choose_spans(None) == [(None, None)]


def test_stretches_of_long_videos_reach_from_end_to_end() -> None:
    parts = choose_spans(Fraction(10_800))
    assert len(parts) == 20
    assert parts[0] == (Fraction(0), Fraction(30))
    assert parts[-1] == (Fraction(10_770), Fraction(10_800))
    assert all(b[0] > a[1] for a, b in pairwise(parts) if a[1] and b[0])


def test_openings_between_frames() -> None:
    track = LipTrack(
        times=np.array([1.0, 1.1, 1.2, 2.0]), openings=np.array([0.0, 1.0, np.nan, 0.5]), frame_seconds=0.1
    )
    values, is_known = track.sample_openings(np.array([0.5, 1.05, 1.5]))
    assert values[1] == pytest.approx(0.5)
    assert is_known.tolist() == [False, True, False]


def test_openings_are_unknown_without_faces() -> None:
    track = LipTrack(times=np.arange(5) / 25, openings=np.full(5, np.nan), frame_seconds=0.04)
    assert not track.sample_openings(np.linspace(0, 0.2, 9))[1].any()
