"""The pipe: check → execute → seal → index, one path for ingest, recovery and audit.

The core checks, seals and indexes on threads of its own; the rules run here, in one order. A transaction is answered
only when its block is durable. A rule that fails unexpectedly drops its transaction and nothing else.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

import msgspec

from finchain import _core
from finchain.domain.founding import LedgerRecord
from finchain.domain.rule import Book, Instruction, Record, Rule, located
from finchain.domain.rulebook import Rulebook, by_number
from finchain.errors import ConfigError, FinchainError, Refused, Rejected, StorageError, rejection
from finchain.named import named
from finchain.outcome import Change, Outcome

log = logging.getLogger("finchain")

CHUNK_TRANSACTIONS = 1_024
"""Transactions in one chunk at most: enough to hide a sync and to fill a signature batch, few enough to answer soon."""

CHUNK_BYTES = 1 << 20
"""Bytes after which a chunk is full, the size of a thousand transactions of one instruction: stages overlap only
between chunks, so a large one would be checked while nothing is executed. A transaction alone may have more."""

NO_BLOCK: Final = -1
"""In the place of a height, where nothing of a chunk came into a block."""

CACHE_RECORDS = 100_000
"""Records in one generation of the cache; two generations are kept, some 140 megabytes at most."""

AHEAD_RECORDS = 4_096
"""Records in one read ahead of the rules at most: what the chunks of most loads name, a few megabytes on their way, and
64 where each is as long as it may be."""

CUTS_BLOCK = frozenset({"party", "key", "ledger"})
"""Kinds whose change ends the block: who may sign, and by which rulebook, is judged by the block before, and the next
sender wants it new."""

END: Final = (None, None)
"""What follows the last chunk of a stream: one chunk is being sealed and one being checked when the next comes in."""

NOBODY: Final[frozenset[str]] = frozenset()

_encode = msgspec.json.Encoder(order="sorted").encode

_LEDGER: Final = (LedgerRecord, "ledger")

_UNKNOWN: Final[Any] = object()
"""In the place of a record, or of the absence of one, that the cache does not hold."""


class Records:
    """Records as rules read them: those of blocks that the index may not have, and a bounded cache of the others.

    There is a dictionary for each kind, because the garbage collector passes over one that has only texts for keys and
    records for values. Under pairs of kind and id it visited every one of them, again and again.
    """

    def __init__(self, core: _core.Ledger) -> None:
        self._core = core
        self._young: defaultdict[type[Record], dict[str, Record | None]] = defaultdict(dict)
        self._old: defaultdict[type[Record], dict[str, Record | None]] = defaultdict(dict)
        self._decoders: dict[type[Record], Callable[[bytes], Record]] = {}
        # Blocks that wrote what is in the older generation, all of them among the first so many.
        self._old_blocks = 0

    def find(self, kind: type[Record], id: str) -> Record | None:
        """The record as of the last executed transaction, or `None`."""
        young = self._young[kind]
        record: Record | None = young.get(id, _UNKNOWN)
        if record is _UNKNOWN:
            record = self._old[kind].get(id, _UNKNOWN)
            if record is _UNKNOWN:
                raw = self._core.record(kind.kind, id)
                record = None if raw is None else self._decode(kind, raw)
            young[id] = record
        return record

    def read_ahead(self, instructions: Iterable[Instruction]) -> None:
        """Reads what instructions name and the cache does not hold, all at once.

        A failure is nothing here: the rule that asks for such a record meets it, and others do without.
        """
        wanted = [
            (kind, id)
            for kind, ids in named(instructions).items()
            for id in ids.difference(self._young[kind]).difference(self._old[kind])
        ]
        for start in range(0, len(wanted), AHEAD_RECORDS):
            part = wanted[start : start + AHEAD_RECORDS]
            try:
                found = self._core.records([(kind.kind, id) for kind, id in part])
            except StorageError:
                return
            for (kind, id), raw in zip(part, found, strict=True):
                self._young[kind][id] = None if raw is None else self._decode(kind, raw)

    def _decode(self, kind: type[Record], raw: bytes) -> Record:
        decode = self._decoders.get(kind)
        if decode is None:
            decode = self._decoders[kind] = msgspec.json.Decoder(kind).decode
        return decode(raw)

    def commit(self, written: dict[tuple[type[Record], str], Record]) -> None:
        """Takes what a transaction wrote.

        What is written over was read before, and so compared with the state. A rule that writes without looking has it
        done here: the salt of the new record follows from that of the old one, which must be the right one.
        """
        for (kind, id), record in written.items():
            young = self._young[kind]
            if id not in young:
                self.find(kind, id)
            young[id] = record

    def forget(self) -> None:
        """Forgets everything, what was taken of a block that was never sealed included."""
        self._old, self._young = defaultdict(dict), defaultdict(dict)
        self._core.wait_indexed()

    def trim(self) -> None:
        """Forgets the older generation once the younger is full, after the index has all that it holds."""
        if sum(map(len, self._young.values())) >= CACHE_RECORDS:
            # What was written since, the blocks on their way among it, is in the younger one.
            self._core.wait_indexed(self._old_blocks)
            self._old, self._young, self._old_blocks = self._young, defaultdict(dict), self._core.height


class _Block:
    """What the rules made of an open block, in the columns that the core seals.

    Attributes:
        changes: What each instruction wrote, for a reader of the past; `None` where nobody asked.
        cut: Whether it ends here, because who may sign, or by which rulebook, is another from the next block on.
    """

    __slots__ = ("changes", "counts", "cut", "ids", "instructions", "kinds", "notes", "records", "refusals", "refused")

    def __init__(self, changes: list[Change] | None = None) -> None:
        self.changes = changes
        self.counts: list[int] = []
        self.cut = False
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
        rulebooks: Rulebooks beside the built-in one.
    """

    def __init__(self, core: _core.Ledger, zone_minutes: int, rulebooks: Iterable[Rulebook] = ()) -> None:
        self.core = core
        self._rulebooks = by_number(rulebooks)
        self.zone_minutes = zone_minutes
        self.records = Records(core)
        self._ahead: _core.CheckingBlock | None = None
        self._seconds = {"decode": 0.0, "rules": 0.0, "encode": 0.0, "waiting for check": 0.0}

    def stage_times(self) -> dict[str, float]:
        """Seconds that each stage has worked; stages overlap, so their sum exceeds the time that passed."""
        return {**dict(self.core.stage_seconds()), **self._seconds}

    @property
    def rulebooks(self) -> list[Rulebook]:
        """All rulebooks that are here, for a replay beside this pipe."""
        return list(self._rulebooks.values())

    def rulebook(self, number: int) -> Rulebook:
        """The rulebook of that number.

        Raises:
            ConfigError: The ledger was not opened with it.
        """
        return rulebook_of(self._rulebooks, number)

    def check_rulebook(self, record: LedgerRecord) -> None:
        """Refuses to go on with other rules than the ledger's.

        Raises:
            ConfigError: The rulebook in force is not here, or its rule files' digest differs.
        """
        here = self.rulebook(record.rulebook)
        if here.digest != record.rulebook_digest:
            raise ConfigError(
                f"rulebook {record.rulebook} of the ledger has the digest {record.rulebook_digest[:16]}…, "
                f"and the one that is here has {here.digest[:16]}…",
                advice="use the rule files that it was put in force with",
            )

    def run(self, texts: Iterable[bytes], now_ms: Callable[[], int]) -> list[Outcome]:
        """Takes transactions through the pipe; gives their outcomes, in order, once all are durable.

        Args:
            texts: Transactions as canonical JSON.
            now_ms: Called for the time of each block that is opened.

        Raises:
            StorageError: A block could not be made durable; what was not answered is unknown.
        """
        stream = Stream(self, now_ms)
        return [outcome for chunk in (*chunked(texts), *END) for outcome in stream.push(chunk)]

    def replay(self, height: int, *, until: int, verify_signatures: bool) -> tuple[int, int]:
        """Executes a stored block again and lets the core compare; gives its transactions and instructions.

        Args:
            height: The block.
            until: The first block that is not asked for after it: the next one below is checked meanwhile.
            verify_signatures: Whether every signature is verified again.

        Raises:
            TamperError: The block is not what its transactions and the rules make; some only at a later call.
        """
        decoded = self._replay(height, until, verify_signatures, _Block())
        return len(decoded), sum(map(len, decoded))

    def catch_up(self, height: int, until: int, progress: Callable[[int], None] | None = None) -> None:
        """Brings state and index up to block `until` without signatures.

        What was kept of a block's changes is taken where the block commits to it; other blocks are executed again.

        Args:
            height: The next block, which is the ledger's height.
            until: The first block that is left out.
            progress: Called with the blocks done.

        Raises:
            TamperError: As `replay`.
        """
        recalled = False
        while height < until:
            if taken := self.core.recall(until):
                height, recalled = height + taken, True
            else:
                if recalled:
                    self.records.forget()
                    recalled = False
                self.replay(height, until=until, verify_signatures=False)
                self.records.trim()
                height += 1
            if progress is not None:
                progress(height)
        # A block that was checked ahead may have been taken over instead.
        self._ahead = None
        self.records.forget()

    def changes(self, height: int, until: int) -> list[Change]:
        """Executes a stored block again, as `replay` does, and gives what each applied instruction wrote, in order."""
        found: list[Change] = []
        self._replay(height, until, False, _Block(found))
        return found

    def refusals(self, height: int) -> dict[tuple[int, int], Refused]:
        """Executes a stored block again, as `replay` does, and gives its refusals by entry and instruction."""
        block = _Block()
        self._replay(height, height + 1, False, block)
        return {
            (entry, refusal.instruction): refusal for entry, refusals in block.refusals.items() for refusal in refusals
        }

    def _replay(self, height: int, until: int, verify_signatures: bool, block: _Block) -> list[list[Instruction]]:
        ahead, self._ahead = self._ahead, None
        opened = self.core.open_stored(height, verify_signatures, ahead)
        if height + 1 < until:
            self._ahead = self.core.check_stored(height + 1, verify_signatures)
        try:
            decoded = self._decode(opened.instructions, opened.rulebook)
        except msgspec.MsgspecError as error:
            raise StorageError(
                f"block {height} holds an instruction that rulebook {opened.rulebook} does not know: {error}"
            ) from None
        try:
            count = self._execute(opened, decoded, block, stop_early=False)
        except _Dropped as dropped:
            raise FinchainError(f"block {height}, entry {dropped.position}: {dropped.rejected}") from dropped.__cause__
        if count != len(decoded):
            raise FinchainError(f"block {height}: entry {count} cannot be executed")
        self._seal(opened, block)
        return decoded

    def _decode(self, text: bytes, number: int) -> list[list[Instruction]]:
        started = time.perf_counter()
        decoded: list[list[Instruction]] = self.rulebook(number).decode_all(text)
        self._seconds["decode"] += time.perf_counter() - started
        return decoded

    def _decode_chunk(self, checked: _core.Checked, number: int) -> list[list[Instruction]]:
        """Every transaction's instructions; one that is not of the rulebook is rejected in `checked`."""
        try:
            return self._decode(checked.instructions(), number)
        except msgspec.MsgspecError:
            pass
        decoded: list[list[Instruction]] = []
        for index in range(len(checked)):
            try:
                decoded.append(self.rulebook(number).decode_one(checked.instructions_of(index)))
            except msgspec.MsgspecError as error:
                decoded.append([])
                checked.reject(index, str(error), "`finchain explain domain` lists the instructions")
        return decoded

    def execute_chunk(
        self, checking: _core.Checking, size: int, now_ms: Callable[[], int]
    ) -> tuple[int, list[Outcome]]:
        """Executes a chunk in one block or more; gives the last block's height, or `NO_BLOCK`, and the outcomes."""
        started = time.perf_counter()
        checked = checking.wait()
        self._seconds["waiting for check"] += time.perf_counter() - started
        number = self.core.rulebook
        decoded = self._decode_chunk(checked, number)
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
            if opened.rulebook != number:
                # Another rulebook came into force within this chunk.
                number = opened.rulebook
                decoded = [self._decode_late(checked.instructions_of(index), number) for index in range(size)]
            ids = opened.ids
            block = _Block()
            try:
                count = self._execute(opened, [decoded[index] for index in taken], block, stop_early=True)
                if block.cut:
                    # All that follows, rejected or not, was judged by what is no longer so.
                    position = taken[count - 1] + 1
            except _Dropped as dropped:
                count, position = dropped.position, taken[dropped.position] + 1
                outcomes[taken[count]] = Outcome(status="rejected", error=dropped.rejected)
            if block.refusals and opened.height == 0:
                # A ledger that a rule refuses to found has no block 0.
                raise block.refusals[0][0]
            if count:
                self._note(outcomes, opened, ids, block, count)
                height = opened.height
                self._seal(opened, block)
            self.records.trim()
        return height, [outcome for outcome in outcomes if outcome is not None]

    def _decode_late(self, text: bytes, number: int) -> list[Instruction]:
        """One transaction's instructions; none where they are not of the rulebook."""
        try:
            decoded: list[Instruction] = self.rulebook(number).decode_one(text)
        except msgspec.MsgspecError:
            return []
        return decoded

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
            _Dropped: A transaction cannot be executed; those before it are in `block`.
        """
        started = time.perf_counter()
        self.records.read_ahead(chain.from_iterable(decoded))
        core, commit = self.core, self.records.commit
        book = Book(
            self.records, ledger=core.name, height=opened.height, time_ms=opened.time_ms,
            zone_minutes=self.zone_minutes, rulebook=opened.rulebook,
        )  # fmt: skip
        rules = self.rulebook(opened.rulebook).rules
        service, each = opened.service, opened.each
        signers: dict[tuple[str, ...], frozenset[str]] = {}
        try:
            for position, (by, instructions) in enumerate(zip(opened.by, decoded, strict=True)):
                signed = signers.get(by)
                if signed is None:
                    signed = signers[by] = frozenset(by)
                book.begin(signed, frozenset(service[position]) if position in service else NOBODY, by[0])
                try:
                    self._execute_transaction(book, rules, instructions, each[position], position, block)
                    written = book.kept()
                    if stop_early and _LEDGER in written:
                        self._check_activation(book)
                except Exception as error:
                    block.refused = [row for row in block.refused if row[0] < position]
                    block.refusals.pop(position, None)
                    raise _Dropped(position, error) from error
                block.counts.append(len(written))
                if book.notes:
                    block.notes[position] = tuple(book.notes)
                if not written:
                    continue
                commit(written)
                for (kind, id), record in written.items():
                    block.kinds.append(kind.kind)
                    block.ids.append(id)
                    block.records.append(record)
                    block.cut = block.cut or kind.kind in CUTS_BLOCK
                block.instructions.extend(book.touches().values())
                if block.cut and stop_early:
                    return position + 1
            return len(decoded)
        finally:
            self._seconds["rules"] += time.perf_counter() - started

    def _check_activation(self, book: Book) -> None:
        """Drops what would put a rulebook in force that is not here: the ledger could not go on."""
        record = book.find(LedgerRecord, "ledger")
        assert record is not None
        try:
            self.check_rulebook(record)
        except ConfigError as error:
            raise rejection("wrong_rulebook", error.message, error.advice) from None

    def _execute_transaction(
        self,
        book: Book,
        rules: dict[type[Instruction], Rule],
        instructions: list[Instruction],
        each: bool,
        position: int,
        block: _Block,
    ) -> None:
        if not instructions:
            raise rejection("malformed", "an instruction is not of the rulebook that came into force", "build it again")
        for index, instruction in enumerate(instructions):
            book.instruction = index
            try:
                rules[type(instruction)](instruction, book)
                if block.changes is not None:
                    block.changes.append(self._change(book, position, instruction))
                book.keep()
            except Refused as refusal:
                located(refusal, instruction, index)
                block.refused.append((position, index, refusal.code))
                block.refusals.setdefault(position, []).append(refusal)
                if not each:
                    if block.changes is not None:
                        del block.changes[len(block.changes) - index :]
                    book.restart()
                    return
                book.undo()

    def _change(self, book: Book, entry: int, instruction: Instruction) -> Change:
        """What an instruction has written, just before it is kept, beside what was there."""
        kept, find = book.kept(), self.records.find
        records = tuple((kept.get(key) or find(*key), record) for key, record in book.written().items())
        return Change(book.height, entry, book.instruction, book.today, tuple(sorted(book.by)), instruction, records)

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
        self._unanswered: deque[list[bytes]] = deque()

    def push(self, chunk: list[bytes] | None) -> list[Outcome]:
        """Takes a chunk in, or moves on without one; gives the outcomes of the second one before it, or none at first.

        After the last chunk the two of `END` bring the outcomes of what is still on its way. What is given is durable.

        Raises:
            StorageError: A block could not be made durable; what was not answered is unknown.
        """
        checking = None
        if chunk is not None:
            self._unanswered.append(chunk)
            checking = (self._pipe.core.check(chunk), len(chunk))
        height, outcomes = self._sealing or (NO_BLOCK, [])
        try:
            executed = None if self._checking is None else self._pipe.execute_chunk(*self._checking, self._now_ms)
            if height != NO_BLOCK:
                self._pipe.core.wait_sealed(height)
        except BaseException:
            self._pipe.records.forget()
            raise
        if self._sealing is not None:
            self._unanswered.popleft()
        self._checking, self._sealing = checking, executed
        return outcomes

    def unanswered(self) -> list[bytes]:
        """The transactions that were taken in and whose outcomes were not given."""
        return [text for chunk in self._unanswered for text in chunk]


class _Dropped(Exception):
    """A transaction that cannot be executed and is in no block: a rule failed in a way that is no refusal, or more."""

    def __init__(self, position: int, error: Exception) -> None:
        super().__init__(str(error))
        self.position = position
        if isinstance(error, Rejected):
            self.rejected = error
            return
        log.error("a rule failed; its transaction was dropped", exc_info=error)
        message, advice = f"a rule failed: {type(error).__name__}: {error}", "nothing was written; report it"
        self.rejected = rejection("internal_error", message, advice)


def rulebook_of(rulebooks: Mapping[int, Rulebook], number: int) -> Rulebook:
    """The rulebook of that number.

    Raises:
        ConfigError: The ledger was not opened with it.
    """
    if number not in rulebooks:
        raise ConfigError(
            f"the ledger is under rulebook {number}, and was opened with {sorted(rulebooks)}",
            advice="give it to open() as one of rulebooks=[…], or use the version of finchain that has it",
        )
    return rulebooks[number]


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
