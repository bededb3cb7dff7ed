"""What every rule file stands on: records, instructions, and the book that a rule reads and writes.

A rule is a pure function of an instruction and the records it reads: it sees no clock but `book.time_ms`,
no randomness, no files, no floats, and no order of a set. It writes new records with `book.put`, or raises
`Refused`, after which nothing that it wrote stays.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final, NoReturn, Protocol, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from finchain.errors import Refused


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The present state of one object. `kind` and `id` name it in the state map.

    Records and instructions are values that never contain themselves, so the garbage collector need not visit them:
    with hundreds of thousands in memory it took 7 % of the time of an ingest.
    """

    kind: ClassVar[str] = ""
    id: str


class Instruction(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", omit_defaults=False, gc=False
):
    """One order of a party. Subclasses set `tag="receivable.confirm"`; optional members are `UNSET`, never defaults."""


R = TypeVar("R", bound=Record)
I_contra = TypeVar("I_contra", bound=Instruction, contravariant=True)
Optional = UnsetType
Absent = UNSET


class Source(Protocol):
    """Where a book finds records that this block has not written yet."""

    def find(self, kind: type[Record], id: str) -> Record | None:
        """The record as of the end of the block before, or `None`."""


class Book:
    """Records as one instruction sees them: what it wrote, over what its transaction wrote, over the state.

    Attributes:
        by: The parties that signed the transaction.
        service: Those of `by` for which only an unattended service key signed.
        sender: The first of the header's `by`.
        height: Height of the block.
        time_ms: The block's Unix time in milliseconds.
        today: Date of the block's time in the ledger's business time zone.
        ledger: The ledger's name, `origin#hash of block 0`; in block 0 nothing follows `#`.
        rulebook: Number of the rulebook that the block is executed by; contracts keep it.
        instruction: Index of the instruction that runs, from 0.
    """

    __slots__ = (
        "_kept", "_source", "_touches", "_written", "by", "height", "instruction", "ledger", "notes", "rulebook",
        "sender", "service", "time_ms", "today",
    )  # fmt: skip

    def __init__(
        self, source: Source, *, ledger: str, height: int, time_ms: int, zone_minutes: int, rulebook: int = 1
    ) -> None:
        self._source = source
        self.ledger = ledger
        self.rulebook = rulebook
        self.height = height
        self.time_ms = time_ms
        self.today = business_date(time_ms, zone_minutes)
        self.begin(frozenset(), frozenset(), "")

    def begin(self, by: frozenset[str], service: frozenset[str], sender: str) -> None:
        """Starts a transaction."""
        self.by, self.service, self.sender = by, service, sender
        self._kept: dict[tuple[type[Record], str], Record] = {}
        self._written: dict[tuple[type[Record], str], Record] = {}
        self._touches: dict[tuple[type[Record], str], list[int]] = {}
        self.notes: list[str] = []
        self.instruction = 0

    def keep(self) -> None:
        """Ends a unit that holds: what it wrote stays."""
        written, touches, instruction = self._written, self._touches, self.instruction
        for key in written:
            touched = touches.get(key)
            if touched is None:
                touches[key] = [instruction]
            else:
                touched.append(instruction)
        if self._kept:
            self._kept.update(written)
            written.clear()
        else:
            self._kept, self._written = written, {}

    def undo(self) -> None:
        """Ends a unit that does not hold: what was written since the last `keep` is gone."""
        self._written = {}

    def restart(self) -> None:
        """Undoes the whole transaction, what was kept included."""
        self._kept, self._written, self._touches = {}, {}, {}

    def written(self) -> dict[tuple[type[Record], str], Record]:
        """What was put since `begin`, `keep` or `undo`, in the order of first writing."""
        return self._written

    def kept(self) -> dict[tuple[type[Record], str], Record]:
        """What the transaction wrote and kept, in the order of first writing."""
        return self._kept

    def touches(self) -> dict[tuple[type[Record], str], list[int]]:
        """For each kept record the instructions that wrote it, rising."""
        return self._touches

    def find(self, kind: type[R], id: str) -> R | None:
        """The record, or `None` where there is none."""
        found = None
        if self._written:
            found = self._written.get((kind, id))
        if found is None and self._kept:
            found = self._kept.get((kind, id))
        if found is None:
            found = self._source.find(kind, id)
        return found  # type: ignore[return-value]  # found under its type

    def get(self, kind: type[R], id: str, *, field: str = "") -> R:
        """The record.

        Raises:
            Refused: `<kind>.not_found`, where there is none.
        """
        record = self.find(kind, id)
        if record is None:
            raise Refused(
                f"{kind.kind}.not_found", f"there is no {kind.kind} {id!r}", field=field, value=id,
                advice="name one that this ledger holds",
            )  # fmt: skip
        return record

    def put(self, record: Record) -> None:
        """Writes a record; it is seen by what follows, and undone if the unit is refused."""
        self._written[type(record), record.id] = record

    def note(self, text: str) -> None:
        """A warning that travels with the outcome and refuses nothing."""
        self.notes.append(text)


