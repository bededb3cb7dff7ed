"""finchain beside its peers, alternating in one run: `python -m benches.peers.run [--rows N] [--rounds N] [folder]`.

Each contest names what its entries do and what they leave out. Ratios are worth reading; absolute figures belong to the
machine that is printed above them. Nothing here is durable if the folder is in memory, and then the page says so.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import finchain as fc
from benches import workload
from finchain import _core

ROUNDS = 5
"""Rounds of every entry, in turn with the others, so that a busy minute hits all of them."""

SIGNATURES = 4_096
ALONE = 512
"""Signatures for those who verify one at a time."""

Run = Callable[[], int]
"""Does the work that is timed, and gives how many items it did."""


@dataclass(frozen=True)
class Entry:
    """One way to do the work.

    Attributes:
        name: Who, and what is left out.
        prepare: Called before each round and not timed; gives the run.
    """

    name: str
    prepare: Callable[[], Run]


@dataclass(frozen=True)
class Contest:
    """Entries that are compared; the first is finchain."""

    title: str
    item: str
    entries: list[Entry]


# ---- verification
# Peers are imported where they are used: asv reads this module too, in environments that hold finchain alone.
def _pyca(claims: list[tuple[bytes, bytes, bytes]]) -> Run:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys = {public: Ed25519PublicKey.from_public_bytes(public) for public, _, _ in claims}

    def run() -> int:
        for public, signature, message in claims:
            keys[public].verify(signature, message)
        return len(claims)

    return run


def _pynacl(claims: list[tuple[bytes, bytes, bytes]]) -> Run:
    from nacl.signing import VerifyKey

    keys = {public: VerifyKey(public) for public, _, _ in claims}

    def run() -> int:
        for public, signature, message in claims:
            keys[public].verify(message, signature)
        return len(claims)

    return run


def _batch(claims: list[tuple[bytes, bytes, bytes]]) -> Run:
    def run() -> int:
        if any(_core.verify_batch(claims)):
            raise AssertionError("a good signature is not accepted")
        return len(claims)

    return run


def _alone(claims: list[tuple[bytes, bytes, bytes]]) -> Run:
    def run() -> int:
        for claim in claims:
            if _core.verify_signature(*claim) is not None:
                raise AssertionError("a good signature is not accepted")
        return len(claims)

    return run


def verification() -> Contest:
    """Ed25519 signatures over 300 bytes."""
    few, many = workload.signatures(SIGNATURES, 32), workload.signatures(SIGNATURES, SIGNATURES)
    some = few[:ALONE]
    entries = [
        Entry("finchain, batch, 32 keys", lambda: _batch(few)),
        Entry("finchain, batch, a key each", lambda: _batch(many)),
        Entry("finchain, one at a time", lambda: _alone(some)),
        Entry("pyca/cryptography, one at a time", lambda: _pyca(some)),
    ]
    try:
        import nacl  # noqa: F401 - only whether it is there
    except ImportError:
        print("PyNaCl is not installed and is left out", file=sys.stderr)
    else:
        entries.append(Entry("PyNaCl, one at a time", lambda: _pynacl(some)))
    return Contest("Ed25519 verification from Python, all cores", "signature", entries)


# ---- durable writing
def _ingest(template: Path, target: Path, texts: list[bytes], rows: int) -> Run:
    ledger = workload.copied(template, target)

    def run() -> int:
        workload.ingested(ledger, texts)
        ledger.close()
        return rows

    return run


def _sqlite(target: Path, texts: list[bytes], commit_every: int) -> Run:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    connection = sqlite3.connect(target / "rows.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, body BLOB)")

    def run() -> int:
        for start in range(0, len(texts), commit_every):
            connection.execute("BEGIN")
            for number in range(start, min(start + commit_every, len(texts))):
                connection.execute("INSERT INTO rows VALUES (?, ?)", (f"R-{number}", texts[number]))
            connection.execute("COMMIT")
        connection.close()
        return len(texts)

    return run


def writing(folder: Path, rows: int) -> Contest:
    """Rows made durable: by a ledger that verifies and runs rules, and by a table that does neither."""
    template = workload.found(folder / "template")
    with workload.copied(template, folder / "name") as ledger:
        single, thousand = workload.singles(ledger, rows), workload.batches(ledger, 5 * rows)
    few = single[: min(rows, 1_000)]
    entries = [
        Entry("finchain, a signature each", lambda: _ingest(template, folder / "a", single, rows)),
        Entry("finchain, a signature a thousand", lambda: _ingest(template, folder / "b", thousand, 5 * rows)),
        Entry("SQLite, a commit a thousand, no signatures", lambda: _sqlite(folder / "c", single, 1_000)),
        Entry("SQLite, a commit each, no signatures", lambda: _sqlite(folder / "d", few, 1)),
    ]
    return Contest("Durable writing", "instruction", entries)


def receipts(folder: Path, rows: int) -> Contest:
    """Proofs made and checked; peers that prove anything are not in this language's registry under a free licence."""
    built = workload.found(folder / "receipts")
    with workload.opened(built) as ledger:
        workload.ingested(ledger, workload.singles(ledger, rows))
        trust = ledger.verifier_key
        count = min(rows // 2, 1_000)
        made = [bytes(ledger.prove(fc.Receivable, f"R-{n}")) for n in range(count)]

    def prove() -> Run:
        ledger = workload.opened(built)
        ledger.checkpoint()

        def run() -> int:
            for number in range(count):
                ledger.prove(fc.Receivable, f"R-{number}")
            ledger.close()
            return count

        return run

    def verify() -> Run:
        def run() -> int:
            for receipt in made:
                fc.verify(receipt, trust=trust, unwitnessed=True)
            return count

        return run

    return Contest("Receipts", "receipt", [Entry("finchain, made", prove), Entry("finchain, verified", verify)])


# ---- the page
def measured(contest: Contest, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Seconds an item of every entry, one a round, entries in turn."""
    seconds: dict[str, list[float]] = {entry.name: [] for entry in contest.entries}
    for _ in range(rounds):
        for entry in contest.entries:
            run = entry.prepare()
            started = time.perf_counter()
            items = run()
            seconds[entry.name].append((time.perf_counter() - started) / items)
    yield from seconds.items()


def print_contest(contest: Contest, rounds: int) -> None:
    """One table: median, spread between the quickest and the slowest round, and the ratio to the first entry."""
    print(f"\n{contest.title}")
    print(f"  {'':44} {'µs/' + contest.item:>16} {'per second':>12} {'spread':>8} {'time, × first':>14}")
    first = 0.0
    for name, seconds in measured(contest, rounds):
        median = statistics.median(seconds)
        first = first or median
        spread = (max(seconds) - min(seconds)) / median
        print(f"  {name:44} {median * 1e6:16.2f} {1 / median:12,.0f} {spread:8.0%} {median / first:14.2f}")


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    features = [flag for flag in ("avx2", "avx512ifma", "sha_ni") if flag in flags]
    return f"{names[0] if names else 'unknown'} ({', '.join(features)})"


def _file_system(folder: Path) -> str:
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    except OSError:
        return "unknown"
    above = [(len(m[1]), m[2]) for m in mounts if folder.resolve().is_relative_to(m[1])]
    return max(above)[1] if above else "unknown"


def main() -> None:
    """Runs every contest and prints the page."""
    parser = argparse.ArgumentParser(description="finchain beside its peers")
    parser.add_argument("--rows", type=int, default=workload.ROWS, help="instructions in the durable contests")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of every entry")
    parser.add_argument("folder", nargs="?", type=Path, help="where ledgers and tables are written")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="finchain-peers-", dir=chosen.folder) as name:
        folder = Path(name)
        system = _file_system(folder)
        durability = "NOT DURABLE: the folder is in memory" if system in {"tmpfs", "ramfs"} else "fdatasync a commit"
        print(f"finchain {fc.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores: {_processor()}")
        print(f"file system {system}, {durability}; SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL")
        print(f"{chosen.rounds} rounds in turn; median and spread")
        print_contest(verification(), chosen.rounds)
        print_contest(writing(folder, chosen.rows), chosen.rounds)
        print_contest(receipts(folder, chosen.rows), chosen.rounds)


if __name__ == "__main__":
    main()
