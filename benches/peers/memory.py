"""What a load of a file takes of memory, at several sizes of the file, each in a fresh process; P12.

The state map grows with the records, and nothing may grow with the file. Resident pages that belong to files, those of
the index above all, are shown and not judged: the system takes them back when somebody else needs them.
`python -m benches.peers.memory ROWS FOLDER` is one of the processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import finchain as fc
from benches import machine, workload
from finchain import batch

SIZES = (50_000, 200_000)
"""Rows of the files."""

BASE_BYTES = 256 << 20
RECORD_BYTES = 120
"""Target: this much for everything, and this much for each record of the state map."""

RECORDS_A_ROW = 2

MAPPING = """
lane = "night"
confirm = true
transaction_instructions = 1000
[input]
format = "csv"
[columns]
creditor = "Shop"
debtor = "Buyer"
invoice = "No"
amount = { column = "Sum", currency = "CNY" }
due = { column = "Due", format = "%Y-%m-%d" }
[parties]
lookup = "parties.csv"
[keys]
seed = "a benchmark"
"""


def loaded(rows: int, folder: Path) -> dict[str, Any]:
    """Makes a ledger and a file of so many rows, loads the file, and gives what that took of this process's memory."""
    mapping, orders = folder / "orders.toml", folder / "orders.csv"
    mapping.write_text(MAPPING, "utf-8")
    lookup = [f"{party},{party},{party},supplier debtor," for n in range(16) for party in (f"shop-{n}", f"buyer-{n}")]
    (folder / "parties.csv").write_text("\n".join(["value,id,name,roles,key", *lookup]) + "\n", "utf-8")
    with orders.open("w", encoding="utf-8") as file:
        file.write("No,Shop,Buyer,Sum,Due\n")
        for n in range(rows):
            file.write(f"INV-{n:012},shop-{n % 16},buyer-{n % 16},12500.00,2026-08-31\n")
    peak = [0, 0]

    def sample(done: int, planned: int | None) -> None:
        peak[:] = map(max, peak, machine.memory_bytes())

    clock = fc.SimulatedClock(workload.START)
    with fc.create(folder / "ledger", name="bench.example/memory", keys=folder / "keys", clock=clock) as ledger:
        batch.enrol_parties(ledger, mapping)
        before = machine.memory_bytes()
        report = batch.load(ledger, mapping, input=orders, out=folder / "out", progress=sample)
    if report.applied != rows:
        raise AssertionError(f"a load is not applied: {report}")
    return {
        "rows": rows, "file": orders.stat().st_size, "before": before[1], "resident": peak[0], "anonymous": peak[1],
    }  # fmt: skip


def memory(folder: Path, sizes: tuple[int, ...] = SIZES) -> list[str]:
    """A table with a line for each size."""
    lines = [
        "P12: memory of a load, MB",
        f"  {'rows':>10} {'file':>8} {'before':>8} {'at most':>8} {'with pages of files':>20}",
    ]
    for rows in sizes:
        place = folder / f"memory-{rows}"
        place.mkdir()
        command = [sys.executable, "-m", "benches.peers.memory", str(rows), str(place)]
        told = subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, check=True).stdout
        found = json.loads(told)
        allowed = BASE_BYTES + RECORD_BYTES * RECORDS_A_ROW * rows
        verdict = "met" if found["anonymous"] <= allowed else "missed"
        lines.append(
            f"  {rows:10,} {found['file'] / 2**20:8.1f} {found['before'] / 2**20:8.1f}"
            f" {found['anonymous'] / 2**20:8.1f} {found['resident'] / 2**20:20.1f}"
            f"  P12 {verdict}: {allowed / 2**20:,.0f} MB"
        )
    return lines


if __name__ == "__main__":
    print(json.dumps(loaded(int(sys.argv[1]), Path(sys.argv[2]))))
