from fractions import Fraction

import numpy as np
import pytest

from liveavatar.dit.loader import open_models
from liveavatar.dit.parity.session import ReferenceEngine
from liveavatar.dit.plan.options import DitOptions
from liveavatar.errors import SessionClosed
from liveavatar.face.portrait import Portrait

PICTURE = 640  # samples


@pytest.mark.slow
def test_frames_come_after_flush(portrait: Portrait) -> None:
    options = DitOptions(preset="tiny", parity=True, sample_steps=1, infer_frames=12)
    session = ReferenceEngine(options, open_models(options)).open(portrait, (64, 64)).session(Fraction(25), 0)
    session.push(0.1 * np.random.default_rng(0).standard_normal(12 * PICTURE, np.float32))
    assert not list(session.frames())
    session.flush()
    frames = list(session.frames())
    assert [frame.pts for frame in frames] == list(range(12))
    with pytest.raises(SessionClosed):
        session.push(np.zeros(1, np.float32))
    session.interrupt()
    assert not list(session.frames())
