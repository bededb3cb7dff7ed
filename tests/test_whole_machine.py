"""Every instruction of the rulebook, hundreds of steps long, most of them such that they hold and the others hostile.

After each step every invariant is checked, and the ledger compared with a model made of integers (`counted.py`); after
each run everything is tried once more on a ledger on disk (`on_disk.py`). An instruction is made known to the machine
by `orders.order`, and fails here as long as it is not, or is never applied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from typing import Any

import msgspec
from hypothesis import HealthCheck, note
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

import on_disk
import orders_claims
import orders_debts
import orders_guarantees
import orders_house
import orders_loans
from conftest import PROFILE
from counted import MOVES, Counted
from finchain import instructions as do
from finchain.domain.founding import LedgerRecord
from finchain.domain.rule import Instruction
from finchain.domain.rulebook import RULEBOOK_1
from finchain.money import AMOUNT_MAX_MINOR
from machine import Watched, search
from orders import ORDERS, Choices, Order, Town, ready
from strategies import member

TRIED: Counter[type[Instruction]] = Counter()
APPLIED: Counter[type[Instruction]] = Counter()
"""Orders as they were meant, of each instruction, and those of them that were applied."""

UNKNOWN = do.ConfirmReceivable("nobody-claimed-this", 1)
"""What is refused in any case."""

QUIET_IN = 12
"""One step of so many lets days pass."""


class Everything(Watched):
    """A town in which anything happens that the rulebook knows."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = on_disk.town()
        self.town = Town(self.ledger)
        self.model = Counted()
        self.tries: list[on_disk.Try] = []
        self.past: list[Order] = []
        self.sound = True

    @rule(choices=st.data())
    def step(self, choices: Any) -> None:
        choose = Choices(choices.draw)
        self.sound = False
        if choose.number(1, QUIET_IN) == QUIET_IN:
            self.ledger.advance(choose.one((1, 1, 2, 3, 5, 12)))
        else:
            order = ready(self.town, choose)
            choose.one(MANNERS)(self, order, choose)

    @invariant()
    def the_ledger_is_what_the_model_counted(self) -> None:
        self.model.check(self.ledger)
        self.sound = True

    def send(self, *instructions: Instruction, by: Set[str], service: Set[str] = frozenset()) -> str:
        """The refusal's code, or nothing where all were applied; signed by those of the parties that can."""
        keys = {party: on_disk.signing_keys(party, self.ledger, service=party in service) for party in sorted(by)}
        able = {party for party, own in keys.items() if own}
        if not able or not all(map(on_disk.enters_a_block, instructions)):
            return "never.entered"
        before, number = dict(self.ledger.records), self.ledger.get(LedgerRecord, "ledger").rulebook
        code = self.outcome(*instructions, by=able, service=able & service)
        note(f"{self.ledger.today} {', '.join(sorted(able))}: {instructions} {code or 'applied'}")
        signed = tuple(key for party in sorted(able) for key in keys[party])
        self.tries.append(
            on_disk.Try(self.ledger.today, instructions, tuple(sorted(able)), signed, number, code)
        )  # fmt: skip
        if not code:
            (instruction,) = instructions
            self.model.saw(instruction, before, self.ledger)
        return code

    def teardown(self) -> None:
        """Tries everything once more on disk, unless a step has failed already."""
        if self.sound:
            on_disk.repeat(self.tries, self.ledger)


# --- how an order is sent
def as_it_is(machine: Everything, order: Order, choose: Choices) -> None:
    code = machine.send(order.what, by=order.by)
    TRIED[type(order.what)] += 1
    APPLIED[type(order.what)] += not code
    machine.past.append(order)


def without_a_signer(machine: Everything, order: Order, choose: Choices) -> None:
    """Somebody who has to sign does not."""
    missing = choose.one(sorted(order.by))
    assert machine.send(order.what, by=order.by - {missing}), f"{missing} had to sign"


