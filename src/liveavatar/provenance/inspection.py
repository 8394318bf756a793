"""Which marks a video has, how sure that is, and whether they contradict each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from liveavatar.audio.io.container import open_media_file
from liveavatar.errors import VideoError
from liveavatar.files import describe_path
from liveavatar.provenance.aigc import AIGC_KEY, DEFAULT_PRODUCER, AigcTag, parse_aigc_tag
from liveavatar.provenance.certificate import INSTALL_CREDENTIALS, NAMELESS
from liveavatar.provenance.credentials import GENERATOR_NAME, CredentialsFinding, read_credentials
from liveavatar.provenance.file_marks import COMMENT, COMMENT_KEY
from liveavatar.provenance.watermark_detection import (
    MAX_FALSE_ALARM_PROBABILITY,
    WatermarkFinding,
    detect_watermark,
)
from liveavatar.report import Finding
from liveavatar.video.picture_stream import find_picture_stream

_MAX_SHOWN = 80
"""Characters shown of a name that a file states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReport:
    """The marks of a video. `aigc_text` is the tag as it stands, `aigc` what it says; both None without one.

    `contradictions` are sentences.
    """

    video: Path
    aigc_text: str | None
    aigc: AigcTag | None
    comment: str | None
    credentials: CredentialsFinding
    watermark: WatermarkFinding

    @property
    def is_marked(self) -> bool:
        """Whether any mark says that a program made the video, or a part of it."""
        return bool(
            (self.aigc is not None and self.aigc.is_generated)
            or self.has_own_comment
            or self.credentials.says_generated
            or self.watermark.is_found
        )

    @property
    def has_own_comment(self) -> bool:
        """Whether the comment is the one that this program writes."""
        return self.comment == COMMENT

    @property
    def is_own(self) -> bool:
        """Whether a mark names this program."""
        return bool(
            self.has_own_comment
            or self.watermark.is_found
            or (self.aigc is not None and self.aigc.producer == DEFAULT_PRODUCER)
            or GENERATOR_NAME in self.credentials.generator.split(", ")
        )

    @property
    def verdict(self) -> str:
        """In a few words."""
        if not self.is_marked:
            return "no mark found"
        if self.contradictions:
            return "marked, and the marks contradict each other"
        return "marked by liveavatar" if self.is_own else "marked by another program"

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Marks that cannot both be true."""
        return tuple(self._find_contradictions())

    def _find_contradictions(self) -> Iterator[str]:
        if self.credentials.state == "edited":
            yield "the file was changed after it was signed"
        if self.aigc is not None and not self.aigc.is_generated:
            others = [
                name
                for name, says_generated in (
                    ("the comment", self.has_own_comment),
                    ("the content credentials", self.credentials.says_generated),
                    ("the watermark", self.watermark.is_found),
                )
                if says_generated
            ]
            if others:
                label, names = _describe_label(self.aigc), " and ".join(others)
                yield f"the AIGC tag does not say that a program made it ({label}), unlike {names}"


def inspect_marks(video: Path) -> MarkReport:
    """Read all marks of a video.

    Raises:
        VideoError: it cannot be read, or has no pictures.
    """
    tags = read_tags(video)
    aigc_text = tags.get(AIGC_KEY)
    return MarkReport(
        video=video,
        aigc_text=aigc_text,
        aigc=None if aigc_text is None else parse_aigc_tag(aigc_text),
        comment=tags.get(COMMENT_KEY),
        credentials=read_credentials(video),
        watermark=detect_watermark(video),
    )


def read_tags(video: Path) -> Mapping[str, str]:
    """The metadata of a video that concern marks, by the key as this program writes it: containers change its case.

    Raises:
        VideoError: it cannot be read, or has no pictures.
    """
    with open_media_file(video, VideoError) as container:
        find_picture_stream(container, video)
        tags = {name.lower(): value for name, value in container.metadata.items()}
    return {key: tags[key.lower()] for key in (AIGC_KEY, COMMENT_KEY) if key.lower() in tags}


def list_mark_findings(report: MarkReport) -> list[Finding]:
    """What was found of each mark; a mark that is not there is "warn", one that is broken is "bad"."""
    return [
        _assess_aigc(report),
        _assess_comment(report),
        _assess_credentials(report.credentials),
        _assess_watermark(report.watermark),
    ]


def _assess_aigc(report: MarkReport) -> Finding:
    if report.aigc_text is None:
        return Finding(name="AIGC tag", level="warn", sentence="none")
    if report.aigc is None:
        return Finding(name="AIGC tag", level="bad", sentence="there, but it cannot be read")
    tag = report.aigc
    parts = [
        "made by a program" if tag.is_generated else _describe_label(tag),
        f"producer {_quote_name(tag.producer)}" if tag.producer else "no producer",
        *([f"number {_quote_name(tag.produce_id)}"] if tag.produce_id else []),
    ]
    return Finding(
        name="AIGC tag",
        level="ok" if tag.is_generated else "warn",
        sentence=f"says: {', '.join(parts)}; anybody can write or remove it",
    )


def _describe_label(tag: AigcTag) -> str:
    return f"label {_quote_name(tag.label)}" if tag.label else "no label"


def _assess_comment(report: MarkReport) -> Finding:
    if report.comment is None:
        return Finding(name="comment", level="warn", sentence="none")
    if report.has_own_comment:
        return Finding(
            name="comment", level="ok", sentence="that of liveavatar; anybody can write or remove it"
        )
    return Finding(name="comment", level="warn", sentence=f"by others: {_quote_name(report.comment)}")


def _assess_credentials(found: CredentialsFinding) -> Finding:
    name, sources = (
        "content credentials",
        ", ".join(map(_quote_name, found.source_types)) or "nothing on its source",
    )
    if found.state == "none":
        return Finding(name=name, level="warn", sentence="none")
    if found.state == "unchecked":
        return Finding(name=name, level="warn", sentence="there, but not checked", remedy=INSTALL_CREDENTIALS)
    if found.state == "edited":
        sentence = f"not valid: the file was changed after {_quote_name(found.signer or NAMELESS)} signed it"
        return Finding(name=name, level="bad", sentence=sentence)
    if found.state == "invalid":
        return Finding(name=name, level="bad", sentence=f"not valid: {_quote_name(found.problem)}")
    if found.is_self_made:
        sentence = (
            "valid, made by an untrusted self-made certificate: unchanged since, but by whom is not proven"
        )
    else:
        signer = _quote_name(found.signer or NAMELESS)
        sentence = f"valid, signed by {signer}; no list of trusted certificates was asked"
    made = f"made with {_quote_name(found.generator)}: {sources}"
    return Finding(name=name, level="ok", sentence=f"{sentence}; {made}")


def _assess_watermark(found: WatermarkFinding) -> Finding:
    if not found.is_found:
        return Finding(name="watermark", level="warn", sentence="none found")
    chance = f"by chance in fewer than 1 of {round(1 / MAX_FALSE_ALARM_PROBABILITY):,} videos without it"
    return Finding(name="watermark", level="ok", sentence=f"that of liveavatar; {chance}")


def _quote_name(text: str) -> str:
    """A text of the file in one short line."""
    shown = describe_path(text)
    return shown if len(shown) <= _MAX_SHOWN else shown[:_MAX_SHOWN] + "…"
