"""A guarantee says exactly what it covers, takes effect with the debt, costs its fee to the fen, and ends."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.cash import Cash
from finchain.domain.guarantee import Guarantee, check_offered
from stories import GUARANTEE, ISSUE, ISSUED, MATURITY, A, apply, but, confirmed

FEE = do.PayGuaranteeFee("G", 464_000)
RECEIPT = do.ReceiveGuaranteeFee("G", 464_000, "IN-1", digest("fee"))


def guaranteed(offer: do.OfferGuarantee = GUARANTEE) -> MemoryBook:
    """The guaranteed certificate is accepted."""
    ledger = confirmed()
    apply(ledger, offer, by=["guarantor"])
    apply(ledger, but(ISSUE, guarantees=["G"]), by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    return ledger


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": ""}, "guarantee.identifier"),
        ({"guarantor": "core"}, "guarantee.not_signed"),
        ({"liability": "independent"}, "guarantee.wrong_role"),
        ({"debtor": "shop"}, "guarantee.wrong_role"),
        ({"fee_payer": "guarantor"}, "guarantee.wrong_role"),
        ({"fee_payer": "nobody"}, "party.not_found"),
        ({"currency": "cny"}, "guarantee.currency"),
        ({"cap_minor": 0}, "guarantee.amount"),
        ({"coverage_bp": 0}, "guarantee.coverage"),
        ({"coverage_bp": 10_001}, "guarantee.coverage"),
        ({"convention": "first_loss"}, "guarantee.coverage"),
        ({"scope": []}, "guarantee.scope"),
        ({"scope": ["interest"]}, "guarantee.scope"),
        ({"scope": ["principal", "principal"]}, "guarantee.scope"),
        ({"fee_rate": do.Rate(1, 0)}, "guarantee.rate"),
        ({"until": date(2026, 3, 3)}, "guarantee.date"),
        ({"until": date(2027, 2, 28)}, "guarantee.date"),
    ],
)
def test_what_cannot_be_offered(changes: dict[str, Any], code: str) -> None:
    ledger = confirmed()
    with refused(ledger, code):
        ledger.apply(but(GUARANTEE, **changes), by=["guarantor"])


def test_only_a_financial_institution_guarantees_independently() -> None:
    ledger = confirmed()
    apply(ledger, but(GUARANTEE, guarantor="bank", liability="independent"), by=["bank"])


def test_an_id_is_used_once() -> None:
    ledger = guaranteed()
    with refused(ledger, "guarantee.duplicate"):
        ledger.apply(GUARANTEE, by=["guarantor"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"debt": "C9"}, "guarantee.other_debt"),
        ({"currency": "USD"}, "guarantee.other_debt"),
        ({"period_end": MATURITY}, "guarantee.period"),
        ({"period_end": date(2026, 9, 1)}, None),
    ],
)
def test_it_is_for_this_debt_and_outlasts_it(changes: dict[str, Any], code: str | None) -> None:
    """Civil Code 692: a period that ends with the debt, or before, is none."""
    ledger = confirmed()
    apply(ledger, but(GUARANTEE, **changes), by=["guarantor"])
    issue = but(ISSUE, guarantees=["G"])
    if code is None:
        apply(ledger, issue, by=["core"])
    else:
        with refused(ledger, code):
            ledger.apply(issue, by=["core"])


def test_it_is_not_used_twice() -> None:
    ledger = guaranteed()
    book = ledger.book()
    with refused(ledger, "guarantee.bad_state"):
        check_offered(
            book, "G", secures="certificate", debt="C", debtor="core", creditor="shop", currency="CNY", due=MATURITY
        )  # fmt: skip


def test_the_fee_is_paid_to_the_fen_and_once() -> None:
    """1.00% of 928,000.00 for 180 of 360 days."""
    ledger = guaranteed()
    assert ledger.get(Guarantee, "G").fee_minor == 464_000
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(RECEIPT, by=["guarantor"])
    for wrong in (463_999, 464_001):
        with refused(ledger, "guarantee.fee"):
            ledger.apply(but(FEE, amount_minor=wrong), by=["core"])
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(FEE, by=["shop"])
    apply(ledger, FEE, by=["core"])
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(FEE, by=["core"])
    with refused(ledger, "guarantee.fee"):
        ledger.apply(but(RECEIPT, amount_minor=463_999), by=["guarantor"])
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(RECEIPT, by=["core"])
    apply(ledger, RECEIPT, by=["guarantor"])
    assert ledger.get(Guarantee, "G").fee_paid_minor == 464_000
    assert ledger.get(Cash, "guarantor CNY").net_minor == 464_000
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(but(RECEIPT, reference="IN-2"), by=["guarantor"])


def test_no_fee_before_effect_or_where_none_was_agreed() -> None:
    ledger = confirmed()
    apply(ledger, GUARANTEE, by=["guarantor"])
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(FEE, by=["core"])
    ledger = guaranteed(but(GUARANTEE, fee_rate=do.Rate(0, 1)))
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(but(FEE, amount_minor=0), by=["core"])


def test_a_fee_that_is_a_condition_comes_before_the_guarantee() -> None:
    """Accepted, and nothing can be demanded until the fee has come."""
    ledger = guaranteed(but(GUARANTEE, fee_first=True))
    assert ledger.get(Guarantee, "G").status == "accepted"
    assert ledger.get(Guarantee, "G").exposure_minor(A, ledger.today) == 0
    waiting = ledger.copy()
    waiting.move_to(MATURITY)
    apply(waiting, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    with refused(waiting, "guarantee.bad_state"):
        waiting.apply(do.DemandCompensation("G", "C 1", 1), by=["shop"])
    apply(ledger, FEE, by=["core"])
    assert ledger.get(Guarantee, "G").status == "accepted", "ordered is not received"
    apply(ledger, RECEIPT, by=["guarantor"])
    guarantee = ledger.get(Guarantee, "G")
    assert (guarantee.status, guarantee.effective) == ("effective", ISSUED)


def test_a_condition_of_nothing_is_met() -> None:
    ledger = guaranteed(but(GUARANTEE, fee_first=True, fee_rate=do.Rate(0, 1)))
    assert ledger.get(Guarantee, "G").status == "effective"


def test_a_fee_that_was_waited_for_in_vain_is_not_owed() -> None:
    ledger = guaranteed(but(GUARANTEE, fee_first=True))
    ledger.move_to(MATURITY)
    apply(ledger, do.PayCertificate("C", A, "PAY-1", digest("payment")), by=["clearer"])
    assert ledger.get(Guarantee, "G").status == "released"
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(FEE, by=["core"])


def test_the_fee_for_days_after_an_early_release_is_given_back() -> None:
    """30 of 180 days were covered: 77,333 of 464,000 are earned, 386,667 come back (464,000 / 6 is 77,333.33)."""
    refund = do.RefundGuaranteeFee("G", 386_667, "REF-1", digest("refund"))
    ledger = guaranteed(but(GUARANTEE, fee_refund=True))
    apply(ledger, FEE, by=["core"])
    apply(ledger, RECEIPT, by=["guarantor"])
    ledger.advance(30)
    with refused(ledger, "guarantee.refund"):
        ledger.apply(refund, by=["core"])
    apply(ledger, do.ReleaseGuarantee("G"), by=["shop"])
    for wrong in (386_666, 386_668):
        with refused(ledger, "guarantee.refund"):
            ledger.apply(but(refund, amount_minor=wrong), by=["core"])
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(refund, by=["guarantor"])
    apply(ledger, refund, by=["core"])
    assert ledger.get(Cash, "guarantor CNY").net_minor == 77_333
    with refused(ledger, "guarantee.refund"):
        ledger.apply(but(refund, reference="REF-2"), by=["core"])


@pytest.mark.parametrize(("agreed", "days", "owed"), [(False, 30, 0), (True, 180, 0), (True, 179, 2_578)])
def test_what_of_a_fee_is_given_back(agreed: bool, days: int, owed: int) -> None:
    """Nothing where it was not agreed, or once the debt is due; one of 180 days is 2,577.78."""
    ledger = guaranteed(but(GUARANTEE, fee_refund=agreed))
    apply(ledger, FEE, by=["core"])
    apply(ledger, RECEIPT, by=["guarantor"])
    ledger.advance(days)
    apply(ledger, do.ReleaseGuarantee("G"), by=["shop"])
    assert ledger.get(Guarantee, "G").fee_unearned_minor == owed


def test_a_fee_that_was_not_paid_yet_is_owed_for_the_covered_days() -> None:
    ledger = guaranteed(but(GUARANTEE, fee_refund=True))
    ledger.advance(30)
    apply(ledger, do.ReleaseGuarantee("G"), by=["shop"])
    with refused(ledger, "guarantee.fee"):
        ledger.apply(FEE, by=["core"])
    apply(ledger, but(FEE, amount_minor=77_333), by=["core"])
    apply(ledger, but(RECEIPT, amount_minor=77_333), by=["guarantor"])
    assert ledger.get(Guarantee, "G").fee_unearned_minor == 0


def test_a_receipt_is_not_valued_before_the_order() -> None:
    ledger = guaranteed()
    apply(ledger, FEE, by=["core"])
    ledger.advance(2)
    with refused(ledger, "guarantee.value_date"):
        ledger.apply(but(RECEIPT, value_date=date(2026, 3, 3)), by=["guarantor"])
    apply(ledger, but(RECEIPT, value_date=ISSUED), by=["guarantor"])


def effective(**changes: Any) -> Guarantee:
    """A guarantee in effect, with other terms."""
    return msgspec.structs.replace(guaranteed().get(Guarantee, "G"), **changes)


def test_exposure_falls_with_the_debt_and_with_what_was_paid() -> None:
    """I-7: 80% of the whole loss, so that asking again after a payment gives nothing more."""
    guarantee = effective()
    assert [guarantee.exposure_minor(each, MATURITY) for each in (A, 66_000_000, 0)] == [92_800_000, 52_800_000, 0]
    assert effective(compensated_minor=52_800_000).exposure_minor(66_000_000 - 52_800_000, MATURITY) == 0


def test_the_cap_is_the_end() -> None:
    """Vector 8: 80% of 1,000,000 is more than a cap of 500,000."""
    assert effective(cap_minor=500_000).exposure_minor(1_000_000, MATURITY) == 500_000


def test_first_loss_covers_everything_up_to_the_cap() -> None:
    ledger = guaranteed(but(GUARANTEE, convention="first_loss", coverage_bp=10_000, cap_minor=20_000_000))
    guarantee = ledger.get(Guarantee, "G")
    assert guarantee.covered_minor == 20_000_000
    assert [guarantee.exposure_minor(each, MATURITY) for each in (A, 20_000_001, 19_999_999)] == [
        20_000_000, 20_000_000, 19_999_999,
    ]  # fmt: skip


def test_it_says_what_it_is() -> None:
    assert str(effective()) == "G effective: guarantor covers 928,000.00 CNY of C"
