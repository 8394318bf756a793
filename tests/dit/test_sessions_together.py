"""Several sessions of one engine at once: each draws what it would draw alone, whatever the memory profile."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from threading import Barrier

import numpy as np
import pytest
import torch

from liveavatar.dit.loader import DitModels, open_models
from liveavatar.dit.performance.assembly import offload_blocks
from liveavatar.dit.plan.memory import MEMORY_PROFILES, OFFLOAD_BUFFERS
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.session import DitActor, DitEngine
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Picture

FPS = Fraction(25)
SESSIONS = 3
SOUND_SAMPLES = 24 * 640


def draw_speech(actor: DitActor, seed: int, start: Barrier | None = None) -> list[Picture]:
    """The pictures of two blocks with a sound and a seed of their own."""
    session = actor.session(FPS, seed)
    session.push(0.1 * np.random.default_rng(seed).standard_normal(SOUND_SAMPLES, np.float32))
    session.flush()
    if start is not None:
        start.wait(timeout=60)
    return [frame.rgb for frame in session.frames()]


@pytest.mark.slow
@pytest.mark.parametrize("memory", [profile.name for profile in MEMORY_PROFILES])
def test_sessions_in_threads_draw_what_they_draw_alone(memory: str, portrait: Portrait) -> None:
    check_independence(open_models(DitOptions(preset="tiny", memory=memory)), portrait)


@pytest.mark.slow
def test_sessions_share_blocks_that_are_streamed_through_fewer_buffers(portrait: Portrait) -> None:
    models = open_models(DitOptions(preset="tiny"))
    offload_blocks(models.dit, len(models.dit.blocks), torch.device("cpu"))
    assert len(models.dit.blocks) > OFFLOAD_BUFFERS
    check_independence(models, portrait)


def check_independence(models: DitModels, portrait: Portrait) -> None:
    """Sessions one after another and in threads at once draw the same."""
    actor = DitEngine(DitOptions(preset="tiny", sample_steps=2), models).open(portrait, (64, 64))
    alone = [draw_speech(actor, seed) for seed in range(SESSIONS)]
    start = Barrier(SESSIONS)
    with ThreadPoolExecutor(SESSIONS) as threads:
        together = list(threads.map(lambda seed: draw_speech(actor, seed, start), range(SESSIONS)))
    for expected, drawn in zip(alone, together, strict=True):
        assert np.array_equal(expected, drawn)
