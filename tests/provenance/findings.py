"""Findings of the watermark's search, for tests in which it need not be searched: that takes seconds."""

from dataclasses import replace

from liveavatar.provenance.watermark_detection import WatermarkFinding

NOT_FOUND = WatermarkFinding(
    strength=0.0, false_alarm_probability=1.0, scale=1.0, offset=(0.0, 0.0), is_mirrored=False
)
FOUND = replace(NOT_FOUND, strength=20.0, false_alarm_probability=1e-30)
