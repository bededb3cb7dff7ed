"""The pipe: check → execute → seal → index, one path for ingest, recovery and audit.

The core checks, seals and indexes on threads of its own; the rules run here, in one order. A transaction is answered
only when its block is durable. A rule that fails unexpectedly drops its transaction and nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from finchain import _core
from finchain.domain import rulebook
from finchain.domain.rule import Book, Instruction, Record
from finchain.errors import FinchainError, Refused, Rejected, StorageError, rejection
from finchain.outcome import Outcome

log = logging.getLogger("finchain")

CHUNK_TRANSACTIONS = 1_024
"""Transactions in one chunk at most: enough to hide a sync and to fill a signature batch, few enough to answer soon."""

CHUNK_BYTES = 1 << 20
"""Bytes after which a chunk is full, the size of a thousand transactions of one instruction: stages overlap only
between chunks, so a large one would be checked while nothing is executed. A transaction alone may have more."""

NO_BLOCK: Final = -1
"""In the place of a height, where nothing of a chunk came into a block."""

CACHE_RECORDS = 200_000
"""Records in one generation of the cache; two generations are kept, some hundred megabytes at most."""

CUTS_BLOCK = frozenset({"party", "key"})
"""Kinds whose change ends the block: who may sign is judged by the block before, and the next sender wants it new."""

NOBODY: Final[frozenset[str]] = frozenset()

_decode_all = msgspec.json.Decoder(list[list[rulebook.INSTRUCTIONS]]).decode
_decode_one = msgspec.json.Decoder(list[rulebook.INSTRUCTIONS]).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_decoders = {cls: msgspec.json.Decoder(cls).decode for cls in rulebook.RECORDS.values()}


_UNKNOWN: Final[Any] = object()
"""In the place of a record, or of the absence of one, that the cache does not hold."""


class Records:
    """Records as rules read them: those of blocks that the index may not have, and a bounded cache of the others."""

    def __init__(self, core: _core.Ledger) -> None:
        self._core = core
        self._young: dict[tuple[type[Record], str], Record | None] = {}
        self._old: dict[tuple[type[Record], str], Record | None] = {}

    def find(self, kind: type[Record], id: str) -> Record | None:
        """The record as of the last executed transaction, or `None`."""
        key = (kind, id)
        record: Record | None = self._young.get(key, _UNKNOWN)
        if record is _UNKNOWN:
            record = self._old.get(key, _UNKNOWN)
            if record is _UNKNOWN:
                raw = self._core.record(kind.kind, id)
                record = None if raw is None else _decoders[kind](raw)
            self._young[key] = record
        return record

    def commit(self, written: dict[tuple[type[Record], str], Record]) -> None:
        """Takes what a transaction wrote."""
        self._young.update(written)

    def forget(self) -> None:
        """Forgets everything, what was taken of a block that was never sealed included."""
        self._old, self._young = {}, {}
        self._core.wait_indexed()

    def trim(self) -> None:
        """Forgets the older generation once the younger is full, after the index has everything."""
        if len(self._young) >= CACHE_RECORDS:
            self._core.wait_indexed()
            self._old, self._young = self._young, {}


class _Block:
    """What the rules made of an open block, in the columns that the core seals."""

    __slots__ = ("counts", "ids", "instructions", "kinds", "notes", "records", "refusals", "refused")

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.refused: list[tuple[int, int, str]] = []
        self.kinds: list[str] = []
        self.ids: list[str] = []
        self.instructions: list[list[int]] = []
        self.records: list[Record] = []
        self.refusals: dict[int, list[Refused]] = {}
        self.notes: dict[int, tuple[str, ...]] = {}


class Pipe:
    """Drives one ledger's core. Not for several threads at once: the ledger's lock stands before it.

    Args:
        core: The ledger machine.
        zone_minutes: Offset east of UTC in which the ledger's days begin.
    """

    def __init__(self, core: _core.Ledger, zone_minutes: int) -> None:
        self.core = core
        self.zone_minutes = zone_minutes
        self.records = Records(core)
        self._seconds = {"decode": 0.0, "rules": 0.0, "encode": 0.0, "waiting for check": 0.0}

    def stage_times(self) -> dict[str, float]:
        """Seconds that each stage has worked; stages overlap, so their sum exceeds the time that passed."""
        return {**dict(self.core.stage_seconds()), **self._seconds}

    def run(self, texts: Iterable[bytes], now_ms: Callable[[], int]) -> list[Outcome]:
        """Takes transactions through the pipe; gives their outcomes, in order, once all are durable.

        Args:
            texts: Transactions as canonical JSON.
            now_ms: Called for the time of each block that is opened.

        Raises:
            StorageError: A block could not be made durable; what was not answered is unknown.
        """
        stream = Stream(self, now_ms)
        outcomes = [outcome for chunk in chunked(texts) for outcome in stream.push(chunk)]
        return outcomes + stream.finish()

    def replay(self, height: int, *, verify_signatures: bool) -> tuple[int, int]:
        """Executes a stored block again and lets the core compare; gives its transactions and instructions.

        Raises:
            TamperError: The block is not what its transactions and the rules make; some only at a later call.
        """
        opened = self.core.open_stored(height, verify_signatures)
        try:
            decoded = self._decode(opened.instructions)
        except msgspec.MsgspecError as error:
            raise StorageError(
                f"block {height} holds an instruction that this rulebook does not know: {error}"
            ) from None
        block = _Block()
        count = self._execute(opened, decoded, block, stop_early=False)
        if count != len(decoded):
            raise FinchainError(f"block {height}: entry {count} cannot be executed")
        self._seal(opened, block)
        return len(decoded), sum(map(len, decoded))

    def _decode(self, text: bytes) -> list[list[Instruction]]:
        started = time.perf_counter()
        decoded: list[list[Instruction]] = _decode_all(text)
        self._seconds["decode"] += time.perf_counter() - started
        return decoded

    def _decode_chunk(self, checked: _core.Checked) -> list[list[Instruction]]:
        """Every transaction's instructions; one that is not of the rulebook is rejected in `checked`."""
        try:
            return self._decode(checked.instructions())
        except msgspec.MsgspecError:
            pass
        decoded: list[list[Instruction]] = []
        for index in range(len(checked)):
            try:
                decoded.append(_decode_one(checked.instructions_of(index)))
            except msgspec.MsgspecError as error:
                decoded.append([])
                checked.reject(index, str(error), "docs/domain.md lists the instructions and their members")
        return decoded

    def execute_chunk(
        self, checking: _core.Checking, size: int, now_ms: Callable[[], int]
    ) -> tuple[int, list[Outcome]]:
        """Executes a chunk in one block or more; gives the last block's height, or `NO_BLOCK`, and the outcomes."""
        started = time.perf_counter()
        checked = checking.wait()
        self._seconds["waiting for check"] += time.perf_counter() - started
        decoded = self._decode_chunk(checked)
        outcomes: list[Outcome | None] = [None] * size
        position, height = 0, NO_BLOCK
        while position < size:
            opened = self.core.open_block(checked, position, now_ms())
            for index, (code, message, advice) in opened.rejected:
                outcomes[index] = Outcome(status="rejected", error=rejection(code, message, advice))
            for index, at, entry, id, codes in opened.repeated:
                outcomes[index] = Outcome(status="already", id=id, height=at, entry=entry, refused=tuple(codes))
            taken = opened.taken
            position = opened.next
            if not taken:
                continue
            ids = opened.ids
            block = _Block()
            try:
                count = self._execute(opened, [decoded[index] for index in taken], block, stop_early=True)
                if count < len(taken):
                    position = taken[count]
            except _RuleFailure as failure:
                count, position = failure.position, taken[failure.position] + 1
                outcomes[taken[count]] = Outcome(status="rejected", error=failure.rejected())
            if count:
                self._note(outcomes, opened, ids, block, count)
                height = opened.height
                self._seal(opened, block)
            self.records.trim()
        return height, [outcome for outcome in outcomes if outcome is not None]

    def _note(
        self, outcomes: list[Outcome | None], opened: _core.Opened, ids: list[str], block: _Block, count: int
    ) -> None:
        codes: dict[int, list[tuple[int, str]]] = {}
        for entry, instruction, code in block.refused:
            codes.setdefault(entry, []).append((instruction, code))
        for entry, index in enumerate(opened.taken[:count]):
            refused = codes.get(entry)
            outcomes[index] = Outcome(
                status="refused" if refused else "applied",
                id=ids[entry],
                height=opened.height,
                entry=entry,
                refused=tuple(refused) if refused else (),
                refusals=tuple(block.refusals.get(entry, ())),
                notes=block.notes.get(entry, ()),
            )

    def _execute(
        self, opened: _core.Opened, decoded: list[list[Instruction]], block: _Block, *, stop_early: bool
    ) -> int:
        """Runs the rules over an open block's transactions; gives how many of them are in the block.

        Raises:
            _RuleFailure: A rule failed unexpectedly; those before it are in `block`.
        """
        started = time.perf_counter()
        core, commit = self.core, self.records.commit
        book = Book(
            self.records, ledger=core.name, height=opened.height, time_ms=opened.time_ms, zone_minutes=self.zone_minutes
        )
        service, each = opened.service, opened.each
        signers: dict[tuple[str, ...], frozenset[str]] = {}
        try:
            for position, (by, instructions) in enumerate(zip(opened.by, decoded, strict=True)):
                signed = signers.get(by)
                if signed is None:
                    signed = signers[by] = frozenset(by)
                book.begin(signed, frozenset(service[position]) if position in service else NOBODY, by[0])
                try:
                    self._execute_transaction(book, instructions, each[position], position, block)
                except Exception as error:
                    block.refused = [row for row in block.refused if row[0] < position]
                    raise _RuleFailure(position, error) from error
                written = book.kept()
                block.counts.append(len(written))
                if book.notes:
                    block.notes[position] = tuple(book.notes)
                if not written:
                    continue
                commit(written)
                cut = False
                for (kind, id), record in written.items():
                    block.kinds.append(kind.kind)
                    block.ids.append(id)
                    block.records.append(record)
                    cut = cut or kind.kind in CUTS_BLOCK
                block.instructions.extend(book.touches().values())
                if cut and stop_early:
                    return position + 1
            return len(decoded)
        finally:
            self._seconds["rules"] += time.perf_counter() - started

    @staticmethod
    def _execute_transaction(
        book: Book, instructions: list[Instruction], each: bool, position: int, block: _Block
    ) -> None:
        rules = rulebook.RULES
        for index, instruction in enumerate(instructions):
            book.instruction = index
            try:
                rules[type(instruction)](instruction, book)
                book.keep()
            except Refused as refusal:
                refusal.instruction = index
                block.refused.append((position, index, refusal.code))
                block.refusals.setdefault(position, []).append(refusal)
                if not each:
                    book.restart()
                    return
                book.undo()

    def _seal(self, opened: _core.Opened, block: _Block) -> None:
        started = time.perf_counter()
        instructions, records = _encode(block.instructions), _encode(block.records)
        self._seconds["encode"] += time.perf_counter() - started
        self.core.seal(
            opened,
            counts=block.counts,
            refused=block.refused,
            kinds="\n".join(block.kinds),
            ids="\n".join(block.ids),
            instructions=instructions,
            records=records,
        )


