"""The clock of wav2vec2: which samples a step hears, and which steps a picture is drawn from. Integers and fractions.

Step k hears the 400 samples from 320k on, so its centre is sample 320k + 200, 12.5 ms after its beginning. The
model was trained with picture i drawn from step 50·i/fps, counted from nought like the steps: what a picture shows is
what sounds 12.5 ms after its beginning. Between two steps features are interpolated.
"""

from fractions import Fraction

STEP_SAMPLES = 320
"""Samples at 16 kHz from one step to the next: 50 steps a second."""

RECEPTIVE_SAMPLES = 400
"""Samples that one step hears."""

STEP_RATE = 50
"""Steps a second."""


def count_steps_within(samples: int) -> int:
    """Steps that lie wholly within the first `samples` samples."""
    return max(0, (samples - RECEPTIVE_SAMPLES) // STEP_SAMPLES + 1)


def count_samples_needed(steps: int) -> int:
    """Samples that the first `steps` steps hear."""
    return (steps - 1) * STEP_SAMPLES + RECEPTIVE_SAMPLES if steps > 0 else 0


def step_centre(step: int) -> int:
    """The sample at the middle of what `step` hears."""
    return step * STEP_SAMPLES + RECEPTIVE_SAMPLES // 2


def picture_to_step(picture: int, fps: Fraction) -> Fraction:
    """The step that `picture` of a video at `fps` is drawn from; between two steps where it is not whole."""
    return picture * STEP_RATE / fps


def count_pictures_within(steps: int, fps: Fraction) -> int:
    """Pictures that the first `steps` steps are enough for."""
    return (steps - 1) * fps // STEP_RATE + 1 if steps > 0 else 0


def count_steps_needed(pictures: int, fps: Fraction) -> int:
    """Steps that the first `pictures` pictures need."""
    return -(-picture_to_step(pictures - 1, fps) // 1) + 1 if pictures > 0 else 0
