"""Case C: nobody guarantees, the debtor pays 50 of 116 m, and the shop repays its loan 20 days late (7.1 step 10)."""

from __future__ import annotations

from datetime import date
from functools import cache

import msgspec

from book import MemoryBook, digest, refused
from default_deal import without_guarantee
from finchain import instructions as do
from finchain.demo_deal import ACCOUNT, MATURITY
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.loan import Charge, Loan
from test_case_a import begin, play
from test_case_b import cash, step

NET_CASH_C = {
    "daqi": -50_000_000,
    "factor": -19_685_959,
    "bank": 1_445_862,
    "shop": -38_963_103,
    "maker": 35_203_200,
    f"{ACCOUNT}/mainboards": 67_000_000,
    f"{ACCOUNT}/screens": 5_000_000,
}
PART = do.PayCertificate("cert-1", 50_000_000, "PAY-0001", digest("part"))
OWED = 28_858_491
PENALTY = 104_612


@cache
def until_maturity() -> MemoryBook:
    ledger = begin()
    for each in without_guarantee():
        play(ledger, each)
    ledger.move_to(MATURITY)
    return ledger


def part_paid() -> MemoryBook:
    """The debtor paid 50 m on the day, and the shortfall is stated."""
    ledger = until_maturity().copy()
    step(ledger, PART, by=["clearer"])
    step(ledger, do.DishonourCertificate("cert-1", "clearer"), by=["clearer"])
    return ledger


def repaid() -> MemoryBook:
    ledger = part_paid()
    ledger.move_to(date(2026, 9, 20))
    step(ledger, do.ReceiveRepayment("loan-1", OWED + PENALTY, "IN-0003", digest("repayment")), by=["bank"])
    return ledger


def test_the_pledged_lots_money_pays_interest_and_then_principal() -> None:
    loan = part_paid().get(Loan, "loan-1")
    assert loan.charges == {"interest": Charge(posted_minor=1_341_250, paid_minor=1_341_250)}
    assert loan.outstanding_minor == OWED
    assert 34_482_759 - 1_341_250 == 62_000_000 - OWED == 33_141_509


def test_the_residual_stays_pledged_while_the_loan_is_owed() -> None:
    lot = part_paid().get(Lot, "cert-1 36000001")
    assert (lot.rank, lot.beneficiary, lot.live_minor) == ("senior", "bank", 45_517_241)


def test_the_borrower_owes_the_rest_with_a_penalty_to_the_fen() -> None:
    """20 days at 6.525% of 360 days on 28,858,491 are 104,612.03; no interest was unpaid, so nothing compounds."""
    ledger = part_paid()
    ledger.move_to(date(2026, 9, 20))
    too_much = do.ReceiveRepayment("loan-1", OWED + PENALTY + 1, "IN-0003", digest("repayment"))
    with refused(ledger, "loan.over_paid"):
        ledger.apply(too_much, by=["bank"])
    loan = repaid().get(Loan, "loan-1")
    assert loan.charges["penalty"] == Charge(posted_minor=PENALTY, paid_minor=PENALTY)
    assert "compound" not in loan.charges
    assert (loan.status, loan.collateral) == ("ended", ())


def test_everybody_has_what_is_due() -> None:
    assert cash(repaid()) == NET_CASH_C
    assert sum(NET_CASH_C.values()) == 0


def test_what_the_debtor_still_owes_is_the_holders() -> None:
    """The factor bought without recourse: the maker, who sold, owes it nothing (I-12)."""
    ledger = repaid()
    live = {lot.holder: lot.live_minor for lot in ledger.all(Lot)}
    assert live == {"factor": 20_482_759, "shop": 45_517_241}
    assert ledger.get(Certificate, "cert-1").shortfall_minor == 66_000_000
    assert ledger.get(Lot, "cert-1 1").recourse == ()


def test_two_payments_divide_otherwise_than_one() -> None:
    """30 m and then 20 m give 15,517,242 and 34,482,758: rule P is weighed once for each payment."""
    ledger = until_maturity().copy()
    before = cash(ledger)
    step(ledger, msgspec.structs.replace(PART, amount_minor=30_000_000), by=["clearer"])
    second = msgspec.structs.replace(PART, amount_minor=20_000_000, reference="PAY-0002")
    step(ledger, second, by=["clearer"])
    assert cash(ledger)["factor"] - before["factor"] == 15_517_242
    assert cash(ledger)["bank"] - before["bank"] == 34_482_758
