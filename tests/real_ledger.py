"""A real ledger on disk with a few parties, whose keys are the same in every run, and looks at what it holds.

What a test says about an error it says here once: it names itself, tells what would be right, and has moved nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

import finchain as fc
from finchain import instructions as do
from finchain.domain.rule import Instruction
from finchain.errors import FinchainError
from finchain.key_folder import CheckpointSuite, KeyFolder
from finchain.opening import HashSuite
from finchain.transaction import Mode

ORIGIN = "example.com/real"
START = date(2026, 3, 2)
DUE = date(2026, 9, 30)

E = TypeVar("E", bound=FinchainError)


@cache
def key(name: str) -> fc.Key:
    """The test key of a name."""
    return fc.Key.from_seed(hashlib.sha256(f"finchain test {name}".encode()).digest())


def found(
    home: Path, *, hash_suite: HashSuite = "blake3", clock: Any = None, checkpoint_suite: CheckpointSuite = "ed25519"
) -> fc.Ledger:
    """A new ledger `home/real.finchain` whose key folder is `home/keys`, with a shop and its customer `core`."""
    clock = clock or fc.SimulatedClock(START)
    ledger = fc.create(
        home / "real.finchain", name=ORIGIN, keys=home / "keys", operator=key("operator"), clock=clock,
        hash_suite=hash_suite, checkpoint_suite=checkpoint_suite,
    )  # fmt: skip
    ledger.register("shop", "The shop", roles=["supplier"], key=key("shop"))
    ledger.register("core", "The customer", roles=["debtor"], key=key("core"))
    return ledger


def reopen(home: Path) -> fc.Ledger:
    """The ledger of `found`, opened again."""
    return fc.open(home / "real.finchain", keys=home / "keys", operator=key("operator"))


def rotate_checkpoint_key(home: Path, suite: CheckpointSuite = "ed25519") -> str:
    """Puts a new checkpoint key in the place of the one in force, and gives its verifier key; it signs nothing yet."""
    with reopen(home) as ledger:
        folder = KeyFolder.of(home / "keys", ledger.path)
        fc.Key.generate(suite).save(folder.path / "new.pem")
        (folder.path / "new.pem").replace(folder.path / "checkpoint.pem")
        verifier_key = folder.verifier_key(ORIGIN)
        ledger.submit(do.SetCheckpointKeys([verifier_key]), by=key("operator"))
    return verifier_key


def claim(id: str, amount_minor: int = 125_000) -> do.SubmitReceivable:
    """A claim of the shop, of an invoice of its own."""
    return do.SubmitReceivable(id, "shop", "core", amount_minor, "CNY", DUE, f"INV {id.encode().hex()}")


def signed(
    ledger: fc.Ledger, /, *instructions: Instruction, sequence: int = 1, lane: str = "test", mode: Mode = "all",
    **changes: Any,
) -> fc.Transaction:  # fmt: skip
    """A transaction that the shop has signed, as it would on a machine of its own."""
    members: dict[str, Any] = {
        "by": ["shop"], "ledger": ledger.name, "lane": lane, "sequence": sequence, "mode": mode,
        "expires_ms": ledger.clock.now_ms() + 3_600_000, "hash_suite": ledger.hash_suite,
    }  # fmt: skip
    return fc.Transaction.build(list(instructions), **{**members, **changes}).sign(key("shop"), "shop/1")


def shape(ledger: fc.Ledger) -> tuple[int, bytes, str]:
    """What a rejected transaction must leave alone: height, state root, and every record as text."""
    return ledger.height, ledger.state_root, "\n".join(map(repr, ledger.find_all()))


@contextmanager
def unmoved(ledger: fc.Ledger, error: type[E]) -> Iterator[pytest.ExceptionInfo[E]]:
    """Expects exactly this error, which says what would have been right, and a ledger that stays as it was."""
    before = shape(ledger)
    with pytest.raises(error) as caught:
        yield caught
    assert type(caught.value) is error, repr(caught.value)
    assert caught.value.message
    assert caught.value.advice, str(caught.value)
    assert shape(ledger) == before
