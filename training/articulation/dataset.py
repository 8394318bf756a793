"""From clips to long runs of features and targets, damaged anew every time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.articulation.augment import Augmenter, background
from training.articulation.corpus import Clip, load
from training.articulation.targets import make_targets

from liveavatar.speech import features

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """`seen` [n, 48] features, `visemes` and `sounds` [n] class numbers, `controls` [n, 6]."""

    seen: Floats
    visemes: NDArray[np.int64]
    sounds: NDArray[np.int64]
    controls: Floats


def load_clips(folder: Path) -> list[Clip]:
    """All clips of a folder, in the order of their names."""
    return [load(path) for path in sorted(folder.glob("*.npz"))]


def make_seen(samples: Floats) -> Floats:
    """The features of a whole recording, exactly as a stream sees them."""
    mel = features.log_mel(features.windows(samples))
    return features.relative(mel, features.LevelReference().follow(features.loudness(mel)))


def shortened(clip: Clip, random: np.random.Generator) -> Clip:
    """Start somewhere in the clip's leading silence, so that speech also comes without warning."""
    first = next((a for phone, a, _ in clip.phones if phone), 0)
    cut = int(random.integers(0, first + 1)) if first else 0
    phones = [(phone, max(a - cut, 0), b - cut) for phone, a, b in clip.phones if b > cut]
    return replace(clip, samples=clip.samples[cut:], phones=phones)


def epoch(clips: list[Clip], seed: int) -> Iterator[Example]:
    """Every clip once, in random order, damaged; one in twelve is followed by a stretch without speech."""
    random = np.random.default_rng(seed)
    augmenter = Augmenter(random=random, others=clips)
    for i in random.permutation(len(clips)):
        yield _example(shortened(clips[i], random), augmenter)
        if random.random() < 1 / 12:
            empty = background(random, float(random.uniform(2, 6)))
            yield _example_of(make_seen(empty.samples), empty)


def _example(clip: Clip, augmenter: Augmenter) -> Example:
    sized = augmenter.change_size(clip)
    return _example_of(make_seen(augmenter.damage(sized.samples)), sized)


def _example_of(seen: Floats, clip: Clip) -> Example:
    targets = make_targets(clip)
    return Example(seen=seen, visemes=targets.visemes, sounds=targets.sounds, controls=targets.controls)


def join(parts: list[Example]) -> Example:
    """One long run out of many, as if one voice followed the other."""
    return Example(
        seen=np.concatenate([part.seen for part in parts]),
        visemes=np.concatenate([part.visemes for part in parts]),
        sounds=np.concatenate([part.sounds for part in parts]),
        controls=np.concatenate([part.controls for part in parts]),
    )
