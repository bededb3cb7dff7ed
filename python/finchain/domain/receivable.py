"""Receivables: a creditor's claim, how much of it the debtor confirmed, and in whose hands each part of it is.

Only what the debtor confirmed with its own key can be assigned, pledged or made into certificates, and no unit of it
twice. There are no flags here: every amount lies in one bucket, and the status is read off the buckets.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.calendar import Shift
from finchain.domain.check import (
    check_amount,
    check_currency,
    check_digest,
    check_identifier,
    check_not_future,
    check_reference,
)
from finchain.domain.dilution import count
from finchain.domain.fingerprint import fingerprint_id, free_fingerprint, take_fingerprint
from finchain.domain.holiday import check_shift, newest, payable_on
from finchain.domain.late import LateTerms, check_late_terms
from finchain.domain.party import require, require_role
from finchain.domain.prospective import Prospective, invoice
from finchain.domain.reference import payload_digest, refuse_duplicate
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, record, refuse, rule, up_to
from finchain.domain.trade import Contract, check_contract
from finchain.money import format_minor

Status = Literal[
    "submitted", "part_confirmed", "confirmed", "disputed", "rejected", "part_settled", "settled", "cancelled",
    "written_off",
]  # fmt: skip
Bucket = Literal[
    "free", "reserved", "assigned", "pledged", "converted", "conv_settled", "settled", "credited", "setoff",
    "written_off", "disputed_free", "disputed_assigned", "disputed_pledged",
]  # fmt: skip
Mark = Literal["assigned", "pledged"]

OFFERS_MAX: Final = 8
"""Offers of one claim that stand at the same time; whoever asks more lenders than that asks them one after another."""


class PartOffer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount that is reserved for somebody; over with `until`, without anybody having to say so.

    Attributes:
        id: Id that the part will have.
        to: Who may accept.
        until: The last day on which it holds.
    """

    id: str
    to: str
    mark: Mark
    amount_minor: int
    until: date


@record
class Receivable(Record, frozen=True, kw_only=True):
    """A claim. Every bucket is in minor units of `currency` and never negative.

    Attributes:
        claimed: What the creditor claims; it never changes.
        confirmed: What the debtor has confirmed in all.
        waived: How much of `confirmed` the debtor cannot dispute: it kept no defences, or lost the dispute.
        due: When the debtor is to pay.
        invoice: Number of the invoice, as printed; `invoice_code` is the code that some countries print before it.
        issued: Date of the invoice.
        bank: The settlement bank that states payments; where absent, the payee does.
        fingerprint: Id of the record that keeps this invoice from being claimed twice.
        payload: Digest of the instruction that made the claim.
        calendar: Calendar by which `due` is moved to a business day, in the version `calendar_version`.
        shift: How it is moved.
        late: Interest for late payment, where the creditor is a small or medium enterprise.
        shifted: The business day to which it is moved; absent where it is `due` itself.
        owed_back: What was credited after it became certificates, and is a claim of the debtor on the creditor.
        posted: Value date of the last payment.
        offers: What `reserved` is reserved for.
        parts: Ids of the parts of which something is open or disputed, and of some that are done.
    """

    kind: ClassVar[str] = "receivable"

    creditor: str
    debtor: str
    currency: str
    due: date
    invoice: str
    fingerprint: str
    payload: str
    invoice_code: str | Optional = Absent
    issued: date | Optional = Absent
    contract: str | Optional = Absent
    bank: str | Optional = Absent
    posted: date | Optional = Absent
    calendar: str | Optional = Absent
    calendar_version: int | Optional = Absent
    shift: Shift | Optional = Absent
    shifted: date | Optional = Absent
    late: LateTerms | Optional = Absent

    # I-1: claimed = pending + confirmed + disputed_pre + rejected + cancelled
    claimed: int
    pending: int
    confirmed: int = 0
    disputed_pre: int = 0
    rejected: int = 0
    cancelled: int = 0
    waived: int = 0
    owed_back: int = 0
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

    offers: tuple[PartOffer, ...] = ()
    parts: tuple[str, ...] = ()

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

    @property
    def payable(self) -> date:
        """The day by which the debtor must have paid."""
        return self.due if self.shifted is Absent else self.shifted

    def overdue(self, today: date) -> bool:
        """Whether something is still to be paid after the due date."""
        return today > self.payable and self.pending + self.open + self.converted + self.disputed_post > 0

    def __str__(self) -> str:
        shown = [("open", self.open)]
        shown += [(name, getattr(self, name)) for name in ("pending", "converted", "settled") if getattr(self, name)]
        amounts = ", ".join(f"{name} {format_minor(amount, self.currency)}" for name, amount in shown)
        return f"{self.id} {self.status.replace('_', ' ')}: {amounts} {self.currency}"


