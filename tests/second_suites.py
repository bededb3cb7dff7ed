"""The suites of docs/format.md 2 and 3.3 written a second time, for the second verifier and for the worked examples.

P-256, ML-DSA-44 and SM3 come from cryptography. It does not have SM2, whose equations stand here in Python's integers:
slow, in no constant time, an oracle for tests and nothing to sign with. `verify` raises ValueError with the reason.
"""

from __future__ import annotations

import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
USUAL_IDENTITY = "1234567812345678"

# The curve of GB/T 32918.5: y^2 = x^3 + A x + B modulo P, a point G of order N.
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)

Point = tuple[int, int] | None
"""A point, or None for the one at infinity."""


def need(condition: object, reason: str) -> None:
    """Goes on if the condition holds, and otherwise refuses with the reason."""
    if not condition:
        raise ValueError(reason)


def sm3(material: bytes) -> bytes:
    """SM3 of GB/T 32905."""
    hasher = Hash(SM3())
    hasher.update(material)
    return hasher.finalize()


def halves(suite: str, signature: bytes, order: int) -> tuple[int, int]:
    """`r` and `s`, both from 1 to the order less 1."""
    need(len(signature) == 64, f"{suite}: the signature has not 64 bytes")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    need(0 < r < order and 0 < s < order, f"{suite}: r or s is out of range")
    return r, s


def verify(suite: str, public_key: bytes, signature: bytes, message: bytes, identity: str | None = None) -> None:
    """Accepts as 3.3 asks of every suite but `ed25519`."""
    need(identity is None or suite == "sm2", f"{suite}: it binds no identity")
    need(identity is None or re.fullmatch("[ -~]{1,64}", identity), f"{suite}: this is no identity")
    try:
        if suite == "p256":
            verify_p256(public_key, signature, message)
        elif suite == "ml-dsa-44":
            need(len(public_key) == 1312 and len(signature) == 2420, "ml-dsa-44: a wrong length")
            mldsa.MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
        else:
            need(suite == "sm2", f"there is no suite {suite}")
            verify_sm2(public_key, signature, message, USUAL_IDENTITY if identity is None else identity)
    except InvalidSignature as error:
        raise ValueError(f"{suite}: the signature is not the key's") from error


def verify_p256(public_key: bytes, signature: bytes, message: bytes) -> None:
    """ECDSA with SHA-256, and the lesser `s`."""
    need(len(public_key) == 33 and public_key[0] in (2, 3), "p256: the key is no compressed point")
    r, s = halves("p256", signature, P256_ORDER)
    need(2 * s < P256_ORDER, "p256: s is the greater one")
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
    point.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))


def verify_sm2(public_key: bytes, signature: bytes, message: bytes, identity: str) -> None:
    """GB/T 32918.2, 7.1."""
    point = decompressed(public_key)
    r, s = halves("sm2", signature, N)
    t = (r + s) % N
    need(t != 0, "sm2: r + s is the order")
    found = plus(times(s, G), times(t, point))
    need(found is not None and (sm2_digest(point, message, identity) + found[0]) % N == r, "sm2: not the key's")


def sm2_sign(secret: int, nonce: int, message: bytes, identity: str = USUAL_IDENTITY) -> bytes:
    """GB/T 32918.2, 6.1, with a given nonce: for examples, whose secret is public."""
    point, kG = times(secret, G), times(nonce, G)
    need(point is not None and kG is not None, "sm2: the secret or the nonce is a multiple of the order")
    assert point is not None and kG is not None
    r = (sm2_digest(point, message, identity) + kG[0]) % N
    s = pow(1 + secret, -1, N) * (nonce - r * secret) % N
    need(r and s and r + nonce != N, "sm2: take another nonce")
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def sm2_digest(point: tuple[int, int], message: bytes, identity: str) -> int:
    """SM3 over `ZA` (5.5) and the message, as a number."""
    length = (8 * len(identity)).to_bytes(2, "big")
    numbers = b"".join(number.to_bytes(32, "big") for number in (A, B, *G, *point))
    return int.from_bytes(sm3(sm3(length + identity.encode("ascii") + numbers) + message), "big")


def decompressed(public_key: bytes) -> tuple[int, int]:
    """The point of 33 bytes."""
    need(len(public_key) == 33 and public_key[0] in (2, 3), "sm2: the key is no compressed point")
    x = int.from_bytes(public_key[1:], "big")
    square = (x**3 + A * x + B) % P
    y = pow(square, (P + 1) // 4, P)
    need(x < P and y * y % P == square, "sm2: the key is no point of the curve")
    return x, y if y % 2 == public_key[0] - 2 else P - y


def compressed(point: Point) -> bytes:
    """The 33 bytes of a point."""
    assert point is not None
    return bytes([2 + point[1] % 2]) + point[0].to_bytes(32, "big")


def plus(one: Point, other: Point) -> Point:
    """The sum of two points."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % P == 0:
            return None
        slope = (3 * one[0] ** 2 + A) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope**2 - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def times(factor: int, point: Point) -> Point:
    """A multiple of a point."""
    product: Point = None
    for bit in bin(factor)[2:]:
        product = plus(product, product)
        if bit == "1":
            product = plus(product, point)
    return product
