"""Reading a ledger beside the process that writes it: no lock, no waiting, nothing written but a place among readers.

Answers come from the index that the writer keeps, which may lag behind its last block by a moment; `height` says what
it has. Where there is none that can be read, one is made from the blocks in a temporary folder. Each question sees one
state, and `snapshot` holds one state for several. Whoever may write the ledger's folder could change records in the
index. A reader that is opened `verified` hashes all of them against the header of the last block before it answers, and
any reader does so with `verify`. Proofs and the newest block are the writer's to give: `finchain.connect`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from finchain import _core
from finchain.clock import Clock
from finchain.domain.founding import LedgerRecord
from finchain.domain.rule import Instruction, Record
from finchain.domain.rulebook import Rulebook
from finchain.outcome import Explanation, Step
from finchain.reading import Reading
from finchain.rehearsal import explained
from finchain.replay import SCAN_PAGE
from finchain.trust import Vouched


class _Viewing(Reading):
    """What a reader and its snapshots share: all of an answer comes out of one state."""

    verified: bool

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

    def explain(self, what: Instruction | Sequence[Instruction], *, by: str | Sequence[str]) -> Explanation:
        """What instructions that hold together would do, or why they would be refused. Nothing is written.

        Args:
            what: The instructions.
            by: The parties that would sign; the first is the sender.
        """
        parties = [by] if isinstance(by, str) else list(by)
        instructions = [what] if isinstance(what, Instruction) else list(what)
        return explained(self.look, self._rulebook().rules, self._place(), instructions, parties)

    def history(self, kind: type[Record], id: str, *, limit: int = 1_000, replayed: bool = False) -> list[Step]:
        """As `Reading.history`; out of what is `verified`, it is always replayed."""
        return super().history(kind, id, limit=limit, replayed=replayed or self.verified)

    @property
    def behind(self) -> bool:
        """Whether whole blocks follow that the index has not: the writer is at them, or a crash left them."""
        with self._asking() as view:
            return view.is_behind()

    def verify(self) -> int:
        """Hashes every record and compares the state root with the last block's header; gives the number of blocks.

        That each record is found by its key is seen, too. It takes about half a second a million records. The header is
        one that the blocks hold; that these are the ledger's own history is what an audit and a checkpoint show.

        Raises:
            TamperError: The records in the index are not those that the header commits to.
        """
        with self._asking() as view:
            view.verify()
            return view.height


class OwnIndex:
    """A temporary folder for an index, removed with `remove` or at the end of the process that made it."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="finchain-index-")
        self.path = Path(folder) / "index"
        self._remove = weakref.finalize(self, _remove, folder, os.getpid())

    def remove(self) -> None:
        """Removes it; twice does nothing."""
        self._remove()


def _remove(folder: str, pid: int) -> None:
    # A forked child ends as well, and the folder is its parent's.
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


class Snapshot(_Viewing):
    """A ledger as of one height. Made by `Reader.snapshot`.

    The index cannot reuse the room of anything that changes while this is held: close it within seconds.
    """

    def __init__(self, reader: Reader, view: _core.View) -> None:
        super().__init__(reader.path, reader._record, reader.clock, reader._rulebooks.values())
        self._held = view
        self._time_ms = view.time_ms
        self.verified, self.vouched = reader.verified, reader.vouched

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
    """A ledger that another process may be writing. Made by `open(path, read_only=True)`; safe in several threads.

    Attributes:
        verified: Whether each state is verified before anything is answered out of it, and a history replayed. Whoever
            changes bytes of the index's file under an open reader is seen by the next one.
        vouched: Who vouches for the blocks that were there when it was opened, apart from the folder itself.
    """

    def __init__(
        self,
        path: Path,
        core: _core.Reader,
        record: LedgerRecord,
        clock: Clock,
        rulebooks: Iterable[Rulebook],
        *,
        verified: bool = False,
        own: OwnIndex | None = None,
    ) -> None:
        super().__init__(path, record, clock, rulebooks)
        self._core = core
        self._own = own
        self._verified_edition: tuple[int, int, int] | None = None
        self.verified = verified
        self.vouched = Vouched()

    @property
    def is_copy(self) -> bool:
        """Whether the folder is a copy that nobody has confirmed (`docs/format.md` 7.3)."""
        return (self.path / "copy").exists()

    @property
    def made_anew(self) -> bool:
        """Whether it answers out of an index of its own, made from the blocks that were there when it was opened."""
        return self._own is not None

    def snapshot(self) -> Snapshot:
        """The ledger as it is in the index now, for several questions about one and the same state.

        Raises:
            StorageError: The index cannot be read, or is being made anew.
        """
        self._check_process()
        return Snapshot(self, self._view())

    def _view(self) -> _core.View:
        view = self._core.view()
        # What an index of its own holds was compared with the blocks when it was made.
        if self.verified and self._own is None and view.edition != self._verified_edition:
            try:
                view.verify()
            except BaseException:
                view.close()
                raise
            self._verified_edition = view.edition
        return view

    def _done(self, view: _core.View) -> None:
        view.close()

    def close(self) -> None:
        """Lets go of the index. Closing twice does nothing."""
        self._check_process()
        self._core.close()
        if self._own is not None:
            self._own.remove()
