"""Receivables: a creditor's claim, how much of it the debtor confirmed, and in whose hands each part of it is.

Only what the debtor confirmed with its own key can be assigned, pledged or made into certificates, and no unit of it
twice. There are no flags here: every amount lies in one bucket, and the status is read off the buckets.
"""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import date
from typing import ClassVar, Literal

import msgspec

from finchain.domain.cash_fact import require_cash_signer, state_cash_fact
from finchain.domain.check import (
    check_amount,
    check_currency,
    check_digest,
    check_identifier,
    check_not_future,
    check_reference,
)
from finchain.domain.party import require, require_role
from finchain.domain.policy import value_date
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, record, refuse, rule
from finchain.domain.trade import check_contract
from finchain.money import format_minor

Status = Literal[
    "submitted", "part_confirmed", "confirmed", "disputed", "rejected", "part_settled", "settled", "cancelled",
    "written_off",
]  # fmt: skip
Mark = Literal["assigned", "pledged"]


@record
class Receivable(Record, frozen=True, kw_only=True):
    """A claim. Every bucket is in minor units of `currency` and never negative.

    Attributes:
        claimed: What the creditor claims; it never changes.
        confirmed: What the debtor has confirmed in all.
        waived: How much of `confirmed` the debtor confirmed without keeping defences.
        due: When the debtor is to pay.
        invoice: Number of the invoice, as printed; `invoice_code` is the code that some countries print before it.
        issued: Date of the invoice.
        bank: The settlement bank that states payments; where absent, the payee does.
        fingerprint: Id of the record that keeps this invoice from being claimed twice.
        posted: Value date of the last payment.
    """

    kind: ClassVar[str] = "receivable"

    creditor: str
    debtor: str
    currency: str
    due: date
    invoice: str
    fingerprint: str
    invoice_code: str | Optional = Absent
    issued: date | Optional = Absent
    contract: str | Optional = Absent
    bank: str | Optional = Absent
    posted: date | Optional = Absent

    # I-1: claimed = pending + confirmed + disputed_pre + rejected + cancelled
    claimed: int
    pending: int
    confirmed: int = 0
    disputed_pre: int = 0
    rejected: int = 0
    cancelled: int = 0
    waived: int = 0
    # I-2: confirmed = open + disputed_post + converted + conv_settled + settled + credited + setoff + written_off
    converted: int = 0
    conv_settled: int = 0
    settled: int = 0
    credited: int = 0
    setoff: int = 0
    written_off: int = 0
    # I-3: open = free + reserved + assigned + pledged, and disputed_post likewise
    free: int = 0
    reserved: int = 0
    assigned: int = 0
    pledged: int = 0
    disputed_free: int = 0
    disputed_assigned: int = 0
    disputed_pledged: int = 0

    @property
    def open(self) -> int:
        """Confirmed, undisputed, not yet paid nor made into certificates."""
        return self.free + self.reserved + self.assigned + self.pledged

    @property
    def disputed_post(self) -> int:
        """Confirmed and disputed since."""
        return self.disputed_free + self.disputed_assigned + self.disputed_pledged

    @property
    def live(self) -> bool:
        """Whether the claim still keeps its invoice from being claimed again: it was not withdrawn in full."""
        return self.rejected + self.cancelled < self.claimed

    @property
    def status(self) -> Status:
        """What a person would call the claim, read off the buckets."""
        if self.disputed_pre or self.disputed_post:
            return "disputed"
        if self.pending:
            return "part_confirmed" if self.confirmed else "submitted"
        if not self.confirmed:
            return "cancelled" if self.cancelled else "rejected"
        if self.open or self.converted:
            if self.settled or self.conv_settled:
                return "part_settled"
            return "part_confirmed" if self.rejected else "confirmed"
        return "written_off" if self.written_off else "settled"

    def overdue(self, today: date) -> bool:
        """Whether something is still to be paid after the due date."""
        return today > self.due and self.pending + self.open + self.converted + self.disputed_post > 0

    def __str__(self) -> str:
        shown = [("open", self.open)]
        shown += [(name, getattr(self, name)) for name in ("pending", "converted", "settled") if getattr(self, name)]
        amounts = ", ".join(f"{name} {format_minor(amount, self.currency)}" for name, amount in shown)
        return f"{self.id} {self.status.replace('_', ' ')}: {amounts} {self.currency}"


