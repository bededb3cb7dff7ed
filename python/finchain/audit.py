"""Audit: a whole ledger verified from its blocks alone, by the same pipe that wrote it.

Signatures, hashes, rules and state roots are checked again, block by block, with an index of the audit's own; the
ledger's index and cache are not looked at. It writes nothing into the ledger's folder, which may be in use.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from finchain import _core
from finchain.domain.founding import LedgerRecord
from finchain.domain.rulebook import Rulebook
from finchain.errors import TamperError
from finchain.opening import Progress
from finchain.replay import opened_blocks


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
    """

    ledger: str
    blocks: int
    transactions: int
    instructions: int
    records: int
    state_root: str
    log_root: str
    checkpoint_size: int | None

    def __str__(self) -> str:
        covered = (
            "no checkpoint" if self.checkpoint_size is None else f"checkpoint over {self.checkpoint_size} blocks agrees"
        )
        return (
            f"{self.ledger.partition('#')[0]}: {self.blocks} blocks, {self.transactions} transactions, "
            f"{self.instructions} instructions verified; {self.records} records, {covered}"
        )


def check(
    path: str | os.PathLike[str], *, progress: Progress | None = None, rulebooks: Sequence[Rulebook] = ()
) -> Audit:
    """Verifies every block of a ledger.

    Args:
        path: The ledger's folder.
        progress: Called after each block.
        rulebooks: Those that the ledger was under, beside the built-in one.

    Raises:
        TamperError: Something is not what was signed or what the rules make; the message names the block and the entry.
        NotFound: There is no ledger in this folder.
    """
    transactions = instructions = 0
    with opened_blocks(Path(path), rulebooks) as (core, blocks, pipe):
        for height in range(blocks):
            more = pipe.replay(height, verify_signatures=True)
            transactions, instructions = transactions + more[0], instructions + more[1]
            pipe.records.trim()
            if progress is not None:
                progress(height + 1, blocks)
        core.wait_indexed()
        size, log_root = core.log_root
        record = pipe.records.find(LedgerRecord, "ledger")
        assert isinstance(record, LedgerRecord)
        pipe.check_rulebook(record)
        return Audit(
            ledger=core.name, blocks=size, transactions=transactions, instructions=instructions,
            records=core.records_count, state_root=core.state_root.hex(), log_root=log_root.hex(),
            checkpoint_size=_compare_checkpoint(Path(path), core, record.checkpoint_keys),
        )  # fmt: skip


def _compare_checkpoint(path: Path, core: _core.Ledger, keys: list[str]) -> int | None:
    try:
        note = (path / "checkpoint").read_bytes()
    except FileNotFoundError:
        return None
    size = core.compare_checkpoint(note, keys)
    if size is None:
        raise TamperError(f"{path / 'checkpoint'} is not signed by a checkpoint key of this ledger")
    return size
