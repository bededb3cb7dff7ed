"""Postings that were errors, taken back by those who made them, in their month and while nothing rests on them.

What a bank has stated is never unsaid. Taken back is only what the ledger made of it; the same entry can then be posted
where it belongs. What cannot be taken back any more is made good by a refund or a new entry.
"""

from __future__ import annotations

import msgspec

from finchain.domain.account import Account
from finchain.domain.cash import move_cash
from finchain.domain.cash_fact import require_cash_signer, take_back
from finchain.domain.check import check_amount, check_reference
from finchain.domain.collection import posted_to
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Draw, Loan, live_loan
from finchain.domain.part import give_back, part_of
from finchain.domain.party import require
from finchain.domain.receivable import claim_of
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, refuse, rule


class CancelDraw(Instruction, frozen=True, tag="loan.cancel_draw"):
    """Takes back a draw that is signed for and not paid out, and frees what it reserved. Signed by borrower and lender.

    Attributes:
        name: Name of the draw within the loan.
    """

    id: str
    name: str


class ReverseDisbursement(Instruction, frozen=True, tag="loan.reverse_disbursement"):
    """Takes back that a draw was paid out, which was not so. Signed by the lender and the account's bank.

    Attributes:
        name: Name of the draw, which then waits to be paid out again. Where less was paid than was signed for, it waits
            for that: the rest was free to be drawn anew, and may have been.
        reference: The lender's number of the entry that was posted in error.
    """

    id: str
    name: str
    reference: str
    reason: str


class ReverseFee(Instruction, frozen=True, tag="guarantee.reverse_fee"):
    """Takes back that a fee arrived, which was not so. Signed by the guarantor and by who pays it.

    Attributes:
        reference: The guarantor's number of the entry that was posted in error.
    """

    id: str
    reference: str
    reason: str


class ReversePayment(Instruction, frozen=True, tag="receivable.reverse_payment"):
    """Takes back that the debtor paid a claim, which was posted in error.

    Signed by the payee, and by the claim's settlement bank where it names one.

    Attributes:
        payee: Who was said to have got the money.
        reference: Number of the entry that was posted in error.
        part: The part that was said to be paid; absent for the creditor's own.
    """

    id: str
    amount_minor: int
    payee: str
    reference: str
    reason: str
    part: str | Optional = Absent


@rule(CancelDraw)
def _cancel_draw(do: CancelDraw, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.borrower, field="borrower")
    require(book, "loan", loan.lender, role="lender", field="lender")
    draw = _draw_of(loan, do.name)
    if draw.lent_minor:
        refuse("loan.bad_state", f"{do.name} was paid out", rule="reversals", field="name", value=do.name,
               advice="let it be repaid, or take the posting back where it was an error")  # fmt: skip
    book.put(msgspec.structs.replace(loan, draws=tuple(each for each in loan.draws if each.name != do.name)))


@rule(ReverseDisbursement)
def _reverse_disbursement(do: ReverseDisbursement, book: Book) -> None:
    loan = live_loan(do.id, book)
    account = book.get(Account, loan.account)
    require(book, "loan", loan.lender, role="lender", field="lender")
    require(book, "loan", account.bank, role="settlement_bank", field="bank")
    check_reference("loan", do.reason, "reason")
    draw = _draw_of(loan, do.name)
    lent = draw.lent_minor
    # A second balance, or interest posted since, would have come of the first.
    touched = draw.outstanding_minor != lent or len(draw.balances) != 1 or book.today >= loan.due_on
    if not lent or touched or account.free_minor < lent:
        refuse("loan.dependant", f"{do.name} is not paid out, is repaid in part or due, or its money is on its way",
               rule="reversals", field="name", value=do.name,
               advice="let the money come back first" if lent and not touched
               else f"{NONE}: what was not paid out, is repaid or due stays as it is",
               lent=lent, outstanding=draw.outstanding_minor, free=account.free_minor)  # fmt: skip
    take_back(book, "loan", by=loan.lender, reference=do.reference, amount_minor=lent, of=f"{loan.id} {do.name}")
    waiting = Draw(name=draw.name, asked_minor=lent)
    draws = tuple(waiting if each.name == do.name else each for each in loan.draws)
    book.put(msgspec.structs.replace(loan, draws=draws))
    book.put(msgspec.structs.replace(account, inflow_minor=account.inflow_minor - lent))
    move_cash(book, loan.borrower, loan.lender, lent, loan.currency)


@rule(ReverseFee)
def _reverse_fee(do: ReverseFee, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    for party in (guarantee.guarantor, guarantee.fee_payer):
        require(book, "guarantee", party, field="by")
    check_reference("guarantee", do.reason, "reason")
    if guarantee.fee_first is True or guarantee.released is not Absent:
        refuse("guarantee.dependant", f"{do.id} took effect with its fee, or was released since", rule="reversals",
               field="id", value=do.id, advice=f"{NONE}: give the fee back outside of this guarantee")  # fmt: skip
    paid = guarantee.fee_paid_minor
    take_back(
        book, "guarantee", by=guarantee.guarantor, reference=do.reference, amount_minor=paid, of=guarantee.id
    )  # fmt: skip
    book.put(msgspec.structs.replace(guarantee, fee_paid_minor=0))
    move_cash(book, guarantee.guarantor, guarantee.fee_payer, paid, guarantee.currency)


@rule(ReversePayment)
def _reverse_payment(do: ReversePayment, book: Book) -> None:
    claim = claim_of(book, do.id)
    by = require_cash_signer(book, "receivable", claim.bank, do.payee)
    require(book, "receivable", do.payee, field="payee")
    check_amount("receivable", do.amount_minor)
    check_reference("receivable", do.reason, "reason")
    part = part_of(claim, do.part, book)
    of = posted_to(claim, part, do.payee)
    posted = take_back(
        book, "receivable", by=by, reference=do.reference, amount_minor=do.amount_minor, of="" if of is Absent else of
    )  # fmt: skip
    if claim.late is not Absent and posted.value_date > claim.payable:
        refuse("receivable.dependant", "interest for late payment was posted with it", rule="reversals",
               field="reference", value=do.reference, advice=f"{NONE}: give the money back outside of this claim",
        )  # fmt: skip
    book.put(give_back(claim, part, do.amount_minor, "settled", book))
    move_cash(book, do.payee, claim.debtor, do.amount_minor, claim.currency)


def _draw_of(loan: Loan, name: str) -> Draw:
    """The draw of a loan.

    Raises:
        Refused: `loan.bad_state`, where it has none of this name.
    """
    for draw in loan.draws:
        if draw.name == name:
            return draw
    refuse("loan.bad_state", f"{loan.id} has no draw {name}", field="name", value=name,
           advice=f"name one of {', '.join(each.name for each in loan.draws)}" if loan.draws
           else f"{NONE}: nothing of it was drawn")  # fmt: skip