@record
class Part(Record, frozen=True, kw_only=True):
    """A part of a confirmed claim that was assigned or pledged.

    Attributes:
        holder: The assignee or pledgee.
        amount_minor: What is still open of it; the rest was settled or released.
        taken: The day on which the holder took it.
        notified: The day from which the debtor must pay the holder, and nobody else.
        notice: SHA-256 of the notice, or absent where the debtor signed.
        registration: Number in the public register; a pledge of receivables exists only from registration on.
    """

    kind: ClassVar[str] = "part"

    receivable: str
    holder: str
    mark: Mark
    amount_minor: int
    taken: date
    settled_minor: int = 0
    released_minor: int = 0
    notified: date | Optional = Absent
    notice: str | Optional = Absent
    registration: str | Optional = Absent
    registered: date | Optional = Absent
    description: str | Optional = Absent

    def __str__(self) -> str:
        return f"{self.id} of {self.receivable}: {self.mark} to {self.holder}, {self.amount_minor} minor units open"


@record
class Fingerprint(Record, frozen=True, kw_only=True):
    """Keeps one invoice from being claimed twice.

    Its id is a hash of the invoice without any secret, because two lenders' systems must find the same id. Somebody who
    knows or guesses a whole invoice can therefore test the guess against a proof of this record or of its absence;
    such proofs are given by the operator, and show no other invoice.

    Attributes:
        receivable: The live claim; absent once it was cancelled or rejected in full.
    """

    kind: ClassVar[str] = "fingerprint"

    receivable: str | Optional = Absent


class SubmitReceivable(Instruction, frozen=True, tag="receivable.submit"):
    """Claims an amount. Signed by the creditor.

    Attributes:
        amount_minor: The gross amount of the invoice.
        due: When the debtor is to pay; it may have passed.
        bank: The settlement bank that will state payments.
    """

    id: str
    creditor: str
    debtor: str
    amount_minor: int
    currency: str
    due: date
    invoice: str
    invoice_code: str | Optional = Absent
    issued: date | Optional = Absent
    contract: str | Optional = Absent
    bank: str | Optional = Absent


class ConfirmReceivable(Instruction, frozen=True, tag="receivable.confirm"):
    """Confirms that this much of the claim exists and is due as stated. Signed by the debtor.

    It is made towards the creditor and every present and later assignee, pledgee and holder that the ledger records.

    Attributes:
        waives_defences: Whether the debtor gives up its defences for this amount.
    """

    id: str
    amount_minor: int
    waives_defences: bool | Optional = Absent


class RejectReceivable(Instruction, frozen=True, tag="receivable.reject"):
    """Says that this much of the claim is not owed. Signed by the debtor."""

    id: str
    amount_minor: int
    reason: str


class CancelReceivable(Instruction, frozen=True, tag="receivable.cancel"):
    """Withdraws a claim of which nothing was confirmed or rejected. Signed by the creditor."""

    id: str


class AssignReceivable(Instruction, frozen=True, tag="receivable.assign"):
    """Assigns a free part of the claim. Signed by creditor and assignee; the debtor's signature is notice to it.

    Attributes:
        id: Id of the part.
        notice: SHA-256 of the notice that was sent to the debtor.
    """

    id: str
    receivable: str
    assignee: str
    amount_minor: int
    notice: str | Optional = Absent


class PledgeReceivable(Instruction, frozen=True, tag="receivable.pledge"):
    """Pledges a free part of the claim. Signed by creditor and pledgee.

    Attributes:
        id: Id of the part.
        registration: Number of the entry in the public register, made on `registered`.
        description: SHA-256 of the description of the collateral in that entry.
        notice: SHA-256 of the notice that was sent to the debtor.
    """

    id: str
    receivable: str
    pledgee: str
    amount_minor: int
    registration: str
    registered: date
    description: str
    notice: str | Optional = Absent


