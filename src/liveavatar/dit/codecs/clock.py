"""The clock of wav2vec2, HuBERT and WavLM: 50 steps a second, each computed from 25 ms of sound.

The centre of step k is sample 320k + 200, which is 12.5 ms after its first sample. The model was trained with picture
i drawn from step 50·i/fps, both counted from 0: a picture shows the sound 12.5 ms after its own start. Features between
two steps are interpolated.
"""

from liveavatar.timeline import StepClock

WAV2VEC2_CLOCK = StepClock(stride=320, field=400)
"""Stride and receptive field of the convolutions, in samples at 16 kHz (wav2vec 2.0, arXiv 2006.11477, section 4.2)."""
