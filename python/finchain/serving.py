"""Serving a ledger, or what follows one, to other processes of the same user, through a socket in its folder.

One thread a connection, few connections, a bounded number of transactions waiting: what is beyond is refused before any
work is done. A peer that is slow, silent, hostile or gone costs one place among the connections until a newer one wants
it, and nothing else.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import msgspec

from finchain import _core, wire
from finchain.domain.rule import Instruction, Record
from finchain.domain.rulebook import Rulebook
from finchain.domain.totals import Totals
from finchain.errors import Busy, ConfigError, FinchainError, LimitExceeded, Malformed, NotFound
from finchain.forking import abandon_in_children
from finchain.outcome import Explanation, Outcome, Step, Ticket
from finchain.receipt import Receipt
from finchain.source import Source

log = logging.getLogger("finchain")

CONNECTIONS_MAX: Final = 64
"""Connections at once, each with a thread: more than the processes that share one machine's ledger."""

BACKLOG: Final = 1_024
"""Connections that the system keeps until they are accepted; beyond, callers are told to come again."""

WAITING_TRANSACTIONS_MAX: Final = 16_384
"""Transactions that wait at once, as many as a block has room for: a fraction of a second's work."""

WAITING_BYTES_MAX: Final = 64 << 20
"""Bytes of the transactions that wait at once: what bounds their memory."""

RETRY_TRANSACTIONS_PER_MS: Final = 20
"""How fast what waits is taken to go, for the time after which it is worth trying again."""

RETRY_MS_MIN: Final = 50

FRAME_SECONDS: Final = 10.0
"""How long a frame may take once it has begun, either way: a local peer needs milliseconds."""

CLOSE_SECONDS: Final = 3.0
"""How long answers under way may take when the server closes; with the last block and the index it stays below 5 s."""

_CREDENTIALS = struct.Struct("3i")


class Served(Protocol):
    """What is served: a ledger that is open for writing, or one that is followed."""

    def _asking(self) -> AbstractContextManager[Source]: ...
    def _send(self, texts: list[bytes]) -> list[Outcome]: ...
    def _now_ms(self) -> int: ...
    def _rulebook(self, number: int | None = None) -> Rulebook: ...
    def resolve(self, ticket: Ticket) -> Outcome:
        """As `Reading.resolve`."""

    def explain(self, what: list[Instruction], *, by: list[str]) -> Explanation:
        """As `Ledger.explain`."""

    def totals(self) -> Totals:
        """As `Reading.totals`."""

    def checkpoint(self) -> bytes:
        """As `Ledger.checkpoint`."""

    def prove(self, kind: type[Record], id: str) -> Receipt:
        """As `Ledger.prove`."""

    def prove_absent(self, kind: type[Record], id: str) -> Receipt:
        """As `Ledger.prove_absent`."""

    def prove_instruction(self, outcome: Outcome | Step, index: int = 0, *, signers: bool = False) -> Receipt:
        """As `Ledger.prove_instruction`."""

    def prove_change(self, at: Outcome | Step, kind: type[Record], id: str) -> Receipt:
        """As `Ledger.prove_change`."""