class NotifyDebtor(Instruction, frozen=True, tag="receivable.notify"):
    """Records that the debtor knows who holds a part. Signed by the holder or the creditor, or by the debtor itself."""

    id: str
    by: str
    notice: str


class ReleaseReceivable(Instruction, frozen=True, tag="receivable.release"):
    """Gives a part, or some of it, back to the creditor. Signed by its holder."""

    id: str
    amount_minor: int


class SettleReceivable(Instruction, frozen=True, tag="receivable.settle"):
    """States that the debtor paid. Signed by the claim's settlement bank, or the payee where the claim names none.

    Attributes:
        payee: Who got the money.
        reference: The bank's number of the entry; it counts once.
        digest: SHA-256 of the bank's message.
        part: The part that was paid; absent for the creditor's own free part.
    """

    id: str
    amount_minor: int
    payee: str
    reference: str
    digest: str
    part: str | Optional = Absent
    value_date: date | Optional = Absent


@rule(SubmitReceivable)
def _submit(do: SubmitReceivable, book: Book) -> None:
    check_identifier("receivable", do.id)
    require(book, "receivable", do.creditor, role="supplier", field="creditor", service_ok=True)
    require_role(book, "receivable", do.debtor, role="debtor", field="debtor")
    if do.creditor == do.debtor:
        refuse("receivable.wrong_role", "one party cannot be both sides of a claim", rule="domain.md 2.0",
               field="debtor", value=do.debtor, advice="name another debtor")  # fmt: skip
    check_amount("receivable", do.amount_minor)
    check_currency("receivable", do.currency)
    check_reference("receivable", do.invoice, "invoice")
    if do.invoice_code is not Absent:
        check_reference("receivable", do.invoice_code, "invoice_code")
    if do.issued is not Absent:
        check_not_future("receivable", do.issued, book.today, "issued")
        if do.due < do.issued:
            refuse("receivable.date", f"it would be due on {do.due}, before its invoice of {do.issued}", field="due",
                   value=str(do.due), advice=f"state a date from {do.issued} on")  # fmt: skip
    check_contract(book, "receivable", do.contract, do.creditor, do.debtor, do.currency)
    if do.bank is not Absent:
        require_role(book, "receivable", do.bank, role="settlement_bank", field="bank")
    print_id = fingerprint_id(book.ledger, do)
    _check_unclaimed(do, book, print_id)
    book.put(Fingerprint(id=print_id, receivable=do.id))
    book.put(
        Receivable(
            id=do.id, creditor=do.creditor, debtor=do.debtor, currency=do.currency, due=do.due, invoice=do.invoice,
            fingerprint=print_id, invoice_code=do.invoice_code, issued=do.issued, contract=do.contract, bank=do.bank,
            claimed=do.amount_minor, pending=do.amount_minor,
        )
    )  # fmt: skip


@rule(ConfirmReceivable)
def _confirm(do: ConfirmReceivable, book: Book) -> None:
    claim = book.get(Receivable, do.id, field="id")
    require(book, "receivable", claim.debtor, role="debtor", field="debtor")
    check_amount("receivable", do.amount_minor)
    if do.amount_minor > claim.pending:
        refuse(
            "receivable.over_confirm", f"only {_money(claim, claim.pending)} of {claim.id} are pending",
            rule="Civil Code 763, domain.md I-1", field="amount_minor", value=do.amount_minor,
            advice=f"confirm up to {claim.pending}; a higher price is a new claim with an invoice of its own",
            pending=claim.pending, claimed=claim.claimed,
        )  # fmt: skip
    waived = do.amount_minor if do.waives_defences is True else 0
    book.put(
        msgspec.structs.replace(
            claim, pending=claim.pending - do.amount_minor, confirmed=claim.confirmed + do.amount_minor,
            free=claim.free + do.amount_minor, waived=claim.waived + waived,
        )
    )  # fmt: skip


