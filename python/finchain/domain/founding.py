"""The founding of a ledger: block 0, and what the ledger says about itself ever after.

Block 0 is signed by the keys that it declares. It names the operator, who orders the log and has no rights of value,
and the registrar, who enrols everybody else. Nothing here can be done twice.
"""

from __future__ import annotations

import hashlib
import re
from typing import ClassVar, Final, Literal

import msgspec

from finchain.domain.check import check_amount, check_digest
from finchain.domain.key import SUITES, NewKey, unbase64
from finchain.domain.party import RegisterParty, Role, register, require
from finchain.domain.policy import Policy, PolicyTerms, check_terms
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, record, refuse, rule

ZONE_MINUTES_MAX: Final = 14 * 60
"""No place on Earth is further from UTC than 14 hours."""

CHECKPOINT_KEYS_MAX: Final = 8
"""Room for rotations; eight ML-DSA-44 keys, of 1.8 kB each, still fit into a record."""

RULEBOOK_NUMBER_MAX: Final = 2**32 - 1
"""What a block header has room for."""

_ORIGIN: Final = re.compile(r"[A-Za-z0-9._:/-]{1,64}", re.ASCII)
_LEDGER: Final = re.compile(r"[A-Za-z0-9._:/-]{1,64}#[0-9a-f]{64}", re.ASCII)
_CHECKPOINT_KEY_BYTES: Final = {b"\x01": SUITES["ed25519"].public_key, b"\x06": SUITES["ml-dsa-44"].public_key}
"""By the kinds of keys that sign checkpoints, as C2SP numbers them."""


class Founder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A party that block 0 declares. Its keys need no proof of possession, because they sign block 0."""

    id: str
    name: str
    threshold: int
    keys: list[NewKey]


class Predecessor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger that another one continues, as far as a checkpoint of it was signed.

    Attributes:
        ledger: Its full name: origin, `#`, hash of block 0.
        size: Blocks under that checkpoint.
        root: Root of its block log over them, in hex.
    """

    ledger: str
    size: int
    root: str


@record
class LedgerRecord(Record, frozen=True, kw_only=True):
    """What the ledger says about itself; there is one, with the id `ledger`.

    Attributes:
        origin: The log's name, which checkpoints carry.
        clock: `real`, or `simulated` for tests and demonstrations.
        hash: The suite of everything inside a block.
        time_zone_minutes: Offset east of UTC in which today begins.
        checkpoint_keys: Verifier keys of the checkpoints in force.
        rulebook: Number of the rulebook in force from the next block on.
        rulebook_digest: SHA-256 over its rule files.
        predecessor: The ledger that this one continues.
    """

    kind: ClassVar[str] = "ledger"

    origin: str
    clock: Literal["real", "simulated"]
    hash: Literal["blake3", "sha256", "sm3"]
    time_zone_minutes: int
    operator: str
    registrar: str
    checkpoint_keys: list[str]
    rulebook: int
    rulebook_digest: str
    predecessor: Predecessor | Optional = Absent


class CreateLedger(Instruction, frozen=True, tag="ledger.create"):
    """Founds the ledger, in block 0 only. Signed by the operator and, where it is another party, the registrar.

    Attributes:
        registrar: Absent where the operator enrols parties itself.
        predecessor: The ledger that this one continues; nothing of it is taken over but this statement.
    """

    origin: str
    clock: Literal["real", "simulated"]
    hash: Literal["blake3", "sha256", "sm3"]
    time_zone_minutes: int
    operator: Founder
    checkpoint_keys: list[str]
    rulebook: int
    rulebook_digest: str
    policy: PolicyTerms
    registrar: Founder | Optional = Absent
    predecessor: Predecessor | Optional = Absent


class ActivateRulebook(Instruction, frozen=True, tag="rulebook.activate"):
    """Puts another rulebook in force from the next block on. Signed by operator and registrar.

    Contracts keep the number of the rulebook that they were signed under, and with it their old terms where a changed
    rule says so.

    Attributes:
        number: Its number, greater than the one in force.
        digest: SHA-256 over its rule files: whoever replays the ledger must have the same.
    """

    number: int
    digest: str


class SetCheckpointKeys(Instruction, frozen=True, tag="ledger.checkpoint_keys"):
    """Replaces the keys that may sign checkpoints. Signed by the operator."""

    checkpoint_keys: list[str]


