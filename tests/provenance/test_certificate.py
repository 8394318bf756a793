"""The user's certificate: what can sign is taken, everything else is one clear line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from liveavatar.errors import OptionError
from liveavatar.provenance.certificate import make_certificate, read_certificate
from liveavatar.provenance.credentials import try_signing
from provenance.certificates import PemFiles, write_certificate


@pytest.mark.parametrize(
    ("make_key", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "es256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "es384"),
        (ed25519.Ed25519PrivateKey.generate, "ed25519"),
        (lambda: rsa.generate_private_key(65537, 2048), "ps256"),
    ],
)
def test_keys_of_the_usual_types_sign(
    tmp_path: Path, make_key: Callable[[], CertificateIssuerPrivateKeyTypes], algorithm: str
) -> None:
    files = write_certificate(tmp_path, key=make_key())
    certificate = read_certificate(files.certificate, files.key)
    assert certificate is not None
    assert (certificate.name, certificate.algorithm) == ("Studio North", algorithm)
    try_signing(certificate)


def test_self_made_certificates_sign_and_are_never_the_same() -> None:
    first, second = make_certificate(), make_certificate()
    assert first.key != second.key
    try_signing(first)


def test_a_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(make_certificate())


def _swap(files: PemFiles) -> PemFiles:
    return PemFiles(files.key, files.certificate)


def _mix(folder: Path) -> PemFiles:
    return PemFiles(write_certificate(folder).certificate, write_certificate(folder, "Other").key)


def _write_text(folder: Path) -> PemFiles:
    files = write_certificate(folder)
    files.key.write_text("this is no key")
    return files


def _grow(folder: Path) -> PemFiles:
    files = write_certificate(folder)
    files.certificate.write_bytes(b"\n" * (2 << 20))
    return files


UNUSABLE: dict[str, tuple[Callable[[Path], PemFiles], str]] = {
    "expired": (lambda folder: write_certificate(folder, first_day=-9, last_day=-1), "expired on 20"),
    "not yet": (lambda folder: write_certificate(folder, first_day=2), "is valid only from 20"),
    "another key": (_mix, "Other.key is not the key of .*Studio North.pem"),
    "encrypted": (lambda folder: write_certificate(folder, password=b"secret"), "is encrypted; decrypt it"),
    "swapped": (lambda folder: _swap(write_certificate(folder)), "holds no certificate"),
    "text": (_write_text, "Studio North.key holds no private key"),
    "missing": (lambda folder: PemFiles(folder / "a.pem", folder / "a.key"), "there is no file .*a.pem"),
    "folder": (lambda folder: PemFiles(folder, folder), "is a folder"),
    "too large": (_grow, "is too large for a certificate"),
    "short key": (
        lambda folder: write_certificate(folder, key=rsa.generate_private_key(65537, 1024)),  # noqa: S505  (meant)
        "cannot be signed with a key of this type",
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_certificate_is_one_line(tmp_path: Path, kind: str) -> None:
    make, message = UNUSABLE[kind]
    files = make(tmp_path)
    with pytest.raises(OptionError, match=message) as caught:
        read_certificate(files.certificate, files.key)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_a_certificate_for_other_purposes_is_refused_by_a_trial(tmp_path: Path) -> None:
    files = write_certificate(tmp_path, for_signing=False)
    certificate = read_certificate(files.certificate, files.key)
    assert certificate is not None
    with pytest.raises(
        OptionError, match="'Studio North' cannot sign content credentials: the certificate is invalid"
    ):
        try_signing(certificate)


def test_both_files_are_needed(tmp_path: Path) -> None:
    files = write_certificate(tmp_path)
    with pytest.raises(OptionError, match="--certificate needs --certificate-key"):
        read_certificate(files.certificate, None)
    with pytest.raises(OptionError, match="--certificate-key needs --certificate"):
        read_certificate(None, files.key)
    assert read_certificate(None, None) is None