@rule(RejectReceivable)
def _reject(do: RejectReceivable, book: Book) -> None:
    claim = book.get(Receivable, do.id, field="id")
    require(book, "receivable", claim.debtor, role="debtor", field="debtor")
    check_amount("receivable", do.amount_minor)
    check_reference("receivable", do.reason, "reason")
    if do.amount_minor > claim.pending:
        refuse("receivable.over_reject", f"only {_money(claim, claim.pending)} of {claim.id} are pending",
               rule="domain.md I-1", field="amount_minor", value=do.amount_minor,
               advice=f"reject up to {claim.pending}", pending=claim.pending)  # fmt: skip
    claim = msgspec.structs.replace(
        claim, pending=claim.pending - do.amount_minor, rejected=claim.rejected + do.amount_minor
    )  # fmt: skip
    book.put(claim)
    _free_fingerprint(claim, book)


@rule(CancelReceivable)
def _cancel(do: CancelReceivable, book: Book) -> None:
    claim = book.get(Receivable, do.id, field="id")
    require(book, "receivable", claim.creditor, field="creditor")
    if claim.pending != claim.claimed:
        refuse("receivable.bad_state", f"{claim.id} is {claim.status.replace('_', ' ')}", rule="domain.md 2.1",
               field="id", value=do.id, advice="only a claim that the debtor has not touched can be cancelled",
               pending=claim.pending, claimed=claim.claimed)  # fmt: skip
    claim = msgspec.structs.replace(claim, pending=0, cancelled=claim.pending)
    book.put(claim)
    _free_fingerprint(claim, book)


@rule(AssignReceivable)
def _assign(do: AssignReceivable, book: Book) -> None:
    claim = _claim_to_take(do.id, do.receivable, do.amount_minor, book)
    _check_taker(claim, do.assignee, "assignee", book)
    require(book, "receivable", do.assignee, field="assignee")
    book.put(move(claim, do.amount_minor, "free", "assigned"))
    _put_part(
        Part(
            id=do.id, receivable=claim.id, holder=do.assignee, mark="assigned", amount_minor=do.amount_minor,
            taken=book.today, notice=do.notice,
        ), claim, book,
    )  # fmt: skip


@rule(PledgeReceivable)
def _pledge(do: PledgeReceivable, book: Book) -> None:
    claim = _claim_to_take(do.id, do.receivable, do.amount_minor, book)
    _check_taker(claim, do.pledgee, "pledgee", book)
    require(book, "receivable", do.pledgee, role=("lender", "factor", "guarantor"), field="pledgee")
    # A pledge of receivables exists only from its registration on (Civil Code 445).
    check_reference("receivable", do.registration, "registration")
    check_not_future("receivable", do.registered, book.today, "registered")
    check_digest("receivable", do.description, "description")
    book.put(move(claim, do.amount_minor, "free", "pledged"))
    _put_part(
        Part(
            id=do.id, receivable=claim.id, holder=do.pledgee, mark="pledged", amount_minor=do.amount_minor,
            taken=book.today, notice=do.notice, registration=do.registration, registered=do.registered,
            description=do.description,
        ), claim, book,
    )  # fmt: skip


@rule(NotifyDebtor)
def _notify(do: NotifyDebtor, book: Book) -> None:
    part = book.get(Part, do.id, field="id")
    claim = book.get(Receivable, part.receivable)
    if do.by not in (part.holder, claim.creditor, claim.debtor):
        refuse("receivable.wrong_role", f"{do.by} is no party of {part.id}", field="by", value=do.by,
               advice=f"let {part.holder}, {claim.creditor} or {claim.debtor} record the notice")  # fmt: skip
    require(book, "receivable", do.by)
    check_digest("receivable", do.notice, "notice")
    if part.notified is not Absent:
        refuse("receivable.bad_state", f"{claim.debtor} knows of {part.id} since {part.notified}", field="id",
               value=do.id, advice="a notice is recorded once")  # fmt: skip
    book.put(msgspec.structs.replace(part, notified=book.today, notice=do.notice))


