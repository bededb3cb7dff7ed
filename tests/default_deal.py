"""What happens to the deal of `demo_deal` when its debtor pays a part: steps that a state machine leaves out and bends.

Amounts are those of the worked example (Case B), with a fund behind the guarantor, which takes a fifth of its loss; and
the same deal with nobody who guarantees it (Case C).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import msgspec

from finchain import instructions as do
from finchain.demo_deal import MATURITY, DemoParty, Step, deal, paper
from finchain.domain.guarantee import Guarantee
from finchain.domain.rule import Absent, Instruction

FUND = DemoParty("fund", "Provincial Fund", ("guarantor",))
LATE = date(2026, 9, 30)


def step(day: date, title: str, by: tuple[str, ...], *instructions: Instruction) -> Step:
    """A step of which only the invariants are asked."""
    return Step(day, title, by, instructions)


def default() -> Iterator[Step]:
    """The steps after the prepayment of June, in the place of the day of payment."""
    yield from _before()
    yield from _called()
    yield from _after()


def _before() -> Iterator[Step]:
    day = date(2026, 7, 1)
    counter = do.OfferGuarantee(
        "counter-1", "fund", "daqi", "certificate", "cert-1", "CNY", "non_financing", "joint_several", "proportional",
        2_000, 18_560_000, ["principal"], do.Rate(50, 10_000), "act/360", "surety", date(2027, 8, 31), day,
        behind="guarantee-1",
    )  # fmt: skip
    yield step(day, "A fund stands behind the guarantor", ("fund",), counter)
    yield step(day, "The guarantor accepts", ("surety",), do.AcceptCounterGuarantee("counter-1"))
    yield step(
        day, "Interest is agreed on what the guarantor may have to pay", ("surety", "daqi"),
        do.AgreeRecovery("guarantee-1", do.Rate(6_525, 100_000), "act/360"),
    )  # fmt: skip


def _called() -> Iterator[Step]:
    part = do.PayCertificate("cert-1", 50_000_000, "PAY-0001", paper("part"))
    yield step(MATURITY, "The debtor pays a part", ("clearer",), part)
    yield step(MATURITY, "The rest is dishonoured", ("clearer",), do.DishonourCertificate("cert-1", "clearer"))
    demand = do.DemandCompensation("guarantee-1", "cert-1 1", 16_386_207)
    yield step(MATURITY, "The factor demands", ("factor",), demand)
    demand = do.DemandCompensation("guarantee-1", "cert-1 36000001", 36_413_793)
    yield step(MATURITY, "The bank demands", ("bank",), demand)
    paid = do.CompensateLoss("guarantee-1", 30_000_000, "COMP-0001", paper("compensation"))
    yield step(MATURITY, "The guarantor pays a part", ("surety", "clearer"), paid)
    paid = do.CompensateLoss("guarantee-1", 22_800_000, "COMP-0002", paper("compensation"))
    yield step(MATURITY, "The guarantor pays the rest", ("surety", "clearer"), paid)
    demand = do.DemandCompensation("counter-1", "cert-1 1", 1_862_000)
    yield step(MATURITY, "The guarantor demands from the fund", ("surety",), demand)
    paid = do.CompensateLoss("counter-1", 1_862_000, "COMP-0003", paper("counter"))
    yield step(MATURITY, "The fund pays", ("fund", "clearer"), paid)


def _after() -> Iterator[Step]:
    back = do.BuyBackLot(
        "cert-1 31903449", "maker", 1_000_000, "warranty", "BACK-1", paper("back"), evidence=paper("breach")
    )
    yield step(LATE, "A lot goes back to who sold it", ("factor", "maker"), back)
    repaid = do.ReceiveRepayment("loan-1", 20_000_000, "IN-0003", paper("repayment"))
    costs = do.ChargeLoan("loan-1", "costs", 10_000, paper("bill"), paper("award"))
    yield step(LATE, "The loan is charged with costs", ("bank",), costs)
    yield step(LATE, "The shop repays some of its loan", ("bank",), repaid)
    recovered = do.PayCertificate("cert-1", 20_000_000, "PAY-0002", paper("recovery"))
    yield step(LATE, "The debtor pays some more", ("clearer",), recovered)
    yield step(LATE, "A guarantor forgives", ("surety",), do.WaiveLot("cert-1 36000001"))
    last = do.PayCertificate("cert-1", 60_000_000, "PAY-0003", paper("last"))
    yield step(LATE, "The debtor pays the rest", ("clearer",), last)
    yield step(LATE, "The guarantee is released", ("factor", "shop"), do.ReleaseGuarantee("guarantee-1"))
    misuse = do.AccelerateLoan("loan-1", "misuse", paper("misuse"))
    yield step(LATE, "The loan is called", ("bank",), misuse)
    yield step(LATE, "A charge is waived", ("bank",), do.WaiveCharge("loan-1", "penalty", 1))
    suit = do.FileSuit("guarantee-1", "cert-1 1", paper("suit"))
    yield step(LATE, "The debtor is sued", ("factor",), suit)


def without_guarantee() -> Iterator[Step]:
    """The deal up to the day of payment, without the steps of the guarantee."""
    for each in list(deal())[:-1]:
        own = [one for one in each.instructions if "Guarantee" not in type(one).__name__]
        figures = [figure for figure in each.figures if figure.kind is not Guarantee]
        if own:
            yield replace(each, instructions=tuple(map(unguaranteed, own)), figures=figures)


def unguaranteed(instruction: Instruction) -> Instruction:
    if isinstance(instruction, do.IssueCertificate):
        return msgspec.structs.replace(instruction, guarantees=Absent)
    return instruction
