"""Audit: a whole ledger verified from its blocks alone, by the same pipe that wrote it.

Signatures, hashes, rules and state roots are checked again, block by block, with an index of the audit's own. The
ledger's index, out of which questions are answered, is then compared with it, row by row. It writes nothing into the
ledger's folder, which may be in use. Where it finds damage it goes on, and says of the rest what hashes and a
checkpoint can still show.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from finchain import _core
from finchain.domain.founding import LedgerRecord
from finchain.domain.rulebook import Rulebook
from finchain.errors import (
    AnchorError,
    ConfigError,
    DamageError,
    FalseIndexError,
    Fault,
    FinchainError,
    StorageError,
    TamperError,
)
from finchain.opening import Progress
from finchain.pipe import Pipe
from finchain.replay import founding_keys, opened_blocks
from finchain.trust import CHECKPOINT, Anchors, Held, PathLike, Vouched, own_checkpoint, vouch

DIFFERENCES_NAMED = 100
"""Rows of a false index that are named; all are counted."""

INDEX_LOOKS = 20
"""How often an index that is behind is looked at for movement: a living writer's is behind by milliseconds."""

INDEX_PAUSE_SECONDS = 0.05

IndexState = Literal["agrees", "false", "behind", "absent", "unreadable", "open here", "not compared"]
"""What an audit found of the ledger's index."""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit found; where it found a fault it raised instead.

    Attributes:
        ledger: Full name.
        blocks: Blocks verified.
        transactions: Transactions whose signatures, lanes and outcomes were verified.
        instructions: Instructions that were executed again.
        records: Records in the final state.
        state_root: Root of the final state, in hex.
        log_root: Root of the block log, in hex.
        checkpoint_size: Blocks under the newest checkpoint in the folder; `None` where there is none.
        checkpoint_keys: Verifier keys of the checkpoints in force.
        former_checkpoint_keys: Those that they replaced, in order; what they signed then stays signed.
        other_rules: Whether the rule files here have another digest than those the ledger is under. Every state root
            agrees all the same, so the rules made no difference to this ledger.
        predecessor: Name of the ledger that this one continues; empty where there is none.
        index: `agrees`: each row of the ledger's index is what the blocks make. `behind`, `absent`, `unreadable`: no
            question is answered out of it until it is made anew. `open here`: this process has it open. `not compared`:
            only the first blocks were verified. `false`: it was compared, and an examination goes on all the same.
        vouched: Who vouches for the blocks, apart from the folder itself.
    """

    ledger: str
    blocks: int
    transactions: int
    instructions: int
    records: int
    state_root: str
    log_root: str
    checkpoint_size: int | None
    checkpoint_keys: list[str] = []
    former_checkpoint_keys: list[str] = []
    other_rules: bool = False
    predecessor: str = ""
    index: IndexState = "not compared"
    vouched: Vouched = Vouched()

    @property
    def index_said(self) -> str:
        """What was found of the index, in words."""
        return _INDEX_SAID[self.index]

    def __str__(self) -> str:
        covered = (
            "no checkpoint" if self.checkpoint_size is None else f"checkpoint over {self.checkpoint_size} blocks agrees"
        )
        rules = "; by rule files with another digest than the ledger's" if self.other_rules else ""
        before = f"; continues {self.predecessor.partition('#')[0]}" if self.predecessor else ""
        return (
            f"{self.ledger.partition('#')[0]}: {self.blocks} blocks, {self.transactions} transactions, "
            f"{self.instructions} instructions verified; {self.records} records, {covered}{before}{rules}; "
            f"{self.index_said}; {self.vouched}"
        )


_INDEX_SAID: dict[IndexState, str] = {
    "agrees": "the index agrees",
    "false": "the index is not what the blocks make",
    "behind": "the index is behind, and no question is answered out of it",
    "absent": "there is no index",
    "unreadable": "the index cannot be read, and no question is answered out of it",
    "open here": "the index was not compared, because this process has it open",
    "not compared": "the index was not compared",
}


def check(
    path: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    rulebooks: Sequence[Rulebook] = (),
    other_rules: bool = False,
    trust: str | Sequence[str] = (),
    checkpoints: PathLike | Sequence[PathLike] = (),
    receipts: PathLike | Sequence[PathLike] = (),
) -> Audit:
    """Verifies every block of a ledger, and that its index is what the blocks make.

    Without an anchor, one of the last three arguments, that shows a ledger that is sound in itself, and not whose it
    is: anybody can make one under the same name.

    Args:
        path: The ledger's folder.
        progress: Called after each block.
        rulebooks: Those that the ledger was under, beside the built-in one.
        other_rules: Goes on where the rule files here have another digest than the ledger's, and compares the state
            roots; the answer says so.
        trust: Verifier key of the log, or several: one must have signed each of the given checkpoints and receipts,
            or, where none is given, the checkpoint in the folder.
        checkpoints: File of a checkpoint that the ledger must hold, or several.
        receipts: File of a receipt, or several, that must be of this ledger, and whose checkpoints it must hold.

    Raises:
        AnchorError: An anchor is of another ledger or another history, or is not signed by a trusted key.
        DamageError: Something is not what was signed or what the rules make: every damaged place, and what still
            stands.
        FalseIndexError: The blocks are sound, and the index is not what they make: which rows, by name.
        TamperError: The checkpoint is not that of these blocks, or `ledger.json` is not what it should be.
        ConfigError: The rule files here are not the ledger's.
        VersionError: A later version wrote it.
        NotFound: There is no ledger in this folder.
    """
    return verified(
        Path(path), Anchors.of(trust, checkpoints, receipts), rulebooks=rulebooks, progress=progress,
        other_rules=other_rules,
    )  # fmt: skip


def verified(
    folder: Path,
    anchors: Anchors,
    *,
    rulebooks: Sequence[Rulebook],
    progress: Progress | None,
    other_rules: bool = False,
    faults: list[FinchainError] | None = None,
) -> Audit:
    """As `check`; what is wrong with the index and with anchors goes to `faults`, where that is given."""
    verifying = _Verifying(folder, rulebooks, progress, anchors.read(folder))
    try:
        return verifying.run(other_rules=other_rules, faults=faults)
    except (AnchorError, FalseIndexError):
        raise
    except (TamperError, StorageError) as error:
        # A sector that cannot be read is damage as well, and has a place.
        damage = verifying.damage(error)
    raise damage


def checkpoint_keys_in(path: Path, rulebooks: Sequence[Rulebook] = ()) -> list[str]:
    """The verifier keys that the blocks before any damage put in force, each of which is verified in full for that.

    Raises:
        FinchainError: Not even block 0 is whole, or a block is not what the rules make.
    """
    audit = _Verifying(path, rulebooks, None, Held()).run(other_rules=True, blocks_max=_core.Survey(path).whole)
    return audit.checkpoint_keys + audit.former_checkpoint_keys


class _Verifying:
    """One audit on its way.

    Args:
        folder: The ledger's folder.
        rulebooks: Those that the ledger was under.
        progress: Called after each block.
        held: What the ledger is compared with, beside itself.
    """

    def __init__(self, folder: Path, rulebooks: Sequence[Rulebook], progress: Progress | None, held: Held) -> None:
        self._held = held
        # Read before the blocks: one that is signed meanwhile may be over more of them.
        self._note = own_checkpoint(folder)
        self._folder = folder
        self._rulebooks = rulebooks
        self._progress = progress
        self._opened = False
        self._verified = self._transactions = self._instructions = 0
        self._keys: list[str] = []
        """Of the checkpoints, whenever in force: what an earlier one signed stays signed."""

    def run(
        self, *, other_rules: bool, blocks_max: int | None = None, faults: list[FinchainError] | None = None
    ) -> Audit:
        """Verifies all blocks, or those before `blocks_max`; what is wrong with index and anchors goes to `faults`."""
        with opened_blocks(self._folder, self._rulebooks, blocks_max=blocks_max) as (core, blocks, pipe):
            self._opened = True
            self._replay(core, pipe, blocks)
            record = pipe.records.find(LedgerRecord, "ledger")
            assert isinstance(record, LedgerRecord)
            differs = _rules_differ(pipe, record, other_rules=other_rules)
            whole = blocks_max is None
            covered = self._compare_checkpoint(core) if whole else None
            index: IndexState = "not compared"
            try:
                index = self._compare_index(core, pipe) if whole else index
            except FalseIndexError as error:
                if faults is None:
                    raise
                faults.append(error)
                index = "false"
            # Blocks may have come meanwhile, and a checkpoint key with them.
            record = pipe.records.find(LedgerRecord, "ledger")
            assert isinstance(record, LedgerRecord)
            size, log_root = core.log_root
            vouched = Vouched()
            if whole:
                vouched = vouch(
                    self._held, name=core.name, blocks=size, keys=self._keys, root_at=core.root_at, faults=faults
                )
            return Audit(
                ledger=core.name, blocks=size, transactions=self._transactions, instructions=self._instructions,
                records=core.records_count, state_root=core.state_root.hex(), log_root=log_root.hex(),
                checkpoint_size=covered, checkpoint_keys=record.checkpoint_keys, other_rules=differs,
                former_checkpoint_keys=[key for key in self._keys if key not in record.checkpoint_keys],
                predecessor=record.predecessor.ledger if record.predecessor else "", index=index,
                vouched=vouched,
            )  # fmt: skip

    def _replay(self, core: _core.Ledger, pipe: Pipe, until: int) -> None:
        """Verifies the blocks below `until` that were not verified yet."""
        try:
            for height in range(core.height, until):
                more = pipe.replay(height, until=until, verify_signatures=True)
                self._transactions, self._instructions = self._transactions + more[0], self._instructions + more[1]
                self._note_keys(pipe)
                pipe.records.trim()
                if self._progress is not None:
                    self._progress(height + 1, until)
        finally:
            # What was executed before the fault may still be on its way.
            with suppress(FinchainError):
                core.wait_indexed()
            self._verified = core.log_root[0]
        core.wait_indexed()

    def _compare_index(self, core: _core.Ledger, pipe: Pipe) -> IndexState:
        """Compares the ledger's index with the audit's own, as of the block that the ledger's index has.

        Raises:
            FalseIndexError: They differ.
        """
        index = self._folder / "index"
        try:
            reader = _core.Reader.open(self._folder, index)
        except StorageError:
            return "unreadable" if (index / "data.mdb").exists() else "absent"
        except ConfigError:
            return "open here"
        view = None
        try:
            view = _view_of(reader, core.height)
            if view is None:
                return "behind"
            if view.height > core.height:
                # It was written meanwhile. What the index holds now is compared, and so its blocks come first.
                core.look_further()
                self._replay(core, pipe, view.height)
            count, rows = view.compare(core, DIFFERENCES_NAMED)
        except StorageError:
            return "unreadable"
        finally:
            if view is not None:
                view.close()
            reader.close()
        if count:
            raise FalseIndexError(
                f"the {core.height} blocks of {core.name.partition('#')[0]} are sound, and the index beside them is "
                f"not what they make: {count} row{'s' * (count > 1)} differ{'s' * (count == 1)}",
                count=count, differences=tuple(rows),
            )  # fmt: skip
        return "agrees"

    def _note_keys(self, pipe: Pipe) -> None:
        record = pipe.records.find(LedgerRecord, "ledger")
        if isinstance(record, LedgerRecord):
            self._keys += [key for key in record.checkpoint_keys if key not in self._keys]

    def _compare_checkpoint(self, core: _core.Ledger) -> int | None:
        if self._note is None:
            return None
        size = core.compare_checkpoint(self._note, self._keys)
        if size is None:
            raise TamperError(f"{self._folder / CHECKPOINT} is not signed by a checkpoint key of this ledger")
        return size

    def damage(self, found: FinchainError) -> FinchainError:
        """What is known of a damaged ledger, or `found` itself where every block is whole and executed as stored."""
        survey = _core.Survey(self._folder)
        faults = [Fault.of(row) for row in survey.faults]
        if not faults and isinstance(found, StorageError):
            return found
        if not self._opened:
            try:
                self.run(other_rules=True, blocks_max=survey.whole)
            except FinchainError as error:
                found = TamperError(error.message)
        if self._verified < survey.whole:
            # The block is whole by its hashes, so what failed are the rules, a signature or the state.
            file, offset = survey.place(self._verified) or (self._folder, 0)
            why = found.message.removeprefix(f"block {self._verified}: ")
            faults.insert(0, Fault(str(file), offset, self._verified, self._verified + 1, why))
        if not faults:
            return found
        size, agrees = self._checkpoint_beside_damage(survey)
        return DamageError(
            f"{survey.name.partition('#')[0]} is damaged in {len(faults)} place{'s' * (len(faults) > 1)}",
            faults=tuple(faults), verified_blocks=self._verified, whole=tuple(survey.ranges),
            checkpoint_size=size, checkpoint_agrees=agrees,
            advice=f"finchain repair {self._folder} --from COPY puts back what a backup or another copy has",
        )  # fmt: skip

    def _checkpoint_beside_damage(self, survey: _core.Survey) -> tuple[int | None, bool | None]:
        if self._note is None:
            return None, None
        try:
            # The keys of block 0 where none that came later was verified.
            keys = self._keys or founding_keys(self._folder)
            _, size, expected, _ = _core.verify_checkpoint(
                self._note, log_keys=keys, witnesses=[], witnesses_needed=0, operator_alone=True
            )
        except FinchainError:
            return None, None
        found = survey.root_at(size)
        return size, None if found is None else found == expected


def _view_of(reader: _core.Reader, height: int) -> _core.View | None:
    """The newest state in the index that has at least so many blocks, or `None` where it stays behind."""
    for _ in range(INDEX_LOOKS):
        view = reader.view()
        if view.height >= height:
            return view
        view.close()
        time.sleep(INDEX_PAUSE_SECONDS)
    return None


def _rules_differ(pipe: Pipe, record: LedgerRecord, *, other_rules: bool) -> bool:
    """Whether the rule files here are others than the ledger's, where that was allowed."""
    try:
        pipe.check_rulebook(record)
    except ConfigError:
        if not other_rules or pipe.rulebook(record.rulebook).digest == record.rulebook_digest:
            raise
        return True
    return False
