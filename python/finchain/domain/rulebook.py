"""The rulebook: every instrument's records, instructions and rules, under one number and one digest.

Whoever runs the same number with the same digest over the same blocks gets the same state. A change of any rule file
is another digest; a change of what a rule does to old blocks is another number, and old blocks keep theirs.
"""

from __future__ import annotations

import functools
import hashlib
import operator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import finchain.calendar
import finchain.money
from finchain.domain import (
    account,
    accrual,
    arithmetic,
    cash,
    cash_fact,
    certificate,
    check,
    compensation,
    contribution,
    fingerprint,
    founding,
    guarantee,
    key,
    loan,
    overdue,
    part,
    party,
    payment,
    policy,
    receivable,
    recourse,
    repayment,
    rule,
    settlement,
    trade,
    transfer,
)
from finchain.domain.rule import RECORDS, RULES

RULEBOOK: Final = 1
"""The number that transactions and block headers carry."""

INSTRUMENTS: Final[tuple[ModuleType, ...]] = (
    key, party, policy, founding, cash_fact, cash, trade, fingerprint, receivable, part, guarantee, certificate,
    transfer, account, payment, loan, repayment, overdue, settlement, compensation,
    contribution, recourse,
)  # fmt: skip
"""The rule files, each importing only from those before it."""

_GROUND: Final[tuple[ModuleType, ...]] = (finchain.money, finchain.calendar, rule, check, arithmetic, accrual)

INSTRUCTIONS: Final[Any] = functools.reduce(operator.or_, RULES)
"""Union of all instruction types: what a decoder of instructions takes."""


@functools.cache
def rulebook_digest() -> str:
    """SHA-256 in hex over the rule files: for each its module name, a line feed, its length, a line feed, its bytes."""
    hasher = hashlib.sha256()
    for module in (*_GROUND, *INSTRUMENTS):
        assert module.__file__ is not None
        source = Path(module.__file__).read_bytes()
        hasher.update(f"{module.__name__}\n{len(source)}\n".encode())
        hasher.update(source)
    return hasher.hexdigest()


__all__ = ["INSTRUCTIONS", "INSTRUMENTS", "RECORDS", "RULEBOOK", "RULES", "rulebook_digest"]
