"""Replaying a ledger from its blocks, beside whoever has it open: with an index of its own, writing nothing there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from finchain import _core
from finchain.domain import rulebook
from finchain.domain.founding import CreateLedger, LedgerRecord
from finchain.errors import FinchainError
from finchain.pipe import Pipe


def first_block_zone(core: _core.Ledger, pipe: Pipe, recovery: dict[str, Any]) -> int:
    """The ledger's time zone in minutes: from its record, or from block 0 where that is still to be replayed."""
    if recovery["replay_from"] > 0:
        record = pipe.records.find(LedgerRecord, "ledger")
        assert isinstance(record, LedgerRecord)
        return record.time_zone_minutes
    (founding,) = msgspec.json.decode(core.entered(0, 0)["instructions"], type=list[rulebook.INSTRUCTIONS])
    if not isinstance(founding, CreateLedger):
        raise FinchainError("block 0 does not found a ledger")
    return founding.time_zone_minutes


@contextmanager
def replayed(path: Path, *, until: int, keep_last: bool = False) -> Iterator[_core.Ledger]:
    """The ledger as it was before block `until`, in memory and a temporary index.

    Args:
        path: The ledger's folder.
        until: Height >= 1 of the first block that is left out.
        keep_last: Keeps what the last block wrote, for a receipt of a change.
    """
    with opened_blocks(path) as (core, _, pipe):
        if keep_last:
            core.keep_writes(until - 1)
        for height in range(until):
            pipe.replay(height, verify_signatures=False)
            pipe.records.trim()
        core.wait_indexed()
        yield core


@contextmanager
def opened_blocks(path: Path) -> Iterator[tuple[_core.Ledger, int, Pipe]]:
    """A ledger's blocks, their number, and a pipe that nothing was replayed through yet."""
    with tempfile.TemporaryDirectory(prefix="finchain-audit-") as folder:
        core, recovery = _core.Ledger.open(path, Path(folder) / "index", read_only=True)
        try:
            pipe = Pipe(core, 0)
            pipe.zone_minutes = first_block_zone(core, pipe, recovery)
            yield core, recovery["blocks"], pipe
        finally:
            core.close()