class _Gate:
    """Counts what waits, and refuses what would be too much."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transactions = 0
        self._bytes = 0

    @contextmanager
    def admitting(self, texts: list[bytes]) -> Iterator[None]:
        count, size = len(texts), sum(map(len, texts))
        with self._lock:
            if (
                self._transactions + count > WAITING_TRANSACTIONS_MAX
                or self._bytes + size > WAITING_BYTES_MAX
            ):  # fmt: skip
                retry_after_ms = max(RETRY_MS_MIN, self._transactions // RETRY_TRANSACTIONS_PER_MS)
                raise Busy(f"{self._transactions} transactions wait already", retry_after_ms=retry_after_ms)
            self._transactions += count
            self._bytes += size
        try:
            yield
        finally:
            with self._lock:
                self._transactions -= count
                self._bytes -= size


class _Peer:
    """A connection: since when it waits for a question; never while one is answered."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.waits_since: float | None = time.monotonic()

    def hang_up(self) -> None:
        """Ends its waiting and its sending, from another thread."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class Server:
    """Serves one ledger until it is closed. Made by `Ledger.serve` and `Follower.serve`; a context manager.

    Args:
        ledger: What is served.
        folder: Where the socket is, which nobody else serves from.
    """

    def __init__(self, ledger: Served, folder: Path) -> None:
        self._ledger = ledger
        self._pid = os.getpid()
        self._gate = _Gate()
        self._lock = threading.Lock()
        self._peers: dict[_Peer, threading.Thread] = {}
        self._closing = threading.Event()
        self._path = folder / wire.SOCKET_NAME
        self._listener = _listening(self._path)
        self._file = _identity(self._path)
        abandon_in_children(self)
        self._accepting = threading.Thread(target=self._accept, name="finchain accept", daemon=True)
        self._accepting.start()

    @property
    def path(self) -> Path:
        """The socket."""
        return self._path

    @property
    def closed(self) -> bool:
        """Whether it serves nobody any more."""
        return self._closing.is_set()

    # ---- connections

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if self._closing.is_set():
                    return
                # Too many open files, most likely: that passes, and must not end the service.
                log.warning("a connection could not be accepted: %s", error)
                time.sleep(0.05)
                continue
            self._take(_Peer(connection))

    def _take(self, peer: _Peer) -> None:
        leaving: threading.Thread | None = None
        with self._lock:
            full = len(self._peers) >= CONNECTIONS_MAX
            waiting = [each for each in self._peers if each.waits_since is not None] if full else []
            if waiting:
                oldest = min(waiting, key=lambda each: each.waits_since or 0.0)
                leaving = self._peers.pop(oldest)
                oldest.hang_up()
            taken = (leaving is not None or not full) and not self._closing.is_set()
            if taken:
                thread = threading.Thread(target=self._talk, args=(peer,), name="finchain peer", daemon=True)
                self._peers[peer] = thread
                thread.start()
        if leaving is not None:
            # However fast they come, there are no more threads than connections.
            leaving.join(FRAME_SECONDS)
        if taken:
            return
        busy = Busy(f"{CONNECTIONS_MAX} connections are being answered", retry_after_ms=RETRY_MS_MIN)
        with suppress(OSError), peer.connection:
            peer.connection.settimeout(0)
            peer.connection.send(wire.frame(wire.encode(wire.Answer(error=busy))))

    def _talk(self, peer: _Peer) -> None:
        """Answers one peer until it goes, sends nonsense, or is hung up on."""
        try:
            with peer.connection:
                _check_user(peer.connection)
                while not self._closing.is_set() and self._answer_next(peer):
                    peer.waits_since = time.monotonic()
        except FinchainError as error:
            log.info("a connection was ended: %s", error)
        except OSError:
            pass  # It has gone, or was too slow; it finds out by its own means.
        finally:
            with self._lock:
                self._peers.pop(peer, None)

    def _answer_next(self, peer: _Peer) -> bool:
        try:
            text = wire.receive(peer.connection, first_seconds=None, seconds=FRAME_SECONDS)
        except (Malformed, LimitExceeded) as error:
            # Where a frame ends is not known any more.
            self._reply(peer, wire.Answer(error=error))
            return False
        if text is None:
            return False
        with self._lock:
            if peer not in self._peers:
                return False
            peer.waits_since = None
        self._reply(peer, self._answer(text))
        return True

    def _reply(self, peer: _Peer, answer: wire.Answer) -> None:
        try:
            framed = wire.frame(wire.encode(answer))
        except LimitExceeded as error:
            framed = wire.frame(wire.encode(wire.Answer(error=error)))
        peer.connection.settimeout(FRAME_SECONDS)
        peer.connection.sendall(framed)

    # ---- answers

    def _answer(self, text: bytes) -> wire.Answer:
        try:
            ask = wire.decode_ask(text)
            _canonical(text)
            return wire.Answer(answer=msgspec.Raw(wire.encode(_ANSWERS[type(ask)](self, ask))))
        except FinchainError as error:
            return wire.Answer(error=error)
        except Exception as error:
            log.exception("a question could not be answered")
            return wire.Answer(error=FinchainError(f"the question failed: {type(error).__name__}: {error}"))

    def _facts(self, ask: wire.AskLedger) -> wire.LedgerFacts:
        now_ms = self._ledger._now_ms()
        with self._ledger._asking() as source:
            return wire.LedgerFacts(
                source.name, source.hash_suite, source.height, source.time_ms, now_ms, source.state_root
            )

    def _submit(self, ask: wire.AskSubmit) -> list[Outcome]:
        count, size = len(ask.transactions), sum(map(len, ask.transactions))
        if not 1 <= count <= wire.SUBMIT_TRANSACTIONS_MAX or size > wire.SUBMIT_BYTES_MAX:
            raise LimitExceeded(
                f"{count} transactions of {size} bytes at once",
                advice=f"1 to {wire.SUBMIT_TRANSACTIONS_MAX}, and at most {wire.SUBMIT_BYTES_MAX} bytes",
            )
        with self._gate.admitting(ask.transactions):
            return self._ledger._send(ask.transactions)

    def _explain(self, ask: wire.AskExplain) -> wire.Explained:
        try:
            instructions = self._ledger._rulebook().decode_one(bytes(ask.instructions))
        except msgspec.MsgspecError as error:
            raise Malformed(str(error), advice="`finchain explain domain` lists the instructions") from None
        made = self._ledger.explain(instructions, by=ask.by)
        changes = [
            (after.kind, None if before is None else _raw(before), _raw(after)) for before, after in made.changes
        ]
        return wire.Explained(made.refusal, changes, list(made.notes))

    def _record(self, ask: wire.AskRecord) -> msgspec.Raw | None:
        with self._ledger._asking() as source:
            text = source.record(ask.kind, ask.id)
        return None if text is None else msgspec.Raw(text)

    def _scan(self, ask: wire.AskScan) -> tuple[list[tuple[str, msgspec.Raw]], int | None]:
        with self._ledger._asking() as source:
            page, following = source.scan(ask.kind or None, ask.start, wire.SCAN_LIMIT)
        return [(kind, msgspec.Raw(text)) for kind, text in page], following

    def _history(self, ask: wire.AskHistory) -> list[tuple[int, int, list[int]]]:
        with self._ledger._asking() as source:
            return source.history(ask.kind, ask.id, ask.limit)

    def _entered(self, ask: wire.AskEntered) -> wire.Entered:
        with self._ledger._asking() as source:
            found = source.entered(ask.height, ask.entry)
        raw = {name: msgspec.Raw(found[name]) for name in ("header", "instructions", "signatures")}
        return wire.Entered(id=found["id"], time_ms=found["time_ms"], refused=found["refused"], **raw)

    def _lane(self, ask: wire.AskLane) -> int:
        with self._ledger._asking() as source:
            return source.lane_sequence(ask.lane)

    def _place(self, ask: wire.AskPlace) -> tuple[int, int] | None:
        with self._ledger._asking() as source:
            return source.lane_place(ask.lane, ask.sequence)

    def _prove(self, ask: wire.AskProve) -> bytes:
        return bytes(self._ledger.prove(self._kind(ask.kind), ask.id))

    def _prove_absent(self, ask: wire.AskProveAbsent) -> bytes:
        return bytes(self._ledger.prove_absent(self._kind(ask.kind), ask.id))

    def _prove_instruction(self, ask: wire.AskProveInstruction) -> bytes:
        place = Outcome(status="applied", height=ask.height, entry=ask.entry)
        return bytes(self._ledger.prove_instruction(place, ask.index, signers=ask.signers))

    def _prove_change(self, ask: wire.AskProveChange) -> bytes:
        place = Outcome(status="applied", height=ask.height, entry=ask.entry)
        return bytes(self._ledger.prove_change(place, self._kind(ask.kind), ask.id))

    def _kind(self, name: str) -> type[Record]:
        kinds = self._ledger._rulebook().records
        if name not in kinds:
            raise NotFound(f"there is no kind of record {name!r}", advice=f"there are {', '.join(sorted(kinds))}")
        return kinds[name]

    # ---- the end

    def wait(self) -> None:
        """Waits until it is closed.

        Raises:
            StorageError: The ledger has failed, and answers nothing any more.
        """
        while not self._closing.wait(1.0):
            with self._ledger._asking():
                pass

    def close(self) -> None:
        """Takes nothing more, lets answers under way go out for 3 s at most, removes the socket. Twice does nothing."""
        if os.getpid() != self._pid or self._closing.is_set():
            return
        self._closing.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        with suppress(OSError):
            if _identity(self._path) == self._file:
                self._path.unlink()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(CLOSE_SECONDS)
        self._listener.close()
        with self._lock:
            peers = dict(self._peers)
            for peer in peers:
                if peer.waits_since is not None:
                    peer.hang_up()
        for peer, thread in peers.items():
            thread.join(max(0.0, deadline - time.monotonic()))
            peer.hang_up()

    def _abandon(self) -> None:
        """Closes a forked child's sockets; with them open, callers would wait for answers when the parent has gone."""
        self._listener.close()
        for peer in self._peers:
            peer.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> str:
        raise TypeError("a server is not pickled; pass the ledger's path, and connect to it")


