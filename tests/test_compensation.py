"""Guarantees when they are called: who may demand, until when, how much; and what it makes of guarantor and debtor."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.cash import Cash
from finchain.domain.certificate import Lot
from finchain.domain.compensation import entitlements
from finchain.domain.guarantee import Guarantee
from stories import GUARANTEE, ISSUE, MATURITY, apply, but, confirmed

A = 10_000_000
PERIOD_END = date(2027, 2, 28)
OFFER = but(GUARANTEE, cap_minor=A)
PAY = do.PayCertificate("C", 1_000_000, "PAY-1", digest("payment"))
DEMAND = do.DemandCompensation("G", "C 1", 1)
COMPENSATE = do.CompensateLoss("G", 1, "COMP-1", digest("compensation"))


def guaranteed(*offers: do.OfferGuarantee, amount_minor: int = A, tier2_minor: int = 4_000_000) -> MemoryBook:
    """The second tier holds the lower units and the shop the rest; each offer is of a guarantor of its own."""
    ledger = confirmed(amount_minor)
    guarantors = {offer.guarantor for offer in offers} - {"guarantor", "bank"}
    for guarantor in sorted(guarantors):
        ledger.register(guarantor, "guarantor")
    for offer in offers:
        apply(ledger, offer, by=[offer.guarantor])
    claims = [do.ClaimShare("R", amount_minor)]
    issue = but(ISSUE, amount_minor=amount_minor, claims=claims, guarantees=[offer.id for offer in offers])
    apply(ledger, issue, by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    if tier2_minor:
        apply(ledger, do.OfferTransfer("C 1", "tier2", tier2_minor, digest("t"), recourse=False), by=["shop"])
        apply(ledger, do.AcceptTransfer("C 1"), by=["tier2"])
    return ledger


def unpaid(*offers: do.OfferGuarantee, amount_minor: int = A, tier2_minor: int = 4_000_000) -> MemoryBook:
    """The debtor has paid nothing on the day, which the settlement bank has stated."""
    ledger = guaranteed(*offers, amount_minor=amount_minor, tier2_minor=tier2_minor)
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    return ledger


def due(ledger: MemoryBook, id: str = "G") -> dict[str, int]:
    return dict(entitlements(ledger.book(), ledger.get(Guarantee, id)))


def cash(ledger: MemoryBook) -> dict[str, int]:
    return {each.id.removesuffix(" CNY"): each.net_minor for each in ledger.all(Cash) if each.net_minor}


def call(ledger: MemoryBook, lot: str, amount_minor: int, id: str = "G") -> None:
    """Demanded and paid on one day."""
    guarantee = ledger.get(Guarantee, id)
    apply(ledger, do.DemandCompensation(id, lot, amount_minor), by=[ledger.get(Lot, lot).beneficiary])
    reference = f"COMP {id} {lot} {guarantee.compensated_minor}"
    paid = do.CompensateLoss(id, amount_minor, reference, digest(reference))
    apply(ledger, paid, by=[guarantee.guarantor, "clearer"])


# --- who may demand, and when -----------------------------------------------------------------------------------


def test_nothing_is_demanded_before_the_default() -> None:
    ledger = guaranteed(OFFER)
    ledger.move_to(MATURITY)
    with refused(ledger, "guarantee.not_due"):
        ledger.apply(DEMAND, by=["tier2"])


def test_nothing_is_compensated_before_anything_was_demanded() -> None:
    ledger = guaranteed(OFFER)
    with refused(ledger, "guarantee.over_compensate"):
        ledger.apply(COMPENSATE, by=["guarantor", "clearer"])


@pytest.mark.parametrize("by", ["shop", "core", "guarantor", "clearer"])
def test_only_the_beneficiary_of_the_lot_demands(by: str) -> None:
    ledger = unpaid(OFFER)
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(DEMAND, by=[by])
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(DEMAND, by=(), service=["tier2"])
    apply(ledger, DEMAND, by=["tier2"])


def test_what_cannot_be_demanded() -> None:
    ledger = unpaid(OFFER)
    for wrong, code in (
        (but(DEMAND, id="none"), "guarantee.not_found"),
        (but(DEMAND, claim="C 2"), "guarantee.not_due"),
        (but(DEMAND, amount_minor=0), "guarantee.amount"),
        (but(DEMAND, amount_minor=3_200_001), "guarantee.over_demand"),
        (but(DEMAND, evidence=digest("e")), "guarantee.evidence"),
    ):
        with refused(ledger, code):
            ledger.apply(wrong, by=["tier2"])
    apply(ledger, but(DEMAND, amount_minor=3_200_000), by=["tier2"])
    with refused(ledger, "guarantee.over_demand"):
        ledger.apply(DEMAND, by=["tier2"])


def test_vector_9_a_demand_after_the_period_is_too_late() -> None:
    ledger = unpaid(OFFER)
    ledger.move_to(PERIOD_END)
    in_time = ledger.copy()
    ledger.advance(1)
    with refused(ledger, "guarantee.expired"):
        ledger.apply(DEMAND, by=["tier2"])
    assert ledger.get(Guarantee, "G").exposure_minor(A, ledger.today) == 0
    apply(in_time, DEMAND, by=["tier2"])
    in_time.advance(1)
    assert in_time.get(Guarantee, "G").exposure_minor(A, in_time.today) == 1
    apply(in_time, COMPENSATE, by=["guarantor", "clearer"])


def test_a_general_guarantor_pays_after_suit_and_enforcement() -> None:
    """Civil Code 687 and 693: the debtor is sued within the period, and enforced against before the demand."""
    ledger = unpaid(but(OFFER, liability="general"))
    suit = do.FileSuit("G", "C 1", digest("suit"))
    proved = but(DEMAND, evidence=digest("nothing found"))
    with refused(ledger, "guarantee.not_sued"):
        ledger.apply(proved, by=["tier2"])
    ledger.move_to(PERIOD_END)
    late = ledger.copy()
    late.advance(1)
    with refused(late, "guarantee.expired"):
        late.apply(suit, by=["tier2"])
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(suit, by=["shop"])
    with refused(ledger, "guarantee.digest"):
        ledger.apply(but(suit, digest="0"), by=["tier2"])
    apply(ledger, suit, by=["tier2"])
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(suit, by=["tier2"])
    with refused(ledger, "guarantee.evidence"):
        ledger.apply(DEMAND, by=["tier2"])
    with refused(ledger, "guarantee.digest"):
        ledger.apply(but(DEMAND, evidence="0"), by=["tier2"])
    # Enforcement takes its time: the suit was in the period, the demand need not be.
    ledger.advance(300)
    assert ledger.get(Guarantee, "G").exposure_minor(A, ledger.today) == 8_000_000
    apply(ledger, proved, by=["tier2"])
    # Who did not sue is too late.
    with refused(ledger, "guarantee.not_sued"):
        ledger.apply(but(proved, claim="C 4000001"), by=["shop"])


@pytest.mark.parametrize("liability", ["joint_several", "independent"])
def test_others_pay_without_a_suit(liability: str) -> None:
    guarantor = "bank" if liability == "independent" else "guarantor"
    ledger = unpaid(but(OFFER, liability=liability, guarantor=guarantor))
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(do.FileSuit("G", "C 1", digest("suit")), by=["tier2"])
    apply(ledger, DEMAND, by=["tier2"])


# --- how much ---------------------------------------------------------------------------------------------------


def test_vector_8_the_cap_holds() -> None:
    ledger = unpaid(but(OFFER, cap_minor=500_000), amount_minor=1_000_000, tier2_minor=0)
    assert due(ledger) == {"C 1": 500_000}


def test_first_loss_pays_all_up_to_the_cap() -> None:
    """The same cap under the two conventions: 80% of each loss, or the whole of it until the cap is used up."""
    cap = 2_000_000
    assert due(unpaid(but(OFFER, cap_minor=cap, convention="first_loss", coverage_bp=10_000))) == {
        "C 1": 800_000, "C 4000001": 1_200_000,
    }  # fmt: skip
    small = unpaid(but(OFFER, cap_minor=cap, convention="first_loss", coverage_bp=10_000), amount_minor=1_500_000,
                   tier2_minor=0)  # fmt: skip
    assert due(small) == {"C 1": 1_500_000}
    assert due(unpaid(but(OFFER, cap_minor=cap), amount_minor=1_500_000, tier2_minor=0)) == {"C 1": 1_200_000}


def test_who_asks_first_gets_no_more_and_who_asks_last_no_less() -> None:
    ledger = unpaid(OFFER)
    assert due(ledger) == {"C 1": 3_200_000, "C 4000001": 4_800_000}
    call(ledger, "C 1", 3_200_000)
    assert due(ledger) == {"C 4000001": 4_800_000}
    call(ledger, "C 4000001", 4_800_000)
    assert due(ledger) == {}
    assert cash(ledger) == {"guarantor": -8_000_000, "tier2": 3_200_000, "shop": 4_800_000}


def test_a_payment_in_parts_is_shared_by_what_was_demanded() -> None:
    ledger = unpaid(OFFER)
    apply(ledger, but(DEMAND, amount_minor=1_000_000), by=["tier2"])
    apply(ledger, but(DEMAND, claim="C 4000001", amount_minor=3_000_000), by=["shop"])
    with refused(ledger, "guarantee.over_compensate"):
        ledger.apply(but(COMPENSATE, amount_minor=4_000_001), by=["guarantor", "clearer"])
    apply(ledger, but(COMPENSATE, amount_minor=2_000_000), by=["guarantor", "clearer"])
    assert cash(ledger) == {"guarantor": -2_000_000, "tier2": 500_000, "shop": 1_500_000}
    apply(ledger, but(COMPENSATE, amount_minor=2_000_000, reference="COMP-2"), by=["guarantor", "clearer"])
    assert cash(ledger) == {"guarantor": -4_000_000, "tier2": 1_000_000, "shop": 3_000_000}
    assert due(ledger) == {"C 1000001": 2_200_000, "C 7000001": 1_800_000}


def test_guarantor_and_bank_state_a_payment_together() -> None:
    ledger = unpaid(OFFER)
    apply(ledger, DEMAND, by=["tier2"])
    for by in (["guarantor"], ["clearer"], ["tier2", "clearer"]):
        with refused(ledger, "guarantee.not_signed"):
            ledger.apply(COMPENSATE, by=by)
    with refused(ledger, "guarantee.value_date"):
        ledger.apply(but(COMPENSATE, value_date=MATURITY - timedelta(1)), by=["guarantor", "clearer"])
    with refused(ledger, "guarantee.amount"):
        ledger.apply(but(COMPENSATE, amount_minor=0), by=["guarantor", "clearer"])
    apply(ledger, COMPENSATE, by=["guarantor", "clearer"])
    with refused(ledger, "guarantee.over_compensate"):
        ledger.apply(but(COMPENSATE, reference="COMP-2"), by=["guarantor", "clearer"])


def test_what_the_debtor_pays_after_the_demand_is_a_loss_no_more() -> None:
    """4 m of 10 m arrive between demand and payment: 80% of the 6 m that are left, though 8 m were demanded."""
    ledger = unpaid(OFFER)
    apply(ledger, but(DEMAND, amount_minor=3_200_000), by=["tier2"])
    apply(ledger, but(DEMAND, claim="C 4000001", amount_minor=4_800_000), by=["shop"])
    apply(ledger, but(PAY, amount_minor=4_000_000), by=["clearer"])
    assert due(ledger) == {"C 1": 1_920_000, "C 4000001": 2_880_000}
    with refused(ledger, "guarantee.over_compensate"):
        ledger.apply(but(COMPENSATE, amount_minor=4_800_001), by=["guarantor", "clearer"])
    apply(ledger, but(COMPENSATE, amount_minor=4_800_000), by=["guarantor", "clearer"])


def test_vector_28_the_debtors_money_after_compensation_goes_by_rank() -> None:
    """Nobody has to give an excess back: holders get what was not covered, and everything else is the guarantor's."""
    ledger = unpaid(OFFER)
    call(ledger, "C 1", 3_200_000)
    call(ledger, "C 4000001", 4_800_000)
    apply(ledger, but(PAY, amount_minor=A), by=["clearer"])
    assert cash(ledger) == {"core": -A, "tier2": 4_000_000, "shop": 6_000_000}
    assert ledger.get(Guarantee, "G").subrogated_minor == 0