def business_date(time_ms: int, zone_minutes: int) -> date:
    """The calendar date of a Unix time in a fixed offset from UTC.

    Args:
        time_ms: Unix time in milliseconds, >= 0.
        zone_minutes: Offset east of UTC in minutes, for example 480 for China.
    """
    return (datetime.fromtimestamp(time_ms // 1000, UTC) + timedelta(minutes=zone_minutes)).date()


Rule = Callable[[Any, Book], None]

RULES: dict[type[Instruction], Rule] = {}
"""The rule of each instruction of the rulebook, filled by `@rule`."""

RECORDS: dict[str, type[Record]] = {}
"""The record type of each kind, filled by `@record`."""

F = TypeVar("F", bound=Rule)
C = TypeVar("C", bound=type[Record])


def rule(instruction: type[Instruction]) -> Callable[[F], F]:
    """Registers a function as the rule of an instruction."""

    def register(function: F) -> F:
        assert instruction not in RULES, f"two rules for {instruction.__name__}"
        RULES[instruction] = function
        return function

    return register


def record(cls: C) -> C:
    """Registers a record type under its `kind`."""
    assert cls.kind and cls.kind not in RECORDS, f"kind {cls.kind!r} is empty or taken"
    RECORDS[cls.kind] = cls
    return cls


def located(refusal: Refused, instruction: Instruction, index: int) -> Refused:
    """The refusal with its place: which instruction of the transaction, by which rule, and what the member held."""
    refusal.instruction = index
    refusal.order = str(instruction.__struct_config__.tag)
    if refusal.value is None:
        found: Any = instruction
        for name in refusal.field.split("."):
            found = getattr(found, name, None)
        refusal.value = found
    return refusal


NONE: Final = "none is possible"
"""How advice begins where no order of this kind would be applied; why, and what else helps, stands behind it."""


def up_to(act: str, most_minor: int, otherwise: str) -> str:
    """Advice on an amount beyond a limit.

    Args:
        act: What is done with an amount, for example `confirm`.
        most_minor: What would be accepted; nothing where it is 0 or less.
        otherwise: Why nothing would be, and what else helps.
    """
    return f"{act} up to {most_minor}" if most_minor > 0 else f"{NONE}: {otherwise}"


def from_to(first: date, last: date, otherwise: str) -> str:
    """Advice on a date out of a range; `otherwise` says what holds where the range has no day."""
    return f"state a date from {first} to {last}" if first <= last else otherwise


def refuse(code: str, message: str, **facts: Any) -> NoReturn:
    """Raises `Refused`; `rule`, `field`, `value`, `advice` go to it by name, everything else is a fact."""
    named = {k: facts.pop(k) for k in ("rule", "field", "value", "advice") if k in facts}
    raise Refused(code, message, facts=facts, **named)
