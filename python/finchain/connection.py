"""A ledger that another process has open, reached through its socket: the same questions, answers and errors.

Facts of an error travel as JSON, so that a date in them comes as text. A submission whose answer is lost is `Unknown`
and has a ticket; whatever else was asked is asked once more where the connection had been idle, because asking twice
does nothing.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import msgspec

from finchain import wire
from finchain.clock import Clock, Kind, RealClock
from finchain.domain.founding import LedgerRecord
from finchain.domain.rule import Instruction, Record
from finchain.domain.rulebook import RULEBOOK_1, Rulebook
from finchain.domain.totals import Totals
from finchain.errors import Busy, FinchainError, LaneConflict, LimitExceeded, NotFound, Unreachable
from finchain.key_folder import KeyFolder
from finchain.keys import Key
from finchain.outcome import Explanation, Outcome, Step, Ticket
from finchain.receipt import Receipt
from finchain.serving import socket_address
from finchain.submitting import Send, Submitting, unknown_outcomes
from finchain.transaction import Transaction

TIMEOUT_SECONDS: Final = 60.0
"""How long an answer may take unless the caller says otherwise: a receipt with signers replays the whole ledger."""


KNOCK_SECONDS: Final = 0.01
"""Between two attempts to connect where too many callers wait: some are accepted in that time."""

LANES_BY_CHANCE: Final = 256
"""Lanes among which a connection chooses for what names none: several times the connections that a server has at once,
and few beside the lanes that a party may have."""

LANE_TRIES: Final = 64
"""How often a number that somebody else took is given up for another lane: each time somebody got on."""

_PAGE: Final[Any] = tuple[list[tuple[str, msgspec.Raw]], int | None]


class _Line:
    """Sockets to one server: an idle one is used again, and as many are open as threads ask at once."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds
        self._idle: list[socket.socket] = []
        self._closed = threading.Event()

    def ask(self, question: wire.Ask, type: Any) -> Any:
        """The answer, typed.

        Raises:
            Unreachable: Nobody answers. `sent` says whether the question may have been taken in.
        """
        if self._closed.is_set():
            raise Unreachable("this connection is closed", advice="connect again")
        framed = wire.frame(wire.encode(question))
        sent = False
        while True:
            try:
                peer, fresh = self._idle.pop(), False
            except IndexError:
                peer, fresh = self._open(sent), True
            try:
                peer.settimeout(self._timeout_seconds)
                sent = True
                # What a server said before it hung up is worth more than that it did.
                with suppress(BrokenPipeError):
                    peer.sendall(framed)
                text = wire.receive(peer, first_seconds=self._timeout_seconds, seconds=self._timeout_seconds)
                if text is None:
                    raise ConnectionResetError("it closed the connection")
                break
            except (OSError, FinchainError) as error:
                peer.close()
                # One that had been idle may have been hung up on meanwhile: that says nothing of the server.
                if fresh or isinstance(error, TimeoutError):
                    raise _unreachable(f"{self._path} does not answer: {error}", sent) from error
            except BaseException:
                peer.close()
                raise
        self._idle.append(peer)
        if self._closed.is_set():
            self.close()
        return self._content(text, type)

    def _content(self, text: bytes, type: Any) -> Any:
        try:
            answer = wire.decode(text, wire.Answer)
            if answer.error is None and answer.answer is not msgspec.UNSET:
                return wire.decode(answer.answer, type)
        except msgspec.MsgspecError as error:
            raise _unreachable(f"{self._path} gives no answer that this version reads: {error}", True) from None
        if answer.error is None:
            raise _unreachable(f"{self._path} gives an empty answer", True)
        raise answer.error

    def _open(self, sent: bool) -> socket.socket:
        address = socket_address(self._path)
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.settimeout(self._timeout_seconds)
            self._knock(peer, address)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            peer.close()
            raise _unreachable(f"no process serves {self._path}", sent) from error
        except OSError as error:
            peer.close()
            raise _unreachable(f"{address} cannot be reached: {error}", sent) from error
        return peer

    def _knock(self, peer: socket.socket, address: str) -> None:
        until = monotonic() + self._timeout_seconds
        while True:
            try:
                return peer.connect(address)
            except BlockingIOError:
                # More callers wait at the door than the system keeps there.
                if monotonic() > until:
                    raise
                sleep(KNOCK_SECONDS)

    def close(self) -> None:
        """Closes what is idle; what is in use is closed when its answer has come."""
        self._closed.set()
        while self._idle:
            self._idle.pop().close()


