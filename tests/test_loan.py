"""A loan lends against pledged lots, earns interest on real balances, and is repaid in the order of the law."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from book import RECORD_BYTES_MAX, MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.account import Account
from finchain.domain.accrual import Balance, RateStep, always, changed, interest_between, without
from finchain.domain.arithmetic import RATE_MAX_PER_YEAR, RATE_SCALE_MAX
from finchain.domain.cash import Cash
from finchain.domain.certificate import Lot
from finchain.domain.loan import (
    BALANCES_MAX,
    COLLATERAL_MAX,
    DRAWS_MAX,
    LOAN_GUARANTEES_MAX,
    Charge,
    ChargeName,
    Draw,
    KeptTerms,
    Loan,
    Notice,
)
from finchain.domain.repayment import CHARGES
from finchain.domain.rescheduling import RATE_CHANGES_MAX
from finchain.domain.rule import Absent
from finchain.money import AMOUNT_MAX_MINOR
from stories import ACCOUNT, LOAN, MATURITY, A, agreed, apply, but, draw, lent, pledge, transferred

PREPAID = do.ReceivePrepayment("L", 10_000_000, "IN-1", digest("prepayment"))


def loan(ledger: MemoryBook) -> Loan:
    return ledger.get(Loan, "L")


def with_account() -> MemoryBook:
    """The account is open and the shop's lot free."""
    ledger = transferred()
    apply(ledger, ACCOUNT, by=["shop", "bank"])
    ledger.move_to(date(2026, 3, 6))
    return ledger


# --- agree and pledge -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "by", "code"),
    [
        ({"id": ""}, ["shop", "bank"], "loan.identifier"),
        ({}, ["shop"], "loan.not_signed"),
        ({}, ["bank"], "loan.not_signed"),
        ({"lender": "factor"}, ["shop", "factor"], "loan.wrong_role"),
        ({"borrower": "tier2"}, ["tier2", "bank"], "loan.account"),
        ({"borrower": "bank"}, ["bank"], "loan.account"),
        ({"limit_minor": 0}, ["shop", "bank"], "loan.amount"),
        ({"limit_minor": 2**53 - 1}, ["shop", "bank"], "loan.amount"),
        ({"advance_bp": 0}, ["shop", "bank"], "loan.advance"),
        ({"advance_bp": 10_001}, ["shop", "bank"], "loan.advance"),
        ({"rate": do.Rate(1, 0)}, ["shop", "bank"], "loan.rate"),
        ({"penalty_rate": do.Rate(-1, 1)}, ["shop", "bank"], "loan.rate"),
        ({"account": "none"}, ["shop", "bank"], "account.not_found"),
        ({"available_until": date(2026, 3, 5)}, ["shop", "bank"], "loan.date"),
        ({"available_until": date(2026, 9, 1)}, ["shop", "bank"], "loan.date"),
        ({"available_until": date(2026, 3, 6), "maturity": date(2026, 3, 6)}, ["shop", "bank"], "loan.date"),
        ({"prepayment_days": -1}, ["shop", "bank"], "loan.date"),
        ({"prepayment_days": 367}, ["shop", "bank"], "loan.date"),
    ],
)
def test_what_cannot_be_agreed(changes: dict[str, Any], by: list[str], code: str) -> None:
    ledger = with_account()
    with refused(ledger, code):
        ledger.apply(but(LOAN, **changes), by=by)


def test_a_loan_is_agreed_once() -> None:
    ledger = agreed()
    with refused(ledger, "loan.duplicate"):
        ledger.apply(LOAN, by=["shop", "bank"])
    assert str(loan(ledger)) == "L agreed: shop owes bank 0.00 CNY of principal"


@pytest.mark.parametrize(
    ("changes", "by", "code"),
    [
        ({}, ["shop"], "certificate.not_signed"),
        ({}, ["bank"], "certificate.not_signed"),
        ({"loan": "none"}, ["shop", "bank"], "loan.not_found"),
        ({"id": "C 1", "amount_minor": 36_000_000}, ["tier2", "bank"], "certificate.other_loan"),
        ({"amount_minor": 80_000_001}, ["shop", "bank"], "certificate.insufficient_free"),
        ({"amount_minor": 79_999_999}, ["shop", "bank"], "certificate.dust"),
        ({"registration": ""}, ["shop", "bank"], "certificate.reference"),
        ({"registered": date(2026, 3, 7)}, ["shop", "bank"], "certificate.date"),
        ({"description": ""}, ["shop", "bank"], "certificate.digest"),
    ],
)
def test_what_cannot_be_pledged(changes: dict[str, Any], by: list[str], code: str) -> None:
    ledger = with_account()
    apply(ledger, LOAN, by=["shop", "bank"])
    with refused(ledger, code):
        ledger.apply(but(pledge("C 36000001", 80_000_000), **changes), by=by)


