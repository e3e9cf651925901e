"""Throw-away certificate authorities and certificates (EC P-256), for clouds that the tests make up."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Authority:
    """A CA in a folder; `file` is its certificate, for [cloud.tls] ca_file."""

    def __init__(self, folder: Path, name="Hawser test CA"):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key.public_key(), authority=True)
        self.file = _write(folder / "ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject, public_key, *, authority=False, names=(), days=(-1, 30)):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder()
                   .subject_name(subject).issuer_name(self.name).public_key(public_key)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(days=days[0]))
                   .not_valid_after(now + datetime.timedelta(days=days[1]))
                   .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if not authority:
            alternatives = []
            for name in names:
                try:
                    alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
                except ValueError:
                    alternatives.append(x509.DNSName(name))
            builder = (builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
                       .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False))
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, names, *, days=(-1, 30), common_name=None):
        """A server certificate for `names` (subjectAltName); returns the paths of (chain, key)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or names[0])])
        certificate = self._sign(subject, key.public_key(), names=names, days=days)
        stem = f"{names[0]}-{certificate.serial_number:x}"[:40]
        chain = _write(self.folder / f"{stem}.pem", certificate.public_bytes(serialization.Encoding.PEM))
        private = _write(self.folder / f"{stem}.key", _key_pem(key))
        private.chmod(0o600)
        return chain, private