def serve(ledger: Served, folder: Path, before: Server | None) -> Server:
    """A server in the place of the one that was there, which must be closed.

    Raises:
        ConfigError: It is served already, the path is too long for a socket, or the system has none.
    """
    if before is not None and not before.closed:
        raise ConfigError(f"{folder} is served already", advice="close that server first")
    return Server(ledger, folder)


_ANSWERS: Final[dict[type[wire.Ask], Callable[[Server, Any], Any]]] = {
    wire.AskLedger: Server._facts,
    wire.AskSubmit: Server._submit,
    wire.AskResolve: lambda server, ask: server._ledger.resolve(ask.ticket),
    wire.AskExplain: Server._explain,
    wire.AskRecord: Server._record,
    wire.AskScan: Server._scan,
    wire.AskHistory: Server._history,
    wire.AskEntered: Server._entered,
    wire.AskLane: Server._lane,
    wire.AskPlace: Server._place,
    wire.AskTotals: lambda server, ask: server._ledger.totals(),
    wire.AskCheckpoint: lambda server, ask: server._ledger.checkpoint(),
    wire.AskProve: Server._prove,
    wire.AskProveAbsent: Server._prove_absent,
    wire.AskProveInstruction: Server._prove_instruction,
    wire.AskProveChange: Server._prove_change,
}
"""Who answers what."""