def test_a_pledged_lot_cannot_be_given_away() -> None:
    ledger = agreed()
    assert ledger.get(Lot, "C 36000001").encumbrance(ledger.today) == "pledged"
    assert "pledged to bank" in str(ledger.get(Lot, "C 36000001"))
    with refused(ledger, "certificate.insufficient_free"):
        ledger.apply(pledge("C 36000001", 80_000_000), by=["shop", "bank"])
    with refused(ledger, "certificate.insufficient_free"):
        ledger.apply(do.OfferTransfer("C 36000001", "tier2", 80_000_000, digest("t"), recourse=False), by=["shop"])


def test_a_release_leaves_enough() -> None:
    """50 m are lent: at 90% they need 55,555,556, and a lot of 55,555,555 is too little."""
    ledger = with_account()
    apply(ledger, LOAN, pledge("C 36000001", 24_444_444), pledge("C 60444445", 55_555_556), by=["shop", "bank"])
    with refused(ledger, "certificate.not_signed"):
        ledger.apply(do.ReleaseLot("C 36000001"), by=["shop"])
    draw(ledger, date(2026, 3, 9), 50_000_000, "one")
    with refused(ledger, "loan.over_advance"):
        ledger.apply(do.ReleaseLot("C 60444445"), by=["bank"])
    apply(ledger, do.ReleaseLot("C 36000001"), by=["bank"])
    assert loan(ledger).collateral == ("C 60444445",)
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.ReleaseLot("C 36000001"), by=["bank"])


# --- draw and disburse ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "by", "code"),
    [
        ({}, ["shop"], "loan.not_signed"),
        ({}, ["bank"], "loan.not_signed"),
        ({"name": "d d"}, ["shop", "bank"], "loan.identifier"),
        ({"amount_minor": 0}, ["shop", "bank"], "loan.amount"),
        ({"amount_minor": 72_000_001}, ["shop", "bank"], "loan.cap_exceeded"),
        ({"amount_minor": 72_000_000}, ["shop", "bank"], None),
    ],
)
def test_a_draw_is_within_the_limit(changes: dict[str, Any], by: list[str], code: str | None) -> None:
    ledger = agreed()
    order = but(do.DrawLoan("L", "one", 50_000_000), **changes)
    if code is None:
        apply(ledger, order, by=by)
        assert loan(ledger).reserved_minor == 72_000_000
    else:
        with refused(ledger, code):
            ledger.apply(order, by=by)


def test_a_draw_is_within_the_collateral() -> None:
    """90% of 80 m are 72 m, whatever the limit."""
    ledger = agreed(but(LOAN, limit_minor=90_000_000))
    with refused(ledger, "loan.over_advance"):
        ledger.apply(do.DrawLoan("L", "one", 72_000_001), by=["shop", "bank"])
    apply(ledger, do.DrawLoan("L", "one", 72_000_000), by=["shop", "bank"])
    with refused(ledger, "loan.over_advance"):
        ledger.apply(do.DrawLoan("L", "two", 1), by=["shop", "bank"])


def test_nothing_is_lent_on_no_collateral() -> None:
    ledger = with_account()
    apply(ledger, LOAN, by=["shop", "bank"])
    with refused(ledger, "loan.over_advance"):
        ledger.apply(do.DrawLoan("L", "one", 1), by=["shop", "bank"])


def test_draws_end_with_their_day_and_their_number() -> None:
    ledger = agreed()
    for number in range(DRAWS_MAX):
        apply(ledger, do.DrawLoan("L", str(number), 1_000), by=["shop", "bank"])
    for name in ("0", "more"):
        with refused(ledger, "loan.duplicate"):
            ledger.apply(do.DrawLoan("L", name, 1_000), by=["shop", "bank"])
    ledger = agreed()
    ledger.move_to(date(2026, 4, 30))
    apply(ledger, do.DrawLoan("L", "one", 1_000), by=["shop", "bank"])
    ledger.move_to(date(2026, 5, 1))
    with refused(ledger, "loan.expired"):
        ledger.apply(do.DrawLoan("L", "two", 1_000), by=["shop", "bank"])


