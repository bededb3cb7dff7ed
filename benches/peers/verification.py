"""Signatures alone, from Python: ours in batches and one at a time, and the two libraries that most programs use."""

from __future__ import annotations

from benches import workload
from benches.peers.contest import Contest, Entry, Run, Target, needed, present
from finchain import _core

SIGNATURES = 4_096
ALONE = 512
"""Signatures for those who verify one at a time."""

Claims = list[tuple[bytes, bytes, bytes]]
"""Public key, signature, message."""

PYCA = "pyca/cryptography, one at a time"


def pyca(claims: Claims) -> Entry:
    """pyca/cryptography, each key parsed once."""
    library = needed("cryptography.hazmat.primitives.asymmetric.ed25519", "pyca", "pip install cryptography")
    keys = {public: library.Ed25519PublicKey.from_public_bytes(public) for public, _, _ in claims}

    def run() -> int:
        for public, signature, message in claims:
            keys[public].verify(signature, message)
        return len(claims)

    return Entry(PYCA, lambda: run)


def pynacl(claims: Claims) -> Entry:
    """PyNaCl, each key parsed once."""
    library = needed("nacl.signing", "PyNaCl", "pip install pynacl")
    keys = {public: library.VerifyKey(public) for public, _, _ in claims}

    def run() -> int:
        for public, signature, message in claims:
            keys[public].verify(message, signature)
        return len(claims)

    return Entry("PyNaCl, one at a time", lambda: run)


def _batch(claims: Claims) -> Run:
    def run() -> int:
        if any(_core.verify_batch(claims)):
            raise AssertionError("a good signature is not accepted")
        return len(claims)

    return run


def _alone(claims: Claims) -> Run:
    def run() -> int:
        for claim in claims:
            if _core.verify_signature(*claim) is not None:
                raise AssertionError("a good signature is not accepted")
        return len(claims)

    return run


def verification(count: int = SIGNATURES) -> Contest:
    """Ed25519 signatures over 300 bytes; P4."""
    few, many = workload.signatures(count, 32), workload.signatures(count, count)
    some = few[:ALONE]
    entries = [
        Entry("finchain, batch, 32 keys", lambda: _batch(few), targets=(Target("P4", 20, PYCA),)),
        Entry("finchain, batch, a key each", lambda: _batch(many), targets=(Target("P4", 10, PYCA),)),
        Entry("finchain, one at a time", lambda: _alone(some)),
        *present([lambda: pyca(some), lambda: pynacl(some)]),
    ]
    return Contest("P4: Ed25519 verification from Python, all cores", "signature", entries)
