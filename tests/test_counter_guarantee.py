"""A guarantor behind the guarantor: pays its share of what that paid, and is paid back after it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from book import MemoryBook, refused
from finchain import instructions as do
from finchain.domain.certificate import Lot
from finchain.domain.guarantee import Guarantee
from stories import ISSUE, ISSUED, MATURITY, apply, but, confirmed
from test_compensation import COMPENSATE, OFFER, PAY, PERIOD_END, A, both, call, cash, due, guaranteed, unpaid

COUNTER = but(
    OFFER, id="K", guarantor="fund", behind="G", coverage_bp=2_000, period_end=date(2027, 8, 31), fee_payer="guarantor"
)


def countered(counter: do.OfferGuarantee = COUNTER) -> MemoryBook:
    """The guarantor has a guarantor of its own, for 20% of what it pays."""
    ledger = guaranteed(OFFER)
    ledger.register("fund", "guarantor")
    apply(ledger, counter, by=["fund"])
    apply(ledger, do.AcceptCounterGuarantee("K"), by=["guarantor"])
    return ledger


def test_a_counter_guarantor_pays_its_share_and_ranks_last() -> None:
    ledger = countered()
    assert ledger.get(Guarantee, "K").covered_minor == 1_600_000
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    with refused(ledger, "guarantee.not_due"):
        ledger.apply(do.DemandCompensation("K", "C 1", 1), by=["tier2"])
    call(ledger, "C 1", 3_200_000)
    call(ledger, "C 4000001", 4_800_000)
    assert due(ledger, "K") == {"C 1": 640_000, "C 4000001": 960_000}
    call(ledger, "C 1", 640_000, "K")
    call(ledger, "C 4000001", 960_000, "K")
    lots = sorted(ledger.all(Lot), key=lambda lot: lot.start)
    assert [(lot.first, lot.last, lot.holder, lot.rank) for lot in lots] == [
        (1, 640_000, "fund", "last"),
        (640_001, 3_200_000, "guarantor", "junior"),
        (3_200_001, 4_000_000, "tier2", "senior"),
        (4_000_001, 4_960_000, "fund", "last"),
        (4_960_001, 8_800_000, "guarantor", "junior"),
        (8_800_001, 10_000_000, "shop", "senior"),
    ]
    assert ledger.get(Guarantee, "G").subrogated_minor == 6_400_000
    apply(ledger, but(PAY, amount_minor=2_000_000 + 6_400_000 + 1), by=["clearer"])
    assert cash(ledger) == {"core": -8_400_001, "tier2": 4_000_000, "shop": 6_000_000, "fund": -1_599_999}
    apply(ledger, but(PAY, amount_minor=1_599_999, reference="PAY-2"), by=["clearer"])
    assert ledger.get(Guarantee, "K").status == "released"


def test_a_fund_answers_for_one_guarantor_and_not_for_the_one_beside_it() -> None:
    ledger = guaranteed(*both("several", 5_000, 5_000))
    ledger.register("fund", "guarantor")
    apply(ledger, COUNTER, by=["fund"])
    apply(ledger, do.AcceptCounterGuarantee("K"), by=["guarantor"])
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    call(ledger, "C 1", 1_000_000, "H")
    assert due(ledger, "K") == {}
    call(ledger, "C 1000001", 1_000_000, "G")
    assert due(ledger, "K") == {"C 1000001": 200_000}


def test_interest_is_owed_to_a_guarantor_that_has_everything_else_back() -> None:
    """30 days at 6.525% of 360 days on 8 m are 43,500; then a fund pays the 8 m, and later the debtor its first."""
    ledger = countered(but(COUNTER, coverage_bp=10_000))
    apply(ledger, do.AgreeRecovery("G", do.Rate(6_525, 100_000), "act/360"), by=["guarantor", "core"])
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    call(ledger, "C 1", 3_200_000)
    call(ledger, "C 4000001", 4_800_000)
    ledger.advance(30)
    call(ledger, "C 1", 3_200_000, "K")
    call(ledger, "C 4000001", 4_800_000, "K")
    assert ledger.get(Guarantee, "G").interest_owed_minor(ledger.today) == 43_500
    apply(ledger, but(PAY, amount_minor=2_000_000 + 43_500 + 1), by=["clearer"])
    assert (cash(ledger)["guarantor"], cash(ledger)["fund"]) == (43_500, -7_999_999)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"period_end": PERIOD_END}, "guarantee.period"),
        ({"period_end": PERIOD_END + timedelta(1)}, None),
        ({"debt": "D"}, "guarantee.other_debt"),
    ],
)
def test_what_stands_behind_a_guarantee_outlasts_it(changes: dict[str, object], code: str | None) -> None:
    if code is None:
        countered(but(COUNTER, **changes))
        return
    ledger = guaranteed(OFFER)
    ledger.register("fund", "guarantor")
    apply(ledger, but(COUNTER, **changes), by=["fund"])
    with refused(ledger, code):
        ledger.apply(do.AcceptCounterGuarantee("K"), by=["guarantor"])


def test_who_accepts_a_counter_guarantee_and_until_when() -> None:
    ledger = guaranteed(OFFER)
    ledger.register("fund", "guarantor")
    with refused(ledger, "guarantee.other_debt"):
        ledger.apply(do.AcceptCounterGuarantee("G"), by=["guarantor"])
    apply(ledger, but(COUNTER, until=MATURITY), by=["fund"])
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(do.AcceptCounterGuarantee("K"), by=["shop"])
    ledger.move_to(MATURITY)
    with refused(ledger, "guarantee.date"):
        ledger.apply(do.AcceptCounterGuarantee("K"), by=["guarantor"])


def test_a_counter_guarantee_is_not_one_of_the_certificates() -> None:
    ledger = confirmed(A)
    ledger.register("fund", "guarantor")
    apply(ledger, OFFER, by=["guarantor"])
    apply(ledger, COUNTER, by=["fund"])
    issue = but(ISSUE, amount_minor=A, claims=[do.ClaimShare("R", A)], guarantees=["K"])
    with refused(ledger, "guarantee.other_debt"):
        ledger.apply(issue, by=["core"])


def test_two_steps_are_deep_enough() -> None:
    ledger = countered()
    ledger.register("third", "guarantor")
    third = but(COUNTER, id="T", guarantor="third", behind="K", fee_payer="fund", period_end=date(2028, 2, 28))
    apply(ledger, third, by=["third"])
    with refused(ledger, "guarantee.depth"):
        ledger.apply(do.AcceptCounterGuarantee("T"), by=["fund"])


def test_a_counter_guarantee_before_any_payment_is_the_guarantors_to_release() -> None:
    ledger = countered()
    for by in ("shop", "fund", "core"):
        with refused(ledger, "guarantee.not_signed"):
            ledger.apply(do.ReleaseGuarantee("K"), by=[by])
    apply(ledger, do.ReleaseGuarantee("K"), by=["guarantor"])
    assert ledger.today == ISSUED


def test_an_offer_is_not_paid() -> None:
    """Found by the state machine: a counter-guarantee that nobody had accepted was compensated."""
    ledger = unpaid(OFFER)
    ledger.register("fund", "guarantor")
    apply(ledger, but(COUNTER, until=ledger.today), by=["fund"])
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(but(COMPENSATE, id="K"), by=["fund", "clearer"])
