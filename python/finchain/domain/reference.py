"""Business references: a number that a party gave to a paper counts once, with one content.

A second paper under the same number is refused with the digests of both, and nothing is overwritten. Numbers that
people write in different ways are one number.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal

import msgspec

from finchain.domain.check import check_reference
from finchain.domain.fingerprint import normalised
from finchain.domain.rule import NONE, Book, Instruction, Record, record, refuse

Scheme = Literal["credit_note", "prospective"]

_encode = msgspec.json.Encoder(order="sorted").encode


@record
class BusinessReference(Record, frozen=True, kw_only=True):
    """A reference that is taken.

    Attributes:
        id: SHA-256, in hex, over the ledger's name, the party, the scheme and the reference: references can be
            guessed, and so are never a record's id themselves.
        payload: Digest of the instruction that used it.
        of: Id of the record that it made.
    """

    kind: ClassVar[str] = "business_reference"

    payload: str
    of: str


def payload_digest(instruction: Instruction) -> str:
    """SHA-256, in hex, over an instruction's canonical JSON: equal where everything in it is equal."""
    return hashlib.sha256(_encode(instruction)).hexdigest()


def reference_id(ledger: str, by: str, scheme: Scheme, reference: str) -> str:
    """The id under which a party's reference is kept."""
    parts = {"by": by, "ledger": ledger, "reference": normalised(reference), "scheme": scheme}
    parts["type"] = "finchain.reference.1"
    return hashlib.sha256(_encode(parts)).hexdigest()


def take_reference(
    book: Book, kind: str, *, by: str, scheme: Scheme, reference: str, field: str, payload: str, of: str
) -> None:
    """Takes a reference for a record.

    Args:
        book: What the rule reads.
        kind: The instrument that refuses.
        by: The party whose numbers these are.
        scheme: Which of its numbers.
        reference: The number, as printed.
        field: The member of the instruction that states it.
        payload: Digest of the instruction.
        of: Id of the record that it makes.

    Raises:
        Refused: `<kind>.reference`, or `<kind>.duplicate` where the number was used before.
    """
    check_reference(kind, reference, field)
    id = reference_id(book.ledger, by, scheme, reference)
    held = book.find(BusinessReference, id)
    if held is not None:
        refuse_duplicate(
            kind, f"{by} used the number {reference!r} for {held.of}", field, reference, payload, held.payload
        )
    book.put(BusinessReference(id=id, payload=payload, of=of))


def refuse_duplicate(kind: str, message: str, field: str, value: str, digest: str, digest_held: str) -> None:
    """Refuses an id or a number that is taken, and says by both digests whether it is the same thing sent again.

    Raises:
        Refused: `<kind>.duplicate`.
    """
    same = digest == digest_held
    refuse(
        f"{kind}.duplicate", message, rule="duplicates", field=field, value=value,
        advice=f"{NONE}: it was done the first time" if same else "choose another; nothing was overwritten",
        digest=digest, digest_held=digest_held,
    )  # fmt: skip
