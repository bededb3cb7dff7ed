"""A loan with guarantors: what they answer for, what the borrower then owes to whom, and who is paid first.

50 m are lent on 9 March at 4.35% and are due on 31 August, 175 days later: 1,057,292 of interest.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.domain.cash import Cash
from finchain.domain.certificate import Lot
from finchain.domain.compensation import entitlements
from finchain.domain.guarantee import Guarantee, Scope
from finchain.domain.invariants import InvariantError, Ledger, check_ranks
from finchain.domain.loan import Loan
from finchain.domain.rule import Absent
from finchain.domain.totals import totals_of
from stories import ACCOUNT, LOAN, MATURITY, apply, but, draw, pledge, transferred

INTEREST = 1_057_292
PRINCIPAL = 50_000_000
PERIOD_END = date(2027, 8, 31)
OFFER = do.OfferGuarantee(
    "G", "guarantor", "shop", "loan", "L", "CNY", "financing", "joint_several", "proportional", 8_000, 60_000_000,
    ["principal", "interest"], do.Rate(100, 10_000), "act/360", "shop", PERIOD_END, date(2026, 3, 6),
)  # fmt: skip
DEMAND = do.DemandCompensation("G", "L", 1)
PAID = do.CompensateLoss("G", 1, "COMP-1", digest("compensation"))
REPAID = do.ReceiveRepayment("L", 1, "IN-1", digest("repayment"))
RECOVERED = do.ReceiveRecovery("G", 1, "BACK-1", digest("recovery"))
TIGHT = but(LOAN, advance_bp=1, limit_minor=PRINCIPAL)
"""A loan for which the pledged lots secure next to nothing."""


def agreed(*offers: do.OfferGuarantee, loan: do.AgreeLoan = LOAN, pledged: bool = True) -> MemoryBook:
    """The guarantors have offered, and the lender accepts the offers with the loan."""
    ledger = transferred()
    for name in sorted({offer.guarantor for offer in offers} - {"guarantor"}):
        ledger.register(name, "guarantor")
    apply(ledger, ACCOUNT, by=["shop", "bank"])
    ledger.move_to(date(2026, 3, 6))
    for offer in offers:
        apply(ledger, offer, by=[offer.guarantor])
    apply(ledger, but(loan, guarantees=[offer.id for offer in offers]), by=["shop", "bank"])
    if pledged:
        apply(ledger, pledge("C 36000001", 80_000_000), by=["shop", "bank"])
    return ledger


def lent(*offers: do.OfferGuarantee, loan: do.AgreeLoan = LOAN, pledged: bool = True) -> MemoryBook:
    ledger = agreed(*offers, loan=loan, pledged=pledged)
    draw(ledger, date(2026, 3, 9), PRINCIPAL, "one")
    return ledger


def overdue(*offers: do.OfferGuarantee, days: int = 1, **changes: Any) -> MemoryBook:
    """Nothing was repaid on the day."""
    ledger = lent(*offers, loan=but(LOAN, **changes))
    ledger.move_to(MATURITY + timedelta(days))
    return ledger


def due(ledger: MemoryBook, id: str = "G") -> int:
    return entitlements(ledger.book(), ledger.get(Guarantee, id)).get("L", 0)


def compensate(ledger: MemoryBook, amount_minor: int, id: str = "G", by: str = "bank") -> None:
    """Demanded and paid on one day."""
    guarantee = ledger.get(Guarantee, id)
    reference = f"COMP {id} {guarantee.compensated_minor}"
    apply(ledger, do.DemandCompensation(id, "L", amount_minor), by=[by])
    paid = do.CompensateLoss(id, amount_minor, reference, digest(reference))
    apply(ledger, paid, by=[guarantee.guarantor, by])
    assert totals_of(ledger.records.values(), today=ledger.today, height=ledger.height).balanced


def owed(ledger: MemoryBook) -> dict[str, int]:
    """What the borrower owes to whom."""
    loan = ledger.get(Loan, "L")
    guarantors = {each.id: each.subrogated_minor for each in ledger.all(Guarantee) if each.subrogated_minor}
    return {"bank": loan.outstanding_minor + loan.due_minor} | guarantors


def cash(ledger: MemoryBook, *parties: str) -> list[int]:
    found = {each.id: each.net_minor for each in ledger.all(Cash)}
    return [found.get(f"{party} CNY", 0) for party in parties]


# --- how it takes effect ----------------------------------------------------------------------------------------


def test_the_lender_accepts_with_the_loan() -> None:
    ledger = agreed(OFFER)
    guarantee = ledger.get(Guarantee, "G")
    assert (guarantee.status, guarantee.covered_minor) == ("effective", 57_600_000)
    assert guarantee.fee_minor == 284_800, "1% of 57.6 m for the 178 days until the loan is due"
    assert ledger.get(Loan, "L").guarantees == ("G",)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"debt": "other"}, "guarantee.other_debt"),
        ({"secures": "certificate", "debtor": "core", "debt": "L"}, "guarantee.other_debt"),
        ({"debtor": "tier2"}, "guarantee.other_debt"),
        ({"currency": "USD"}, "guarantee.other_debt"),
        ({"period_end": MATURITY}, "guarantee.period"),
        ({"until": date(2026, 3, 5)}, "guarantee.expired"),
    ],
)
def test_an_offer_for_something_else_is_not_accepted(changes: dict[str, Any], code: str) -> None:
    ledger = transferred()
    apply(ledger, ACCOUNT, by=["shop", "bank"])
    apply(ledger, but(OFFER, **changes), by=["guarantor"])
    ledger.move_to(date(2026, 3, 6))
    with refused(ledger, code):
        ledger.apply(but(LOAN, guarantees=["G"]), by=["shop", "bank"])


def test_what_is_guaranteed_can_be_lent_without_a_pledge() -> None:
    """80% of a limit of 50 m are covered, and not a cent more is lent on them."""
    ledger = agreed(OFFER, loan=TIGHT, pledged=False)
    ledger.move_to(date(2026, 3, 9))
    with refused(ledger, "loan.over_advance"):
        ledger.apply(do.DrawLoan("L", "one", 40_000_001), by=["shop", "bank"])
    draw(ledger, date(2026, 3, 9), 40_000_000, "one")


def test_covers_that_overlap_secure_what_the_largest_does() -> None:
    both = [but(OFFER, id=id, guarantor=name, sharing="joint", coverage_bp=bp) for id, name, bp in (
        ("G", "guarantor", 8_000), ("H", "second", 10_000))]  # fmt: skip
    ledger = agreed(*both, loan=TIGHT, pledged=False)
    draw(ledger, date(2026, 3, 9), 50_000_000, "one")


# --- what it is called for --------------------------------------------------------------------------------------


def test_nothing_is_demanded_on_the_day_itself() -> None:
    ledger = overdue(OFFER, days=0)
    with refused(ledger, "guarantee.not_due"):
        ledger.apply(DEMAND, by=["bank"])
    ledger.advance(1)
    apply(ledger, DEMAND, by=["bank"])


@pytest.mark.parametrize("by", ["shop", "guarantor", "tier2"])
def test_only_the_lender_demands_and_states_the_payment(by: str) -> None:
    ledger = overdue(OFFER)
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(DEMAND, by=[by])
    apply(ledger, DEMAND, by=["bank"])
    for signers in (["guarantor"], ["bank"], ["guarantor", by]):
        with refused(ledger, "guarantee.not_signed"):
            ledger.apply(PAID, by=signers)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (["principal"], 50_000_000),
        (["principal", "interest"], 50_000_000 + INTEREST),
        # Ten days at 6.525% of 360 days: on the principal 90,625, and on the interest 1,916.
        (["principal", "penalty"], 50_000_000 + 90_625 + 1_916),
        (["principal", "costs"], 50_000_000 + 7_000),
        (["principal", "interest", "penalty", "costs"], 50_000_000 + INTEREST + 90_625 + 1_916 + 7_000),
    ],
)
def test_a_guarantor_answers_for_what_its_scope_names(scope: list[Scope], expected: int) -> None:
    ledger = overdue(but(OFFER, scope=scope, coverage_bp=10_000), days=10)
    apply(ledger, do.ChargeLoan("L", "costs", 7_000, digest("bill"), digest("award")), by=["bank"])
    assert due(ledger) == expected
    with refused(ledger, "guarantee.over_demand"):
        ledger.apply(but(DEMAND, amount_minor=expected + 1), by=["bank"])
    compensate(ledger, expected)
    assert owed(ledger)["G"] == expected


def test_what_a_guarantor_pays_the_lender_loses_and_it_gains() -> None:
    """80% of 51,057,292 are 40,845,834; the borrower owes as much as before, and the lender had the money."""
    ledger = overdue(OFFER)
    whole = 50_000_000 + INTEREST
    compensate(ledger, 40_845_834)
    # One day late: 9,063 of penalty interest and 192 of compound interest, which the guarantor does not answer for.
    assert owed(ledger) == {"bank": whole + 9_063 + 192 - 40_845_834, "G": 40_845_834}
    assert cash(ledger, "guarantor", "bank") == [-40_845_834, -50_000_000 + 40_845_834]
    loan = ledger.get(Loan, "L")
    assert loan.charges["interest"].compensated_minor == INTEREST, "interest comes before principal"
    assert (loan.compensated_minor, loan.repaid_minor) == (40_845_834 - INTEREST, 0)
    assert due(ledger) == 0, "asking again gives nothing more"


def test_a_cap_bounds_principal_and_interest_together() -> None:
    ledger = overdue(but(OFFER, cap_minor=30_000_000))
    assert due(ledger) == 30_000_000


def test_a_general_guarantor_of_a_loan_pays_after_suit_and_enforcement() -> None:
    ledger = overdue(but(OFFER, liability="general"))
    with refused(ledger, "guarantee.not_sued"):
        ledger.apply(DEMAND, by=["bank"])
    apply(ledger, do.FileSuit("G", "L", digest("suit")), by=["bank"])
    with refused(ledger, "guarantee.evidence"):
        ledger.apply(DEMAND, by=["bank"])
    apply(ledger, but(DEMAND, evidence=digest("enforcement")), by=["bank"])


def test_a_demand_after_the_period_is_too_late() -> None:
    ledger = overdue(OFFER)
    ledger.move_to(PERIOD_END)
    apply(ledger, DEMAND, by=["bank"])
    ledger.advance(1)
    with refused(ledger, "guarantee.expired"):
        ledger.apply(DEMAND, by=["bank"])
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(do.ReleaseGuarantee("G"), by=["guarantor"])
    apply(ledger, PAID, by=["guarantor", "bank"])
    apply(ledger, do.ReleaseGuarantee("G"), by=["guarantor"])
    assert ledger.get(Guarantee, "G").status == "released"


def test_several_guarantors_of_a_loan_share_the_loss_with_its_lender() -> None:
    """Vector 7 on a loan: shares of 60% and 30% leave a tenth with the lender."""
    offers = [but(OFFER, id=id, guarantor=name, sharing="several", coverage_bp=bp, scope=["principal"]) for
              id, name, bp in (("G", "guarantor", 6_000), ("H", "second", 3_000))]  # fmt: skip
    ledger = overdue(*offers)
    assert [due(ledger, id) for id in "GH"] == [30_000_000, 15_000_000]
    compensate(ledger, 30_000_000, "G")
    assert [due(ledger, id) for id in "GH"] == [0, 15_000_000]
    compensate(ledger, 15_000_000, "H")
    assert ledger.get(Loan, "L").outstanding_minor == 5_000_000


def test_joint_guarantors_of_a_loan_share_what_the_first_paid() -> None:
    """Any is asked for all of its share, once; by one document they bear it by their shares."""
    offers = [but(OFFER, id=id, guarantor=name, sharing="joint", coverage_bp=10_000, scope=["principal"],
                  document=digest("together")) for id, name in (("G", "guarantor"), ("H", "second"))]  # fmt: skip
    ledger = overdue(*offers)
    assert [due(ledger, id) for id in "GH"] == [50_000_000, 50_000_000]
    compensate(ledger, 50_000_000, "G")
    assert due(ledger, "H") == 0
    share = do.ContributeShare("H", "G", 25_000_000, "SHARE-1", digest("share"))
    with refused(ledger, "guarantee.over_contribute"):
        ledger.apply(but(share, amount_minor=25_000_001), by=["guarantor", "second"])
    apply(ledger, share, by=["guarantor", "second"])
    assert {id: owed(ledger)[id] for id in "GH"} == {"G": 25_000_000, "H": 25_000_000}


# --- who is paid first ------------------------------------------------------------------------------------------


def test_a_guarantor_is_paid_back_after_the_lender() -> None:
    """Civil Code 700: not a cent while the lender is owed one."""
    ledger = overdue(OFFER)
    compensate(ledger, 40_845_834)
    rest = owed(ledger)["bank"]
    with refused(ledger, "guarantee.rank"):
        ledger.apply(RECOVERED, by=["guarantor"])
    apply(ledger, but(REPAID, amount_minor=rest - 1), by=["bank"])
    with refused(ledger, "guarantee.rank"):
        ledger.apply(RECOVERED, by=["guarantor"])
    apply(ledger, but(REPAID, amount_minor=1, reference="IN-2"), by=["bank"])
    with refused(ledger, "guarantee.over_recover"):
        ledger.apply(but(RECOVERED, amount_minor=40_845_835), by=["guarantor"])
    for signer in ("shop", "bank"):
        with refused(ledger, "guarantee.not_signed"):
            ledger.apply(RECOVERED, by=[signer])
    apply(ledger, but(RECOVERED, amount_minor=40_845_833), by=["guarantor"])
    assert ledger.get(Loan, "L").ended is Absent
    apply(ledger, but(RECOVERED, amount_minor=1, reference="BACK-2"), by=["guarantor"])
    assert ledger.get(Loan, "L").status == "ended"
    assert ledger.get(Guarantee, "G").status == "released"


def test_the_pledge_secures_the_guarantor_after_the_lender() -> None:
    """80 m of pledged lots are paid: the rest of the lender, then what the guarantor paid, then the shop."""
    ledger = overdue(OFFER)
    compensate(ledger, 40_845_834)
    rest = owed(ledger)["bank"]
    before = cash(ledger, "bank", "guarantor", "shop")
    apply(ledger, do.PayCertificate("C", 116_000_000, "PAY-1", digest("payment")), by=["clearer"])
    gained = [after - was for after, was in zip(cash(ledger, "bank", "guarantor", "shop"), before, strict=True)]
    assert gained == [rest, 40_845_834, 80_000_000 - rest - 40_845_834]
    assert ledger.get(Loan, "L").status == "ended"
    assert ledger.get(Guarantee, "G").status == "released"
    assert all(lot.pledge is Absent for lot in ledger.all(Lot))


def test_the_pledge_stays_until_the_guarantor_has_its_money_back() -> None:
    ledger = overdue(OFFER)
    compensate(ledger, 40_845_834)
    apply(ledger, but(REPAID, amount_minor=owed(ledger)["bank"]), by=["bank"])
    assert ledger.get(Lot, "C 36000001").encumbrance(ledger.today) == "pledged"
    apply(ledger, do.WaiveRecovery("G", 40_845_834), by=["guarantor"])
    assert ledger.get(Lot, "C 36000001").encumbrance(ledger.today) == "none"
    assert ledger.get(Loan, "L").status == "ended"


def test_what_a_guarantor_can_forgive() -> None:
    ledger = overdue(OFFER)
    compensate(ledger, 1_000)
    with refused(ledger, "guarantee.over_waive"):
        ledger.apply(do.WaiveRecovery("G", 1_001), by=["guarantor"])
    with refused(ledger, "guarantee.not_signed"):
        ledger.apply(do.WaiveRecovery("G", 1_000), by=["bank"])
    apply(ledger, do.WaiveRecovery("G", 1_000), by=["guarantor"])
    assert "G" not in owed(ledger)


def test_costs_that_come_later_rank_before_what_is_paid_back_from_then_on() -> None:
    ledger = overdue(OFFER)
    compensate(ledger, 40_845_834)
    apply(ledger, but(REPAID, amount_minor=owed(ledger)["bank"]), by=["bank"])
    apply(ledger, RECOVERED, by=["guarantor"])
    apply(ledger, do.ChargeLoan("L", "costs", 44, digest("bill"), digest("award")), by=["bank"])
    with refused(ledger, "guarantee.rank"):
        ledger.apply(but(RECOVERED, reference="BACK-2"), by=["guarantor"])


def test_interest_on_what_a_guarantor_paid_comes_before_it() -> None:
    """30 days at 6.525% of 360 days on 40 m are 217,500."""
    ledger = overdue(but(OFFER, scope=["principal"]))
    apply(ledger, do.AgreeRecovery("G", do.Rate(6_525, 100_000), "act/360"), by=["guarantor", "shop"])
    compensate(ledger, 40_000_000)
    ledger.advance(30)
    last = ledger.get(Loan, "L")
    whole = last.outstanding_minor + last.due_minor + last.accrued_penalty_minor(ledger.today)
    apply(ledger, but(REPAID, amount_minor=whole + last.accrued_compound_minor(ledger.today)), by=["bank"])
    apply(ledger, but(RECOVERED, amount_minor=300_000), by=["guarantor"])
    guarantee = ledger.get(Guarantee, "G")
    assert (guarantee.interest_paid_minor, guarantee.recovered_minor) == (217_500, 82_500)


COUNTER = but(
    OFFER, id="K", guarantor="fund", behind="G", coverage_bp=2_000, period_end=PERIOD_END + timedelta(1),
    until=MATURITY - timedelta(1),
)  # fmt: skip


def countered(*offers: do.OfferGuarantee) -> MemoryBook:
    """A fund stands behind the first of the guarantors, and nothing was repaid on the day."""
    ledger = lent(*offers)
    ledger.register("fund", "guarantor")
    apply(ledger, COUNTER, by=["fund"])
    apply(ledger, do.AcceptCounterGuarantee("K"), by=["guarantor"])
    ledger.move_to(MATURITY + timedelta(1))
    return ledger


def fund_in_part_paid_back(ledger: MemoryBook, amount_minor: int) -> None:
    """The guarantor pays so much and the fund a fifth of it; the lender and the guarantor get back all, the fund some.

    What other guarantors paid stays open.
    """
    compensate(ledger, amount_minor)
    compensate(ledger, amount_minor // 5, "K", by="guarantor")
    apply(ledger, but(REPAID, amount_minor=owed(ledger)["bank"]), by=["bank"])
    apply(ledger, but(RECOVERED, amount_minor=amount_minor - amount_minor // 5), by=["guarantor"])
    apply(ledger, but(RECOVERED, id="K", amount_minor=100, reference="BACK-2"), by=["fund"])


def test_a_fund_pays_its_share_of_what_the_guarantor_lost_and_ranks_last() -> None:
    ledger = countered(but(OFFER, scope=["principal"]))
    with refused(ledger, "guarantee.not_due"):
        ledger.apply(do.DemandCompensation("K", "L", 1), by=["guarantor"])
    compensate(ledger, 40_000_000)
    assert due(ledger, "K") == 8_000_000
    compensate(ledger, 8_000_000, "K", by="guarantor")
    assert {id: owed(ledger)[id] for id in "GK"} == {"G": 32_000_000, "K": 8_000_000}
    apply(ledger, but(REPAID, amount_minor=owed(ledger)["bank"]), by=["bank"])
    with refused(ledger, "guarantee.rank"):
        ledger.apply(but(RECOVERED, id="K"), by=["fund"])
    apply(ledger, but(RECOVERED, amount_minor=32_000_000), by=["guarantor"])
    apply(ledger, but(RECOVERED, id="K", amount_minor=8_000_000), by=["fund"])
    assert cash(ledger, "guarantor", "fund") == [0, 0]
    assert ledger.get(Loan, "L").status == "ended"


def test_i_8_nobody_behind_a_guarantor_of_a_loan_was_paid_before_it() -> None:
    ledger = countered(but(OFFER, scope=["principal"]))
    compensate(ledger, 40_000_000)
    compensate(ledger, 8_000_000, "K", by="guarantor")
    apply(ledger, but(REPAID, amount_minor=owed(ledger)["bank"]), by=["bank"])
    check_ranks(Ledger(ledger.records.values()))
    early = msgspec.structs.replace(ledger.get(Guarantee, "K"), recovered_minor=1)
    with pytest.raises(InvariantError, match="I-8: guarantee K got 1 back while 32000000 of L"):
        check_ranks(Ledger([*ledger.records.values(), early]))


def test_a_guarantor_may_have_to_share_after_the_fund_behind_it_was_paid_back() -> None:
    """What it pays then ranks before what the fund is paid from then on."""
    first = but(OFFER, sharing="joint", coverage_bp=10_000, scope=["principal"], document=digest("together"))
    ledger = countered(first, but(first, id="H", guarantor="second"))
    compensate(ledger, 40_000_000, "H")
    fund_in_part_paid_back(ledger, 10_000_000)
    share = do.ContributeShare("G", "H", 20_000_000, "SHARE-1", digest("share"))
    apply(ledger, share, by=["guarantor", "second"])
    assert owed(ledger) == {"bank": 0, "G": 20_000_000, "H": 20_000_000, "K": 1_999_900}
    with refused(ledger, "guarantee.rank"):
        ledger.apply(but(RECOVERED, id="K", reference="BACK-3"), by=["fund"])


def test_a_guarantor_may_have_to_pay_costs_after_the_fund_behind_it_was_paid_back() -> None:
    ledger = countered(but(OFFER, scope=["principal", "costs"], coverage_bp=10_000))
    fund_in_part_paid_back(ledger, 40_000_000)
    apply(ledger, do.ChargeLoan("L", "costs", 50, digest("bill"), digest("award")), by=["bank"])
    compensate(ledger, 50)
    assert owed(ledger) == {"bank": 0, "G": 50, "K": 7_999_900}
    with refused(ledger, "guarantee.rank"):
        ledger.apply(but(RECOVERED, id="K", reference="BACK-3"), by=["fund"])


def test_of_a_certificate_the_settlement_bank_states_what_comes_back() -> None:
    ledger = transferred()
    apply(ledger, but(OFFER, secures="certificate", debtor="core", debt="D"), by=["guarantor"])
    for wrong in (RECOVERED, do.WaiveRecovery("G", 1)):
        with refused(ledger, "guarantee.other_debt"):
            ledger.apply(wrong, by=["guarantor"])
