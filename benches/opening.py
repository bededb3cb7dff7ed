"""Opening a ledger: after a clean close, without its index, and without what was kept of its changes as well.

Auditing it, from its blocks alone, stands beside that.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import finchain as fc
from benches import machine, workload

WORKLOADS = {"singles": (workload.singles, workload.ROWS), "batches": (workload.batches, workload.BATCH_ROWS)}
"""What fills the ledger, and how many instructions that is."""


class Opening:
    """A ledger with one workload in it: a signature for each instruction, or one for a thousand."""

    number = 1
    rounds = 1
    repeat = 5
    warmup_time = 0
    timeout = 600
    params = tuple(WORKLOADS)
    param_names = ("workload",)

    def setup_cache(self) -> str:
        for name, (texts, _) in WORKLOADS.items():
            folder = workload.found(Path.cwd() / "opening" / name)
            with workload.opened(folder) as ledger:
                workload.ingested(ledger, texts(ledger))
        return str(Path.cwd() / "opening")

    def setup(self, folders: str, name: str) -> None:
        self.folder = Path(folders) / name
        self.copy = Path.cwd() / "without-index"
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.folder, self.copy, ignore=shutil.ignore_patterns("index"))

    def time_open_after_a_clean_close(self, folders: str, name: str) -> None:
        workload.opened(self.folder).close()

    def time_open_without_index(self, folders: str, name: str) -> None:
        workload.opened(self.copy).close()

    def time_open_without_index_and_changes(self, folders: str, name: str) -> None:
        shutil.rmtree(self.copy / "ledger" / "changes")
        workload.opened(self.copy).close()

    def time_audit(self, folders: str, name: str) -> None:
        fc.check(self.folder / "ledger")

    def track_bytes_a_row(self, folders: str, name: str) -> float:
        return machine.disk_bytes(self.folder) / WORKLOADS[name][1]
