"""The rule book for recordings: every threshold, and one table of rules that turn an `AudioReport` into findings.

A rule gives a sentence when it applies. The table says how grave that is and who repairs it. The policies "fix" and
"strict" of the front end follow from the same table.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.rate_evidence import (
    contradicts_rate_guess,
    find_rate_evidence,
    is_beyond_speech_speeds,
)
from liveavatar.audio.dsp.gain import PEAK_CEILING, TARGET_LUFS, compute_fixed_gain
from liveavatar.audio.dsp.playback_repair import PlaybackRepair
from liveavatar.audio.io.joined import JOINABLE_FORMATS
from liveavatar.files import format_command
from liveavatar.report import Finding, FindingLevel
from liveavatar.timeline import SAMPLE_RATE

_LENGTH_TOLERANCE_SHARE = 0.01  # of the duration that the container declares,
_LENGTH_TOLERANCE_SECONDS = 0.1  # or this if it is more: some containers count the padding of the codec
_FULL_BAND_HZ = 7_000.0  # engines read 16 kHz: sound should reach nearly 8 kHz
_RATE_BY_BAND_EDGE = (
    (4_050, 8_000),
    (5_600, 11_025),
    (6_100, 12_000),
)  # Hz: a sharp edge under the first means
# that the sound was taken at the second. The edge is that of the resampler's filter, just over half the rate.
_MIN_BAND_EDGE_HZ = 2_500.0  # sound that ends lower is muffled: no recorder samples at 5 kHz
_MAX_OPPOSITE_POLARITY_SHARE = 0.01  # of time
_MAX_CHANNEL_DIFFERENCE_DB = 25.0  # of one channel over all others
_SILENT_CHANNEL_DB = -80.0  # of full scale: the power of a channel without sound
_MAX_DC_OFFSET = 0.01  # of full scale
_CLIPPED_SHARE_WARN, _CLIPPED_SHARE_BAD = 1e-4, 1e-2  # of samples
_MAX_TRUE_PEAK = 1.12  # amplitude: 1 dB over full scale
_FAINT_LUFS, _QUIET_LUFS, _LOUD_LUFS = -50.0, -32.0, -10.0  # of the mono mix
_LEVEL_TOLERANCE_DB = 8.0  # below the target: loud enough where the peaks leave no room for more gain
_MIN_NOTED_GAIN_DB = 1.0  # a smaller change of level is not worth a line
_IDLE_SILENCE_SECONDS = 20.0  # a face at rest for longer looks frozen
_MIN_SPEECH_SHARE = 0.05  # of time: a recording of speech
_MIN_JUDGED_SPEECH_SHARE = 0.3  # of time: enough speech to judge rate, noise and echo by it
_SNR_BAD_DB, _SNR_WARN_DB = 6.0, 20.0
_MIN_ECHO_DURATION_SECONDS = 5.0  # of recording, to judge the room
_ECHO_SECONDS, _ECHO_SIMILARITY = 0.22, 0.66  # reverberation time and similarity of neighbouring spectra
_LONG_ECHO_SNR_DB, _LONG_ECHO_SIMILARITY = (
    25.0,
    0.69,
)  # an echo that fills every pause measures as noise instead

MIN_RATE_CONFIDENCE = 0.6
"""From which the rate guessed in place of a wrong one is used."""

Handling = Literal["repaired", "hint", "manual"]
"""Who deals with a finding. "repaired": reading with policy "fix". "hint": the user may, but neither the sound nor the
time of the lips depends on it, and policy "strict" accepts it. "manual": the user."""

Describe = Callable[[AudioReport], str | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the rule book. Rules of one name exclude each other: the first that applies counts."""

    name: str
    level: FindingLevel
    handling: Handling | None
    """None where there is nothing to do."""
    describe: Describe
    """Gives the sentence of the finding, None where the rule does not apply."""
    remedy: str | Callable[[AudioReport], str] = ""
    repair: Callable[[AudioReport], str] | None = None
    """Gives the line of `AudioReport.fixes`."""


def assess_recording(report: AudioReport) -> Iterator[Finding]:
    """Findings on a measured recording, those of level "ok" too, in the order of the rule book."""
    for rule, sentence in _apply_rules(report):
        remedy = rule.remedy if isinstance(rule.remedy, str) else rule.remedy(report)
        yield Finding(name=rule.name, level=rule.level, sentence=sentence, remedy=remedy)


