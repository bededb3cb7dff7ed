"""What a loan's balances earn: histories of balances, and interest worked out from them when it is posted.

Nothing is accrued day by day and nothing is rounded before it is posted. Until then a loan keeps what each draw
amounted to since when, from which anybody can work out the same interest with pencil and paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal

import msgspec

from finchain.calendar import DAYS_IN_YEAR, DayCount, count_days
from finchain.domain.arithmetic import Rate, Segment, interest_of

RoundAt = Literal["segment", "draw", "settlement"]
"""Where interest is rounded: for each stretch of equal balance, for each draw, or once for all. It is a term of the
contract, because the three can differ by a cent."""


class Balance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was outstanding from a day on, until the next entry."""

    since: date
    outstanding_minor: int


Balances = tuple[Balance, ...]


class RateStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rate that holds from a day on, until the next step."""

    since: date
    rate: Rate


Rates = tuple[RateStep, ...]


def always(rate: Rate) -> Rates:
    """One rate for all days."""
    return (RateStep(date.min, rate),)


def changed(balances: Balances, on: date, outstanding_minor: int) -> Balances:
    """The history with another balance from a day on, `on >= balances[-1].since`."""
    kept = balances[:-1] if balances and balances[-1].since == on else balances
    return (*kept, Balance(on, outstanding_minor))


def without(balances: Balances, amount_minor: int) -> Balances:
    """The history as if so much had never been lent; each balance is at least that much."""
    return tuple(Balance(each.since, each.outstanding_minor - amount_minor) for each in balances)


def interest_between(
    draws: Sequence[Balances], start: date, end: date, rates: Rates, day_count: DayCount, round_at: RoundAt
) -> int:
    """Interest on the balances from one day to another, the first counted and the last not.

    Args:
        draws: History of each draw, by rising date.
        start: First day that earns.
        end: First day that earns no more; 0 is earned where it is not after `start`.
        rates: Rate per year from a day on, by rising day; nothing is earned before the first.
        day_count: How days are counted.
        round_at: Where it is rounded; a change of the rate begins another segment.
    """
    timelines = draws if round_at == "draw" else [_together(draws)]
    year = DAYS_IN_YEAR[day_count]
    earned = 0
    for timeline in timelines:
        segments = [
            Segment(amount, step.rate, count_days(since, until, day_count), year)
            for step, first, last in _held(rates, start, end)
            for since, until, amount in _stretches(timeline, first, last)
        ]
        groups = [[segment] for segment in segments] if round_at == "segment" else [segments]
        earned += sum(interest_of(group) for group in groups)
    return earned


def _held(rates: Rates, start: date, end: date) -> list[tuple[RateStep, date, date]]:
    """Each step of a rate, with the day from which and the day until which it holds between two days."""
    ends = [*(step.since for step in rates[1:]), end]
    return [
        (step, max(step.since, start), min(until, end)) for step, until in zip(rates, ends, strict=True)
    ]  # fmt: skip


def _together(draws: Iterable[Balances]) -> Balances:
    """The history of the sum of several histories."""
    draws = list(draws)
    days = sorted({each.since for balances in draws for each in balances})
    return tuple(Balance(day, sum(_on(balances, day) for balances in draws)) for day in days)


def _on(balances: Balances, day: date) -> int:
    return next((each.outstanding_minor for each in reversed(balances) if each.since <= day), 0)


def _stretches(timeline: Balances, start: date, end: date) -> list[tuple[date, date, int]]:
    """The parts of a timeline between two days, as first day, day after the last, and balance."""
    if not timeline:
        return []
    ends = [*(each.since for each in timeline[1:]), end]
    return [
        (max(each.since, start), min(until, end), each.outstanding_minor)
        for each, until in zip(timeline, ends, strict=True)
        if max(each.since, start) < min(until, end)
    ]
