"""Ed25519 verification from Python, alone and in batches, with few keys and with many."""

from __future__ import annotations

from benches import workload
from finchain import _core

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
