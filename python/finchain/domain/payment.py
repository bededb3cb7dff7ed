"""Payments out of controlled accounts: requested, approved, sent, stated, and what came back.

From the request on the amount is reserved, on the account and under the mandate. A request that no mandate covers is
refused, and the refusal is kept: it is what a supervisor looks for. What the first payee does with the money this file
does not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.calendar import add_days
from finchain.domain.account import Account, Category, Mandate, Payee, last_posting, require_controllers
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.check import check_amount, check_digest, check_identifier, check_reference
from finchain.domain.party import Party, require
from finchain.domain.policy import in_force
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, record, refuse, rule, up_to
from finchain.domain.trade import EvidenceForm

Stage = Literal["requested", "approved", "instructed", "settled", "rejected", "expired"]

PAPERS_MAX: Final = 32
"""Papers behind one payment."""


class Paper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A paper behind a payment, as its form and SHA-256.

    Attributes:
        bills_minor: What an invoice asks for; the payments on it never sum to more.
    """

    form: EvidenceForm
    digest: str
    bills_minor: int | Optional = Absent


@record
class PaidPaper(Record, frozen=True, kw_only=True):
    """What an account has paid on one invoice. Its id is `<account> <SHA-256 of the invoice>`.

    Attributes:
        bills_minor: What the invoice asks for, as the first payment on it said.
        taken_minor: What was requested or paid on it and did not come back; never more than `bills_minor`.
    """

    kind: ClassVar[str] = "paid_paper"

    bills_minor: int
    taken_minor: int


@record
class Payment(Record, frozen=True, kw_only=True):
    """A payment out of a controlled account.

    Attributes:
        mandate: Name of the mandate that covers it.
        until: Last day on which the bank may be told to pay.
        ordered: The day on which it was.
        returned_minor: What the bank could not deliver and put back.
        refunded_minor: What the payee sent back.
    """

    kind: ClassVar[str] = "payment"

    account: str
    mandate: str
    amount_minor: int
    evidence: tuple[Paper, ...]
    stage: Stage
    until: date
    settled_minor: int = 0
    returned_minor: int = 0
    refunded_minor: int = 0
    ordered: date | Optional = Absent
    note: str | Optional = Absent

    @property
    def kept_minor(self) -> int:
        """What the payee has of it; the bound of a return or refund."""
        return self.settled_minor - self.returned_minor - self.refunded_minor

    def __str__(self) -> str:
        return f"{self.id} {self.stage}: {self.amount_minor} from {self.account} under {self.mandate}"


class RequestPayment(Instruction, frozen=True, tag="payment.request"):
    """Asks for a payment under a mandate, whose payee is stated again in full. Signed by the owner."""

    id: str
    account: str
    mandate: str
    amount_minor: int
    category: Category
    payee: Payee
    evidence: list[Paper]


class ApprovePayment(Instruction, frozen=True, tag="payment.approve"):
    """Allows a requested payment. Signed by all controllers.

    Attributes:
        note: Why; needed where the category is `other`.
    """

    id: str
    note: str | Optional = Absent


class InstructPayment(Instruction, frozen=True, tag="payment.instruct"):
    """Says that the bank has sent the money on its way. Signed by the bank."""

    id: str


class SettlePayment(Instruction, frozen=True, tag="payment.settle"):
    """States that the payment left the account. Signed by the bank."""

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class RejectPayment(Instruction, frozen=True, tag="payment.reject"):
    """Says that the bank did not pay, and frees what was reserved. Signed by the bank."""

    id: str
    reason: str


class ExpirePayment(Instruction, frozen=True, tag="payment.expire"):
    """Frees what a payment reserved whose last day is over before the bank was told.

    Signed by the owner, the bank, a controller or the operator.
    """

    id: str


class ReturnPayment(Instruction, frozen=True, tag="payment.return"):
    """States that money came back which the bank could not deliver. Signed by the bank."""

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class RefundPayment(Instruction, frozen=True, tag="payment.refund"):
    """States that the payee sent money back. Signed by the bank, and by the payee where it is a party."""

    id: str
    amount_minor: int
    reason: str
    reference: str
    digest: str
    value_date: date | Optional = Absent