def list_unrepaired_findings(report: AudioReport) -> Iterator[Finding]:
    """The findings of a report that policy "fix" does not repair."""
    repaired = {rule.name for rule, _ in _apply_rules(report) if rule.handling == "repaired"}
    for finding in report.findings:
        if finding.level != "ok" and finding.name not in repaired:
            yield finding


def find_blocking_finding(report: AudioReport) -> Finding | None:
    """The first finding for which policy "strict" refuses the recording."""
    hints = {rule.name for rule, _ in _apply_rules(report) if rule.handling == "hint"}
    blocking = (finding for finding in report.findings if finding.level != "ok" and finding.name not in hints)
    return next(blocking, None)


def find_certain_rate(report: AudioReport) -> int | None:
    """The rate in Hz that policy "fix" uses instead of a declared one that is certainly wrong.

    It is certain where other evidence than the voices shows it, or where no speech sounds so slow or fast. It never is
    where a picture is as long as the sound at the declared rate.
    """
    guess = report.rate_guess
    if _describe_rate_guess(report) is None or contradicts_rate_guess(report):
        return None
    if evidence := find_rate_evidence(report):
        return evidence.rate
    is_certain = guess.is_sure and guess.confidence >= MIN_RATE_CONFIDENCE and is_beyond_speech_speeds(guess)
    return guess.likely_rate if is_certain else None


def describe_repairs(report: AudioReport) -> Iterator[str]:
    """One line for each thing that policy "fix" changes."""
    if report.info.rate != report.info.declared_rate:
        yield f"it is read at {report.info.rate} Hz, though it declares {report.info.declared_rate} Hz"
    for rule, _ in _apply_rules(report):
        if rule.repair is not None:
            yield rule.repair(report)
    gain = _compute_gain_db(report)
    if abs(gain) >= _MIN_NOTED_GAIN_DB:
        yield f"the level is {'raised' if gain > 0 else 'lowered'} by {abs(gain):.0f} dB in the 16 kHz mono"


def derive_playback_repair(report: AudioReport) -> PlaybackRepair:
    """What policy "fix" changes in a recording that is played at its own rate and level, as in a video."""
    return PlaybackRepair(
        channel_offsets=report.channel_offsets if _describe_offset(report) else (),
        gain=PEAK_CEILING / report.level.true_peak if _describe_peak(report) else 1.0,
        channel=_find_single_channel(report),
        is_mixed=_has_opposite_polarity(report),
    )


def format_prepare_command(report: AudioReport, *options: str) -> str:
    """The command that repairs the recording."""
    if report.info.is_track_given:
        options = (*options, "--track", str(report.info.track))
    return format_command("liveavatar", "audio", "prepare", report.path, "-o", "prepared", *options)


def _apply_rules(report: AudioReport) -> Iterator[tuple[Rule, str]]:
    """The rules that apply, each with its sentence."""
    applied: set[str] = set()
    for rule in RULES:
        if rule.name not in applied and (sentence := rule.describe(report)):
            applied.add(rule.name)
            yield rule, sentence


# Data


def _describe_invalid_samples(report: AudioReport) -> str | None:
    count = report.damage.invalid_samples
    return f"{count} samples are not numbers" if count else None


def _describe_corrupt_packets(report: AudioReport) -> str | None:
    count = report.damage.corrupt_packets
    return f"{count} pieces cannot be decoded" if count else None


def _measure_missing(report: AudioReport) -> float:
    """Seconds by which a recording is shorter (above 0) or longer than declared; 0 within the tolerance."""
    declared = float(report.info.container_duration or report.duration)
    missing = declared - float(report.duration)
    tolerance = max(declared * _LENGTH_TOLERANCE_SHARE, _LENGTH_TOLERANCE_SECONDS)
    return missing if abs(missing) > tolerance else 0.0


def _describe_truncation(report: AudioReport) -> str | None:
    if _measure_missing(report) <= 0:
        return None
    declared = float(report.info.container_duration or 0)
    return f"it holds {float(report.duration):.1f} s of the {declared:.1f} s it announces"


def _describe_wrong_header(report: AudioReport) -> str | None:
    if _measure_missing(report) >= 0:
        return None
    declared = float(report.info.container_duration or 0)
    return f"it holds {float(report.duration):.1f} s, though it announces {declared:.1f} s"


