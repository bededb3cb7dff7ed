"""A ledger of records alone that remembers what each instruction changed, as a replay of a real one would tell it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from book import LEDGER, START, MemoryBook
from finchain.domain.rule import Instruction, Record
from finchain.outcome import Change


class Remembering(MemoryBook):
    """A `MemoryBook` that begins with what another holds, and remembers.

    Attributes:
        changes: What was done since, in order.
    """

    def __init__(self, *, today: date = START, ledger: str = LEDGER) -> None:
        super().__init__(today=today, ledger=ledger)
        self.changes: list[Change] = []

    @classmethod
    def of(cls, other: MemoryBook) -> Remembering:
        """A ledger that goes on from another."""
        made = cls(today=other.today, ledger=other.ledger)
        made.records, made.height = dict(other.records), other.height
        return made

    def copy(self) -> Remembering:
        """Another ledger that goes on from here, and remembers what was before."""
        other = type(self).of(self)
        other.changes = list(self.changes)
        return other

    def apply(self, *instructions: Instruction, by: Iterable[str], service: Iterable[str] = ()) -> None:
        """As `MemoryBook.apply`; nothing of a transaction is remembered that was refused."""
        signers, height = sorted(by), self.height
        kept, told = dict(self.records), list[Change]()
        try:
            for index, instruction in enumerate(instructions):
                before: dict[Any, Record] = dict(self.records)
                super().apply(instruction, by=signers, service=service)
                written = {key: record for key, record in self.records.items() if before.get(key) is not record}
                records = tuple((before.get(key), record) for key, record in written.items())
                told.append(Change(height, 0, index, self.today, tuple(signers), instruction, records))
        except BaseException:
            self.records, self.height = kept, height
            raise
        self.height = height + 1
        self.changes += told
