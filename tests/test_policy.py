"""The policy: who changes it, from when a change holds, and which dates it lets a bank state."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from book import START, MemoryBook, new_ledger, refused
from finchain import instructions as do
from finchain.domain.policy import DEFAULT_POLICY, Policy, in_force, value_date
from finchain.domain.rule import Absent
from finchain.errors import Refused

BOTH = {"operator", "registrar"}


@pytest.fixture
def ledger() -> MemoryBook:
    return new_ledger()


def changed(**limits: int) -> do.PolicyTerms:
    return msgspec.structs.replace(DEFAULT_POLICY, **limits)


def test_a_change_holds_from_the_next_day(ledger: MemoryBook) -> None:
    ledger.apply(do.SetPolicy(changed(min_lot_minor=5)), by=BOTH)
    assert in_force(ledger.book()) == DEFAULT_POLICY
    ledger.advance(1)
    assert in_force(ledger.book()).min_lot_minor == 5
    ledger.apply(do.SetPolicy(changed(min_lot_minor=6)), by=BOTH)
    assert in_force(ledger.book()).min_lot_minor == 5
    ledger.advance(1)
    assert in_force(ledger.book()).min_lot_minor == 6


def test_a_second_change_on_one_day_takes_the_place_of_the_first(ledger: MemoryBook) -> None:
    ledger.apply(do.SetPolicy(changed(min_lot_minor=5)), by=BOTH)
    ledger.apply(do.SetPolicy(changed(min_lot_minor=6)), by=BOTH)
    assert in_force(ledger.book()) == DEFAULT_POLICY
    ledger.advance(1)
    assert in_force(ledger.book()).min_lot_minor == 6
    assert ledger.get(Policy, "policy").terms == DEFAULT_POLICY


@pytest.mark.parametrize("by", [{"operator"}, {"registrar"}])
def test_registrar_and_operator_sign_both(ledger: MemoryBook, by: set[str]) -> None:
    with refused(ledger, "policy.not_signed"):
        ledger.apply(do.SetPolicy(DEFAULT_POLICY), by=by)
    with refused(ledger, "policy.not_signed"):
        ledger.apply(do.SetPolicy(DEFAULT_POLICY), by=by, service=BOTH - by)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("back_days", 0, 30), ("cooling_days", 0, 3_660), ("cut_off_days", 0, 3_660), ("dishonour_days", 0, 3_660),
     ("lots_max", 1, 4_096), ("min_lot_minor", 1, 2**53 - 1), ("offer_days", 1, 3_660),
     ("payment_expiry_days", 1, 3_660), ("tenor_max_months", 6, 120), ("tenor_warn_months", 1, 12)],
)  # fmt: skip
def test_limits_have_limits(ledger: MemoryBook, name: str, low: int, high: int) -> None:
    for good in (low, high):
        ledger.apply(do.SetPolicy(changed(**{name: good})), by=BOTH)
    for bad in (low - 1, high + 1):
        with refused(ledger, "policy.range"):
            ledger.apply(do.SetPolicy(changed(**{name: bad})), by=BOTH)


def dated(ledger: MemoryBook, day: date, *, last: date | None = None, bank_fact: bool = False) -> date | str:
    try:
        return value_date(ledger.book(), "loan", day, last=last, bank_fact=bank_fact)
    except Refused as refusal:
        return refusal.code


def test_only_bank_facts_are_valued_back_and_only_so_far(ledger: MemoryBook) -> None:
    assert value_date(ledger.book(), "loan", Absent) == START
    assert dated(ledger, date(2026, 3, 2)) == date(2026, 3, 2)
    assert dated(ledger, date(2026, 3, 1)) == "loan.value_date"
    assert dated(ledger, date(2026, 3, 3), bank_fact=True) == "loan.value_date"
    assert dated(ledger, date(2026, 2, 20), bank_fact=True) == date(2026, 2, 20)
    assert dated(ledger, date(2026, 2, 19), bank_fact=True) == "loan.value_date"


def test_nothing_is_valued_before_the_last_posting(ledger: MemoryBook) -> None:
    last = date(2026, 2, 27)
    assert dated(ledger, last, last=last, bank_fact=True) == last
    assert dated(ledger, date(2026, 2, 26), last=last, bank_fact=True) == "loan.value_date"