def _describe_joined(report: AudioReport, is_usual: bool) -> str | None:
    """A remark on joined files of a format that is made for it, or is not."""
    count = report.damage.joined_files
    is_joinable = report.info.container in JOINABLE_FORMATS
    return f"it is {count} files joined in one" if count > 1 and is_joinable == is_usual else None


def _repair_joined(report: AudioReport) -> str:
    count, seconds = report.damage.joined_files, float(report.duration)
    return f"the headers of {count} files joined in it are skipped, and all {seconds:.1f} s are used"


def _describe_length(report: AudioReport) -> str | None:
    if _measure_missing(report):
        return None
    declared = ", as it announces" if report.info.container_duration else "; the container names no duration"
    return f"it holds {float(report.duration):.1f} s{declared}"


def _describe_tracks(report: AudioReport) -> str | None:
    info = report.info
    if info.track_count == 1 or info.is_track_given:
        return None
    return f"it has {info.track_count} sound tracks; number {info.track}, which players play, is used (--track picks)"


def _describe_given_track(report: AudioReport) -> str | None:
    count = report.info.track_count
    return f"of {count} sound tracks number {report.info.track} is used, as asked" if count > 1 else None


def _describe_integer_scale(report: AudioReport) -> str | None:
    scale = report.damage.full_scale
    return f"its float samples go to ±{scale:.0f} instead of ±1" if scale != 1 else None


# Sample rate and band. Of a wrong rate, neither the rate nor the band can be judged.


def _describe_rate_guess(report: AudioReport) -> str | None:
    """What the voices say against the declared rate; None where it is not doubted."""
    guess, corrected = report.rate_guess, report.corrected_speech_share
    if corrected is None or max(corrected, report.speech_share) < _MIN_JUDGED_SPEECH_SHARE:
        return None
    others = "".join(f" or {rate}" for rate in guess.alternatives)
    return (
        f"it declares {guess.declared_rate} Hz, but voices sound as if taken at {guess.likely_rate}{others} Hz "
        f"({guess.confidence:.0%} likely)"
    )


def _describe_wrong_rate(report: AudioReport) -> str | None:
    if find_certain_rate(report) is None:
        return None
    evidence = find_rate_evidence(report)
    return f"{_describe_rate_guess(report)}" + (f": {evidence.reason}" if evidence else "")


def _describe_doubted_rate(report: AudioReport) -> str | None:
    sentence = _describe_rate_guess(report)
    return sentence and f"{sentence} unless somebody speaks so, and its time is left as it is"


def _describe_plausible_rate(report: AudioReport) -> str:
    return f"nothing in the voices speaks against {report.rate_guess.declared_rate} Hz"


def _format_true_rate_command(report: AudioReport) -> str:
    return format_prepare_command(
        report, "--true-rate", str(find_certain_rate(report) or report.rate_guess.likely_rate)
    )


def _describe_low_rate(report: AudioReport) -> str | None:
    if report.info.rate >= SAMPLE_RATE or _describe_rate_guess(report):
        return None
    return f"{report.info.rate} Hz leaves out consonants that the lips need"


def _describe_rate(report: AudioReport) -> str | None:
    rate, declared = report.info.rate, report.info.declared_rate
    if _describe_rate_guess(report):
        return None
    if rate != declared:
        return f"it is taken for {rate} Hz, though it declares {declared} Hz"
    return f"{rate} Hz is enough" if rate > SAMPLE_RATE else "16000 Hz is right"


def _describe_band(report: AudioReport) -> str | None:
    if _describe_rate_guess(report):
        return None
    if report.band_limit is None:
        return "there is no sound whose bandwidth could be told"
    return f"sound reaches {report.band_limit.edge_hz / 1000:.1f} kHz"


def _describe_narrow_band(report: AudioReport) -> str | None:
    band, rate, reach = report.band_limit, report.info.rate, _describe_band(report)
    if reach is None or band is None or not band.is_sharp or band.edge_hz >= _FULL_BAND_HZ:
        return None
    if rate < SAMPLE_RATE or report.speech_share < _MIN_SPEECH_SHARE:
        return None
    for limit, origin in _RATE_BY_BAND_EDGE:
        if _MIN_BAND_EDGE_HZ <= band.edge_hz < limit:
            return f"it is a recording of {origin} Hz upsampled to {rate} Hz: {reach} only"
    return f"{reach} only: a filter or codec cut it off there"


# Time


