"""Following a ledger: its blocks replayed with all rules and signatures as they come, into an index of one's own.

A follower needs the ledger's blocks and nothing else, on the same machine or in a folder that some tool keeps a copy
in. It believes nobody: what it says, it has executed and compared with the headers. A last block that is not whole yet
is one that is still to come. A block that is another one than was followed before, or a checkpoint that is over others,
stops it for good. (A writer's machine that loses power may lose a last block that it had not acknowledged and that was
followed already: then the follower's folder is removed, once the checkpoint has been compared.)
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from finchain import _core
from finchain.clock import Clock
from finchain.domain.founding import LedgerRecord
from finchain.domain.rule import Instruction
from finchain.domain.rulebook import Rulebook
from finchain.errors import ConfigError, NotFound, TamperError
from finchain.forking import abandon_in_children
from finchain.key_folder import FOLLOWED, name_of
from finchain.keys import Key
from finchain.opening import Progress, clock_for
from finchain.outcome import Explanation, Outcome
from finchain.pipe import Pipe
from finchain.proving import Proving
from finchain.replay import first_block_zone
from finchain.serving import Server, serve

MARK = "verified"
"""How far the blocks were followed, and their root, in the form of a signed mark: what is there once stays there."""

SIZE_DIGITS_MAX = 16
"""Of a number of blocks, which is below 2^53."""


class Follower(Proving):
    """A ledger that is followed. Made by `follow`; a context manager, safe to use from several threads."""

    def __init__(
        self, path: Path, into: Path, core: _core.Ledger, pipe: Pipe, record: LedgerRecord, clock: Clock
    ) -> None:
        super().__init__(path, record, clock, pipe.rulebooks)
        self.into = into
        self._core = core
        self._pipe = pipe
        self._lock = threading.Lock()
        self._note: tuple[int, bytes] | None = None
        self._server: Server | None = None
        abandon_in_children(self)

    def advance(self, *, progress: Progress | None = None) -> int:
        """Takes in the blocks that are there now; gives how many were new.

        Args:
            progress: Called after each block.

        Raises:
            TamperError: A block is not what its transactions and the rules make, or the ledger's checkpoint is over
                other blocks; the follower goes no further.
            ConfigError: A rulebook came into force that is not here.
        """
        self._check_process()
        with self._lock:
            before, blocks = self._core.height, self._core.look_further()
            _replay(self._core, self._pipe, blocks, progress)
            self._note_progress()
            return self._core.height - before

    def _note_progress(self) -> None:
        """Compares the ledger's newest checkpoint with the blocks that are here, and notes how far these go."""
        note, size = _checkpoint_in(self.path)
        if (0 if self._note is None else self._note[0]) < size <= self._core.height:
            keys = self._ledger_record_here().checkpoint_keys
            # One of a key that has been replaced since says nothing; the next one will.
            if self._core.compare_checkpoint(note, keys) is not None:
                self._note = (size, note)
        size, root_hash = self._core.log_root
        mark = {"origin": self._record.origin, "root": root_hash.hex(), "size": size, "type": "finchain.signed.1"}
        new = self.into / f"{MARK}.new"
        new.write_bytes(msgspec.json.encode(mark, order="sorted") + b"\n")
        os.replace(new, self.into / MARK)

    def _ledger_record_here(self) -> LedgerRecord:
        record = self._pipe.records.find(LedgerRecord, "ledger")
        assert isinstance(record, LedgerRecord)
        return record

    def serve(self) -> Server:
        """Lets other processes of this user ask and prove through a socket in the follower's folder.

        They reach it with `finchain.connect(into)`; transactions are not taken there. It ends with the follower, or
        when what this gives is closed. What they see moves on with `advance`.

        Raises:
            ConfigError: It is served already, the path is too long for a socket, or the system has none.
        """
        self._check_process()
        self._server = serve(self, self.into, self._server)
        return self._server

    def explain(self, what: Instruction | Sequence[Instruction], *, by: Key | str | Sequence[Key | str]) -> Explanation:
        """Is not answered here.

        Raises:
            ConfigError: Always: what would happen is for the process that writes to say.
        """
        raise self._only_reads()

    def _send(self, texts: list[bytes]) -> list[Outcome]:
        raise self._only_reads()

    def _only_reads(self) -> ConfigError:
        return ConfigError(f"{self.into} follows {self._record.origin}", advice=f"connect to the ledger, {self.path}")

    def checkpoint(self) -> bytes:
        """The newest checkpoint that the ledger has signed over blocks that are here.

        Raises:
            NotFound: There is none.
        """
        self._check_process()
        with self._lock:
            return self._covering(0)

    def _covering(self, height: int) -> bytes:
        size, note = self._note or (0, b"")
        if height >= size:
            raise NotFound(
                f"the newest checkpoint that was followed covers {size} blocks, and block {height} is to be covered",
                advice="have the ledger sign one, and follow on; a record is proven where it covers the last block",
            )
        return note

    def close(self) -> None:
        """Closes the index, to go on from the next time. Closing twice does nothing."""
        if os.getpid() == self._pid:
            if self._server is not None:
                self._server.close()
            with self._lock:
                self._core.close()


