"""Dates, day counts and business-day shifts in whole days; no time zones, no holidays, no floats.

The first day of a period counts, the last does not. Months end where they end: a month after 31 August is
30 September. Which days are business days the caller says: holidays change by decree and so belong into a contract.
"""

from __future__ import annotations

import calendar as month_lengths
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, Literal

DayCount = Literal["act/360", "act/365f", "30e/360"]
"""How the days of an interest period are counted, and what a year has."""

DAYS_IN_YEAR: dict[DayCount, int] = {"act/360": 360, "act/365f": 365, "30e/360": 360}
"""The divisor of each day count: loans in China and dollars, sterling and Hong Kong, bonds."""

Shift = Literal["none", "following", "modified_following", "preceding"]
"""Where what falls on a free day is moved: nowhere, to the next business day, to the next unless that is in another
month and then to the one before, or to the one before."""

CLOSED_DAYS_MAX: Final = 60
"""More free days on end than this are a fault in a calendar: the longest closures of banks were some weeks."""


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


def shift_day(day: date, shift: Shift, is_business_day: Callable[[date], bool]) -> date:
    """The day on which what falls on `day` is done.

    Raises:
        ValueError: No business day is near, or the shift is unknown.
    """
    if shift == "none":
        return day
    if shift == "following":
        return _nearest(day, 1, is_business_day)
    if shift == "preceding":
        return _nearest(day, -1, is_business_day)
    if shift != "modified_following":
        raise ValueError(f"{shift!r} is no shift of business days")
    later = _nearest(day, 1, is_business_day)
    return later if later.month == day.month else _nearest(day, -1, is_business_day)


def step_business_days(day: date, days: int, is_business_day: Callable[[date], bool]) -> date:
    """The business day so many business days later, or earlier where `days` is negative; `day` itself need not be one.

    Raises:
        ValueError: No business day is near.
    """
    step = 1 if days > 0 else -1
    for _ in range(abs(days)):
        day = _nearest(day + timedelta(days=step), step, is_business_day)
    return day


def discount_days(start: date, maturity: date, paid: date, day_count: DayCount, *, extends: bool) -> int:
    """Days of a discount where maturity is moved to a business day: up to it only if the contract extends them.

    Args:
        start: The day on which the buyer pays.
        maturity: The day that the contract names.
        paid: The business day to which it is moved, in either direction.
        day_count: The convention of the contract.
        extends: Whether the contract counts to the day of payment.
    """
    return count_days(start, paid if extends else maturity, day_count)


def _nearest(day: date, step: int, is_business_day: Callable[[date], bool]) -> date:
    for _ in range(CLOSED_DAYS_MAX + 1):
        if is_business_day(day):
            return day
        day += timedelta(days=step)
    raise ValueError(f"there are more than {CLOSED_DAYS_MAX} free days on end beside {day}")
