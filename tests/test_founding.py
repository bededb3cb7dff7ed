"""Block 0: what a ledger says about itself, and that it says it once."""

from __future__ import annotations

import msgspec
import pytest

import reference
from book import MemoryBook, create_ledger, new_ledger, refused
from finchain import instructions as do
from finchain.domain.founding import LedgerRecord
from finchain.domain.party import Party
from finchain.domain.policy import DEFAULT_POLICY, Policy
from finchain.domain.rule import Absent

BOTH = {"operator", "registrar"}


def verifier_key(origin: str = "test.example/ledger", seed: int = 1) -> str:
    return reference.verifier_key(origin, bytes([seed]) * 32)


def before(*, ledger: str = "old#" + "0" * 64, size: int = 7, root_hex: str = "ab" * 32) -> do.Predecessor:
    """A ledger to continue."""
    return do.Predecessor(ledger, size, root_hex)


def test_block_0_makes_the_founders_the_policy_and_the_ledger() -> None:
    ledger = new_ledger()
    record = ledger.get(LedgerRecord, "ledger")
    assert (record.operator, record.registrar, record.clock, record.hash) == (
        "operator", "registrar", "simulated", "blake3",
    )  # fmt: skip
    assert record.predecessor is Absent
    assert ledger.get(Party, "operator").roles == ("operator",)
    assert ledger.get(Party, "registrar").roles == ("registrar",)
    assert ledger.get(Policy, "policy").terms == DEFAULT_POLICY


def test_an_operator_may_be_its_own_registrar() -> None:
    ledger = MemoryBook()
    ledger.apply(create_ledger(registrar=False), by={"operator"})
    assert ledger.get(Party, "operator").roles == ("operator", "registrar")
    assert ledger.get(LedgerRecord, "ledger").registrar == "operator"


@pytest.mark.parametrize("by", [{"operator"}, {"registrar"}, set()])
def test_every_founder_signs(by: set[str]) -> None:
    ledger = MemoryBook()
    with refused(ledger, "ledger.not_signed"):
        ledger.apply(create_ledger(), by=by)


def test_a_ledger_is_founded_once() -> None:
    ledger = new_ledger()
    with refused(ledger, "ledger.bad_state"):
        ledger.apply(create_ledger(), by=BOTH)
    ledger.height = 0
    with refused(ledger, "ledger.bad_state"):
        ledger.apply(create_ledger(), by=BOTH)
    late = MemoryBook()
    late.height = 1
    with refused(late, "ledger.bad_state"):
        late.apply(create_ledger(), by=BOTH)


@pytest.mark.parametrize(
    ("member", "wrong", "right", "code"),
    [
        ("origin", "x" * 65, None, "ledger.identifier"),
        ("origin", "a b", None, "ledger.identifier"),
        ("time_zone_minutes", 841, 840, "ledger.time_zone"),
        ("time_zone_minutes", -841, -840, "ledger.time_zone"),
        ("rulebook", 0, 1, "ledger.amount"),
        ("rulebook_digest", "AB" * 32, "ab" * 32, "ledger.digest"),
        ("predecessor", before(ledger="old#" + "0" * 63), before(), "ledger.predecessor"),
        ("predecessor", before(ledger="test.example/ledger#" + "0" * 64), before(), "ledger.predecessor"),
        ("predecessor", before(size=0), before(size=1), "ledger.amount"),
        ("predecessor", before(size=2**53), before(size=2**53 - 1), "ledger.amount"),
        ("predecessor", before(root_hex="AB" * 32), before(), "ledger.digest"),
        ("checkpoint_keys", [], [verifier_key()], "ledger.checkpoint_keys"),
        ("checkpoint_keys", [verifier_key(), verifier_key()], [verifier_key(), verifier_key(seed=2)],
         "ledger.checkpoint_keys"),
        ("checkpoint_keys", [verifier_key(seed=n) for n in range(9)], [verifier_key(seed=n) for n in range(8)],
         "ledger.checkpoint_keys"),
        ("checkpoint_keys", [verifier_key("other.example")], [verifier_key()], "ledger.checkpoint_keys"),
        ("checkpoint_keys", ["test.example/ledger"], [verifier_key()], "ledger.checkpoint_keys"),
        # One letter of the key is another, so that the id is not its own; and a witness's kind of key.
        ("checkpoint_keys", [verifier_key(seed=1)[:-1] + "F"], [verifier_key(seed=1)], "ledger.checkpoint_keys"),
        ("checkpoint_keys", [reference.verifier_key("test.example/ledger", bytes(32), 4)],
         [reference.verifier_key("test.example/ledger", bytes(1_312), 6)], "ledger.checkpoint_keys"),
        ("policy", msgspec.structs.replace(DEFAULT_POLICY, back_days=31),
         msgspec.structs.replace(DEFAULT_POLICY, back_days=30), "policy.range"),
    ],
)  # fmt: skip
def test_what_block_0_says_must_make_sense(member: str, wrong: object, right: object, code: str) -> None:
    ledger = MemoryBook()
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(create_ledger(), **{member: wrong}), by=BOTH)
    if right is not None:
        ledger.apply(msgspec.structs.replace(create_ledger(), **{member: right}), by=BOTH)


def test_checkpoint_keys_are_the_operators_to_replace() -> None:
    ledger = new_ledger()
    with refused(ledger, "ledger.not_signed"):
        ledger.apply(do.SetCheckpointKeys([verifier_key(seed=7)]), by={"registrar"})
    with refused(ledger, "ledger.not_signed"):
        ledger.apply(do.SetCheckpointKeys([verifier_key(seed=7)]), by=(), service={"operator"})
    with refused(ledger, "ledger.checkpoint_keys"):
        ledger.apply(do.SetCheckpointKeys([]), by={"operator"})
    ledger.apply(do.SetCheckpointKeys([verifier_key(seed=7)]), by={"operator"})
    assert ledger.get(LedgerRecord, "ledger").checkpoint_keys == [verifier_key(seed=7)]
