"""Voices for the training data: formant synthesis of many voices and languages, and recorded ones.

espeak-ng and flite are Debian's packages of those names. Nothing of their sound is kept but what the mouth does.
"""

from collections.abc import Iterator

import numpy as np
from training.articulation import synth_espeak, synth_flite

from liveavatar.frames import Samples

HELD_OUT = ("espeak:en-us+f5", "espeak:cmn-latn-pinyin+m8", "flite:rms")
"""Voices that training never hears."""

_FLITE_SHARE = 0.35
_LEVELS = 0.03, 0.12  # of the root mean square
_PAUSES = 0.1, 0.7  # seconds before the first and after the last sound


def make_speech(seed: int) -> Iterator[tuple[str, Samples]]:
    """Voices and what they say at 16 kHz, without end."""
    random = np.random.default_rng([26, seed])
    espeak, flite = synth_espeak.make_clips(1000 + seed), synth_flite.make_clips(2000 + seed)
    while True:
        clip = next(flite if random.random() < _FLITE_SHARE else espeak)
        level = random.uniform(*_LEVELS) / max(1e-3, float(np.sqrt(np.square(clip.samples).mean())))
        before, after = (np.zeros(int(16_000 * random.uniform(*_PAUSES)), np.float32) for _ in range(2))
        sound = np.concatenate([before, np.clip(clip.samples * level, -1, 1), after])
        yield clip.speaker, sound.astype(np.float32)
