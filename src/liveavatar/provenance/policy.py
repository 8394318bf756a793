"""Which marks a video gets."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from liveavatar.errors import OptionError
from liveavatar.files import is_one_line
from liveavatar.provenance.aigc import DEFAULT_PRODUCER
from liveavatar.provenance.certificate import read_certificate
from liveavatar.provenance.credentials import try_signing
from liveavatar.provenance.label.visible_label import AUTO_LABEL, choose_label_text

_MAX_PRODUCER_LENGTH = 200


class DigitalSourceType(StrEnum):
    """How pictures came about, in the words of IPTC's NewsCodes that content credentials use."""

    COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
    """A photograph, moved by a trained model."""
    TRAINED = "trainedAlgorithmicMedia"
    """Drawn by a trained model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPolicy:
    """Which marks a video gets. The metadata tags are always there.

    `label` is "auto" (by the locale), "none", or a text; `certificate` and `certificate_key` are PEM files of a
    certificate chain and its private key, or None for a certificate that is made for each video. `producer` is who
    makes the video, for the `AIGC` tag.

    Raises:
        OptionError: `watermark` is neither True nor False.
    """

    label: str = AUTO_LABEL
    watermark: bool = True
    certificate: Path | None = None
    certificate_key: Path | None = None
    producer: str = DEFAULT_PRODUCER
    source_type: DigitalSourceType = DigitalSourceType.COMPOSITE

    def __post_init__(self) -> None:
        if not isinstance(self.watermark, bool):  # None would leave it out, "no" put it in
            raise OptionError(f"watermark {self.watermark!r} is not possible", "use True or False")


ALL_MARKS = MarkPolicy()
"""What every video gets, unless the user says otherwise."""


def check_mark_policy(policy: MarkPolicy) -> None:
    """Refuse marks that cannot be made, before any work is done.

    Raises:
        OptionError: a label that cannot be drawn, a certificate that cannot sign, or no name of a producer.
    """
    choose_label_text(policy.label)
    if not is_one_line(policy.producer):
        raise OptionError(f"{policy.producer!r} is not the name of a producer", "use a line of text")
    if len(policy.producer) > _MAX_PRODUCER_LENGTH:
        problem = f"the name of the producer has {len(policy.producer)} characters"
        raise OptionError(problem, f"use {_MAX_PRODUCER_LENGTH} or fewer")
    certificate = read_certificate(policy.certificate, policy.certificate_key)
    if certificate is not None:
        try_signing(certificate)
