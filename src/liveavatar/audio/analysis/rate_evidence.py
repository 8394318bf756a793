"""What speaks for a wrong sample rate beside the voices: lengths, codecs and band edges.

Somebody who speaks fast and high sounds like speech at too high a rate. So a guess from the voices alone changes the
time of a recording only beyond every speed of speech. Nearer to the declared rate it needs evidence that does not
depend on how somebody speaks.
"""

from dataclasses import dataclass
from fractions import Fraction

from liveavatar.audio.analysis.analyser import AudioReport
from liveavatar.audio.analysis.sample_rate import RATE_PRIORS, RateGuess

MAX_SPEECH_SPEED = 1.9
"""No healthy speech sounds so many times too fast or too slow. benchmarks/audio/healthy_rates.py tests speech at 0.7 to
1.8 times its speed, five semitones up and down."""

MAX_NEAR_PROBABILITY_SLOW, MAX_NEAR_PROBABILITY_FAST = 0.08, 0.005
"""Of a recording that sounds too slow, and of one that sounds too fast: the probability of less than 1.7 times up to
which time is changed. Speech 1.75 times as fast and five semitones higher reached 0.008, letters said at 0.7 times
their pace and five semitones lower 0.10."""

SINGLE_RATE_CODECS = {
    "adpcm_g722": 16_000, "amr_wb": 16_000, "amr_nb": 8_000, "evrc": 8_000, "g723_1": 8_000, "g729": 8_000,
    "gsm": 8_000, "gsm_ms": 8_000, "ilbc": 8_000, "qcelp": 8_000, "truespeech": 8_000,
}  # fmt: skip
"""FFmpeg's names of codecs that have one sample rate, and that rate in Hz, by their standards."""

_LOSSLESS_CODECS = ("alac", "ape", "flac", "pcm_", "tta", "wavpack")  # they have no filter of their own
_LENGTH_TOLERANCE = Fraction(3, 100)  # of a length that a rate explains: 44.1 and 48 kHz differ by 9 %
_EDGE_SHARES = (0.45, 0.51)  # of a sample rate: where the filters of resamplers cut off
_OTHER_EDGE_MARGIN = 1.08  # a filter within this ratio of those edges may be of that rate
_TELEPHONE_EDGE_HZ = 3_400.0  # ITU-T G.712: the filter of a telephone


@dataclass(frozen=True, slots=True, kw_only=True)
class RateEvidence:
    """The sample rate in Hz that something else than the voices shows, and a `reason` to print."""

    rate: int
    reason: str


def is_beyond_speech_speeds(guess: RateGuess) -> bool:
    """Whether no speech at the declared rate sounds as slow or fast as this."""
    is_slow = guess.ratio > 1
    factor = guess.ratio if is_slow else 1 / guess.ratio
    near_limit = MAX_NEAR_PROBABILITY_SLOW if is_slow else MAX_NEAR_PROBABILITY_FAST
    return factor > MAX_SPEECH_SPEED and guess.near_probability <= near_limit


def find_rate_evidence(report: AudioReport) -> RateEvidence | None:
    """What else speaks for the guessed rate, or one that sounds like it; None if nothing does."""
    return _find_length_evidence(report) or _find_codec_evidence(report) or _find_band_evidence(report)


def contradicts_rate_guess(report: AudioReport) -> bool:
    """Whether a picture is as long as the sound at the declared rate."""
    picture = report.info.picture_duration
    return picture is not None and _is_near(report.duration, picture)


def _list_close_rates(guess: RateGuess) -> tuple[int, ...]:
    return (guess.likely_rate, *guess.alternatives)


def _is_near(duration: Fraction, other: Fraction) -> bool:
    return abs(duration - other) <= _LENGTH_TOLERANCE * other


def _find_length_evidence(report: AudioReport) -> RateEvidence | None:
    """A picture, or an announced duration, as long as the sound is at the guessed rate."""
    lengths = (
        ("picture lasts", report.info.picture_duration),
        ("container says", report.info.container_duration),
    )
    for source, length in lengths:
        if not length or _is_near(report.duration, length):
            continue
        rates = {
            rate: report.duration * report.info.rate / rate for rate in _list_close_rates(report.rate_guess)
        }
        rate = min(rates, key=lambda rate: abs(rates[rate] - length))
        if _is_near(rates[rate], length):
            return RateEvidence(rate=rate, reason=f"its {source} {float(length):.1f} s, as at {rate} Hz")
    return None


def _find_codec_evidence(report: AudioReport) -> RateEvidence | None:
    only = SINGLE_RATE_CODECS.get(report.info.codec)
    if only is None or only == report.info.rate or only not in _list_close_rates(report.rate_guess):
        return None
    return RateEvidence(rate=only, reason=f"its codec has no other rate than {only} Hz")


def _find_band_evidence(report: AudioReport) -> RateEvidence | None:
    """A sharp edge where no rate in use cuts off, and where one does at the guessed rate."""
    band = report.band_limit
    if band is None or not band.is_sharp or not report.info.codec.startswith(_LOSSLESS_CODECS):
        return None
    if _may_cut_off_at(band.edge_hz, _OTHER_EDGE_MARGIN):
        return None
    for rate in _list_close_rates(report.rate_guess):
        true_edge = band.edge_hz * rate / report.info.rate
        if _may_cut_off_at(true_edge, 1.0):
            edges = f"at {band.edge_hz / 1000:.1f} kHz, which is {true_edge / 1000:.1f} kHz at {rate} Hz"
            return RateEvidence(rate=rate, reason=f"its band ends where no rate cuts off, {edges}")
    return None


def _may_cut_off_at(edge_hz: float, margin: float) -> bool:
    """Whether the filter of a rate in use, or that of a telephone if there is a margin, cuts off there."""
    low, high = _EDGE_SHARES
    if margin > 1.0 and 1 / margin < edge_hz / _TELEPHONE_EDGE_HZ < margin:
        return True
    return any(low * rate / margin <= edge_hz <= high * rate * margin for rate in RATE_PRIORS)
