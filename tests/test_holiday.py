"""Calendars are facts in versions; a contract keeps the version that it was made with, and reads no later one."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.certificate import Certificate
from finchain.domain.holiday import CLOSED_DAYS_MAX, Calendar, CalendarYear, opening
from finchain.domain.receivable import Receivable

# In 2026 the State Council made 1 to 7 October free, and 10 October, a Saturday, a working day.
GOLDEN_WEEK = [date(2026, 10, day) for day in (1, 2, 5, 6, 7)]
CN = do.SetCalendar("CN", 1, 2026, [6, 7], GOLDEN_WEEK, [date(2026, 10, 10)], digest("decree"))
KEEPERS = {"registrar", "operator"}


@pytest.fixture
def ledger() -> MemoryBook:
    """A town with a calendar of 2026."""
    ledger = town()
    ledger.apply(CN, by=KEEPERS)
    return ledger


def submit(due: date, shift: str = "following", **changes: object) -> do.SubmitReceivable:
    claim = do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", due, "INV-7", calendar="CN")
    return msgspec.structs.replace(claim, shift=shift, **changes)


def claim(ledger: MemoryBook) -> Receivable:
    return ledger.get(Receivable, "R-1")


def test_a_registrar_and_the_operator_set_a_year() -> None:
    ledger = town()
    for missing in KEEPERS:
        with refused(ledger, "calendar.not_signed"):
            ledger.apply(CN, by=KEEPERS - {missing} | {"bank"})
    ledger.apply(CN, by=KEEPERS)
    year = ledger.get(CalendarYear, "CN 1")
    assert [year.is_business_day(date(2026, 10, day)) for day in (1, 3, 8, 9, 10, 11, 12)] == [
        False, False, True, True, True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "C N"}, "calendar.identifier"), ({"version": 1}, "calendar.stale_version"),
        ({"version": 3}, "calendar.stale_version"), ({"year": 1989}, "calendar.range"),
        ({"year": 2201}, "calendar.range"), ({"weekend": [7, 6]}, "calendar.weekend"),
        ({"weekend": [0]}, "calendar.weekend"), ({"weekend": [8]}, "calendar.weekend"),
        ({"weekend": [6, 6]}, "calendar.weekend"), ({"weekend": [1, 2, 3, 4, 5, 6, 7]}, "calendar.weekend"),
        ({"holidays": [date(2027, 10, 1)]}, "calendar.days"), ({"holidays": [date(2026, 10, 3)]}, "calendar.days"),
        ({"holidays": [date(2026, 10, 2), date(2026, 10, 1)]}, "calendar.days"),
        ({"holidays": [date(2026, 10, 1), date(2026, 10, 1)]}, "calendar.days"),
        ({"workdays": [date(2026, 10, 9)]}, "calendar.days"), ({"decree": "x"}, "calendar.digest"),
    ],
)  # fmt: skip
def test_a_calendar_that_makes_no_sense_is_refused(ledger: MemoryBook, changes: dict[str, object], code: str) -> None:
    second = msgspec.structs.replace(CN, version=2, **{k: v for k, v in changes.items() if k != "version"})
    if "version" in changes:
        second = msgspec.structs.replace(second, **changes)
    if code == "calendar.identifier":
        second = msgspec.structs.replace(second, version=1)
    with refused(ledger, code):
        ledger.apply(second, by=KEEPERS)


@pytest.mark.parametrize("days", [CLOSED_DAYS_MAX, CLOSED_DAYS_MAX + 1])
def test_banks_are_never_closed_for_very_long(ledger: MemoryBook, days: int) -> None:
    closed = [date(2026, 6, 1) + timedelta(days=n) for n in range(days)]
    long = msgspec.structs.replace(CN, version=2, weekend=[], workdays=[], holidays=closed)
    if days > CLOSED_DAYS_MAX:
        with refused(ledger, "calendar.closure"):
            ledger.apply(long, by=KEEPERS)
    else:
        ledger.apply(long, by=KEEPERS)


def test_the_longest_closures_of_two_years_are_looked_through(ledger: MemoryBook) -> None:
    ends = [date(2026, 12, 31) - timedelta(days=n) for n in range(CLOSED_DAYS_MAX)]
    begins = [date(2027, 1, 1) + timedelta(days=n) for n in range(CLOSED_DAYS_MAX)]
    for version, year, days in ((2, 2026, sorted(ends)), (3, 2027, begins)):
        change = msgspec.structs.replace(CN, version=version, year=year, weekend=[], workdays=[], holidays=days)
        ledger.apply(change, by=KEEPERS)
    ledger.apply(submit(date(2026, 12, 2)), by={"shop"})
    assert claim(ledger).payable == date(2027, 1, 31)


@pytest.mark.parametrize(
    ("due", "shift", "payable"),
    [
        (date(2026, 10, 3), "following", date(2026, 10, 8)), (date(2026, 10, 3), "preceding", date(2026, 9, 30)),
        (date(2026, 10, 3), "modified_following", date(2026, 10, 8)), (date(2026, 10, 3), "none", date(2026, 10, 3)),
        (date(2026, 10, 10), "following", date(2026, 10, 10)), (date(2026, 10, 31), "following", date(2026, 11, 2)),
        (date(2026, 10, 31), "modified_following", date(2026, 10, 30)),
        (date(2026, 9, 30), "following", date(2026, 9, 30)),
    ],
)  # fmt: skip
def test_a_due_date_moves_to_a_business_day(ledger: MemoryBook, due: date, shift: str, payable: date) -> None:
    ledger.apply(submit(due, shift), by={"shop"})
    assert (claim(ledger).due, claim(ledger).payable, claim(ledger).calendar_version) == (due, payable, 1)
    assert not claim(ledger).overdue(payable) and claim(ledger).overdue(payable + timedelta(days=1))


def test_a_claim_keeps_the_version_that_it_was_made_with(ledger: MemoryBook) -> None:
    ledger.apply(submit(date(2026, 10, 3)), by={"shop"})
    longer = msgspec.structs.replace(CN, version=2, holidays=[*GOLDEN_WEEK, date(2026, 10, 8)])
    ledger.apply(longer, by=KEEPERS)
    assert ledger.get(Calendar, "CN").version == 2
    assert (claim(ledger).payable, claim(ledger).calendar_version) == (date(2026, 10, 8), 1)
    again = submit(date(2026, 10, 3), id="R-2", invoice="INV-8")
    ledger.apply(again, by={"shop"})
    assert ledger.get(Receivable, "R-2").payable == date(2026, 10, 9)
    # Both sides may take the new version on, by agreeing on the due date again.
    ledger.apply(do.AmendReceivable("R-1", due=date(2026, 10, 3)), by={"shop", "core"})
    assert (claim(ledger).payable, claim(ledger).calendar_version) == (date(2026, 10, 9), 2)


def test_a_year_that_nobody_has_set_is_not_guessed(ledger: MemoryBook) -> None:
    for due, shift in ((date(2027, 1, 2), "following"), (date(2026, 12, 27), "none")):
        if shift == "none":
            ledger.copy().apply(submit(due, shift), by={"shop"})
            continue
        with refused(ledger, "calendar.not_covered"):
            ledger.apply(submit(due, shift), by={"shop"})
    ledger.apply(msgspec.structs.replace(CN, version=2, year=2027, holidays=[], workdays=[]), by=KEEPERS)
    ledger.apply(submit(date(2027, 1, 2)), by={"shop"})
    assert claim(ledger).payable == date(2027, 1, 4)
    # The second version knows both years; the first still knows one.
    assert opening(ledger.book(), "CN", 2)(date(2026, 10, 10))


def test_calendar_and_shift_belong_together(ledger: MemoryBook) -> None:
    for changes in ({"calendar": msgspec.UNSET}, {"shift": msgspec.UNSET}):
        with refused(ledger, "receivable.shift"):
            ledger.apply(msgspec.structs.replace(submit(date(2026, 10, 3)), **changes), by={"shop"})
    with refused(ledger, "calendar.not_found"):
        ledger.apply(submit(date(2026, 10, 3), calendar="XX"), by={"shop"})


def test_the_cut_off_of_a_certificate_counts_business_days_where_there_is_a_calendar(ledger: MemoryBook) -> None:
    ledger.apply(do.SubmitReceivable("R-1", "shop", "core", 1_000_000, "CNY", date(2026, 10, 8), "I"), by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 1_000_000), by={"core"})
    for id, calendar, cut_off in (("C-1", "CN", date(2026, 9, 30)), ("C-2", msgspec.UNSET, date(2026, 10, 7))):
        issue = do.IssueCertificate(
            id, "core", "shop", 500_000, "CNY", date(2026, 10, 8), [do.ClaimShare("R-1", 500_000)], "clearer",
            "pro_solvendo", calendar=calendar,
        )  # fmt: skip
        ledger.apply(issue, by={"core"})
        assert ledger.get(Certificate, id).cut_off == cut_off
    ledger.apply(do.AcceptCertificate("C-1"), by={"shop"})
    offer = do.OfferTransfer("C-1 1", "tier2", 500_000, digest("trade"), False)
    ledger.move_to(date(2026, 9, 30))
    ledger.copy().apply(offer, by={"shop"})
    ledger.advance(1)
    with refused(ledger, "certificate.cut_off"):
        ledger.apply(offer, by={"shop"})
