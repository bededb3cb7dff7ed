"""A loan is extended before it is due, by both who signed it, and costs its agreed rate until the new day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from book import refused
from finchain import instructions as do
from finchain.domain.loan import Loan
from stories import MATURITY, apply, lent

LATER = MATURITY + timedelta(30)
EXTEND = do.ExtendLoan("L", LATER)


def test_interest_runs_on_at_the_agreed_rate() -> None:
    ledger = lent()
    before = ledger.get(Loan, "L")
    apply(ledger, EXTEND, by=["shop", "bank"])
    after = ledger.get(Loan, "L")
    assert (after.maturity, after.due_on) == (LATER, LATER)
    ledger.move_to(LATER)
    assert after.accrued_minor(LATER) > before.accrued_minor(LATER), "the old loan would bear its penalty rate by now"
    assert after.accrued_penalty_minor(LATER) == 0 < before.accrued_penalty_minor(LATER)


@pytest.mark.parametrize(("days", "code"), [(-1, None), (0, "loan.expired")])
def test_what_is_due_is_not_extended(days: int, code: str | None) -> None:
    ledger = lent()
    ledger.move_to(MATURITY + timedelta(days))
    if code is None:
        apply(ledger, EXTEND, by=["shop", "bank"])
    else:
        with refused(ledger, code):
            ledger.apply(EXTEND, by=["shop", "bank"])


@pytest.mark.parametrize(
    ("order", "by", "code"),
    [
        (EXTEND, ["shop"], "loan.not_signed"),
        (EXTEND, ["bank"], "loan.not_signed"),
        (do.ExtendLoan("L", MATURITY), ["shop", "bank"], "loan.date"),
        (do.ExtendLoan("none", LATER), ["shop", "bank"], "loan.not_found"),
    ],
)
def test_who_extends_and_to_when(order: do.ExtendLoan, by: list[str], code: str) -> None:
    ledger = lent()
    with refused(ledger, code):
        ledger.apply(order, by=by)


def test_a_loan_that_was_called_due_is_not_extended() -> None:
    ledger = lent()
    apply(ledger, do.AccelerateLoan("L", "default", "ab" * 32), by=["bank"])
    with refused(ledger, "loan.expired"):
        ledger.apply(EXTEND, by=["shop", "bank"])
    assert ledger.get(Loan, "L").maturity == MATURITY > date(2026, 1, 1)