def follow(
    path: str | os.PathLike[str],
    into: str | os.PathLike[str],
    *,
    clock: Clock | None = None,
    progress: Progress | None = None,
    rulebooks: Sequence[Rulebook] = (),
) -> Follower:
    """Follows a ledger's blocks, or goes on from where it was followed before.

    Args:
        path: The ledger's folder, or one that it is copied to: `ledger.json`, `blocks/` and, for proofs, `checkpoint`.
        into: The follower's own folder, which is made where it is not there.
        clock: As in `open`.
        progress: Called while blocks are replayed.
        rulebooks: Those that the ledger was or will be under, beside the built-in one.

    Raises:
        NotFound: There is no ledger in that folder.
        TamperError: A block is damaged, or not what its transactions and the rules make, or another than was followed.
        LockedError: Another process follows into that folder.
        ConfigError: That folder is the ledger's own, or of another ledger; or a rulebook is not here.
    """
    source, own = Path(path), Path(into)
    name = name_of(source)
    if source.resolve() in (own.resolve(), *own.resolve().parents):
        raise ConfigError(f"{own} is in the ledger's own folder", advice="follow into a folder of the follower's own")
    own.mkdir(parents=True, exist_ok=True)
    _claim(source, own, name)
    core, recovery = _core.Ledger.open(source, own / "index", read_only=True, follow=own / "lock")
    try:
        pipe = Pipe(core, 0, rulebooks)
        pipe.zone_minutes = first_block_zone(core, pipe, recovery)
        _replay(core, pipe, recovery["blocks"], progress)
        try:
            core.compare_mark(own / MARK)
        except TamperError as error:
            # What was made of these blocks must not stand for what was followed when the right ones come back.
            core.close()
            shutil.rmtree(own / "index", ignore_errors=True)
            raise TamperError(f"{source} is not what was followed before: {error.message}") from None
        record = pipe.records.find(LedgerRecord, "ledger")
        assert isinstance(record, LedgerRecord)
        follower = Follower(source, own, core, pipe, record, clock_for(record, clock, core.time_ms, True))
        follower._note_progress()
        return follower
    except BaseException:
        core.close()
        raise


def _claim(source: Path, own: Path, name: str) -> None:
    """Notes whose follower this folder is, or compares.

    Raises:
        ConfigError: It follows another ledger.
    """
    text = (source / "ledger.json").read_bytes()
    try:
        with open(own / FOLLOWED, "xb") as file:
            file.write(text)
    except FileExistsError:
        if (own / FOLLOWED).read_bytes() != text:
            raise ConfigError(f"{own} follows another ledger than {name}", advice="take a folder of its own") from None


def _replay(core: _core.Ledger, pipe: Pipe, blocks: int, progress: Progress | None) -> None:
    """Executes what follows up to a number of blocks, with every signature."""
    try:
        for height in range(core.height, blocks):
            pipe.replay(height, until=blocks, verify_signatures=True)
            pipe.records.trim()
            if progress is not None:
                progress(height + 1, blocks)
        core.wait_indexed()
    except BaseException:
        # A block that was stopped in the middle is executed again, over the records before it.
        pipe.records.forget()
        raise


def _checkpoint_in(path: Path) -> tuple[bytes, int]:
    """The checkpoint in a ledger's folder and how many blocks it says that it is over; 0 where there is none."""
    try:
        note = (path / "checkpoint").read_bytes()
    except FileNotFoundError:
        return b"", 0
    size = note.split(b"\n", 2)[1:2]
    # A copy that is being written may be anything; whoever made it, it proves nothing here before it is compared.
    return (note, int(size[0])) if size and size[0].isdigit() and len(size[0]) <= SIZE_DIGITS_MAX else (b"", 0)
