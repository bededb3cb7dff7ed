"""The ledger as an application uses it: create, open, register, submit, get, find, history, explain, prove.

One process writes. Every answer to a submission is durable. The handle is not pickled, is safe to use from several
threads, and refuses to work in a forked child.
"""

from __future__ import annotations

import base64
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from finchain import _core
from finchain.clock import Clock
from finchain.domain.founding import LedgerRecord
from finchain.domain.key import PartyKey, PublicKey, public_key_id
from finchain.domain.party import Party, RegisterParty, Role
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, business_date, located
from finchain.domain.totals import Totals, totals_of
from finchain.errors import ConfigError, ForkError, NotFound, Refused
from finchain.key_folder import KeyFolder
from finchain.keys import EnrolmentRequest, Holder, Key, enrolment_key
from finchain.outcome import Applied, Explanation, Outcome, RefusedRow, Step
from finchain.pipe import Pipe, Stream, chunked
from finchain.receipt import Receipt
from finchain.replay import SCAN_PAGE, all_records, blocks_until, replayed, replayed_records
from finchain.transaction import EXPIRY_MS, INSTRUCTIONS_MAX, Mode, Transaction

R = TypeVar("R", bound=Record)


class _Request:
    """A submission that waits for its turn."""

    __slots__ = ("done", "error", "outcomes", "texts")

    def __init__(self, texts: list[bytes]) -> None:
        self.texts = texts
        self.outcomes: list[Outcome] = []
        self.error: BaseException | None = None
        self.done = False