def test_the_whole_lot_can_go_to_the_guarantor() -> None:
    """What was paid for it still counts when the loss of the others is divided."""
    ledger = unpaid(but(OFFER, coverage_bp=10_000))
    call(ledger, "C 1", 4_000_000)
    lot = ledger.get(Lot, "C 1")
    assert (lot.holder, lot.rank, lot.live_minor) == ("guarantor", "junior", 4_000_000)
    assert due(ledger) == {"C 4000001": 6_000_000}
    with refused(ledger, "guarantee.not_due"):
        ledger.apply(DEMAND, by=["guarantor"])


def test_a_guarantor_does_not_pay_itself() -> None:
    ledger = guaranteed(but(OFFER, guarantor="bank", liability="independent"))
    apply(ledger, do.OfferTransfer("C 1", "bank", 4_000_000, digest("t"), recourse=False), by=["tier2"])
    apply(ledger, do.AcceptTransfer("C 1"), by=["bank"])
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    with refused(ledger, "guarantee.wrong_role"):
        ledger.apply(DEMAND, by=["bank"])


# --- several guarantors -----------------------------------------------------------------------------------------


def both(sharing: str | None, first_bp: int, second_bp: int) -> list[do.OfferGuarantee]:
    sharing_now = {} if sharing is None else {"sharing": sharing}
    first = but(OFFER, coverage_bp=first_bp, **sharing_now)
    return [first, but(first, id="H", guarantor="second", coverage_bp=second_bp)]


