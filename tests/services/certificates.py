"""Certificates for tests: an authority and a server's, and those that somebody logs in with."""

from __future__ import annotations

import atexit
import shutil
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

#: Hosts that a test's server stands for.
HOSTS = ("localhost", "login.microsoftonline.com")


@dataclass(frozen=True)
class Authority:
    """Files: the certificate that a client trusts, and a server's certificate and key.

    Attributes:
        client_certificate: by the same authority, for a client that shows one.
        client_key: its key.
    """

    ca: Path
    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path

    def make_context(self) -> ssl.SSLContext:
        """Return what a server secures its connections by."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


@cache
def find_authority(hosts: tuple[str, ...] = HOSTS, address: str | None = "127.0.0.1") -> Authority:
    """Make an authority, and a server's certificate by it; one for this process.

    Args:
        hosts: the names that the server's certificate is good for.
        address: the IP address that it is good for; None for none.
    """
    folder = Path(tempfile.mkdtemp(prefix="certificates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ca_key, key, client_key = make_key(), make_key(), make_key()
    ca = make_certificate("Flowstone's tests", ca_key, is_ca=True)
    addresses = [x509.IPAddress(ip_address(address))] if address else []
    names = x509.SubjectAlternativeName([*map(x509.DNSName, hosts), *addresses])
    server = make_certificate("localhost", key, names=names, by=(ca, ca_key))
    client = make_certificate("reader", client_key, by=(ca, ca_key))
    names_of_files = ("ca.pem", "server.pem", "key.pem", "client.pem", "client-key.pem")
    found = Authority(*(folder / name for name in names_of_files))
    found.ca.write_bytes(ca.public_bytes(Encoding.PEM))
    found.certificate.write_bytes(server.public_bytes(Encoding.PEM))
    found.key.write_bytes(write_key(key))
    found.client_certificate.write_bytes(client.public_bytes(Encoding.PEM))
    found.client_key.write_bytes(write_key(client_key))
    found.client_key.chmod(0o600)  # libpq refuses a key that others can read
    return found


def make_key() -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def write_key(
    key: RSAPrivateKey, password: str | None = None, encoding: Encoding = Encoding.PEM
) -> bytes:
    """Return a key in PKCS #8, by default as PEM."""
    how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(encoding, PrivateFormat.PKCS8, how)


def make_certificate(
    name: str,
    key: RSAPrivateKey,
    *,
    names: x509.SubjectAlternativeName | None = None,
    by: tuple[x509.Certificate, RSAPrivateKey] | None = None,
    is_ca: bool = False,
) -> x509.Certificate:
    """Return a certificate that is good today; signed by itself where nobody else signs."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (by[0].subject, by[1]) if by else (subject, key)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if is_ca:
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(public, critical=False).add_extension(signed_by, critical=False)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())
