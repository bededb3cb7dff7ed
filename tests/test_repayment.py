"""Prepaying a chosen draw, what that costs, and who may state that money for a loan has come."""

from __future__ import annotations

from datetime import date

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.cash import Cash
from finchain.domain.cash_fact import CashFact
from finchain.domain.loan import Charge, Loan, Prepayment
from finchain.domain.rule import Absent
from finchain.money import AMOUNT_MAX_MINOR
from stories import ACCOUNT, LOAN, MATURITY, agreed, apply, but, draw, pledge, transferred

NOTICE = do.PrepayLoan("L", 10_000_000)
PREPAID = do.ReceivePrepayment("L", 10_000_000, "IN-1", digest("prepayment"))
REPAID = do.ReceiveRepayment("L", 1_000_000, "IN-1", digest("repayment"))


def loan(ledger: MemoryBook) -> Loan:
    return ledger.get(Loan, "L")


def outstanding(ledger: MemoryBook) -> list[int]:
    """What is outstanding of each draw."""
    return [each.outstanding_minor for each in loan(ledger).draws]


def two_draws(terms: do.AgreeLoan = LOAN) -> MemoryBook:
    """50 m on 9 March and 22 m on 8 April; today is 8 June."""
    ledger = agreed(terms)
    draw(ledger, date(2026, 3, 9), 50_000_000, "one")
    draw(ledger, date(2026, 4, 8), 22_000_000, "two")
    ledger.move_to(date(2026, 6, 8))
    return ledger


# --- a chosen draw ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "left"), [(Absent, [40_000_000, 22_000_000]), ("one", [40_000_000, 22_000_000]),
                         ("two", [50_000_000, 12_000_000])],
)  # fmt: skip
@pytest.mark.parametrize("prepayment", ["interest_now", "interest_at_maturity"])
def test_the_principal_of_the_chosen_draw_is_prepaid(chosen: str, left: list[int], prepayment: Prepayment) -> None:
    """10 m of the first draw earned 109,958 in its 91 days, 10 m of the second 73,708 in its 61."""
    ledger = two_draws(but(LOAN, prepayment=prepayment))
    apply(ledger, but(NOTICE, draw=chosen), by=["shop"])
    now = 0 if prepayment == "interest_at_maturity" else 73_708 if chosen == "two" else 109_958
    apply(ledger, but(PREPAID, amount_minor=10_000_000 + now), by=["bank"])
    assert outstanding(ledger) == left
    assert loan(ledger).repaid_minor == 10_000_000


def test_no_more_than_is_outstanding_of_it_is_prepaid() -> None:
    ledger = two_draws()
    with refused(ledger, "loan.over_paid") as refusal:
        ledger.apply(but(NOTICE, amount_minor=22_000_001, draw="two"), by=["shop"])
    assert refusal.value.advice == "prepay up to 22000000"
    with refused(ledger, "loan.over_paid") as refusal:
        ledger.apply(but(NOTICE, amount_minor=1, draw="three"), by=["shop"])
    assert refusal.value.facts == {"draws": "one, two"}
    apply(ledger, but(NOTICE, amount_minor=22_000_000, draw="two"), by=["shop"])
    apply(ledger, but(PREPAID, amount_minor=22_000_000), by=["bank"])
    assert outstanding(ledger) == [50_000_000, 0]


def test_what_was_announced_is_judged_once_more_when_it_comes() -> None:
    """Between notice and money a pledged lot repaid some of the same draw."""
    ledger = two_draws()
    apply(ledger, but(NOTICE, amount_minor=50_000_000, draw="one"), by=["shop"])
    apply(ledger, do.PayCertificate("C", 29_000_000, "PAY-1", digest("early")), by=["clearer"])
    assert outstanding(ledger) == [30_000_000, 22_000_000]
    with refused(ledger, "loan.over_paid"):
        ledger.apply(but(PREPAID, amount_minor=50_000_000), by=["bank"])


# --- its fee ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fee_bp", "prepayment", "fits"),
    [(0, "interest_now", False), (1, "interest_now", True), (10_000, "interest_now", True),
     (10_001, "interest_now", False), (100, "none", False), (100, "interest_at_maturity", True)],
)  # fmt: skip
def test_a_fee_is_a_share_of_what_may_be_prepaid(fee_bp: int, prepayment: Prepayment, fits: bool) -> None:
    ledger = transferred()
    apply(ledger, ACCOUNT, by=["shop", "bank"])
    terms = but(LOAN, prepayment=prepayment, prepayment_fee_bp=fee_bp)
    if fits:
        apply(ledger, terms, by=["shop", "bank"])
        assert loan(ledger).prepayment_fee_bp == fee_bp
    else:
        with refused(ledger, "loan.prepayment_fee"):
            ledger.apply(terms, by=["shop", "bank"])


