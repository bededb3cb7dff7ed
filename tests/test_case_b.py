"""Case B: the debtor pays 50 of 116 m, and its guarantor 80% of the rest, to the fen and to the unit (7.1 steps 8, 9).

The deal is that of `demo_deal` up to the day of payment. What follows is what the domain paper works out by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache

from book import MemoryBook, digest, refused
from finchain import instructions as do
from finchain.demo_deal import ACCOUNT, MATURITY, deal
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Instruction
from invariants import check_all
from test_case_a import begin, play

NET_CASH_B = {
    "daqi": -50_464_000,
    "surety": -52_336_000,
    "factor": -3_299_752,
    "bank": 1_341_250,
    "shop": -2_444_698,
    "maker": 35_203_200,
    f"{ACCOUNT}/mainboards": 67_000_000,
    f"{ACCOUNT}/screens": 5_000_000,
}
RECOVERED = do.PayCertificate("cert-1", 20_000_000, "PAY-0002", digest("recovery"))


def step(ledger: MemoryBook, *instructions: Instruction, by: Iterable[str]) -> None:
    """Applies instructions, after which every invariant holds, those of the tests too."""
    ledger.apply(*instructions, by=by)
    check_all(ledger)


def cash(ledger: MemoryBook) -> dict[str, int]:
    return {each.id.removesuffix(" CNY"): each.net_minor for each in ledger.all(Cash)}


def intervals(ledger: MemoryBook) -> list[tuple[int, int, str, str]]:
    """The live lots: first and last unit, holder, rank."""
    lots = sorted(ledger.all(Lot), key=lambda lot: lot.start)
    return [(lot.first, lot.last, lot.holder, lot.rank) for lot in lots if lot.live_minor]


@cache
def until_maturity() -> MemoryBook:
    ledger = begin()
    for each in list(deal())[:-1]:
        play(ledger, each)
    ledger.move_to(MATURITY)
    return ledger


def dishonoured(*, recovery_rate: do.Rate | None = None) -> MemoryBook:
    """50 m were paid, and the settlement bank has stated that 66 m were not."""
    ledger = until_maturity().copy()
    if recovery_rate is not None:
        step(ledger, do.AgreeRecovery("guarantee-1", recovery_rate, "act/360"), by=["surety", "daqi"])
    step(ledger, do.PayCertificate("cert-1", 50_000_000, "PAY-0001", digest("part")), by=["clearer"])
    step(ledger, do.DishonourCertificate("cert-1", "clearer"), by=["clearer"])
    return ledger


def compensated(*, recovery_rate: do.Rate | None = None) -> MemoryBook:
    """Factor and bank have demanded their parts, and the guarantor has paid both at once."""
    ledger = dishonoured(recovery_rate=recovery_rate)
    step(ledger, do.DemandCompensation("guarantee-1", "cert-1 1", 16_386_207), by=["factor"])
    step(ledger, do.DemandCompensation("guarantee-1", "cert-1 36000001", 36_413_793), by=["bank"])
    pay = do.CompensateLoss("guarantee-1", 52_800_000, "COMP-0001", digest("compensation"))
    step(ledger, pay, by=["surety", "clearer"])
    return ledger


def test_the_part_paid_is_shared_by_rule_p() -> None:
    ledger = dishonoured()
    assert intervals(ledger) == [
        (15_517_242, 36_000_000, "factor", "senior"),
        (70_482_760, 116_000_000, "shop", "senior"),
    ]
    assert ledger.get(Certificate, "cert-1").shortfall_minor == 66_000_000
    assert ledger.get(Loan, "loan-1").outstanding_minor == 28_858_491


def test_nobody_can_demand_a_fen_more_than_its_part() -> None:
    ledger = dishonoured()
    with refused(ledger, "guarantee.over_demand"):
        ledger.apply(do.DemandCompensation("guarantee-1", "cert-1 1", 16_386_208), by=["factor"])
    with refused(ledger, "guarantee.over_demand"):
        ledger.apply(do.DemandCompensation("guarantee-1", "cert-1 36000001", 36_413_794), by=["bank"])


def test_compensation_moves_the_next_units_to_the_guarantor() -> None:
    ledger = compensated()
    assert intervals(ledger) == [
        (15_517_242, 31_903_448, "surety", "junior"),
        (31_903_449, 36_000_000, "factor", "senior"),
        (70_482_760, 106_896_552, "surety", "junior"),
        (106_896_553, 116_000_000, "shop", "senior"),
    ]
    settled = [(lot.start, lot.first - 1) for lot in ledger.all(Lot) if lot.first > lot.start]
    assert sorted(settled) == [(1, 15_517_241), (36_000_001, 70_482_759)]
    assert ledger.get(Certificate, "cert-1").live_minor == 66_000_000


def test_the_pledge_is_released_because_the_loan_is_repaid() -> None:
    ledger = compensated()
    loan = ledger.get(Loan, "loan-1")
    assert (loan.status, loan.collateral) == ("ended", ())
    assert loan.charges["interest"].paid_minor == 1_341_250
    assert ledger.get(Lot, "cert-1 106896553").encumbrance(MATURITY) == "none"


def test_everybody_has_what_is_due() -> None:
    assert cash(compensated()) == NET_CASH_B
    assert sum(NET_CASH_B.values()) == 0


def test_a_guarantor_that_paid_its_part_owes_nothing_more() -> None:
    ledger = compensated()
    guarantee = ledger.get(Guarantee, "guarantee-1")
    assert (guarantee.subrogated_minor, guarantee.exposure_minor(13_200_000, MATURITY)) == (52_800_000, 0)
    with refused(ledger, "guarantee.over_demand"):
        ledger.apply(do.DemandCompensation("guarantee-1", "cert-1 31903449", 1), by=["factor"])
    again = do.CompensateLoss("guarantee-1", 1, "COMP-0002", digest("again"))
    with refused(ledger, "guarantee.over_compensate"):
        ledger.apply(again, by=["surety", "clearer"])


def test_a_month_later_those_who_were_not_covered_are_paid_before_the_guarantor() -> None:
    """20 m: the factor 4,096,552, the shop 9,103,448, and only the rest of 6,800,000 to the guarantor."""
    ledger = compensated()
    ledger.move_to(date(2026, 9, 30))
    step(ledger, RECOVERED, by=["clearer"])
    gained = {name: net - NET_CASH_B[name] for name, net in cash(ledger).items() if net != NET_CASH_B[name]}
    assert gained == {"daqi": -20_000_000, "factor": 4_096_552, "shop": 9_103_448, "surety": 6_800_000}
    assert ledger.get(Guarantee, "guarantee-1").subrogated_minor == 46_000_000
    assert {rank for _, _, _, rank in intervals(ledger)} == {"junior"}


def test_where_debtor_and_guarantor_agreed_interest_it_is_paid_first() -> None:
    """30 days at 6.525% of 360 days on 52.8 m are 287,100; 6,512,900 are principal, and 46,287,100 are left."""
    ledger = compensated(recovery_rate=do.Rate(6_525, 100_000))
    assert cash(ledger) == NET_CASH_B
    ledger.move_to(date(2026, 9, 30))
    assert ledger.get(Guarantee, "guarantee-1").interest_owed_minor(ledger.today) == 287_100
    step(ledger, RECOVERED, by=["clearer"])
    guarantee = ledger.get(Guarantee, "guarantee-1")
    assert (guarantee.interest_paid_minor, guarantee.recovered_minor) == (287_100, 6_512_900)
    assert guarantee.subrogated_minor == 46_287_100
    assert cash(ledger)["surety"] == NET_CASH_B["surety"] + 6_800_000
    assert ledger.get(Certificate, "cert-1").live_minor == 46_287_100


def test_the_debt_ends_when_the_guarantor_has_everything_back() -> None:
    ledger = compensated()
    ledger.move_to(date(2026, 9, 30))
    step(ledger, RECOVERED, by=["clearer"])
    last = do.PayCertificate("cert-1", 46_000_001, "PAY-0003", digest("last"))
    step(ledger, last, by=["clearer"])
    assert ledger.get(Certificate, "cert-1").status == "paid"
    assert ledger.get(Certificate, "cert-1").suspense_minor == 1
    assert ledger.get(Guarantee, "guarantee-1").status == "released"
    assert ledger.get(Receivable, "claim-1").status == "settled"
    assert cash(ledger)["surety"] == 464_000
    assert cash(ledger)["daqi"] == -116_464_000
