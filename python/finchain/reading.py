"""What can be asked of a ledger, by whatever way it is reached: records, history, totals, and what became of a ticket.

The writer answers from its state, a reader in another process from the index, a connection through the writer's socket.
They differ in where an answer comes from, and not in what is asked or what comes back.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import msgspec

from finchain.clock import Clock
from finchain.domain.founding import LedgerRecord
from finchain.domain.rule import Record, business_date
from finchain.domain.rulebook import Rulebook, by_number
from finchain.domain.totals import Totals, totals_of
from finchain.errors import Expired, ForkError, LaneConflict, NotFound, TamperError, WrongLedger
from finchain.outcome import Attempt, Change, Outcome, Step, Ticket
from finchain.pipe import rulebook_of
from finchain.replay import (
    SCAN_PAGE,
    all_records,
    attempts,
    blocks_until,
    replayed_changes,
    replayed_records,
    with_refusals,
)
from finchain.source import Source
from finchain.transaction import content_of

R = TypeVar("R", bound=Record)


class Reading(ABC):
    """What all ways to a ledger have in common. A context manager, of the process that made it."""

    def __init__(self, path: Path, record: LedgerRecord, clock: Clock, rulebooks: Iterable[Rulebook]) -> None:
        self.path = path
        self.clock = clock
        self._record = record
        self._rulebooks = by_number(rulebooks)
        self._pid = os.getpid()

    @abstractmethod
    def _asking(self) -> AbstractContextManager[Source]:
        """A source that stands still while it is asked."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of everything. Closing twice does nothing."""

    # ---- what it is

    @property
    def name(self) -> str:
        """Full name: origin, `#`, hash of block 0."""
        with self._asking() as source:
            return source.name

    @property
    def verifier_key(self) -> str:
        """What others need to verify receipts of this ledger."""
        return self._ledger_record().checkpoint_keys[0]

    @property
    def height(self) -> int:
        """Number of blocks that it has."""
        with self._asking() as source:
            return source.height

    @property
    def rulebook(self) -> int:
        """Number of the rulebook that the next block is executed by."""
        return self._ledger_record().rulebook

    @property
    def today(self) -> date:
        """The date, in the ledger's zone, that the next block would have."""
        return self._date(self._now_ms())

    @property
    def hash_suite(self) -> str:
        """Name of the hash suite inside blocks."""
        with self._asking() as source:
            return source.hash_suite

    @property
    def state_root(self) -> bytes:
        """Root of the state map, 32 bytes."""
        with self._asking() as source:
            return source.state_root

    # ---- records

    def get(self, kind: type[R], id: str) -> R:
        """A record as it is now.

        Raises:
            NotFound: There is none.
        """
        record = self.look(kind, id)
        if record is None:
            raise NotFound(f"there is no {kind.kind} {id!r} on {self._record.origin}")
        return record

    def look(self, kind: type[R], id: str) -> R | None:
        """A record as it is now, or `None`."""
        with self._asking() as source:
            text = source.record(kind.kind, id)
        return None if text is None else msgspec.json.decode(text, type=kind)

    def find(self, kind: type[R], where: Callable[[R], bool] | None = None) -> Iterator[R]:
        """Every record of a kind, in the order of birth, or those for which `where` is true."""
        self._check_process()
        decode = msgspec.json.Decoder(kind).decode
        for page in self._pages(kind.kind):
            for _, text in page:
                record = decode(text)
                if where is None or where(record):
                    yield record

    def find_all(self) -> Iterator[Record]:
        """Every record that the rulebook in force knows, in the order of birth."""
        self._check_process()
        kinds = self._rulebook().records
        for page in self._pages(None):
            for kind, text in page:
                cls = kinds.get(kind)
                if cls is not None:
                    yield msgspec.json.decode(text, type=cls)

    def _pages(self, kind: str | None) -> Iterator[list[tuple[str, bytes]]]:
        """Records in pages; others have their turn between two of them."""
        start: int | None = 0
        while start is not None:
            with self._asking() as source:
                page, start = source.scan(kind, start, SCAN_PAGE)
            yield page

    def totals(self, as_of: date | None = None) -> Totals:
        """The conservation statement: claims, certificates, loans, guarantees, accounts and cash, which balance.

        Args:
            as_of: A day of the ledger, for the statement at its end, by a replay of the blocks until then; where
                absent, the statement of now, from the state.

        Raises:
            NotFound: The ledger was founded after that day, or the day has not come.
        """
        kinds, today = self._rulebook().records, self.today
        with self._asking() as source:
            if as_of is None:
                return totals_of(all_records(source, kinds), today=today, height=source.height)
            height = blocks_until(source, as_of, self._record.time_zone_minutes)
        if not height or as_of > today:
            raise NotFound(f"the ledger has no {as_of}", advice=f"name a day from its founding to {today}")
        records = replayed_records(self.path, until=height, rulebooks=list(self._rulebooks.values()))
        return totals_of(records, today=as_of, height=height)

    def history(self, kind: type[Record], id: str, *, limit: int = 1_000, replayed: bool = False) -> list[Step]:
        """The instructions that wrote a record, oldest first; the newest `limit` of them.

        Args:
            kind: Type of the record.
            id: Its id.
            limit: Steps at most.
            replayed: Executes every block again, so that no word of the index is believed. Which instruction wrote
                which record stands in no block, and so nothing quicker can show it.

        Raises:
            NotFound: There is no such record.
        """
        self.get(kind, id)
        if replayed:
            touches = self._replayed_touches(kind, id, limit)
            with self._asking() as source:
                return [self._step(source, *touch) for touch in touches]
        with self._asking() as source:
            steps = [self._step(source, *touch) for touch in source.history(kind.kind, id, limit)]
        return steps[::-1]

    def _replayed_touches(self, kind: type[Record], id: str, limit: int) -> Iterable[tuple[int, int, list[int]]]:
        """The newest places that wrote a record, oldest first: height, entry, instructions."""
        touches: deque[tuple[int, int, list[int]]] = deque(maxlen=limit)
        for change in self.changes():
            if any(after.id == id for _, after in change.of(kind)):
                if touches and touches[-1][:2] == (change.height, change.entry):
                    touches[-1][2].append(change.index)
                else:
                    touches.append((change.height, change.entry, [change.index]))
        return touches

    def _step(self, source: Source, height: int, entry: int, indices: list[int]) -> Step:
        entered = source.entered(height, entry)
        header = msgspec.json.decode(entered["header"])
        instructions = self._rulebook(header["rulebook"]).decode_one(entered["instructions"])
        by = tuple(header["by"])
        written = tuple(instructions[index] for index in indices)
        return Step(height, entry, entered["time_ms"], entered["id"], written, tuple(indices), by)

    def changes(self) -> Iterator[Change]:
        """What each instruction that was applied did to the records, from the first on; replays the blocks of now."""
        height = self.height
        yield from replayed_changes(self.path, until=height, rulebooks=list(self._rulebooks.values()))

    def log(
        self,
        *,
        party: str | None = None,
        code: str | None = None,
        order: str | None = None,
        status: Literal["applied", "refused", "held_back"] | None = None,
        since: date | None = None,
        until: date | None = None,
        start: tuple[int, int] = (0, 0),
        texts: bool = True,
    ) -> Iterator[Attempt]:
        """Every instruction that was sent and entered a block, in order, whatever became of it.

        The blocks of now are read, and no word of the index is taken. What a refusal said stands in no block: for the
        first refused one that is given the blocks before it are taken over or executed again, and so on from there.

        Args:
            party: One that signed.
            code: The code of a refusal, such as `payment.not_whitelisted`; or how codes begin, such as `payment`.
            order: The kind of order, such as `payment.request`; or how tags begin, such as `payment`.
            status: What became of it.
            since: The first day of blocks, in the ledger's zone.
            until: The last day of blocks.
            start: Height and entry of the first transaction that is looked at.
            texts: Whether each refusal comes with all that it said, or with its code alone.

        Raises:
            TamperError: A block is damaged.
        """
        wanted = (
            each
            for each in attempts(
                self.path, until=self.height, zone_minutes=self._record.time_zone_minutes, rulebooks=self._rulebooks,
                start=start,
            )
            if (since is None or since <= each.day) and (until is None or each.day <= until)
            and (party is None or party in each.by) and (status is None or status == each.status)
            and _begins(each.code, code) and _begins(each.order, order)
        )  # fmt: skip
        return with_refusals(self.path, wanted, list(self._rulebooks.values())) if texts else wanted

    # ---- what became of a submission

    def resolve(self, ticket: Ticket) -> Outcome:
        """What became of a transaction that was sent, whoever sent it and wherever the answer was lost.

        The status is `applied` or `refused`, with the place, where its content is in a block; `rejected`, for good,
        where its sequence holds something else (`LaneConflict`) or its time is over (`Expired`); and `unknown` while it
        is in no block that is known here and may still come. Submitting the transaction again is harmless at any time,
        and settles what is unknown.

        Raises:
            WrongLedger: The ticket is for another ledger.
            TamperError: The index names a place at which another transaction is.
            StorageError: The ledger has failed; open it again and ask then.
        """
        self._check_process()
        over_ms = self._over_ms()
        with self._asking() as source:
            if ticket.ledger != source.name:
                raise WrongLedger(f"the ticket is for {ticket.ledger}", advice=f"this ledger is {source.name}")
            place = source.lane_place(f"{ticket.sender} {ticket.lane}", ticket.sequence)
            if place is not None:
                entered = source.entered(*place)
                _check_place(ticket, place, entered)
                return _entered(ticket, place, entered)
        if ticket.expires_ms < over_ms:
            error = Expired(
                f"transaction {ticket.id} is in no block, and its time ended at {ticket.expires_ms} ms",
                advice="build and sign it again with a later expires_ms",
            )
            return Outcome(status="rejected", error=error)
        return Outcome(status="unknown", ticket=ticket)

    def _over_ms(self) -> int:
        """Unix time in ms that every block to come is known to have reached."""
        with self._asking() as source:
            return source.time_ms

    # ---- inside

    def _now_ms(self) -> int:
        """The time that a block would have now: a block's time never falls, whatever the clock does."""
        with self._asking() as source:
            return max(self.clock.now_ms(), source.time_ms)

    def _place(self) -> dict[str, Any]:
        """What a book says of the block that would come next."""
        return {
            "ledger": self.name, "height": self.height, "time_ms": self._now_ms(),
            "zone_minutes": self._record.time_zone_minutes, "rulebook": self.rulebook,
        }  # fmt: skip

    def _date(self, time_ms: int) -> date:
        return business_date(time_ms, self._record.time_zone_minutes)

    def _ledger_record(self) -> LedgerRecord:
        return self.get(LedgerRecord, "ledger")

    def _rulebook(self, number: int | None = None) -> Rulebook:
        """The rulebook of that number, or the one in force."""
        return rulebook_of(self._rulebooks, self.rulebook if number is None else number)

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ForkError(
                f"this {type(self).__name__.lower()} was opened by the parent process",
                advice="open it here, or use spawn",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> str:
        raise TypeError(f"an open {type(self).__name__.lower()} is not pickled; pass its path")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._record.origin}, {self.height} blocks, {os.fspath(self.path)!r})"


