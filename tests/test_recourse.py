"""What a holder can do besides waiting: turn to those who answer for the debtor, give back what was false, forgive."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent
from stories import ACCOUNT, LOAN, MATURITY, A, apply, but, draw, held, lent, pledge
from test_compensation import COMPENSATE, DEMAND, OFFER, due, guaranteed, unpaid

PRICE = 35_203_200
BACK = do.BuyBackLot("C 1", "tier2", PRICE, "recourse", "BACK-1", digest("back"))
BREACH = but(BACK, grounds="warranty", evidence=digest("no such delivery"))


def cash(ledger: MemoryBook) -> dict[str, int]:
    return {each.id.removesuffix(" CNY"): each.net_minor for each in ledger.all(Cash) if each.net_minor}


def sold(first: bool, second: bool) -> MemoryBook:
    """The shop transferred 36 m to the second tier, which sold them to a factor: each with recourse or without."""
    ledger = held()
    apply(ledger, do.OfferTransfer("C 1", "tier2", 36_000_000, digest("trade"), recourse=first), by=["shop"])
    apply(ledger, do.AcceptTransfer("C 1"), by=["tier2"])
    day = date(2026, 3, 18)
    ledger.move_to(day)
    sale = do.OfferSale("C 1", "factor", 36_000_000, PRICE, do.Rate(480, 10_000), "act/360", day, recourse=second)
    apply(ledger, sale, by=["tier2"])
    apply(ledger, do.AcceptSale("C 1"), by=["factor"])
    apply(ledger, do.SettleSale("C 1", PRICE, "DVP-1", digest("dvp")), by=["clearer"])
    return ledger


def unpaid_sale(first: bool = False, second: bool = True) -> MemoryBook:
    ledger = sold(first, second)
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    return ledger


def test_i_12_who_sold_without_recourse_owes_nothing() -> None:
    ledger = unpaid_sale(second=False)
    with refused(ledger, "certificate.no_recourse"):
        ledger.apply(BACK, by=["factor", "tier2"])
    assert cash(ledger) == {"factor": -PRICE, "tier2": PRICE}


def test_who_sold_with_recourse_takes_it_back_for_the_price() -> None:
    ledger = unpaid_sale()
    apply(ledger, BACK, by=["factor", "tier2"])
    lot = ledger.get(Lot, "C 1")
    assert (lot.holder, lot.recourse, lot.rank) == ("tier2", (), "senior")
    assert cash(ledger) == {}
    with refused(ledger, "certificate.no_recourse"):
        ledger.apply(but(BACK, by="factor", reference="BACK-2"), by=["factor", "tier2"])


def test_recourse_goes_up_the_chain_step_by_step_or_past_a_step() -> None:
    ledger = unpaid_sale(first=True)
    past = ledger.copy()
    apply(ledger, BACK, by=["factor", "tier2"])
    assert ledger.get(Lot, "C 1").recourse == ("shop",)
    apply(ledger, but(BACK, by="shop", reference="BACK-2"), by=["tier2", "shop"])
    apply(past, but(BACK, by="shop"), by=["factor", "shop"])
    for each in (ledger, past):
        assert (each.get(Lot, "C 1").holder, each.get(Lot, "C 1").recourse) == ("shop", ())


def test_recourse_waits_for_the_default() -> None:
    ledger = sold(first=False, second=True)
    ledger.move_to(MATURITY)
    with refused(ledger, "certificate.not_due"):
        ledger.apply(BACK, by=["factor", "tier2"])
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    with refused(ledger, "certificate.value_date"):
        ledger.apply(but(BACK, value_date=MATURITY - timedelta(1)), by=["factor", "tier2"])
    apply(ledger, BACK, by=["factor", "tier2"])


def test_both_sign_a_buy_back() -> None:
    ledger = unpaid_sale()
    for by in (["factor"], ["tier2"], ["clearer", "shop"]):
        with refused(ledger, "certificate.not_signed"):
            ledger.apply(BACK, by=by)
    with refused(ledger, "certificate.amount"):
        ledger.apply(but(BACK, amount_minor=0), by=["factor", "tier2"])


def test_a_breach_of_warranty_brings_the_lot_back_whatever_was_agreed() -> None:
    """Also before maturity; but only from the holder to who transferred it, and with a paper."""
    ledger = sold(first=False, second=False)
    for wrong, code in (
        (but(BREACH, by="shop"), "certificate.no_recourse"),
        (but(BREACH, evidence=BACK.evidence), "certificate.evidence"),
        (but(BREACH, evidence="0"), "certificate.digest"),
    ):
        with refused(ledger, code):
            ledger.apply(wrong, by=["factor", "tier2", "shop"])
    apply(ledger, BREACH, by=["factor", "tier2"])
    assert (ledger.get(Lot, "C 1").holder, ledger.get(Lot, "C 1").rank) == ("tier2", "none")


def test_a_pledged_or_paid_lot_does_not_go_back() -> None:
    ledger = lent()
    back = but(BREACH, id="C 36000001", by="tier2")
    with refused(ledger, "certificate.insufficient_free"):
        ledger.apply(back, by=["shop", "tier2"])
    paid = sold(first=False, second=False)
    apply(paid, do.PayCertificate("C", A, "PAY-1", digest("p")), by=["clearer"])
    with refused(paid, "certificate.bad_state"):
        paid.apply(BREACH, by=["factor", "tier2"])


# --- what is left of the money ----------------------------------------------------------------------------------


def test_vector_11_a_surplus_goes_back_only_where_there_is_recourse() -> None:
    """Funded 800,000, interest 12,000, costs 3,000, collected 1,000,000: 185,000 go back, and after a sale nothing."""
    ledger = held(1_000_000)
    ledger.move_to(date(2026, 3, 6))
    terms = but(LOAN, rate=do.Rate(45, 1_000), available_until=MATURITY)
    apply(ledger, ACCOUNT, terms, pledge("C 1", 1_000_000), by=["shop", "bank"])
    draw(ledger, date(2026, 5, 3), 800_000, "one")
    ledger.move_to(MATURITY)
    apply(ledger, do.ChargeLoan("L", "costs", 3_000, digest("bill"), digest("award")), by=["bank"])
    apply(ledger, do.PayCertificate("C", 1_000_000, "PAY-1", digest("p")), by=["clearer"])
    assert cash(ledger) == {"core": -1_000_000, "shop": 800_000 + 185_000, "bank": 15_000}
    ledger = sold(first=False, second=False)
    apply(ledger, do.PayCertificate("C", A, "PAY-1", digest("p")), by=["clearer"])
    assert cash(ledger)["tier2"] == PRICE


# --- forgiven ---------------------------------------------------------------------------------------------------


def test_a_holder_forgives_a_lot_and_nobody_elses() -> None:
    ledger = unpaid_sale()
    for by in ("tier2", "shop", "core"):
        with refused(ledger, "certificate.not_signed"):
            ledger.apply(do.WaiveLot("C 1"), by=[by])
    apply(ledger, do.WaiveLot("C 1"), by=["factor"])
    certificate = ledger.get(Certificate, "C")
    assert (certificate.live_minor, certificate.cancelled_minor) == (80_000_000, 36_000_000)
    assert ledger.get(Receivable, "R").credited == 36_000_000
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.WaiveLot("C 1"), by=["factor"])
    apply(ledger, do.PayCertificate("C", 80_000_001, "PAY-1", digest("p")), by=["clearer"])
    assert ledger.get(Certificate, "C").suspense_minor == 1
    assert ledger.get(Receivable, "R").status == "settled"


def test_what_a_creditor_forgives_its_guarantor_does_not_pay() -> None:
    ledger = unpaid(OFFER)
    apply(ledger, do.WaiveLot("C 1"), by=["tier2"])
    assert due(ledger) == {"C 4000001": 4_800_000}


@pytest.mark.parametrize("waived", [True, False])
def test_a_guarantor_forgives_what_it_paid(waived: bool) -> None:
    """I-8: subrogated = compensated - recovered - waived."""
    ledger = unpaid(OFFER)
    apply(ledger, but(DEMAND, amount_minor=3_200_000), by=["tier2"])
    apply(ledger, but(COMPENSATE, amount_minor=3_200_000), by=["guarantor", "clearer"])
    if waived:
        apply(ledger, do.WaiveLot("C 1"), by=["guarantor"])
    assert ledger.get(Guarantee, "G").subrogated_minor == (0 if waived else 3_200_000)
    apply(ledger, do.PayCertificate("C", 6_800_000, "PAY-1", digest("p")), by=["clearer"])
    assert ledger.get(Guarantee, "G").status == ("released" if waived else "called")


# --- paid early -------------------------------------------------------------------------------------------------

EARLY = do.PayLotEarly("C 1", 3_900_000, "EARLY-1", digest("early"))


def test_a_holder_is_paid_early_for_less_and_the_others_wait() -> None:
    """4 m are paid with 3.9 m: the rest is the debtor's discount, and no lot of anybody else is touched."""
    ledger = guaranteed(OFFER)
    for by in (["clearer"], ["tier2"]):
        with refused(ledger, "certificate.not_signed"):
            ledger.apply(EARLY, by=by)
    apply(ledger, EARLY, by=["tier2", "clearer"])
    certificate, claim = ledger.get(Certificate, "C"), ledger.get(Receivable, "R")
    assert cash(ledger) == {"core": -3_900_000, "tier2": 3_900_000}
    assert (certificate.settled_minor, certificate.cancelled_minor, certificate.lots) == (3_900_000, 100_000, 1)
    assert (claim.conv_settled, claim.credited) == (3_900_000, 100_000)
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(but(EARLY, reference="EARLY-2"), by=["tier2", "clearer"])
    ledger.move_to(MATURITY)
    apply(ledger, do.PayCertificate("C", certificate.live_minor, "PAY-1", digest("p")), by=["clearer"])
    assert (ledger.get(Certificate, "C").status, ledger.get(Guarantee, "G").status) == ("paid", "released")


