"""Verification from Python: Ed25519 alone and in batches, with few keys and with many; the other suites, and a peer."""

from __future__ import annotations

from typing import get_args

from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

import finchain as fc
from benches import workload
from finchain import _core
from finchain.domain.key import Suite

COUNT = min(4_096, workload.ROWS)


class Signatures:
    """Verdicts over signatures that are all good."""

    params = (32, COUNT)
    param_names = ("keys",)

    def setup(self, keys: int) -> None:
        self.claims = workload.signatures(COUNT, keys)

    def time_batch(self, keys: int) -> None:
        if any(_core.verify_batch(self.claims)):
            raise AssertionError("a good signature is not accepted")

    def time_alone(self, keys: int) -> None:
        for claim in self.claims[:256]:
            if _core.verify_signature(*claim) is not None:
                raise AssertionError("a good signature is not accepted")


class OneInAHundredBad:
    """What bad signatures cost a batch: each is found and named."""

    def setup(self) -> None:
        self.claims = workload.signatures(COUNT, 32)
        for at in range(0, COUNT, 100):
            public_key, signature, _ = self.claims[at]
            self.claims[at] = (public_key, signature, b"another message")

    def time_batch(self) -> None:
        if sum(verdict is not None for verdict in _core.verify_batch(self.claims)) != -(-COUNT // 100):
            raise AssertionError("not exactly the bad ones are refused")


class OfSuite:
    """Signatures of one suite by one key: on all cores, on one, and by pyca/cryptography where it has the suite."""

    params = (get_args(Suite),)
    param_names = ("suite",)
    number = 1

    def setup(self, suite: Suite) -> None:
        self.key = fc.Key.generate(suite)
        messages = [b"%d" % number for number in range(min(512, workload.ROWS))]
        self.claims = [(self.key.public_key, self.key.sign(message), message) for message in messages]

    def time_batch(self, suite: Suite) -> None:
        if any(_core.verify_batch(self.claims, suite=suite)):
            raise AssertionError("a good signature is not accepted")

    def time_alone(self, suite: Suite) -> None:
        for claim in self.claims:
            if _core.verify_signature(*claim, suite=suite) is not None:
                raise AssertionError("a good signature is not accepted")

    def time_signing(self, suite: Suite) -> None:
        for _, _, message in self.claims:
            self.key.sign(message)

    def time_peer(self, suite: Suite) -> None:
        if suite == "p256":
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.key.public_key)
            for _, signature, message in self.claims:
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                point.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        elif suite == "ml-dsa-44":
            lattice = mldsa.MLDSA44PublicKey.from_public_bytes(self.key.public_key)
            for _, signature, message in self.claims:
                lattice.verify(signature, message)
        elif suite == "ed25519":
            curve = Ed25519PublicKey.from_public_bytes(self.key.public_key)
            for _, signature, message in self.claims:
                curve.verify(signature, message)