def test_vector_7_several_shares_and_what_nobody_covers() -> None:
    """60% and 30% of 10,000,001: rule P over the two shares and the rest gives the odd unit to the first."""
    offers = [but(each, cap_minor=2 * A) for each in both("several", 6_000, 3_000)]
    ledger = unpaid(*offers, amount_minor=10_000_001, tier2_minor=0)
    assert (due(ledger, "G"), due(ledger, "H")) == ({"C 1": 6_000_001}, {"C 1": 3_000_000})
    call(ledger, "C 1", 6_000_001, "G")
    assert due(ledger, "H") == {"C 6000002": 3_000_000}
    call(ledger, "C 6000002", 3_000_000, "H")
    assert ledger.get(Lot, "C 9000002").live_minor == 1_000_000
    assert (due(ledger, "G"), due(ledger, "H")) == ({}, {})


def test_of_joint_guarantors_any_may_be_asked_for_all() -> None:
    ledger = unpaid(*both("joint", 8_000, 8_000))
    assert due(ledger, "G") == due(ledger, "H") == {"C 1": 3_200_000, "C 4000001": 4_800_000}
    call(ledger, "C 1", 3_200_000, "H")
    # They answer for the same part of the loss, so what one has paid the other owes no more.
    assert due(ledger, "G") == due(ledger, "H") == {"C 4000001": 4_800_000}
    call(ledger, "C 4000001", 4_000_000, "G")
    assert due(ledger, "H") == {"C 8000001": 800_000}
    assert ledger.get(Guarantee, "H").exposure_minor(2_800_000, MATURITY, others_minor=4_000_000) == 800_000


