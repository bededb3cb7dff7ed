"""What every state machine over the domain has: a town, the days that pass, and the invariants."""

from __future__ import annotations

import re

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from book import MemoryBook, town
from finchain.domain.rule import Instruction
from finchain.errors import Refused
from invariants import check_all


class Watched(RuleBasedStateMachine):
    """What every machine has: a town, and the invariants after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger: MemoryBook = town()
        self.serial = 0

    def next_id(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}-{self.serial}"

    def outcome(self, *instructions: Instruction, by: set[str], service: set[str] | None = None) -> str:
        """The refusal's code, or nothing where the instructions were applied."""
        before = dict(self.ledger.records)
        try:
            self.ledger.apply(*instructions, by=by, service=service or set())
        except Refused as refusal:
            assert self.ledger.records == before
            assert re.fullmatch(r"[a-z_]+\.[a-z_]+", refusal.code)
            assert str(refusal)
            return refusal.code
        return ""

    @invariant()
    def everything_adds_up(self) -> None:
        check_all(self.ledger)


class Machine(Watched):
    """A machine in which days pass by a rule of their own."""

    @rule(days=st.integers(1, 20))
    def days_pass(self, days: int) -> None:
        self.ledger.advance(days)
        self.day_has_passed()

    def day_has_passed(self) -> None:
        """What a machine's model does when the day is another."""