@rule(RequestPayment)
def _request(do: RequestPayment, book: Book) -> None:
    check_identifier("payment", do.id)
    if book.find(Payment, do.id) is not None:
        refuse("payment.duplicate", f"there is a payment {do.id} already", field="id", value=do.id,
               advice="choose another id")  # fmt: skip
    account = book.get(Account, do.account, field="account")
    require(book, "payment", account.owner, field="owner")
    check_amount("payment", do.amount_minor)
    mandate = _covering(do, account, book)
    _check_papers(do, mandate)
    paper = _invoice(do.evidence)
    if do.amount_minor > min(mandate.left_minor, mandate.per_payment_minor):
        refuse(
            "payment.cap_exceeded", f"{mandate.id} has {mandate.left_minor} left", rule="I-15",
            field="amount_minor", value=do.amount_minor,
            advice=_advice_on_amount(account, mandate, paper, book), cap=mandate.cap_minor,
            used=mandate.used_minor, reserved=mandate.reserved_minor, per_payment=mandate.per_payment_minor,
        )  # fmt: skip
    if do.amount_minor > account.free_minor:
        refuse(
            "payment.insufficient_free", f"{account.id} has {account.free_minor} free", rule="I-14",
            field="amount_minor", value=do.amount_minor, advice=_advice_on_amount(account, mandate, paper, book),
            settled=account.settled_minor, reserved=account.reserved_minor,
        )  # fmt: skip
    if paper is not None:
        _take_paper(account.id, paper, do.amount_minor, book)
    _reserve(account, mandate, do.amount_minor, book)
    book.put(
        Payment(
            id=do.id, account=account.id, mandate=mandate.name, amount_minor=do.amount_minor,
            evidence=tuple(do.evidence), stage="requested",
            until=add_days(book.today, in_force(book).payment_expiry_days),
        )
    )  # fmt: skip


def _covering(do: RequestPayment, account: Account, book: Book) -> Mandate:
    """The mandate that the request names, where it is for this payee and purpose, and today."""
    mandate = book.find(Mandate, f"{account.id} {do.mandate}")
    if mandate is None:
        refuse(
            "payment.not_whitelisted", f"{account.id} has no mandate to pay {do.payee.name}", rule="mandates",
            field="mandate", value=do.mandate,
            advice=f"let {account.owner} and {', '.join(account.controllers)} sign a mandate for this payee first",
        )  # fmt: skip
    fields = ("name", "legal_id", "number", "party")
    differs = [field for field in fields if getattr(do.payee, field) != getattr(mandate.payee, field)]
    if differs or do.category != mandate.category:
        refuse(
            "payment.not_whitelisted", f"{mandate.id} is for another payee or purpose", rule="mandates",
            field=f"payee.{differs[0]}" if differs else "category",
            value=getattr(do.payee, differs[0]) if differs else do.category,
            advice=f"pay {mandate.payee.name} for {mandate.category}, or have the change signed by all controllers",
        )  # fmt: skip
    if not mandate.start <= book.today <= mandate.end:
        refuse("payment.expired", f"{mandate.id} holds from {mandate.start} to {mandate.end}", field="mandate",
               value=do.mandate,
               advice=f"wait until {mandate.start}" if book.today < mandate.start
               else "have the mandate's end set later, or set a new mandate")  # fmt: skip
    return mandate


def _check_papers(do: RequestPayment, mandate: Mandate) -> None:
    for paper in do.evidence:
        check_digest("payment", paper.digest, "evidence")
        if paper.bills_minor is not Absent:
            check_amount("payment", paper.bills_minor, "evidence")
    if sum(paper.bills_minor is not Absent for paper in do.evidence) > 1:
        refuse("payment.evidence", "a payment on several invoices could not be told apart", rule="payment papers",
               field="evidence", value=len(do.evidence), advice="ask for one payment for each invoice")  # fmt: skip
    missing = sorted(set(mandate.evidence) - {paper.form for paper in do.evidence})
    if missing or len(do.evidence) > PAPERS_MAX:
        refuse("payment.evidence", f"the papers lack {', '.join(missing) or 'nothing, but are too many'}",
               rule="payment papers", field="evidence", value=len(do.evidence),
               advice=f"state up to {PAPERS_MAX}, with {', '.join(mandate.evidence) or 'any form'}")  # fmt: skip


def _invoice(papers: Sequence[Paper]) -> Paper | None:
    """The paper that limits a payment, if there is one."""
    return next((paper for paper in papers if paper.bills_minor is not Absent), None)


