"""Dates and day counts in whole days; no time zones, no holidays, no floats.

The first day of a period counts, the last does not. Months end where they end: a month after 31 August is
30 September. Holiday calendars are not here, because they change by decree and so belong into a contract.
"""

from __future__ import annotations

import calendar as month_lengths
from datetime import date, timedelta
from typing import Literal

DayCount = Literal["act/360", "act/365f", "30e/360"]
"""How the days of an interest period are counted, and what a year has."""

DAYS_IN_YEAR: dict[DayCount, int] = {"act/360": 360, "act/365f": 365, "30e/360": 360}
"""The divisor of each day count: loans in China and dollars, sterling and Hong Kong, bonds."""


def count_days(start: date, end: date, day_count: DayCount) -> int:
    """Days of the period from `start` to `end`, the first counted and the last not.

    Args:
        start: First day, `start <= end`.
        end: The day on which interest stops.
        day_count: The convention of the contract.

    Raises:
        ValueError: `end` is before `start`, or the convention is unknown.
    """
    if end < start:
        raise ValueError(f"the period ends on {end}, before it starts on {start}")
    if day_count == "30e/360":
        months = 12 * (end.year - start.year) + end.month - start.month
        return 30 * months + min(end.day, 30) - min(start.day, 30)
    if day_count not in DAYS_IN_YEAR:
        raise ValueError(f"{day_count!r} is no day count; there are {', '.join(DAYS_IN_YEAR)}")
    return (end - start).days


def add_days(day: date, days: int) -> date:
    """The date so many days later, or earlier where `days` is negative.

    Raises:
        OverflowError: The date would be before year 1 or after year 9999.
    """
    return day + timedelta(days=days)


def add_months(day: date, months: int) -> date:
    """The same day so many months later, or the last of that month where it has no such day.

    Raises:
        ValueError: The date would be before year 1 or after year 9999.
    """
    year, month = divmod(12 * day.year + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise ValueError(f"{months} months from {day} is outside the calendar")
    return date(year, month + 1, min(day.day, month_lengths.monthrange(year, month + 1)[1]))


def exceeds_months(start: date, end: date, months: int) -> bool:
    """Whether a tenor from `start` to `end` is longer than so many calendar months."""
    return end > add_months(start, months)
