"""Changes of a loan's terms while it is not due: a later day of maturity, or another rate.

Pledged lots stay pledged; what is paid on them before the new day waits in the controlled account. Whoever guarantees
the loan is not made worse off without its signature (Civil Code 695): without it the period of its guarantee stays as
it was, and so do the rates by which it answers, where the new ones are heavier. A guarantee of the lots' certificate is
not touched: its period runs from the certificate's maturity, which nobody moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from finchain.domain.accrual import Rates, RateStep
from finchain.domain.arithmetic import Rate, heavier
from finchain.domain.check import check_rate
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Charge, ChargeName, KeptTerms, Loan, live_loan, with_maturity
from finchain.domain.party import require
from finchain.domain.rates import check_interest, note_penalty
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, refuse, rule

RATE_CHANGES_MAX: Final = 4
"""Changes of one loan's rate: what its guarantors keep of them fits into a record of 16,384 bytes."""

KEPT: Final[tuple[ChargeName, ...]] = ("interest", "penalty", "compound")
"""The charges that a rate decides."""


class GuaranteePeriod(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The new last day of a guarantee's period."""

    guarantee: str
    period_end: date


class ExtendLoan(Instruction, frozen=True, tag="loan.extend"):
    """Moves a loan's maturity to a later day; all other terms stay. Signed by the lender and the borrower.

    Attributes:
        maturity: The new day; interest at the agreed rate runs until then.
        periods: New periods of guarantees of the loan, for each of which its guarantor signs too.
    """

    id: str
    maturity: date
    periods: list[GuaranteePeriod] | Optional = Absent


class ChangeLoanRate(Instruction, frozen=True, tag="loan.change_rate"):
    """Changes a loan's rate from today on, and its penalty rate. Signed by the lender and the borrower.

    Attributes:
        rate: The new rate per year.
        penalty_rate: The new penalty rate.
        guarantees: Ids of guarantees whose guarantors sign too and answer for the new rates; others do not answer for
            what is heavier in them.
    """

    id: str
    rate: Rate
    penalty_rate: Rate
    guarantees: list[str] | Optional = Absent


@rule(ExtendLoan)
def _extend(do: ExtendLoan, book: Book) -> None:
    loan = _changeable(do.id, book)
    if do.maturity <= loan.maturity:
        refuse(
            "loan.date", f"{loan.id} matures on {loan.maturity}", field="maturity", value=do.maturity,
            rule="rescheduling", advice=f"state a day after {loan.maturity}",
        )  # fmt: skip
    later = with_maturity(loan, do.maturity, book)
    periods = [] if do.periods is Absent else do.periods
    for period in periods:
        guarantee = _signed(period.guarantee, loan, book)
        if period.period_end <= max(later.due_on, guarantee.period_end):
            refuse("guarantee.period", f"{guarantee.id} would end on {period.period_end}", rule="Civil Code 692",
                   field="periods", value=str(period.period_end),
                   advice=f"state a day after {max(later.due_on, guarantee.period_end)}")  # fmt: skip
        book.put(msgspec.structs.replace(guarantee, period_end=period.period_end))
    for id in loan.guarantees:
        guarantee = book.get(Guarantee, id)
        if guarantee.is_in_effect and guarantee.period_end <= later.due_on:
            book.note(f"guarantee {id} ends on {guarantee.period_end}, before {loan.id} is due")
    book.put(later)


@rule(ChangeLoanRate)
def _change_rate(do: ChangeLoanRate, book: Book) -> None:
    loan = _changeable(do.id, book)
    check_rate("loan", do.rate, "rate")
    check_rate("loan", do.penalty_rate, "penalty_rate")
    check_interest(loan.limit_minor, do.rate, do.penalty_rate, loan.misuse_rate)
    note_penalty(book, do.id, do.rate, do.penalty_rate, loan.misuse_rate)
    if (do.rate, do.penalty_rate) == (loan.rate_now, loan.penalty_rate):
        refuse("loan.rate", f"{loan.id} bears these rates already", field="rate", value=str(do.rate),
               rule="rescheduling", advice="state another rate")  # fmt: skip
    changes = _changed(loan.rate_changes, book.today, do.rate)
    if len(changes) > RATE_CHANGES_MAX:
        refuse("loan.rate", f"the rate of {loan.id} was changed {len(loan.rate_changes)} times", field="id",
               value=do.id, advice=f"{NONE}: agree another loan; {RATE_CHANGES_MAX} changes are the most")  # fmt: skip
    signed = [] if do.guarantees is Absent else do.guarantees
    for id in signed:
        _signed(id, loan, book)
    kept = tuple(
        each for id in loan.guarantees if (each := _kept_terms(loan, id, do, book.today, signed)) is not None
    )  # fmt: skip
    book.put(msgspec.structs.replace(loan, rate_changes=changes, penalty_rate=do.penalty_rate, kept=kept))


def _kept_terms(loan: Loan, id: str, do: ChangeLoanRate, today: date, signed: Sequence[str]) -> KeptTerms | None:
    """By what terms a guarantor answers from now on, where they are not the loan's own."""
    before = next((each for each in loan.kept if each.guarantee == id), None)
    if before is None:
        if id in signed or not _is_heavier(loan, do):
            return None
        posted = {name: loan.charges.get(name, Charge()).posted_minor for name in KEPT}
        before = KeptTerms(
            guarantee=id, rate_changes=loan.rate_changes, penalty_rate=loan.penalty_rate, posted=posted
        )  # fmt: skip
    if id in signed:
        rate, penalty_rate = do.rate, do.penalty_rate
    else:
        now = before.rate_changes[-1].rate if before.rate_changes else loan.rate
        rate, penalty_rate = _lighter(now, do.rate), _lighter(before.penalty_rate, do.penalty_rate)
    return msgspec.structs.replace(
        before, rate_changes=_changed(before.rate_changes, today, rate), penalty_rate=penalty_rate
    )  # fmt: skip


def _is_heavier(loan: Loan, do: ChangeLoanRate) -> bool:
    pairs = ((loan.rate_now, do.rate), (loan.penalty_rate, do.penalty_rate))
    return any(heavier(before, after) != before for before, after in pairs)


def _lighter(first: Rate, second: Rate) -> Rate:
    return first if heavier(first, second) == second else second


def _changed(changes: Rates, on: date, rate: Rate) -> Rates:
    """The changes with one more; a second one on a day takes the place of the first."""
    earlier = changes[:-1] if changes and changes[-1].since == on else changes
    return (*earlier, RateStep(on, rate))


def _changeable(id: str, book: Book) -> Loan:
    """A loan whose terms can still be changed, and which lender and borrower have signed for."""
    loan = live_loan(id, book)
    require(book, "loan", loan.borrower, field="borrower")
    require(book, "loan", loan.lender, role="lender", field="lender")
    if loan.accelerated is not Absent or loan.written_off is not Absent or book.today >= loan.due_on:
        refuse(
            "loan.expired", f"{loan.id} was due on {loan.due_on}, and what is due is not rescheduled", field="id",
            value=id, rule="rescheduling", advice=f"{NONE}: agree another loan", due=loan.due_on,
        )  # fmt: skip
    return loan


def _signed(id: str, loan: Loan, book: Book) -> Guarantee:
    """A guarantee of the loan in effect, whose guarantor has signed."""
    guarantee = book.get(Guarantee, id, field="guarantees")
    if id not in loan.guarantees or not guarantee.is_in_effect:
        live = [each for each in loan.guarantees if book.get(Guarantee, each).is_in_effect]
        refuse("guarantee.other_debt", f"{id} does not cover {loan.id}", field="guarantees", value=id,
               advice=f"name some of {', '.join(live)}" if live else f"{NONE}: no guarantee of it is in effect",
        )  # fmt: skip
    require(book, "guarantee", guarantee.guarantor, field="guarantor")
    return guarantee