def _advice_on_amount(account: Account, mandate: Mandate, paper: Paper | None, book: Book) -> str:
    """What account, mandate and invoice together leave to be asked for."""
    most = min(mandate.left_minor, mandate.per_payment_minor, account.free_minor)
    if paper is not None and paper.bills_minor is not Absent:
        held = book.find(PaidPaper, f"{account.id} {paper.digest}")
        most = min(most, paper.bills_minor - (0 if held is None else held.taken_minor))
    return up_to("ask for", most, "more money has to come, the cap to be raised, or more to be billed, first")


def _take_paper(account: str, paper: Paper, amount_minor: int, book: Book) -> None:
    """Takes an amount out of what an invoice asks for, or gives it back where it is negative."""
    bills = paper.bills_minor
    assert bills is not Absent
    held = book.find(PaidPaper, f"{account} {paper.digest}")
    if held is not None and held.bills_minor != bills:
        refuse("payment.duplicate", f"this invoice asked for {held.bills_minor} before", rule="payment papers",
               field="evidence", value=bills, advice=f"state {held.bills_minor}", digest=paper.digest)  # fmt: skip
    taken = 0 if held is None else held.taken_minor
    if taken + amount_minor > bills:
        refuse("payment.over_invoice", f"{bills - taken} of the invoice are open", rule="payment papers",
               field="amount_minor", value=amount_minor, bills=bills, taken=taken,
               advice=up_to("ask for", bills - taken, "all of the invoice was asked for"))  # fmt: skip
    book.put(PaidPaper(id=f"{account} {paper.digest}", bills_minor=bills, taken_minor=taken + amount_minor))


@rule(ApprovePayment)
def _approve(do: ApprovePayment, book: Book) -> None:
    payment, account, mandate = _in_stage(do.id, ("requested",), book)
    require_controllers("payment", account, book)
    _check_not_expired(payment, book)
    if do.note is not Absent:
        check_reference("payment", do.note, "note")
    elif mandate.category == "other":
        refuse("payment.note", "a payment for something else needs a word why", rule="payment papers", field="note",
               advice="state a note")  # fmt: skip
    book.put(msgspec.structs.replace(payment, stage="approved", note=do.note))


@rule(InstructPayment)
def _instruct(do: InstructPayment, book: Book) -> None:
    payment, account, _ = _in_stage(do.id, ("approved",), book)
    require(book, "payment", account.bank, role="settlement_bank", field="bank")
    _check_not_expired(payment, book)
    book.put(msgspec.structs.replace(payment, stage="instructed", ordered=book.today))


@rule(SettlePayment)
def _settle(do: SettlePayment, book: Book) -> None:
    payment, account, mandate = _in_stage(do.id, ("instructed",), book)
    on = _state(do, account, book)
    if do.amount_minor != payment.amount_minor:
        refuse("payment.amount", f"{payment.id} is for {payment.amount_minor}", field="amount_minor",
               value=do.amount_minor, advice=f"state {payment.amount_minor}; what comes back is a return")  # fmt: skip
    account, mandate = _reserve(account, mandate, -payment.amount_minor, book)
    book.put(
        msgspec.structs.replace(account, outflow_minor=account.outflow_minor + payment.amount_minor, posted=on)
    )  # fmt: skip
    book.put(msgspec.structs.replace(mandate, paid_minor=mandate.paid_minor + payment.amount_minor))
    book.put(msgspec.structs.replace(payment, stage="settled", settled_minor=payment.amount_minor))
    move_cash(book, account.owner, mandate.holder, payment.amount_minor, account.currency)


@rule(RejectPayment)
def _reject(do: RejectPayment, book: Book) -> None:
    payment, account, mandate = _in_stage(do.id, ("requested", "approved", "instructed"), book)
    require(book, "payment", account.bank, role="settlement_bank", field="bank")
    check_reference("payment", do.reason, "reason")
    _reserve(account, mandate, -payment.amount_minor, book)
    _give_back(payment, payment.amount_minor, book)
    book.put(msgspec.structs.replace(payment, stage="rejected", note=do.reason))


@rule(ExpirePayment)
def _expire(do: ExpirePayment, book: Book) -> None:
    payment, account, mandate = _in_stage(do.id, ("requested", "approved"), book)
    parties = {account.owner, account.bank, *account.controllers}
    if not parties & book.by and not any("operator" in book.get(Party, by).roles for by in sorted(book.by)):
        refuse("payment.not_signed", f"no party of {account.id} has signed", field="by",
               advice="let owner, bank, a controller or the operator sign")  # fmt: skip
    if book.today <= payment.until:
        refuse("payment.bad_state", f"{payment.id} may be paid until {payment.until}", field="id", value=do.id,
               advice=f"wait until {add_days(payment.until, 1)}, or let {account.bank} reject it")  # fmt: skip
    _reserve(account, mandate, -payment.amount_minor, book)
    _give_back(payment, payment.amount_minor, book)
    book.put(msgspec.structs.replace(payment, stage="expired"))