def _unreachable(message: str, sent: bool) -> Unreachable:
    return Unreachable(message, facts={"sent": sent})


class _Remote:
    """The other end of a line, in the shape of a source."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def facts(self) -> wire.LedgerFacts:
        """What the ledger is now."""
        facts: wire.LedgerFacts = self._line.ask(wire.AskLedger(), wire.LedgerFacts)
        return facts

    @property
    def name(self) -> str:
        """As `Source.name`; so are the others."""
        return self.facts().name

    @property
    def hash_suite(self) -> str:
        """Of everything inside blocks."""
        return self.facts().hash_suite

    @property
    def height(self) -> int:
        """Number of blocks."""
        return self.facts().height

    @property
    def time_ms(self) -> int:
        """Of the last block."""
        return self.facts().time_ms

    @property
    def state_root(self) -> bytes:
        """After the last block."""
        return self.facts().state_root

    def record(self, kind: str, id: str) -> bytes | None:
        """A record as JSON, or `None`."""
        found = self._line.ask(wire.AskRecord(kind, id), msgspec.Raw)
        return None if bytes(found) == b"null" else bytes(found)

    def scan(self, kind: str | None, start: int, limit: int) -> tuple[list[tuple[str, bytes]], int | None]:
        """A page of records; the server says how many at most."""
        page, following = self._line.ask(
            wire.AskScan(kind or "", start), tuple[list[tuple[str, msgspec.Raw]], int | None]
        )
        return [(name, bytes(text)) for name, text in page], following

    def history(self, kind: str, id: str, limit: int) -> list[tuple[int, int, list[int]]]:
        """Places that touched a record, newest first."""
        touches: list[tuple[int, int, list[int]]] = self._line.ask(
            wire.AskHistory(kind, id, limit), list[tuple[int, int, list[int]]]
        )
        return touches

    def entered(self, height: int, entry: int) -> dict[str, Any]:
        """A transaction as a block holds it."""
        found: wire.Entered = self._line.ask(wire.AskEntered(height, entry), wire.Entered)
        texts = {name: bytes(getattr(found, name)) for name in ("header", "instructions", "signatures")}
        return {"id": found.id, "time_ms": found.time_ms, "refused": found.refused, **texts}

    def lane_sequence(self, lane_id: str) -> int:
        """Last sequence of a lane."""
        return int(self._line.ask(wire.AskLane(lane_id), int))

    def lane_place(self, lane_id: str, sequence: int) -> tuple[int, int] | None:
        """Place of a lane's sequence."""
        place: tuple[int, int] | None = self._line.ask(wire.AskPlace(lane_id, sequence), tuple[int, int] | None)
        return place


class _ServedClock:
    """The simulated clock of the process that serves; only that process moves it."""

    kind: Kind = "simulated"

    def __init__(self, remote: _Remote) -> None:
        self._remote = remote

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return self._remote.facts().now_ms


class _OwnLane:
    """A lane that a connection uses while nobody else does.

    Attributes:
        following: The number that comes next in it; 0 where that has to be asked.
    """

    __slots__ = ("following", "name")

    def __init__(self) -> None:
        self.name = f"any/{secrets.randbelow(LANES_BY_CHANCE)}"
        self.following = 0