class Ledger:
    """An open ledger. Made by `create` and `open`; a context manager."""

    def __init__(
        self,
        path: Path,
        core: _core.Ledger,
        pipe: Pipe,
        record: LedgerRecord,
        clock: Clock,
        folder: KeyFolder,
        operator: Key | None,
        recovery: dict[str, Any],
    ) -> None:
        self.path = path
        self.clock = clock
        self.recovery = recovery
        self._core = core
        self._pipe = pipe
        self._record = record
        self._folder = folder
        self._operator = operator
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._queue: deque[_Request] = deque()
        self._key_ids: dict[bytes, str] = {}
        self._note: tuple[int, bytes] | None = None

    # ---- what it is

    @property
    def name(self) -> str:
        """Full name: origin, `#`, hash of block 0."""
        return self._core.name

    @property
    def verifier_key(self) -> str:
        """What others need to verify receipts of this ledger."""
        return self._ledger_record().checkpoint_keys[0]

    @property
    def height(self) -> int:
        """Number of blocks."""
        return self._core.height

    @property
    def rulebook(self) -> int:
        """Number of the rulebook that the next block is executed by."""
        return self._core.rulebook

    @property
    def today(self) -> date:
        """The date, in the ledger's zone, that the next block would have."""
        return business_date(self._now_ms(), self._record.time_zone_minutes)

    @property
    def hash_suite(self) -> str:
        """Name of the hash suite inside blocks."""
        return self._core.hash_suite

    @property
    def state_root(self) -> bytes:
        """Root of the state map, 32 bytes."""
        return self._core.state_root

    def stage_times(self) -> dict[str, float]:
        """Seconds that each stage of the pipe has worked since the ledger was opened; stages overlap."""
        return self._pipe.stage_times()

    # ---- parties

    def register(
        self,
        party_id: str,
        name: str,
        *,
        roles: Sequence[Role],
        key: Key | None = None,
        keys: Sequence[Holder] = (),
        threshold: int = 1,
        request: EnrolmentRequest | None = None,
        identifiers: dict[str, str] | Optional = Absent,
        registrar: Key | None = None,
    ) -> Outcome:
        """Registers a party, signed by the registrar.

        Args:
            party_id: 1 to 64 characters of `[A-Za-z0-9._:-]`.
            name: The legal name, at most 128 bytes of UTF-8.
            roles: What it may do.
            key: Its one key; or
            keys: its keys with their holders; or
            request: an enrolment request, made where the private keys are.
            threshold: How many holders must sign for it.
            identifiers: Official numbers, such as `{"lei": "…"}`.
            registrar: The registrar's key; the operator's where absent.

        Raises:
            Refused: A rule says no, for example because the party is registered.
            ConfigError: Not exactly one of `key`, `keys` and `request` is given, or the request is for another party
                or ledger.
        """
        if (key is not None) + bool(keys) + (request is not None) != 1:
            raise ConfigError("a party has a key, or keys with holders, or an enrolment request", advice="give one")
        if request is not None:
            if (request.ledger, request.id) != (self.name, party_id):
                raise ConfigError(
                    f"the request is for {request.id} on {request.ledger}, not for {party_id} on {self.name}"
                )
            enrolled, threshold = request.keys, request.threshold
        else:
            holders = [Holder(key, name)] if key is not None else list(keys)
            enrolled = [enrolment_key(self.name, f"{party_id}/{n}", holder) for n, holder in enumerate(holders, 1)]
        do = RegisterParty(party_id, name, sorted(roles), threshold, enrolled, identifiers)
        return self.submit(do, by=registrar or self._operator_key())

    # ---- submitting

    def submit(
        self,
        what: Instruction | Sequence[Instruction] | Transaction,
        *,
        by: Key | Sequence[Key] = (),
        lane: str = "main",
    ) -> Outcome:
        """Submits one instruction, or several that hold together or not at all, or a signed transaction.

        Args:
            what: The instructions, or a transaction that is signed already.
            by: The keys that sign; the party of the first is the sender.
            lane: The sender's series. Two processes of one party use two lanes.

        Returns:
            The outcome, durable: `applied`, or `already` where the same was applied before.

        Raises:
            Refused: A rule said no; the attempt is kept, and nothing moved.
            Rejected: It never entered a block.
        """
        if isinstance(what, Transaction):
            outcome = self._submit_texts([what.to_bytes()])[0]
        else:
            instructions = [what] if isinstance(what, Instruction) else list(what)
            outcome = self._sign_and_submit(instructions, by, lane, "all")
        if outcome.error is not None:
            raise outcome.error
        if outcome.refused:
            raise outcome.refusals[0] if outcome.refusals else _refused_before(outcome)
        return outcome

    def submit_each(
        self, instructions: Sequence[Instruction], *, by: Key | Sequence[Key], lane: str = "main"
    ) -> list[Applied | RefusedRow]:
        """Submits instructions that stand alone under one signature; gives one result for each, in order.

        Raises:
            Rejected: The transaction never entered a block; nothing of it was kept.
        """
        outcome = self._sign_and_submit(list(instructions), by, lane, "each")
        if outcome.error is not None:
            raise outcome.error
        codes = dict(outcome.refused)
        reasons = {refusal.instruction: refusal for refusal in outcome.refusals}
        rows: list[Applied | RefusedRow] = []
        for index, instruction in enumerate(instructions):
            if index in codes:
                refusal = reasons.get(index)
                rows.append(RefusedRow(instruction, codes[index], refusal, outcome.height, outcome.entry, index))
            else:
                rows.append(Applied(instruction, outcome.height, outcome.entry, index))
        return rows

    def submit_all(self, transactions: Iterable[Transaction | bytes]) -> Iterator[Outcome]:
        """Submits a stream of signed transactions; gives one outcome for each, in order, once it is durable.

        Nothing is raised for a single transaction: its outcome says what became of it. Memory does not grow with the
        stream.
        """
        self._check_process()
        stream = Stream(self._pipe, self._now_ms)
        # The lock is let go between chunks, so that other threads have their turn and the caller's code runs without.
        for chunk in chunked(t.to_bytes() if isinstance(t, Transaction) else t for t in transactions):
            with self._lock:
                outcomes = stream.push(chunk)
            yield from outcomes
            self._check_process()
        with self._lock:
            outcomes = stream.finish()
        yield from outcomes

    def prepare(
        self,
        instructions: Instruction | Sequence[Instruction],
        *,
        by: Sequence[str],
        lane: str | None = None,
        mode: Mode = "all",
        expires_ms: int | None = None,
    ) -> Transaction:
        """Builds a transaction that parties sign one after the other, on machines of their own.

        Args:
            instructions: What is ordered.
            by: The parties that must sign; the first is the sender.
            lane: The sender's series; a lane of its own where absent, because such an act may wait.
            mode: `all` or `each`.
            expires_ms: Unix time in ms after which it is void; a week from now where absent.

        Raises:
            NotFound: A party is not registered.
            Rejected: A limit is broken.
        """
        several = [instructions] if isinstance(instructions, Instruction) else list(instructions)
        key_ids: dict[bytes, str] = {}
        for party_id in by:
            party = self.get(Party, party_id)
            for number in party.live:
                key = self.get(PartyKey, f"{party_id}/{number}")
                key_ids[base64.b64decode(key.public_key)] = key.id
        lane_name = lane or f"act/{secrets.token_hex(8)}"
        with self._lock:
            sequence = self._core.lane_sequence(f"{by[0]} {lane_name}") + 1
        return self._build(several, by, lane_name, sequence, mode, key_ids, expires_ms)

    def _build(
        self,
        instructions: Sequence[Instruction],
        by: Sequence[str],
        lane: str,
        sequence: int,
        mode: Mode,
        key_ids: dict[bytes, str],
        expires_ms: int | None = None,
    ) -> Transaction:
        return Transaction.build(
            instructions, by=by, ledger=self.name, lane=lane, sequence=sequence, mode=mode,
            expires_ms=expires_ms or self._now_ms() + EXPIRY_MS, hash_suite=self.hash_suite, key_ids=key_ids,
            rulebook=self.rulebook,
        )  # fmt: skip

    def _sign_and_submit(
        self, instructions: list[Instruction], by: Key | Sequence[Key], lane: str, mode: Mode
    ) -> Outcome:
        self._check_process()
        keys = [by] if isinstance(by, Key) else list(by)
        if not keys:
            raise ConfigError("nobody signs", advice="give the keys that sign as by=")
        key_ids = {key.public_key: self._key_id(key) for key in keys}
        parties = list(dict.fromkeys(key_ids[key.public_key].rpartition("/")[0] for key in keys))
        with self._lock:
            sequence = self._core.lane_sequence(f"{parties[0]} {lane}") + 1
            transaction = self._build(instructions, parties, lane, sequence, mode, key_ids)
            for key in keys:
                transaction.sign(key)
            outcomes = self._pipe.run([transaction.to_bytes()], self._now_ms)
        return outcomes[0]

    def _submit_texts(self, texts: list[bytes]) -> list[Outcome]:
        """Whoever holds the lock takes along what others have queued meanwhile: one sync for all."""
        self._check_process()
        request = _Request(texts)
        self._queue.append(request)
        with self._lock:
            if not request.done:
                self._run_queue()
        if request.error is not None:
            raise request.error
        return request.outcomes

    def _run_queue(self) -> None:
        requests = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            texts = (text for request in requests for text in request.texts)
            outcomes = iter(self._pipe.run(texts, self._now_ms))
            for request in requests:
                request.outcomes = [next(outcomes) for _ in request.texts]
        except BaseException as error:
            for request in requests:
                request.error = error
        finally:
            for request in requests:
                request.done = True

    def explain(self, what: Instruction | Sequence[Instruction], *, by: Key | str | Sequence[Key | str]) -> Explanation:
        """Runs the rules for instructions that hold together, and writes nothing.

        Args:
            what: The instructions.
            by: The parties that would sign, or their keys.
        """
        self._check_process()
        signers = [by] if isinstance(by, Key | str) else list(by)
        parties = [each if isinstance(each, str) else self._key_id(each).rpartition("/")[0] for each in signers]
        instructions = [what] if isinstance(what, Instruction) else list(what)
        with self._lock:
            records = self._pipe.records
            book = Book(
                records, ledger=self.name, height=self.height, time_ms=self._now_ms(),
                zone_minutes=self._record.time_zone_minutes, rulebook=self.rulebook,
            )  # fmt: skip
            rules = self._pipe.rulebook(self.rulebook).rules
            book.begin(frozenset(parties), frozenset(), parties[0])
            for index, instruction in enumerate(instructions):
                book.instruction = index
                try:
                    rules[type(instruction)](instruction, book)
                except Refused as refusal:
                    return Explanation(located(refusal, instruction, index), (), tuple(book.notes))
                book.keep()
            changes = tuple((records.find(kind, id), record) for (kind, id), record in book.kept().items())
            return Explanation(None, changes, tuple(book.notes))

    # ---- reading

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
        self._check_process()
        with self._lock:
            found = self._pipe.records.find(kind, id)
            self._pipe.records.trim()
        return found  # type: ignore[return-value]  # found under its type

    def find(self, kind: type[R], where: Callable[[R], bool] | None = None) -> Iterator[R]:
        """Every record of a kind, in the order of birth, or those for which `where` is true."""
        self._check_process()
        decode = msgspec.json.Decoder(kind).decode
        start: int | None = 0
        while start is not None:
            with self._lock:
                page, start = self._core.scan(kind.kind, start, SCAN_PAGE)
            for _, text in page:
                record = decode(text)
                if where is None or where(record):
                    yield record

    def find_all(self) -> Iterator[Record]:
        """Every record that the rulebook in force knows, in the order of birth."""
        self._check_process()
        kinds = self._pipe.rulebook(self.rulebook).records
        start: int | None = 0
        while start is not None:
            with self._lock:
                page, start = self._core.scan(None, start, SCAN_PAGE)
            for kind, text in page:
                cls = kinds.get(kind)
                if cls is not None:
                    yield msgspec.json.decode(text, type=cls)

    def totals(self, as_of: date | None = None) -> Totals:
        """The conservation statement: claims, certificates, loans, guarantees, accounts and cash, which balance.

        Args:
            as_of: A day of the ledger, for the statement at its end, by a replay of the blocks until then; where
                absent, the statement of now, from the state.

        Raises:
            NotFound: The ledger was founded after that day, or the day has not come.
        """
        self._check_process()
        with self._lock:
            self._core.wait_indexed()
            if as_of is None:
                records = all_records(self._core, self._pipe.rulebook(self.rulebook).records)
                return totals_of(records, today=self.today, height=self.height)
            height = blocks_until(self._core, as_of, self._record.time_zone_minutes)
        if not height or as_of > self.today:
            raise NotFound(f"the ledger has no {as_of}", advice=f"name a day from its founding to {self.today}")
        records = replayed_records(self.path, until=height, rulebooks=self._pipe.rulebooks)
        return totals_of(records, today=as_of, height=height)

    def history(self, kind: type[Record], id: str, *, limit: int = 1_000) -> list[Step]:
        """The instructions that wrote a record, oldest first; the newest `limit` of them.

        Raises:
            NotFound: There is no such record.
        """
        self.get(kind, id)
        with self._lock:
            steps = [self._step(*touch) for touch in self._core.history(kind.kind, id, limit)]
        return steps[::-1]

    def _step(self, height: int, entry: int, indices: list[int]) -> Step:
        entered = self._core.entered(height, entry)
        header = msgspec.json.decode(entered["header"])
        instructions = self._pipe.rulebook(header["rulebook"]).decode_one(entered["instructions"])
        by = tuple(header["by"])
        written = tuple(instructions[index] for index in indices)
        return Step(height, entry, entered["time_ms"], entered["id"], written, tuple(indices), by)

    # ---- proving

    def checkpoint(self) -> bytes:
        """A checkpoint over all blocks, signed by the ledger's checkpoint key (C2SP tlog-checkpoint).

        Raises:
            KeyFileError: The checkpoint key is not in the key folder.
            TamperError: The key has signed another history; nothing is signed.
        """
        self._check_process()
        with self._lock:
            return self._checkpoint()

    def _checkpoint(self) -> bytes:
        height = self._core.height
        if self._note is None or self._note[0] != height:
            key = self._folder.checkpoint_key()
            self._note = (height, self._core.sign_checkpoint(key.secret(), self._folder.mark_path))
        return self._note[1]

    def prove(self, kind: type[Record], id: str) -> Receipt:
        """A receipt that a record is what it is after the last block.

        Raises:
            NotFound: There is no such record.
        """
        self._check_process()
        with self._lock:
            return Receipt(self._core.prove_record(kind.kind, id, self._checkpoint()))

    def prove_absent(self, kind: type[Record], id: str) -> Receipt:
        """A receipt that there is no such record after the last block.

        Raises:
            NotFound: There is one.
        """
        self._check_process()
        with self._lock:
            return Receipt(self._core.prove_absence(kind.kind, id, self._checkpoint()))

    def prove_instruction(self, outcome: Outcome | Step, index: int = 0, *, signers: bool = False) -> Receipt:
        """A receipt for one instruction and what became of it.

        Args:
            outcome: Where it is, as `submit` or `history` gave it.
            index: Its place in the transaction.
            signers: Shows the signers' keys as they were, too; that replays the ledger up to the block before.

        Raises:
            NotFound: There is no such instruction.
        """
        self._check_process()
        if outcome.height < 0 or not 0 <= index < INSTRUCTIONS_MAX:
            raise NotFound(
                f"block {outcome.height} has no instruction {index}", advice="a rejected transaction is in no block"
            )
        with self._lock:
            self._core.wait_indexed()
            self._core.entered(outcome.height, outcome.entry)
            note = self._checkpoint()
            if not signers or outcome.height == 0:
                return Receipt(self._core.prove_instruction(outcome.height, outcome.entry, index, note))
            with replayed(self.path, until=outcome.height, rulebooks=self._pipe.rulebooks) as before:
                return Receipt(self._core.prove_instruction(outcome.height, outcome.entry, index, note, before))

    def prove_change(self, at: Outcome | Step, kind: type[Record], id: str) -> Receipt:
        """A receipt that a record was this after a transaction, whatever it is now.

        That replays the ledger up to the transaction's block, because only the newest state of a record is kept.

        Args:
            at: The transaction, as `submit` or `history` gave it.
            kind: Type of the record.
            id: Its id.

        Raises:
            NotFound: There is no such transaction, or it did not write that record.
        """
        self._check_process()
        with self._lock:
            note = self._checkpoint()
            self._core.wait_indexed()
            with replayed(self.path, until=at.height + 1, keep_last=True, rulebooks=self._pipe.rulebooks) as replay:
                return Receipt(self._core.prove_change(at.height, at.entry, kind.kind, id, replay, note))

    # ---- inside

    def _now_ms(self) -> int:
        """The time that a block would have now: a block's time never falls, whatever the clock does."""
        return max(self.clock.now_ms(), self._core.time_ms)

    def _ledger_record(self) -> LedgerRecord:
        return self.get(LedgerRecord, "ledger")

    def _operator_key(self) -> Key:
        if self._operator is None:
            self._operator = self._folder.operator_key()
        return self._operator

    def _key_id(self, key: Key) -> str:
        known = self._key_ids.get(key.public_key)
        if known is None:
            record = self.look(PublicKey, public_key_id(base64.b64encode(key.public_key).decode()))
            if record is None:
                raise NotFound(f"the key {key.public_key.hex()} is not enrolled", advice="register its party first")
            known = self._key_ids[key.public_key] = record.key
        return known

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ForkError("this ledger was opened by the parent process", advice="open it here, or use spawn")

    def close(self) -> None:
        """Finishes what is on its way and lets go of the lock. Closing twice does nothing.

        Raises:
            StorageError: Something could not be made durable.
        """
        if os.getpid() == self._pid:
            with self._lock:
                self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> str:
        raise TypeError("an open ledger is not pickled; pass its path")

    def __repr__(self) -> str:
        return f"Ledger({self.name.partition('#')[0]}, {self.height} blocks, {os.fspath(self.path)!r})"


def _refused_before(outcome: Outcome) -> Refused:
    index, code = outcome.refused[0]
    refusal = Refused(code, f"refused before, in block {outcome.height}", advice="explain() says why it would be now")
    refusal.instruction = index
    return refusal
