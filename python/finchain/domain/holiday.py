"""Calendars of business days: facts that a registrar and the operator sign, in numbered versions that never change.

Holidays are decreed year by year, and weekends become working days by the same decree, so nothing is computed here. A
contract keeps the calendar's name and version and reads what that version knew; a later version changes no contract.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import ClassVar, Final

from finchain.calendar import Shift, add_days, shift_day, step_business_days
from finchain.domain.check import check_digest, check_identifier
from finchain.domain.party import require_any
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, record, refuse, rule

YEARS: Final = (1990, 2200)
"""Years that a calendar may have."""

VERSIONS_MAX: Final = 1_000
"""Versions of one calendar: some for every year of `YEARS`, in a record that stays small."""

CLOSED_DAYS_MAX: Final = 30
"""Free days on end in one year. Twice as many, over a new year, are fewer than `finchain.calendar` looks through."""


@record
class Calendar(Record, frozen=True, kw_only=True):
    """A calendar, by its name.

    Attributes:
        years: The year that each version set: the first is version 1.
    """

    kind: ClassVar[str] = "calendar"

    years: tuple[int, ...]

    @property
    def version(self) -> int:
        """The newest version."""
        return len(self.years)


@record
class CalendarYear(Record, frozen=True, kw_only=True):
    """One year in one version. Its id is `<calendar> <version>`.

    Attributes:
        weekend: Days of the week that are free, 1 for Monday to 7 for Sunday.
        holidays: Further free days.
        workdays: Days of the weekend that are worked.
        decree: SHA-256 of the decree that it follows.
    """

    kind: ClassVar[str] = "calendar_year"

    year: int
    weekend: tuple[int, ...]
    holidays: tuple[date, ...]
    workdays: tuple[date, ...]
    decree: str

    def is_business_day(self, day: date) -> bool:
        """Whether banks work on a day of this year."""
        if day in self.holidays:
            return False
        return day.isoweekday() not in self.weekend or day in self.workdays


class SetCalendar(Instruction, frozen=True, tag="calendar.set"):
    """Sets a year of a calendar. Signed by a registrar and the operator.

    Attributes:
        id: Name of the calendar, for example `CN`.
        version: One more than the newest; so that two that change it at a time do not overwrite each other unseen.
        weekend: Days of the week that are free, 1 for Monday to 7 for Sunday.
        holidays: Further free days, rising.
        workdays: Days of the weekend that are worked, rising.
        decree: SHA-256 of the decree that it follows.
    """

    id: str
    version: int
    year: int
    weekend: list[int]
    holidays: list[date]
    workdays: list[date]
    decree: str


_FULL: Final = f"{NONE}: a calendar has {VERSIONS_MAX} versions; go on under another id"


@rule(SetCalendar)
def _set(do: SetCalendar, book: Book) -> None:
    check_identifier("calendar", do.id)
    require_any(book, "calendar", "registrar")
    require_any(book, "calendar", "operator")
    held = book.find(Calendar, do.id)
    years = () if held is None else held.years
    if do.version != len(years) + 1:
        refuse(
            "calendar.stale_version", f"the newest version of {do.id} is {len(years)}", rule="business days",
            field="version", value=do.version,
            advice=f"look at it, and state version {len(years) + 1}" if len(years) < VERSIONS_MAX else _FULL,
        )  # fmt: skip
    if len(years) >= VERSIONS_MAX or not YEARS[0] <= do.year <= YEARS[1]:
        refuse("calendar.range", f"no version of the year {do.year} is added", field="year", value=do.year,
               advice=f"state {YEARS[0]} to {YEARS[1]}" if len(years) < VERSIONS_MAX else _FULL)  # fmt: skip
    _check_days(do)
    check_digest("calendar", do.decree, "decree")
    set_year = CalendarYear(
        id=f"{do.id} {do.version}", year=do.year, weekend=tuple(do.weekend), holidays=tuple(do.holidays),
        workdays=tuple(do.workdays), decree=do.decree,
    )  # fmt: skip
    _check_closures(set_year)
    book.put(Calendar(id=do.id, years=(*years, do.year)))
    book.put(set_year)


def _check_days(do: SetCalendar) -> None:
    """Refuses days out of order, of another year, or that say nothing: what is unclear to a person is an error."""
    weekend = do.weekend
    if weekend != sorted(set(weekend)) or any(not 1 <= day <= 7 for day in weekend) or len(weekend) > 6:
        refuse("calendar.weekend", f"{weekend} is no weekend", field="weekend", value=len(weekend),
               advice="state days from 1 for Monday to 7 for Sunday, rising, at most 6")  # fmt: skip
    for field, days, on_weekend in (("holidays", do.holidays, False), ("workdays", do.workdays, True)):
        for before, day in zip([None, *days], days, strict=False):
            wrong = day.year != do.year or (before is not None and day <= before)
            if wrong or (day.isoweekday() in weekend) is not on_weekend:
                refuse(
                    "calendar.days", f"{day} is no such day of {do.year}", field=field, value=str(day),
                    advice="state days of the year, each once, rising: holidays off the weekend, workdays on it",
                )  # fmt: skip


def _check_closures(year: CalendarYear) -> None:
    closed, day = 0, date(year.year, 1, 1)
    while day.year == year.year:
        closed = 0 if year.is_business_day(day) else closed + 1
        if closed > CLOSED_DAYS_MAX:
            refuse("calendar.closure", f"the {CLOSED_DAYS_MAX} days before {day} are free already", field="holidays",
                   value=str(day), advice=f"leave a business day in every {CLOSED_DAYS_MAX + 1} days")  # fmt: skip
        day = add_days(day, 1)


def opening(book: Book, calendar: str, version: int) -> Callable[[date], bool]:
    """Whether a day is a business day, by what a version of a calendar knew.

    Raises:
        Refused: `calendar.not_found`; the function that is returned raises `calendar.not_covered` for a day of a year
            that the version does not know: weekends alone are not what banks do.
    """
    years = book.get(Calendar, calendar, field="calendar").years[:version]

    def is_business_day(day: date) -> bool:
        for number in range(len(years), 0, -1):
            if years[number - 1] == day.year:
                return book.get(CalendarYear, f"{calendar} {number}").is_business_day(day)
        refuse(
            "calendar.not_covered", f"version {version} of {calendar} does not know {day.year}", rule="business days",
            field="calendar", value=calendar, advice=f"name an earlier day, or have {day.year} set first",
        )  # fmt: skip

    return is_business_day


def newest(book: Book, calendar: str) -> int:
    """The newest version, which a contract made today keeps.

    Raises:
        Refused: `calendar.not_found`.
    """
    return book.get(Calendar, calendar, field="calendar").version


def shifted(book: Book, calendar: str, version: int, day: date, shift: Shift) -> date:
    """The business day on which what falls on a day is done.

    Raises:
        Refused: `calendar.not_found`, `calendar.not_covered`.
    """
    return shift_day(day, shift, opening(book, calendar, version))


def check_shift(kind: str, calendar: str | Optional, shift: Shift | Optional) -> None:
    """Refuses a shift without the calendar by which it moves, and a calendar that then moves nothing.

    Raises:
        Refused: `<kind>.shift`.
    """
    if (calendar is Absent) is not (shift is Absent):
        refuse(f"{kind}.shift", "a calendar without a shift moves nothing, nor a shift without a calendar",
               rule="business days", field="shift", advice="state both or none")  # fmt: skip


def payable_on(book: Book, day: date, calendar: str | Optional, shift: Shift | Optional) -> date:
    """The day on which what is due on a day is paid, by the newest version of the calendar of a contract of today.

    Raises:
        Refused: `calendar.not_found`, `calendar.not_covered`.
    """
    if calendar is Absent or shift is Absent:
        return day
    return shifted(book, calendar, newest(book, calendar), day, shift)


def days_from(book: Book, day: date, days: int, calendar: str | Optional) -> date:
    """The day so many business days after another, or before it where `days` is negative.

    They are calendar days where no calendar is named.

    Raises:
        Refused: `calendar.not_found`, `calendar.not_covered`.
    """
    if calendar is Absent:
        return add_days(day, days)
    return step_business_days(day, days, opening(book, calendar, newest(book, calendar)))