class Connection(Submitting):
    """A ledger that another process serves. Made by `connect`; a context manager, safe to use from several threads."""

    def __init__(
        self,
        path: Path,
        line: _Line,
        remote: _Remote,
        facts: wire.LedgerFacts,
        record: LedgerRecord,
        rulebooks: Iterable[Rulebook],
        folder: KeyFolder,
        operator: Key | None,
    ) -> None:
        clock: Clock = RealClock() if record.clock == "real" else _ServedClock(remote)
        super().__init__(path, record, clock, rulebooks, folder, operator)
        self._line = line
        self._remote = remote
        self._name = facts.name
        self._hash_suite = facts.hash_suite
        self._signing = threading.Lock()
        self._own_lanes: defaultdict[str, list[_OwnLane]] = defaultdict(list)

    @property
    def name(self) -> str:
        """Full name: origin, `#`, hash of block 0."""
        return self._name

    @property
    def hash_suite(self) -> str:
        """Name of the hash suite inside blocks."""
        return self._hash_suite

    # ---- submitting

    def submit_all(self, transactions: Iterable[Transaction | bytes]) -> Iterator[Outcome]:
        """Submits a stream of signed transactions; gives one outcome for each, in order, once it is durable.

        Nothing is raised for a single transaction: its outcome says what became of it. Where the server is busy, this
        waits, for as long as an answer may take.

        Raises:
            Unreachable: The connection broke. Everything that was sent has had its outcome, `unknown` where need be.
        """
        self._check_process()
        for texts in _parcels(t.to_bytes() if isinstance(t, Transaction) else t for t in transactions):
            outcomes = self._send_patiently(texts)
            yield from outcomes
            if outcomes and outcomes[-1].ticket is not None:
                raise Unreachable(f"{self.path} does not answer any more")

    def _send_patiently(self, texts: list[bytes]) -> list[Outcome]:
        until = monotonic() + self._line._timeout_seconds
        while True:
            try:
                return self._send(texts)
            except Busy as busy:
                if monotonic() > until:
                    raise
                sleep(busy.retry_after_ms / 1_000)

    @contextmanager
    def _in_turn(self) -> Iterator[tuple[Callable[[str], int], Send]]:
        self._check_process()
        with self._signing:
            yield self._remote.lane_sequence, self._send

    def _submit_anywhere(self, sender: str, signed: Callable[[str, int], Transaction]) -> Outcome:
        """As in `Submitting`: in a lane that is this thread's meanwhile, and by chance nobody else's.

        Where somebody else took the number, this one is certainly in no block, and goes into another lane.
        """
        idle = self._own_lanes[sender]
        for _ in range(LANE_TRIES):
            try:
                lane = idle.pop()
            except IndexError:
                lane = _OwnLane()
            number = lane.following or self._remote.lane_sequence(f"{sender} {lane.name}") + 1
            transaction = signed(lane.name, number)
            outcome = self._send([transaction.to_bytes()])[0]
            # Somebody else's may have the same content, and would pass for this one.
            if isinstance(outcome.error, LaneConflict) or (
                outcome.status == "already" and outcome.id != transaction.id
            ):
                continue
            lane.following = number + 1 if outcome.height >= 0 else 0
            idle.append(lane)
            return outcome
        message = f"{LANE_TRIES} numbers in lanes of {sender} were taken by others; nothing was sent that is in a block"
        return Outcome(status="rejected", error=LaneConflict(message, advice="submit again"))

    def _send(self, texts: list[bytes]) -> list[Outcome]:
        self._check_process()
        try:
            outcomes: list[Outcome] = self._line.ask(wire.AskSubmit(texts), list[Outcome])
        except Unreachable as error:
            if not error.facts["sent"]:
                raise
            return unknown_outcomes(texts, self._hash_suite, error.message)
        return outcomes

    def explain(self, what: Instruction | Sequence[Instruction], *, by: Key | str | Sequence[Key | str]) -> Explanation:
        """As `Ledger.explain`: what instructions that hold together would do. Nothing is written."""
        self._check_process()
        signers = [by] if isinstance(by, Key | str) else list(by)
        parties = [each if isinstance(each, str) else self._key_id(each).rpartition("/")[0] for each in signers]
        instructions = [what] if isinstance(what, Instruction) else list(what)
        told: wire.Explained = self._line.ask(
            wire.AskExplain(parties, msgspec.Raw(wire.encode(instructions))), wire.Explained
        )
        kinds = self._rulebook().records
        changes = tuple(
            (None if before is None or bytes(before) == b"null" else wire.decode(before, kinds[kind]),
             wire.decode(after, kinds[kind]))
            for kind, before, after in told.changes
        )  # fmt: skip
        return Explanation(told.refusal, changes, tuple(told.notes))

    # ---- asking

    @contextmanager
    def _asking(self) -> Iterator[_Remote]:
        self._check_process()
        yield self._remote

    def resolve(self, ticket: Ticket) -> Outcome:
        """As `Reading.resolve`, answered by the process that writes."""
        self._check_process()
        outcome: Outcome = self._line.ask(wire.AskResolve(ticket), Outcome)
        return outcome

    def totals(self, as_of: date | None = None) -> Totals:
        """As `Reading.totals`; a day's end is replayed here, so that the process that writes goes on undisturbed."""
        if as_of is not None:
            return super().totals(as_of)
        self._check_process()
        totals: Totals = self._line.ask(wire.AskTotals(), Totals)
        return totals

    # ---- proving

    def checkpoint(self) -> bytes:
        """As `Ledger.checkpoint`."""
        return self._bytes(wire.AskCheckpoint())

    def prove(self, kind: type[Record], id: str) -> Receipt:
        """As `Ledger.prove`."""
        return Receipt(self._bytes(wire.AskProve(kind.kind, id)))

    def prove_absent(self, kind: type[Record], id: str) -> Receipt:
        """As `Ledger.prove_absent`."""
        return Receipt(self._bytes(wire.AskProveAbsent(kind.kind, id)))

    def prove_instruction(self, outcome: Outcome | Step, index: int = 0, *, signers: bool = False) -> Receipt:
        """As `Ledger.prove_instruction`."""
        return Receipt(self._bytes(wire.AskProveInstruction(outcome.height, outcome.entry, index, signers)))

    def prove_change(self, at: Outcome | Step, kind: type[Record], id: str) -> Receipt:
        """As `Ledger.prove_change`."""
        return Receipt(self._bytes(wire.AskProveChange(at.height, at.entry, kind.kind, id)))

    def _bytes(self, question: wire.Ask) -> bytes:
        self._check_process()
        found: bytes = self._line.ask(question, bytes)
        return found

    def close(self) -> None:
        """Closes the connection. Closing twice does nothing."""
        if os.getpid() == self._pid:
            self._line.close()


