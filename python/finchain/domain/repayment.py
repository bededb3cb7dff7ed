"""How a loan is repaid: early by notice, or when it is due, in the order of the law.

Money that comes for a loan that is due pays costs and fees, then compound and penalty interest, then interest, and then
principal, and interest is rounded where the contract says. The pledge ends with the debt, by itself; money that nothing
is owed for is not taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

import msgspec

from finchain.calendar import add_days
from finchain.domain import guarantee as guarantees
from finchain.domain.account import Account
from finchain.domain.accrual import Balances, Rates, always, changed, interest_between, without
from finchain.domain.arithmetic import WHOLE_BP, round_half_up
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.check import check_amount
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import (
    BALANCES_MAX,
    DRAWS_MAX,
    LATE_DAYS,
    Charge,
    ChargeName,
    Draw,
    KeptTerms,
    Loan,
    Notice,
    drop_claims,
    drop_collateral,
    last_loan_posting,
    live_loan,
    put_loan,
)
from finchain.domain.party import require
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, from_to, refuse, rule, up_to

CHARGES: Final[tuple[ChargeName, ...]] = ("costs", "fees", "compound", "penalty", "interest")
"""What money goes to besides principal, in this order (Civil Code 561): the later a charge arose, the earlier."""


class PrepayLoan(Instruction, frozen=True, tag="loan.prepay"):
    """Gives notice that so much principal will be repaid before maturity. Signed by the borrower.

    Attributes:
        draw: Name of the draw of which it is repaid; absent for the earliest draws.
    """

    id: str
    amount_minor: int
    draw: str | Optional = Absent


class ReceivePrepayment(Instruction, frozen=True, tag="loan.receive_prepayment"):
    """States that a prepayment arrived. Signed by the lender, or by the bank of the loan's account in its place.

    Attributes:
        amount_minor: The principal of the notice, with the fee that was agreed for it, and the interest on it where
            that is paid now.
    """

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class ReceiveRepayment(Instruction, frozen=True, tag="loan.receive"):
    """States that the borrower repaid a loan that is due, or some of it.

    Signed by the lender, or by the bank of the loan's account in its place.
    """

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class CloseLoan(Instruction, frozen=True, tag="loan.close"):
    """Gives up what is left to draw of a loan that is repaid, which ends its pledges. Signed by the borrower."""

    id: str


@rule(PrepayLoan)
def _prepay(do: PrepayLoan, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.borrower, field="borrower")
    check_amount("loan", do.amount_minor)
    if loan.prepayment == "none" or book.today >= loan.due_on:
        refuse("loan.bad_state", f"{loan.id} cannot be prepaid", rule="prepayment", field="id", value=do.id,
               advice=f"{NONE}: let the lender state a repayment, from {loan.due_on} on", prepayment=loan.prepayment,
        )  # fmt: skip
    notice = Notice(do.amount_minor, book.today, do.draw)
    _check_outstanding(loan, notice)
    book.put(msgspec.structs.replace(loan, notice=notice))


def _check_outstanding(loan: Loan, notice: Notice) -> None:
    meant = [draw for draw in loan.draws if notice.draw in (Absent, draw.name)]
    outstanding = sum(draw.outstanding_minor for draw in meant)
    if notice.amount_minor > outstanding:
        of = "" if notice.draw is Absent else f" of draw {notice.draw}"
        # A notice that was given before is judged once more when its money comes.
        act = f"let {loan.borrower} give another notice, and prepay" if notice is loan.notice else "prepay"
        refuse("loan.over_paid", f"{outstanding} of principal{of} are outstanding", field="amount_minor",
               value=notice.amount_minor,
               advice=up_to(act, outstanding, "name a draw of which principal is outstanding"),
               draws=", ".join(draw.name for draw in loan.draws if draw.outstanding_minor))  # fmt: skip


@rule(ReceivePrepayment)
def _receive_prepayment(do: ReceivePrepayment, book: Book) -> None:
    loan = live_loan(do.id, book)
    on = _received(do, loan, book)
    notice = loan.notice
    if notice is Absent or on < add_days(notice.given, loan.prepayment_days) or on >= loan.due_on:
        refuse("loan.bad_state", f"no notice of {loan.id} makes a prepayment on {on} right", rule="prepayment",
               field="value_date", value=str(on),
               advice=_advice_on_notice(loan, book))  # fmt: skip
    _check_outstanding(loan, notice)
    loan, now = _prepaid(loan, notice, on)
    fee_bp = 0 if loan.prepayment_fee_bp is Absent else loan.prepayment_fee_bp
    fee = round_half_up(notice.amount_minor * fee_bp, WHOLE_BP)
    whole = notice.amount_minor + now + fee
    if do.amount_minor != whole:
        refuse("loan.amount", f"the notice is of {notice.amount_minor}, with {now} of interest now, and a fee of {fee}",
               field="amount_minor", value=do.amount_minor, advice=f"state {whole}")  # fmt: skip
    loan = _charged_and_paid(_charged_and_paid(loan, "interest", now), "fees", fee)
    put_loan(msgspec.structs.replace(loan, notice=Absent, posted=on), book)
    end_if_nothing_left(book, loan.id)
    move_cash(book, loan.borrower, loan.lender, do.amount_minor, loan.currency)


def _advice_on_notice(loan: Loan, book: Book) -> str:
    """When a prepayment would be right: from the end of its notice until the day before the loan is due."""
    if book.today >= loan.due_on:
        return f"{NONE}: the loan is due; state a repayment"
    if loan.notice is Absent:
        return f"let {loan.borrower} give notice first, {loan.prepayment_days} days before"
    first = add_days(loan.notice.given, loan.prepayment_days)
    if first >= loan.due_on:
        return f"{NONE}: the notice ends when the loan is due; state a repayment then"
    return from_to(first, book.today, f"wait until {first}")


@rule(ReceiveRepayment)
def _receive_repayment(do: ReceiveRepayment, book: Book) -> None:
    loan = live_loan(do.id, book)
    on = _received(do, loan, book)
    if on < loan.due_on:
        notice = "" if loan.prepayment == "none" else ", or let the borrower give notice of a prepayment"
        refuse("loan.not_due", f"{loan.id} is due on {loan.due_on}", field="value_date", value=str(on),
               advice=from_to(loan.due_on, book.today, f"wait until {loan.due_on}{notice}"))  # fmt: skip
    left = repay(book, loan.id, do.amount_minor, on)
    if left:
        refuse("loan.over_paid", f"{do.amount_minor - left} were owed on {on}", field="amount_minor",
               value=do.amount_minor, advice=_all_of(do.amount_minor - left))  # fmt: skip
    move_cash(book, loan.borrower, loan.lender, do.amount_minor, loan.currency)


def _all_of(owed: int) -> str:
    return f"state {owed}, and give the rest back" if owed else f"{NONE}: give all of it back"


@rule(CloseLoan)
def _close(do: CloseLoan, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.borrower, field="borrower")
    owed = _owed_minor(loan, book) + loan.reserved_minor
    if owed:
        refuse("loan.bad_state", f"{owed} of {loan.id} are owed or about to be paid out", field="id", value=do.id,
               advice="repay it first; interest that was not posted is due at maturity")  # fmt: skip
    _end(book, loan)


def repay(book: Book, id: str, amount_minor: int, on: date) -> int:
    """Puts money to a loan in the order of the law, and gives what is left over.

    A loan that is due takes the charges, then principal, the earliest draw first (Civil Code 561), or principal first
    where that was agreed for a loan long overdue.
    One that is not due takes principal only, and only where it may be prepaid with the interest at maturity; nor where
    its histories are full, because a payment to many must not fail for one loan.
    The rule that calls moves the cash. The pledge ends here where nothing is owed any more and nothing left to draw.
    """
    loan = book.get(Loan, id)
    posted = last_loan_posting(loan)
    if posted is not None and on < posted:
        refuse("loan.value_date", f"{id} has a posting of {posted}", rule="value dates", field="value_date",
               value=str(on), advice=f"state a date from {posted} on")  # fmt: skip
    left = amount_minor
    if on >= loan.due_on:
        loan = posted_up_to(loan, on)
        late = on > add_days(loan.due_on, LATE_DAYS) and loan.waterfall == "principal_first_when_late"
        loan, left = _pay_principal(loan, left, on) if late else (loan, left)
        loan, left = _pay_charges(loan, left)
    elif loan.prepayment != "interest_at_maturity" or loan.entries + DRAWS_MAX > BALANCES_MAX:
        return left
    loan, left = _pay_principal(loan, left, on)
    put_loan(msgspec.structs.replace(loan, posted=on), book)
    end_if_nothing_left(book, id)
    return left


def _pay_principal(loan: Loan, money: int, on: date) -> tuple[Loan, int]:
    """The loan with principal paid, and the money that is left."""
    paid = min(money, loan.outstanding_minor)
    return _repaid(loan, paid, on), money - paid


def _pay_charges(loan: Loan, money: int) -> tuple[Loan, int]:
    """The loan with charges paid in their order, and the money that is left."""
    charges = dict(loan.charges)
    for name in CHARGES:
        charge = charges.get(name, Charge())
        paid = min(money, charge.due_minor)
        if paid:
            charges[name] = msgspec.structs.replace(charge, paid_minor=charge.paid_minor + paid)
            money -= paid
    return msgspec.structs.replace(loan, charges=charges), money


def end_if_nothing_left(book: Book, id: str) -> None:
    """Ends a loan of which nothing is owed and nothing left to draw, and with it what secured it (Civil Code 393).

    What a guarantor paid for the borrower is owed as well, to the guarantor, and the pledges secure it (Civil Code
    700).
    """
    loan = book.get(Loan, id)
    if loan.ended is Absent and not _owed_minor(loan, book) and not loan.left_to_draw(book.today):
        _end(book, loan)


def _owed_minor(loan: Loan, book: Book) -> int:
    """Principal, interest that was posted or will be, and what guarantors paid and have not got back."""
    subrogated = sum(each.subrogated_minor for tier in guarantors_of(book, loan) for each in tier)
    return loan.outstanding_minor + loan.due_minor + loan.accrued_minor(loan.due_on) + subrogated


def guarantors_of(book: Book, loan: Loan) -> tuple[list[Guarantee], list[Guarantee]]:
    """The guarantees of a loan, and those behind them, in the order in which what they paid is paid back."""
    own = [book.get(Guarantee, id) for id in loan.guarantees]
    return own, [book.get(Guarantee, id) for each in own for id in each.counters]


def _end(book: Book, loan: Loan) -> None:
    for lot in loan.collateral:
        drop_collateral(book, lot)
    drop_claims(book, loan)
    for guarantee in loan.guarantees:
        guarantees.release(book, guarantee)
    book.put(msgspec.structs.replace(book.get(Loan, loan.id), claims=(), ended=book.today))


def _received(do: ReceivePrepayment | ReceiveRepayment, loan: Loan, book: Book) -> date:
    """Keeps the statement of the lender, or of the bank in its place, that money came, and gives its value date."""
    bank = book.get(Account, loan.account).bank
    if loan.lender in book.by or bank not in book.by:
        by = require(book, "loan", loan.lender, role="lender", field="lender", service_ok=True).id
    else:
        by = require(book, "loan", bank, role="settlement_bank", field="bank").id
    check_amount("loan", do.amount_minor)
    return enter_fact(
        book, "loan", do, by=by, amount_minor=do.amount_minor, currency=loan.currency, last=last_loan_posting(loan)
    )  # fmt: skip


def posted_up_to(loan: Loan, on: date) -> Loan:
    """The loan with its interest posted up to a day, from which on the histories begin anew."""
    charges = dict(loan.charges)
    for name, amount_minor in _accrued(loan, on).items():
        if amount_minor:
            charge = charges.get(name, Charge())
            charges[name] = msgspec.structs.replace(charge, posted_minor=charge.posted_minor + amount_minor)
    kept = tuple(_posted_more(each, _accrued(loan, on, each)) for each in loan.kept)
    draws = tuple(
        msgspec.structs.replace(draw, balances=changed((), on, draw.outstanding_minor) if draw.lent_minor else ())
        for draw in loan.draws
    )
    return msgspec.structs.replace(loan, charges=charges, draws=draws, kept=kept)


def _accrued(loan: Loan, on: date, kept: KeptTerms | None = None) -> dict[ChargeName, int]:
    """What a loan has earned since the last posting, by its own terms or by those that a guarantor kept."""
    return {
        "interest": loan.accrued_minor(on, kept), "penalty": loan.accrued_penalty_minor(on, kept),
        "compound": loan.accrued_compound_minor(on, kept),
    }  # fmt: skip


def _posted_more(kept: KeptTerms, amounts: Mapping[ChargeName, int]) -> KeptTerms:
    posted = {name: kept.posted[name] + amount for name, amount in amounts.items()}
    return msgspec.structs.replace(kept, posted={**kept.posted, **posted})


def less_principal(loan: Loan, amount_minor: int, on: date, of: str | Optional = Absent) -> Loan:
    """The loan with so much less outstanding, of one draw or the earliest first; it earns until that day."""
    draws = tuple(
        msgspec.structs.replace(
            draw, outstanding_minor=draw.outstanding_minor - paid,
            balances=changed(draw.balances, on, draw.outstanding_minor - paid),
        ) if paid else draw
        for draw, paid in _by_draw(loan, amount_minor, of)
    )  # fmt: skip
    return msgspec.structs.replace(loan, draws=draws)


def _repaid(loan: Loan, amount_minor: int, on: date, of: str | Optional = Absent) -> Loan:
    """The loan with so much principal repaid."""
    loan = less_principal(loan, amount_minor, on, of)
    return msgspec.structs.replace(loan, repaid_minor=loan.repaid_minor + amount_minor)


def _prepaid(loan: Loan, notice: Notice, on: date) -> tuple[Loan, int]:
    """The loan with the principal of a notice prepaid, and the interest to be paid with it."""
    if loan.prepayment != "interest_now":
        return _repaid(loan, notice.amount_minor, on, notice.draw), 0
    shares = _by_draw(loan, notice.amount_minor, notice.draw)
    parts: list[Balances] = [changed((), draw.balances[0].since, paid) for draw, paid in shares if paid]

    def earned(rate_changes: Rates) -> int:
        rates = (*always(loan.rate), *rate_changes)
        return interest_between(parts, date.min, on, rates, loan.day_count, loan.round_at)

    now = earned(loan.rate_changes)
    kept = tuple(_posted_more(each, {"interest": earned(each.rate_changes)}) for each in loan.kept)
    # With its interest paid the part is out of the histories, as if it had never been lent.
    draws = tuple(
        msgspec.structs.replace(
            draw, outstanding_minor=draw.outstanding_minor - paid, balances=without(draw.balances, paid)
        )
        for draw, paid in shares
    )  # fmt: skip
    repaid_minor = loan.repaid_minor + notice.amount_minor
    return msgspec.structs.replace(loan, draws=draws, repaid_minor=repaid_minor, kept=kept), now


def _charged_and_paid(loan: Loan, name: ChargeName, amount_minor: int) -> Loan:
    """The loan with a charge posted that was paid with it."""
    if not amount_minor:
        return loan
    charge = loan.charges.get(name, Charge())
    charge = msgspec.structs.replace(
        charge, posted_minor=charge.posted_minor + amount_minor, paid_minor=charge.paid_minor + amount_minor
    )  # fmt: skip
    return msgspec.structs.replace(loan, charges={**loan.charges, name: charge})


def _by_draw(loan: Loan, amount_minor: int, of: str | Optional = Absent) -> list[tuple[Draw, int]]:
    """Each draw with its part of a repayment: the earliest draw first, and none more than is outstanding of it.

    Where the draw is named of which it is repaid, the others have no part in it.
    """
    shares = []
    for draw in loan.draws:
        paid = min(amount_minor, draw.outstanding_minor) if of in (Absent, draw.name) else 0
        amount_minor -= paid
        shares.append((draw, paid))
    return shares
