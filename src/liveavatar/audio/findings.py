"""What to say about a recording: its measurements turned into sentences, each with what to do."""

import math
from collections.abc import Iterator

from liveavatar.audio.level import TARGET, fixed_gain
from liveavatar.audio.quality import AudioReport
from liveavatar.report import Finding

_QUIET, _LOUD = -32.0, -10.0  # LUFS of the mono mix outside which levelling is needed
_FAINT = -50.0  # LUFS under which there is more noise than voice
_OFFSET = 0.01  # constant offset that matters, of full scale
_ONE_SIDED = 25.0  # dB one channel is above all others
_CLIPPED, _RUINED = 1e-4, 1e-2  # share of samples on flat tops
_SPEECHLESS = 0.05  # share of time
_TRUNCATED = 0.01  # share of the promised duration that may be missing,
_PADDING = 0.1  # or seconds: some containers count the codec's padding
_RERECORD = "record it again at a lower level"


def find(report: AudioReport) -> Iterator[Finding]:
    """Everything worth saying about a recording, in the order it was measured."""
    yield from _data(report)
    yield from _time(report)
    yield from _channels(report)
    yield from _level(report)
    yield from _content(report)


def mended(report: AudioReport) -> Iterator[str]:
    """One line for each thing that reading with policy "fix" mends."""
    damage, repairs = report.damage, report.damage.repairs
    if damage.not_finite:
        yield f"{damage.not_finite} samples that were not numbers are silenced"
    if repairs.silence:
        yield f"{float(repairs.silence):.2f} s missing between time stamps are filled with silence"
    if repairs.dropped:
        yield f"{float(repairs.dropped):.2f} s that overlap are dropped"
    if repairs.changes:
        yield f"{repairs.changes} changes of sample rate are evened out"
    if report.turned > 0:
        yield f"channels of opposite polarity are turned over for {report.turned:.0%} of the time"
    if abs(report.mono.dc) >= _OFFSET:
        yield f"a constant offset of {report.mono.dc:+.3f} is removed"
    change = 20 * math.log10(fixed_gain(report.mono))
    if abs(change) >= 1:
        yield f"the level is {'raised' if change > 0 else 'lowered'} by {abs(change):.0f} dB"


def _data(report: AudioReport) -> Iterator[Finding]:
    damage, info = report.damage, report.info
    if damage.not_finite:
        yield _bad("samples", f"{damage.not_finite} samples are not numbers", "export it again")
    if damage.corrupt_packets:
        yield _bad(
            "packets", f"{damage.corrupt_packets} pieces cannot be decoded", "copy it again from its source"
        )
    missing = (info.promised or 0) - report.duration
    if info.promised and missing > max(info.promised * _TRUNCATED, _PADDING):
        held = f"{float(report.duration):.1f} s of the {float(info.promised):.1f} s it announces"
        yield _bad("length", f"it holds {held}", "get the whole file")
    if info.tracks > 1:
        yield _warn("tracks", f"it has {info.tracks} sound tracks; the main one is used", "keep one track")
    if info.rate < 16_000:
        text = f"{info.rate} Hz leaves out consonants that the lips need"
        yield _warn("rate", text, "record at 16000 Hz or more")


def _time(report: AudioReport) -> Iterator[Finding]:
    repairs = report.damage.repairs
    if repairs.silence:
        yield _warn(
            "gaps",
            f"{float(repairs.silence):.2f} s are missing between time stamps",
            "record it in one piece",
        )
    if repairs.dropped:
        yield _warn("overlaps", f"{float(repairs.dropped):.2f} s overlap", "record it in one piece")
    if repairs.jumps:
        yield _warn("clock", f"its clock jumps {repairs.jumps} times", "record it in one piece")
    if repairs.changes:
        yield _warn("changes", f"its sample rate changes {repairs.changes} times", "record it in one piece")


def _channels(report: AudioReport) -> Iterator[Finding]:
    if report.turned > 0.01:
        text = f"channels cancel each other for {report.turned:.0%} of the time"
        yield _warn("phase", text, "swap the wires of one channel")
    first, *others = sorted(report.channel_levels, reverse=True)
    if others and first > -80 and first - others[0] > _ONE_SIDED:
        index = report.channel_levels.index(first) + 1
        yield _warn("balance", f"only channel {index} carries sound", "export that channel as mono")


def _level(report: AudioReport) -> Iterator[Finding]:
    loudness = report.mono.loudness
    if abs(report.mono.dc) >= _OFFSET:
        text = f"it has a constant offset of {report.mono.dc:+.3f}"
        yield _warn("offset", text, "remove the offset (DC) in an editor")
    if report.clipping >= _CLIPPED:
        finding = _bad if report.clipping >= _RUINED else _warn
        yield finding("clipping", f"{report.clipping:.2%} of it is clipped", _RERECORD)
    if loudness > _LOUD:
        yield _warn("level", f"it is loud: {loudness:.0f} LUFS", f"lower it to {TARGET:.0f} LUFS")
    elif -math.inf < loudness < _QUIET:
        finding = _bad if loudness < _FAINT else _warn
        yield finding("level", f"it is quiet: {loudness:.0f} LUFS", f"raise it to {TARGET:.0f} LUFS")


def _content(report: AudioReport) -> Iterator[Finding]:
    if report.mono.loudness == -math.inf:
        yield _warn("speech", "it is silent: the face will idle", "choose a recording of speech")
    elif report.speech < _SPEECHLESS:
        yield _warn("speech", "hardly any speech is heard in it", "choose a recording of speech")


def _warn(name: str, sentence: str, remedy: str) -> Finding:
    return Finding(name=name, level="warn", sentence=sentence, remedy=remedy)


def _bad(name: str, sentence: str, remedy: str) -> Finding:
    return Finding(name=name, level="bad", sentence=sentence, remedy=remedy)
