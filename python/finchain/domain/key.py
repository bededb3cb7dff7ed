"""Keys: who holds which, what each may do, and how a new one is enrolled.

A key is enrolled only with a signature that shows its holder has it, under a number that is never used again, and for
one party only: no key ever signs twice as two persons.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import ClassVar, Final, Literal, NamedTuple, Protocol

import msgspec

from finchain.domain.check import check_reference
from finchain.domain.rule import Absent, Book, Optional, Record, record, refuse
from finchain.errors import FinchainError

Duty = Literal["maker", "checker", "any", "service"]
Suite = Literal["ed25519", "p256", "sm2", "ml-dsa-44"]


class SuiteBytes(NamedTuple):
    """How long the keys and signatures of a suite are, in bytes."""

    public_key: int
    signature: int


SUITES: Final[Mapping[Suite, SuiteBytes]] = {
    "ed25519": SuiteBytes(32, 64),
    "p256": SuiteBytes(33, 64),
    "sm2": SuiteBytes(33, 64),
    "ml-dsa-44": SuiteBytes(1_312, 2_420),
}
"""The signature suites of format 3.3."""

IDENTITY_MAX: Final = 64
"""Characters of a signer's identity, which is a certificate's name or number."""

_IDENTITY: Final = re.compile(rf"[ -~]{{1,{IDENTITY_MAX}}}", re.ASCII)


@record
class PartyKey(Record, frozen=True, kw_only=True):
    """A public key of one holder: a natural person, or an unattended machine with duty `service`.

    Attributes:
        id: The party's id, `/`, and a number from 1.
        public_key: Base64, as long as the suite's keys are.
        identity: The signer's identity in suite `sm2`, where it is not the one that the suite supposes.
        ended_ms: The block's time when it ended; it signs nothing in a later block.
    """

    kind: ClassVar[str] = "key"

    duty: Duty
    holder: str
    party: str
    public_key: str
    suite: Suite
    ended_ms: int | Optional = Absent
    identity: str | Optional = Absent

    def __str__(self) -> str:
        return f"{self.id} {self.holder} ({self.duty})" + (", ended" if self.ended_ms is not Absent else "")


@record
class PublicKey(Record, frozen=True, kw_only=True):
    """Keeps a public key from being enrolled twice. Its id is that of `public_key_id`.

    Attributes:
        key: The key that it was enrolled as.
        compromised_since: From when on its signatures are doubtful; they stay valid, and readers see the date.
    """

    kind: ClassVar[str] = "public_key"

    key: str
    compromised_since: date | Optional = Absent


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to enrol.

    Attributes:
        holder: The natural person or machine that holds it.
        public_key: Base64, as long as the suite's keys are.
        possession: Base64 of the key's signature over its enrolment (format 3.7). It may be absent in block 0 only.
        identity: The signer's identity in suite `sm2`, 1 to 64 printable ASCII characters; absent for the usual one.
    """

    holder: str
    duty: Duty
    suite: Suite
    public_key: str
    possession: str | Optional = Absent
    identity: str | Optional = Absent


class PossessionVerifier(Protocol):
    """Raises a `FinchainError` or `ValueError` unless the signature is the key's over the message, by its suite."""

    def __call__(
        self, public_key: bytes, signature: bytes, message: bytes, *, suite: Suite, identity: str | None
    ) -> None:
        """Judges one signature."""


_verifiers: dict[Literal["possession"], PossessionVerifier] = {}


def set_possession_verifier(verifier: PossessionVerifier) -> None:
    """Gives the rules the one pure function that they do not have themselves: to verify a signature.

    The rules stay free of the compiled core in this way. Whoever runs them (the ledger, the audit, the tests) sets it
    once, before the first rule runs; every verifier that is set must accept exactly what format 3.3 accepts.
    """
    _verifiers["possession"] = verifier


def possession_message(ledger: str, key_id: str, suite: str, public_key: str) -> bytes:
    """What a key signs to show that its holder has it (format 3.7).

    Args:
        ledger: The ledger's name: origin, `#`, hash of block 0.
        key_id: The id that the key will have, for example `shop/1`.
        suite: The signature suite.
        public_key: Base64 of the public key.
    """
    parts = {"key": key_id, "ledger": ledger, "public_key": public_key, "suite": suite, "type": "finchain.key.1"}
    return msgspec.json.encode(parts, order="sorted")