def test_the_principal_is_what_arrived() -> None:
    """Vector 14, Civil Code 670: 50,000 withheld from 1,000,000 are not lent."""
    ledger = agreed()
    ledger.move_to(date(2026, 3, 9))
    apply(ledger, do.DrawLoan("L", "one", 1_000_000), by=["shop", "bank"])
    apply(ledger, do.DisburseLoan("L", "one", 950_000, "OUT-1", digest("one")), by=["bank"])
    assert (loan(ledger).outstanding_minor, loan(ledger).reserved_minor) == (950_000, 0)
    assert ledger.get(Account, "acc").settled_minor == 950_000
    assert ledger.get(Cash, "bank CNY").net_minor == -950_000


def test_what_cannot_be_paid_out() -> None:
    ledger = agreed()
    ledger.move_to(date(2026, 3, 9))
    out = do.DisburseLoan("L", "one", 50_000_000, "OUT-1", digest("one"))
    with refused(ledger, "loan.bad_state"):
        ledger.apply(out, by=["bank"])
    apply(ledger, do.DrawLoan("L", "one", 50_000_000), by=["shop", "bank"])
    with refused(ledger, "loan.bad_state"):
        ledger.apply(but(out, amount_minor=50_000_001), by=["bank"])
    with refused(ledger, "loan.not_signed"):
        ledger.apply(out, by=["shop"])
    apply(ledger, out, by=["bank"])
    with refused(ledger, "loan.bad_state"):
        ledger.apply(but(out, reference="OUT-2"), by=["bank"])


def test_nothing_is_paid_out_at_maturity() -> None:
    ledger = agreed()
    apply(ledger, do.DrawLoan("L", "one", 50_000_000), by=["shop", "bank"])
    ledger.move_to(MATURITY)
    with refused(ledger, "loan.expired"):
        ledger.apply(do.DisburseLoan("L", "one", 50_000_000, "OUT-1", digest("one")), by=["bank"])


# --- interest ---------------------------------------------------------------------------------------------------


def worked_example(**terms: Any) -> MemoryBook:
    """50 m on 9 March, 22 m on 8 April, 10 m prepaid on 8 June."""
    ledger = lent(but(LOAN, **terms))
    draw(ledger, date(2026, 4, 8), 22_000_000, "two")
    ledger.move_to(date(2026, 6, 8))
    apply(ledger, do.PrepayLoan("L", 10_000_000), by=["shop"])
    return ledger


@pytest.mark.parametrize(
    ("day_count", "round_at", "expected"),
    [
        ("act/360", "settlement", 1_341_250),
        ("act/360", "segment", 1_341_250),
        ("act/365f", "settlement", 1_322_877),
        ("act/365f", "segment", 1_322_876),
    ],
)
def test_where_interest_is_rounded_is_a_term(day_count: str, round_at: str, expected: int) -> None:
    """The same loan earns a fen less where each of its three segments is rounded (7.1 step 6)."""
    ledger = worked_example(day_count=day_count, round_at=round_at)
    apply(ledger, PREPAID, by=["bank"])
    assert loan(ledger).accrued_minor(MATURITY) == expected
    assert loan(ledger).accrued_minor(date(2027, 8, 31)) == expected
    assert loan(ledger).accrued_penalty_minor(MATURITY) == 0


@pytest.mark.parametrize(("round_at", "rest"), [("settlement", 1_231_292), ("draw", 1_231_291)])
def test_interest_on_the_prepaid_part_now(round_at: str, rest: int) -> None:
    """Vector 15: 10 m of the first draw for 91 days now; the rest at maturity."""
    ledger = worked_example(prepayment="interest_now", round_at=round_at)
    with refused(ledger, "loan.amount"):
        ledger.apply(PREPAID, by=["bank"])
    apply(ledger, but(PREPAID, amount_minor=10_109_958), by=["bank"])
    assert loan(ledger).charges == {"interest": Charge(posted_minor=109_958, paid_minor=109_958)}
    assert loan(ledger).accrued_minor(MATURITY) == rest
    assert loan(ledger).outstanding_minor == 62_000_000


def test_histories_are_kept_by_day() -> None:
    one = changed((), date(2026, 3, 9), 5)
    assert changed(one, date(2026, 3, 9), 3) == (Balance(date(2026, 3, 9), 3),)
    assert changed(one, date(2026, 3, 10), 3) == (*one, Balance(date(2026, 3, 10), 3))
    assert without(changed(one, date(2026, 3, 10), 3), 3) == (
        Balance(date(2026, 3, 9), 2), Balance(date(2026, 3, 10), 0),
    )  # fmt: skip
    rate = do.Rate(1, 1)
    assert interest_between([one], date(2026, 3, 9), date(2026, 3, 9), always(rate), "act/360", "settlement") == 0
    assert interest_between([], date.min, date.max, always(rate), "act/360", "settlement") == 0


