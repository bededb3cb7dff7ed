"""A loan's day and rates are changed before it is due, by both who signed it, and not to its guarantors' harm."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest

from book import MemoryBook, refused
from finchain import instructions as do
from finchain.domain.arithmetic import Rate
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.rescheduling import RATE_CHANGES_MAX
from finchain.domain.rule import Absent
from finchain.errors import Refused
from stories import ACCOUNT, LOAN, MATURITY, agreed, apply, but, draw, lent, transferred
from test_holiday import CN, KEEPERS
from test_loan_guarantee import OFFER, PERIOD_END, REPAID, compensate, due
from test_loan_guarantee import lent as guaranteed

LATER = MATURITY + timedelta(30)
EXTEND = do.ExtendLoan("L", LATER)
DEARER = do.ChangeLoanRate("L", do.Rate(5, 100), do.Rate(75, 1_000))
DRAWN = date(2026, 3, 9)
CHANGED = date(2026, 6, 1)
FOUR = but(LOAN, rate=do.Rate(4, 100), penalty_rate=do.Rate(6, 100))


def accrued(amount_minor: int, *stretches: tuple[date, date, Rate]) -> int:
    """Interest by fractions, rounded once, half up."""
    exact = sum(
        (Fraction(amount_minor * rate.value * (end - start).days, rate.scale * 360) for start, end, rate in stretches),
        Fraction(0),
    )
    return int(exact + Fraction(1, 2))


# --- a later day ------------------------------------------------------------------------------------------------


def test_interest_runs_on_at_the_agreed_rate() -> None:
    ledger = lent()
    before = ledger.get(Loan, "L")
    apply(ledger, EXTEND, by=["shop", "bank"])
    after = ledger.get(Loan, "L")
    assert (after.maturity, after.due_on) == (LATER, LATER)
    ledger.move_to(LATER)
    assert after.accrued_minor(LATER) > before.accrued_minor(LATER), "the old loan would bear its penalty rate by now"
    assert after.accrued_penalty_minor(LATER) == 0 < before.accrued_penalty_minor(LATER)


@pytest.mark.parametrize("order", [EXTEND, DEARER])
@pytest.mark.parametrize(("days", "code"), [(-1, None), (0, "loan.expired")])
def test_what_is_due_is_not_rescheduled(order: do.ExtendLoan, days: int, code: str | None) -> None:
    ledger = lent()
    ledger.move_to(MATURITY + timedelta(days))
    if code is None:
        apply(ledger, order, by=["shop", "bank"])
    else:
        with refused(ledger, code):
            ledger.apply(order, by=["shop", "bank"])


@pytest.mark.parametrize(
    ("order", "by", "code"),
    [
        (EXTEND, ["shop"], "loan.not_signed"),
        (EXTEND, ["bank"], "loan.not_signed"),
        (do.ExtendLoan("L", MATURITY), ["shop", "bank"], "loan.date"),
        (do.ExtendLoan("none", LATER), ["shop", "bank"], "loan.not_found"),
        (DEARER, ["shop"], "loan.not_signed"),
        (DEARER, ["bank"], "loan.not_signed"),
        (but(DEARER, rate=LOAN.rate, penalty_rate=LOAN.penalty_rate), ["shop", "bank"], "loan.rate"),
        (but(DEARER, rate=do.Rate(1, 0)), ["shop", "bank"], "loan.rate"),
        (but(DEARER, guarantees=["G"]), ["shop", "bank"], "guarantee.not_found"),
    ],
)
def test_who_reschedules_and_to_what(order: do.ExtendLoan, by: list[str], code: str) -> None:
    ledger = lent()
    with refused(ledger, code):
        ledger.apply(order, by=by)


def test_a_loan_that_was_called_due_is_not_extended() -> None:
    ledger = lent()
    apply(ledger, do.AccelerateLoan("L", "default", "ab" * 32), by=["bank"])
    with refused(ledger, "loan.expired"):
        ledger.apply(EXTEND, by=["shop", "bank"])
    assert ledger.get(Loan, "L").maturity == MATURITY > date(2026, 1, 1)


def test_a_guarantor_that_does_not_sign_keeps_its_period() -> None:
    """Civil Code 695: the debt is due later, and the guarantee ends when it would have."""
    ledger = guaranteed(but(OFFER, period_end=LATER - timedelta(1)))
    apply(ledger, EXTEND, by=["shop", "bank"])
    assert ledger.notes == [f"guarantee G ends on {LATER - timedelta(1)}, before L is due"]
    ledger.move_to(LATER + timedelta(1))
    with refused(ledger, "guarantee.expired"):
        ledger.apply(do.DemandCompensation("G", "L", 1), by=["bank"])


def test_a_guarantor_that_signs_answers_until_its_new_period_ends() -> None:
    ledger = guaranteed(OFFER)
    with_period = but(EXTEND, periods=[do.GuaranteePeriod("G", PERIOD_END + timedelta(30))])
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(with_period, by=["shop", "bank"])
    for end in (PERIOD_END, LATER):
        with refused(ledger, "guarantee.period"):
            ledger.apply(but(EXTEND, periods=[do.GuaranteePeriod("G", end)]), by=["shop", "bank", "guarantor"])
    apply(ledger, with_period, by=["shop", "bank", "guarantor"])
    assert not ledger.notes
    ledger.move_to(PERIOD_END + timedelta(30))
    apply(ledger, do.DemandCompensation("G", "L", 1), by=["bank"])


# --- another rate -----------------------------------------------------------------------------------------------


def changed(by: list[str], change: do.ChangeLoanRate = DEARER) -> MemoryBook:
    """50 m at 4%, guaranteed in full with their interest; from 1 June on they bear 5%."""
    ledger = guaranteed(but(OFFER, coverage_bp=10_000, scope=["principal", "interest", "penalty"]), loan=FOUR)
    ledger.move_to(CHANGED)
    apply(ledger, change, by=by)
    return ledger


OLD = (DRAWN, MATURITY, do.Rate(4, 100))
NEW = ((DRAWN, CHANGED, do.Rate(4, 100)), (CHANGED, MATURITY, do.Rate(5, 100)))


def test_a_new_rate_holds_from_its_day_on() -> None:
    ledger = changed(["shop", "bank"])
    loan = ledger.get(Loan, "L")
    assert loan.accrued_minor(MATURITY) == accrued(50_000_000, *NEW) == 1_098_611
    late = MATURITY + timedelta(10)
    assert loan.accrued_penalty_minor(late) == accrued(50_000_000, (MATURITY, late, do.Rate(75, 1_000)))


@pytest.mark.parametrize(("round_at", "expected"), [("settlement", 1_098_611), ("segment", 1_098_612)])
def test_a_change_of_the_rate_begins_a_segment(round_at: str, expected: int) -> None:
    ledger = agreed(but(FOUR, round_at=round_at))
    draw(ledger, DRAWN, 50_000_005, "one")
    ledger.move_to(CHANGED)
    apply(ledger, DEARER, by=["shop", "bank"])
    assert ledger.get(Loan, "L").accrued_minor(MATURITY) == expected


def test_vector_10_a_guarantor_that_did_not_sign_a_rise_answers_for_the_old_rate() -> None:
    """4% becomes 5%: the borrower owes interest at 5%, the guarantor answers for interest at 4%."""
    ledger = changed(["shop", "bank"])
    ledger.move_to(MATURITY + timedelta(1))
    day = (MATURITY, ledger.today, do.Rate(6, 100))
    old = accrued(50_000_000, OLD)
    penalty = accrued(50_000_000, day) + accrued(old, day)
    assert due(ledger) == 50_000_000 + old + penalty
    with refused(ledger, "guarantee.over_demand"):
        ledger.apply(do.DemandCompensation("G", "L", due(ledger) + 1), by=["bank"])
    compensate(ledger, due(ledger))
    loan = ledger.get(Loan, "L")
    assert loan.outstanding_minor == 0
    assert loan.charges["interest"].due_minor == accrued(50_000_000, *NEW) - old, "what only the borrower owes"
    assert due(ledger) == 0


def test_a_guarantor_that_signed_a_rise_answers_for_it() -> None:
    order = but(DEARER, guarantees=["G"])
    ledger = guaranteed(OFFER, loan=FOUR)
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(order, by=["shop", "bank"])
    ledger = changed(["shop", "bank", "guarantor"], order)
    ledger.move_to(MATURITY + timedelta(1))
    loan = ledger.get(Loan, "L")
    whole = loan.accrued_minor(ledger.today) + loan.accrued_penalty_minor(ledger.today)
    assert due(ledger) == 50_000_000 + whole + loan.accrued_compound_minor(ledger.today)


def test_a_lower_rate_helps_every_guarantor() -> None:
    """Civil Code 695: of a debt made lighter the guarantor answers for the lighter one."""
    ledger = changed(["shop", "bank"], do.ChangeLoanRate("L", do.Rate(3, 100), do.Rate(45, 1_000)))
    assert ledger.get(Loan, "L").kept == ()
    apply(ledger, DEARER, by=["shop", "bank"])
    (kept,) = ledger.get(Loan, "L").kept
    assert kept.penalty_rate == do.Rate(45, 1_000), "a second change of a day is measured by what held before it"


def test_what_the_borrower_paid_counts_in_full_for_the_guarantor() -> None:
    """The lender takes 1,000,000: of the interest at 4% the guarantor answers for so much less."""
    ledger = changed(["shop", "bank"])
    ledger.move_to(MATURITY)
    apply(ledger, but(REPAID, amount_minor=1_000_000), by=["bank"])
    ledger.advance(1)
    day = (MATURITY, ledger.today, do.Rate(6, 100))
    rest = max(0, accrued(50_000_000, OLD) - 1_000_000)
    assert due(ledger) == 50_000_000 + rest + accrued(50_000_000, day) + accrued(rest, day)


def test_a_guarantor_that_signs_the_second_rise_answers_for_no_more_of_the_first() -> None:
    ledger = changed(["shop", "bank"])
    second = date(2026, 7, 1)
    ledger.move_to(second)
    apply(ledger, do.ChangeLoanRate("L", do.Rate(6, 100), do.Rate(9, 100), ["G"]), by=["shop", "bank", "guarantor"])
    ledger.move_to(MATURITY + timedelta(1))
    own = accrued(50_000_000, (DRAWN, second, do.Rate(4, 100)), (second, MATURITY, do.Rate(6, 100)))
    day = (MATURITY, ledger.today, do.Rate(9, 100))
    assert due(ledger) == 50_000_000 + own + accrued(50_000_000, day) + accrued(own, day)


def test_interest_that_was_prepaid_is_divided_by_the_rates_too() -> None:
    loan = but(FOUR, prepayment="interest_now")
    ledger = guaranteed(but(OFFER, coverage_bp=10_000), loan=loan)
    ledger.move_to(CHANGED)
    apply(ledger, DEARER, by=["shop", "bank"])
    ledger.move_to(date(2026, 7, 1))
    apply(ledger, do.PrepayLoan("L", 10_000_000), by=["shop"])
    now = accrued(10_000_000, (DRAWN, CHANGED, do.Rate(4, 100)), (CHANGED, ledger.today, do.Rate(5, 100)))
    prepaid = do.ReceivePrepayment("L", 10_000_000 + now, "PRE-1", "ab" * 32)
    apply(ledger, prepaid, by=["bank"])
    ledger.move_to(MATURITY + timedelta(1))
    whole = accrued(10_000_000, (DRAWN, date(2026, 7, 1), do.Rate(4, 100))) + accrued(40_000_000, OLD)
    assert due(ledger) == 40_000_000 + whole - now


@pytest.mark.parametrize(("limit_minor", "code"), [(90_000_000, None), (90_100_000, "loan.amount")])
def test_interest_of_a_hundred_years_fits_into_an_amount(limit_minor: int, code: str | None) -> None:
    ledger = lent(but(LOAN, limit_minor=limit_minor))
    highest = but(DEARER, rate=do.Rate(100, 1), penalty_rate=do.Rate(100, 1))
    if code is None:
        apply(ledger, highest, by=["shop", "bank"])
    else:
        with refused(ledger, code):
            ledger.apply(highest, by=["shop", "bank"])


def test_a_rate_is_changed_only_so_often() -> None:
    ledger = lent()
    for number in range(RATE_CHANGES_MAX):
        ledger.advance(1)
        apply(ledger, but(DEARER, rate=do.Rate(50 + number, 1_000)), by=["shop", "bank"])
    apply(ledger, but(DEARER, rate=do.Rate(40, 1_000)), by=["shop", "bank"])
    ledger.advance(1)
    with refused(ledger, "loan.rate"):
        ledger.apply(DEARER, by=["shop", "bank"])


def test_many_guarantors_with_terms_of_their_own_fit_into_a_record() -> None:
    """As many guarantors as there may be, and as many changes, of which they sign none."""
    names = "abcd"
    offers = [but(OFFER, id="g" * 63 + name, guarantor=f"surety-{name}", sharing="joint") for name in names]
    with pytest.raises(Refused, match=r"guarantee\.sharing"):
        guaranteed(*offers, but(offers[0], id="one-more", guarantor="surety-e"), loan=FOUR)
    ledger = guaranteed(*offers, loan=FOUR)
    for number in range(RATE_CHANGES_MAX):
        ledger.advance(1)
        apply(ledger, but(DEARER, rate=do.Rate(50_000_000_000 + number, 10**12)), by=["shop", "bank"])
    loan = ledger.get(Loan, "L")
    assert len(loan.kept) == len(names)
    assert len(loan.kept[0].rate_changes) == RATE_CHANGES_MAX
    assert ledger.get(Guarantee, offers[0].id).is_in_effect


# --- a maturity on a free day -----------------------------------------------------------------------------------

SATURDAY, MONDAY = date(2026, 8, 29), date(2026, 8, 31)
SHIFTED = but(LOAN, maturity=SATURDAY, calendar="CN", shift="following")


def on_calendar(loan: do.AgreeLoan = SHIFTED) -> MemoryBook:
    """A loan that matures on a Saturday and is due on the Monday after it."""
    ledger = transferred()
    ledger.apply(CN, by=KEEPERS)
    ledger.move_to(date(2026, 3, 6))
    ledger.apply(ACCOUNT, loan, by=["shop", "bank"])
    return ledger


def test_a_loan_that_matures_on_a_free_day_is_due_on_a_business_day() -> None:
    """Interest at the agreed rate runs until the Monday, and no penalty on the way."""
    ledger = on_calendar()
    loan = ledger.get(Loan, "L")
    assert (loan.maturity, loan.due_on, loan.calendar_version) == (SATURDAY, MONDAY, 1)
    drawn = but(lent().get(Loan, "L"), maturity=loan.maturity, shifted=loan.shifted)
    assert drawn.accrued_penalty_minor(MONDAY) == 0 < drawn.accrued_penalty_minor(MONDAY + timedelta(1))
    assert drawn.accrued_minor(MONDAY) == 1_057_292, "175 days at 4.35% on 50 m"
    assert drawn.accrued_minor(MONDAY + timedelta(1)) == drawn.accrued_minor(MONDAY)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"calendar": Absent}, "loan.shift"), ({"shift": Absent}, "loan.shift"),
        ({"calendar": "XX"}, "calendar.not_found"), ({"maturity": date(2027, 1, 2)}, "calendar.not_covered"),
        ({"shift": "preceding", "available_until": date(2026, 8, 29)}, "loan.date"),
        ({"shift": "preceding", "available_until": date(2026, 8, 28)}, None),
    ],
)  # fmt: skip
def test_a_calendar_knows_the_day_on_which_a_loan_is_due(changes: dict[str, object], code: str | None) -> None:
    ledger = on_calendar(but(SHIFTED, id="other"))
    if code is None:
        apply(ledger, but(SHIFTED, **changes), by=["shop", "bank"])
        return
    with refused(ledger, code):
        ledger.apply(but(SHIFTED, **changes), by=["shop", "bank"])


def test_a_guarantee_of_it_outlasts_the_business_day() -> None:
    """A period that ends on the Monday itself would be over when the borrower has barely failed to pay."""
    for period_end, code in ((MONDAY, "guarantee.period"), (MONDAY + timedelta(1), None)):
        ledger = on_calendar(but(SHIFTED, id="other"))
        apply(ledger, but(OFFER, period_end=period_end), by=["guarantor"])
        covered = but(SHIFTED, guarantees=["G"])
        if code is None:
            apply(ledger, covered, by=["shop", "bank"])
            continue
        with refused(ledger, code):
            ledger.apply(covered, by=["shop", "bank"])


def test_an_extension_reads_the_newest_calendar() -> None:
    """3 October is a Saturday: a second version gives the week back, and the loan is due on Monday the 5th."""
    ledger = on_calendar()
    ledger.apply(but(CN, version=2, holidays=CN.holidays[:2]), by=KEEPERS)
    apply(ledger, do.ExtendLoan("L", date(2026, 10, 3)), by=["shop", "bank"])
    loan = ledger.get(Loan, "L")
    assert (loan.due_on, loan.calendar_version) == (date(2026, 10, 5), 2)
