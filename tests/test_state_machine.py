"""A worked deal, with the amounts and days of a real one, that somebody bends.

The machine knows only that a rule says yes or says no with a code, and that the invariants of domain.md hold whatever
it says. `test_claims_machine.py` knows what each step must do as well, and `test_whole_machine.py` every instruction.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from contextlib import suppress
from datetime import date, timedelta
from functools import cache
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
)

from book import MemoryBook, new_ledger
from default_deal import FUND, default
from finchain import instructions as do
from finchain.demo_deal import PARTIES as deal_parties
from finchain.demo_deal import Step, deal
from finchain.domain import rulebook
from finchain.domain.rule import Instruction
from finchain.errors import Refused
from machine import Machine, search
from strategies import instructions

# --- a deal that somebody bends ---------------------------------------------------------------------------------

STEPS = tuple(deal())
"""The deal as it went."""

DEFAULT = (*STEPS[:-1], *default())
"""The deal of which the debtor pays a part."""

BENDABLE = tuple(instruction for step in (*STEPS, *default()) for instruction in step.instructions)
EVERYBODY = {party.id for party in (*deal_parties, FUND)} | {"operator", "registrar"}


def _seen() -> dict[tuple[type, str], list[Any]]:
    """Every value that the deal has for a member of a struct."""
    values: dict[tuple[type, str], list[Any]] = defaultdict(list)
    waiting: list[msgspec.Struct] = list(BENDABLE)
    while waiting:
        struct = waiting.pop()
        for field in msgspec.structs.fields(type(struct)):
            value = getattr(struct, field.name)
            parts = value if isinstance(value, list | tuple) else [value]
            waiting += [part for part in parts if isinstance(part, msgspec.Struct)]
            choices = values[type(struct), field.name]
            choices += [each for each in (value, field.default) if each not in (*choices, msgspec.NODEFAULT)]
    return values


SEEN = _seen()


def steps_of(two_lots: bool, defaulted: bool = False) -> tuple[Step, ...]:
    """The steps of the deal, or of variants: a loan secured by two lots instead of one, a debtor that does not pay."""
    steps = DEFAULT if defaulted else STEPS
    if not two_lots:
        return steps
    return tuple(
        dataclasses.replace(step, instructions=tuple(each for one in step.instructions for each in _in_two(one)))
        for step in steps
    )


def _in_two(instruction: Instruction) -> list[Instruction]:
    if not isinstance(instruction, do.PledgeLot):
        return [instruction]
    half = instruction.amount_minor // 2
    upper = f"cert-1 {36_000_001 + half}"
    return [
        msgspec.structs.replace(instruction, amount_minor=half),
        msgspec.structs.replace(instruction, id=upper, amount_minor=instruction.amount_minor - half),
    ]


@cache
def deal_until(steps: int, two_lots: bool, defaulted: bool = False) -> MemoryBook:
    """The ledger after so many steps of the deal, which nobody may change."""
    if steps == 0:
        ledger = new_ledger(today=STEPS[0].day)
        for party in (*deal_parties, FUND):
            ledger.register(party.id, *party.roles)
        return ledger
    ledger = deal_until(steps - 1, two_lots, defaulted).copy()
    step = steps_of(two_lots, defaulted)[steps - 1]
    ledger.move_to(step.day)
    with suppress(Refused):
        ledger.apply(*step.instructions, by=step.by)
    return ledger


def near(value: Any) -> st.SearchStrategy[Any]:
    """Values beside a value: a unit or a day more or less, half, double, nothing."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.sampled_from([value - 1, value + 1, value // 2, value * 2, 1, 0, 10_000_000])
    if isinstance(value, date):
        return st.integers(-40, 40).map(lambda days: value + timedelta(days=days))
    if isinstance(value, msgspec.Struct):
        return bent(value)
    if isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
        return st.lists(bent(value[0]), max_size=3)
    return st.just(value)


@st.composite
def bent(draw: st.DrawFn, value: msgspec.Struct) -> msgspec.Struct:
    """A struct of the deal with one member, or two, as another step has it or beside what it is."""
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(value.__struct_fields__))
        others = st.sampled_from(SEEN[type(value), name])
        value = msgspec.structs.replace(value, **{name: draw(st.one_of(others, near(getattr(value, name))))})
    return value


class BentDeal(Machine):
    """The worked deal from any of its steps on, with steps left out, repeated and changed."""

    @initialize(steps=st.integers(0, len(DEFAULT)), two_lots=st.booleans(), defaulted=st.booleans())
    def begin(self, steps: int, two_lots: bool, defaulted: bool) -> None:
        self.steps = steps_of(two_lots, defaulted)
        self.position = min(steps, len(self.steps))
        self.ledger = deal_until(self.position, two_lots, defaulted).copy()

    @precondition(lambda self: self.position < len(self.steps))
    @rule()
    def go_on(self) -> None:
        step = self.steps[self.position]
        self.position += 1
        self.ledger.today = max(self.ledger.today, step.day)
        self.outcome(*step.instructions, by=set(step.by))

    @precondition(lambda self: self.position < len(self.steps))
    @rule()
    def leave_out(self) -> None:
        self.position += 1

    @rule(change=st.data(), ahead=st.integers(-12, 4))
    def change_a_step(self, change: st.DataObject, ahead: int) -> None:
        step = self.steps[min(max(self.position + ahead, 0), len(self.steps) - 1)]
        changed = change.draw(bent(change.draw(st.sampled_from(step.instructions))))
        assert isinstance(changed, Instruction)
        self.outcome(self.anew(changed), by=EVERYBODY)

    @rule(change=st.data())
    def change_any_step(self, change: st.DataObject) -> None:
        changed = change.draw(bent(change.draw(st.sampled_from(BENDABLE))))
        assert isinstance(changed, Instruction)
        self.outcome(self.anew(changed), by=EVERYBODY)

    @rule(change=st.data(), bend=st.booleans())
    def turn_to_another_record(self, change: st.DataObject, bend: bool) -> None:
        instruction: msgspec.Struct = change.draw(st.sampled_from(BENDABLE))
        for name in instruction.__struct_fields__:
            kinds = {kind for kind, id in self.ledger.records if id == getattr(instruction, name)}
            ids = sorted(id for kind, id in self.ledger.records if kind in kinds)
            if ids:
                instruction = msgspec.structs.replace(instruction, **{name: change.draw(st.sampled_from(ids))})
        changed = change.draw(bent(instruction)) if bend else instruction
        assert isinstance(changed, Instruction)
        self.outcome(self.anew(changed), by=EVERYBODY)

    def anew(self, instruction: Instruction) -> Instruction:
        """The instruction with another bank reference, so that it is not refused for its repetition alone."""
        if "reference" not in instruction.__struct_fields__:
            return instruction
        return msgspec.structs.replace(instruction, reference=self.next_id("entry"))


def test_a_bent_deal() -> None:
    search(BentDeal)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(instructions())
def test_an_instruction_has_one_spelling(instruction: Instruction) -> None:
    encoded = msgspec.json.encode(instruction, order="sorted")
    decoded = msgspec.json.decode(encoded, type=rulebook.RULEBOOK_1.instructions)
    assert decoded == instruction
    assert msgspec.json.encode(decoded, order="sorted") == encoded
