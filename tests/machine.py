"""What every state machine over the domain has: a town, the days that pass, the invariants, and how it is run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from book import MemoryBook, town
from finchain.domain.rule import Instruction
from finchain.errors import Refused
from invariants import check_all

ANEW = 10
"""Runs of one search. From its eleventh on Hypothesis makes most by changing a step or two of another: of 45 runs of a
search about ten were not nearly copies, and in three of sixteen such searches no guarantor got anything back of a loan.
"""


def search(
    machine: type[RuleBasedStateMachine], runs: int = 0, steps: int = 0, suppress: Sequence[HealthCheck] = ()
) -> None:  # fmt: skip
    """Runs a machine so often, in searches of which none copies its runs.

    Args:
        machine: The state machine.
        runs: How often; as often as the profile says where it is left out.
        steps: Steps of a run, likewise.
        suppress: Health checks that it is not to have.
    """
    profile = settings()
    runs = runs or profile.max_examples
    for first in range(0, runs, ANEW):
        part = settings(
            max_examples=min(ANEW, runs - first), stateful_step_count=steps or profile.stateful_step_count,
            suppress_health_check=[*profile.suppress_health_check, *suppress],
        )  # fmt: skip
        # A search that is the same every time is not the same as the next.
        run_state_machine_as_test(seed(first)(machine) if part.derandomize else machine, settings=part)


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
