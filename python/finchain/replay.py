"""Replaying a ledger from its blocks, beside whoever has it open: with an index of its own, writing nothing there."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from finchain import _core
from finchain.domain.founding import CreateLedger, LedgerRecord
from finchain.domain.rule import Record, business_date
from finchain.domain.rulebook import RULEBOOK_1, Rulebook, by_number
from finchain.errors import FinchainError, Refused
from finchain.outcome import Attempt, Change
from finchain.pipe import Pipe, rulebook_of
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


def attempts(
    path: Path, *, until: int, zone_minutes: int, rulebooks: Mapping[int, Rulebook], start: tuple[int, int] = (0, 0)
) -> Iterator[Attempt]:
    """Every instruction that entered a block before block `until`, in order, without the texts of refusals.

    The blocks alone are read: each is whole by its hashes and follows the one before it.

    Args:
        path: The ledger's folder.
        until: Height of the first block that is left out.
        zone_minutes: Offset east of UTC in which the ledger's days begin.
        rulebooks: All rulebooks that are here, by their numbers.
        start: Height and entry of the first transaction that is given.

    Raises:
        TamperError: A block is damaged.
        ConfigError: A transaction was made for a rulebook that is not here.
    """
    chain = _core.Chain(path)
    while blocks := chain.next(until):
        for entered in blocks:
            if (entered["height"], entered["entry"]) >= start:
                yield from _attempts_of(entered, zone_minutes, rulebooks)


def _attempts_of(entered: dict[str, Any], zone_minutes: int, rulebooks: Mapping[int, Rulebook]) -> Iterator[Attempt]:
    header = msgspec.json.decode(entered["header"])
    refused = dict(entered["refused"])
    others: Literal["held_back", "applied"] = "held_back" if header["mode"] == "all" and refused else "applied"
    day = business_date(entered["time_ms"], zone_minutes)
    instructions = rulebook_of(rulebooks, header["rulebook"]).decode_one(entered["instructions"])
    for index, instruction in enumerate(instructions):
        code = refused.get(index, "")
        yield Attempt(
            height=entered["height"], entry=entered["entry"], index=index, time_ms=entered["time_ms"], day=day,
            transaction=entered["id"], by=tuple(header["by"]), lane=header["lane"], sequence=header["sequence"],
            mode=header["mode"], instruction=instruction, status="refused" if code else others,
            code=code or (next(iter(refused.values())) if others == "held_back" else ""),
        )  # fmt: skip


def with_refusals(path: Path, found: Iterable[Attempt], rulebooks: Sequence[Rulebook]) -> Iterator[Attempt]:
    """Attempts, in order, with what each refusal said: the rules say it again, in the state of that time.

    Nothing is executed before the first one that was refused. What was kept of other blocks is taken over.

    Args:
        path: The ledger's folder.
        found: Attempts, in the order of their places.
        rulebooks: Those that the ledger was under, beside the built-in one.

    Raises:
        TamperError: A block is not what its transactions and the rules make.
    """
    with ExitStack() as stack:
        pipe: Pipe | None = None
        height, refusals = -1, dict[tuple[int, int], Refused]()
        for attempt in found:
            if attempt.status == "refused":
                if pipe is None:
                    _, _, pipe = stack.enter_context(opened_blocks(path, rulebooks))
                if attempt.height != height:
                    height = attempt.height
                    pipe.catch_up(pipe.core.height, height)
                    refusals = pipe.refusals(height)
                refusal = refusals[attempt.entry, attempt.index]
                attempt = msgspec.structs.replace(attempt, refusal=refusal)
            yield attempt


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
