"""Beginnings of stories: a certificate in the town, a loan on it, money on the controlled account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import msgspec

from book import MemoryBook, digest, town
from finchain import instructions as do
from finchain.domain.invariants import check_all
from finchain.domain.rule import Instruction

ISSUED = date(2026, 3, 4)
MATURITY = date(2026, 8, 31)
A = 116_000_000

ISSUE = do.IssueCertificate(
    "C", "core", "shop", A, "CNY", MATURITY, [do.ClaimShare("R", A)], "clearer", "pro_solvendo"
)  # fmt: skip
GUARANTEE = do.OfferGuarantee(
    "G", "guarantor", "core", "certificate", "C", "CNY", "non_financing", "joint_several", "proportional", 8_000,
    92_800_000, ["principal"], do.Rate(100, 10_000), "act/360", "core", date(2027, 2, 28), ISSUED,
)  # fmt: skip
ACCOUNT = do.OpenAccount("acc", "shop", "bank", ["bank"], "CNY", "parts for the order", "6222 7000 4711")
LOAN = do.AgreeLoan(
    "L", "bank", "shop", 72_000_000, 9_000, do.Rate(435, 10_000), do.Rate(6_525, 100_000), "act/360", "settlement",
    "interest_at_maturity", 0, date(2026, 4, 30), MATURITY, "acc", "interest_first",
)  # fmt: skip
PAYEE = do.Payee("Mainboard Wholesale", "91110000MA001P1", "6222 0000 0001")
MANDATE = do.SetMandate(
    "acc", "boards", "goods", PAYEE, 30_000_000, 20_000_000, date(2026, 3, 9), MATURITY, ["invoice"]
)  # fmt: skip


def but(instruction: Any, **changes: Any) -> Any:
    """The instruction with other members."""
    return msgspec.structs.replace(instruction, **changes)


def apply(ledger: MemoryBook, *instructions: Instruction, by: Iterable[str]) -> None:
    """Applies instructions, after which every invariant holds."""
    ledger.apply(*instructions, by=by)
    check_all(ledger.records.values())


def confirmed(amount_minor: int = A) -> MemoryBook:
    """The customer has confirmed a claim of the shop, on the day of issue."""
    ledger = town()
    ledger.move_to(ISSUED)
    apply(ledger, do.SubmitReceivable("R", "shop", "core", amount_minor, "CNY", MATURITY, "INV-7"), by=["shop"])
    apply(ledger, do.ConfirmReceivable("R", amount_minor), by=["core"])
    return ledger


def held(amount_minor: int = A) -> MemoryBook:
    """The shop holds the whole certificate, which nobody guarantees."""
    ledger = confirmed(amount_minor)
    claims = [do.ClaimShare("R", amount_minor)]
    apply(ledger, but(ISSUE, amount_minor=amount_minor, claims=claims), by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    return ledger


def transferred() -> MemoryBook:
    """The second tier holds units 1 to 36 m, the shop the 80 m above."""
    ledger = held()
    offer = do.OfferTransfer("C 1", "tier2", 36_000_000, digest("trade"), recourse=False)
    apply(ledger, offer, by=["shop"])
    apply(ledger, do.AcceptTransfer("C 1"), by=["tier2"])
    return ledger


def pledge(lot: str, amount_minor: int, loan: str = "L") -> do.PledgeLot:
    """A pledge that was registered on the day of the loan."""
    return do.PledgeLot(lot, amount_minor, loan, "0306-5551", date(2026, 3, 6), digest("collateral"))


def agreed(loan: do.AgreeLoan = LOAN) -> MemoryBook:
    """The shop's lot of 80 m is pledged for a loan, and one payee has a mandate."""
    ledger = transferred()
    apply(ledger, ACCOUNT, by=["shop", "bank"])
    ledger.move_to(date(2026, 3, 6))
    apply(ledger, loan, pledge("C 36000001", 80_000_000), MANDATE, by=["shop", "bank"])
    return ledger


def draw(ledger: MemoryBook, day: date, amount_minor: int, name: str) -> None:
    """A draw that is signed and paid out on one day."""
    ledger.move_to(day)
    apply(ledger, do.DrawLoan("L", name, amount_minor), by=["shop", "bank"])
    apply(ledger, do.DisburseLoan("L", name, amount_minor, f"OUT-{name}", digest(name)), by=["bank"])


def lent(loan: do.AgreeLoan = LOAN) -> MemoryBook:
    """50 m of the loan are on the controlled account since 9 March."""
    ledger = agreed(loan)
    draw(ledger, date(2026, 3, 9), 50_000_000, "one")
    return ledger
