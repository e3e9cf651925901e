"""Device proofs (protocol §2): made for raw clients, checked for the scripted cloud. Written from the page alone."""

import base64
import hashlib
import hmac
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    if "=" in text:
        raise ValueError("base64url with padding")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwk_of(key):
    numbers = key.public_key().public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}


def thumbprint(jwk):
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return b64(hashlib.sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode()).digest())


def make(key, serial, aud, nonce, *, header=None, **extra):
    payload = {"serial": serial, "aud": aud, "nonce": nonce, "jwk": jwk_of(key), **extra}
    signed = b64(json.dumps(header or {"alg": "ES256"}).encode()) + "." + b64(json.dumps(payload).encode())
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return signed + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def check(proof, serial, aud):
    """The payload of a good proof; raises ValueError with what is wrong."""
    head, body, signature = proof.split(".")
    header, payload, raw = json.loads(unb64(head)), json.loads(unb64(body)), unb64(signature)
    header.pop("typ", None)
    if header != {"alg": "ES256"}:
        raise ValueError(f"protected header {header}")
    if len(raw) != 64:
        raise ValueError(f"signature of {len(raw)} bytes")
    if payload["serial"] != serial or payload["aud"] != aud:
        raise ValueError(f"serial {payload['serial']!r}, aud {payload['aud']!r}; expected {serial!r}, {aud!r}")
    jwk = payload["jwk"]
    if jwk["kty"] != "EC" or jwk["crv"] != "P-256" or "d" in jwk:
        raise ValueError(f"jwk with {sorted(jwk)}")
    x, y = (int.from_bytes(unb64(jwk[name]), "big") for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        public.verify(der, (head + "." + body).encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ValueError("the signature does not verify") from None
    return payload


def password_proof(password, nonce, serial, jwk, aud):
    return b64(hmac.new(password.encode(), ".".join((nonce, serial, thumbprint(jwk), aud)).encode(),
                        hashlib.sha256).digest())
