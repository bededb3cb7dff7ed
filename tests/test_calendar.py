"""Day counts and month ends, by the vectors of domain.md 2.10 and 2.12."""

from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finchain.calendar import (
    CLOSED_DAYS_MAX,
    DAYS_IN_YEAR,
    DayCount,
    Shift,
    add_days,
    add_months,
    count_days,
    discount_days,
    exceeds_months,
    shift_day,
    step_business_days,
)

DAYS = st.dates(date(1990, 1, 1), date(2090, 12, 31))


@pytest.mark.parametrize(
    ("start", "end", "actual", "thirty"),
    [
        (date(2026, 1, 31), date(2026, 2, 28), 28, 28),
        (date(2026, 2, 28), date(2026, 3, 31), 31, 32),
        (date(2024, 2, 28), date(2024, 3, 1), 2, 3),
        (date(2026, 3, 4), date(2026, 8, 31), 180, 176),
        (date(2026, 3, 18), date(2026, 8, 31), 166, 162),
        (date(2026, 5, 31), date(2026, 7, 31), 61, 60),
        (date(2026, 3, 4), date(2026, 3, 4), 0, 0),
    ],
)
def test_the_first_day_counts_and_the_last_does_not(start: date, end: date, actual: int, thirty: int) -> None:
    assert count_days(start, end, "act/360") == actual
    assert count_days(start, end, "act/365f") == actual
    assert count_days(start, end, "30e/360") == thirty


def test_a_period_does_not_run_backwards() -> None:
    for day_count in DAYS_IN_YEAR:
        with pytest.raises(ValueError, match="before it starts"):
            count_days(date(2026, 3, 4), date(2026, 3, 3), day_count)


def test_an_unknown_day_count_is_refused() -> None:
    unknown: DayCount = "act/act"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="no day count"):
        count_days(date(2026, 3, 4), date(2026, 3, 5), unknown)


@given(DAYS, DAYS, DAYS, st.sampled_from(["act/360", "act/365f"]))
def test_actual_days_of_adjoining_periods_add_up(a: date, b: date, c: date, day_count: DayCount) -> None:
    first, second, third = sorted((a, b, c))
    whole = count_days(first, third, day_count)
    assert whole == count_days(first, second, day_count) + count_days(second, third, day_count)


@given(DAYS, st.integers(1, 40))
def test_a_year_of_thirty_day_months_has_360_days(start: date, years: int) -> None:
    end = add_months(start, 12 * years)
    leap_end = start.month == 2 and start.day != end.day
    assert count_days(start, end, "30e/360") == 360 * years - (1 if leap_end else 0)


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2027, 8, 31), 6, date(2028, 2, 29)),
        (date(2026, 8, 31), 1, date(2026, 9, 30)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 3, 31), 0, date(2026, 3, 31)),
    ],
)
def test_months_end_where_they_end(day: date, months: int, later: date) -> None:
    assert add_months(day, months) == later


def test_months_outside_the_calendar_are_refused() -> None:
    assert add_months(date(9999, 11, 30), 1) == date(9999, 12, 30)
    with pytest.raises(ValueError, match="outside the calendar"):
        add_months(date(9999, 12, 31), 1)
    with pytest.raises(ValueError, match="outside the calendar"):
        add_months(date(1, 1, 1), -1)


@pytest.mark.parametrize(
    ("maturity", "warns", "refused"),
    [(date(2027, 2, 28), False, False), (date(2027, 3, 1), True, False), (date(2027, 8, 31), True, False),
     (date(2027, 9, 1), True, True)],
)  # fmt: skip
def test_tenors_of_a_certificate_of_31_august(maturity: date, warns: bool, refused: bool) -> None:
    # domain.md 2.12, vector 5.
    assert exceeds_months(date(2026, 8, 31), maturity, 6) is warns
    assert exceeds_months(date(2026, 8, 31), maturity, 12) is refused


@given(DAYS, st.integers(-10_000, 10_000))
def test_days_are_added_and_taken_off(day: date, days: int) -> None:
    assert add_days(day, days) - day == timedelta(days=days)
    assert add_days(add_days(day, days), -days) == day


# --- business days ----------------------------------------------------------------------------------------------


def on_weekdays(day: date) -> bool:
    return day.isoweekday() <= 5


