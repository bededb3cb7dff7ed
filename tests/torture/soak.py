"""Hours of the same work: memory and descriptors stay as they were after the first tenth.

The work rewrites a few records again and again, so that nothing has a reason to grow but the blocks and the index on
disk. It runs at seven tenths of what the machine does at the start.
"""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import finchain as fc
from finchain import instructions as do
from processes import anonymous_kib
from real_ledger import DUE, found, key, reopen

SECONDS = float(os.environ.get("FINCHAIN_SOAK_SECONDS", "60"))
LOAD = 0.7
BATCH = 500
CLAIMS = 64
ROOM_KIB = 32 << 10
"""What the caches and the allocator may still take after the first tenth."""


def test_memory_and_descriptors_stay_level(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        for number in range(CLAIMS):
            claimed = do.SubmitReceivable(f"R-{number}", "shop", "core", 2**50, "CNY", DUE, f"INV-{number}")
            ledger.submit(claimed, by=key("shop"))
    with reopen(tmp_path) as ledger:
        pace = _seconds_a_batch(ledger) / LOAD
        started = time.monotonic()
        first: tuple[int, int] | None = None
        seen: list[tuple[int, int]] = []
        while (passed := time.monotonic() - started) < SECONDS:
            before = time.monotonic()
            _batch(ledger)
            time.sleep(max(0.0, pace - (time.monotonic() - before)))
            if passed > SECONDS / 10:
                gc.collect()
                seen.append((anonymous_kib(os.getpid()), len(os.listdir("/proc/self/fd"))))
                first = first or seen[0]
        assert first is not None
        assert len(seen) > 10, "the machine was too busy to say anything"
        assert max(memory for memory, _ in seen) < first[0] + ROOM_KIB
        assert {descriptors for _, descriptors in seen} == {first[1]}
    fc.check(tmp_path / "real.finchain")


def _batch(ledger: fc.Ledger) -> None:
    orders = [do.ConfirmReceivable(f"R-{number % CLAIMS}", 1) for number in range(BATCH)]
    rows = ledger.submit_each(orders, by=key("core"))
    assert all(isinstance(row, fc.Applied) for row in rows)


def _seconds_a_batch(ledger: fc.Ledger) -> float:
    started = time.monotonic()
    for _ in range(10):
        _batch(ledger)
    return (time.monotonic() - started) / 10
