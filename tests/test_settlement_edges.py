"""Days of payment that are rarer than the worked deal's, each a fault that was found once."""

from __future__ import annotations

import msgspec
import pytest

from finchain import instructions as do
from finchain.domain.certificate import Lot
from finchain.domain.loan import Loan
from finchain.domain.rule import Absent
from invariants import check_all
from test_state_machine import STEPS, deal_until, steps_of

LAST = STEPS[-1]
DRAWN = next(index for index, step in enumerate(STEPS) if step.title == "The draw is paid out")


@pytest.mark.parametrize("paid_minor", [40_000_000, 80_000_000, 115_999_999, 116_000_000])
@pytest.mark.parametrize("drawn_minor", [1, 10_000_000, 50_000_000])
def test_a_loan_that_one_of_its_two_lots_repays_sets_the_other_free(paid_minor: int, drawn_minor: int) -> None:
    """The pledge of the second lot ended with the loan, and its own payment, a moment later, must not bring it back."""
    ledger = deal_until(DRAWN - 1, two_lots=True).copy()
    for step in steps_of(two_lots=True)[DRAWN - 1 : DRAWN + 1]:
        ledger.move_to(step.day)
        small = [msgspec.structs.replace(each, amount_minor=drawn_minor) for each in step.instructions]
        ledger.apply(*small, by=step.by)
    ledger.move_to(LAST.day)
    payment = LAST.instructions[0]
    assert isinstance(payment, do.PayCertificate)
    ledger.apply(msgspec.structs.replace(payment, amount_minor=paid_minor), by=LAST.by)
    check_all(ledger)
    loan = ledger.get(Loan, "loan-1")
    pledged = [lot.id for lot in ledger.all(Lot) if lot.pledge is not Absent]
    assert sorted(loan.collateral) == pledged
    assert (loan.status == "ended") == (not pledged)
