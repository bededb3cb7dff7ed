"""Receipts: of a record, of an absence, of an instruction, of a change, by whoever has a ledger's state."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from finchain import _core as compiled
from finchain.domain.rule import Record
from finchain.errors import NotFound
from finchain.outcome import Outcome, Step
from finchain.reading import Reading
from finchain.receipt import Receipt
from finchain.replay import replayed
from finchain.transaction import INSTRUCTIONS_MAX


class Proving(Reading):
    """A ledger whose state map is in this process."""

    _core: compiled.Ledger
    _lock: threading.Lock

    @contextmanager
    def _asking(self) -> Iterator[compiled.Ledger]:
        self._check_process()
        with self._lock:
            self._core.wait_indexed()
            yield self._core

    def _abandon(self) -> None:
        """Closes a forked child's copy of the lock, which would be held when the parent has gone."""
        self._core.abandon_lock()

    @abstractmethod
    def _covering(self, height: int) -> bytes:
        """A checkpoint over the block at `height` and, it may be, later ones; asked by who holds the lock."""

    def prove(self, kind: type[Record], id: str) -> Receipt:
        """A receipt that a record is what it is after the last block.

        Raises:
            NotFound: There is no such record.
        """
        self._check_process()
        with self._lock:
            return Receipt(self._core.prove_record(kind.kind, id, self._covering(self._core.height - 1)))

    def prove_absent(self, kind: type[Record], id: str) -> Receipt:
        """A receipt that there is no such record after the last block.

        Raises:
            NotFound: There is one.
        """
        self._check_process()
        with self._lock:
            return Receipt(self._core.prove_absence(kind.kind, id, self._covering(self._core.height - 1)))

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
            note = self._covering(outcome.height)
        # Nobody waits for the lock while blocks are replayed: the checkpoint is over what it is over.
        if not signers or outcome.height == 0:
            return Receipt(self._core.prove_instruction(outcome.height, outcome.entry, index, note))
        rulebooks = list(self._rulebooks.values())
        with replayed(self.path, until=outcome.height, rulebooks=rulebooks) as before:
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
            self._core.wait_indexed()
            self._core.entered(at.height, at.entry)
            note = self._covering(at.height)
        rulebooks = list(self._rulebooks.values())
        with replayed(self.path, until=at.height + 1, keep_last=True, rulebooks=rulebooks) as replay:
            return Receipt(self._core.prove_change(at.height, at.entry, kind.kind, id, replay, note))