# --- prepay and repay -------------------------------------------------------------------------------------------


def test_a_prepayment_needs_its_notice() -> None:
    ledger = lent(but(LOAN, prepayment_days=3))
    with refused(ledger, "loan.bad_state"):
        ledger.apply(PREPAID, by=["bank"])
    with refused(ledger, "loan.not_signed"):
        ledger.apply(do.PrepayLoan("L", 10_000_000), by=["bank"])
    for amount, code in ((0, "loan.amount"), (50_000_001, "loan.over_paid")):
        with refused(ledger, code):
            ledger.apply(do.PrepayLoan("L", amount), by=["shop"])
    apply(ledger, do.PrepayLoan("L", 10_000_000), by=["shop"])
    ledger.advance(2)
    with refused(ledger, "loan.bad_state"):
        ledger.apply(PREPAID, by=["bank"])
    ledger.advance(1)
    with refused(ledger, "loan.not_signed"):
        ledger.apply(PREPAID, by=["shop"])
    for wrong in (9_999_999, 10_000_001):
        with refused(ledger, "loan.amount"):
            ledger.apply(but(PREPAID, amount_minor=wrong), by=["bank"])
    apply(ledger, PREPAID, by=["bank"])
    with refused(ledger, "loan.bad_state"):
        ledger.apply(but(PREPAID, reference="IN-2"), by=["bank"])


def test_a_loan_may_exclude_prepayment() -> None:
    ledger = lent(but(LOAN, prepayment="none"))
    with refused(ledger, "loan.bad_state"):
        ledger.apply(do.PrepayLoan("L", 10_000_000), by=["shop"])


def test_at_maturity_it_is_repaid_and_not_prepaid() -> None:
    ledger = lent()
    repaid = do.ReceiveRepayment("L", 51_057_292, "IN-1", digest("repayment"))
    ledger.move_to(date(2026, 8, 30))
    apply(ledger, do.PrepayLoan("L", 10_000_000), by=["shop"])
    with refused(ledger, "loan.not_due"):
        ledger.apply(repaid, by=["bank"])
    ledger.move_to(MATURITY)
    with refused(ledger, "loan.bad_state"):
        ledger.apply(PREPAID, by=["bank"])
    with refused(ledger, "loan.bad_state"):
        ledger.apply(do.PrepayLoan("L", 10_000_000), by=["shop"])
    with refused(ledger, "loan.over_paid"):
        ledger.apply(but(repaid, amount_minor=51_057_293), by=["bank"])
    apply(ledger, repaid, by=["bank"])
    assert loan(ledger).status == "ended"
    assert loan(ledger).charges == {"interest": Charge(posted_minor=1_057_292, paid_minor=1_057_292)}
    assert ledger.get(Lot, "C 36000001").encumbrance(MATURITY) == "none"
    with refused(ledger, "loan.bad_state"):
        ledger.apply(but(repaid, reference="IN-2"), by=["bank"])


def test_a_loan_with_something_left_to_draw_goes_on() -> None:
    ledger = lent(but(LOAN, available_until=MATURITY, prepayment="interest_now"))
    ledger.move_to(date(2026, 6, 8))
    apply(ledger, do.PrepayLoan("L", 50_000_000), by=["shop"])
    apply(ledger, but(PREPAID, amount_minor=50_549_792), by=["bank"])
    assert loan(ledger).status == "repaid"
    assert loan(ledger).collateral == ("C 36000001",)
    draw(ledger, date(2026, 6, 9), 22_000_000, "two")
    assert loan(ledger).status == "active"


def test_the_borrower_gives_up_what_is_left_to_draw() -> None:
    ledger = lent(but(LOAN, prepayment="interest_now"))
    with refused(ledger, "loan.bad_state"):
        ledger.apply(do.CloseLoan("L"), by=["shop"])
    apply(ledger, do.PrepayLoan("L", 50_000_000), by=["shop"])
    apply(ledger, but(PREPAID, amount_minor=50_000_000), by=["bank"])
    assert loan(ledger).status == "repaid"
    with refused(ledger, "loan.not_signed"):
        ledger.apply(do.CloseLoan("L"), by=["bank"])
    apply(ledger, do.DrawLoan("L", "two", 1_000), by=["shop", "bank"])
    with refused(ledger, "loan.bad_state"):
        ledger.apply(do.CloseLoan("L"), by=["shop"])