@rule(ReturnPayment)
def _return(do: ReturnPayment, book: Book) -> None:
    payment, account, mandate = _in_stage(do.id, ("settled",), book)
    on = _state(do, account, book)
    _check_kept(payment, do.amount_minor)
    back = do.amount_minor
    book.put(msgspec.structs.replace(account, returned_minor=account.returned_minor + back, posted=on))
    book.put(msgspec.structs.replace(mandate, returned_minor=mandate.returned_minor + back))
    book.put(msgspec.structs.replace(payment, returned_minor=payment.returned_minor + back))
    _give_back(payment, back, book)
    move_cash(book, mandate.holder, account.owner, back, account.currency)


@rule(RefundPayment)
def _refund(do: RefundPayment, book: Book) -> None:
    payment, account, mandate = _in_stage(do.id, ("settled",), book)
    if mandate.payee.party is not Absent:
        require(book, "payment", mandate.payee.party, field="payee.party")
    check_reference("payment", do.reason, "reason")
    on = _state(do, account, book)
    _check_kept(payment, do.amount_minor)
    back = do.amount_minor
    book.put(msgspec.structs.replace(account, refunded_minor=account.refunded_minor + back, posted=on))
    book.put(msgspec.structs.replace(mandate, refunded_minor=mandate.refunded_minor + back))
    book.put(msgspec.structs.replace(payment, refunded_minor=payment.refunded_minor + back))
    _give_back(payment, back, book)
    move_cash(book, mandate.holder, account.owner, back, account.currency)


def _state(do: SettlePayment | ReturnPayment | RefundPayment, account: Account, book: Book) -> date:
    """Keeps the bank's entry on the account, and gives its value date."""
    by = require(book, "payment", account.bank, role="settlement_bank", field="bank").id
    check_amount("payment", do.amount_minor)
    return enter_fact(
        book, "payment", do, by=by, amount_minor=do.amount_minor, currency=account.currency, last=last_posting(account)
    )  # fmt: skip


def _reserve(account: Account, mandate: Mandate, amount_minor: int, book: Book) -> tuple[Account, Mandate]:
    """Reserves an amount on account and mandate, or frees it where it is negative."""
    account = msgspec.structs.replace(account, reserved_minor=account.reserved_minor + amount_minor)
    mandate = msgspec.structs.replace(mandate, reserved_minor=mandate.reserved_minor + amount_minor)
    book.put(account)
    book.put(mandate)
    return account, mandate


def _give_back(payment: Payment, amount_minor: int, book: Book) -> None:
    """Opens an invoice again for what was not paid on it in the end."""
    paper = _invoice(payment.evidence)
    if paper is not None:
        _take_paper(payment.account, paper, -amount_minor, book)


def _in_stage(id: str, stages: tuple[Stage, ...], book: Book) -> tuple[Payment, Account, Mandate]:
    payment = book.get(Payment, id, field="id")
    if payment.stage not in stages:
        refuse("payment.bad_state", f"{id} is {payment.stage}", field="id", value=id,
               advice=f"this needs a payment that is {' or '.join(stages)}")  # fmt: skip
    account = book.get(Account, payment.account)
    return payment, account, book.get(Mandate, f"{account.id} {payment.mandate}")


def _check_not_expired(payment: Payment, book: Book) -> None:
    if book.today > payment.until:
        refuse("payment.expired", f"{payment.id} could be paid until {payment.until}", field="id", value=payment.id,
               advice="expire it and request another")  # fmt: skip


def _check_kept(payment: Payment, amount_minor: int) -> None:
    if amount_minor > payment.kept_minor:
        refuse(
            "payment.over_return", f"the payee has {payment.kept_minor} of {payment.id}", rule="returned payments",
            field="amount_minor", value=amount_minor, advice=up_to("state", payment.kept_minor, "all of it came back"),
            settled=payment.settled_minor, returned=payment.returned_minor, refunded=payment.refunded_minor,
        )  # fmt: skip
