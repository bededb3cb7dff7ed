"""Cash facts: what a bank or a payee says has happened to money, stated once and by whoever may state it.

The ledger moves no money. A fact is signed by the settlement bank that the object's record names, or, where no bank
is named, by the payee, who would be the one to lose. A bank's reference counts once, with one content; where its
posting was an error, it can be posted anew, as it was stated.
"""

from __future__ import annotations

import hashlib
from datetime import date
from typing import ClassVar

import msgspec

from finchain.domain.check import check_digest, check_reference
from finchain.domain.party import require
from finchain.domain.policy import check_open_month
from finchain.domain.rule import Absent, Book, Optional, Record, record, refuse


@record
class CashFact(Record, frozen=True, kw_only=True):
    """A movement of money that was stated to this ledger.

    Attributes:
        id: SHA-256, in hex, over the ledger's name, the stating party and its reference: references can be guessed,
            and so are never a record's id themselves.
        by: The bank or payee that stated it.
        reference: The bank's own number of the entry.
        digest: SHA-256 of the bank's message.
        of: Id of what it was posted to, where that can be taken back.
        taken_back: The day on which it was.
    """

    kind: ClassVar[str] = "cash_fact"

    by: str
    reference: str
    digest: str
    amount_minor: int
    currency: str
    value_date: date
    of: str | Optional = Absent
    taken_back: date | Optional = Absent


def cash_fact_id(ledger: str, by: str, reference: str) -> str:
    """The id under which a party's reference is kept."""
    parts = {"by": by, "ledger": ledger, "reference": reference, "type": "finchain.cash_fact.1"}
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def require_cash_signer(book: Book, kind: str, bank: str | Optional, payee: str) -> str:
    """Who states the fact: the settlement bank that the record names, else the payee; it must have signed.

    Raises:
        Refused: `<kind>.not_signed` or `<kind>.wrong_role`.
    """
    if bank is not Absent:
        return require(book, kind, bank, role="settlement_bank", field="bank").id
    return require(book, kind, payee, field="payee").id


def state_cash_fact(
    book: Book, kind: str, *, by: str, reference: str, digest: str, amount_minor: int, currency: str, on: date,
    of: str | Optional = Absent,
) -> CashFact:  # fmt: skip
    """Writes the fact, whose amount and signer the rule has checked, and what it is posted to.

    Raises:
        Refused: `<kind>.reference`, `<kind>.digest`, or `<kind>.duplicate` where the party used the reference before.
    """
    check_reference(kind, reference, "reference")
    check_digest(kind, digest)
    id = cash_fact_id(book.ledger, by, reference)
    held = book.find(CashFact, id)
    fact = CashFact(
        id=id, by=by, reference=reference, digest=digest, amount_minor=amount_minor, currency=currency, value_date=on,
        of=of,
    )  # fmt: skip
    if held is not None and not (held.taken_back is not Absent and _stated(held) == _stated(fact)):
        refuse(
            f"{kind}.duplicate", f"{by} stated {reference!r} before", rule="duplicates", field="reference",
            value=reference, advice="state each bank entry once; a correction is an entry of its own",
            digest=digest, digest_held=held.digest,
        )  # fmt: skip
    book.put(fact)
    return fact


def take_back(book: Book, kind: str, *, by: str, reference: str, amount_minor: int, of: str) -> CashFact:
    """Takes back the posting of a fact, in the month in which it has its value; what the bank stated stays stated.

    Raises:
        Refused: `<kind>.not_posted`, where no such fact is posted to this; `<kind>.period`.
    """
    held = book.find(CashFact, cash_fact_id(book.ledger, by, reference))
    if held is None or (held.of, held.amount_minor) != (of, amount_minor) or held.taken_back is not Absent:
        refuse(f"{kind}.not_posted", f"{by} posted no entry {reference!r} of {amount_minor} to {of}",
               rule="reversals", field="reference", value=reference,
               advice="name it as it was posted; what repaid a loan, or several debts, stays")  # fmt: skip
    check_open_month(book, kind, held.value_date, reference)
    book.put(msgspec.structs.replace(held, taken_back=book.today))
    return held


def _stated(fact: CashFact) -> CashFact:
    """What a bank stated, whatever became of it on the ledger."""
    return msgspec.structs.replace(fact, of=Absent, taken_back=Absent)
