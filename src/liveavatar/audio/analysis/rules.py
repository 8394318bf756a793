"""What to say about a recording: its measurements turned into sentences, each with the one thing that mends it."""

import math
import shlex
from collections.abc import Iterator

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.noise import Background
from liveavatar.audio.dsp.gain import TARGET_LUFS
from liveavatar.report import Finding, FindingLevel
from liveavatar.timeline import SAMPLE_RATE

_QUIET_LUFS, _LOUD_LUFS = -32.0, -10.0  # LUFS of the mono mix outside which levelling is needed
_FAINT_LUFS = -50.0  # LUFS under which there is more noise than voice
_MAX_TRUE_PEAK = 1.12  # true peak, an amplitude: 1 dB over full scale
_MAX_DC_OFFSET = 0.01  # constant offset that matters, of full scale
_MAX_CHANNEL_DIFFERENCE_DB = 25.0  # dB one channel is above all others
_CLIPPED_SHARE_WARN, _CLIPPED_SHARE_BAD = 1e-4, 1e-2  # share of samples on flat tops
_MIN_SPEECH_SHARE = 0.05  # share of time
_MIN_JUDGED_SPEECH_SHARE = 0.3  # share of time from which noise and echo behind the voice can be told
_LENGTH_TOLERANCE_SHARE = 0.01  # share of the promised duration that may be missing,
_LENGTH_TOLERANCE_SECONDS = 0.1  # or seconds: some containers count the codec's padding
_SNR_WARN_DB, _SNR_BAD_DB = 20.0, 6.0  # dB of speech over noise
_ECHO_SECONDS, _ECHO_SIMILARITY = (
    0.22,
    0.66,
)  # seconds, and likeness of neighbouring spectra, from where a room is heard
_LONG_ECHO_SNR_DB, _LONG_ECHO_SIMILARITY = (
    25.0,
    0.69,
)  # an echo that never ends looks like noise with a held spectrum
_MIN_ECHO_DURATION_SECONDS = 5.0  # seconds of sound that it takes to tell a room
_IDLE_SILENCE_SECONDS = 20.0  # seconds of silence in which a face seems stuck
_FULL_BAND_HZ = 7_000.0  # Hz an engine's 16 kHz should be filled up to
_RATE_BY_BAND_EDGE = {
    4_050: 8_000,
    5_600: 11_025,
    6_100: 12_000,
}  # Hz an edge lies under: the rate it comes from
_MIN_BAND_EDGE_HZ = 2_500.0  # Hz; what ends lower was never sampled so slowly, but is muffled
_MIN_RATE_CONFIDENCE = (
    0.6  # confidence from which a wrong rate is not only sure, but the right one is known too
)
_RERECORD_REMEDY = "record it again at a lower level"
_ONE_PIECE_REMEDY = "record it in one piece"


def assess_recording(report: AudioReport) -> Iterator[Finding]:
    """Everything looked at in a recording, also what is well, in the order it was measured."""
    yield from _assess_data(report)
    yield from _assess_timing(report)
    yield from _assess_channels(report)
    yield from _assess_level(report)
    yield from _assess_background(report)
    yield _assess_content(report)


def format_prepare_command(report: AudioReport, *options: str) -> str:
    """The command that mends the recording."""
    return shlex.join(["liveavatar", "audio", "prepare", str(report.path), "-o", "prepared", *options])


def _assess_data(report: AudioReport) -> Iterator[Finding]:
    damage, info = report.damage, report.info
    if damage.invalid_samples:
        yield _bad_finding(
            "samples", f"{damage.invalid_samples} samples are not numbers", format_prepare_command(report)
        )
    if damage.corrupt_packets:
        text = f"{damage.corrupt_packets} pieces cannot be decoded"
        yield _bad_finding("packets", text, "copy it again from its source")
    yield _assess_length(report)
    if info.track_count > 1:
        yield _warn_finding(
            "tracks",
            f"it has {info.track_count} sound tracks; the main one is used",
            format_prepare_command(report),
        )
    true_rate = _assess_true_rate(report)
    if true_rate.level == "ok":
        yield _assess_rate(report)
    yield true_rate
    if true_rate.level == "ok":  # of a wrong rate, neither itself nor the band can be judged
        yield _assess_bandwidth(report)


def _assess_length(report: AudioReport) -> Finding:
    promised, held = float(report.info.container_duration or 0), float(report.duration)
    spare = max(promised * _LENGTH_TOLERANCE_SHARE, _LENGTH_TOLERANCE_SECONDS)
    if not promised:
        return _ok_finding("length", f"it holds {held:.1f} s; the container names no duration")
    if promised - held > spare:
        text = f"it holds {held:.1f} s of the {promised:.1f} s it announces"
        return _bad_finding("length", text, "get the whole file")
    if held - promised > spare:
        text = f"it holds {held:.1f} s, though it announces {promised:.1f} s"
        return _warn_finding("header", text, format_prepare_command(report))
    return _ok_finding("length", f"it holds {held:.1f} s, as it announces")


