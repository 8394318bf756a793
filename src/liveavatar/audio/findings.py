"""What to say about a recording: its measurements turned into sentences, each with the one thing that mends it."""

import math
import shlex
from collections.abc import Iterator

from liveavatar.audio.background import Background
from liveavatar.audio.level import TARGET
from liveavatar.audio.quality import AudioReport
from liveavatar.report import Finding, Level
from liveavatar.timeline import SAMPLE_RATE

_QUIET, _LOUD = -32.0, -10.0  # LUFS of the mono mix outside which levelling is needed
_FAINT = -50.0  # LUFS under which there is more noise than voice
_OVER = 1.12  # true peak, an amplitude: 1 dB over full scale
_OFFSET = 0.01  # constant offset that matters, of full scale
_ONE_SIDED = 25.0  # dB one channel is above all others
_CLIPPED, _RUINED = 1e-4, 1e-2  # share of samples on flat tops
_SPEECHLESS = 0.05  # share of time
_SPOKEN = 0.3  # share of time from which noise and echo behind the voice can be told
_TRUNCATED = 0.01  # share of the promised duration that may be missing,
_PADDING = 0.1  # or seconds: some containers count the codec's padding
_NOISY, _BURIED = 20.0, 6.0  # dB of speech over noise
_ECHO, _HELD = 0.22, 0.66  # seconds, and likeness of neighbouring spectra, from where a room is heard
_LONG_ECHO, _LONG_HELD = 25.0, 0.69  # an echo that never ends looks like noise with a held spectrum
_TELLING = 5.0  # seconds of sound that it takes to tell a room
_IDLE = 20.0  # seconds of silence in which a face seems stuck
_BROAD = 7_000.0  # Hz an engine's 16 kHz should be filled up to
_NARROW_RATES = {4_050: 8_000, 5_600: 11_025, 6_100: 12_000}  # Hz an edge lies under: the rate it comes from
_NARROWEST = 2_500.0  # Hz; what ends lower was never sampled so slowly, but is muffled
_LIKELY = 0.6  # confidence from which a wrong rate is not only sure, but the right one is known too
_RERECORD = "record it again at a lower level"
_ONE_PIECE = "record it in one piece"


def find(report: AudioReport) -> Iterator[Finding]:
    """Everything looked at in a recording, also what is well, in the order it was measured."""
    yield from _data(report)
    yield from _time(report)
    yield from _channels(report)
    yield from _level(report)
    yield from _behind(report)
    yield _content(report)


def prepare(report: AudioReport, *options: str) -> str:
    """The command that mends the recording."""
    return shlex.join(["liveavatar", "audio", "prepare", str(report.path), "-o", "prepared", *options])


def _data(report: AudioReport) -> Iterator[Finding]:
    damage, info = report.damage, report.info
    if damage.not_finite:
        yield _bad("samples", f"{damage.not_finite} samples are not numbers", prepare(report))
    if damage.corrupt_packets:
        text = f"{damage.corrupt_packets} pieces cannot be decoded"
        yield _bad("packets", text, "copy it again from its source")
    yield _length(report)
    if info.tracks > 1:
        yield _warn("tracks", f"it has {info.tracks} sound tracks; the main one is used", prepare(report))
    true_rate = _true_rate(report)
    if true_rate.level == "ok":
        yield _rate(report)
    yield true_rate
    if true_rate.level == "ok":  # of a wrong rate, neither itself nor the band can be judged
        yield _band(report)


def _length(report: AudioReport) -> Finding:
    promised, held = float(report.info.promised or 0), float(report.duration)
    spare = max(promised * _TRUNCATED, _PADDING)
    if not promised:
        return _ok("length", f"it holds {held:.1f} s; the container names no duration")
    if promised - held > spare:
        text = f"it holds {held:.1f} s of the {promised:.1f} s it announces"
        return _bad("length", text, "get the whole file")
    if held - promised > spare:
        text = f"it holds {held:.1f} s, though it announces {promised:.1f} s"
        return _warn("header", text, prepare(report))
    return _ok("length", f"it holds {held:.1f} s, as it announces")


def _rate(report: AudioReport) -> Finding:
    info = report.info
    if info.rate < SAMPLE_RATE:
        text = f"{info.rate} Hz leaves out consonants that the lips need"
        return _warn("rate", text, "record at 16000 Hz or more")
    if info.rate != info.declared:
        return _ok("rate", f"it is taken for {info.rate} Hz, though it declares {info.declared} Hz")
    return _ok("rate", f"{info.rate} Hz is enough" if info.rate > SAMPLE_RATE else "16000 Hz is right")


def _true_rate(report: AudioReport) -> Finding:
    guess = report.guess
    if report.speech_if is None or max(report.speech_if, report.speech) < _SPOKEN:
        return _ok("true-rate", f"nothing in the voices speaks against {guess.declared} Hz")
    others = "".join(f" or {rate}" for rate in guess.also)
    text = (
        f"it declares {guess.declared} Hz, but voices sound as if taken at {guess.likely}{others} Hz "
        f"({guess.confidence:.0%} likely)"
    )
    remedy = prepare(report, "--true-rate", str(guess.likely))
    sure = guess.sure and guess.confidence >= _LIKELY
    return (_bad if sure else _warn)("true-rate", text, remedy)


def _band(report: AudioReport) -> Finding:
    band, rate = report.band, report.info.rate
    if band is None:
        return _ok("bandwidth", "there is no sound whose bandwidth could be told")
    reach = f"sound reaches {band.edge / 1000:.1f} kHz"
    if rate < SAMPLE_RATE or not band.sharp or band.edge >= _BROAD or report.speech < _SPEECHLESS:
        return _ok("bandwidth", reach)
    again = "use the original recording, or record at 16000 Hz or more"
    for limit, origin in _NARROW_RATES.items():
        if _NARROWEST <= band.edge < limit:
            text = f"it is a recording of {origin} Hz upsampled to {rate} Hz: {reach} only"
            return _warn("bandwidth", text, again)
    return _warn("bandwidth", f"{reach} only: a filter or codec cut it off there", again)


