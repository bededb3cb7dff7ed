"""A rehearsal: the rules over the state as it is, on paper. It writes nothing, and each transaction sees those before.

What the transactions before have written lies in memory up to a bound and beyond it in a temporary file, so that a
rehearsal of a million rows needs no more memory than one of some ten thousand. A rehearsal promises nothing: the state
may change before the transactions are sent, and signatures are not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from finchain.domain.rule import Book, Instruction, Record, Rule, located
from finchain.errors import Refused
from finchain.outcome import Explanation, Outcome

if TYPE_CHECKING:
    import sqlite3

RECORDS_MAX: Final = 16_384
"""Records in memory, some twenty megabytes at most; a row of a load writes three."""

Look = Callable[[type[Any], str], Any]
"""Gives a record of the ledger, or `None`."""


def explained(
    find: Look,
    rules: Mapping[type[Instruction], Rule],
    place: Mapping[str, Any],
    instructions: Sequence[Instruction],
    by: Sequence[str],
) -> Explanation:
    """What instructions that hold together would do, or why they would be refused.

    Args:
        find: Gives a record of the ledger, or `None`.
        rules: The rulebook in force.
        place: What a book says of the block, as for `Rehearsal`.
        instructions: What would be ordered.
        by: The parties that would sign; the first is the sender.
    """
    book = Book(_Found(find), **place)
    book.begin(frozenset(by), frozenset(), by[0])
    for index, instruction in enumerate(instructions):
        book.instruction = index
        try:
            rules[type(instruction)](instruction, book)
        except Refused as refusal:
            return Explanation(located(refusal, instruction, index), (), tuple(book.notes))
        book.keep()
    changes = tuple((find(kind, id), record) for (kind, id), record in book.kept().items())
    return Explanation(None, changes, tuple(book.notes))


class _Found:
    """A function that finds records, as a book asks for them."""

    __slots__ = ("find",)

    def __init__(self, find: Look) -> None:
        self.find = find


class Rehearsal:
    """Transactions that are run one after the other, and not sent. Made by `Ledger.rehearse`; a context manager.

    Args:
        look: Where records come from that the rehearsal has not written.
        rules: The rulebook in force.
        place: What a book says of the block: ledger, height, time, zone, rulebook.
    """

    def __init__(self, look: Look, rules: Mapping[type[Instruction], Rule], place: Mapping[str, Any]) -> None:
        self._look, self._rules = look, rules
        self._book = Book(self, **place)
        self._written: dict[tuple[type[Record], str], Record] = {}
        self._seen: dict[tuple[type[Record], str], Record] = {}
        self._laid_down: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._laid_down is not None:
            self._laid_down.close()

    def find(self, kind: type[Record], id: str) -> Record | None:
        """A record as it would be now, or `None`."""
        key = (kind, id)
        found = self._written.get(key) or self._seen.get(key) or self._lying(kind, id)
        if found is None:
            looked: Record | None = self._look(kind, id)
            if looked is not None:
                self._seen[key] = found = looked
        return found

    def run(
        self, instructions: Sequence[Instruction], *, by: Sequence[str], service: Iterable[str] = ()
    ) -> list[Refused | None]:
        """Runs instructions that stand alone, as in mode `each`; gives for each why it would be refused, or `None`.

        Args:
            instructions: What would be ordered.
            by: The parties that would sign; the first is the sender.
            service: Those of them for which only a service key would sign.
        """
        book = self._book
        book.begin(frozenset(by), frozenset(service), by[0])
        refusals: list[Refused | None] = []
        for index, instruction in enumerate(instructions):
            book.instruction = index
            try:
                self._rules[type(instruction)](instruction, book)
                book.keep()
                refusals.append(None)
            except Refused as refusal:
                book.undo()
                refusals.append(located(refusal, instruction, index))
        self._written.update(book.kept())
        if len(self._written) + len(self._seen) > RECORDS_MAX:
            self._lay_down()
        return refusals

    def applied_or_refused(self, refusals: Sequence[Refused | None]) -> Outcome:
        """What `run` gave, in the form in which a ledger answers."""
        refused = [(index, refusal) for index, refusal in enumerate(refusals) if refusal is not None]
        return Outcome(
            status="refused" if refused else "applied", refused=tuple((index, found.code) for index, found in refused),
            refusals=tuple(found for _, found in refused),
        )  # fmt: skip

    def _lying(self, kind: type[Record], id: str) -> Record | None:
        if self._laid_down is None:
            return None
        row = self._laid_down.execute("SELECT json FROM record WHERE kind = ? AND id = ?", (kind.kind, id)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=kind)

    def _lay_down(self) -> None:
        """Moves what was written to a temporary file, which goes away with the rehearsal."""
        if self._laid_down is None:
            # A Python may be built without it, and few rehearsals are that long.
            import sqlite3

            # Without a name SQLite makes a file of its own, which no other process sees.
            self._laid_down = sqlite3.connect("", isolation_level=None)
            self._laid_down.execute("PRAGMA journal_mode = OFF")
            self._laid_down.execute(
                "CREATE TABLE record (kind TEXT, id TEXT, json BLOB, PRIMARY KEY (kind, id)) WITHOUT ROWID"
            )
        encode = msgspec.json.Encoder().encode
        self._laid_down.execute("BEGIN")
        self._laid_down.executemany(
            "INSERT OR REPLACE INTO record VALUES (?, ?, ?)",
            ((kind.kind, id, encode(record)) for (kind, id), record in self._written.items()),
        )
        self._laid_down.execute("COMMIT")
        self._written.clear()
        self._seen.clear()