def _assess_rate(report: AudioReport) -> Finding:
    info = report.info
    if info.rate < SAMPLE_RATE:
        text = f"{info.rate} Hz leaves out consonants that the lips need"
        return _warn_finding("rate", text, "record at 16000 Hz or more")
    if info.rate != info.declared_rate:
        return _ok_finding(
            "rate", f"it is taken for {info.rate} Hz, though it declares {info.declared_rate} Hz"
        )
    return _ok_finding(
        "rate", f"{info.rate} Hz is enough" if info.rate > SAMPLE_RATE else "16000 Hz is right"
    )


def _assess_true_rate(report: AudioReport) -> Finding:
    guess = report.rate_guess
    if (
        report.corrected_speech_share is None
        or max(report.corrected_speech_share, report.speech_share) < _MIN_JUDGED_SPEECH_SHARE
    ):
        return _ok_finding("true-rate", f"nothing in the voices speaks against {guess.declared_rate} Hz")
    others = "".join(f" or {rate}" for rate in guess.alternatives)
    text = (
        f"it declares {guess.declared_rate} Hz, but voices sound as if taken at {guess.likely_rate}{others} Hz "
        f"({guess.confidence:.0%} likely)"
    )
    remedy = format_prepare_command(report, "--true-rate", str(guess.likely_rate))
    sure = guess.is_sure and guess.confidence >= _MIN_RATE_CONFIDENCE
    return (_bad_finding if sure else _warn_finding)("true-rate", text, remedy)


def _assess_bandwidth(report: AudioReport) -> Finding:
    band, rate = report.band_limit, report.info.rate
    if band is None:
        return _ok_finding("bandwidth", "there is no sound whose bandwidth could be told")
    reach = f"sound reaches {band.edge_hz / 1000:.1f} kHz"
    if (
        rate < SAMPLE_RATE
        or not band.is_sharp
        or band.edge_hz >= _FULL_BAND_HZ
        or report.speech_share < _MIN_SPEECH_SHARE
    ):
        return _ok_finding("bandwidth", reach)
    again = "use the original recording, or record at 16000 Hz or more"
    for limit, origin in _RATE_BY_BAND_EDGE.items():
        if _MIN_BAND_EDGE_HZ <= band.edge_hz < limit:
            text = f"it is a recording of {origin} Hz upsampled to {rate} Hz: {reach} only"
            return _warn_finding("bandwidth", text, again)
    return _warn_finding("bandwidth", f"{reach} only: a filter or codec cut it off there", again)


def _assess_timing(report: AudioReport) -> Iterator[Finding]:
    repairs, mend = report.damage.repairs, format_prepare_command(report)
    if repairs.inserted_silence:
        text = f"{float(repairs.inserted_silence):.2f} s are missing between time stamps"
        yield _warn_finding("gaps", text, mend)
    if repairs.dropped_overlap:
        yield _warn_finding("overlaps", f"{float(repairs.dropped_overlap):.2f} s overlap", mend)
    if repairs.clock_jumps:
        yield _warn_finding("clock", f"its clock jumps {repairs.clock_jumps} times", mend)
    if repairs.rate_changes:
        yield _warn_finding("changes", f"its sample rate changes {repairs.rate_changes} times", mend)
    if report.dropout_count:
        text = f"sound breaks off {report.dropout_count} times, for {report.dropout_seconds:.2f} s in all"
        yield _warn_finding("dropouts", text, f"export it again, or {_ONE_PIECE_REMEDY} with a larger buffer")
    else:
        yield _ok_finding("dropouts", "sound never breaks off")


def _assess_channels(report: AudioReport) -> Iterator[Finding]:
    if report.opposite_polarity_share > 0.01:
        text = f"channels cancel each other for {report.opposite_polarity_share:.0%} of the time"
        yield _warn_finding("phase", text, format_prepare_command(report))
    first, *others = sorted(report.channel_levels, reverse=True)
    if others and first > -80 and first - others[0] > _MAX_CHANNEL_DIFFERENCE_DB:
        index = report.channel_levels.index(first) + 1
        yield _warn_finding("balance", f"only channel {index} carries sound", format_prepare_command(report))
    elif report.opposite_polarity_share <= 0.01:
        count = len(report.channel_levels)
        yield _ok_finding("channels", "one channel" if count == 1 else f"{count} channels agree")


