"""What a loan may cost: no rate under which interest outgrows an amount, and a note where a penalty is unusual."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from finchain.domain.arithmetic import WHOLE_BP, Rate, heavier
from finchain.domain.rule import Absent, Book, Optional, refuse
from finchain.money import AMOUNT_MAX_MINOR

INTEREST_YEARS: Final = 100
"""Interest of so many years must fit into an amount; no debt that is enforced at all waits longer."""

PENALTY_PERCENT: Final = (130, 150)
MISUSE_PERCENT: Final = (150, 200)
"""What a bank may charge for late and for misused money, of the agreed rate (PBOC 2003 No. 251)."""


def check_interest(limit_minor: int, rate: Rate, penalty_rate: Rate, misuse_rate: Rate | Optional) -> None:
    """Refuses terms under which interest could outgrow what an amount can be, and then block a payment to others.

    Raises:
        Refused: `loan.amount`.
    """
    late = penalty_rate if misuse_rate is Absent else heavier(penalty_rate, misuse_rate)
    # Over the years: interest, penalty interest, and compound interest on the interest.
    times = rate.value * late.scale + late.value * rate.scale + rate.value * late.value * INTEREST_YEARS
    if limit_minor * INTEREST_YEARS * times > AMOUNT_MAX_MINOR * rate.scale * late.scale:
        refuse("loan.amount", f"{INTEREST_YEARS} years of interest would exceed 2^53-1 minor units",
               field="limit_minor", value=limit_minor, advice="state a smaller limit or lower rates")  # fmt: skip


def check_prepayment_fee(fee_bp: int | Optional, *, agreed: bool) -> None:
    """Refuses a fee that is no share, or is for a prepayment that was not agreed.

    Raises:
        Refused: `loan.prepayment_fee`.
    """
    if fee_bp is not Absent and not (agreed and 1 <= fee_bp <= WHOLE_BP):
        advice = f"state 1 to {WHOLE_BP}" if agreed else "leave it out, or agree that the loan may be prepaid"
        refuse("loan.prepayment_fee", f"a fee of {fee_bp} basis points of what is prepaid", rule="prepayment",
               field="prepayment_fee_bp", value=fee_bp, advice=advice)  # fmt: skip


def note_penalty(book: Book, id: str, rate: Rate, penalty_rate: Rate, misuse_rate: Rate | Optional) -> None:
    """Notes a penalty that banks in China may not take (PBOC 2003 No. 251); elsewhere it is for the contract to say."""
    for name, late, (low, high) in (
        ("penalty", penalty_rate, PENALTY_PERCENT), ("misuse", misuse_rate, MISUSE_PERCENT),
    ):  # fmt: skip
        if late is Absent:
            continue
        percent = Fraction(100 * late.value * rate.scale, late.scale * rate.value) if rate.value else 0
        if not low <= percent <= high:
            book.note(f"loan {id}: the {name} rate of {late} is not {low} to {high} per cent of {rate}")