@pytest.mark.parametrize(
    ("amount_minor", "days", "code"),
    [
        (4_000_000, -1, None), (4_000_001, -1, "certificate.price"), (0, -1, "certificate.amount"),
        (4_000_000, 0, "certificate.due"),
    ],
)  # fmt: skip
def test_early_is_before_the_day_and_not_for_more_than_the_lot(amount_minor: int, days: int, code: str | None) -> None:
    ledger = guaranteed(OFFER)
    ledger.move_to(MATURITY + timedelta(days))
    early = but(EARLY, amount_minor=amount_minor)
    if code is None:
        apply(ledger, early, by=["tier2", "clearer"])
        assert ledger.get(Certificate, "C").cancelled_minor == 0
        return
    with refused(ledger, code):
        ledger.apply(early, by=["tier2", "clearer"])


def test_a_pledged_lot_is_not_paid_early_past_its_pledgee() -> None:
    ledger = lent()
    with refused(ledger, "certificate.insufficient_free"):
        ledger.apply(but(EARLY, id="C 36000001"), by=["shop", "clearer"])


# --- called off -------------------------------------------------------------------------------------------------

CANCEL = do.CancelCertificate("C")


def test_issuer_and_all_holders_call_a_certificate_off_and_the_claims_are_free_again() -> None:
    ledger = guaranteed(OFFER)
    for by in (["core", "shop"], ["core", "tier2"], ["shop", "tier2"]):
        with refused(ledger, "certificate.not_signed"):
            ledger.apply(CANCEL, by=by)
    apply(ledger, CANCEL, by=["core", "shop", "tier2"])
    certificate, claim = ledger.get(Certificate, "C"), ledger.get(Receivable, "R")
    assert (certificate.status, certificate.live_minor, certificate.lots) == ("cancelled", 0, 0)
    assert (claim.free, claim.converted, claim.credited) == (claim.confirmed, 0, 0)
    assert ledger.get(Guarantee, "G").status == "released"
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(CANCEL, by=["core", "shop", "tier2"])
    again = do.IssueCertificate(
        "C2", "core", "shop", claim.free, "CNY", MATURITY, [do.ClaimShare("R", claim.free)], "clearer", "pro_solvendo"
    )  # fmt: skip
    apply(ledger, again, by=["core"])


