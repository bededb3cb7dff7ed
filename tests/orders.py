"""How a state machine knows an instruction: what there is that it could be about, and how to order it so that it holds.

`order` enters that for one instruction of the rulebook, in a few lines beside its like; `ready` gives those that can be
ordered just now. What an instruction is about is always drawn from what the ledger holds, so no draw is thrown away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from book import MemoryBook, digest
from finchain.domain.cash_fact import CashFact
from finchain.domain.key import PartyKey, can_sign
from finchain.domain.party import Party
from finchain.domain.policy import PolicyTerms, in_force
from finchain.domain.receivable import Receivable, claim_of
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record

T = TypeVar("T")
R = TypeVar("R", bound=Record)


BYTES = st.binary(min_size=12, max_size=12)
"""As many as most steps need."""


class Choices:
    """What Hypothesis decides in one step.

    It draws many choices at once, because a draw of its own for each took longer than all that the step does with it.
    """

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self._left = b""

    def one(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self.number(0, len(options) - 1)]

    def number(self, least: int, most: int) -> int:
        """A number between these, both included, at most 2^16 of them."""
        size = (most - least).bit_length() + 7 >> 3
        if len(self._left) < size:
            self._left = self.draw(BYTES)
        drawn, self._left = self._left[:size], self._left[size:]
        return least + int.from_bytes(drawn) % (most - least + 1)

    def some(self, most: int) -> int:
        """From 1 to `most`; every other time all of it, because much happens only then."""
        return most if most == 1 or self.either() else self.number(1, most)

    def either(self) -> bool:
        """One way or the other."""
        return bool(self.number(0, 1))

    def perhaps(self, value: T) -> T | Optional:
        """The value, or nothing."""
        return value if self.either() else Absent


class Town:
    """What the parties of a ledger see of it when they write their orders."""

    def __init__(self, ledger: MemoryBook) -> None:
        self.ledger = ledger
        self.serial = 0
        self.ordered: Counter[type[Instruction]] = Counter()
        self._place = (ledger.height, ledger.today)
        self._answers: dict[Any, Any] = {}

    @property
    def today(self) -> date:
        return self.ledger.today

    @property
    def book(self) -> Book:
        """A book to ask, in which nobody has signed."""
        return self.ledger.book()

    @property
    def terms(self) -> PolicyTerms:
        return in_force(self.book)

    def all(self, kind: type[R]) -> Sequence[R]:
        """All records of a kind, by id."""
        return self.ledger.all(kind)

    def get(self, kind: type[R], id: str) -> R:
        return self.ledger.get(kind, id)

    def postings(self) -> Sequence[CashFact]:
        """Entries of this month whose posting can be taken back where it was an error."""
        return self.kept(_postings)

    def claims(self) -> Sequence[Receivable]:
        """Claims as they are today, without offers that are over."""
        return self.kept(_claims)

    def kept(self, ask: Callable[[Town], T]) -> T:
        """An answer about the whole town, which many ask for in one step: it holds until the next block or day."""
        if self._place != (self.ledger.height, self.today):
            self._place, self._answers = (self.ledger.height, self.today), {}
        if ask not in self._answers:
            self._answers[ask] = ask(self)
        found: T = self._answers[ask]
        return found

    def having(self, *roles: str, but: Iterable[str] = ()) -> list[str]:
        """Parties that have one of these roles; any but the keepers of the house where nobody has, or none is named."""
        others = [party for party in self.all(Party) if not {"operator", "registrar"} & {*party.roles}]
        found = [party.id for party in others if {*roles} & {*party.roles} and party.id not in but]
        return found or [party.id for party in others if party.id not in but]

    def live_keys(self, party: str) -> list[PartyKey]:
        return [self.get(PartyKey, f"{party}/{number}") for number in self.get(Party, party).live]

    def can_sign(self, party: str) -> bool:
        """Whether so many of its keys are left that it can act."""
        held = self.ledger.find(Party, party)
        return held is not None and can_sign(held.threshold, self.live_keys(party))

    def in_days(self, days: int) -> date:
        return self.today + timedelta(days=days)

    def new_id(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}-{self.serial}"

    def paper(self) -> str:
        """The SHA-256 of a paper that nobody has seen before."""
        return digest(self.new_id("paper"))

    def entry(self) -> tuple[str, str]:
        """Reference and digest of a bank's new entry."""
        reference = self.new_id("entry")
        return reference, digest(reference)


def _postings(town: Town) -> Sequence[CashFact]:
    month = (town.today.year, town.today.month)
    posted = [fact for fact in town.all(CashFact) if fact.of is not Absent and fact.taken_back is Absent]
    return [fact for fact in posted if (fact.value_date.year, fact.value_date.month) == month]


def _claims(town: Town) -> Sequence[Receivable]:
    book = town.book
    return [claim_of(book, claim.id) for claim in town.all(Receivable)]


class Order(NamedTuple):
    """An instruction and everybody who has to sign it; without any of them it is refused."""

    what: Instruction
    by: frozenset[str]


class Known(NamedTuple):
    """How an instruction is ordered: `about` gives what it can be about, `write` orders it for one of those."""

    about: Callable[[Town], Sequence[Any]]
    often: int
    write: Callable[[Town, Any, Choices], tuple[Instruction, Iterable[str]]]

    def draw(self, town: Town, choose: Choices, subjects: Sequence[Any]) -> Order:
        what, by = self.write(town, choose.one(subjects), choose)
        return Order(what, frozenset(by))


ORDERS: dict[type[Instruction], Known] = {}
"""How each instruction of the rulebook is ordered, filled by `@order`."""

Write = Callable[[Town, Any, Choices], tuple[Instruction, Iterable[str]]]
W = TypeVar("W", bound=Write)


def at_any_time(town: Town) -> Sequence[Any]:
    """Subjects of an order that needs nothing to be there."""
    return (None,)


def order(
    instruction: type[Instruction], about: Callable[[Town], Sequence[Any]] = at_any_time, *, often: int = 1
) -> Callable[[W], W]:  # fmt: skip
    """Enters how an instruction is ordered.

    Args:
        instruction: Its type.
        about: Gives what it can be about just now; nothing where it would only be refused.
        often: How many times as often as others it is to be ordered, because much else rests on it.
    """

    def enter(write: W) -> W:
        assert instruction not in ORDERS, f"{instruction.__name__} is known already"
        ORDERS[instruction] = Known(about, often, write)
        return write

    return enter


AMONG = 8
"""An order is drawn from so many of those that can be given."""


def ready(town: Town, choose: Choices) -> Order:
    """An order that a rule should apply, of an instruction that can be ordered just now.

    It is one of the few that were ordered least in this town, so that what waits for much else has its turn when that
    is there, and what needs nothing does not crowd it out.
    """
    found = [(kind, subjects) for kind, known in ORDERS.items() if (subjects := known.about(town))]
    found.sort(key=lambda each: town.ordered[each[0]] / ORDERS[each[0]].often)
    kind, subjects = choose.one(found[:AMONG])
    drawn = ORDERS[kind].draw(town, choose, subjects)
    town.ordered[type(drawn.what)] += 1
    return drawn
