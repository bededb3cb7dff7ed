"""Loans that go wrong: called due before their day, charged with costs, and charges that the lender gives up.

What a loan costs once it is late stands in its contract. Here the lender states why it is due now, and what it had to
spend to get its money; a charge that the borrower has not signed needs the paper of a court.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from finchain.domain.check import check_amount, check_digest
from finchain.domain.loan import Charge, ChargeName, Loan, live_loan
from finchain.domain.party import require
from finchain.domain.repayment import end_if_nothing_left, posted_up_to
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, refuse, rule, up_to
from finchain.money import AMOUNT_MAX_MINOR

Grounds = Literal["default", "misuse"]
"""`misuse`: the money was used for something else (Civil Code 673); `default`: any other event of the contract."""


class AccelerateLoan(Instruction, frozen=True, tag="loan.accelerate"):
    """Calls all of a loan due today; nothing more can be drawn. Signed by the lender.

    Attributes:
        evidence: SHA-256 of the paper that proves the grounds.
    """

    id: str
    grounds: Grounds
    evidence: str


class ChargeLoan(Instruction, frozen=True, tag="loan.charge"):
    """Charges a loan that is due with costs of enforcement or an agreed fee. Signed by the lender and the borrower.

    With an award the lender signs alone.

    Attributes:
        digest: SHA-256 of the bill.
        award: SHA-256 of the court's or the arbitrators' paper, for costs.
    """

    id: str
    name: Literal["costs", "fees"]
    amount_minor: int
    digest: str
    award: str | Optional = Absent


class WaiveCharge(Instruction, frozen=True, tag="loan.waive_charge"):
    """Gives up a charge that was posted and not paid, or some of it. Signed by the lender."""

    id: str
    name: ChargeName
    amount_minor: int


class WriteOffLoan(Instruction, frozen=True, tag="loan.write_off"):
    """States that the lender has taken a loan out of its books; nothing of the debt changes. Signed by the lender.

    Attributes:
        digest: SHA-256 of the lender's resolution.
    """

    id: str
    digest: str


@rule(AccelerateLoan)
def _accelerate(do: AccelerateLoan, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.lender, role="lender", field="lender")
    check_digest("loan", do.evidence, "evidence")
    if book.today >= loan.due_on or not loan.outstanding_minor:
        refuse("loan.bad_state", f"nothing of {do.id} can be called due", rule="Civil Code 673", field="id",
               value=do.id,
               advice=f"{NONE}: only a loan that is drawn and not due yet is accelerated", due_on=str(loan.due_on),
               outstanding=loan.outstanding_minor)  # fmt: skip
    misused = book.today if do.grounds == "misuse" else loan.misused
    book.put(msgspec.structs.replace(loan, accelerated=book.today, misused=misused, notice=Absent))


@rule(ChargeLoan)
def _charge(do: ChargeLoan, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.lender, role="lender", field="lender")
    check_amount("loan", do.amount_minor)
    check_digest("loan", do.digest)
    if do.award is Absent or do.name == "fees":
        require(book, "loan", loan.borrower, field="borrower")
    if do.award is not Absent:
        check_digest("loan", do.award, "award")
    if book.today < loan.due_on:
        refuse("loan.not_due", f"{do.id} is due on {loan.due_on}", field="id", value=do.id,
               advice=f"wait until {loan.due_on}")  # fmt: skip
    charge = loan.charges.get(do.name, Charge())
    posted = charge.posted_minor + do.amount_minor
    if posted > AMOUNT_MAX_MINOR:
        refuse("loan.amount", f"the {do.name} of {do.id} would exceed 2^53-1 minor units", field="amount_minor",
               value=do.amount_minor,
               advice=up_to("state", AMOUNT_MAX_MINOR - charge.posted_minor, "charge it under another name"),
        )  # fmt: skip
    book.put(_with_charge(loan, do.name, msgspec.structs.replace(charge, posted_minor=posted)))


@rule(WaiveCharge)
def _waive(do: WaiveCharge, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.lender, role="lender", field="lender")
    check_amount("loan", do.amount_minor)
    if book.today >= loan.due_on:
        # What ran up on the charge until today is posted before it is given up.
        loan = msgspec.structs.replace(posted_up_to(loan, book.today), posted=book.today)
    charge = loan.charges.get(do.name, Charge())
    if do.amount_minor > charge.due_minor:
        refuse("loan.over_waive", f"{charge.due_minor} of {do.name} are due", rule="I-11",
               field="amount_minor", value=do.amount_minor,
               advice=up_to("waive", charge.due_minor, f"no {do.name} are due"))  # fmt: skip
    waived = charge.waived_minor + do.amount_minor
    book.put(_with_charge(loan, do.name, msgspec.structs.replace(charge, waived_minor=waived)))
    end_if_nothing_left(book, loan.id)


@rule(WriteOffLoan)
def _write_off(do: WriteOffLoan, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.lender, role="lender", field="lender")
    check_digest("loan", do.digest)
    if book.today < loan.due_on or not loan.outstanding_minor or loan.written_off is not Absent:
        refuse("loan.bad_state", f"{do.id} is not overdue, or was written off", field="id", value=do.id,
               advice=f"wait until {loan.due_on}" if book.today < loan.due_on
               else f"{NONE}: it is repaid, or written off", due_on=str(loan.due_on))  # fmt: skip
    book.put(msgspec.structs.replace(loan, written_off=book.today))


def _with_charge(loan: Loan, name: ChargeName, charge: Charge) -> Loan:
    return msgspec.structs.replace(loan, charges={**loan.charges, name: charge})