def _time(report: AudioReport) -> Iterator[Finding]:
    repairs, mend = report.damage.repairs, prepare(report)
    if repairs.silence:
        text = f"{float(repairs.silence):.2f} s are missing between time stamps"
        yield _warn("gaps", text, mend)
    if repairs.dropped:
        yield _warn("overlaps", f"{float(repairs.dropped):.2f} s overlap", mend)
    if repairs.jumps:
        yield _warn("clock", f"its clock jumps {repairs.jumps} times", mend)
    if repairs.changes:
        yield _warn("changes", f"its sample rate changes {repairs.changes} times", mend)
    if report.dropouts:
        text = f"sound breaks off {report.dropouts} times, for {report.dropped:.2f} s in all"
        yield _warn("dropouts", text, f"export it again, or {_ONE_PIECE} with a larger buffer")
    else:
        yield _ok("dropouts", "sound never breaks off")


def _channels(report: AudioReport) -> Iterator[Finding]:
    if report.turned > 0.01:
        text = f"channels cancel each other for {report.turned:.0%} of the time"
        yield _warn("phase", text, prepare(report))
    first, *others = sorted(report.channel_levels, reverse=True)
    if others and first > -80 and first - others[0] > _ONE_SIDED:
        index = report.channel_levels.index(first) + 1
        yield _warn("balance", f"only channel {index} carries sound", prepare(report))
    elif report.turned <= 0.01:
        count = len(report.channel_levels)
        yield _ok("channels", "one channel" if count == 1 else f"{count} channels agree")


def _level(report: AudioReport) -> Iterator[Finding]:
    if abs(report.mono.dc) >= _OFFSET:
        yield _warn("offset", f"it has a constant offset of {report.mono.dc:+.3f}", prepare(report))
    else:
        yield _ok("offset", "there is no constant offset")
    if report.clipping >= _CLIPPED:
        finding = _bad if report.clipping >= _RUINED else _warn
        yield finding("clipping", f"{report.clipping:.2%} of it is clipped", _RERECORD)
    else:
        yield _ok("clipping", "it is not clipped")
    if report.level.true_peak > _OVER:
        text = f"its true peak is {20 * math.log10(report.level.true_peak):+.1f} dBTP, over full scale"
        yield _warn("peak", text, prepare(report))
    yield from _loudness(report)


def _loudness(report: AudioReport) -> Iterator[Finding]:
    loudness = report.mono.loudness
    if loudness == -math.inf:
        return
    aim = f"{TARGET:.0f} LUFS are wanted"
    if loudness > _LOUD:
        yield _warn("level", f"it is loud: {loudness:.0f} LUFS; {aim}", prepare(report))
    elif loudness < _FAINT:
        text = f"it is faint: {loudness:.0f} LUFS; raised, its noise is heard too"
        yield _bad("level", text, "record it again, closer to the microphone")
    elif loudness < _QUIET:
        yield _warn("level", f"it is quiet: {loudness:.0f} LUFS; {aim}", prepare(report))
    else:
        yield _ok("level", f"as mono it is at {loudness:.0f} LUFS")


def _behind(report: AudioReport) -> Iterator[Finding]:
    background = report.background
    if background.silence >= _IDLE:
        text = f"nobody speaks for {background.silence:.0f} s: the face will idle"
        yield _warn("silence", text, "cut the silence out in an editor")
    else:
        yield _ok("silence", f"the longest silence lasts {background.silence:.1f} s")
    if background.snr is None or report.speech < _SPOKEN:
        return
    over = f"speech lies {background.snr:.0f} dB over the noise"
    distant = _is_distant(report, background)
    if background.snr < _NOISY and not distant:
        finding = _bad if background.snr < _BURIED else _warn
        yield finding("noise", f"{over} only", prepare(report, "--denoise"))
    else:
        yield _ok("noise", over)
    if distant:
        text = "the room echoes, or the microphone was far away"
        yield _warn("echo", text, "record it again, closer to the microphone")
    else:
        yield _ok("echo", "no echo of a room is heard")


def _is_distant(report: AudioReport, background: Background) -> bool:
    held = report.texture.held if report.texture else 0.0
    if report.duration < _TELLING:
        return False
    if background.echo is not None:
        return background.echo >= _ECHO and held >= _HELD
    return background.snr is not None and background.snr < _LONG_ECHO and held >= _LONG_HELD


def _content(report: AudioReport) -> Finding:
    other = "choose a recording of speech"
    if report.mono.loudness == -math.inf:
        return _warn("speech", "it is silent: the face will idle", other)
    if report.speech >= _SPEECHLESS:
        return _ok("speech", f"somebody speaks for {report.speech:.0%} of the time")
    kind = report.texture.kind if report.texture else "other"
    heard = {"music": ": it sounds like music", "noise": ": it sounds like noise or applause", "other": ""}
    return _warn("speech", f"hardly any speech is heard in it{heard[kind]}", other)


def _finding(name: str, level: Level, sentence: str, remedy: str = "") -> Finding:
    return Finding(name=name, level=level, sentence=sentence, remedy=remedy)


def _ok(name: str, sentence: str) -> Finding:
    return _finding(name, "ok", sentence)


def _warn(name: str, sentence: str, remedy: str) -> Finding:
    return _finding(name, "warn", sentence, remedy)


def _bad(name: str, sentence: str, remedy: str) -> Finding:
    return _finding(name, "bad", sentence, remedy)