def _describe_gaps(report: AudioReport) -> str | None:
    seconds = report.damage.repairs.inserted_silence
    return f"{float(seconds):.2f} s are missing between time stamps" if seconds else None


def _repair_gaps(report: AudioReport) -> str:
    seconds = float(report.damage.repairs.inserted_silence)
    return f"{seconds:.2f} s missing between time stamps are filled with silence"


def _describe_overlaps(report: AudioReport) -> str | None:
    seconds = report.damage.repairs.dropped_overlap
    return f"{float(seconds):.2f} s overlap" if seconds else None


def _describe_slow_clock(report: AudioReport) -> str | None:
    is_slow = report.damage.repairs.has_slow_clock
    return "its time stamps advance more slowly than its sound" if is_slow else None


def _describe_clock_jumps(report: AudioReport) -> str | None:
    count = report.damage.repairs.clock_jumps
    return f"its clock jumps {count} times" if count else None


def _describe_rate_changes(report: AudioReport) -> str | None:
    count = report.damage.repairs.rate_changes
    return f"its sample rate changes {count} times" if count else None


def _describe_dropouts(report: AudioReport) -> str | None:
    if not report.dropout_count:
        return None
    return f"sound breaks off {report.dropout_count} times, for {report.dropout_seconds:.2f} s in all"


# Channels


def _describe_opposite_polarity(report: AudioReport) -> str | None:
    share = report.opposite_polarity_share
    return (
        f"channels cancel each other for {share:.0%} of the time" if _has_opposite_polarity(report) else None
    )


def _has_opposite_polarity(report: AudioReport) -> bool:
    return report.opposite_polarity_share > _MAX_OPPOSITE_POLARITY_SHARE


def _repair_polarity(report: AudioReport) -> str:
    return (
        f"channels of opposite polarity are turned over for {report.opposite_polarity_share:.0%} of the time"
    )


def _find_single_channel(report: AudioReport) -> int | None:
    """Index of the only channel of several that carries sound."""
    first, *others = sorted(report.channel_levels, reverse=True)
    if not others or first <= _SILENT_CHANNEL_DB or first - others[0] <= _MAX_CHANNEL_DIFFERENCE_DB:
        return None
    return report.channel_levels.index(first)


def _describe_single_channel(report: AudioReport) -> str | None:
    channel = _find_single_channel(report)
    return None if channel is None else f"only channel {channel + 1} carries sound"


def _describe_channels(report: AudioReport) -> str | None:
    if _has_opposite_polarity(report) or _describe_single_channel(report):
        return None
    count = len(report.channel_levels)
    return "one channel" if count == 1 else f"{count} channels agree"


# Level


def _describe_offset(report: AudioReport) -> str | None:
    offset = report.mono_level.dc_offset
    return f"it has a constant offset of {offset:+.3f}" if abs(offset) >= _MAX_DC_OFFSET else None


def _describe_clipping(report: AudioReport, limit: float) -> str | None:
    return f"{report.clipped_share:.2%} of it is clipped" if report.clipped_share >= limit else None


def _describe_peak(report: AudioReport) -> str | None:
    peak = report.level.true_peak
    if peak <= _MAX_TRUE_PEAK:
        return None
    return f"its true peak is {20 * math.log10(peak):+.1f} dBTP, over full scale"


def _compute_gain_db(report: AudioReport) -> float:
    return 20 * math.log10(compute_fixed_gain(report.mono_level))


def _describe_loud(report: AudioReport) -> str | None:
    if report.mono_level.loudness <= _LOUD_LUFS:
        return None
    return f"it is loud: {report.mono_level.loudness:.0f} LUFS; {TARGET_LUFS:.0f} LUFS are wanted"


def _describe_faint(report: AudioReport) -> str | None:
    if not -math.inf < report.mono_level.loudness < _FAINT_LUFS:
        return None
    return f"it is faint: {report.mono_level.loudness:.0f} LUFS; raised, its noise is heard too"


def _describe_quiet(report: AudioReport) -> str | None:
    if not _FAINT_LUFS <= report.mono_level.loudness < _QUIET_LUFS:
        return None
    return f"it is quiet: {report.mono_level.loudness:.0f} LUFS; {TARGET_LUFS:.0f} LUFS are wanted"


def _describe_repairable_quiet(report: AudioReport) -> str | None:
    """As `_describe_quiet`, where the peaks leave room for the gain."""
    repaired = report.mono_level.loudness + _compute_gain_db(report)
    return _describe_quiet(report) if repaired >= TARGET_LUFS - _LEVEL_TOLERANCE_DB else None


