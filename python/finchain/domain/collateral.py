"""What secures a loan: lots of certificates and parts of claims, how they are pledged and given back, and their money.

A loan counts the live units of its lots, and what is open and undisputed of its parts. Whatever makes that smaller (a
payment to somebody else, a credit note, a dispute) is noted for the lender, who may ask for more; and nothing that the
loan needs is given back.
"""

from __future__ import annotations

from datetime import date

import msgspec

from finchain.domain.account import credit
from finchain.domain.cash import move_cash
from finchain.domain.certificate import Lot, Pledge, take_free
from finchain.domain.check import check_amount, check_digest, check_not_future, check_reference
from finchain.domain.loan import COLLATERAL_MAX, Loan, drop_collateral, lendable_minor, live_loan, note_shortfall
from finchain.domain.loan_guarantee import recover_from
from finchain.domain.part import Part, take_open
from finchain.domain.party import require
from finchain.domain.receivable import claim_of
from finchain.domain.repayment import repay
from finchain.domain.rule import Absent, Book, Instruction, refuse, rule


class PledgeLot(Instruction, frozen=True, tag="certificate.pledge"):
    """Pledges the lower units of a lot for a loan. Signed by the holder, who is the borrower, and the lender.

    Attributes:
        id: Id of the lot.
        registration: Number of the entry in the public register, made on `registered`.
        description: SHA-256 of the description of the collateral in that entry.
    """

    id: str
    amount_minor: int
    loan: str
    registration: str
    registered: date
    description: str


class ReleaseLot(Instruction, frozen=True, tag="certificate.release"):
    """Ends a pledge before the loan does. Signed by the lender."""

    id: str


class SecureLoan(Instruction, frozen=True, tag="loan.secure"):
    """Lets a pledged part of a claim secure a loan. Signed by the borrower, whose claim it is, and the lender.

    Attributes:
        part: Id of the part, which is pledged to the lender and secures no other loan.
    """

    id: str
    part: str


class ReleaseReceivable(Instruction, frozen=True, tag="receivable.release"):
    """Gives a part, or some of it, back to the creditor. Signed by its holder."""

    id: str
    amount_minor: int


@rule(PledgeLot)
def _pledge(do: PledgeLot, book: Book) -> None:
    loan = live_loan(do.loan, book, field="loan")
    require(book, "certificate", loan.lender, role="lender", field="lender")
    certificate, lot = take_free(book, do.id, do.amount_minor)
    if lot.holder != loan.borrower or certificate.currency != loan.currency:
        refuse("certificate.other_loan", f"{loan.id} is {loan.borrower}'s, in {loan.currency}", field="loan",
               value=do.loan, advice="pledge the borrower's own lots, in the loan's currency", holder=lot.holder,
               currency=certificate.currency)  # fmt: skip
    _check_room(loan)
    # A pledge of receivables exists only from its registration on (Civil Code 445).
    check_reference("certificate", do.registration, "registration")
    check_not_future("certificate", do.registered, book.today, "registered")
    check_digest("certificate", do.description, "description")
    pledge = Pledge(loan.lender, loan.id, do.registration, do.registered, do.description)
    book.put(msgspec.structs.replace(lot, pledge=pledge))
    book.put(msgspec.structs.replace(loan, collateral=(*loan.collateral, lot.id)))


@rule(ReleaseLot)
def _release_lot(do: ReleaseLot, book: Book) -> None:
    lot = book.get(Lot, do.id, field="id")
    if lot.pledge is Absent:
        refuse("certificate.bad_state", f"{do.id} is not pledged", field="id", value=do.id,
               advice="name a pledged lot")  # fmt: skip
    require(book, "certificate", lot.pledge.to, field="lender")
    loan = book.get(Loan, lot.pledge.loan)
    _check_without(loan, lot.live_minor, book)
    drop_collateral(book, lot.id)


