"""The rulebooks: every instrument's records, instructions and rules, under one number and one digest.

Whoever runs the same number with the same digest over the same blocks gets the same state. A change of any rule file
is another digest; a change of what a rule does to old blocks is another number, and old blocks keep theirs.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final

import msgspec

import finchain.calendar
import finchain.money
from finchain.domain import (
    account,
    accrual,
    amendment,
    arithmetic,
    capacity,
    cash,
    cash_fact,
    certificate,
    check,
    collateral,
    collection,
    compensation,
    contribution,
    correction,
    debts,
    dilution,
    dispute,
    fingerprint,
    founding,
    guarantee,
    guarantee_fee,
    holiday,
    key,
    late,
    loan,
    loan_guarantee,
    overdue,
    part,
    part_offer,
    party,
    payment,
    policy,
    priority,
    prospective,
    rates,
    receivable,
    recourse,
    reduction,
    reference,
    repayment,
    rescheduling,
    rule,
    settlement,
    trade,
    transfer,
)
from finchain.domain.rule import RECORDS, RULES, Book, Instruction, Record, Rule
from finchain.errors import ConfigError

INSTRUMENTS: Final[tuple[ModuleType, ...]] = (
    key, party, holiday, policy, capacity, founding, cash_fact, cash, trade, fingerprint, reference, dilution, late,
    prospective, receivable, part, part_offer, amendment, priority, guarantee, guarantee_fee, certificate, transfer,
    account, payment, rates, loan, rescheduling, repayment, overdue, loan_guarantee, collateral, dispute, reduction,
    collection, correction, debts, settlement, compensation, contribution, recourse,
)  # fmt: skip
"""The rule files, each importing only from those before it."""

_GROUND: Final[tuple[ModuleType, ...]] = (finchain.money, finchain.calendar, rule, check, arithmetic, accrual)


class Rulebook:
    """Instruments under one number: what decodes, executes and reads a ledger's instructions and records.

    Args:
        number: What transactions and block headers carry, 1 to 2^32-1.
        instruments: The rule files, each importing only from those before it.
        replacing: Rules that stand in the place of those of the rule files.

    Attributes:
        rules: The rule of each instruction type.
        records: The record type of each kind.
        instructions: The union of all instruction types: what a decoder takes.
        digest: SHA-256 in hex over the rule files: for each its module name, a line feed, its length, a line feed, its
            bytes; then for each rule that stands in the place of another a line with the instruction's tag and the
            rule's full name, and the file that it is in.
    """

    def __init__(
        self,
        number: int,
        instruments: tuple[ModuleType, ...],
        *,
        replacing: Mapping[type[Instruction], Rule] = MappingProxyType({}),
    ) -> None:
        self.number = number
        self.instruments = instruments
        self._replacing = dict(replacing)
        names = {module.__name__ for module in instruments}
        self.rules: dict[type[Instruction], Rule] = {
            instruction: own for instruction, own in RULES.items() if own.__module__ in names
        } | self._replacing
        self.records: dict[str, type[Record]] = {
            kind: record for kind, record in RECORDS.items() if record.__module__ in names
        }
        self.instructions: Any = functools.reduce(operator.or_, self.rules)
        union: Any = self.instructions
        self.decode_all: Callable[[bytes], list[list[Instruction]]] = msgspec.json.Decoder(list[list[union]]).decode
        self.decode_one: Callable[[bytes], list[Instruction]] = msgspec.json.Decoder(list[union]).decode

    def extended(
        self,
        number: int,
        *,
        instruments: Iterable[ModuleType] = (),
        replacing: Mapping[type[Instruction], Rule] = MappingProxyType({}),
    ) -> Rulebook:
        """Another rulebook: this one with more instruments, or with some rules changed.

        Raises:
            ConfigError: The number is not greater, or an instruction whose rule is replaced is not of this rulebook.
        """
        if number <= self.number:
            raise ConfigError(f"rulebook {number} cannot follow rulebook {self.number}", advice="take a greater number")
        for instruction in replacing:
            if instruction not in self.rules:
                raise ConfigError(f"rulebook {self.number} has no rule for {instruction.__name__} to replace")
        return Rulebook(number, (*self.instruments, *instruments), replacing=self._replacing | dict(replacing))

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 in hex over the rule files."""
        hasher = hashlib.sha256()
        for module in (*_GROUND, *self.instruments):
            assert module.__file__ is not None
            source = Path(module.__file__).read_bytes()
            hasher.update(f"{module.__name__}\n{len(source)}\n".encode())
            hasher.update(source)
        changed = {str(instruction.__struct_config__.tag): own for instruction, own in self._replacing.items()}
        for tag, own in sorted(changed.items()):
            source = Path(inspect.getfile(inspect.unwrap(own))).read_bytes()
            hasher.update(f"{tag} {own.__module__}.{own.__qualname__}\n{len(source)}\n".encode())
            hasher.update(source)
        return hasher.hexdigest()

    def __repr__(self) -> str:
        return f"Rulebook({self.number}, {self.digest[:16]}…, {len(self.rules)} instructions)"


RULEBOOK_1: Final = Rulebook(1, INSTRUMENTS)
"""The rulebook of this version of finchain."""


def by_number(rulebooks: Iterable[Rulebook]) -> dict[int, Rulebook]:
    """The rulebooks that a ledger is opened with, and the built-in one.

    Raises:
        ConfigError: Two different ones have one number.
    """
    found: dict[int, Rulebook] = {RULEBOOK_1.number: RULEBOOK_1}
    for each in rulebooks:
        known = found.setdefault(each.number, each)
        if known.digest != each.digest:
            raise ConfigError(f"two rulebooks have the number {each.number}", advice="give each its own number")
    return found


def since(number: int, signed_under: Callable[[Any, Book], int], new: Rule, old: Rule) -> Rule:
    """A rule for contracts signed under rulebook `number` or a later one, beside the rule that older ones keep.

    Args:
        number: The first rulebook whose contracts go by `new`.
        signed_under: Gives the rulebook of the contract that an instruction is about.
        new: The changed rule.
        old: The rule as it was.
    """

    def chosen(do: Any, book: Book) -> None:
        (new if signed_under(do, book) >= number else old)(do, book)

    chosen.__module__, chosen.__qualname__ = new.__module__, new.__qualname__
    chosen.__wrapped__ = new  # type: ignore[attr-defined]  # inspect finds the file of the changed rule by it
    return chosen


__all__ = ["INSTRUMENTS", "RULEBOOK_1", "Rulebook", "by_number", "since"]