def test_what_was_forgiven_before_stays_forgiven() -> None:
    ledger = guaranteed(OFFER)
    apply(ledger, do.WaiveLot("C 1"), by=["tier2"])
    apply(ledger, CANCEL, by=["core", "shop"])
    claim = ledger.get(Receivable, "R")
    assert (claim.free, claim.credited) == (claim.confirmed - 4_000_000, 4_000_000)


def test_what_others_rely_on_is_not_called_off() -> None:
    """A standing offer, a pledge, a payment: each is a reason why not."""
    offer = do.OfferTransfer("C 1", "payee", 4_000_000, digest("trade"), recourse=False)
    ledger = guaranteed(OFFER)
    apply(ledger, offer, by=["tier2"])
    with refused(ledger, "certificate.insufficient_free"):
        ledger.apply(CANCEL, by=["core", "shop", "tier2"])
    ledger.advance(11)
    ledger.copy().apply(CANCEL, by=["core", "shop", "tier2"])
    apply(ledger, do.PayCertificate("C", 1, "PAY-1", digest("p")), by=["clearer"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(CANCEL, by=["core", "shop", "tier2"])
    ledger = lent()
    with refused(ledger, "certificate.insufficient_free"):
        ledger.apply(CANCEL, by=["core", "shop", "tier2"])


# --- written off ------------------------------------------------------------------------------------------------


def test_a_lot_that_is_written_off_is_owed_all_the_same() -> None:
    ledger = sold(first=False, second=True)
    off = do.WriteOffLot("C 1", digest("resolution"))
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(off, by=["factor"])
    ledger = unpaid_sale()
    with refused(ledger, "certificate.not_signed"):
        ledger.apply(off, by=["tier2"])
    with refused(ledger, "certificate.digest"):
        ledger.apply(but(off, digest="0"), by=["factor"])
    apply(ledger, off, by=["factor"])
    assert ledger.get(Lot, "C 1").written_off == MATURITY
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(off, by=["factor"])
    bought_back = ledger.copy()
    apply(bought_back, BACK, by=["factor", "tier2"])
    assert bought_back.get(Lot, "C 1").written_off is Absent
    apply(ledger, do.PayCertificate("C", A, "PAY-1", digest("p")), by=["clearer"])
    assert cash(ledger)["factor"] == 36_000_000 - PRICE
