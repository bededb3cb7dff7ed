"""Guarantees of loans: what a guarantor answers for, what it takes over when it pays, and how it gets that back.

A guarantor answers for what its scope names and for no heavier terms than it signed. What it pays the lender loses and
the guarantor gains: the borrower owes as much as before. It is paid back after the lender has everything (Civil Code
700), out of the same pledges, which do not end before.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

import msgspec

from finchain.domain import guarantee as guarantees
from finchain.domain.arithmetic import share_pro_rata
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.check import check_amount
from finchain.domain.guarantee import Guarantee, Scope
from finchain.domain.loan import Charge, ChargeName, KeptTerms, Loan, last_loan_posting, put_loan
from finchain.domain.party import require
from finchain.domain.repayment import CHARGES, end_if_nothing_left, guarantors_of, less_principal, posted_up_to
from finchain.domain.rule import Absent, Book, Instruction, Optional, refuse, rule, up_to

Part = ChargeName | Literal["principal"]

SCOPES: Final[dict[ChargeName, Scope]] = {
    "costs": "costs", "fees": "costs", "compound": "penalty", "penalty": "penalty", "interest": "interest",
}  # fmt: skip
"""Under which word of a guarantee's scope each charge falls."""


class ReceiveRecovery(Instruction, frozen=True, tag="guarantee.receive_recovery"):
    """States that the borrower paid a guarantor back, first the interest on it. Signed by the guarantor.

    What the debtor of a certificate pays its guarantors the settlement bank states, with the payment.
    """

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class WaiveRecovery(Instruction, frozen=True, tag="guarantee.waive"):
    """Forgives the borrower some of what the guarantor of a loan paid. Signed by the guarantor.

    Units of a certificate that a guarantor took over it forgives as a lot.
    """

    id: str
    amount_minor: int


@rule(ReceiveRecovery)
def _receive_recovery(do: ReceiveRecovery, book: Book) -> None:
    guarantee, loan = _of_loan(do.id, book)
    by = require(book, "guarantee", guarantee.guarantor, field="guarantor", service_ok=True).id
    check_amount("guarantee", do.amount_minor)
    on = enter_fact(
        book, "guarantee", do, by=by, amount_minor=do.amount_minor, currency=loan.currency, last=last_loan_posting(loan)
    )  # fmt: skip
    ahead = _owed_before(guarantee, loan, on, book)
    if ahead:
        refuse("guarantee.rank", f"{ahead} of {loan.id} rank before {do.id}", rule="Civil Code 700", field="id",
               value=do.id, advice="let those before it be paid first, the lender before all", on=str(on))  # fmt: skip
    owed = guarantee.owed_minor(on)
    if do.amount_minor > owed:
        refuse("guarantee.over_recover", f"{owed} were owed under {do.id} on {on}", rule="I-8",
               field="amount_minor", value=do.amount_minor,
               advice=up_to("state", owed, "nothing is owed; give all of it back"),
               subrogated=guarantee.subrogated_minor)  # fmt: skip
    _pay_back(book, guarantee, loan.borrower, do.amount_minor, on)
    end_if_nothing_left(book, loan.id)


@rule(WaiveRecovery)
def _waive(do: WaiveRecovery, book: Book) -> None:
    guarantee, loan = _of_loan(do.id, book)
    require(book, "guarantee", guarantee.guarantor, field="guarantor")
    check_amount("guarantee", do.amount_minor)
    if do.amount_minor > guarantee.subrogated_minor:
        refuse("guarantee.over_waive", f"{guarantee.subrogated_minor} are owed under {do.id}", rule="I-8",
               field="amount_minor", value=do.amount_minor,
               advice=up_to("waive", guarantee.subrogated_minor, "nothing is owed"))  # fmt: skip
    guarantees.waive(book, do.id, do.amount_minor)
    end_if_nothing_left(book, loan.id)


def _of_loan(id: str, book: Book) -> tuple[Guarantee, Loan]:
    """A guarantee of a loan, and the loan."""
    guarantee = book.get(Guarantee, id, field="id")
    if guarantee.secures != "loan" or guarantee.accepted is Absent:
        refuse("guarantee.other_debt", f"{id} is no guarantee of a loan, or not in effect", field="id", value=id,
               advice="name a guarantee that a lender has accepted", secures=guarantee.secures)  # fmt: skip
    return guarantee, book.get(Loan, guarantee.debt)


