"""The deal of `demo_deal`, step by step, to the fen: what the domain paper works out by hand the ledger must show."""

from __future__ import annotations

import pytest

from book import MemoryBook, new_ledger, refused
from finchain.demo_deal import MATURITY, NET_CASH, PARTIES, START, Step, deal
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.invariants import check_all
from finchain.domain.loan import Charge, Loan
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent


def begin() -> MemoryBook:
    """A ledger that knows the parties of the deal."""
    ledger = new_ledger(today=START)
    for party in PARTIES:
        ledger.register(party.id, *party.roles)
    return ledger


def play(ledger: MemoryBook, step: Step) -> None:
    """Takes one step, and compares outcome and figures."""
    ledger.move_to(step.day)
    if step.expect == "applied":
        ledger.apply(*step.instructions, by=step.by)
    else:
        with refused(ledger, step.expect):
            ledger.apply(*step.instructions, by=step.by)
    for figure in step.figures:
        shown = getattr(ledger.get(figure.kind, figure.id), figure.member)
        assert shown == figure.expected, f"{step.title}: {figure.kind.kind} {figure.id} {figure.member}"
    check_all(ledger.records.values())


@pytest.fixture(scope="module")
def ended() -> MemoryBook:
    """The ledger after the last step."""
    ledger = begin()
    for step in deal():
        play(ledger, step)
    return ledger


def test_interest_is_rounded_once(ended: MemoryBook) -> None:
    """30 days on 50 m, 61 days on 72 m, 84 days on 62 m, at 4.35% of 360 days."""
    charges = ended.get(Loan, "loan-1").charges
    assert charges == {"interest": Charge(posted_minor=1_341_250, paid_minor=1_341_250)}
    assert 181_250 + 530_700 + 629_300 == 1_341_250


def test_everybody_has_what_is_due(ended: MemoryBook) -> None:
    """The cash journal at the end is the row of the domain paper, and sums to zero."""
    assert {cash.id.removesuffix(" CNY"): cash.net_minor for cash in ended.all(Cash)} == dict(NET_CASH)
    assert sum(NET_CASH.values()) == 0


def test_everything_ended_by_itself(ended: MemoryBook) -> None:
    """No signed release: pledge, loan, guarantee, certificate and claim ended with the debt."""
    lots = ended.all(Lot)
    assert [lot.holder for lot in lots] == ["factor", "shop"]
    assert all(lot.live_minor == 0 and lot.pledge is Absent for lot in lots)
    assert ended.get(Loan, "loan-1").status == "ended"
    assert ended.get(Loan, "loan-1").collateral == ()
    assert ended.get(Guarantee, "guarantee-1").status == "released"
    assert ended.get(Guarantee, "guarantee-1").exposure_minor(116_000_000, MATURITY) == 0
    assert ended.get(Certificate, "cert-1").status == "paid"
    assert ended.get(Receivable, "claim-1").status == "settled"


def test_refused_payment_left_no_record(ended: MemoryBook) -> None:
    """The request to pay a stranger wrote nothing; the returned payment and its repetition are two payments."""
    assert ended.find(Payment, "payment-4") is None
    assert ended.get(Payment, "payment-2").kept_minor == 0
    assert ended.get(Payment, "payment-3").kept_minor == 5_000_000


def test_texts_of_the_records_can_be_read(ended: MemoryBook) -> None:
    """Every record of the deal says in a line what it is."""
    assert str(ended.get(Lot, "cert-1 1")) == "cert-1 [36000001..36000000] of factor, without recourse"
    assert str(ended.get(Loan, "loan-1")).startswith("loan-1 ended: shop owes bank 0.00 CNY")
