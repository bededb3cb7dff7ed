"""How much may be promised: what is live is counted from the first promise to the last payment, and limits hold."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.capacity import MULTIPLE_MAX, Capacity, ClientCover
from finchain.domain.guarantee import Guarantee
from finchain.domain.rule import Absent
from finchain.money import AMOUNT_MAX_MINOR
from stories import ACCOUNT, GUARANTEE, ISSUE, LOAN, MATURITY, A, apply, but, confirmed, held, transferred

BOTH = ["operator", "registrar"]
ASSETS = do.Leverage(20_000_000, 10, 10_000)
"""Net assets of 200,000.00 that may be covered ten times, and once for one debtor."""

LIMITS = do.SetCapacity("guarantor", "CNY", digest("accounts of 2025"), leverage=ASSETS)
MOST = do.SetCapacity("core", "CNY", digest("decision"), issue_max_minor=A)
OFFER = do.OfferGuarantee(
    "G", "guarantor", "shop", "loan", "L", "CNY", "financing", "joint_several", "proportional", 5_000, 20_000_000,
    ["principal"], do.Rate(100, 10_000), "act/360", "shop", date(2027, 8, 31), date(2026, 3, 6),
)  # fmt: skip


def capacity(ledger: MemoryBook, party: str = "guarantor") -> Capacity:
    return ledger.get(Capacity, f"{party} CNY")


def covered(ledger: MemoryBook, client: str = "shop") -> tuple[int, int]:
    """What the guarantor covers in all, and for one debtor."""
    return capacity(ledger).covered_minor, ledger.get(ClientCover, f"guarantor {client} CNY").covered_minor


def to_lend(*limits: do.SetCapacity) -> MemoryBook:
    """The shop has an account on which a loan can be agreed."""
    ledger = transferred()
    apply(ledger, ACCOUNT, by=["shop", "bank"])
    ledger.move_to(date(2026, 3, 6))
    for each in limits:
        apply(ledger, each, by=BOTH)
    return ledger


def agree(ledger: MemoryBook, id: str = "L", guarantee: str = "G") -> None:
    """A loan of up to 30 m is agreed, and its guarantee accepted."""
    apply(ledger, but(LOAN, id=id, limit_minor=30_000_000, guarantees=[guarantee]), by=["shop", "bank"])


# --- who sets a limit, and which --------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [{"registrar"}, {"operator"}, {"registrar", "guarantor"}])
def test_registrar_and_operator_set_it(by: set[str]) -> None:
    ledger = to_lend()
    with refused(ledger, "capacity.not_signed"):
        ledger.apply(LIMITS, by=by)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"party": "nobody"}, "party.not_found"),
        ({"currency": "RMB"}, "capacity.currency"),
        ({"document": "00"}, "capacity.digest"),
        ({"issue_max_minor": 0}, "capacity.amount"),
        ({"issue_max_minor": 1}, None),
        ({"issue_max_minor": AMOUNT_MAX_MINOR}, None),
        ({"issue_max_minor": AMOUNT_MAX_MINOR + 1}, "capacity.amount"),
        ({"leverage": do.Leverage(0, 10, 1_000)}, "capacity.amount"),
        ({"leverage": do.Leverage(1, 1, 1)}, None),
        ({"leverage": do.Leverage(AMOUNT_MAX_MINOR, MULTIPLE_MAX, 10_000)}, None),
        ({"leverage": do.Leverage(AMOUNT_MAX_MINOR + 1, 10, 1_000)}, "capacity.amount"),
        ({"leverage": do.Leverage(1, 0, 1_000)}, "capacity.range"),
        ({"leverage": do.Leverage(1, MULTIPLE_MAX + 1, 1_000)}, "capacity.range"),
        ({"leverage": do.Leverage(1, 10, 0)}, "capacity.range"),
        ({"leverage": do.Leverage(1, 10, 10_001)}, "capacity.range"),
    ],
)
def test_what_a_limit_can_be(changes: dict[str, Any], code: str | None) -> None:
    ledger = to_lend()
    limits = but(LIMITS, **changes)
    if code is None:
        apply(ledger, limits, by=BOTH)
        assert capacity(ledger).leverage == limits.leverage
    else:
        with refused(ledger, code):
            ledger.apply(limits, by=BOTH)


def test_what_is_left_out_is_lifted() -> None:
    ledger = to_lend(but(LIMITS, issue_max_minor=5), but(LIMITS, leverage=Absent))
    assert (capacity(ledger).issue_max_minor, capacity(ledger).leverage) == (Absent, Absent)


# --- what an issuer may promise ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "fits"), [(A, True), (A - 1, False)])
def test_a_certificate_is_within_what_its_issuer_may(most: int, fits: bool) -> None:
    ledger = confirmed()
    apply(ledger, but(MOST, issue_max_minor=most), by=BOTH)
    if fits:
        apply(ledger, ISSUE, by=["core"])
        assert capacity(ledger, "core").issued_minor == A
    else:
        with refused(ledger, "certificate.cap_exceeded") as refusal:
            ledger.apply(ISSUE, by=["core"])
        assert refusal.value.advice == f"issue up to {most}, with shares that sum to it"
        assert refusal.value.facts == {"issue_max": most, "live": 0}


def test_what_is_live_counts_against_the_next_certificate() -> None:
    """A limit may lie below what is live already; it ends nothing, and nothing new is issued until it is paid."""
    ledger = held()
    apply(ledger, do.SubmitReceivable("R2", "shop", "core", 10, "CNY", MATURITY, "INV-8"), by=["shop"])
    apply(ledger, do.ConfirmReceivable("R2", 10), by=["core"])
    apply(ledger, MOST, by=BOTH)
    more = but(ISSUE, id="C2", amount_minor=10, claims=[do.ClaimShare("R2", 10)])
    with refused(ledger, "certificate.cap_exceeded") as refusal:
        ledger.apply(more, by=["core"])
    assert refusal.value.advice == "none is possible: certificates of it have to be paid, or refused, first"
    early = do.PayCertificate("C", 10, "PAY-1", digest("early"))
    apply(ledger, early, by=["clearer"])
    assert capacity(ledger, "core").issued_minor == A - 10
    apply(ledger, more, by=["core"])
    assert capacity(ledger, "core").issued_minor == A
    assert str(capacity(ledger, "core")) == "core CNY: 1,160,000.00 of certificates are live, guarantees cover 0.00"


def test_what_is_refused_forgiven_or_called_off_is_live_no_more() -> None:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    apply(ledger, do.RefuseCertificate("C"), by=["shop"])
    assert capacity(ledger, "core").issued_minor == 0
    ledger = held()
    apply(ledger, do.CancelCertificate("C"), by=["core", "shop"])
    assert capacity(ledger, "core").issued_minor == 0
    ledger = transferred()
    apply(ledger, do.WaiveLot("C 1"), by=["tier2"])
    assert capacity(ledger, "core").issued_minor == 80_000_000


# --- what a guarantor may cover ---------------------------------------------------------------------------------


def test_a_financing_guarantee_counts_from_acceptance_to_release() -> None:
    ledger = to_lend()
    apply(ledger, OFFER, by=["guarantor"])
    assert ledger.find(Capacity, "guarantor CNY") is None
    agree(ledger)
    assert covered(ledger) == (15_000_000, 15_000_000), "half of 30 m"
    apply(ledger, do.ReleaseGuarantee("G"), by=["bank"])
    assert covered(ledger) == (0, 0)


def test_one_that_waits_for_its_fee_counts_already() -> None:
    ledger = to_lend()
    apply(ledger, but(OFFER, fee_first=True), by=["guarantor"])
    agree(ledger)
    assert ledger.get(Guarantee, "G").status == "accepted"
    assert covered(ledger) == (15_000_000, 15_000_000)
    apply(ledger, do.CloseLoan("L"), by=["shop"])
    assert covered(ledger) == (0, 0)


def test_a_guarantee_of_a_trade_debt_does_not_count() -> None:
    """What supports trade is no financing (domain.md 2.3), and no limit keeps the guarantor from it."""
    ledger = confirmed()
    apply(ledger, but(LIMITS, leverage=do.Leverage(1, 1, 1)), by=BOTH)
    apply(ledger, GUARANTEE, by=["guarantor"])
    apply(ledger, but(ISSUE, guarantees=["G"]), by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    assert capacity(ledger).covered_minor == 0


def test_a_guarantee_of_a_loan_cannot_call_itself_another() -> None:
    ledger = to_lend()
    with refused(ledger, "guarantee.purpose"):
        ledger.apply(but(OFFER, purpose="non_financing"), by=["guarantor"])


@pytest.mark.parametrize(("cap", "fits"), [(20_000_000, True), (20_000_001, False)])
def test_an_offer_is_within_what_one_debtor_may_be_covered_for(cap: int, fits: bool) -> None:
    ledger = to_lend(LIMITS)
    if fits:
        apply(ledger, but(OFFER, cap_minor=cap), by=["guarantor"])
    else:
        with refused(ledger, "guarantee.cap_exceeded") as refusal:
            ledger.apply(but(OFFER, cap_minor=cap), by=["guarantor"])
        assert (refusal.value.field, refusal.value.advice) == ("cap_minor", "let it cover up to 20000000")
        assert refusal.value.facts == {
            "whole": 200_000_000, "covered": 0, "client": 20_000_000, "client_covered": 0,
        }  # fmt: skip


@pytest.mark.parametrize(("share_bp", "fits"), [(1_234, True), (1_233, False)])
def test_the_share_of_one_debtor_is_rounded_down(share_bp: int, fits: bool) -> None:
    """12.34% of 100,005 are 12,340.617; of 12.33% there are 12,330.6."""
    ledger = to_lend(but(LIMITS, leverage=do.Leverage(100_005, 10, share_bp)))
    offer = but(OFFER, cap_minor=12_340)
    if fits:
        apply(ledger, offer, by=["guarantor"])
    with refused(ledger, "guarantee.cap_exceeded"):
        ledger.apply(but(offer, id="G2", cap_minor=12_341) if fits else offer, by=["guarantor"])


@pytest.mark.parametrize(("multiple", "fits"), [(3, True), (2, False)])
def test_all_debtors_together_are_within_the_multiple(multiple: int, fits: bool) -> None:
    """Net assets of 10 m: 15 m are covered for the shop, and a further 15 m for the core."""
    ledger = to_lend()
    apply(ledger, OFFER, by=["guarantor"])
    agree(ledger)
    assets = do.Leverage(10_000_000, multiple, 10_000)
    apply(ledger, but(LIMITS, leverage=assets), by=BOTH)
    other = but(OFFER, id="G2", debtor="core", secures="certificate", debt="C2", fee_payer="core", cap_minor=10_000_000)
    if fits:
        apply(ledger, other, by=["guarantor"])
    else:
        with refused(ledger, "guarantee.cap_exceeded") as refusal:
            ledger.apply(other, by=["guarantor"])
        assert refusal.value.advice == "let it cover up to 5000000"


@pytest.mark.parametrize(("assets", "fits"), [(25_000_000, True), (24_999_999, False)])
def test_offers_that_fit_one_by_one_are_counted_when_they_are_accepted(assets: int, fits: bool) -> None:
    """Two offers of 20 m and of 10 m stand; accepted, they cover 15 m and 10 m for the same shop."""
    ledger = to_lend(but(LIMITS, leverage=do.Leverage(assets, 10, 10_000)))
    apply(ledger, OFFER, by=["guarantor"])
    apply(ledger, but(OFFER, id="G2", debt="L2", cap_minor=10_000_000), by=["guarantor"])
    agree(ledger)
    if fits:
        agree(ledger, "L2", "G2")
        assert covered(ledger) == (25_000_000, 25_000_000)
        with refused(ledger, "guarantee.cap_exceeded") as refusal:
            ledger.apply(but(OFFER, id="G3", debt="L3", cap_minor=1), by=["guarantor"])
        assert refusal.value.advice == "none is possible: other guarantees of it have to end first"
        apply(ledger, do.ReleaseGuarantee("G"), by=["bank"])
        apply(ledger, but(OFFER, id="G3", debt="L3", cap_minor=15_000_000), by=["guarantor"])
    else:
        with refused(ledger, "guarantee.cap_exceeded"):
            agree(ledger, "L2", "G2")


def test_another_currency_has_limits_of_its_own() -> None:
    ledger = to_lend(LIMITS)
    apply(ledger, but(OFFER, currency="USD", cap_minor=20_000_001), by=["guarantor"])


def test_what_one_party_promises_stays_an_amount() -> None:
    ledger = to_lend()
    whole = Capacity(id="guarantor CNY", covered_minor=AMOUNT_MAX_MINOR - 15_000_000 + 1)
    ledger.put(whole)
    ledger.apply(OFFER, by=["guarantor"])
    loan = but(LOAN, limit_minor=30_000_000, guarantees=["G"])
    with refused(ledger, "capacity.amount"):
        ledger.apply(loan, by=["shop", "bank"])
    ledger.put(but(whole, covered_minor=AMOUNT_MAX_MINOR - 15_000_000))
    ledger.apply(loan, by=["shop", "bank"])
    assert capacity(ledger).covered_minor == AMOUNT_MAX_MINOR