def test_a_closed_loan_frees_its_lots() -> None:
    ledger = agreed()
    apply(ledger, do.CloseLoan("L"), by=["shop"])
    assert loan(ledger).status == "ended"
    assert ledger.get(Lot, "C 36000001").encumbrance(ledger.today) == "none"
    with refused(ledger, "loan.bad_state"):
        ledger.apply(do.CloseLoan("L"), by=["shop"])


def test_a_value_date_is_not_before_the_last_posting() -> None:
    ledger = worked_example()
    apply(ledger, PREPAID, by=["bank"])
    ledger.advance(3)
    apply(ledger, do.PrepayLoan("L", 1_000), by=["shop"])
    again = but(PREPAID, reference="IN-2", amount_minor=1_000)
    with refused(ledger, "loan.value_date"):
        ledger.apply(but(again, value_date=date(2026, 6, 7)), by=["bank"])
    apply(ledger, do.PrepayLoan("L", 1_000), but(again, value_date=date(2026, 6, 11)), by=["shop", "bank"])


# --- size -------------------------------------------------------------------------------------------------------


def test_the_largest_loan_fits_into_a_record() -> None:
    ledger = agreed()
    long = "L" * 64
    balances = (Balance(MATURITY, 2**53 - 1),) * (BALANCES_MAX // DRAWS_MAX)
    draws = tuple(
        Draw(name=long, asked_minor=2**53 - 1, lent_minor=2**53 - 1, outstanding_minor=2**53 - 1, balances=balances)
        for _ in range(DRAWS_MAX)
    )
    collateral = (f"{long} {2**53 - 1}",) * COLLATERAL_MAX
    large = but(loan(ledger), lender=long, borrower=long, account=long, draws=draws, collateral=collateral)
    assert len(msgspec.json.encode(large)) < 15_500


def test_a_history_has_an_end() -> None:
    ledger = lent()
    for day in range(BALANCES_MAX - 1):
        ledger.move_to(date.fromordinal(date(2026, 3, 10).toordinal() + day))
        apply(ledger, do.PrepayLoan("L", 1_000), by=["shop"])
        apply(ledger, but(PREPAID, reference=f"IN-{day}", amount_minor=1_000), by=["bank"])
    ledger.advance(1)
    apply(ledger, do.PrepayLoan("L", 1_000), by=["shop"])
    with refused(ledger, "loan.balances"):
        ledger.apply(but(PREPAID, reference="IN-last", amount_minor=1_000), by=["bank"])


def test_collateral_has_an_end() -> None:
    ledger = with_account()
    apply(ledger, LOAN, by=["shop", "bank"])
    for number in range(COLLATERAL_MAX):
        apply(ledger, pledge(f"C {36_000_001 + 100_000 * number}", 100_000), by=["shop", "bank"])
    with refused(ledger, "loan.collateral"):
        ledger.apply(pledge(f"C {36_000_001 + 100_000 * COLLATERAL_MAX}", 100_000), by=["shop", "bank"])


# --- a revolving loan -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revolving", [True, False, None])
def test_i_10_of_a_revolving_loan_what_is_repaid_is_drawn_again(revolving: bool | None) -> None:
    """Of 72 m, 50 m are drawn and 30 m repaid: 52 m are free where the loan revolves, and 22 m where not."""
    ledger = lent(but(LOAN, revolving=Absent if revolving is None else revolving))
    apply(ledger, do.PrepayLoan("L", 30_000_000), by=["shop"])
    apply(ledger, do.ReceivePrepayment("L", 30_000_000, "IN-1", digest("in")), by=["bank"])
    free = 52_000_000 if revolving else 22_000_000
    assert loan(ledger).left_to_draw(ledger.today) == free
    assert (loan(ledger).drawn_minor, loan(ledger).outstanding_minor) == (50_000_000, 20_000_000)
    with refused(ledger, "loan.cap_exceeded"):
        ledger.apply(do.DrawLoan("L", "two", free + 1), by=["shop", "bank"])
    draw(ledger, ledger.today, free, "two")
    with refused(ledger, "loan.cap_exceeded"):
        ledger.apply(do.DrawLoan("L", "three", 1), by=["shop", "bank"])


def test_a_revolving_loan_that_is_repaid_goes_on_until_its_last_day_of_draws() -> None:
    ledger = lent(but(LOAN, revolving=True, prepayment="interest_now"))
    apply(ledger, do.PrepayLoan("L", 50_000_000), by=["shop"])
    apply(ledger, do.ReceivePrepayment("L", 50_000_000, "IN-1", digest("in")), by=["bank"])
    assert (loan(ledger).status, loan(ledger).collateral) == ("repaid", ("C 36000001",))
    draw(ledger, LOAN.available_until, 72_000_000, "two")
    ledger.move_to(MATURITY)
    apply(ledger, do.PayCertificate("C", A, "PAY-1", digest("p")), by=["clearer"])
    assert loan(ledger).status == "ended"


# --- what a bank may charge -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "penalty", "misuse", "noted"),
    [
        (do.Rate(4, 100), do.Rate(52, 1_000), None, 0), (do.Rate(4, 100), do.Rate(60, 1_000), None, 0),
        (do.Rate(4, 100), do.Rate(519, 10_000), None, 1), (do.Rate(4, 100), do.Rate(601, 10_000), None, 1),
        (do.Rate(4, 100), do.Rate(6, 100), do.Rate(6, 100), 0), (do.Rate(4, 100), do.Rate(6, 100), do.Rate(8, 100), 0),
        (do.Rate(4, 100), do.Rate(6, 100), do.Rate(599, 10_000), 1),
        (do.Rate(4, 100), do.Rate(6, 100), do.Rate(801, 10_000), 1),
        (do.Rate(4, 100), do.Rate(1, 100), do.Rate(1, 100), 2), (do.Rate(0, 1), do.Rate(6, 100), None, 1),
    ],
)  # fmt: skip
def test_a_penalty_beyond_what_banks_may_take_is_noted(
    rate: do.Rate, penalty: do.Rate, misuse: do.Rate | None, noted: int
) -> None:
    """Late money costs 1.3 to 1.5 times the agreed rate, misused money 1.5 to 2 times (PBOC 2003 No. 251)."""
    ledger = with_account()
    terms = but(LOAN, rate=rate, penalty_rate=penalty, misuse_rate=Absent if misuse is None else misuse)
    apply(ledger, terms, by=["shop", "bank"])
    assert len(ledger.notes) == noted, ledger.notes


