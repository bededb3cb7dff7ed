"""One ledger that grows to millions of records: `python -m benches.growth [--records N] [--keys KEYS] [folder]`.

Shops claim and buyers confirm in night batches of a thousand under one signature, through the path of every other
ingest. A claim makes two records, itself and its fingerprint; what is counted is records of the state map. With rising
keys ids are numbers and a claim is confirmed soon after it was made; with random keys ids are random, and what is
confirmed is a small part of any claim of the buyer since the beginning, so that every block touches records of all
ages. Batches are made before the clock starts, and the clock stops when the index has them too.

At a hundred thousand records and at every million it prints a line, and with `--out` it adds one of JSON to a file, so
that a run which is stopped keeps its table. There the ledger is closed, and opened by a fresh process, which says how
long that took and what memory it has. At the end it is opened by one that is killed, by one that only reads after that,
and by the next that writes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import finchain as fc
from benches import machine, workload
from finchain import instructions as do

RECORDS = 10_000_000
EVERY = 1_000_000
FIRST = 100_000
"""Where the first line is printed: what later rates are compared with."""

RECORDS_A_CLAIM = 2

PAIRS = workload.PARTIES // 2
"""Pairs of a shop and its buyer, in turn, a batch each."""

SEGMENT_NIGHTS = 50
"""Nights that are made at once and then ingested: some thirty megabytes, and seconds of work."""

PART_MINOR = 1_000
"""What a confirmation of random keys confirms: a claim can be met a thousand times before nothing of it is pending."""

COLUMNS = (
    "keys", "records", "instructions", "a_second", "processor_us", "written_kb", "resident_mb", "anonymous_mb",
    "blocks_mb", "changes_mb", "index_mb", "close_s", "open_s", "opened_mb", "read_killed_s", "open_killed_s", "load",
)  # fmt: skip
"""What is printed of a line; the file has what each stage worked as well."""

_WIDTH = 13

_OPEN = """
import os, pathlib, signal, sys, time
import finchain as fc
from benches import machine
folder, id, how = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
fc.open, fc.Receivable  # what they need is loaded before the clock starts
started = time.perf_counter()
options = {"read_only": True} if how == "read" else {"keys": folder / "keys"}
ledger = fc.open(folder / "ledger", **options)
if ledger.get(fc.Receivable, id) is None:
    sys.exit(f"there is no {id}")
print(time.perf_counter() - started, machine.memory_bytes()[1], flush=True)
if how == "die":
    os.kill(os.getpid(), signal.SIGKILL)
ledger.close()
"""
"""Opens, reads a record, and tells how long that took and what memory it has that is no file's."""


def claim_id(number: int, keys: str) -> str:
    """The id of a claim, made from its number alone."""
    if keys == "rising":
        return f"R-{number:012}"
    return "R-" + hashlib.blake2b(b"%d" % number, digest_size=12, key=b"%d" % workload.SEED).hexdigest()


def nights(ledger: fc.Ledger, keys: str, batch: int) -> Iterator[list[bytes]]:
    """What a pair sends in its night, without an end: the shop's claims, and from its second night on confirmations."""
    signer, draw = workload.Signer(ledger, "growth"), random.Random(workload.SEED)
    for night in count():
        pair = night % PAIRS
        claims = [_claim(n, pair, keys) for n in range(night * batch, (night + 1) * batch)]
        sent = [signer.signed(workload.shop(pair), claims)]
        earlier = range(pair, night, PAIRS)
        if earlier:
            confirmed = [_confirmation(earlier, row, batch, keys, draw) for row in range(batch)]
            sent.append(signer.signed(workload.buyer(pair), confirmed))
        yield sent


def _claim(number: int, pair: int, keys: str) -> do.SubmitReceivable:
    id = claim_id(number, keys)
    return do.SubmitReceivable(
        id, creditor=workload.shop(pair), debtor=workload.buyer(pair), amount_minor=workload.AMOUNT_MINOR,
        currency="CNY", due=workload.DUE, invoice=f"INV-{id}",
    )  # fmt: skip


def _confirmation(earlier: range, row: int, batch: int, keys: str, draw: random.Random) -> do.ConfirmReceivable:
    """Of a claim of the pair's last night, or of a night and a row that are drawn."""
    if keys == "rising":
        return do.ConfirmReceivable(claim_id(earlier[-1] * batch + row, keys), amount_minor=workload.AMOUNT_MINOR)
    return do.ConfirmReceivable(
        claim_id(draw.choice(earlier) * batch + draw.randrange(batch), keys), amount_minor=PART_MINOR
    )


