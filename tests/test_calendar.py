"""Day counts and month ends, by the vectors of domain.md 2.10 and 2.12."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finchain.calendar import DAYS_IN_YEAR, DayCount, add_days, add_months, count_days, exceeds_months

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
