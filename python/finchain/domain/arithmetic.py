"""How the ledger rounds, divides and accrues. Integers only, one rounding per posted amount.

Every function here is exact until its single rounding, which is half up on the absolute value, as banks do by
hand. None looks at a date or a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd
from typing import Final, NamedTuple

import msgspec

WHOLE_BP: Final = 10_000
"""A share of everything, in basis points."""

RATE_SCALE_MAX = 10**12
"""Largest scale of a rate: twelve decimals are more than any contract or central bank quotes."""

RATE_MAX_PER_YEAR = 100
"""Largest rate, as a multiple of the amount in a year: 10,000 per cent is a slip of the pen, not a rate."""


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rate per year as `value / scale`: 4.35 per cent is `Rate(435, 10_000)`."""

    value: int
    scale: int

    def __str__(self) -> str:
        whole, rest = divmod(self.value * 100, self.scale)
        digits = ""
        while rest and len(digits) < 12:
            digit, rest = divmod(rest * 10, self.scale)
            digits += str(digit)
        return f"{whole}.{digits or '0'}%"


def heavier(first: Rate, second: Rate) -> Rate:
    """The higher of two rates; of equal ones the first."""
    return second if second.value * first.scale > first.value * second.scale else first


class Segment(NamedTuple):
    """A stretch of days over which an amount and its rate stay the same."""

    amount_minor: int
    rate: Rate
    days: int
    days_in_year: int


def round_half_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest integer, a half away from zero.

    Raises:
        ValueError: `denominator` is not positive.
    """
    if denominator <= 0:
        raise ValueError(f"the denominator is {denominator}, it must be positive")
    rounded = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -rounded if numerator < 0 else rounded


def interest(amount_minor: int, rate: Rate, days: int, days_in_year: int) -> int:
    """Interest, discount or fee on one amount, rounded once.

    Args:
        amount_minor: What it is charged on.
        rate: Rate per year.
        days: Days counted, `days >= 0`.
        days_in_year: 360 or 365, by the contract's day count.
    """
    return round_half_up(amount_minor * rate.value * days, rate.scale * days_in_year)


def interest_of(segments: Iterable[Segment]) -> int:
    """Interest over several segments, summed exactly and rounded once.

    Rounding each segment may differ by a cent from rounding the sum; which of both holds is the contract's choice.
    """
    numerator, denominator = 0, 1
    for amount_minor, rate, days, days_in_year in segments:
        divisor = rate.scale * days_in_year
        common = denominator // gcd(denominator, divisor) * divisor
        numerator = numerator * (common // denominator) + amount_minor * rate.value * days * (common // divisor)
        denominator = common
    return round_half_up(numerator, denominator)


def share_pro_rata(total: int, weights: Sequence[int]) -> list[int]:
    """Rule P: divides `total` over `weights` so that the parts sum to it exactly.

    Everyone gets the whole units of its share; the units left over go to the largest fractions, and of equal
    fractions to the lower index. No part is above its weight while `total <= sum(weights)`.

    Args:
        total: Units to divide, `total >= 0`.
        weights: One per part, each `>= 0`, at least one `> 0` unless `total` is 0.

    Raises:
        ValueError: `total` or a weight is negative, or there is nothing to divide it over.
    """
    whole = sum(weights)
    if total < 0 or any(weight < 0 for weight in weights):
        raise ValueError("neither the total nor a weight may be negative")
    if whole == 0:
        if total:
            raise ValueError(f"{total} cannot be divided over weights that sum to 0")
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    fractions = [total * weight % whole for weight in weights]
    by_fraction = sorted(range(len(weights)), key=lambda index: (-fractions[index], index))
    for index in by_fraction[: total - sum(parts)]:
        parts[index] += 1
    return parts


def share_within(total: int, weights: Sequence[int], lows: Sequence[int], highs: Sequence[int]) -> list[int]:
    """Divides `total` over `weights` by rule P, but no part below its low or above its high.

    A part that would be out of its bounds stands at the bound, and the others share what that leaves, until all hold.
    Raising the low of a part to what it has got changes no part, so it does not matter who is served first.

    Args:
        total: Units to divide, `sum(lows) <= total <= sum(highs)`.
        weights: One per part, each `>= 0`, and `> 0` where its high is.
        lows: Least that each part gets, `0 <= low <= high`.
        highs: Most that each part gets.

    Raises:
        ValueError: `total` is not within the sums of the bounds.
    """
    if not sum(lows) <= total <= sum(highs):
        raise ValueError(f"{total} cannot be divided into parts that sum to {sum(lows)} up to {sum(highs)}")
    parts = list(lows)
    waiting = [index for index in range(len(weights)) if lows[index] < highs[index]]
    left = total - sum(lows) + sum(lows[index] for index in waiting)
    while waiting:
        shares = share_pro_rata(left, [weights[index] for index in waiting])
        for index, share in zip(waiting, shares, strict=True):
            parts[index] = min(max(share, lows[index]), highs[index])
        off = [parts[index] - share for index, share in zip(waiting, shares, strict=True)]
        moved = sum(off)
        # Where the bounds gave more than they took, the parts at their low are settled; else those at their high.
        settled = {index for index, change in zip(waiting, off, strict=True) if change * moved > 0}
        if not settled:
            break
        left -= sum(parts[index] for index in settled)
        waiting = [index for index in waiting if index not in settled]
    return parts


def equal_parts(total: int, count: int) -> list[int]:
    """Instalments: `count` equal parts, floored, of which the last also takes the rest.

    Raises:
        ValueError: `total` is negative or `count` is not positive.
    """
    if total < 0 or count < 1:
        raise ValueError(f"{total} cannot be divided into {count} instalments")
    part = total // count
    return [part] * (count - 1) + [total - part * (count - 1)]