def by_others(machine: Everything, order: Order, choose: Choices) -> None:
    """Somebody signs who has no part in it, and nobody else."""
    strangers = [party for party in on_disk.PARTIES if party not in order.by]
    machine.send(order.what, by={choose.one(strangers)})


def by_a_machine(machine: Everything, order: Order, choose: Choices) -> None:
    """An unattended key signs for one of the parties."""
    machine.send(order.what, by=order.by, service={choose.one(sorted(order.by))})


def too_much(machine: Everything, order: Order, choose: Choices) -> None:
    """One amount is beyond everything, or nothing."""
    names = [name for name in order.what.__struct_fields__ if name.endswith("_minor")]
    if names:
        amount = choose.one((AMOUNT_MAX_MINOR + 1, 0, -1))
        changed = msgspec.structs.replace(order.what, **{choose.one(names): amount})
        assert machine.send(changed, by=order.by) or isinstance(order.what, do.ResolveDispute), changed


def bent(machine: Everything, order: Order, choose: Choices) -> None:
    """One member is whatever such a member can be."""
    field = choose.one(msgspec.structs.fields(order.what))
    tag = str(order.what.__struct_config__.tag)
    value = choose.draw(member(tag, field.name, field.type))
    machine.send(msgspec.structs.replace(order.what, **{field.name: value}), by=order.by)


def twice(machine: Everything, order: Order, choose: Choices) -> None:
    """The second time is refused where an id or a bank's entry would count twice."""
    if not machine.send(order.what, by=order.by):
        code = machine.send(order.what, by=order.by)
        assert code or not counts_once(order.what), f"{order.what} counted twice"


def again(machine: Everything, order: Order, choose: Choices) -> None:
    """Something that was ordered before is ordered once more, out of its turn."""
    old = choose.one([*machine.past, order])
    machine.send(old.what, by=old.by)


def beside_a_wrong_one(machine: Everything, order: Order, choose: Choices) -> None:
    """What holds together with something that is refused is not done."""
    assert machine.send(order.what, UNKNOWN, by=order.by)


def counts_once(instruction: Instruction) -> bool:
    return "reference" in instruction.__struct_fields__


HOSTILE = (without_a_signer, by_others, by_a_machine, too_much, bent, bent, twice, again, beside_a_wrong_one)
MANNERS: tuple[Callable[[Everything, Order, Choices], None], ...] = (*(as_it_is,) * 2 * len(HOSTILE), *HOSTILE)
"""Two of three orders are sent as they are meant."""


def test_every_instruction_is_known() -> None:
    assert orders_house and orders_claims and orders_debts and orders_guarantees and orders_loans
    assert set(ORDERS) == set(RULEBOOK_1.rules)


def test_a_move_is_of_an_instruction_that_there_is() -> None:
    assert set(MOVES) <= set(RULEBOOK_1.rules)


SIZES = {"dev": (4, 200), "ci": (60, 320), "nightly": (600, 480)}
"""Runs, and steps of each, by profile; Hypothesis gives up a run whose choices take more than 8,192 bytes."""

NEVER = frozenset({do.CreateLedger})
"""What is applied in block 0 and is refused ever after."""


def test_everything(record_property: Callable[[str, object], None]) -> None:
    """Runs the machine; then every instruction was applied, as almost every order that was sent as it was meant."""
    TRIED.clear()
    APPLIED.clear()
    # A run is meant to be long, and its quickest form is not short.
    search(Everything, *SIZES[PROFILE], suppress=[HealthCheck.large_base_example])
    shares = {str(each.__struct_config__.tag): f"{APPLIED[each]} of {TRIED[each]}" for each in ORDERS}
    record_property("applied", shares)
    table = "\n".join(f"{tag:28} {share}" for tag, share in sorted(shares.items()))
    assert not APPLIED[do.CreateLedger]
    meant = sum(TRIED[each] for each in ORDERS if each not in NEVER)
    assert sum(APPLIED.values()) > 19 * meant // 20, table
    if PROFILE != "dev":
        # A quick search is too short for what needs much else to be there.
        assert all(APPLIED[each] for each in ORDERS if each not in NEVER), table