class Stream:
    """Chunks on their way through a pipe: while one is executed, the next is checked and the one before it is sealed.

    Between two calls other transactions may pass through the pipe: what was checked is judged by the keys of its block
    when that is opened, and sealed in the order in which it was executed.

    Args:
        pipe: The pipe.
        now_ms: Called for the time of each block that is opened.
    """

    def __init__(self, pipe: Pipe, now_ms: Callable[[], int]) -> None:
        self._pipe = pipe
        self._now_ms = now_ms
        self._checking: tuple[_core.Checking, int] | None = None
        self._sealing: tuple[int, list[Outcome]] | None = None

    def push(self, chunk: list[bytes]) -> list[Outcome]:
        """Takes a chunk in; gives the outcomes of the second one before it, which are durable, or none at first.

        Raises:
            StorageError: A block could not be made durable; what was not answered is unknown.
        """
        return self._advance((self._pipe.core.check(chunk), len(chunk)))

    def finish(self) -> list[Outcome]:
        """The outcomes of what is still on its way, once it is durable.

        Raises:
            StorageError: As `push`.
        """
        return self._advance(None) + self._advance(None)

    def _advance(self, checking: tuple[_core.Checking, int] | None) -> list[Outcome]:
        try:
            executed = None if self._checking is None else self._pipe.execute_chunk(*self._checking, self._now_ms)
        except BaseException:
            self._pipe.records.forget()
            raise
        height, outcomes = self._sealing or (NO_BLOCK, [])
        if height != NO_BLOCK:
            self._pipe.core.wait_sealed(height)
        self._checking, self._sealing = checking, executed
        return outcomes


class _RuleFailure(Exception):
    """A rule failed in a way that is no refusal; its transaction is dropped and the failure reported."""

    def __init__(self, position: int, error: Exception) -> None:
        super().__init__(str(error))
        self.position = position
        self.error = error

    def rejected(self) -> Rejected:
        log.error("a rule failed; its transaction was dropped", exc_info=self.error)
        advice = "nothing was written; report it with the transaction"
        return rejection("internal_error", f"a rule failed: {type(self.error).__name__}: {self.error}", advice)


def chunked(texts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cuts a stream of transactions into chunks for `Pipe.run`."""
    chunk: list[bytes] = []
    size = 0
    for text in texts:
        chunk.append(text)
        size += len(text)
        if len(chunk) >= CHUNK_TRANSACTIONS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
