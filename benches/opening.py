"""Opening a ledger: after a clean close, with its index lost, and auditing it from its blocks alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import finchain as fc
from benches import workload


class Opening:
    """A ledger with one workload in it."""

    number = 1
    rounds = 1
    repeat = 5
    warmup_time = 0
    timeout = 600

    def setup_cache(self) -> str:
        folder = workload.found(Path.cwd() / "opening")
        with workload.opened(folder) as ledger:
            workload.ingested(ledger, workload.singles(ledger))
        return str(folder)

    def setup(self, folder: str) -> None:
        self.folder = Path(folder)
        self.copy = Path.cwd() / "without-index"
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.folder, self.copy, ignore=shutil.ignore_patterns("index"))

    def time_open_after_a_clean_close(self, folder: str) -> None:
        workload.opened(self.folder).close()

    def time_open_without_index(self, folder: str) -> None:
        workload.opened(self.copy).close()

    def time_audit(self, folder: str) -> None:
        fc.check(self.folder / "ledger")

    def track_bytes_a_row(self, folder: str) -> float:
        used = sum(path.stat().st_blocks * 512 for path in self.folder.rglob("*") if path.is_file())
        return used / workload.ROWS
