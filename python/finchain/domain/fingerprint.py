"""Fingerprints: one invoice, one live claim on this ledger (supervision rule R1).

A fingerprint is a hash of the invoice without any secret, because two lenders' systems must find the same one.
Somebody who knows or guesses a whole invoice can therefore test the guess against a proof of this record or of its
absence. Such proofs are the operator's to give, and one shows no other invoice; a secret would hide invoices from a
guess and, alas, also the second financing of an invoice from the first lender.
"""

from __future__ import annotations

import hashlib
import string
import unicodedata
from datetime import date
from typing import ClassVar, Final

import msgspec

from finchain.domain.rule import NONE, Absent, Book, Optional, Record, record, refuse

_PUNCTUATION: Final = bytes(byte for byte in range(128) if not chr(byte).isalnum())
"""Every ASCII character that is neither letter nor digit."""
_RAISED: Final = bytes.maketrans(string.ascii_lowercase.encode(), string.ascii_uppercase.encode())
_encode: Final = msgspec.json.Encoder(order="sorted").encode


@record
class Fingerprint(Record, frozen=True, kw_only=True):
    """Keeps one invoice from being claimed twice.

    Attributes:
        id: SHA-256, in hex, over what names the invoice.
        receivable: The live claim; absent once it was cancelled or rejected in full.
    """

    kind: ClassVar[str] = "fingerprint"

    receivable: str | Optional = Absent


def fingerprint_id(
    ledger: str,
    *,
    seller: str,
    buyer: str,
    invoice: str,
    invoice_code: str | Optional,
    issued: date | Optional,
    amount_minor: int,
    currency: str,
) -> str:
    """The id of the fingerprint of an invoice.

    Args:
        ledger: The ledger's name, so that the fingerprints of two ledgers cannot be joined.
        seller: Party id of the creditor.
        buyer: Party id of the debtor.
        invoice: Number of the invoice, as printed.
        invoice_code: The code printed before it.
        issued: Date of the invoice.
        amount_minor: Gross amount in minor units of `currency`.
        currency: ISO 4217 code.
    """
    parts = {
        "amount_minor": amount_minor,
        "buyer": buyer,
        "currency": currency,
        "invoice": normalised(invoice),
        "invoice_code": "" if invoice_code is Absent else normalised(invoice_code),
        "issued": "" if issued is Absent else issued.isoformat(),
        "ledger": ledger,
        "seller": seller,
        "type": "finchain.fingerprint.1",
    }
    return hashlib.sha256(_encode(parts)).hexdigest()


def normalised(reference: str) -> str:
    """A business reference without what people write in different ways: width, case, blanks and punctuation.

    It uses the frozen Unicode 3.2 tables, so that every Python version gives the same answer.
    """
    narrow = reference if reference.isascii() else unicodedata.ucd_3_2_0.normalize("NFKC", reference)
    # Only ASCII is raised and thinned: case and punctuation elsewhere depend on the version of Unicode. In UTF-8 no
    # other character has bytes below 0x80, so bytes can be mapped, which costs a quarter of two regular expressions.
    return narrow.encode().translate(_RAISED, _PUNCTUATION).decode() or narrow


def take_fingerprint(book: Book, id: str, receivable: str, invoice: str) -> None:
    """Takes the invoice for a claim.

    Raises:
        Refused: `receivable.duplicate`, where a live claim has it.
    """
    seen = book.find(Fingerprint, id)
    if seen is not None and seen.receivable is not Absent:
        refuse(
            "receivable.duplicate", f"invoice {invoice!r} is claimed as {seen.receivable}", rule="R1",
            field="invoice", value=invoice, advice=f"{NONE}: finance the claim that is there", digest=id,
        )  # fmt: skip
    book.put(Fingerprint(id=id, receivable=receivable))


def free_fingerprint(book: Book, id: str) -> None:
    """Lets the invoice be claimed again."""
    book.put(Fingerprint(id=id))
