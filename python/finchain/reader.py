"""Reading a ledger beside the process that writes it: no lock, no waiting, nothing written but a place among readers.

Answers come from the index that the writer keeps, which may lag behind its last block by a moment; `height` says what
it has. Each question sees one state, and `snapshot` holds one state for several. Blocks are compared with the hashes in
the index. Records are what the index says: whoever may write the ledger's folder could change them there, and
`verify` hashes them all against the header. Proofs and the newest block are the writer's to give: `finchain.connect`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from finchain import _core
from finchain.clock import Clock
from finchain.domain.founding import LedgerRecord
from finchain.domain.rulebook import Rulebook
from finchain.reading import Reading
from finchain.replay import SCAN_PAGE


class _Viewing(Reading):
    """What a reader and its snapshots share: all of an answer comes out of one state."""

    def _pages(self, kind: str | None) -> Iterator[list[tuple[str, bytes]]]:
        with self._asking() as view:
            start: int | None = 0
            while start is not None:
                page, start = view.scan(kind, start, SCAN_PAGE)
                yield page

    @contextmanager
    def _asking(self) -> Iterator[_core.View]:
        self._check_process()
        view = self._view()
        try:
            yield view
        finally:
            self._done(view)

    @abstractmethod
    def _view(self) -> _core.View:
        """The state that an answer comes out of."""

    @abstractmethod
    def _done(self, view: _core.View) -> None:
        """Lets go of it, once the answer is given."""

    @property
    def behind(self) -> bool:
        """Whether whole blocks follow that the index has not: the writer is at them, or a crash left them."""
        with self._asking() as view:
            return view.is_behind()

    def verify(self) -> int:
        """Hashes every record and compares the state root with the last block's header; gives the number of blocks.

        It takes about half a second a million records. The header is one that the blocks hold; that these are the
        ledger's own history is what an audit and a checkpoint show.

        Raises:
            TamperError: The records in the index are not those that the header commits to.
        """
        with self._asking() as view:
            view.verify()
            return view.height


class Snapshot(_Viewing):
    """A ledger as of one height. Made by `Reader.snapshot`.

    The index cannot reuse the room of anything that changes while this is held: close it within seconds.
    """

    def __init__(self, reader: Reader, view: _core.View) -> None:
        super().__init__(reader.path, reader._record, reader.clock, reader._rulebooks.values())
        self._held = view
        self._time_ms = view.time_ms

    def _now_ms(self) -> int:
        # A report asks for today at each loan, and the last block, which has the time, may be large.
        return max(self.clock.now_ms(), self._time_ms)

    def _view(self) -> _core.View:
        return self._held

    def _done(self, view: _core.View) -> None:
        pass

    def close(self) -> None:
        """Lets go of the state."""
        self._check_process()
        self._held.close()


class Reader(_Viewing):
    """A ledger that another process may be writing. Made by `open(path, read_only=True)`; safe in several threads."""

    def __init__(
        self, path: Path, core: _core.Reader, record: LedgerRecord, clock: Clock, rulebooks: Iterable[Rulebook]
    ) -> None:
        super().__init__(path, record, clock, rulebooks)
        self._core = core

    def snapshot(self) -> Snapshot:
        """The ledger as it is in the index now, for several questions about one and the same state.

        Raises:
            StorageError: The index cannot be read, or is being made anew.
        """
        self._check_process()
        return Snapshot(self, self._core.view())

    def _view(self) -> _core.View:
        return self._core.view()

    def _done(self, view: _core.View) -> None:
        view.close()

    def close(self) -> None:
        """Lets go of the index. Closing twice does nothing."""
        self._check_process()
        self._core.close()
