"""Creditor and debtor change a claim as they like, until the debtor knows of somebody who would be harmed."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.receivable import Receivable

DUE = date(2026, 8, 31)
LATER = do.AmendReceivable("R-1", due=date(2026, 12, 31))
BOTH = {"shop", "core"}


@pytest.fixture
def ledger() -> MemoryBook:
    """A claim of 1,000, of which 300 are assigned to the factor and 200 pledged to the bank."""
    ledger = town()
    submit = do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", DUE, "INV-7", issued=date(2026, 3, 1))
    ledger.apply(submit, by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 600), by={"core"})
    ledger.apply(do.AssignReceivable("A-1", "R-1", "factor", 300), by={"shop", "factor"})
    pledge = do.PledgeReceivable("P-1", "R-1", "bank", 200, "0123", ledger.time_ms, digest("collateral"))
    ledger.apply(pledge, by={"shop", "bank"})
    return ledger


def test_before_notice_the_two_sides_are_alone(ledger: MemoryBook) -> None:
    for missing in BOTH:
        with refused(ledger, "receivable.not_signed"):
            ledger.apply(LATER, by=BOTH - {missing} | {"factor", "bank"})
    ledger.apply(LATER, by=BOTH)
    claim = ledger.get(Receivable, "R-1")
    assert claim.due == date(2026, 12, 31)
    assert not claim.overdue(date(2026, 12, 31)) and claim.overdue(date(2027, 1, 1))


@pytest.mark.parametrize(("part", "holder"), [("A-1", "factor"), ("P-1", "bank")])
def test_after_notice_the_holder_signs_too(ledger: MemoryBook, part: str, holder: str) -> None:
    """Civil Code 765."""
    ledger.apply(do.NotifyDebtor(part, holder, digest("n")), by={holder})
    with refused(ledger, "receivable.not_signed") as refusal:
        ledger.apply(LATER, by=BOTH)
    assert (refusal.value.rule, refusal.value.value) == ("Civil Code 765", holder)
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(LATER, by=BOTH, service={holder})
    ledger.copy().apply(LATER, by={*BOTH, holder})
    ledger.apply(do.ReleaseReceivable(part, 300 if holder == "factor" else 200), by={holder})
    ledger.apply(LATER, by=BOTH)


def test_a_holder_whose_part_is_disputed_still_has_a_say(ledger: MemoryBook) -> None:
    ledger.apply(do.NotifyDebtor("A-1", "factor", digest("n")), by={"factor"})
    deny = do.DisputeReceivable("D-1", "R-1", "confirmed", 300, "broken", part="A-1", notice=digest("n"))
    ledger.apply(deny, by={"core"})
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(LATER, by=BOTH)


def test_the_contract_is_of_the_two_sides(ledger: MemoryBook) -> None:
    with refused(ledger, "contract.not_found"):
        ledger.apply(do.AmendReceivable("R-1", contract="C-1"), by=BOTH)
    contract = do.SignContract("C-1", "shop", "core", digest("c"), 1_000, "CNY", date(2026, 3, 2))
    ledger.apply(contract, by=BOTH)
    ledger.apply(do.AmendReceivable("R-1", contract="C-1"), by=BOTH)
    assert (ledger.get(Receivable, "R-1").contract, ledger.get(Receivable, "R-1").due) == ("C-1", DUE)


def test_a_change_that_makes_no_sense_is_refused(ledger: MemoryBook) -> None:
    with refused(ledger, "receivable.bad_state"):
        ledger.apply(do.AmendReceivable("R-1"), by=BOTH)
    with refused(ledger, "receivable.not_found"):
        ledger.apply(msgspec.structs.replace(LATER, id="R-9"), by=BOTH)
    with refused(ledger, "receivable.date"):
        ledger.apply(do.AmendReceivable("R-1", due=date(2026, 2, 28)), by=BOTH)
    ledger.apply(do.AmendReceivable("R-1", due=date(2026, 3, 1)), by=BOTH)


def test_what_is_done_is_not_changed() -> None:
    ledger = town()
    ledger.apply(do.SubmitReceivable("R-1", "shop", "core", 10, "CNY", DUE, "INV-7"), by={"shop"})
    ledger.apply(do.CancelReceivable("R-1"), by={"shop"})
    with refused(ledger, "receivable.bad_state"):
        ledger.apply(LATER, by=BOTH)
