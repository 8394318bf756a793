"""Content credentials (C2PA): a signed statement in the file on how the video was made.

No network is used: no time stamp of an authority, no remote manifests, no revocation lists.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from PIL import Image

from liveavatar import __version__
from liveavatar.errors import OptionError, OutputError, VideoError
from liveavatar.files import describe_path, open_regular_file
from liveavatar.provenance.certificate import SELF_MADE_NAME, SigningCertificate, has_credentials_package

if TYPE_CHECKING:
    from c2pa import Context

GENERATOR_NAME = "liveavatar"

CredentialsState = Literal["none", "valid", "edited", "invalid", "unchecked"]
"""None in the file; valid; valid but for another content of the file; broken; there, but the extra is not installed."""

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MP4 = "video/mp4"
_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    "builder": {"thumbnail": {"enabled": False}},
    "core": {
        "backing_store_memory_threshold_in_mb": 64
    },  # larger videos are copied by way of a temporary file
}
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The identifier of the box that holds a manifest (C2PA 2.2, A.5.1)."""
_MISMATCH = ".mismatch"
"""The end of the codes of C2PA's validation for a part that is not what was signed."""
_UNTRUSTED = "signingCredential.untrusted"
_MAX_BOXES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsFinding:
    """The content credentials of a file.

    `signer` is the certificate's common name or organisation, `generator` the program that made the manifest,
    `source_types` how it says that the content came about. Both are claims of whoever signed.
    """

    state: CredentialsState
    signer: str = ""
    generator: str = ""
    source_types: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_self_made(self) -> bool:
        """Whether the certificate has the name of those that are made here."""
        return self.signer == SELF_MADE_NAME

    @property
    def says_generated(self) -> bool:
        """Whether the manifest says that a program made the content, or a part of it."""
        return any("lgorithmicMedia" in source for source in self.source_types)


def try_signing(certificate: SigningCertificate) -> None:
    """Sign a tiny picture in memory: what is wrong with a certificate shows before any work is done.

    Raises:
        OptionError: content credentials cannot be signed with it.
    """
    from c2pa import C2paError

    picture = io.BytesIO()
    Image.new("L", (8, 8)).save(picture, "png")
    picture.seek(0)
    try:
        _sign_stream(picture, io.BytesIO(), "image/png", certificate, [])
    except C2paError as error:
        raise OptionError(
            f"the certificate {certificate.name!r} cannot sign content credentials: {_explain_failure(error)}",
            "use one for C2PA, document signing or e-mail protection",
        ) from error


def sign_video(source: Path, target: Path, certificate: SigningCertificate, source_type: str) -> None:
    """Write the mp4 `source` with a signed manifest into the empty file `target`.

    It takes twice the memory of a video of up to 64 MB, and once that of a larger one, up to 0.6 GB.

    Raises:
        OutputError: it cannot be signed.
        OSError: it cannot be written.
    """
    from c2pa import C2paError

    action = {
        "action": "c2pa.created",
        "digitalSourceType": _SOURCE_TYPES + source_type,
        "softwareAgent": {"name": GENERATOR_NAME, "version": __version__},
        "when": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    with source.open("rb") as video, target.open("r+b") as signed:
        try:
            _sign_stream(video, signed, _MP4, certificate, [action])
        except C2paError as error:
            raise OutputError(
                f"the video cannot be signed: {_explain_failure(error)}",
                "check the free space and the certificate",
            ) from error


def find_manifest(path: Path) -> bool:
    """Whether an mp4 has a box with content credentials; they are not read.

    Raises:
        VideoError: the file cannot be opened.
    """
    with open_regular_file(path, VideoError, "video") as file:
        return any(kind == b"uuid" and file.read(16) == _C2PA_BOX for kind in _list_boxes(file))


def read_credentials(path: Path) -> CredentialsFinding:
    """Read and check the content credentials of a file. Certificates are not looked up in any list of trusted ones.

    Raises:
        VideoError: the file cannot be opened.
    """
    if not find_manifest(path):
        return CredentialsFinding(state="none")
    if not has_credentials_package():
        return CredentialsFinding(state="unchecked")
    from c2pa import C2paError, Reader

    with open_regular_file(path, VideoError, "video") as file:
        try:
            with Reader(_MP4, file, context=_open_context()) as reader:
                return _build_finding(json.loads(reader.json()))
        except C2paError as error:
            return CredentialsFinding(state="invalid", problem=_explain_failure(error))


def _sign_stream(
    source: BinaryIO,
    target: BinaryIO,
    kind: str,
    certificate: SigningCertificate,
    actions: list[Mapping[str, Any]],
) -> None:
    from c2pa import Builder, C2paSignerInfo, Signer

    manifest = {
        "claim_generator_info": [{"name": GENERATOR_NAME, "version": __version__}],
        "format": kind,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}] if actions else [],
    }
    algorithm = certificate.algorithm.encode()
    signer = Signer.from_info(C2paSignerInfo(algorithm, certificate.chain, certificate.key, None))
    with Builder.from_json(json.dumps(manifest), context=_open_context(signer)) as builder:
        builder.sign(kind, source, target)


def _open_context(signer: Any = None) -> "Context":
    from c2pa import Context, Settings

    return Context(Settings.from_dict(_SETTINGS), signer)


def _build_finding(store: object) -> CredentialsFinding:
    """From the report of C2PA's reader. Whoever signed chose what is in it, so no part need be of the usual type."""
    manifest = _get_part(_get_part(store, "manifests"), str(_get_part(store, "active_manifest")))
    codes = [str(_get_part(status, "code")) for status in _list_parts(store, "validation_status")]
    failures = [code for code in codes if code != _UNTRUSTED]
    is_valid = _get_part(store, "validation_state") in {"Valid", "Trusted"}
    is_edited = any(code.endswith(_MISMATCH) for code in failures)
    signature = _get_part(manifest, "signature_info")
    generators = _list_parts(manifest, "claim_generator_info")
    return CredentialsFinding(
        state="valid" if is_valid else "edited" if is_edited else "invalid",
        signer=str(_get_part(signature, "common_name") or _get_part(signature, "issuer") or ""),
        generator=", ".join(str(_get_part(generator, "name")) for generator in generators),
        source_types=tuple(_list_source_types(manifest)),
        problem="" if is_valid else ", ".join(failures),
    )


def _list_source_types(manifest: object) -> Iterator[str]:
    for assertion in _list_parts(manifest, "assertions"):
        if str(_get_part(assertion, "label")).startswith("c2pa.actions"):
            for action in _list_parts(_get_part(assertion, "data"), "actions"):
                if source_type := _get_part(action, "digitalSourceType"):
                    yield str(source_type).rpartition("/")[2]


def _get_part(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _list_parts(value: object, name: str) -> list[Any]:
    part = _get_part(value, name)
    return part if isinstance(part, list) else []


def _explain_failure(error: Exception) -> str:
    """The library's reason in one line, without its class of errors."""
    return describe_path(str(error).partition(": ")[2] or str(error) or "unknown reason")


def _list_boxes(file: BinaryIO) -> Iterator[bytes]:
    """Kinds of the boxes of an mp4 (ISO/IEC 14496-12, 4.2); the file stands behind each one's header."""
    position, end = 0, file.seek(0, io.SEEK_END)
    for _ in range(_MAX_BOXES):
        file.seek(position)
        header = file.read(8)
        if len(header) < 8:
            return
        size, header_size = int.from_bytes(header[:4]), 8
        if size == 1:
            size, header_size = int.from_bytes(file.read(8)), 16
        yield header[4:]
        position = end if size == 0 else position + max(size, header_size)
