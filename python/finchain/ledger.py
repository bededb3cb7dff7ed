"""The ledger as the process that writes it uses it: submit, explain, prove, serve, and what all readers have besides.

One process writes. Every answer to a submission is durable, or says that it is not known and how to find out. The
handle is not pickled, is safe to use from several threads, and refuses to work in a forked child.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from finchain import _core
from finchain.clock import Clock
from finchain.domain.founding import LedgerRecord
from finchain.domain.rule import Instruction, Record
from finchain.errors import FinchainError
from finchain.forking import abandon_in_children
from finchain.key_folder import KeyFolder
from finchain.keys import Key
from finchain.outcome import Backup, Explanation, Outcome
from finchain.pipe import END, Pipe, Stream, chunked
from finchain.proving import Proving
from finchain.rehearsal import explained
from finchain.serving import Server, serve
from finchain.submitting import Send, Submitting, unknown_outcomes
from finchain.transaction import Transaction

R = TypeVar("R", bound=Record)


class _Request:
    """A submission that waits for its turn."""

    __slots__ = ("done", "error", "outcomes", "texts")

    def __init__(self, texts: list[bytes]) -> None:
        self.texts = texts
        self.outcomes: list[Outcome] = []
        self.error: BaseException | None = None
        self.done = False


class Ledger(Submitting, Proving):
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
        super().__init__(path, record, clock, pipe.rulebooks, folder, operator)
        self.recovery = recovery
        self._core = core
        self._pipe = pipe
        self._lock = threading.Lock()
        self._queue: deque[_Request] = deque()
        self._note: tuple[int, bytes] | None = None
        self._floor_ms = 0
        self._server: Server | None = None
        abandon_in_children(self)

    # ---- what it is: asked of the core without waiting for what is under way

    @property
    def name(self) -> str:
        """Full name: origin, `#`, hash of block 0."""
        return self._core.name

    @property
    def height(self) -> int:
        """Number of blocks."""
        return self._core.height

    @property
    def rulebook(self) -> int:
        """Number of the rulebook that the next block is executed by."""
        return self._core.rulebook

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

    # ---- submitting

    def submit_all(self, transactions: Iterable[Transaction | bytes]) -> Iterator[Outcome]:
        """Submits a stream of signed transactions; gives one outcome for each, in order, once it is durable.

        Nothing is raised for a single transaction: its outcome says what became of it. Memory does not grow with the
        stream.

        Raises:
            StorageError: The ledger failed. Everything that was sent has had its outcome, `unknown` where need be.
        """
        self._check_process()
        stream = Stream(self._pipe, self._now_ms)
        # The lock is let go between chunks, so that other threads have their turn and the caller's code runs without.
        chunks = chunked(t.to_bytes() if isinstance(t, Transaction) else t for t in transactions)
        for chunk in itertools.chain(chunks, END):
            try:
                with self._lock:
                    outcomes = stream.push(chunk)
            except FinchainError as error:
                yield from unknown_outcomes(stream.unanswered(), self.hash_suite, error.message)
                raise
            yield from outcomes
            self._check_process()

    @contextmanager
    def _in_turn(self) -> Iterator[tuple[Callable[[str], int], Send]]:
        with self._lock:
            yield self._core.lane_sequence, self._run

    def _send(self, texts: list[bytes]) -> list[Outcome]:
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
            outcomes = iter(self._run([text for request in requests for text in request.texts]))
            for request in requests:
                request.outcomes = [next(outcomes) for _ in request.texts]
        except BaseException as error:
            for request in requests:
                request.error = error
        finally:
            for request in requests:
                request.done = True

    def _run(self, texts: list[bytes]) -> list[Outcome]:
        """Outcomes in order; where the ledger fails, those that nobody knows are `unknown`."""
        stream, blocks = Stream(self._pipe, self._now_ms), self._core.height
        outcomes: list[Outcome] = []
        try:
            for chunk in itertools.chain(chunked(texts), END):
                outcomes += stream.push(chunk)
        except FinchainError as error:
            if self._core.height == blocks:
                # No block was begun, so it is certain that nothing was sent.
                raise
            outcomes += unknown_outcomes(texts[len(outcomes) :], self.hash_suite, error.message)
        return outcomes

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
            return explained(self._pipe.records.find, self._rulebook().rules, self._place(), instructions, parties)

    # ---- reading

    def look(self, kind: type[R], id: str) -> R | None:
        """A record as it is now, or `None`."""
        self._check_process()
        with self._lock:
            found = self._pipe.records.find(kind, id)
            self._pipe.records.trim()
        return found  # type: ignore[return-value]  # found under its type

    def _over_ms(self) -> int:
        # Whoever was told that a transaction's time is over must be right, even if the clock is put back now.
        self._floor_ms = self._now_ms()
        return self._floor_ms

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

    def _covering(self, height: int) -> bytes:
        return self._checkpoint()

    # ---- serving

    def serve(self) -> Server:
        """Lets other processes of this user submit, ask and prove through a socket in the ledger's folder.

        They reach it with `finchain.connect`. It ends with the ledger, or when what this gives is closed.

        Raises:
            ConfigError: The ledger is served already, the path is too long for a socket, or the system has none.
        """
        self._check_process()
        self._server = serve(self, self.path, self._server)
        return self._server

    def backup(self, to: str | os.PathLike[str]) -> Backup:
        """Copies every block that was answered to a folder, or those that are new there; see `finchain.backup`."""
        self._check_process()
        return Backup(path=os.fspath(to), **_core.backup(self.path, Path(to), durable=self._core.log_root[0] - 1))

    # ---- inside

    def _now_ms(self) -> int:
        return max(self.clock.now_ms(), self._core.time_ms, self._floor_ms)

    def close(self) -> None:
        """Finishes what is on its way and lets go of the lock. Closing twice does nothing.

        Raises:
            StorageError: Something could not be made durable.
        """
        if os.getpid() == self._pid:
            if self._server is not None:
                self._server.close()
            with self._lock:
                self._core.close()