class SubmitReceivable(Instruction, frozen=True, tag="receivable.submit"):
    """Claims an amount. Signed by the creditor.

    Attributes:
        amount_minor: The gross amount of the invoice.
        due: When the debtor is to pay; it may have passed.
        bank: The settlement bank that will state payments.
        prospective: The expectation that this invoice comes from.
        calendar: Calendar by which `due` is moved to a business day, as `shift` says; both or none.
        late: Interest for late payment, where the creditor is a small or medium enterprise.
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
    prospective: str | Optional = Absent
    calendar: str | Optional = Absent
    shift: Shift | Optional = Absent
    late: LateTerms | Optional = Absent


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


@rule(SubmitReceivable)
def _submit(do: SubmitReceivable, book: Book) -> None:
    check_identifier("receivable", do.id)
    payload = payload_digest(do)
    held = book.find(Receivable, do.id)
    require(book, "receivable", do.creditor, role="supplier", field="creditor", service_ok=True)
    require_role(book, "receivable", do.debtor, role="debtor", field="debtor")
    if do.creditor == do.debtor:
        refuse(
            "receivable.wrong_role", "one party cannot be both sides of a claim", rule="both sides",
            field="debtor", value=do.debtor, advice="name another debtor",
        )  # fmt: skip
    check_amount("receivable", do.amount_minor)
    check_currency("receivable", do.currency)
    check_reference("receivable", do.invoice, "invoice")
    if do.invoice_code is not Absent:
        check_reference("receivable", do.invoice_code, "invoice_code")
    if do.issued is not Absent:
        check_not_future("receivable", do.issued, book.today, "issued")
        if do.due < do.issued:
            refuse(
                "receivable.date", f"it would be due on {do.due}, before its invoice of {do.issued}", field="due",
                value=str(do.due), advice=f"state a date from {do.issued} on",
            )  # fmt: skip
    check_contract(book, "receivable", do.contract, do.creditor, do.debtor, do.currency)
    if do.late is not Absent:
        signed = book.today if do.contract is Absent else book.get(Contract, do.contract).signed
        check_late_terms("receivable", do.late, signed, book)
    if do.bank is not Absent:
        require_role(book, "receivable", do.bank, role="settlement_bank", field="bank")
    fingerprint = fingerprint_id(
        book.ledger, seller=do.creditor, buyer=do.debtor, invoice=do.invoice, invoice_code=do.invoice_code,
        issued=do.issued, amount_minor=do.amount_minor, currency=do.currency,
    )  # fmt: skip
    if held is not None:
        refuse_duplicate("receivable", f"there is a claim {do.id} already", "id", do.id, payload, held.payload)
    take_fingerprint(book, fingerprint, do.id, do.invoice)
    if do.prospective is not Absent:
        invoice(
            book, do.prospective, creditor=do.creditor, debtor=do.debtor, currency=do.currency,
            amount_minor=do.amount_minor,
        )  # fmt: skip
    claim = Receivable(
        id=do.id, creditor=do.creditor, debtor=do.debtor, currency=do.currency, due=do.due, invoice=do.invoice,
        fingerprint=fingerprint, payload=payload, invoice_code=do.invoice_code, issued=do.issued, contract=do.contract,
        bank=do.bank, calendar=do.calendar, shift=do.shift, late=do.late, claimed=do.amount_minor,
        pending=do.amount_minor,
    )  # fmt: skip
    book.put(with_due(claim, do.due, book))


@rule(ConfirmReceivable)
def _confirm(do: ConfirmReceivable, book: Book) -> None:
    claim = claim_of(book, do.id)
    require(book, "receivable", claim.debtor, role="debtor", field="debtor")
    check_amount("receivable", do.amount_minor)
    if do.amount_minor > claim.pending:
        refuse(
            "receivable.over_confirm", f"only {money_text(claim, claim.pending)} of {claim.id} are pending",
            rule="Civil Code 763, I-1", field="amount_minor", value=do.amount_minor,
            advice=up_to("confirm", claim.pending, "nothing is pending")
            + "; a higher price is a new claim with an invoice of its own",
            pending=claim.pending, claimed=claim.claimed,
        )  # fmt: skip
    waived = do.amount_minor if do.waives_defences is True else 0
    count(book, claim.debtor, claim.currency, confirmed_minor=do.amount_minor)
    book.put(
        msgspec.structs.replace(
            claim, pending=claim.pending - do.amount_minor, confirmed=claim.confirmed + do.amount_minor,
            free=claim.free + do.amount_minor, waived=claim.waived + waived,
        )
    )  # fmt: skip


@rule(RejectReceivable)
def _reject(do: RejectReceivable, book: Book) -> None:
    claim = claim_of(book, do.id)
    require(book, "receivable", claim.debtor, role="debtor", field="debtor")
    check_amount("receivable", do.amount_minor)
    check_reference("receivable", do.reason, "reason")
    if do.amount_minor > claim.pending:
        refuse(
            "receivable.over_reject", f"only {money_text(claim, claim.pending)} of {claim.id} are pending",
            rule="I-1", field="amount_minor", value=do.amount_minor,
            advice=up_to("reject", claim.pending, "nothing is pending; what was confirmed is disputed"),
            pending=claim.pending,
        )  # fmt: skip
    claim = msgspec.structs.replace(
        claim, pending=claim.pending - do.amount_minor, rejected=claim.rejected + do.amount_minor
    )  # fmt: skip
    put_and_free(claim, book)


@rule(CancelReceivable)
def _cancel(do: CancelReceivable, book: Book) -> None:
    claim = claim_of(book, do.id)
    require(book, "receivable", claim.creditor, field="creditor")
    if claim.pending != claim.claimed:
        refuse(
            "receivable.bad_state", f"{claim.id} is {claim.status.replace('_', ' ')}", rule="cancellation",
            field="id", value=do.id,
            advice=f"{NONE}: the debtor has answered it; a credit note reduces what it confirmed",
            pending=claim.pending, claimed=claim.claimed,
        )  # fmt: skip
    claim = msgspec.structs.replace(claim, pending=0, cancelled=claim.pending)
    put_and_free(claim, book)


def claim_of(book: Book, id: str, *, field: str = "id") -> Receivable:
    """The claim as it is today: what was reserved for an offer that is over is free.

    Raises:
        Refused: `receivable.not_found`, or `receivable.prospective` where it is only expected.
    """
    found = book.find(Receivable, id)
    if found is None and book.find(Prospective, id) is not None:
        refuse(
            "receivable.prospective", f"{id} is expected and nobody owes it", rule="prospective claims", field=field,
            value=id, advice=f"{NONE}: submit the invoice as a claim once there is one",
        )  # fmt: skip
    claim = found or book.get(Receivable, id, field=field)
    standing = tuple(offer for offer in claim.offers if book.today <= offer.until)
    if len(standing) == len(claim.offers):
        return claim
    reserved = sum(offer.amount_minor for offer in standing)
    return msgspec.structs.replace(
        claim, offers=standing, reserved=reserved, free=claim.free + claim.reserved - reserved
    )  # fmt: skip


def with_due(claim: Receivable, due: date, book: Book) -> Receivable:
    """The claim with a due date, moved to a business day by the newest version of its calendar, if it has one.

    Raises:
        Refused: `receivable.shift`, `calendar.not_found`, or `calendar.not_covered`.
    """
    check_shift("receivable", claim.calendar, claim.shift)
    if claim.calendar is Absent:
        return claim if claim.due == due else msgspec.structs.replace(claim, due=due)
    payable = payable_on(book, due, claim.calendar, claim.shift)
    return msgspec.structs.replace(
        claim, due=due, calendar_version=newest(book, claim.calendar), shifted=Absent if payable == due else payable
    )  # fmt: skip


def move(claim: Receivable, amount_minor: int, source: Bucket, target: Bucket) -> Receivable:
    """The claim with an amount moved between two buckets of its confirmed part (I-2 holds before and after).

    Other instruments use it: a certificate moves `free` to `converted`, back when it is refused, and on to
    `conv_settled` when it is paid.

    Raises:
        Refused: `receivable.insufficient_<source>`, where the bucket holds less.
    """
    check_enough(claim, source, amount_minor)
    if source == target:
        return claim
    changed = {source: getattr(claim, source) - amount_minor, target: getattr(claim, target) + amount_minor}
    return msgspec.structs.replace(claim, **changed)


def check_enough(claim: Receivable, bucket: Bucket, amount_minor: int, *, field: str = "amount_minor") -> None:
    """Refuses an amount that a bucket does not hold.

    Raises:
        Refused: `receivable.insufficient_<bucket>`.
    """
    there = getattr(claim, bucket)
    if amount_minor > there:
        refuse(
            f"receivable.insufficient_{bucket}", f"only {money_text(claim, there)} of {claim.id} are {bucket}",
            rule="I-3", field=field, value=amount_minor,
            advice=up_to("state", there, f"nothing of it is {bucket}") + "; only what the debtor confirmed can be free",
            **{bucket: there}, pending=claim.pending,
        )  # fmt: skip


def require_award(book: Book, arbiter: str | Optional, award: str | Optional) -> bool:
    """Whether an arbiter decided instead of the parties; its award is then stated and signed.

    Raises:
        Refused: `receivable.award`, `receivable.digest`, `receivable.not_signed` or `receivable.wrong_role`.
    """
    if arbiter is not Absent:
        require(book, "receivable", arbiter, role="arbiter", field="arbiter")
        check_digest("receivable", "" if award is Absent else award, "award")
        return True
    if award is not Absent:
        refuse("receivable.award", "an award that nobody signs is none", rule="awards", field="award",
               value=award, advice="name the arbiter and let it sign, or leave the award out")  # fmt: skip
    return False


def money_text(claim: Receivable, amount_minor: int) -> str:
    """An amount of the claim as people write it, with its currency."""
    return f"{format_minor(amount_minor, claim.currency)} {claim.currency}"


def put_and_free(claim: Receivable, book: Book) -> None:
    """Writes the claim, and lets its invoice be claimed again where nothing of the claim is left."""
    book.put(claim)
    if not claim.live:
        free_fingerprint(book, claim.fingerprint)