def parts_in_scope(loan: Loan, guarantee: Guarantee, on: date) -> dict[Part, int]:
    """What of a loan a guarantor answers for on a day, in the order in which its money goes to it (Civil Code 561).

    Args:
        loan: The loan; what it has earned up to the day counts, posted or not.
        guarantee: A guarantee of it.
        on: The day.
    """
    loan = posted_up_to(loan, on)
    kept = next((each for each in loan.kept if each.guarantee == guarantee.id), None)
    parts: dict[Part, int] = {
        name: _charge_in_scope(loan, name, kept) for name in CHARGES if SCOPES[name] in guarantee.scope
    }
    parts["principal"] = loan.outstanding_minor
    return parts


def _charge_in_scope(loan: Loan, name: ChargeName, kept: KeptTerms | None) -> int:
    due = loan.charge_due_minor(name)
    return due if kept is None else min(due, loan.charge_due_minor(name, kept))


def loss_minor(loan: Loan, guarantee: Guarantee, on: date) -> int:
    """What a lender has not been paid of what a guarantor answers for; nothing before the due day is over."""
    return sum(parts_in_scope(loan, guarantee, on).values()) if on > loan.due_on else 0


def outstanding_minor(loan: Loan, guarantee: Guarantee, on: date) -> int:
    """What a guarantor may have to answer for: what is owed by now or may still be drawn."""
    if loan.ended is not Absent:
        return 0
    return sum(parts_in_scope(loan, guarantee, on).values()) + loan.left_to_draw(on)


def take_over_loan(book: Book, guarantee: Guarantee, amount_minor: int, on: date) -> None:
    """Puts a guarantor's money to what it answers for; the lender has it, and the borrower owes it to the guarantor.

    Args:
        book: What the rule reads.
        guarantee: The guarantee.
        amount_minor: Up to what is in its scope on that day.
        on: Value date.
    """
    loan = book.get(Loan, guarantee.debt)
    parts = parts_in_scope(loan, guarantee, on)
    loan = posted_up_to(loan, on)
    charges = dict(loan.charges)
    left = amount_minor
    for name in CHARGES:
        paid = min(left, parts.get(name, 0))
        if paid:
            charge = charges.get(name, Charge())
            charges[name] = msgspec.structs.replace(charge, compensated_minor=charge.compensated_minor + paid)
            left -= paid
    loan = less_principal(loan, left, on)
    put_loan(
        msgspec.structs.replace(loan, charges=charges, compensated_minor=loan.compensated_minor + left, posted=on), book
    )  # fmt: skip
    move_cash(book, guarantee.guarantor, loan.lender, amount_minor, loan.currency)


def recover_from(book: Book, id: str, payer: str, money: int, on: date) -> int:
    """Pays a loan's guarantors back out of money that its lender does not need, and gives what is left.

    Those of one rank share it by rule P over what they are owed, interest included; a guarantor's own comes after it.
    """
    for tier in guarantors_of(book, book.get(Loan, id)):
        owed = [each.owed_minor(on) for each in tier]
        paid = min(money, sum(owed))
        for guarantee, share in zip(tier, share_pro_rata(paid, owed), strict=True):
            if share:
                _pay_back(book, guarantee, payer, share, on)
        money -= paid
    end_if_nothing_left(book, id)
    return money


def _pay_back(book: Book, guarantee: Guarantee, payer: str, amount_minor: int, on: date) -> None:
    interest = min(amount_minor, guarantee.interest_owed_minor(on))
    guarantees.recover(book, guarantee.id, amount_minor - interest, interest, on)
    move_cash(book, payer, guarantee.guarantor, amount_minor, guarantee.currency)


def _owed_before(guarantee: Guarantee, loan: Loan, on: date, book: Book) -> int:
    """What ranks before a guarantor: all that the lender is owed, and before a fund what the guarantor is owed."""
    loan = posted_up_to(loan, on)
    ahead = loan.outstanding_minor + loan.due_minor
    if guarantee.behind is not Absent:
        ahead += book.get(Guarantee, guarantee.behind).owed_minor(on)
    return ahead
