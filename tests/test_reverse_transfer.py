"""A transfer that was an error is undone by both within the month, and only while nothing has come of it."""

from __future__ import annotations

from datetime import date

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.certificate import Lot
from finchain.domain.rule import Absent
from stories import ACCOUNT, LOAN, apply, but, held, transferred

REVERSE = do.ReverseTransfer("C 1")
BOTH = ["shop", "tier2"]


def borrowed(ledger: MemoryBook) -> None:
    """The second tier pledges the lot that it was given, for a loan of its own."""
    ledger.register("lender2", "lender", "controller")
    apply(ledger, but(ACCOUNT, id="ctl-2", owner="tier2", bank="bank"), by=["tier2", "bank"])
    loan = but(LOAN, id="L2", borrower="tier2", account="ctl-2", limit_minor=1_000_000)
    pledge = do.PledgeLot("C 1", 36_000_000, "L2", "0306-7", ledger.today, digest("pledge"))
    apply(ledger, loan, pledge, by=["tier2", "bank"])


def test_the_lot_is_as_it_was_before() -> None:
    ledger = held()
    before = ledger.get(Lot, "C 1")
    apply(ledger, do.OfferTransfer("C 1", "tier2", before.live_minor, digest("t"), recourse=True), by=["shop"])
    apply(ledger, do.AcceptTransfer("C 1"), by=["tier2"])
    given = ledger.get(Lot, "C 1")
    assert (given.holder, given.source, given.recourse, given.taken) == ("tier2", "shop", ("shop",), ledger.today)
    apply(ledger, REVERSE, by=BOTH)
    assert ledger.get(Lot, "C 1") == before
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(REVERSE, by=BOTH)


def test_vector_21_what_was_pledged_since_is_not_taken_back() -> None:
    ledger = transferred()
    borrowed(ledger)
    with refused(ledger, "certificate.depends"):
        ledger.apply(REVERSE, by=BOTH)


def test_what_was_offered_since_is_not_taken_back_while_the_offer_stands() -> None:
    ledger = transferred()
    offer = do.OfferTransfer("C 1", "factor", 36_000_000, digest("t"), recourse=False, until=ledger.today)
    apply(ledger, offer, by=["tier2"])
    with refused(ledger, "certificate.depends"):
        ledger.apply(REVERSE, by=BOTH)
    ledger.advance(1)
    apply(ledger, REVERSE, by=BOTH)
    assert ledger.get(Lot, "C 1").offer is Absent


@pytest.mark.parametrize(("day", "code"), [(date(2026, 3, 31), None), (date(2026, 4, 1), "certificate.period")])
def test_a_closed_month_is_not_opened(day: date, code: str | None) -> None:
    ledger = transferred()
    ledger.move_to(day)
    if code is None:
        apply(ledger, REVERSE, by=BOTH)
        assert ledger.get(Lot, "C 1").holder == "shop"
    else:
        with refused(ledger, code):
            ledger.apply(REVERSE, by=BOTH)


@pytest.mark.parametrize("by", [["shop"], ["tier2"], ["tier2", "core"]])
def test_both_sign(by: list[str]) -> None:
    ledger = transferred()
    with refused(ledger, "certificate.not_signed"):
        ledger.apply(REVERSE, by=by)


def test_what_was_never_transferred_or_was_sold_is_not_reversed() -> None:
    ledger = transferred()
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.ReverseTransfer("C 36000001"), by=BOTH)
    sale = do.OfferSale(
        "C 1", "factor", 36_000_000, 36_000_000, do.Rate(0, 10_000), "act/360", ledger.today, recourse=False
    )
    apply(ledger, sale, by=["tier2"])
    apply(ledger, do.AcceptSale("C 1"), by=["factor"])
    apply(ledger, do.SettleSale("C 1", 36_000_000, "DVP-1", digest("dvp")), by=["clearer"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(REVERSE, by=["factor", "tier2"])
