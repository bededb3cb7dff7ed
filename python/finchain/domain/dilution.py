"""Dilution: how much of what a debtor confirmed was taken back by credit notes, over twelve months.

Lenders take it off what they lend on. The months are calendar months, of which the last is still running; a record
per debtor and currency keeps only them.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import ClassVar, Final

import msgspec

from finchain.calendar import add_months
from finchain.domain.arithmetic import WHOLE_BP, round_half_up
from finchain.domain.rule import Book, Record, record, refuse, up_to
from finchain.money import AMOUNT_MAX_MINOR

MONTHS: Final = 12
"""Trailing months: a year has every season once."""


class Month(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened in a calendar month, of which `first` is the first day."""

    first: date
    confirmed_minor: int
    credited_minor: int


@record
class Dilution(Record, frozen=True, kw_only=True):
    """A debtor's confirmations and credit notes. Its id is `<debtor> <currency>`.

    Attributes:
        months: At most 12, rising; months in which nothing happened are left out.
    """

    kind: ClassVar[str] = "dilution"

    months: tuple[Month, ...]

    def rate_bp(self, today: date) -> int:
        """Credited over confirmed in the twelve months that end with this one, in bp, at most the whole.

        More may be credited than was confirmed, where the confirmations are older: that too is the whole.
        """
        oldest = _oldest(today.replace(day=1))
        kept = [month for month in self.months if month.first >= oldest]
        confirmed, credited = sum(month.confirmed_minor for month in kept), sum(month.credited_minor for month in kept)
        if credited >= confirmed:
            return WHOLE_BP if credited else 0
        return round_half_up(credited * WHOLE_BP, confirmed)


def dilution_bp(book: Book, debtor: str, currency: str) -> int:
    """The debtor's dilution in a currency as of today, in bp; 0 where the ledger knows nothing."""
    held = book.find(Dilution, f"{debtor} {currency}")
    return 0 if held is None else held.rate_bp(book.today)


def count(book: Book, debtor: str, currency: str, *, confirmed_minor: int = 0, credited_minor: int = 0) -> None:
    """Counts what a debtor confirmed today, or what was credited to it; negative where this is reversed.

    Raises:
        Refused: `dilution.amount`, where a month's sum would leave what an amount can be.
    """
    if confirmed_minor == 0 and credited_minor == 0:
        return
    id, first = f"{debtor} {currency}", book.today.replace(day=1)
    held = book.find(Dilution, id)
    oldest = _oldest(first)
    months = [] if held is None else [month for month in held.months if month.first >= oldest]
    if not months or months[-1].first != first:
        months.append(Month(first, 0, 0))
    last = months[-1]
    last = Month(first, last.confirmed_minor + confirmed_minor, last.credited_minor + credited_minor)
    too_much = max(last.confirmed_minor, last.credited_minor) - AMOUNT_MAX_MINOR
    if too_much > 0:
        stated = max(confirmed_minor, credited_minor)
        refuse(
            "dilution.amount", f"the month's sum of {debtor} would exceed 2^53-1 minor units", field="amount_minor",
            value=stated, advice=up_to("state", stated - too_much, "the next month counts from 0"),
        )  # fmt: skip
    book.put(Dilution(id=id, months=(*months[:-1], last)))


@lru_cache(maxsize=MONTHS)
def _oldest(first: date) -> date:
    """The first of the twelve months that end with the one that begins on `first`."""
    return add_months(first, 1 - MONTHS)