@rule(CreateLedger)
def _create(do: CreateLedger, book: Book) -> None:
    if book.height != 0 or book.find(LedgerRecord, "ledger") is not None:
        refuse(
            "ledger.bad_state", "a ledger is founded once, in block 0", rule="format 4.3",
            field="origin", value=do.origin, advice=f"{NONE}: found another ledger in another place",
        )  # fmt: skip
    if not _ORIGIN.fullmatch(do.origin):
        refuse(
            "ledger.identifier", "the origin is no name of a log", field="origin", value=do.origin,
            advice="use 1 to 64 characters of A-Z a-z 0-9 . _ : / -",
        )  # fmt: skip
    if abs(do.time_zone_minutes) > ZONE_MINUTES_MAX:
        refuse(
            "ledger.time_zone", "no place has this offset from UTC", field="time_zone_minutes",
            value=do.time_zone_minutes, advice=f"state up to {ZONE_MINUTES_MAX} minutes either way",
        )  # fmt: skip
    check_amount("ledger", do.rulebook, "rulebook")
    check_digest("ledger", do.rulebook_digest, "rulebook_digest")
    if do.predecessor is not Absent:
        _check_predecessor(do.predecessor, do.origin)
    check_terms(do.policy)
    _check_checkpoint_keys(do.checkpoint_keys, do.origin)
    registrar = do.operator if do.registrar is Absent else do.registrar
    for founder in (do.operator, registrar):
        if founder.id not in book.by:
            refuse(
                "ledger.not_signed", f"{founder.id} has not signed", rule="format 4.3", field="operator",
                value=founder.id, advice=f"let {founder.id} sign block 0",
            )  # fmt: skip
    if registrar is do.operator:
        _found(book, do.operator, ["operator", "registrar"])
    else:
        _found(book, do.operator, ["operator"])
        _found(book, registrar, ["registrar"])
    book.put(Policy(id="policy", terms=do.policy))
    book.put(
        LedgerRecord(
            id="ledger", origin=do.origin, clock=do.clock, hash=do.hash, time_zone_minutes=do.time_zone_minutes,
            operator=do.operator.id, registrar=registrar.id, checkpoint_keys=do.checkpoint_keys, rulebook=do.rulebook,
            rulebook_digest=do.rulebook_digest, predecessor=do.predecessor,
        )
    )  # fmt: skip


@rule(SetCheckpointKeys)
def _set_checkpoint_keys(do: SetCheckpointKeys, book: Book) -> None:
    ledger = book.get(LedgerRecord, "ledger")
    require(book, "ledger", ledger.operator, role="operator")
    _check_checkpoint_keys(do.checkpoint_keys, ledger.origin)
    book.put(msgspec.structs.replace(ledger, checkpoint_keys=do.checkpoint_keys))


@rule(ActivateRulebook)
def _activate(do: ActivateRulebook, book: Book) -> None:
    ledger = book.get(LedgerRecord, "ledger")
    require(book, "ledger", ledger.operator, role="operator")
    require(book, "ledger", ledger.registrar, role="registrar")
    if not ledger.rulebook < do.number <= RULEBOOK_NUMBER_MAX:
        refuse(
            "rulebook.number", f"rulebook {ledger.rulebook} is in force", rule="rulebooks", field="number",
            value=do.number, advice=f"state a number from {ledger.rulebook + 1} to {RULEBOOK_NUMBER_MAX}",
        )  # fmt: skip
    check_digest("rulebook", do.digest, "digest")
    book.put(msgspec.structs.replace(ledger, rulebook=do.number, rulebook_digest=do.digest))


def _check_predecessor(before: Predecessor, origin: str) -> None:
    if not _LEDGER.fullmatch(before.ledger):
        refuse(
            "ledger.predecessor", "this is no name of a ledger", rule="format 3.1", field="predecessor",
            value=before.ledger, advice="state the origin, #, and the hash of block 0 in hex",
        )  # fmt: skip
    if before.ledger.partition("#")[0] == origin:
        refuse(
            "ledger.predecessor", "the ledger before has the same origin", rule="format 4.4", field="predecessor",
            value=before.ledger, advice="take another origin: witnesses know a log by it, and would see a fork",
        )  # fmt: skip
    check_amount("ledger", before.size, "predecessor")
    check_digest("ledger", before.root, "predecessor")


def _found(book: Book, founder: Founder, roles: list[Role]) -> None:
    register(book, RegisterParty(founder.id, founder.name, roles, founder.threshold, founder.keys), founding=True)


def _check_checkpoint_keys(keys: list[str], origin: str) -> None:
    if not 1 <= len(keys) <= CHECKPOINT_KEYS_MAX or len(set(keys)) != len(keys):
        refuse(
            "ledger.checkpoint_keys", f"{len(keys)} checkpoint keys are stated, or one twice",
            field="checkpoint_keys", value=len(keys), advice=f"state 1 to {CHECKPOINT_KEYS_MAX}",
        )  # fmt: skip
    for key in keys:
        if not _is_checkpoint_key(key, origin):
            refuse(
                "ledger.checkpoint_keys", "this is no verifier key of this origin", rule="format 4.4",
                field="checkpoint_keys", value=key,
                advice=f"state {origin}+<key id>+<Base64 of an Ed25519 or ML-DSA-44 key>; `finchain key show` has it",
            )  # fmt: skip


def _is_checkpoint_key(text: str, origin: str) -> bool:
    """Whether this is a verifier key of that origin. A mistyped one is none: its id is that of another key."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    decoded = unbase64(encoded) or b""
    known = _CHECKPOINT_KEY_BYTES.get(decoded[:1]) == len(decoded) - 1
    return known and name == origin and key_id == hashlib.sha256(f"{name}\n".encode() + decoded).hexdigest()[:8]