def connect(
    path: str | os.PathLike[str],
    *,
    operator: Key | None = None,
    keys: str | os.PathLike[str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    rulebooks: Sequence[Rulebook] = (),
) -> Connection:
    """Reaches a ledger that another process of this user serves.

    Args:
        path: The ledger's folder.
        operator: The operator's key; from the key folder where absent, once it is needed.
        keys: The key folder of all ledgers.
        timeout_seconds: How long an answer may take, > 0.
        rulebooks: Those that the ledger was or will be under, beside the built-in one.

    Raises:
        NotFound: There is no ledger in this folder.
        Unreachable: No process serves it.
        ConfigError: The path is longer than a socket's may be, or the server is another user's.
    """
    target = Path(path)
    folder = KeyFolder.of(keys, target)
    line = _Line(target, timeout_seconds)
    try:
        remote = _Remote(line)
        facts = remote.facts()
        text = remote.record(LedgerRecord.kind, "ledger")
        if text is None:
            raise NotFound(f"the ledger that is served at {target} has no record of itself")
        record = msgspec.json.decode(text, type=LedgerRecord)
        return Connection(target, line, remote, facts, record, [RULEBOOK_1, *rulebooks], folder, operator)
    except BaseException:
        line.close()
        raise


def _parcels(texts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Transactions in parcels that one question has room for.

    Raises:
        LimitExceeded: One alone is larger than that.
    """
    parcel: list[bytes] = []
    size = 0
    for text in texts:
        if len(text) > wire.SUBMIT_BYTES_MAX:
            raise LimitExceeded(f"a transaction of {len(text)} bytes", advice="at most 4 MiB")
        if len(parcel) == wire.SUBMIT_TRANSACTIONS_MAX or size + len(text) > wire.SUBMIT_BYTES_MAX:
            yield parcel
            parcel, size = [], 0
        parcel.append(text)
        size += len(text)
    if parcel:
        yield parcel