def grown(
    folder: Path, keys: str, records: int, *, every: int = EVERY, batch: int = workload.BATCH
) -> Iterator[dict[str, Any]]:
    """Grows a new ledger in the folder, and gives a line at each mark on the way to `records`.

    Args:
        folder: Holds the ledger and its keys afterwards.
        keys: `rising` or `random`.
        records: Where it ends, rounded up to whole nights.
        every: Records between two lines; one more is given at `FIRST`.
        batch: Claims of a night.
    """
    ledger = workload.opened(workload.found(folder))
    nightly = RECORDS_A_CLAIM * batch
    sent = nights(ledger, keys, batch)
    here = 0
    for mark in sorted({min(FIRST, records), *range(every, records, every), records}):
        segment = _Segment()
        while here < mark:
            size = min(SEGMENT_NIGHTS, -(-(mark - here) // nightly))
            texts = [text for night in islice(sent, size) for text in night]
            here += size * nightly
            segment.ingest(ledger, texts, batch, claim_id(here // RECORDS_A_CLAIM - 1, keys))
        resident, anonymous = machine.memory_bytes()
        started = time.perf_counter()
        ledger.close()
        closing = round(time.perf_counter() - started, 2)
        stages = ledger.stage_times()
        opening, opened = _opened(folder, claim_id(0, keys), "write")
        read = killed = None
        if mark == records:
            _opened(folder, claim_id(0, keys), "die")
            read, _ = _opened(folder, claim_id(0, keys), "read")
            killed, _ = _opened(folder, claim_id(0, keys), "write")
        yield {
            "keys": keys, "records": here, **segment.figures(), "resident_mb": resident >> 20,
            "anonymous_mb": anonymous >> 20, **_disk(folder / "ledger"), "close_s": closing, "open_s": opening,
            "opened_mb": opened >> 20, "read_killed_s": read, "open_killed_s": killed, "load": round(machine.load(), 1),
            "stages_us": {name: round(used / segment.instructions * 1e6, 2) for name, used in stages.items()},
        }  # fmt: skip
        if mark < records:
            ledger = workload.opened(folder)


class _Segment:
    """What the ledger did between two lines."""

    def __init__(self) -> None:
        self.instructions = self.written = 0
        self.seconds = self.processor = 0.0

    def ingest(self, ledger: fc.Ledger, texts: list[bytes], batch: int, last: str) -> None:
        """Sends the batches, and asks for the history of the last claim, which waits for the index."""
        used, started, written = machine.processor_seconds(), time.perf_counter(), machine.written_bytes()
        workload.ingested(ledger, texts)
        list(ledger.history(fc.Receivable, last))
        self.seconds += time.perf_counter() - started
        self.processor += machine.processor_seconds() - used
        self.written += machine.written_bytes() - written
        self.instructions += len(texts) * batch

    def figures(self) -> dict[str, Any]:
        """Rate, processor time and bytes written."""
        return {
            "instructions": self.instructions,
            "a_second": round(self.instructions / self.seconds),
            "processor_us": round(self.processor / self.instructions * 1e6, 1),
            "written_kb": round(self.written / self.instructions / 1024, 1),
        }


def _opened(folder: Path, id: str, how: str) -> tuple[float, int]:
    """How a fresh process opens the ledger: to `write` or `read`, or to `die` with it open.

    Returns:
        Seconds until it had opened it and read a record, and the bytes of memory that it had then.
    """
    told = subprocess.run(
        [sys.executable, "-c", _OPEN, str(folder), id, how], stdout=subprocess.PIPE, text=True, check=False
    )
    if told.returncode != (-signal.SIGKILL if how == "die" else 0):
        raise AssertionError(f"the ledger does not open in another process: {told.returncode}")
    seconds, memory = told.stdout.split()
    return round(float(seconds), 2), int(memory)


def _disk(ledger: Path) -> dict[str, int]:
    """Megabytes by folder of the ledger, those of its other files among the blocks."""
    parts = {name: machine.disk_bytes(ledger / name) for name in ("changes", "index")}
    whole = machine.disk_bytes(ledger)
    return {f"{name}_mb": used >> 20 for name, used in {"blocks": whole - sum(parts.values()), **parts}.items()}


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def main() -> None:
    """Grows a ledger, prints its table line by line, and removes it."""
    parser = argparse.ArgumentParser(description="a ledger that grows to millions of records")
    parser.add_argument("--records", type=int, default=RECORDS, help="records of the state map at the end")
    parser.add_argument("--keys", choices=("rising", "random"), default="rising")
    parser.add_argument("--out", type=Path, help="a file that gets each line as JSON")
    parser.add_argument("folder", nargs="?", type=Path, help="where the ledger is written")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="finchain-growth-", dir=chosen.folder) as name:
        system = machine.file_system(Path(name))
        print(f"finchain {fc.__version__}, {os.cpu_count()} cores: {machine.processor()}; file system {system}")
        if system in machine.MEMORY_SYSTEMS:
            print("NOT DURABLE: the folder is in memory")
        for at, line in enumerate(grown(Path(name) / "growth", chosen.keys, chosen.records)):
            if at == 0:
                print("  ".join(f"{column:>{_WIDTH}}" for column in COLUMNS))
            print("  ".join(f"{_shown(line[column]):>{_WIDTH}}" for column in COLUMNS), flush=True)
            if chosen.out is not None:
                with chosen.out.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