def test_a_cap_of_one_joint_guarantor_leaves_the_rest_to_the_other() -> None:
    first, second = both("joint", 8_000, 8_000)
    ledger = unpaid(but(first, cap_minor=1_000_000), second)
    call(ledger, "C 1", 400_000, "G")
    call(ledger, "C 4000001", 600_000, "G")
    assert due(ledger, "G") == {}
    assert due(ledger, "H") == {"C 400001": 2_800_000, "C 4600001": 4_200_000}


@pytest.mark.parametrize(
    ("sharing", "first_bp", "second_bp", "code"),
    [
        (None, 5_000, 5_000, "guarantee.sharing"),
        ("several", 5_000, 5_000, None),
        ("several", 5_000, 5_001, "guarantee.coverage"),
        ("joint", 10_000, 10_000, None),
    ],
)
def test_i_9_several_guarantors_say_how_they_share(
    sharing: str | None, first_bp: int, second_bp: int, code: str | None
) -> None:
    if code is None:
        guaranteed(*both(sharing, first_bp, second_bp))
        return
    ledger = confirmed(A)
    ledger.register("second", "guarantor")
    for offer in both(sharing, first_bp, second_bp):
        apply(ledger, offer, by=[offer.guarantor])
    issue = but(ISSUE, amount_minor=A, claims=[do.ClaimShare("R", A)], guarantees=["G", "H"])
    with refused(ledger, code):
        ledger.apply(issue, by=["core"])


