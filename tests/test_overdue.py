"""Loans that are not repaid when they are due: what they cost, in which order they are paid, and who may say so."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.arithmetic import heavier
from finchain.domain.loan import Charge, Loan
from stories import ACCOUNT, LOAN, MATURITY, agreed, apply, but, draw, lent, pledge, transferred

RECEIVED = do.ReceiveRepayment("L", 1, "IN-1", digest("repayment"))
ACCELERATE = do.AccelerateLoan("L", "default", digest("evidence"))
COSTS = do.ChargeLoan("L", "costs", 1_000, digest("bill"), digest("award"))
FEES = do.ChargeLoan("L", "fees", 500, digest("bill"))


def loan(ledger: MemoryBook) -> Loan:
    return ledger.get(Loan, "L")


def dues(ledger: MemoryBook) -> dict[str, int]:
    """What is due of each charge."""
    return {name: charge.due_minor for name, charge in loan(ledger).charges.items() if charge.due_minor}


def receive(ledger: MemoryBook, amount_minor: int, reference: str = "IN-1") -> None:
    apply(ledger, but(RECEIVED, amount_minor=amount_minor, reference=reference), by=["bank"])


def late(days: int, **changes: Any) -> MemoryBook:
    """50 m, lent on 9 March, are so many days overdue; 1,057,292 of interest were due with them."""
    ledger = lent(but(LOAN, **changes))
    ledger.move_to(MATURITY + timedelta(days))
    return ledger


# --- what it costs ----------------------------------------------------------------------------------------------


def small_loan() -> MemoryBook:
    """833,333 at 4.20% for 300 days, with 6.30% once it is late."""
    ledger = transferred()
    apply(ledger, ACCOUNT, by=["shop", "bank"])
    ledger.move_to(date(2026, 3, 6))
    terms = but(
        LOAN, rate=do.Rate(42, 1_000), penalty_rate=do.Rate(63, 1_000), maturity=date(2027, 1, 3), limit_minor=833_333
    )
    apply(ledger, terms, pledge("C 36000001", 80_000_000), by=["shop", "bank"])
    draw(ledger, date(2026, 3, 9), 833_333, "one")
    return ledger


def test_unpaid_interest_bears_interest_and_w1_divides_a_payment() -> None:
    """The late instalment of 7.4 step 6: 833,333 and 29,167 of interest are 10 days late, and 500,000 arrive."""
    ledger = small_loan()
    ledger.move_to(date(2027, 1, 13))
    receive(ledger, 500_000)
    charges = {name: charge.paid_minor for name, charge in loan(ledger).charges.items()}
    assert charges == {"compound": 51, "penalty": 1_458, "interest": 29_167}
    assert loan(ledger).repaid_minor == 469_324
    assert loan(ledger).outstanding_minor == 364_009


def test_only_agreed_interest_compounds() -> None:
    """Ten days late: 6.525% of 360 days on 50 m, and on 1,057,292. Ten days later the same again, and no more."""
    ledger = late(10)
    receive(ledger, 1)
    assert loan(ledger).charges == {
        "interest": Charge(posted_minor=1_057_292), "penalty": Charge(posted_minor=90_625),
        "compound": Charge(posted_minor=1_916, paid_minor=1),
    }  # fmt: skip
    ledger.advance(10)
    receive(ledger, 1, "IN-2")
    assert loan(ledger).charges["compound"].posted_minor == 2 * 1_916
    assert loan(ledger).charges["penalty"].posted_minor == 2 * 90_625


def test_interest_compounds_only_as_far_as_it_is_unpaid() -> None:
    ledger = late(0)
    receive(ledger, 1_057_292 - 1_000_000)
    ledger.advance(10)
    assert loan(ledger).accrued_compound_minor(ledger.today) == 1_813
    receive(ledger, 1_813 + 90_625 + 1_000_000, "IN-2")
    assert dues(ledger) == {}
    ledger.advance(10)
    assert loan(ledger).accrued_compound_minor(ledger.today) == 0


def test_nothing_compounds_on_the_day_itself() -> None:
    ledger = late(0)
    assert loan(ledger).accrued_compound_minor(MATURITY) == 0
    assert loan(ledger).accrued_penalty_minor(MATURITY) == 0
    assert loan(ledger).accrued_compound_minor(MATURITY + timedelta(1)) == 192


# --- in which order it is paid ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("money", "left"),
    [
        (999, {"costs": 1, "fees": 500, "compound": 1_916, "penalty": 90_625, "interest": 1_057_292}),
        (1_499, {"fees": 1, "compound": 1_916, "penalty": 90_625, "interest": 1_057_292}),
        (3_415, {"compound": 1, "penalty": 90_625, "interest": 1_057_292}),
        (94_040, {"penalty": 1, "interest": 1_057_292}),
        (1_151_332, {"interest": 1}),
        (1_151_333, {}),
    ],
)
def test_w1_costs_fees_compound_penalty_interest(money: int, left: dict[str, int]) -> None:
    ledger = late(10)
    apply(ledger, COSTS, FEES, by=["bank", "shop"])
    receive(ledger, money)
    assert (dues(ledger), loan(ledger).outstanding_minor) == (left, 50_000_000)
    receive(ledger, sum(left.values()) + 1, "IN-2")
    assert (dues(ledger), loan(ledger).outstanding_minor) == ({}, 49_999_999)


@pytest.mark.parametrize(
    ("waterfall", "days", "outstanding"),
    [
        ("interest_first", 91, 50_000_000),
        ("principal_first_when_late", 90, 50_000_000),
        ("principal_first_when_late", 91, 49_000_000),
    ],
)
def test_w2_takes_the_principal_first_once_a_loan_is_long_overdue(waterfall: str, days: int, outstanding: int) -> None:
    ledger = late(days, waterfall=waterfall)
    receive(ledger, 1_000_000)
    assert loan(ledger).outstanding_minor == outstanding


def test_w2_ends_a_loan_like_w1() -> None:
    ledger = late(91, waterfall="principal_first_when_late")
    owed = 50_000_000 + 1_057_292 + 824_688 + 17_439
    with refused(ledger, "loan.over_paid"):
        receive(ledger, owed + 1)
    receive(ledger, owed - 1)
    assert dues(ledger) == {"interest": 1}
    receive(ledger, 1, "IN-2")
    assert loan(ledger).status == "ended"


# --- costs, fees and what is given up ---------------------------------------------------------------------------


def test_costs_need_the_borrower_or_a_court() -> None:
    ledger = late(0)
    with refused(ledger, "loan.not_signed"):
        ledger.apply(but(COSTS, award=FEES.award), by=["bank"])
    with refused(ledger, "loan.not_signed"):
        ledger.apply(COSTS, by=["shop"])
    for wrong, code in (({"amount_minor": 0}, "loan.amount"), ({"digest": ""}, "loan.digest"),
                        ({"award": "0"}, "loan.digest")):  # fmt: skip
        with refused(ledger, code):
            ledger.apply(but(COSTS, **wrong), by=["bank"])
    apply(ledger, COSTS, by=["bank"])
    apply(ledger, but(COSTS, award=FEES.award), by=["bank", "shop"])
    assert dues(ledger) == {"costs": 2_000}


def test_a_fee_is_agreed_whatever_a_court_says() -> None:
    ledger = late(0)
    with refused(ledger, "loan.not_signed"):
        ledger.apply(but(FEES, award=digest("award")), by=["bank"])
    apply(ledger, FEES, by=["bank", "shop"])


def test_a_loan_is_charged_from_its_due_day_on() -> None:
    ledger = lent()
    ledger.move_to(MATURITY - timedelta(1))
    with refused(ledger, "loan.not_due"):
        ledger.apply(COSTS, by=["bank"])
    ledger.advance(1)
    apply(ledger, COSTS, by=["bank"])
    with refused(ledger, "loan.amount"):
        ledger.apply(but(COSTS, amount_minor=2**53 - 1_000), by=["bank"])
    apply(ledger, but(COSTS, amount_minor=2**53 - 1_001), by=["bank"])


def test_a_lender_gives_up_what_was_posted_and_no_more() -> None:
    """I-11: posted = paid + due + waived."""
    ledger = late(10)
    waive = do.WaiveCharge("L", "penalty", 90_625)
    with refused(ledger, "loan.not_signed"):
        ledger.apply(waive, by=["shop"])
    with refused(ledger, "loan.over_waive"):
        ledger.apply(but(waive, amount_minor=90_626), by=["bank"])
    apply(ledger, waive, by=["bank"])
    assert loan(ledger).charges["penalty"] == Charge(posted_minor=90_625, waived_minor=90_625)
    assert loan(ledger).charges["compound"].due_minor == 1_916
    receive(ledger, 1_916 + 1_057_292 + 49_999_999)
    assert (dues(ledger), loan(ledger).outstanding_minor) == ({}, 1)


def test_interest_can_be_given_up_on_the_day_on_which_it_is_due() -> None:
    ledger = late(-1)
    waive = do.WaiveCharge("L", "interest", 1_057_292)
    with refused(ledger, "loan.over_waive"):
        ledger.apply(waive, by=["bank"])
    ledger.advance(1)
    apply(ledger, waive, by=["bank"])
    receive(ledger, 50_000_000)
    assert loan(ledger).status == "ended"


def test_a_loan_ends_with_the_last_charge_that_is_given_up() -> None:
    ledger = late(91, waterfall="principal_first_when_late")
    receive(ledger, 50_000_000)
    for name, due in dues(ledger).items():
        apply(ledger, do.WaiveCharge("L", name, due), by=["bank"])  # type: ignore[arg-type]  # names of charges
    assert loan(ledger).status == "ended"


def test_a_loan_that_is_written_off_is_owed_all_the_same() -> None:
    off = do.WriteOffLoan("L", digest("resolution"))
    ledger = late(-1)
    with refused(ledger, "loan.bad_state"):
        ledger.apply(off, by=["bank"])
    ledger.advance(1)
    with refused(ledger, "loan.not_signed"):
        ledger.apply(off, by=["shop"])
    with refused(ledger, "loan.digest"):
        ledger.apply(but(off, digest="0"), by=["bank"])
    apply(ledger, off, by=["bank"])
    assert (loan(ledger).written_off, loan(ledger).outstanding_minor) == (MATURITY, 50_000_000)
    with refused(ledger, "loan.bad_state"):
        ledger.apply(off, by=["bank"])
    receive(ledger, 51_057_292)
    assert loan(ledger).status == "ended"


# --- called due before its day ----------------------------------------------------------------------------------


def test_an_accelerated_loan_is_due_at_once() -> None:
    """Interest as agreed runs to the day, the penalty from it; nothing more can be drawn."""
    ledger = lent()
    ledger.move_to(date(2026, 4, 8))
    with refused(ledger, "loan.not_due"):
        receive(ledger, 1)
    apply(ledger, ACCELERATE, by=["bank"])
    assert loan(ledger).due_on == date(2026, 4, 8)
    with refused(ledger, "loan.expired"):
        ledger.apply(do.DrawLoan("L", "two", 1_000), by=["shop", "bank"])
    ledger.advance(10)
    interest, penalty, compound = 181_250, 90_625, 329
    with refused(ledger, "loan.over_paid"):
        receive(ledger, 50_000_000 + interest + penalty + compound + 1)
    receive(ledger, 50_000_000 + interest + penalty + compound)
    assert loan(ledger).status == "ended"


def test_a_draw_that_waits_is_not_paid_out_any_more() -> None:
    ledger = lent()
    apply(ledger, do.DrawLoan("L", "two", 1_000), by=["shop", "bank"])
    ledger.advance(1)
    apply(ledger, ACCELERATE, by=["bank"])
    out = do.DisburseLoan("L", "two", 1_000, "OUT-two", digest("two"))
    for day in (ledger.today, ledger.today - timedelta(1)):
        with refused(ledger, "loan.expired"):
            ledger.apply(but(out, value_date=day), by=["bank"])


def test_who_may_accelerate_what() -> None:
    ledger = lent()
    with refused(ledger, "loan.not_signed"):
        ledger.apply(ACCELERATE, by=["shop"])
    with refused(ledger, "loan.digest"):
        ledger.apply(but(ACCELERATE, evidence=""), by=["bank"])
    apply(ledger, ACCELERATE, by=["bank"])
    with refused(ledger, "loan.bad_state"):
        ledger.apply(ACCELERATE, by=["bank"])
    ledger = late(0)
    with refused(ledger, "loan.bad_state"):
        ledger.apply(ACCELERATE, by=["bank"])


@pytest.mark.parametrize(
    ("grounds", "misuse_rate", "rate"),
    [
        ("misuse", do.Rate(8, 100), do.Rate(8, 100)),
        ("misuse", do.Rate(5, 100), do.Rate(6, 100)),
        ("misuse", None, do.Rate(6, 100)),
        ("default", do.Rate(8, 100), do.Rate(6, 100)),
    ],
)
def test_vector_16_overdue_and_misused_is_the_heavier_not_the_sum(
    grounds: str, misuse_rate: do.Rate | None, rate: do.Rate
) -> None:
    """Contract 4%, half as much again when late, twice as much when misused: 8%, not 14%."""
    changes = {} if misuse_rate is None else {"misuse_rate": misuse_rate}
    ledger = lent(but(LOAN, rate=do.Rate(4, 100), penalty_rate=do.Rate(6, 100), **changes))
    apply(ledger, but(ACCELERATE, grounds=grounds), by=["bank"])
    assert loan(ledger).late_rate == rate


def test_heavier_compares_rates_of_different_scales() -> None:
    assert heavier(do.Rate(6_525, 100_000), do.Rate(6, 100)) == do.Rate(6_525, 100_000)
    assert heavier(do.Rate(6, 100), do.Rate(6_001, 100_000)) == do.Rate(6_001, 100_000)
    assert heavier(do.Rate(1, 10), do.Rate(10, 100)) == do.Rate(1, 10)


# --- collateral that is not enough any more ---------------------------------------------------------------------


@pytest.mark.parametrize(("outstanding", "warns"), [(36_000_000, False), (36_000_001, True)])
def test_i_13_a_loan_that_its_lots_do_not_secure_any_more_is_noted(outstanding: int, warns: bool) -> None:
    """40 m of the pledged 80 m are paid early to a loan that cannot be prepaid; 90% of the rest is 36 m."""
    ledger = agreed(but(LOAN, prepayment="none"))
    draw(ledger, date(2026, 3, 9), outstanding, "one")
    apply(ledger, do.PayCertificate("C", 58_000_000, "PAY-1", digest("half")), by=["clearer"])
    assert any("loan L" in note for note in ledger.notes) == warns