@pytest.mark.parametrize(("amount", "fee"), [(10_000_000, 125_000), (10_000_039, 125_000), (10_000_040, 125_001)])
def test_the_fee_is_rounded_once_and_paid_with_the_prepayment(amount: int, fee: int) -> None:
    """1.25% of 10,000,040 are 125,000.50."""
    ledger = two_draws(but(LOAN, prepayment_fee_bp=125))
    apply(ledger, but(NOTICE, amount_minor=amount), by=["shop"])
    before = ledger.get(Cash, "bank CNY").net_minor
    for wrong in (amount, amount + fee - 1, amount + fee + 1):
        with refused(ledger, "loan.amount") as refusal:
            ledger.apply(but(PREPAID, amount_minor=wrong), by=["bank"])
        assert refusal.value.advice == f"state {amount + fee}"
    apply(ledger, but(PREPAID, amount_minor=amount + fee), by=["bank"])
    assert loan(ledger).charges == {"fees": Charge(posted_minor=fee, paid_minor=fee)}
    assert loan(ledger).repaid_minor == amount
    assert ledger.get(Cash, "bank CNY").net_minor == before + amount + fee


def test_fee_and_interest_of_several_prepayments_add_up() -> None:
    ledger = two_draws(but(LOAN, prepayment="interest_now", prepayment_fee_bp=100))
    apply(ledger, NOTICE, by=["shop"])
    apply(ledger, but(PREPAID, amount_minor=10_209_958), by=["bank"])
    apply(ledger, but(NOTICE, draw="two"), by=["shop"])
    apply(ledger, but(PREPAID, amount_minor=10_173_708, reference="IN-2"), by=["bank"])
    assert loan(ledger).charges == {
        "interest": Charge(posted_minor=183_666, paid_minor=183_666),
        "fees": Charge(posted_minor=200_000, paid_minor=200_000),
    }


def test_what_collateral_repays_early_costs_no_fee() -> None:
    ledger = two_draws(but(LOAN, prepayment_fee_bp=125))
    apply(ledger, do.PayCertificate("C", 29_000_000, "PAY-1", digest("early")), by=["clearer"])
    assert (loan(ledger).repaid_minor, loan(ledger).charges) == (20_000_000, {})


# --- who states that money came ---------------------------------------------------------------------------------


def lent_by_factor() -> MemoryBook:
    """The factor lends on the account that the bank keeps; it is another's statement then whether money came."""
    ledger = transferred()
    ledger.apply(do.SetRoles("factor", ["factor", "lender", "controller"]), by=["registrar"])
    apply(ledger, but(ACCOUNT, controllers=["factor"]), by=["shop", "bank"])
    ledger.move_to(date(2026, 3, 6))
    apply(ledger, but(LOAN, lender="factor"), pledge("C 36000001", 80_000_000), by=["shop", "factor"])
    ledger.move_to(date(2026, 3, 9))
    apply(ledger, do.DrawLoan("L", "one", 50_000_000), by=["shop", "factor"])
    out = do.DisburseLoan("L", "one", 50_000_000, "OUT-1", digest("one"))
    apply(ledger, out, by=["factor", "bank"])
    return ledger


@pytest.mark.parametrize(("by", "stated_by"), [(["bank"], "bank"), (["factor"], "factor"),
                                               (["bank", "factor"], "factor")])  # fmt: skip
def test_the_lender_or_the_bank_of_the_account_states_it(by: list[str], stated_by: str) -> None:
    ledger = lent_by_factor()
    apply(ledger, NOTICE, by=["shop"])
    apply(ledger, PREPAID, by=by)
    ledger.move_to(MATURITY)
    apply(ledger, but(REPAID, reference="IN-2"), by=by)
    stated = {fact.by for fact in ledger.all(CashFact) if fact.reference.startswith("IN-")}
    assert stated == {stated_by}
    assert ledger.get(Cash, "factor CNY").net_minor == -39_000_000


def test_a_machine_of_the_bank_is_enough_and_another_bank_is_not() -> None:
    ledger = lent_by_factor()
    apply(ledger, NOTICE, by=["shop"])
    for others in (["clearer"], ["shop"]):
        with refused(ledger, "loan.not_signed"):
            ledger.apply(PREPAID, by=others)
    ledger.apply(PREPAID, by=[], service=["bank"])
    assert outstanding(ledger) == [40_000_000]


# --- what is drawn in all ---------------------------------------------------------------------------------------


def test_what_is_drawn_of_a_revolving_loan_stays_an_amount() -> None:
    """Without this a loan that is drawn and prepaid again and again would write a number that no reader holds."""
    ledger = two_draws(but(LOAN, revolving=True, available_until=MATURITY))
    first, second = loan(ledger).draws
    most = AMOUNT_MAX_MINOR - 22_000_000
    ledger.put(but(loan(ledger), draws=(but(first, asked_minor=most - 9, lent_minor=most - 9), second),
                   repaid_minor=most - 9 - 50_000_000))  # fmt: skip
    apply(ledger, NOTICE, by=["shop"])
    apply(ledger, PREPAID, by=["bank"])
    with refused(ledger, "loan.cap_exceeded") as refusal:
        ledger.apply(do.DrawLoan("L", "three", 10), by=["shop", "bank"])
    assert refusal.value.advice == "draw up to 9"
    apply(ledger, do.DrawLoan("L", "three", 9), by=["shop", "bank"])
