"""Joint guarantors that signed one document share what they lose; others do not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.certificate import Lot
from finchain.domain.guarantee import Guarantee
from stories import MATURITY, apply, but
from test_compensation import OFFER, PAY, A, call, cash, due, unpaid

PAPER = digest("one document")
FIRST = but(OFFER, coverage_bp=8_000, sharing="joint", document=PAPER)
SECOND = but(FIRST, id="H", guarantor="second", coverage_bp=4_000)
SHARE = do.ContributeShare("H", "G", 1, "SHARE-1", digest("share"))


def paid_by_one(first: do.OfferGuarantee = FIRST, second: do.OfferGuarantee = SECOND) -> MemoryBook:
    """The first of two joint guarantors has paid 6 m of 10 m, all of it for the shop's and the second tier's lots."""
    ledger = unpaid(first, second)
    call(ledger, "C 1", 3_000_000)
    call(ledger, "C 4000001", 3_000_000)
    return ledger


def test_who_paid_less_pays_its_share_and_takes_the_units_for_it() -> None:
    """Eighty to forty of 6 m: the second bears 2 m, and takes the lowest units."""
    ledger = paid_by_one()
    with refused(ledger, "guarantee.over_contribute"):
        ledger.apply(but(SHARE, amount_minor=2_000_001), by=["guarantor", "second"])
    apply(ledger, but(SHARE, amount_minor=2_000_000), by=["guarantor", "second"])
    assert [ledger.get(Guarantee, id).subrogated_minor for id in "GH"] == [4_000_000, 2_000_000]
    lots = sorted(ledger.all(Lot), key=lambda lot: lot.start)
    assert [(lot.first, lot.holder) for lot in lots] == [
        (1, "second"), (2_000_001, "guarantor"), (3_000_001, "tier2"), (4_000_001, "guarantor"), (7_000_001, "shop"),
    ]  # fmt: skip
    assert cash(ledger) == {"guarantor": -4_000_000, "second": -2_000_000, "tier2": 3_000_000, "shop": 3_000_000}
    with refused(ledger, "guarantee.over_contribute"):
        ledger.apply(but(SHARE, reference="SHARE-2"), by=["guarantor", "second"])


def test_who_still_waits_for_its_fee_has_nothing_to_share() -> None:
    ledger = paid_by_one(second=but(SECOND, fee_first=True))
    assert ledger.get(Guarantee, "H").status == "accepted"
    with refused(ledger, "guarantee.no_contribution"):
        ledger.apply(SHARE, by=["guarantor", "second"])


def test_it_takes_more_than_one_lot_where_one_is_not_enough() -> None:
    ledger = paid_by_one(second=but(SECOND, coverage_bp=8_000))
    apply(ledger, but(SHARE, amount_minor=3_000_000), by=["guarantor", "second"])
    assert [lot.holder for lot in ledger.all(Lot) if lot.rank == "junior"] == ["second", "guarantor"]
    other = paid_by_one(second=but(SECOND, coverage_bp=10_000))
    apply(other, but(SHARE, amount_minor=3_333_333), by=["guarantor", "second"])
    held = {lot.first: lot.holder for lot in other.all(Lot) if lot.rank == "junior"}
    assert held == {1: "second", 4_000_001: "second", 4_333_334: "guarantor"}


def test_what_the_debtor_paid_back_is_not_shared() -> None:
    """4 m go to the creditors, 3 m to the guarantor: 3 m are left to bear, of which the second bears one."""
    ledger = paid_by_one()
    apply(ledger, but(PAY, amount_minor=7_000_000), by=["clearer"])
    with refused(ledger, "guarantee.over_contribute"):
        ledger.apply(but(SHARE, amount_minor=1_000_001), by=["guarantor", "second"])
    apply(ledger, but(SHARE, amount_minor=1_000_000), by=["guarantor", "second"])
    apply(ledger, but(PAY, amount_minor=3_000_000, reference="PAY-2"), by=["clearer"])
    assert cash(ledger) == {"core": -A, "tier2": 4_000_000, "shop": 6_000_000}


def test_a_contribution_counts_towards_the_cap() -> None:
    ledger = paid_by_one(second=but(SECOND, cap_minor=1_500_000))
    with refused(ledger, "guarantee.over_contribute"):
        ledger.apply(but(SHARE, amount_minor=1_500_001), by=["guarantor", "second"])
    apply(ledger, but(SHARE, amount_minor=1_500_000), by=["guarantor", "second"])
    assert due(ledger, "H") == {}


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ({}, {"document": digest("another")}, "guarantee.no_contribution"),
        ({"document": OFFER.document}, {"document": OFFER.document}, "guarantee.no_contribution"),
        ({"sharing": "several", "coverage_bp": 6_000}, {"sharing": "several"}, "guarantee.no_contribution"),
    ],
)
def test_i_9_those_who_did_not_agree_share_nothing(first: dict[str, Any], second: dict[str, Any], code: str) -> None:
    ledger = unpaid(but(FIRST, **first), but(SECOND, **second))
    call(ledger, "C 1", 1_000_000)
    with refused(ledger, code):
        ledger.apply(SHARE, by=["guarantor", "second"])


def test_both_sign_and_who_paid_more_pays_nothing() -> None:
    ledger = paid_by_one()
    for by in (["guarantor"], ["second"]):
        with refused(ledger, "guarantee.not_signed"):
            ledger.apply(SHARE, by=by)
    with refused(ledger, "guarantee.over_contribute"):
        ledger.apply(but(SHARE, id="G", to="H"), by=["guarantor", "second"])
    with refused(ledger, "guarantee.no_contribution"):
        ledger.apply(but(SHARE, to="H"), by=["guarantor", "second"])
    with refused(ledger, "guarantee.amount"):
        ledger.apply(but(SHARE, amount_minor=0), by=["guarantor", "second"])


def test_a_contribution_is_not_valued_before_what_it_is_for() -> None:
    ledger = paid_by_one()
    ledger.advance(3)
    with refused(ledger, "guarantee.value_date"):
        ledger.apply(but(SHARE, value_date=MATURITY - timedelta(1)), by=["guarantor", "second"])
    apply(ledger, but(SHARE, value_date=MATURITY), by=["guarantor", "second"])


def test_the_document_is_a_digest() -> None:
    with refused(MemoryBook(), "guarantee.digest"):
        unpaid(but(FIRST, document="one document"))
