"""A full audit beside the ingest that made the ledger: every signature, hash, rule and state root again; P7.

Both run on all cores and on one, to show what a second core brings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import finchain as fc
from benches import workload
from benches.peers.contest import Contest, Entry, Run, Target
from benches.peers.writing import ingest

LINEAR = 1.8
"""What two cores are to bring over one: nearly all of a second one."""


def auditing(folder: Path, rows: int) -> list[Contest]:
    """P7, with a signature for each instruction and with one for a thousand."""
    template = workload.found(folder / "template")
    with workload.copied(template, folder / "name") as ledger:
        alone, together = workload.singles(ledger, rows), workload.batches(ledger, 5 * rows)
    return [
        _contest(template, folder / "alone", "a signature each", alone, rows),
        _contest(template, folder / "together", "a signature a thousand", together, 5 * rows),
    ]


def _contest(template: Path, folder: Path, name: str, texts: Sequence[bytes], instructions: int) -> Contest:
    with workload.copied(template, folder) as ledger:
        workload.ingested(ledger, texts)

    def audit() -> int:
        fc.check(folder / "ledger")
        return instructions

    again = ingest(template, folder.with_name(f"{folder.name}-again"), texts, instructions)
    targets = (Target("P7", 1, "finchain, ingest"), Target("P7", LINEAR, "finchain, audit on one core"))
    cores = sorted(os.sched_getaffinity(0))
    entries = [Entry("finchain, ingest", again), Entry("finchain, audit", lambda: audit, targets=targets)]
    if len(cores) > 1:
        entries += [
            Entry("finchain, ingest on one core", _on(cores[:1], again), lambda: pin(cores)),
            Entry("finchain, audit on one core", _on(cores[:1], lambda: audit), lambda: pin(cores)),
        ]
    return Contest(f"P7: a full audit, {name}", "instruction", entries)


def _on(cores: Sequence[int], prepare: Callable[[], Run]) -> Callable[[], Run]:
    def pinned() -> Run:
        pin(cores)
        return prepare()

    return pinned


def pin(cores: Sequence[int]) -> None:
    """Keeps every thread that this process has or will have on these cores."""
    for thread in os.listdir("/proc/self/task"):
        # A thread may have ended meanwhile.
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), cores)