@rule(ReleaseReceivable)
def _release(do: ReleaseReceivable, book: Book) -> None:
    part = book.get(Part, do.id, field="id")
    require(book, "receivable", part.holder, field="holder")
    check_amount("receivable", do.amount_minor)
    claim = book.get(Receivable, part.receivable)
    _check_part_open(part, claim, do.amount_minor)
    book.put(
        msgspec.structs.replace(
            part, amount_minor=part.amount_minor - do.amount_minor, released_minor=part.released_minor + do.amount_minor
        )
    )  # fmt: skip
    book.put(move(claim, do.amount_minor, part.mark, "free"))


@rule(SettleReceivable)
def _settle(do: SettleReceivable, book: Book) -> None:
    claim = book.get(Receivable, do.id, field="id")
    by = require_cash_signer(book, "receivable", claim.bank, do.payee)
    check_amount("receivable", do.amount_minor)
    last = None if claim.posted is Absent else claim.posted
    on = value_date(book, "receivable", do.value_date, last=last, bank_fact=claim.bank is not Absent)
    if do.part is Absent:
        _check_payee(claim, do.payee, {claim.creditor})
        _check_enough(claim, "free", do.amount_minor)
        claim = move(claim, do.amount_minor, "free", "settled")
    else:
        part = book.get(Part, do.part, field="part")
        if part.receivable != claim.id:
            refuse("receivable.bad_state", f"{part.id} is a part of {part.receivable}", field="part", value=do.part,
                   advice=f"name a part of {claim.id}")  # fmt: skip
        # Until notice the debtor may pay the creditor, after it only the holder (Civil Code 546).
        told = part.notified is not Absent and part.notified <= on
        _check_payee(claim, do.payee, {part.holder} if told else {part.holder, claim.creditor})
        _check_part_open(part, claim, do.amount_minor)
        book.put(
            msgspec.structs.replace(
                part, amount_minor=part.amount_minor - do.amount_minor,
                settled_minor=part.settled_minor + do.amount_minor,
            )
        )  # fmt: skip
        claim = move(claim, do.amount_minor, part.mark, "settled")
    state_cash_fact(
        book, "receivable", by=by, reference=do.reference, digest=do.digest, amount_minor=do.amount_minor,
        currency=claim.currency, on=on,
    )  # fmt: skip
    book.put(msgspec.structs.replace(claim, posted=on))


Bucket = Literal[
    "free", "reserved", "assigned", "pledged", "converted", "conv_settled", "settled", "credited", "setoff",
    "written_off", "disputed_free", "disputed_assigned", "disputed_pledged",
]  # fmt: skip


def move(claim: Receivable, amount_minor: int, source: Bucket, target: Bucket) -> Receivable:
    """The claim with an amount moved between two buckets of its confirmed part (I-2 holds before and after).

    Other instruments use it: a certificate moves `free` to `converted`, back when it is refused, and on to
    `conv_settled` when it is paid.

    Raises:
        Refused: `receivable.insufficient_<source>`, where the bucket holds less.
    """
    _check_enough(claim, source, amount_minor)
    changed = {source: getattr(claim, source) - amount_minor, target: getattr(claim, target) + amount_minor}
    return msgspec.structs.replace(claim, **changed)