@pytest.mark.parametrize(
    ("day", "following", "modified", "preceding"),
    [
        (date(2026, 8, 29), date(2026, 8, 31), date(2026, 8, 31), date(2026, 8, 28)),
        (date(2026, 5, 30), date(2026, 6, 1), date(2026, 5, 29), date(2026, 5, 29)),
        (date(2026, 5, 29), date(2026, 5, 29), date(2026, 5, 29), date(2026, 5, 29)),
    ],
)
def test_what_falls_on_a_free_day_is_moved(day: date, following: date, modified: date, preceding: date) -> None:
    shifts: tuple[Shift, ...] = ("none", "following", "modified_following", "preceding")
    assert [shift_day(day, shift, on_weekdays) for shift in shifts] == [day, following, modified, preceding]


def test_an_unknown_shift_or_a_closed_calendar_is_an_error() -> None:
    with pytest.raises(ValueError, match="no shift"):
        shift_day(date(2026, 5, 29), "sideways", on_weekdays)  # type: ignore[arg-type]  # what a caller may get wrong
    first = date(2026, 1, 1)
    reopens = add_days(first, CLOSED_DAYS_MAX)
    assert shift_day(first, "following", lambda day: day >= reopens) == reopens
    with pytest.raises(ValueError, match="free days"):
        shift_day(first, "following", lambda day: day > reopens)


@pytest.mark.parametrize(
    ("day", "days", "expected"),
    [(date(2026, 8, 31), -1, date(2026, 8, 28)), (date(2026, 8, 30), -1, date(2026, 8, 28)),
     (date(2026, 8, 28), 1, date(2026, 8, 31)), (date(2026, 8, 28), 6, date(2026, 9, 7)),
     (date(2026, 8, 29), 0, date(2026, 8, 29))],
)  # fmt: skip
def test_business_days_are_stepped_over(day: date, days: int, expected: date) -> None:
    assert step_business_days(day, days, on_weekdays) == expected


def test_whether_a_discount_runs_to_the_day_of_payment_is_the_contracts_choice() -> None:
    # domain.md 2.12, vector 26: maturity on a Saturday, 166 days, and payment on Monday.
    start, maturity = date(2026, 3, 16), date(2026, 8, 29)
    paid = shift_day(maturity, "following", on_weekdays)
    assert discount_days(start, maturity, paid, "act/360", extends=False) == 166
    assert discount_days(start, maturity, paid, "act/360", extends=True) == 168


# --- beside QuantLib --------------------------------------------------------------------------------------------

QUANTLIB = "QuantLib, a large library of pricing, is not installed; it is asked here for day counts and shifts alone"


@given(start=DAYS, length=st.integers(0, 4_000))
def test_day_counts_are_those_of_quantlib(start: date, length: int) -> None:
    ql = pytest.importorskip("QuantLib", reason=QUANTLIB)
    counters = {
        "act/360": ql.Actual360(),
        "act/365f": ql.Actual365Fixed(),
        "30e/360": ql.Thirty360(ql.Thirty360.EurobondBasis),
    }
    end = add_days(start, length)
    for name in DAYS_IN_YEAR:
        assert count_days(start, end, name) == counters[name].dayCount(quantlib_date(ql, start), quantlib_date(ql, end))


@given(day=DAYS, free=st.sets(st.integers(-20, 20)))
def test_shifts_are_those_of_quantlib(day: date, free: set[int]) -> None:
    ql = pytest.importorskip("QuantLib", reason=QUANTLIB)
    holidays = {add_days(day, n) for n in free}
    closed = ql.BespokeCalendar("test")
    for weekend in (ql.Saturday, ql.Sunday):
        closed.addWeekend(weekend)
    for each in holidays:
        closed.addHoliday(quantlib_date(ql, each))

    def is_open(each: date) -> bool:
        return on_weekdays(each) and each not in holidays

    names: dict[Shift, int] = {
        "none": ql.Unadjusted, "following": ql.Following, "modified_following": ql.ModifiedFollowing,
        "preceding": ql.Preceding,
    }  # fmt: skip
    for shift, convention in names.items():
        moved = closed.adjust(quantlib_date(ql, day), convention)
        assert shift_day(day, shift, is_open) == date(moved.year(), moved.month(), moved.dayOfMonth())
    for each in holidays:
        closed.removeHoliday(quantlib_date(ql, each))


def quantlib_date(ql: ModuleType, day: date) -> Any:
    return ql.Date(day.day, day.month, day.year)
