"""Replaying a ledger from its blocks, beside whoever has it open: with an index of its own, writing nothing there."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from finchain import _core
from finchain.domain.founding import CreateLedger, LedgerRecord
from finchain.domain.rule import Record, business_date
from finchain.domain.rulebook import RULEBOOK_1, Rulebook, by_number
from finchain.errors import FinchainError
from finchain.outcome import Change
from finchain.pipe import Pipe
from finchain.source import Source

SCAN_PAGE: Final = 1_000
"""Records read at once where all are asked for."""


def first_block_zone(core: _core.Ledger, pipe: Pipe, recovery: dict[str, Any]) -> int:
    """The ledger's time zone in minutes: from its record, or from block 0 where that is still to be replayed."""
    if recovery["replay_from"] > 0:
        record = pipe.records.find(LedgerRecord, "ledger")
        assert isinstance(record, LedgerRecord)
        return record.time_zone_minutes
    return _founding(core).time_zone_minutes


def _founding(core: _core.Ledger) -> CreateLedger:
    (founding,) = RULEBOOK_1.decode_one(core.entered(0, 0)["instructions"])
    if not isinstance(founding, CreateLedger):
        raise FinchainError("block 0 does not found a ledger")
    return founding


def founding_keys(path: Path) -> list[str]:
    """The verifier keys that block 0 declares, whose hash is the ledger's name; needs no block but that one.

    Args:
        path: The ledger's folder.

    Raises:
        TamperError: Block 0 is damaged or missing.
    """
    with opened_blocks(path, blocks_max=1) as (core, _, _):
        return _founding(core).checkpoint_keys


@contextmanager
def replayed(
    path: Path, *, until: int, keep_last: bool = False, rulebooks: Sequence[Rulebook] = ()
) -> Iterator[_core.Ledger]:
    """The ledger as it was before block `until`, in memory and a temporary index.

    Args:
        path: The ledger's folder.
        until: Height >= 1 of the first block that is left out.
        keep_last: Keeps what the last block wrote, for a receipt of a change.
        rulebooks: Those that the ledger was under, beside the built-in one.
    """
    with opened_blocks(path, rulebooks) as (core, _, pipe):
        if keep_last:
            core.keep_writes(until - 1)
        pipe.catch_up(0, until)
        yield core


def make_index(
    path: Path, at: Path, *, rulebooks: Sequence[Rulebook] = (), progress: Callable[[int, int], None] | None = None
) -> None:
    """Makes an index of all blocks of a ledger, of which nothing is taken but what the blocks commit to.

    Args:
        path: The ledger's folder, into which nothing is written.
        at: Where the index is made, a folder that does not exist.
        rulebooks: Those that the ledger was under, beside the built-in one.
        progress: Called with blocks done and blocks in all.

    Raises:
        TamperError: A block is not what its transactions and the rules make.
    """
    with _opened(path, at, rulebooks, None) as (_, blocks, pipe):
        pipe.catch_up(0, blocks, None if progress is None else lambda done: progress(done, blocks))


@contextmanager
def opened_blocks(
    path: Path, rulebooks: Sequence[Rulebook] = (), *, blocks_max: int | None = None
) -> Iterator[tuple[_core.Ledger, int, Pipe]]:
    """A ledger's blocks, their number, and a pipe that nothing was replayed through yet.

    Args:
        path: The ledger's folder.
        rulebooks: Those that the ledger was under, beside the built-in one.
        blocks_max: Blocks behind these are not even read, because they may be damaged.
    """
    with (
        tempfile.TemporaryDirectory(prefix="finchain-audit-") as folder,
        _opened(path, Path(folder) / "index", rulebooks, blocks_max) as opened,
    ):
        yield opened


@contextmanager
def _opened(
    path: Path, index: Path, rulebooks: Sequence[Rulebook], blocks_max: int | None
) -> Iterator[tuple[_core.Ledger, int, Pipe]]:
    core, recovery = _core.Ledger.open(path, index, read_only=True, blocks_max=blocks_max)
    try:
        pipe = Pipe(core, 0, rulebooks)
        pipe.zone_minutes = first_block_zone(core, pipe, recovery)
        yield core, recovery["blocks"], pipe
    finally:
        core.close()


def blocks_until(core: Source, day: date, zone_minutes: int) -> int:
    """How many blocks a ledger had at the end of a day; a block's time never falls, so they are the first ones.

    Args:
        core: The ledger.
        day: The day, in the ledger's zone.
        zone_minutes: Offset east of UTC in which its days begin.
    """
    return bisect_right(
        range(core.height), day, key=lambda height: business_date(core.entered(height, 0)["time_ms"], zone_minutes)
    )


def replayed_records(path: Path, *, until: int, rulebooks: Sequence[Rulebook] = ()) -> Iterator[Record]:
    """Every record as it was before block `until`, in the order of birth; arguments are those of `replayed`."""
    with replayed(path, until=until, rulebooks=rulebooks) as core:
        yield from all_records(core, by_number(rulebooks)[core.rulebook].records)


def replayed_changes(path: Path, *, until: int, rulebooks: Sequence[Rulebook] = ()) -> Iterator[Change]:
    """What each applied instruction before block `until` did, in order; arguments are those of `replayed`."""
    with opened_blocks(path, rulebooks) as (core, _, pipe):
        for height in range(until):
            yield from pipe.changes(height, until)
            pipe.records.trim()
        # What the core compares behind the rules has been compared when everything is in its index.
        core.wait_indexed()


def all_records(core: Source, kinds: Mapping[str, type[Record]]) -> Iterator[Record]:
    """Every record of these kinds, in the order of birth; the ledger must not change meanwhile."""
    start: int | None = 0
    while start is not None:
        page, start = core.scan(None, start, SCAN_PAGE)
        yield from (msgspec.json.decode(text, type=kinds[kind]) for kind, text in page if kind in kinds)