def public_key_id(public_key: str) -> str:
    """The id of the `public_key` record: 32 bytes in hex, which are the key, or its SHA-256 where it is longer.

    Nobody can sign as the Ed25519 key whose bytes are the SHA-256 of another key, so that the two never meet.
    """
    decoded = base64.b64decode(public_key)
    return decoded.hex() if len(decoded) == SUITES["ed25519"].public_key else hashlib.sha256(decoded).hexdigest()


def enrol(book: Book, party_id: str, number: int, new: NewKey, *, founding: bool = False) -> PartyKey:
    """Writes a new key of the party.

    Args:
        book: What the rule reads and writes.
        party_id: Whose key it is.
        number: The next number of this party.
        new: The key.
        founding: Whether this is block 0, where possession may be left out because founders sign the block itself.

    Raises:
        Refused: `key.reference`, `key.identity`, `key.public_key`, `key.duplicate`, or `key.possession`.
    """
    id = f"{party_id}/{number}"
    check_reference("key", new.holder, "holder")
    _check_identity(new)
    public_key = _decoded(new.public_key, SUITES[new.suite].public_key, "public_key")
    enrolled = public_key_id(new.public_key)
    first = book.find(PublicKey, enrolled)
    if first is not None:
        refuse(
            "key.duplicate", f"this public key was enrolled as {first.key} already", field="public_key",
            value=new.public_key, advice="let the holder make a key of their own",
        )  # fmt: skip
    if not founding or new.possession is not Absent:
        _check_possession(book, id, new, public_key)
    key = PartyKey(
        id=id, duty=new.duty, holder=new.holder, party=party_id, public_key=new.public_key, suite=new.suite,
        identity=new.identity,
    )  # fmt: skip
    book.put(key)
    book.put(PublicKey(id=enrolled, key=id))
    return key


def can_sign(threshold: int, keys: Iterable[PartyKey]) -> bool:
    """Whether these keys can reach the threshold: that many holders, and from 2 on of both sides (format 3.3)."""
    persons = [key for key in keys if key.duty != "service"]
    if len({key.holder for key in persons}) < threshold:
        return False
    duties = {key.duty for key in persons}
    return threshold == 1 or not (duties <= {"maker"} or duties <= {"checker"})


def _check_identity(new: NewKey) -> None:
    if new.identity is Absent:
        return
    if new.suite != "sm2":
        refuse(
            "key.identity", f"suite {new.suite} binds no identity", rule="format 3.3", field="identity",
            value=new.identity, advice="leave it out",
        )  # fmt: skip
    if not _IDENTITY.fullmatch(new.identity):
        refuse(
            "key.identity", "this is no identity of a signer", rule="format 3.3", field="identity",
            value=new.identity, advice=f"use 1 to {IDENTITY_MAX} printable ASCII characters",
        )  # fmt: skip


def unbase64(text: str) -> bytes | None:
    """The bytes of which this is the one Base64 of RFC 4648 section 4, padded; `None` where there are none."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Comparing with the encoding again refuses trailing bits that are not zero.
    return decoded if base64.b64encode(decoded).decode() == text else None


def _decoded(text: str, size: int, field: str) -> bytes:
    decoded = unbase64(text)
    if decoded is None or len(decoded) != size:
        refuse(f"key.{field}", f"{field} is not the Base64 of {size} bytes", rule="format 3.7", field=field,
               value=text, advice="encode by RFC 4648 section 4, padded")  # fmt: skip
    return decoded


def _check_possession(book: Book, key_id: str, new: NewKey, public_key: bytes) -> None:
    if new.possession is Absent:
        refuse("key.possession", f"{key_id} has not shown that its holder has it", rule="format 3.7",
               field="possession", advice="let the key sign the enrolment message")  # fmt: skip
    signature = _decoded(new.possession, SUITES[new.suite].signature, "possession")
    message = possession_message(book.ledger, key_id, new.suite, new.public_key)
    identity = None if new.identity is Absent else new.identity
    try:
        _verifiers["possession"](public_key, signature, message, suite=new.suite, identity=identity)
    except (FinchainError, ValueError):
        refuse("key.possession", f"the signature is not the key's over its enrolment as {key_id}", rule="format 3.7",
               field="possession", value=new.possession, advice=f"sign {message.decode()}")  # fmt: skip
