"""A refusal's advice works: an order that follows it is applied, or is refused for something else; or none would be.

Orders that should hold are bent, repeated and sent without a signature, and whatever a rule advises is followed by its
sentence alone. Advice to let somebody do something first is followed by the stories in `test_advice_stories.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import rule

import orders_claims
import orders_debts
import orders_guarantees
import orders_house
import orders_loans
from conftest import PROFILE
from finchain.money import AMOUNT_MAX_MINOR
from following_advice import DAYS, Trial, followed, tried
from machine import Watched, search
from orders import Choices, Order, Town, ready
from strategies import member

END: Counter[str] = Counter()
"""How following ended, over all runs."""


class Advised(Watched):
    """A town in which every refusal's advice is followed."""

    def __init__(self) -> None:
        super().__init__()
        self.town = Town(self.ledger)
        self.past: list[Order] = []

    @rule(choices=st.data())
    def step(self, choices: Any) -> None:
        choose = Choices(choices.draw)
        if choose.number(1, 12) == 12:
            self.ledger.advance(choose.one((1, 2, 5, 12)))
            return
        order = ready(self.town, choose)
        good = self.trial(order.what, order.by)
        if choose.either():
            choose.one(WRONGS)(self, good, choose)
        if tried(self.ledger, good) is None:
            self.outcome(order.what, by=set(order.by))
            self.past.append(order)
        else:
            self.follow(good)

    def trial(self, what: Any, by: frozenset[str], service: frozenset[str] = frozenset()) -> Trial:
        return Trial(what, by - service, service, self.ledger.today)

    def follow(self, trial: Trial) -> None:
        END[followed(self.ledger, trial)] += 1


# --- what is wrong with an order
def unsigned(machine: Advised, good: Trial, choose: Choices) -> None:
    machine.follow(good._replace(by=good.by - {choose.one(sorted(good.by))}))


def by_a_machine(machine: Advised, good: Trial, choose: Choices) -> None:
    only = frozenset({choose.one(sorted(good.by))})
    machine.follow(good._replace(by=good.by - only, service=only))


def bent(machine: Advised, good: Trial, choose: Choices) -> None:
    """One member is whatever such a member can be."""
    field = choose.one(msgspec.structs.fields(good.what))
    value = choose.draw(member(str(good.what.__struct_config__.tag), field.name, field.type))
    machine.follow(good._replace(what=msgspec.structs.replace(good.what, **{field.name: value})))


def too_much(machine: Advised, good: Trial, choose: Choices) -> None:
    names = [name for name in good.what.__struct_fields__ if name.endswith("_minor")]
    if names:
        amount = choose.one((AMOUNT_MAX_MINOR + 1, AMOUNT_MAX_MINOR, 0))
        machine.follow(good._replace(what=msgspec.structs.replace(good.what, **{choose.one(names): amount})))


def another_day(machine: Advised, good: Trial, choose: Choices) -> None:
    names = [name for name in good.what.__struct_fields__ if name in DAYS]
    if names:
        day = machine.town.in_days(choose.one((-400, -40, -7, -1, 0, 1, 40, 2_000)))
        machine.follow(good._replace(what=msgspec.structs.replace(good.what, **{choose.one(names): day})))


def again(machine: Advised, good: Trial, choose: Choices) -> None:
    if machine.past:
        old = choose.one(machine.past)
        machine.follow(machine.trial(old.what, old.by))


WRONGS: tuple[Callable[[Advised, Trial, Choices], None], ...] = (
    unsigned, by_a_machine, bent, bent, too_much, too_much, another_day, another_day, again, again,
)  # fmt: skip

SIZES = {"dev": (10, 150), "ci": (60, 300), "nightly": (600, 400)}


def test_what_a_refusal_advises_works(record_property: Callable[[str, object], None]) -> None:
    assert orders_house and orders_claims and orders_debts and orders_guarantees and orders_loans
    END.clear()
    # A run is meant to be long: much has to be there before most orders can be given.
    search(Advised, *SIZES[PROFILE], suppress=[HealthCheck.large_base_example])
    record_property("ends", dict(END))
    assert END["applied"] > END.total() // 2, END
    assert not END["many"] or END["many"] < END.total() // 100, END