def _describe_level(report: AudioReport) -> str | None:
    loudness = report.mono_level.loudness
    return f"as mono it is at {loudness:.0f} LUFS" if loudness > -math.inf else None


# Background and content


def _describe_idle(report: AudioReport) -> str | None:
    seconds = report.background.longest_silence
    return (
        f"nobody speaks for {seconds:.0f} s: the face will idle" if seconds >= _IDLE_SILENCE_SECONDS else None
    )


def _describe_snr(report: AudioReport) -> str | None:
    snr = report.background.snr
    if snr is None or report.speech_share < _MIN_JUDGED_SPEECH_SHARE:
        return None
    return f"speech lies {snr:.0f} dB over the noise"


def _describe_noise(report: AudioReport, limit: float) -> str | None:
    """Noise of less than `limit` dB of SNR. Where there is an echo, it is taken for that."""
    sentence, snr = _describe_snr(report), report.background.snr
    if sentence is None or snr is None or snr >= limit or _is_distant(report):
        return None
    return f"{sentence} only"


def _format_denoise_command(report: AudioReport) -> str:
    return format_prepare_command(report, "--denoise")


def _describe_echo(report: AudioReport) -> str | None:
    if _describe_snr(report) is None or not _is_distant(report) or _describe_music(report):
        return None
    return "the room echoes, or the microphone was far away"


def _describe_no_echo(report: AudioReport) -> str | None:
    if _describe_snr(report) is None or _describe_music(report):
        return None
    return "no echo of a room is heard"


def _describe_music(report: AudioReport) -> str | None:
    """Music beside speech; it lasts as the sound of a room does, so that echo cannot be told from it."""
    texture = report.voiceless_texture
    if texture is None or texture.kind != "music" or _describe_speech(report) is None:
        return None
    return "music is heard where nobody speaks: the mouth stays shut there"


def _is_distant(report: AudioReport) -> bool:
    background = report.background
    similarity = report.texture.spectral_similarity if report.texture else 0.0
    if report.duration < _MIN_ECHO_DURATION_SECONDS:
        return False
    if background.reverberation_time is not None:
        return background.reverberation_time >= _ECHO_SECONDS and similarity >= _ECHO_SIMILARITY
    return (
        background.snr is not None
        and background.snr < _LONG_ECHO_SNR_DB
        and similarity >= _LONG_ECHO_SIMILARITY
    )


def _describe_longest_silence(report: AudioReport) -> str:
    return f"the longest silence lasts {report.background.longest_silence:.1f} s"


def _describe_silence(report: AudioReport) -> str | None:
    return "it is silent: the face will idle" if report.mono_level.loudness == -math.inf else None


def _describe_speech(report: AudioReport) -> str | None:
    share = report.speech_share
    return f"somebody speaks for {share:.0%} of the time" if share >= _MIN_SPEECH_SHARE else None


def _describe_other_sound(report: AudioReport) -> str:
    kind = report.texture.kind if report.texture else "other"
    likeness = {"music": ": it sounds like music", "noise": ": it sounds like noise or applause", "other": ""}
    return f"hardly any speech is heard in it{likeness[kind]}"


_REPAIR, _SPEECH_ONLY = format_prepare_command, "choose a recording of speech"
_CLOSER, _QUIETER = "record it again, closer to the microphone", "record it again at a lower level"
_VOICE_ALONE = "nothing needs mending; if the voice lies under music, use a recording of the voice alone"
_ORIGINAL = "use the original recording, or record at 16000 Hz or more"
_EXPORT = "export it again, or record it in one piece with a larger buffer"

