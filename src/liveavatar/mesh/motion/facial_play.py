"""The play of brows, cheeks and corners of the mouth while someone speaks, besides what emphasis and speech move.

They rise and fall with the melody of the voice (Cavé et al., "About the relationship between eyebrow movements and F0
variations", ICSLP 1996), and without a cause in it. Amounts come near those of a filmed speaker (`docs/mesh.md`).
"""

from random import Random

from liveavatar.mesh.motion.signals import DampedSpring, SmoothNoise
from liveavatar.mesh.motion.speech_cues import VoiceCues


class FacialPlayProcess:
    """Height of the brows, and how far the corners of the mouth are drawn apart; both 0 in silence."""

    BROW_HERTZ, BROW_SIZE, BROW_PER_SEMITONE = 0.45, 0.40, 0.05
    CORNERS_HERTZ, CORNERS_SIZE, CORNERS_PER_SEMITONE = 0.5, 0.42, 0.05
    """Rate and standard deviation of what has no cause in the voice, and growth with the voice's pitch."""
    VOICE_HERTZ = 0.7
    """Smoothing of the voice."""

    def __init__(self, seed: int) -> None:
        self._brow_noise = SmoothNoise(Random(f"{seed} brows"), self.BROW_HERTZ)
        self._corners_noise = SmoothNoise(Random(f"{seed} corners"), self.CORNERS_HERTZ)
        self._melody = DampedSpring(self.VOICE_HERTZ)
        self._speaking = DampedSpring(self.VOICE_HERTZ)

    def next_play(self, voice: VoiceCues) -> tuple[float, float]:
        """Brows and corners of the mouth one tick later; 1 is far."""
        melody = self._melody.step_towards(voice.speaking * max(voice.pitch, 0.0))
        speaking = self._speaking.step_towards(voice.speaking)
        brow = speaking * self.BROW_SIZE * self._brow_noise.next_value() + self.BROW_PER_SEMITONE * melody
        corners = speaking * self.CORNERS_SIZE * self._corners_noise.next_value()
        return brow, corners + self.CORNERS_PER_SEMITONE * melody