def test_a_guarantee_is_named_once() -> None:
    ledger = confirmed(A)
    apply(ledger, OFFER, by=["guarantor"])
    issue = but(ISSUE, amount_minor=A, claims=[do.ClaimShare("R", A)])
    for names in (["G", "G"], [f"G{n}" for n in range(9)]):
        with refused(ledger, "guarantee.sharing"):
            ledger.apply(but(issue, guarantees=names), by=["core"])


def test_the_odd_unit_is_not_paid_twice() -> None:
    """Two halves of a loss of two units, one each of two lots: rule P gives both guarantors the first lot's unit."""
    offers = [but(each, cap_minor=A) for each in both("several", 5_000, 5_000)]
    ledger = unpaid(*offers, amount_minor=300_000, tier2_minor=100_000)
    apply(ledger, but(PAY, amount_minor=299_998), by=["clearer"])
    lots = {lot.id: lot.live_minor for lot in ledger.all(Lot)}
    assert lots == {"C 1": 1, "C 100001": 1}
    assert due(ledger, "G") == due(ledger, "H") == {"C 1": 1}
    call(ledger, "C 1", 1, "G")
    assert due(ledger, "H") == {"C 100001": 1}


# --- the end of a guarantee -------------------------------------------------------------------------------------


def test_all_beneficiaries_release_it() -> None:
    ledger = unpaid(OFFER)
    for by in (["tier2"], ["guarantor", "core"]):
        with refused(ledger, "guarantee.not_signed"):
            ledger.apply(do.ReleaseGuarantee("G"), by=by)
    apply(ledger, do.ReleaseGuarantee("G"), by=["tier2", "shop"])
    assert ledger.get(Guarantee, "G").exposure_minor(A, MATURITY) == 0
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(DEMAND, by=["tier2"])
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(do.ReleaseGuarantee("G"), by=["tier2", "shop"])


@pytest.mark.parametrize(("days", "code"), [(0, "guarantee.not_signed"), (1, None)])
def test_after_the_period_the_guarantor_needs_nobody(days: int, code: str | None) -> None:
    ledger = unpaid(OFFER)
    ledger.move_to(PERIOD_END + timedelta(days))
    if code is None:
        apply(ledger, do.ReleaseGuarantee("G"), by=["guarantor"])
    else:
        with refused(ledger, code):
            ledger.apply(do.ReleaseGuarantee("G"), by=["guarantor"])


def test_what_was_demanded_in_time_outlives_the_period() -> None:
    ledger = unpaid(OFFER)
    apply(ledger, DEMAND, by=["tier2"])
    ledger.move_to(PERIOD_END + timedelta(1))
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(do.ReleaseGuarantee("G"), by=["guarantor"])
    apply(ledger, COMPENSATE, by=["guarantor", "clearer"])
    apply(ledger, do.ReleaseGuarantee("G"), by=["guarantor"])


def test_a_guarantee_that_nobody_needs_any_more_is_not_anybodys_to_release() -> None:
    ledger = unpaid(but(OFFER, coverage_bp=10_000), tier2_minor=0)
    call(ledger, "C 1", A)
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(do.ReleaseGuarantee("G"), by=["shop"])
    apply(ledger, do.ReleaseGuarantee("G"), by=["core"])


