"""Receipts: making them under one checkpoint, and verifying them offline."""

from __future__ import annotations

from pathlib import Path

import finchain as fc
from benches import workload

RECEIPTS = min(500, workload.ROWS // 2)


class Receipts:
    """Records, absences and instructions of a ledger of some thousand records."""

    timeout = 600

    def setup_cache(self) -> str:
        folder = workload.found(Path.cwd() / "receipts")
        with workload.opened(folder) as ledger:
            workload.ingested(ledger, workload.singles(ledger))
        return str(folder)

    def setup(self, folder: str) -> None:
        self.ledger = workload.opened(Path(folder))
        self.trust = self.ledger.verifier_key
        self.present = [bytes(self.ledger.prove(fc.Receivable, f"R-{n}")) for n in range(RECEIPTS)]
        self.absent = [bytes(self.ledger.prove_absent(fc.Receivable, f"none-{n}")) for n in range(RECEIPTS)]

    def teardown(self, folder: str) -> None:
        self.ledger.close()

    def time_prove_records(self, folder: str) -> None:
        for number in range(RECEIPTS):
            self.ledger.prove(fc.Receivable, f"R-{number}")

    def time_prove_absences(self, folder: str) -> None:
        for number in range(RECEIPTS):
            self.ledger.prove_absent(fc.Receivable, f"none-{number}")

    def time_verify_records(self, folder: str) -> None:
        for receipt in self.present:
            fc.verify(receipt, trust=self.trust, unwitnessed=True)

    def time_verify_absences(self, folder: str) -> None:
        for receipt in self.absent:
            fc.verify(receipt, trust=self.trust, unwitnessed=True)

    def track_record_receipt_size(self, folder: str) -> int:
        return max(map(len, self.present))

    def track_absence_receipt_size(self, folder: str) -> int:
        return max(map(len, self.absent))
