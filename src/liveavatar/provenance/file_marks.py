"""The marks of a video file: its metadata tags and its signature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from liveavatar.provenance.aigc import AIGC_KEY, build_aigc_tag
from liveavatar.provenance.certificate import (
    INSTALL_CREDENTIALS,
    has_credentials_package,
    make_certificate,
    read_certificate,
)
from liveavatar.provenance.credentials import sign_video
from liveavatar.provenance.label.visible_label import choose_label_text
from liveavatar.provenance.policy import MarkPolicy, check_mark_policy

SIGNED_CONTAINERS = (".mp4", ".mov")
"""Endings of the files that hold content credentials."""

COMMENT_KEY = "comment"

COMMENT = "Made with liveavatar: this person was animated by a program."
"""For people who look at the metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedMarks:
    """The marks of a video. `label` is the text in its frames, `signer` the name on the certificate; None is none.

    `can_sign` is whether the container holds content credentials.
    """

    label: str | None
    watermark: bool
    signer: str | None
    is_self_made: bool
    can_sign: bool = True

    @property
    def sentence(self) -> str:
        """One line for people."""
        label = f"the label “{self.label}”" if self.label else "no visible label"
        watermark = "a watermark" if self.watermark else "no watermark"
        return (
            f"marked as made by a program: {label}, {watermark}, the AIGC tag, {self._describe_credentials()}"
        )

    def _describe_credentials(self) -> str:
        if not self.can_sign:
            return f"no content credentials ({' and '.join(SIGNED_CONTAINERS)} hold them)"
        if self.signer is None:
            return f"no content credentials (not installed: {INSTALL_CREDENTIALS})"
        if self.is_self_made:
            return "content credentials signed with a self-made certificate that nobody vouches for"
        return f"content credentials signed by {self.signer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMarks:
    """What is written into a file: `tags`, and a signature by `seal(encoded, sealed)`; None is no signature."""

    tags: Mapping[str, str]
    seal: Callable[[Path, Path], None] | None
    applied: AppliedMarks


def prepare_file_marks(policy: MarkPolicy, *, can_sign: bool = True) -> FileMarks:
    """The marks of a new video. Without the extra `credentials`, or in a container without them, it is not signed.

    Raises:
        OptionError: see `check_mark_policy`.
    """
    check_mark_policy(policy)
    certificate = read_certificate(policy.certificate, policy.certificate_key)
    is_self_made = certificate is None
    if certificate is None and can_sign and has_credentials_package():
        certificate = make_certificate()
    seal = None
    if certificate is not None and can_sign:
        seal = partial(sign_video, certificate=certificate, source_type=policy.source_type)
    return FileMarks(
        tags={COMMENT_KEY: COMMENT, AIGC_KEY: build_aigc_tag(policy.producer)},
        seal=seal,
        applied=AppliedMarks(
            label=choose_label_text(policy.label),
            watermark=policy.watermark,
            signer=None if certificate is None or not can_sign else certificate.name,
            is_self_made=is_self_made,
            can_sign=can_sign,
        ),
    )