def test_a_loan_of_which_everything_is_as_long_as_it_may_be_fits_into_a_record() -> None:
    """A record that is longer than 16,384 bytes would end the ledger's handle, so no loan can become one."""
    most, name, day = AMOUNT_MAX_MINOR, "x" * 64, date(2099, 12, 31)
    rate = do.Rate(RATE_MAX_PER_YEAR * RATE_SCALE_MAX, RATE_SCALE_MAX)
    changes = tuple(RateStep(day, rate) for _ in range(RATE_CHANGES_MAX))
    balances = tuple(Balance(day, most) for _ in range(BALANCES_MAX // DRAWS_MAX))
    posted: dict[ChargeName, int] = {"interest": most, "penalty": most, "compound": most}
    longest = Loan(
        id=name, rulebook=2**32 - 1, lender=name, borrower=name, currency="CNY", limit_minor=most, advance_bp=10_000,
        rate=rate, penalty_rate=rate, day_count="act/365f", round_at="settlement", prepayment="interest_at_maturity",
        prepayment_days=366, prepayment_fee_bp=10_000, available_until=day, maturity=day, account=name,
        waterfall="principal_first_when_late", misuse_rate=rate, revolving=True, calendar=name, calendar_version=most,
        shift="modified_following", shifted=day,
        collateral=tuple(f"{name} {most}" for _ in range(COLLATERAL_MAX)),
        draws=tuple(
            Draw(name=name, asked_minor=most, lent_minor=most, outstanding_minor=most, balances=balances)
            for _ in range(DRAWS_MAX)
        ),
        charges=dict.fromkeys(
            CHARGES, Charge(posted_minor=most, paid_minor=most, compensated_minor=most, waived_minor=most)
        ),
        repaid_minor=most, compensated_minor=most, rate_changes=changes, guarantees=(name,) * LOAN_GUARANTEES_MAX,
        kept=tuple(
            KeptTerms(guarantee=name, rate_changes=changes, penalty_rate=rate, posted=posted)
            for _ in range(LOAN_GUARANTEES_MAX)
        ),
        notice=Notice(most, day, name), posted=day, accelerated=day, misused=day, written_off=day, ended=day,
    )  # fmt: skip
    assert len(msgspec.json.encode(longest, order="sorted")) <= RECORD_BYTES_MAX