def fingerprint_id(ledger: str, do: SubmitReceivable) -> str:
    """The id of the fingerprint of the invoice that a claim is made from (supervision rule R1).

    Args:
        ledger: The ledger's name, so that fingerprints of two ledgers cannot be joined.
        do: The claim.
    """
    parts = {
        "amount_minor": do.amount_minor,
        "buyer": do.debtor,
        "code": "" if do.invoice_code is Absent else normalised(do.invoice_code),
        "currency": do.currency,
        "issued": "" if do.issued is Absent else str(do.issued),
        "ledger": ledger,
        "number": normalised(do.invoice),
        "seller": do.creditor,
        "type": "finchain.fingerprint.1",
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def normalised(reference: str) -> str:
    """A business reference without what people write in different ways: width, case, blanks and punctuation.

    It uses the frozen Unicode 3.2 tables, so that every Python version gives the same answer.
    """
    wide = unicodedata.ucd_3_2_0.normalize("NFKC", reference)
    kept = "".join(c for c in wide if not c.isascii() or c.isalnum())
    return "".join(c.upper() if c.isascii() else c for c in kept) or wide


def _check_unclaimed(do: SubmitReceivable, book: Book, print_id: str) -> None:
    held = book.find(Receivable, do.id)
    if held is not None:
        refuse(
            "receivable.duplicate", f"there is a claim {do.id} already", rule="domain.md 2.0", field="id", value=do.id,
            advice="choose another id; nothing was overwritten", digest=print_id, digest_held=held.fingerprint,
        )  # fmt: skip
    seen = book.find(Fingerprint, print_id)
    if seen is not None and seen.receivable is not Absent:
        refuse(
            "receivable.duplicate", f"invoice {do.invoice!r} is claimed as {seen.receivable}", rule="domain.md R1",
            field="invoice", value=do.invoice, advice="finance the claim that is there", digest=print_id,
        )  # fmt: skip


def _free_fingerprint(claim: Receivable, book: Book) -> None:
    if not claim.live:
        book.put(Fingerprint(id=claim.fingerprint))


def _claim_to_take(id: str, receivable: str, amount_minor: int, book: Book) -> Receivable:
    check_identifier("part", id)
    held = book.find(Part, id)
    if held is not None:
        refuse("part.duplicate", f"there is a part {id} already", field="id", value=id, advice="choose another id",
               held=str(held))  # fmt: skip
    claim = book.get(Receivable, receivable, field="receivable")
    require(book, "receivable", claim.creditor, field="creditor")
    check_amount("receivable", amount_minor)
    _check_enough(claim, "free", amount_minor)
    return claim


def _check_taker(claim: Receivable, taker: str, field: str, book: Book) -> None:
    if taker in (claim.creditor, claim.debtor):
        refuse("receivable.wrong_role", f"{taker} is a side of {claim.id} itself", rule="domain.md 2.0", field=field,
               value=taker, advice="name a third party")  # fmt: skip


def _put_part(part: Part, claim: Receivable, book: Book) -> None:
    if part.notice is not Absent:
        check_digest("receivable", part.notice, "notice")
    if part.notice is not Absent or claim.debtor in book.by:
        part = msgspec.structs.replace(part, notified=book.today)
    book.put(part)


def _check_payee(claim: Receivable, payee: str, owed: set[str]) -> None:
    if payee not in owed:
        refuse(
            "receivable.wrong_payee", f"paying {payee} does not discharge this part of {claim.id}",
            rule="Civil Code 546", field="payee", value=payee, advice=f"pay {' or '.join(sorted(owed))}",
        )  # fmt: skip


def _check_part_open(part: Part, claim: Receivable, amount_minor: int) -> None:
    if amount_minor > part.amount_minor:
        refuse("part.insufficient", f"only {_money(claim, part.amount_minor)} of {part.id} are open",
               field="amount_minor", value=amount_minor, advice=f"state up to {part.amount_minor}")  # fmt: skip


def _check_enough(claim: Receivable, bucket: Bucket, amount_minor: int) -> None:
    there = getattr(claim, bucket)
    if amount_minor > there:
        refuse(
            f"receivable.insufficient_{bucket}", f"only {_money(claim, there)} of {claim.id} are {bucket}",
            rule="domain.md I-3", field="amount_minor", value=amount_minor,
            advice=f"state up to {there}; only what the debtor confirmed is free",
            **{bucket: there}, pending=claim.pending,
        )  # fmt: skip


def _money(claim: Receivable, amount_minor: int) -> str:
    return f"{format_minor(amount_minor, claim.currency)} {claim.currency}"
