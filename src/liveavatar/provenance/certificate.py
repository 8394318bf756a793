"""The certificate that signs content credentials: the user's, or one that is made for a single video."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from liveavatar.errors import OptionError
from liveavatar.files import describe_path, open_regular_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

INSTALL_CREDENTIALS = "pip install 'liveavatar[credentials]'"

SELF_MADE_NAME = "liveavatar self-made certificate"
"""The common name of certificates that are made here. Anybody could use it, so it proves nothing."""

NAMELESS = "a certificate without a name"
"""What is said instead of the name that a certificate does not have."""

_MAX_FILE_BYTES = 1 << 20
_SELF_MADE_LIFE = timedelta(days=365 * 20)
"""Without a time stamp of an authority, a signature counts only as long as its certificate does."""
_CLOCK_TOLERANCE = timedelta(days=1)
_MIN_RSA_BITS = 2048
_CURVE_ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningCertificate:
    """A certificate chain and its private key, both PEM (PKCS#8). `algorithm` is C2PA's name of it."""

    chain: bytes
    key: bytes
    algorithm: str
    name: str

    def __repr__(self) -> str:
        """The name alone: no key in messages or logs."""
        return f"SigningCertificate({self.name!r})"


def has_credentials_package() -> bool:
    """Whether the extra `credentials` is installed."""
    return find_spec("c2pa") is not None


def read_certificate(certificate: Path | None, key: Path | None) -> SigningCertificate | None:
    """Read the user's certificate chain, its own first, and its key, both PEM; None if neither is given.

    Raises:
        OptionError: one is missing, unreadable, expired, encrypted, does not belong to the other, or the extra is not
            installed.
    """
    if certificate is None and key is None:
        return None
    if certificate is None:
        raise OptionError("--certificate-key needs --certificate", "name the file of the certificate, too")
    if key is None:
        raise OptionError("--certificate needs --certificate-key", "name the file of its private key, too")
    if not has_credentials_package():
        raise OptionError("signing needs the package c2pa-python", INSTALL_CREDENTIALS)
    chain = _read_chain(certificate)
    private_key = _read_private_key(key)
    if private_key.public_key() != chain[0].public_key():
        raise OptionError(
            f"{describe_path(key)} is not the key of {describe_path(certificate)}",
            "name the two files that belong together; the chain starts with the signer's own certificate",
        )
    _check_validity(certificate, chain[0])
    return _build_certificate(chain, private_key)


def make_certificate() -> SigningCertificate:
    """A new key and a certificate of its own, both forgotten after the video is signed.

    Nobody vouches for it, so a lasting key would prove no more; one that is never stored cannot be stolen.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "liveavatar"),
            x509.NameAttribute(NameOID.COMMON_NAME, SELF_MADE_NAME),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _CLOCK_TOLERANCE)
        .not_valid_after(now + _SELF_MADE_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _build_certificate([certificate], key)


def _read_chain(path: Path) -> "list[Certificate]":
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(_read_small_file(path))
    except ValueError as error:
        raise OptionError(
            f"{describe_path(path)} holds no certificate", "give a PEM file with BEGIN CERTIFICATE"
        ) from error


def _read_private_key(path: Path) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    name, content = describe_path(path), _read_small_file(path)
    try:
        return load_pem_private_key(content, password=None)
    except TypeError as error:  # it wants a password
        raise OptionError(
            f"the key {name} is encrypted", "decrypt it: openssl pkey -in KEY -out PLAIN"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OptionError(f"{name} holds no private key", "give a PEM file with BEGIN PRIVATE KEY") from error


def _read_small_file(path: Path) -> bytes:
    with open_regular_file(path, OptionError, "PEM file") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise OptionError(f"{describe_path(path)} is too large for a certificate", "give a PEM file")
    return content


def _check_validity(path: Path, certificate: "Certificate") -> None:
    now, name = datetime.now(UTC), describe_path(path)
    if now > certificate.not_valid_after_utc:
        raise OptionError(
            f"the certificate {name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}", "renew it"
        )
    if now < certificate.not_valid_before_utc:
        raise OptionError(
            f"the certificate {name} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d} on",
            "wait, or check the clock of this machine",
        )


def _build_certificate(chain: "list[Certificate]", key: "PrivateKeyTypes") -> SigningCertificate:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    names = chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return SigningCertificate(
        chain=b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        algorithm=_choose_algorithm(key),
        name=str(names[0].value) if names else chain[0].subject.rfc4514_string() or NAMELESS,
    )


def _choose_algorithm(key: "PrivateKeyTypes") -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVE_ALGORITHMS:
        return _CURVE_ALGORITHMS[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _MIN_RSA_BITS:
        return "ps256"
    raise OptionError(
        "content credentials cannot be signed with a key of this type",
        "use one of P-256, P-384, P-521, Ed25519, or RSA of 2048 bits or more",
    )