@rule(SecureLoan)
def _secure(do: SecureLoan, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.borrower, field="borrower")
    require(book, "loan", loan.lender, role="lender", field="lender")
    part = book.get(Part, do.part, field="part")
    claim = claim_of(book, part.receivable)
    shown = (part.mark, claim.creditor, part.holder, part.currency)
    if shown != ("pledged", loan.borrower, loan.lender, loan.currency):
        refuse("loan.other_claim", f"{part.id} is {part.mark} to {part.holder}, of a claim of {claim.creditor}",
               rule="collateral", field="part", value=do.part, currency=part.currency,
               advice=f"name a part that {loan.borrower} pledged to {loan.lender}, in {loan.currency}")  # fmt: skip
    if part.loan is not Absent or part.done:
        refuse("loan.bad_state", f"{part.id} secures a loan, or is paid or released", rule="I-5",
               field="part", value=do.part, advice="name a part that is open and secures no loan",
               open=part.amount_minor)  # fmt: skip
    loan = _without_done(loan, book)
    _check_room(loan)
    book.put(msgspec.structs.replace(part, loan=loan.id))
    book.put(msgspec.structs.replace(loan, claims=(*loan.claims, part.id)))


def _without_done(loan: Loan, book: Book) -> Loan:
    """The loan without the parts of which nothing is left, which make room for others."""
    parts = [book.get(Part, id) for id in loan.claims]
    for part in parts:
        if part.done:
            book.put(msgspec.structs.replace(part, loan=Absent))
    return msgspec.structs.replace(loan, claims=tuple(part.id for part in parts if not part.done))


@rule(ReleaseReceivable)
def _release_part(do: ReleaseReceivable, book: Book) -> None:
    part = book.get(Part, do.id, field="id")
    require(book, "receivable", part.holder, field="holder")
    check_amount("receivable", do.amount_minor)
    claim = take_open(claim_of(book, part.receivable), part, do.amount_minor, "free", book)
    if part.loan is not Absent:
        # What was taken is out of the part by now, and so out of what the loan counts.
        _check_without(book.get(Loan, part.loan), 0, book)
    book.put(claim)


def _check_room(loan: Loan) -> None:
    """Refuses more collateral than a loan can name.

    Raises:
        Refused: `loan.collateral`.
    """
    named = len(loan.collateral) + len(loan.claims)
    if named >= COLLATERAL_MAX:
        refuse("loan.collateral", f"{loan.id} is secured by {named} lots and parts", field="loan", value=loan.id,
               advice=f"let one be paid or released first; {COLLATERAL_MAX} are the most")  # fmt: skip


def _check_without(loan: Loan, less_minor: int, book: Book) -> None:
    """Refuses to give back what a loan needs.

    Raises:
        Refused: `loan.over_advance`.
    """
    needed = loan.outstanding_minor + loan.reserved_minor
    rest = lendable_minor(loan, book, less_minor=less_minor)
    if needed > rest:
        refuse("loan.over_advance", f"what is left would secure {rest} of {needed}", rule="I-5", field="id",
               value=loan.id, advice="let the loan be repaid, or pledge something else, first")  # fmt: skip


def repay_from_collateral(book: Book, id: str, *, payer: str, owner: str, paid_minor: int, on: date) -> None:
    """Hands over the money of what secures a loan: to the loan, in the order of the law, and the rest to its owner.

    Args:
        book: What the rule reads.
        id: Id of the loan.
        payer: Whose money it is.
        owner: Whose collateral it was, who gets what the loan does not take.
        paid_minor: How much.
        on: Value date.
    """
    loan = book.get(Loan, id)
    left = repay(book, id, paid_minor, on)
    move_cash(book, payer, loan.lender, paid_minor - left, loan.currency)
    if on >= loan.due_on:
        # A guarantor of the loan that paid its lender has the lender's right to the pledge (Civil Code 700).
        left = recover_from(book, id, payer, left, on)
    move_cash(book, payer, owner, left, loan.currency)
    if left and on < loan.due_on:
        # What a loan that is not due does not take waits under the lender's control.
        credit(book, loan.account, left, on)
    note_shortfall(book, id)
