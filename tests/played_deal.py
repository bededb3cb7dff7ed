"""The deals of the worked example on a real ledger on disk: Cases A, B and C, and the default that is bent.

A deal is a list of steps; `played` takes them all and leaves the ledger open, `steps_taken` stops after each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import finchain as fc
from default_deal import FUND, default, step, without_guarantee
from finchain import instructions as do
from finchain.demo_deal import MATURITY, PARTIES, START, Step, deal, paper
from real_ledger import key

RECOVERY_DAY = date(2026, 9, 30)

TOO_LATE = {
    "The loan is charged with costs": "loan.bad_state",
    "The shop repays some of its loan": "loan.bad_state",
    "The guarantee is released": "guarantee.bad_state",
    "The loan is called": "loan.bad_state",
    "A charge is waived": "loan.bad_state",
    "The debtor is sued": "guarantee.bad_state",
}
"""Steps of the default that are refused when all those before them are taken: loan and guarantee have ended."""


def case_a() -> list[Step]:
    """The debtor pays in full."""
    return list(deal())


def until_maturity() -> list[Step]:
    """Everything before the day of payment."""
    return case_a()[:-1]


def case_b() -> list[Step]:
    """The debtor pays 50 of 116 m, the guarantor 80% of the rest at once (7.1 step 8)."""
    demands = [("factor", "cert-1 1", 16_386_207), ("bank", "cert-1 36000001", 36_413_793)]
    paid = do.CompensateLoss("guarantee-1", 52_800_000, "COMP-0001", paper("compensation"))
    return [
        *until_maturity(),
        step(MATURITY, "A part is paid", ("clearer",),
             do.PayCertificate("cert-1", 50_000_000, "PAY-0001", paper("part"))),
        step(MATURITY, "The rest is not", ("clearer",), do.DishonourCertificate("cert-1", "clearer")),
        *(step(MATURITY, f"{by} demands", (by,), do.DemandCompensation("guarantee-1", lot, amount))
          for by, lot, amount in demands),
        step(MATURITY, "The guarantor pays", ("surety", "clearer"), paid),
    ]  # fmt: skip


def recovered() -> list[Step]:
    """Case B, and a month later 20 m more of the debtor (7.1 step 9)."""
    pay = do.PayCertificate("cert-1", 20_000_000, "PAY-0002", paper("recovery"))
    return [*case_b(), step(RECOVERY_DAY, "The debtor pays some more", ("clearer",), pay)]


def case_c() -> list[Step]:
    """Nobody guarantees, the debtor pays 50 of 116 m, and the shop repays its loan 20 days late (7.1 step 10)."""
    repaid = do.ReceiveRepayment("loan-1", 28_858_491 + 104_612, "IN-0003", paper("repayment"))
    return [
        *without_guarantee(),
        step(MATURITY, "A part is paid", ("clearer",),
             do.PayCertificate("cert-1", 50_000_000, "PAY-0001", paper("part"))),
        step(MATURITY, "The rest is not", ("clearer",), do.DishonourCertificate("cert-1", "clearer")),
        step(date(2026, 9, 20), "The shop repays", ("bank",), repaid),
    ]  # fmt: skip


def bent() -> list[Step]:
    """The default with a fund behind the guarantor, a lot that goes back, and a guarantor that forgives."""
    return [*until_maturity(), *(replace(each, expect=TOO_LATE.get(each.title, each.expect)) for each in default())]


@contextmanager
def founded(home: Path) -> Iterator[fc.Ledger]:
    """A new ledger `home/deal.finchain` that knows the parties of the deals."""
    folder, clock = home / "deal.finchain", fc.SimulatedClock(START)
    with fc.create(folder, name="example.com/deal", keys=home / "keys", clock=clock) as ledger:
        for party in (*PARTIES, FUND):
            ledger.register(party.id, party.name, roles=party.roles, key=key(party.id))
        yield ledger


def steps_taken(ledger: fc.Ledger, steps: Iterable[Step]) -> Iterator[Step]:
    """Takes the steps one by one, and gives each once it is taken; a step that says it is refused, is refused."""
    assert isinstance(ledger.clock, fc.SimulatedClock)
    for each in steps:
        ledger.clock.move_to(each.day)
        signers = [key(name) for name in each.by]
        if each.expect == "applied":
            ledger.submit(list(each.instructions), by=signers)
        else:
            with pytest.raises(fc.Refused) as refusal:
                ledger.submit(list(each.instructions), by=signers)
            assert refusal.value.code == each.expect, each.title
        yield each


@contextmanager
def played(home: Path, steps: Iterable[Step]) -> Iterator[fc.Ledger]:
    """The ledger after all steps."""
    with founded(home) as ledger:
        for _ in steps_taken(ledger, steps):
            pass
        yield ledger