def socket_address(folder: Path) -> str:
    """The address of the socket in a ledger's folder.

    Raises:
        ConfigError: The path is longer than the system allows.
    """
    path = os.path.abspath(folder / wire.SOCKET_NAME)
    size = len(os.fsencode(path))
    if size > wire.SOCKET_PATH_BYTES_MAX:
        raise ConfigError(
            f"the socket {path} would have a path of {size} bytes",
            advice=f"at most {wire.SOCKET_PATH_BYTES_MAX} are allowed: reach the ledger by a shorter path or a link",
        )
    return path


def _listening(path: Path) -> socket.socket:
    """A socket at `path` that this user alone can reach; one that a killed process left there is replaced.

    Whoever has the ledger open for writing is the only one to serve it, so what is there is nobody's.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        raise ConfigError("this system does not say who connects to a socket", advice="serve the ledger on Linux")
    address = socket_address(path.parent)
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ConfigError(f"{path} is there, and is no socket", advice="move it away")
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(address)
        # Nobody can connect before `listen`, so nobody does while the mode is another.
        os.chmod(path, 0o600)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _identity(path: Path) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _check_user(connection: socket.socket) -> None:
    """Refuses a peer of another user, whatever the mode of the socket's file has become.

    Raises:
        ConfigError: It is of another user.
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    if user != os.geteuid():
        error = ConfigError(f"user {user} may not use this socket", advice=f"it serves user {os.geteuid()} alone")
        connection.settimeout(FRAME_SECONDS)
        connection.sendall(wire.frame(wire.encode(wire.Answer(error=error))))
        raise error


def _canonical(text: bytes) -> None:
    """Refuses a question in another spelling than its one.

    Raises:
        Malformed: It is no canonical JSON.
    """
    try:
        _core.canonical_check(text, wire.DEPTH_MAX)
    except ConfigError as error:
        raise Malformed(f"a question: {error}", advice="a question is canonical JSON (RFC 8785)") from None


def _raw(record: Record) -> msgspec.Raw:
    return msgspec.Raw(wire.encode(record))