def test_interest_for_the_guarantor_is_agreed_once_and_before_it_pays() -> None:
    ledger = unpaid(OFFER)
    agree = do.AgreeRecovery("G", do.Rate(6_525, 100_000), "act/360")
    for by in (["guarantor"], ["core"]):
        with refused(ledger, "guarantee.not_signed"):
            ledger.apply(agree, by=by)
    with refused(ledger, "guarantee.rate"):
        ledger.apply(but(agree, rate=do.Rate(-1, 1)), by=["guarantor", "core"])
    paid = ledger.copy()
    call(paid, "C 1", 1)
    with refused(paid, "guarantee.bad_state"):
        paid.apply(agree, by=["guarantor", "core"])
    apply(ledger, agree, by=["guarantor", "core"])
    with refused(ledger, "guarantee.bad_state"):
        ledger.apply(agree, by=["guarantor", "core"])


def test_interest_that_could_outgrow_an_amount_is_refused() -> None:
    """Otherwise it could one day stop a payment to others."""
    ledger = unpaid(but(OFFER, cap_minor=2**53 - 1))
    with refused(ledger, "guarantee.amount"):
        ledger.apply(do.AgreeRecovery("G", do.Rate(2, 100), "act/360"), by=["guarantor", "core"])
    apply(ledger, do.AgreeRecovery("G", do.Rate(1, 100), "act/360"), by=["guarantor", "core"])


# --- faults that were found once --------------------------------------------------------------------------------


def test_compensation_is_not_valued_before_the_default() -> None:
    """The debtor's part was valued on the day, the default stated two days later: no interest runs in between."""
    ledger = guaranteed(OFFER)
    ledger.move_to(MATURITY)
    apply(ledger, PAY, by=["clearer"])
    ledger.advance(2)
    apply(ledger, do.DishonourCertificate("C", "tier2"), by=["tier2"])
    apply(ledger, DEMAND, by=["tier2"])
    with refused(ledger, "guarantee.value_date"):
        ledger.apply(but(COMPENSATE, value_date=MATURITY + timedelta(1)), by=["guarantor", "clearer"])
    apply(ledger, but(COMPENSATE, value_date=MATURITY + timedelta(2)), by=["guarantor", "clearer"])


def test_who_was_paid_before_the_debtor_paid_does_not_take_from_the_others() -> None:
    """Three lots of 4, 3 and 3 m; the first is compensated, then 4 m arrive: the others share what is left, once."""
    ledger = guaranteed(OFFER)
    apply(ledger, do.OfferTransfer("C 4000001", "payee", 3_000_000, digest("t"), recourse=False), by=["shop"])
    apply(ledger, do.AcceptTransfer("C 4000001"), by=["payee"])
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    call(ledger, "C 1", 3_200_000)
    apply(ledger, but(PAY, amount_minor=4_000_000), by=["clearer"])
    # 80% of the 6 m that were lost in the end are 4.8 m, of which 3.2 m are paid.
    assert due(ledger) == {"C 4000001": 800_000, "C 7000001": 800_000}
    call(ledger, "C 4000001", 800_000)
    assert due(ledger) == {"C 7000001": 800_000}


def test_an_odd_unit_of_several_shares_is_somebodys() -> None:
    """40% and 20% of a loss of 6 units: rule P over 2.4, 1.2 and 2.4 gives 3, 1 and 2, though 2.4 rounds to 2."""
    offers = [but(each, cap_minor=A) for each in both("several", 4_000, 2_000)]
    ledger = unpaid(*offers, amount_minor=200_000, tier2_minor=100_000)
    apply(ledger, but(PAY, amount_minor=199_994), by=["clearer"])
    assert (sum(due(ledger, "G").values()), sum(due(ledger, "H").values())) == (3, 1)


def test_a_demand_for_what_the_debtor_has_paid_since_binds_nobody() -> None:
    ledger = unpaid(OFFER)
    apply(ledger, but(DEMAND, amount_minor=3_200_000), by=["tier2"])
    apply(ledger, do.WaiveLot("C 1"), by=["tier2"])
    ledger.move_to(PERIOD_END + timedelta(1))
    apply(ledger, do.ReleaseGuarantee("G"), by=["guarantor"])
