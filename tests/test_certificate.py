"""A certificate is made out of confirmed claims, divided without dust, handed on, and never owned twice."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from book import MemoryBook, digest, new_ledger, refused, town
from finchain import instructions as do
from finchain.domain.certificate import CLAIMS_MAX, RECOURSE_MAX, Certificate, ClaimShare, Lot, Offer, lots_of
from finchain.domain.guarantee import Guarantee
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent
from stories import GUARANTEE, ISSUE, ISSUED, MATURITY, A, apply, but, confirmed, held, transferred


def transfer(lot: str, to: str, amount_minor: int, **members: Any) -> do.OfferTransfer:
    return do.OfferTransfer(lot, to, amount_minor, digest("trade"), **{"recourse": False, **members})


def lots(ledger: MemoryBook) -> list[tuple[int, int, str]]:
    return [(lot.first, lot.last, lot.holder) for lot in lots_of(ledger.book(), "C")]


# --- issue ------------------------------------------------------------------------------------------------------


def test_a_certificate_takes_the_place_of_the_claim() -> None:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    assert ledger.get(Receivable, "R").converted == A
    assert ledger.get(Certificate, "C").status == "offered"
    assert ledger.get(Certificate, "C").offered_until == date(2026, 3, 14)
    assert ledger.get(Certificate, "C").cut_off == date(2026, 8, 30)
    assert str(ledger.get(Certificate, "C")) == "C offered: 1,160,000.00 CNY due 2026-08-31"
    lot = ledger.get(Lot, "C 1")
    assert (lot.holder, lot.live_minor, lot.encumbrance(ISSUED)) == ("core", A, "reserved")
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    assert ledger.get(Certificate, "C").status == "active"
    assert lots(ledger) == [(1, A, "shop")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "C C"}, "certificate.identifier"),
        ({"issuer": "shop"}, "certificate.not_signed"),
        ({"creditor": "bank"}, "certificate.wrong_role"),
        ({"creditor": "tier2"}, "certificate.other_claim"),
        ({"bank": "factor"}, "certificate.wrong_role"),
        ({"currency": "USD"}, "certificate.other_claim"),
        ({"amount_minor": 0}, "certificate.amount"),
        ({"amount_minor": A - 1}, "certificate.claims"),
        ({"claims": []}, "certificate.claims"),
        ({"claims": [do.ClaimShare("R", 1)] * (CLAIMS_MAX + 1)}, "certificate.claims"),
        ({"claims": [do.ClaimShare("R", A + 1)]}, "receivable.insufficient_free"),
        ({"claims": [do.ClaimShare("R", A), do.ClaimShare("R", 1)]}, "receivable.insufficient_free"),
        ({"claims": [do.ClaimShare("R", 0)]}, "certificate.amount"),
        ({"claims": [do.ClaimShare("nothing", A)]}, "receivable.not_found"),
        ({"maturity": ISSUED}, "certificate.tenor"),
        ({"until": ISSUED - timedelta(1)}, "certificate.date"),
        ({"until": MATURITY}, "certificate.date"),
        ({"guarantees": ["none"]}, "guarantee.not_found"),
    ],
)
def test_what_cannot_be_issued(changes: dict[str, Any], code: str) -> None:
    ledger = confirmed()
    with refused(ledger, code):
        ledger.apply(but(ISSUE, **changes), by=["core"])


def test_an_id_is_used_once() -> None:
    ledger = held()
    with refused(ledger, "certificate.duplicate"):
        ledger.apply(ISSUE, by=["core"])


@pytest.mark.parametrize(
    ("maturity", "notes"),
    [(date(2027, 2, 28), 0), (date(2027, 3, 1), 1), (date(2027, 8, 31), 1), (date(2027, 9, 1), None)],
)
def test_tenor_in_calendar_months(maturity: date, notes: int | None) -> None:
    """Vector 5: six months from 31 August end with February, more is noted, more than twelve refused."""
    ledger = confirmed()
    ledger.move_to(date(2026, 8, 31))
    if notes is None:
        with refused(ledger, "certificate.tenor"):
            ledger.apply(but(ISSUE, maturity=maturity), by=["core"])
    else:
        apply(ledger, but(ISSUE, maturity=maturity), by=["core"])
        assert len(ledger.notes) == notes


def test_claims_can_be_many() -> None:
    """The largest certificate fits into a record: `apply` measures it."""
    ledger = town()
    ledger.move_to(ISSUED)
    names = [f"{'R' * 61}{number:03}" for number in range(CLAIMS_MAX)]
    for name in names:
        submit = do.SubmitReceivable(name, "shop", "core", 2**53 // CLAIMS_MAX - 1, "CNY", MATURITY, name)
        apply(ledger, submit, by=["shop"])
        apply(ledger, do.ConfirmReceivable(name, submit.amount_minor), by=["core"])
    claims = [do.ClaimShare(name, 2**53 // CLAIMS_MAX - 1) for name in names]
    whole = sum(share.amount_minor for share in claims)
    apply(ledger, but(ISSUE, amount_minor=whole, claims=claims), by=["core"])
    assert ledger.get(Certificate, "C").amount_minor == whole


# --- accept and refuse ------------------------------------------------------------------------------------------


def test_only_the_creditor_accepts_and_in_time() -> None:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    with refused(ledger, "certificate.not_signed"):
        ledger.apply(do.AcceptCertificate("C"), by=["core"])
    ledger.move_to(date(2026, 3, 15))
    with refused(ledger, "certificate.expired"):
        ledger.apply(do.AcceptCertificate("C"), by=["shop"])


def test_acceptance_is_in_time_on_the_last_day_and_happens_once() -> None:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    ledger.move_to(date(2026, 3, 14))
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    for again in (do.AcceptCertificate("C"), do.RefuseCertificate("C")):
        with refused(ledger, "certificate.bad_state"):
            ledger.apply(again, by=["shop"])


@pytest.mark.parametrize(("by", "day"), [("shop", 4), ("shop", 15), ("core", 15), ("operator", 15)])
def test_a_refused_certificate_frees_its_claims(by: str, day: int) -> None:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    ledger.move_to(date(2026, 3, day))
    apply(ledger, do.RefuseCertificate("C"), by=[by])
    assert ledger.get(Certificate, "C").status == "cancelled"
    assert ledger.get(Receivable, "R").free == A
    apply(ledger, but(ISSUE, id="C2"), by=["core"])


@pytest.mark.parametrize(("by", "day"), [("core", 14), ("operator", 14), ("bank", 15)])
def test_who_may_not_refuse(by: str, day: int) -> None:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    ledger.move_to(date(2026, 3, day))
    with refused(ledger, "certificate.not_signed"):
        ledger.apply(do.RefuseCertificate("C"), by=[by])


# --- split and transfer -----------------------------------------------------------------------------------------


def test_the_lower_units_move_under_the_old_id() -> None:
    ledger = transferred()
    assert lots(ledger) == [(1, 36_000_000, "tier2"), (36_000_001, A, "shop")]
    lower, upper = ledger.get(Lot, "C 1"), ledger.get(Lot, "C 36000001")
    assert (lower.hop, lower.recourse, lower.next) == (1, (), 36_000_001)
    assert (upper.hop, upper.next) == (0, Absent)
    assert str(lower) == "C [1..36000000] of tier2, without recourse"
    assert ledger.get(Certificate, "C").lots == 2


@pytest.mark.parametrize(
    ("amount_minor", "code"),
    [(950, "certificate.dust"), (99, "certificate.dust"), (900, None), (100, None), (1_000, None),
     (1_001, "certificate.insufficient_free"), (0, "certificate.amount")],
)  # fmt: skip
def test_a_split_leaves_no_dust(amount_minor: int, code: str | None) -> None:
    """Vector 3: a lot of 1,000 with a smallest lot of 100."""
    ledger = small(min_lot_minor=100)
    if code is None:
        apply(ledger, transfer("C 1", "tier2", amount_minor), by=["shop"])
        assert ledger.get(Lot, "C 1").live_minor == amount_minor
    else:
        with refused(ledger, code):
            ledger.apply(transfer("C 1", "tier2", amount_minor), by=["shop"])


def small(**policy: int) -> MemoryBook:
    """A certificate of 1,000 units under another policy."""
    ledger = new_ledger(msgspec.structs.replace(do.DEFAULT_POLICY, **policy))
    for party in ("shop", "tier2"):
        ledger.register(party, "supplier")
    ledger.register("core", "debtor")
    ledger.register("clearer", "settlement_bank")
    ledger.move_to(ISSUED)
    apply(ledger, do.SubmitReceivable("R", "shop", "core", 1_000, "CNY", MATURITY, "INV-7"), by=["shop"])
    apply(ledger, do.ConfirmReceivable("R", 1_000), by=["core"])
    apply(ledger, but(ISSUE, amount_minor=1_000, claims=[ClaimShare("R", 1_000)]), by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    return ledger


def test_the_same_lot_is_not_offered_twice() -> None:
    """Vector 4: in one batch the first offer stands and the second finds nothing free."""
    ledger = held()
    with refused(ledger, "certificate.insufficient_free"):
        ledger.apply(transfer("C 1", "tier2", A), transfer("C 1", "carrier", A), by=["shop"])
    apply(ledger, transfer("C 1", "tier2", A), by=["shop"])
    with refused(ledger, "certificate.insufficient_free"):
        ledger.apply(transfer("C 1", "carrier", A), by=["shop"])


def test_live_lots_have_a_limit() -> None:
    ledger = small(min_lot_minor=1, lots_max=2)
    apply(ledger, transfer("C 1", "tier2", 400), by=["shop"])
    with refused(ledger, "certificate.lots"):
        ledger.apply(transfer("C 401", "tier2", 1), by=["shop"])
    apply(ledger, transfer("C 401", "tier2", 600), by=["shop"])


def test_an_offer_ends_by_itself() -> None:
    ledger = held()
    apply(ledger, transfer("C 1", "tier2", A, until=date(2026, 3, 10)), by=["shop"])
    ledger.move_to(date(2026, 3, 10))
    with refused(ledger, "certificate.insufficient_free"):
        ledger.apply(transfer("C 1", "payee", A), by=["shop"])
    ledger.move_to(date(2026, 3, 11))
    with refused(ledger, "certificate.expired"):
        ledger.apply(do.AcceptTransfer("C 1"), by=["tier2"])
    apply(ledger, transfer("C 1", "payee", A), by=["shop"])
    apply(ledger, do.AcceptTransfer("C 1"), by=["payee"])
    assert lots(ledger) == [(1, A, "payee")]


@pytest.mark.parametrize("by", ["shop", "tier2"])
def test_either_side_ends_an_offer(by: str) -> None:
    ledger = held()
    apply(ledger, transfer("C 1", "tier2", A), by=["shop"])
    with refused(ledger, "certificate.not_signed"):
        ledger.apply(do.WithdrawOffer("C 1"), by=["bank"])
    apply(ledger, do.WithdrawOffer("C 1"), by=[by])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.AcceptTransfer("C 1"), by=["tier2"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.WithdrawOffer("C 1"), by=[by])


def test_an_issued_certificate_is_refused_and_not_withdrawn() -> None:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.WithdrawOffer("C 1"), by=["core"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(transfer("C 1", "tier2", A), by=["core"])


@pytest.mark.parametrize(
    ("offer", "by", "code"),
    [
        (transfer("C 1", "tier2", A), "tier2", "certificate.not_signed"),
        (transfer("C 2", "tier2", A), "shop", "lot.not_found"),
        (transfer("C 1", "nobody", A), "shop", "party.not_found"),
        (transfer("C 1", "shop", A), "shop", "certificate.wrong_role"),
        (transfer("C 1", "core", A), "shop", "certificate.wrong_role"),
        (transfer("C 1", "tier2", A, until=MATURITY), "shop", "certificate.date"),
        (but(transfer("C 1", "tier2", A), trade="a paper"), "shop", "certificate.digest"),
    ],
)
def test_what_cannot_be_offered(offer: do.OfferTransfer, by: str, code: str) -> None:
    ledger = held()
    with refused(ledger, code):
        ledger.apply(offer, by=[by])


def test_only_whom_it_was_offered_to_accepts() -> None:
    ledger = held()
    apply(ledger, transfer("C 1", "tier2", A), by=["shop"])
    with refused(ledger, "certificate.not_signed"):
        ledger.apply(do.AcceptTransfer("C 1"), by=["carrier"])


def test_nothing_changes_hands_after_the_cut_off() -> None:
    ledger = held()
    ledger.move_to(date(2026, 8, 30))
    apply(ledger, transfer("C 1", "tier2", A), by=["shop"])
    ledger.move_to(MATURITY)
    with refused(ledger, "certificate.expired"):
        ledger.apply(do.AcceptTransfer("C 1"), by=["tier2"])
    with refused(ledger, "certificate.cut_off"):
        ledger.apply(transfer("C 1", "tier2", A), by=["shop"])


def test_recourse_is_agreed_each_time() -> None:
    ledger = held()
    for holder, to, recourse in (("shop", "tier2", True), ("tier2", "payee", False), ("payee", "shop", True)):
        apply(ledger, transfer("C 1", to, A, recourse=recourse), by=[holder])
        apply(ledger, do.AcceptTransfer("C 1"), by=[to])
    lot = ledger.get(Lot, "C 1")
    assert (lot.hop, lot.recourse) == (3, ("shop", "payee"))
    assert str(lot).endswith("recourse to shop, payee")


def test_a_recourse_chain_has_an_end() -> None:
    ledger = held()
    long = msgspec.structs.replace(ledger.get(Lot, "C 1"), recourse=("x" * 64,) * (RECOURSE_MAX - 1))
    ledger.put(long)
    apply(ledger, transfer("C 1", "tier2", A, recourse=True), by=["shop"])
    apply(ledger, do.AcceptTransfer("C 1"), by=["tier2"])
    apply(ledger, transfer("C 1", "shop", A, recourse=True), by=["tier2"])
    with refused(ledger, "certificate.recourse"):
        ledger.apply(do.AcceptTransfer("C 1"), by=["shop"])


# --- sale -------------------------------------------------------------------------------------------------------

DAY = date(2026, 3, 18)
SALE = do.OfferSale(
    "C 1", "factor", 36_000_000, 35_203_200, do.Rate(480, 10_000), "act/360", DAY, recourse=False
)  # fmt: skip
PAID = do.SettleSale("C 1", 35_203_200, "DVP-1", digest("sale"))


def offered_for_sale() -> MemoryBook:
    ledger = transferred()
    ledger.move_to(DAY)
    apply(ledger, SALE, by=["tier2"])
    return ledger


@pytest.mark.parametrize("by", ["clearer", "tier2"])
def test_the_lot_moves_with_the_money(by: str) -> None:
    """Delivery versus payment, stated by the settlement bank or by the seller, who would be the one to lose."""
    ledger = offered_for_sale()
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(PAID, by=[by])
    apply(ledger, do.AcceptSale("C 1"), by=["factor"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.AcceptSale("C 1"), by=["factor"])
    with refused(ledger, "certificate.bad_state"):
        ledger.apply(do.WithdrawOffer("C 1"), by=["tier2"])
    assert ledger.get(Lot, "C 1").holder == "tier2"
    apply(ledger, PAID, by=[by])
    assert ledger.get(Lot, "C 1").holder == "factor"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price_minor": 35_203_199}, "certificate.price"),
        ({"price_minor": 35_203_201}, "certificate.price"),
        ({"discount_rate": do.Rate(30_000, 10_000)}, "certificate.price"),
        ({"discount_rate": do.Rate(-1, 10_000)}, "certificate.rate"),
        ({"to": "payee"}, "certificate.wrong_role"),
        ({"on": date(2026, 3, 17)}, "certificate.date"),
        ({"on": date(2026, 3, 29)}, "certificate.date"),
    ],
)
def test_what_cannot_be_sold(changes: dict[str, Any], code: str) -> None:
    ledger = transferred()
    ledger.move_to(DAY)
    with refused(ledger, code):
        ledger.apply(but(SALE, **changes), by=["tier2"])


@pytest.mark.parametrize(
    ("changes", "by", "code"),
    [
        ({"amount_minor": 35_203_199}, "clearer", "certificate.price"),
        ({"value_date": date(2026, 3, 17)}, "clearer", "certificate.value_date"),
        ({"digest": "no"}, "clearer", "certificate.digest"),
        ({}, "bank", "certificate.not_signed"),
    ],
)
def test_which_payment_moves_no_lot(changes: dict[str, Any], by: str, code: str) -> None:
    ledger = offered_for_sale()
    apply(ledger, do.AcceptSale("C 1"), by=["factor"])
    with refused(ledger, code):
        ledger.apply(but(PAID, **changes), by=[by])


def test_the_price_is_for_one_day() -> None:
    ledger = offered_for_sale()
    apply(ledger, do.AcceptSale("C 1"), by=["factor"])
    ledger.advance(1)
    with refused(ledger, "certificate.value_date"):
        ledger.apply(PAID, by=["clearer"])
    apply(ledger, but(PAID, value_date=DAY), by=["clearer"])


# --- a guarantee with it ----------------------------------------------------------------------------------------


def test_the_guarantee_takes_effect_with_acceptance() -> None:
    ledger = confirmed()
    apply(ledger, GUARANTEE, by=["guarantor"])
    apply(ledger, but(ISSUE, guarantees=["G"]), by=["core"])
    assert ledger.get(Guarantee, "G").status == "offered"
    assert ledger.get(Guarantee, "G").exposure_minor(A, MATURITY) == 0
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    assert ledger.get(Guarantee, "G").status == "effective"
    assert ledger.get(Guarantee, "G").exposure_minor(A, MATURITY) == 92_800_000


def test_a_certificate_is_not_accepted_without_its_guarantee() -> None:
    ledger = confirmed()
    apply(ledger, GUARANTEE, by=["guarantor"])
    apply(ledger, but(ISSUE, guarantees=["G"]), by=["core"])
    ledger.advance(1)
    with refused(ledger, "guarantee.expired"):
        ledger.apply(do.AcceptCertificate("C"), by=["shop"])


def test_an_offer_is_over_on_the_day_after() -> None:
    lot = Lot(
        id="C 1", certificate="C", start=1, first=1, last=9, holder="shop",
        offer=Offer("tier2", ISSUED, "transfer", recourse=False),
    )  # fmt: skip
    assert lot.encumbrance(ISSUED) == "reserved"
    assert lot.encumbrance(ISSUED + timedelta(1)) == "none"