def _assess_level(report: AudioReport) -> Iterator[Finding]:
    if abs(report.mono_level.dc_offset) >= _MAX_DC_OFFSET:
        yield _warn_finding(
            "offset",
            f"it has a constant offset of {report.mono_level.dc_offset:+.3f}",
            format_prepare_command(report),
        )
    else:
        yield _ok_finding("offset", "there is no constant offset")
    if report.clipped_share >= _CLIPPED_SHARE_WARN:
        finding = _bad_finding if report.clipped_share >= _CLIPPED_SHARE_BAD else _warn_finding
        yield finding("clipping", f"{report.clipped_share:.2%} of it is clipped", _RERECORD_REMEDY)
    else:
        yield _ok_finding("clipping", "it is not clipped")
    if report.level.true_peak > _MAX_TRUE_PEAK:
        text = f"its true peak is {20 * math.log10(report.level.true_peak):+.1f} dBTP, over full scale"
        yield _warn_finding("peak", text, format_prepare_command(report))
    yield from _assess_loudness(report)


def _assess_loudness(report: AudioReport) -> Iterator[Finding]:
    loudness = report.mono_level.loudness
    if loudness == -math.inf:
        return
    aim = f"{TARGET_LUFS:.0f} LUFS are wanted"
    if loudness > _LOUD_LUFS:
        yield _warn_finding(
            "level", f"it is loud: {loudness:.0f} LUFS; {aim}", format_prepare_command(report)
        )
    elif loudness < _FAINT_LUFS:
        text = f"it is faint: {loudness:.0f} LUFS; raised, its noise is heard too"
        yield _bad_finding("level", text, "record it again, closer to the microphone")
    elif loudness < _QUIET_LUFS:
        yield _warn_finding(
            "level", f"it is quiet: {loudness:.0f} LUFS; {aim}", format_prepare_command(report)
        )
    else:
        yield _ok_finding("level", f"as mono it is at {loudness:.0f} LUFS")


def _assess_background(report: AudioReport) -> Iterator[Finding]:
    background = report.background
    if background.longest_silence >= _IDLE_SILENCE_SECONDS:
        text = f"nobody speaks for {background.longest_silence:.0f} s: the face will idle"
        yield _warn_finding("silence", text, "cut the silence out in an editor")
    else:
        yield _ok_finding("silence", f"the longest silence lasts {background.longest_silence:.1f} s")
    if background.snr is None or report.speech_share < _MIN_JUDGED_SPEECH_SHARE:
        return
    over = f"speech lies {background.snr:.0f} dB over the noise"
    distant = _is_distant(report, background)
    if background.snr < _SNR_WARN_DB and not distant:
        finding = _bad_finding if background.snr < _SNR_BAD_DB else _warn_finding
        yield finding("noise", f"{over} only", format_prepare_command(report, "--denoise"))
    else:
        yield _ok_finding("noise", over)
    if distant:
        text = "the room echoes, or the microphone was far away"
        yield _warn_finding("echo", text, "record it again, closer to the microphone")
    else:
        yield _ok_finding("echo", "no echo of a room is heard")


def _is_distant(report: AudioReport, background: Background) -> bool:
    held = report.texture.spectral_similarity if report.texture else 0.0
    if report.duration < _MIN_ECHO_DURATION_SECONDS:
        return False
    if background.reverberation_time is not None:
        return background.reverberation_time >= _ECHO_SECONDS and held >= _ECHO_SIMILARITY
    return background.snr is not None and background.snr < _LONG_ECHO_SNR_DB and held >= _LONG_ECHO_SIMILARITY


def _assess_content(report: AudioReport) -> Finding:
    other = "choose a recording of speech"
    if report.mono_level.loudness == -math.inf:
        return _warn_finding("speech", "it is silent: the face will idle", other)
    if report.speech_share >= _MIN_SPEECH_SHARE:
        return _ok_finding("speech", f"somebody speaks for {report.speech_share:.0%} of the time")
    kind = report.texture.kind if report.texture else "other"
    heard = {"music": ": it sounds like music", "noise": ": it sounds like noise or applause", "other": ""}
    return _warn_finding("speech", f"hardly any speech is heard in it{heard[kind]}", other)


def _build_finding(name: str, level: FindingLevel, sentence: str, remedy: str = "") -> Finding:
    return Finding(name=name, level=level, sentence=sentence, remedy=remedy)


def _ok_finding(name: str, sentence: str) -> Finding:
    return _build_finding(name, "ok", sentence)


def _warn_finding(name: str, sentence: str, remedy: str) -> Finding:
    return _build_finding(name, "warn", sentence, remedy)


def _bad_finding(name: str, sentence: str, remedy: str) -> Finding:
    return _build_finding(name, "bad", sentence, remedy)