RULES = (
    Rule("samples", "bad", "repaired", _describe_invalid_samples, _REPAIR,
         lambda report: f"{report.damage.invalid_samples} samples that were not numbers are silenced"),
    Rule("scale", "warn", "repaired", _describe_integer_scale, _REPAIR,
         lambda report: f"its float samples are divided by {report.damage.full_scale:.0f}"),
    Rule("packets", "bad", "manual", _describe_corrupt_packets, "copy it again from its source"),
    Rule("length", "bad", "manual", _describe_truncation, "get the whole file"),
    Rule("header", "warn", "repaired", _describe_wrong_header, _REPAIR,
         lambda report: f"all {float(report.duration):.1f} s are used, more than it announces"),
    Rule("length", "ok", None, _describe_length),
    Rule("joined", "warn", "repaired", lambda report: _describe_joined(report, False), _REPAIR, _repair_joined),
    Rule("joined", "ok", None, lambda report: _describe_joined(report, True)),
    Rule("tracks", "warn", "repaired", _describe_tracks, _REPAIR, lambda report: str(_describe_tracks(report))),
    Rule("tracks", "ok", None, _describe_given_track),
    Rule("rate", "warn", "manual", _describe_low_rate, "record at 16000 Hz or more"),
    Rule("rate", "ok", None, _describe_rate),
    Rule("true-rate", "bad", "manual", _describe_wrong_rate, _format_true_rate_command),
    Rule("true-rate", "warn", "manual", _describe_doubted_rate, _format_true_rate_command),
    Rule("true-rate", "ok", None, _describe_plausible_rate),
    Rule("bandwidth", "warn", "manual", _describe_narrow_band, _ORIGINAL),
    Rule("bandwidth", "ok", None, _describe_band),
    Rule("gaps", "warn", "repaired", _describe_gaps, _REPAIR, _repair_gaps),
    Rule("overlaps", "warn", "repaired", _describe_overlaps, _REPAIR,
         lambda report: f"{float(report.damage.repairs.dropped_overlap):.2f} s that overlap are dropped"),
    Rule("clock", "warn", "repaired", _describe_clock_jumps, _REPAIR,
         lambda report: f"{report.damage.repairs.clock_jumps} jumps of its clock are closed up"),
    Rule("clock", "warn", "repaired", _describe_slow_clock, _REPAIR,
         lambda report: f"its time stamps are ignored, and all {float(report.duration):.1f} s are used"),
    Rule("changes", "warn", "repaired", _describe_rate_changes, _REPAIR,
         lambda report: f"{report.damage.repairs.rate_changes} changes of sample rate are evened out"),
    Rule("dropouts", "warn", "manual", _describe_dropouts, _EXPORT),
    Rule("dropouts", "ok", None, lambda _: "sound never breaks off"),
    Rule("phase", "warn", "repaired", _describe_opposite_polarity, _REPAIR, _repair_polarity),
    Rule("balance", "warn", "repaired", _describe_single_channel, _REPAIR,
         lambda _: "the one channel that carries sound is used"),
    Rule("channels", "ok", None, _describe_channels),
    Rule("offset", "warn", "repaired", _describe_offset, _REPAIR,
         lambda report: f"a constant offset of {report.mono_level.dc_offset:+.3f} is removed"),
    Rule("offset", "ok", None, lambda _: "there is no constant offset"),
    Rule("clipping", "bad", "manual", lambda report: _describe_clipping(report, _CLIPPED_SHARE_BAD), _QUIETER),
    Rule("clipping", "warn", "hint", lambda report: _describe_clipping(report, _CLIPPED_SHARE_WARN), _QUIETER),
    Rule("clipping", "ok", None, lambda _: "it is not clipped"),
    Rule("peak", "warn", "repaired", _describe_peak, _REPAIR),
    Rule("level", "warn", "repaired", _describe_loud, _REPAIR),
    Rule("level", "bad", "manual", _describe_faint, _CLOSER),
    Rule("level", "warn", "repaired", _describe_repairable_quiet, _REPAIR),
    Rule("level", "warn", "manual", _describe_quiet, _REPAIR),
    Rule("level", "ok", None, _describe_level),
    Rule("silence", "warn", "hint", _describe_idle, "cut the silence out in an editor"),
    Rule("silence", "ok", None, _describe_longest_silence),
    Rule("noise", "bad", "manual", lambda report: _describe_noise(report, _SNR_BAD_DB), _format_denoise_command),
    Rule("noise", "warn", "hint", lambda report: _describe_noise(report, _SNR_WARN_DB), _format_denoise_command),
    Rule("noise", "ok", None, _describe_snr),
    Rule("echo", "warn", "hint", _describe_echo, _CLOSER),
    Rule("echo", "ok", None, _describe_no_echo),
    Rule("music", "warn", "hint", _describe_music, _VOICE_ALONE),
    Rule("speech", "warn", "manual", _describe_silence, _SPEECH_ONLY),
    Rule("speech", "ok", None, _describe_speech),
    Rule("speech", "warn", "manual", _describe_other_sound, _SPEECH_ONLY),
)  # fmt: skip
"""The rule book, in the order of the findings."""
