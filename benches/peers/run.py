"""finchain beside its peers, in one run: `python -m benches.peers.run [--only NAME] [--rows N] [--rounds N] [folder]`.

Each contest names what its entries do and what they leave out. Ratios are worth reading; absolute figures belong to the
machine that is printed above them. Nothing here is durable if the folder is in memory, and then the page says so.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import finchain as fc
from benches import machine, workload
from benches.peers.auditing import auditing
from benches.peers.contest import print_contest
from benches.peers.importing import importing
from benches.peers.memory import memory
from benches.peers.receipts import receipts
from benches.peers.verification import verification
from benches.peers.writing import alone, together

ROUNDS = 5
"""Rounds of every entry, in turn with the others, so that a busy minute hits all of them."""


def _audits(folder: Path, rows: int, rounds: int) -> None:
    for contest in auditing(folder, rows):
        print_contest(contest, rounds)


CONTESTS: dict[str, Callable[[Path, int, int], None]] = {
    "verification": lambda folder, rows, rounds: print_contest(verification(), rounds),
    "alone": lambda folder, rows, rounds: print_contest(alone(folder, rows), rounds),
    "together": lambda folder, rows, rounds: print_contest(together(folder, 5 * rows), rounds),
    "receipts": lambda folder, rows, rounds: print_contest(receipts(folder, rows), rounds),
    "audit": _audits,
    "memory": lambda folder, rows, rounds: print("\n" + "\n".join(memory(folder)), flush=True),
    "import": lambda folder, rows, rounds: print_contest(importing(folder), rounds),
}
"""What can be run alone: folder, instructions that are signed alone, rounds."""


def main() -> None:
    """Runs every contest, or one, and prints the page."""
    parser = argparse.ArgumentParser(description="finchain beside its peers")
    parser.add_argument("--only", choices=CONTESTS, help="one contest")
    parser.add_argument("--rows", type=int, default=workload.ROWS, help="instructions that are signed alone")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of every entry")
    parser.add_argument("folder", nargs="?", type=Path, help="where ledgers and tables are written")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="finchain-peers-", dir=chosen.folder) as name:
        # PostgreSQL runs as another user where this is root, and must be able to pass through to its own folder.
        os.chmod(name, 0o711)
        system = machine.file_system(Path(name))
        durability = "fdatasync a commit"
        if system in machine.MEMORY_SYSTEMS:
            durability = "NOT DURABLE: the folder is in memory"
        print(f"finchain {fc.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores: ", end="")
        print(machine.processor())
        print(f"file system {system}, {durability}; SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL")
        print(f"{chosen.rounds} rounds in turn; median and spread; processor: µs of this process and of ended children")
        for contest in [chosen.only] if chosen.only else CONTESTS:
            folder = Path(name) / contest
            folder.mkdir(mode=0o711)
            CONTESTS[contest](folder, chosen.rows, chosen.rounds)
        print(f"\nload {machine.load():.1f} at the end")


if __name__ == "__main__":
    main()