def _begins(name: str, beginning: str | None) -> bool:
    """Whether a name with dots is the asked one, or begins with it."""
    return beginning is None or name == beginning or name.startswith(f"{beginning}.")


def _check_place(ticket: Ticket, place: tuple[int, int], entered: dict[str, Any]) -> None:
    """Refuses a place at which the block has a transaction of another lane or number: no word of an index decides."""
    header = msgspec.json.decode(entered["header"])
    found, asked = (header["by"][0], header["lane"], header["sequence"]), (ticket.sender, ticket.lane, ticket.sequence)
    if found != asked:
        raise TamperError(
            f"the index has sequence {ticket.sequence} of lane {ticket.lane} of {ticket.sender} in block {place[0]}, "
            f"entry {place[1]}, and the block has sequence {found[2]} of lane {found[1]} of {found[0]} there",
            advice="run finchain check; without index/ the index is made anew from the blocks",
        )


def _entered(ticket: Ticket, place: tuple[int, int], entered: dict[str, Any]) -> Outcome:
    """The outcome of a ticket whose sequence is used."""
    height, entry = place
    if content_of(entered["header"], entered["instructions"]) == ticket.content:
        refused = tuple((index, code) for index, code in entered["refused"])
        return Outcome(
            status="refused" if refused else "applied", id=entered["id"], height=height, entry=entry, refused=refused
        )
    error = LaneConflict(
        f"sequence {ticket.sequence} of lane {ticket.lane} is taken by transaction {entered['id']} "
        f"(block {height}, entry {entry}) with another content",
        advice="use the next sequence of the lane",
    )
    return Outcome(status="rejected", error=error)
