"""A certificate for the loopback interface, and the authority that vouches for it and for nothing else."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcloud.files import write_private

LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
ADDRESSES = ("127.0.0.1", "::1")
NAMES = ("localhost", "*.localhost", "s3.localhost", "*.s3.localhost")
"""`*.s3.localhost` serves S3's virtual-host style; clients refuse a wildcard right under the top level."""


@dataclass(frozen=True)
class Certificate:
    """Paths of PEM files: `authority` for clients to trust, `chain` and `key` for the server."""

    authority: Path
    chain: Path
    key: Path


def ensure(directory: Path) -> Certificate:
    """The certificate kept in `directory`, made anew if it is missing, damaged or near its end.

    The authority's own key is forgotten as soon as it has signed: nobody can sign anything else with it,
    and it is constrained to loopback names besides.
    """
    found = Certificate(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    if not _usable(found):
        _make(found)
    return found


def _usable(certificate: Certificate) -> bool:
    try:
        authority = x509.load_pem_x509_certificate(certificate.authority.read_bytes())
        leaf = x509.load_pem_x509_certificate(certificate.chain.read_bytes())
        key = serialization.load_pem_private_key(certificate.key.read_bytes(), password=None)
        leaf.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 - whatever is wrong with the files, the answer is new ones
        return False
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        leaf.public_key() == key.public_key()
        and datetime.now(UTC) + RENEW_BEFORE < leaf.not_valid_after_utc
        and set(names.get_values_for_type(x509.DNSName)) == set(NAMES)
    )


def _make(into: Certificate) -> None:
    now = datetime.now(UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localcloud loopback authority")])

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )

    permitted: list[x509.GeneralName] = [x509.DNSName("localhost")]
    permitted += [x509.IPAddress(ipaddress.ip_network(a)) for a in ADDRESSES]
    authority = (
        builder(authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    alternatives: list[x509.GeneralName] = [x509.DNSName(n) for n in NAMES]
    alternatives += [x509.IPAddress(ipaddress.ip_address(a)) for a in ADDRESSES]
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(into.key, private)
    write_private(into.chain, leaf.public_bytes(pem))
    write_private(into.authority, authority.public_bytes(pem))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
