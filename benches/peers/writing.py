"""Instructions made durable, beside rows and leaves made durable by those who check no signature and run no rule.

A ledger verifies, runs the rules, puts a state root into every block and syncs it before it answers; the clock stops
when its index is written and it is closed. What a peer leaves out stands in its name.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from benches import workload
from benches.peers.contest import Contest, Entry, Run, Target, present
from benches.peers.postgres import postgres_copy
from benches.peers.receipts import pymerkle
from benches.peers.tessera import built, tessera
from benches.peers.verification import Claims, pyca, pynacl

MANY = 2_000
"""Parties of P2: a batch of signatures meets each key once or twice."""

COMMIT_ROWS = 1_000

SYNCED_ALONE = 1_000
"""Rows for those who sync each by itself."""


def ingest(template: Path, target: Path, texts: Sequence[bytes], instructions: int) -> Callable[[], Run]:
    """Prepares a fresh copy of a ledger; the run submits everything and closes it."""

    def prepare() -> Run:
        ledger = workload.copied(template, target)

        def run() -> int:
            workload.ingested(ledger, texts)
            ledger.close()
            return instructions

        return run

    return prepare


def _sqlite(target: Path, texts: Sequence[bytes], commit_every: int) -> Entry:
    def prepare() -> Run:
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

    each = "each" if commit_every == 1 else "a thousand"
    return Entry(f"SQLite, a commit {each}, rows alone", prepare)


def _pymerkle(target: Path, texts: Sequence[bytes]) -> Entry:
    """Its tree in SQLite, which syncs every commit as it comes, with the tree's root at each as our blocks have."""
    library = pymerkle()

    def prepare() -> Run:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        tree = library.SqliteTree(str(target / "tree.db"))

        def run() -> int:
            for start in range(0, len(texts), COMMIT_ROWS):
                tree.append_entries(texts[start : start + COMMIT_ROWS])
                tree.get_root()
            tree.close()
            return len(texts)

        return run

    return Entry("pymerkle in SQLite, a commit a thousand, unsigned", prepare)


def alone(folder: Path, rows: int) -> Contest:
    """Transactions of one instruction, each with its signature; P1 and P2."""
    few, many = workload.found(folder / "few"), workload.found(folder / "many", min(MANY, rows))
    with workload.copied(few, folder / "name") as ledger:
        by_few = workload.singles(ledger, rows)
    with workload.copied(many, folder / "name") as ledger:
        by_many = workload.singles(ledger, rows, min(MANY, rows))
    claims: Claims = workload.signatures(min(rows, 1_024), workload.PARTIES)
    synced = by_few[: min(rows, SYNCED_ALONE)]
    entries = [
        Entry("finchain, 32 parties", ingest(few, folder / "a", by_few, rows), targets=(Target("P1", 75_000),)),
        Entry("finchain, 2,000 parties", ingest(many, folder / "b", by_many, rows), targets=(Target("P2", 55_000),)),
        *present(
            [
                lambda: pyca(claims),
                lambda: pynacl(claims),
                lambda: _sqlite(folder / "c", by_few, COMMIT_ROWS),
                lambda: _sqlite(folder / "d", synced, 1),
                lambda: _pymerkle(folder / "e", by_few),
            ]
        ),
    ]
    return Contest("P1, P2: durable, a signature for each instruction", "instruction", entries)


def together(folder: Path, rows: int) -> Contest:
    """Transactions of a thousand instructions under one signature; P3. Peers get the instructions' bytes."""
    template = workload.found(folder / "template")
    with workload.copied(template, folder / "name") as ledger:
        texts = workload.batches(ledger, rows)
    bodies = list(_bodies(texts))
    entries = [
        Entry("finchain", ingest(template, folder / "a", texts, rows), targets=(Target("P3", 200_000),)),
        *present(
            [
                lambda: tessera(built(folder), folder / "b", bodies),
                lambda: tessera(built(folder), folder / "c", bodies, COMMIT_ROWS),
                lambda: postgres_copy(folder / "d", bodies),
                lambda: _sqlite(folder / "e", bodies, COMMIT_ROWS),
            ]
        ),
    ]
    return Contest("P3: durable, a signature for a thousand instructions", "instruction", entries)


class _Sent(msgspec.Struct):
    """A transaction as it is sent, of which its instructions are wanted as they stand."""

    instructions: list[msgspec.Raw]


def _bodies(texts: Sequence[bytes]) -> Iterator[bytes]:
    """The bytes of every instruction."""
    for text in texts:
        yield from (bytes(raw) for raw in msgspec.json.decode(text, type=_Sent).instructions)
