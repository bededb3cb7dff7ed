"""Receipts made and verified, beside the inclusion proofs of a plain tree.

A receipt proves a record against a checkpoint that is signed: paths through two trees, a header and a signature. A
proof of pymerkle is one path, against a root that the verifier is taken to know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import finchain as fc
from benches import workload
from benches.peers.contest import Contest, Entry, Run, Target, needed, present
from finchain import _core

RECEIPTS = 1_000


def receipts(folder: Path, rows: int) -> Contest:
    """P5, of the records of a ledger with `rows` instructions."""
    template = workload.found(folder / "receipts")
    with workload.opened(template) as ledger:
        texts = workload.singles(ledger, rows)
        workload.ingested(ledger, texts)
        trust = ledger.verifier_key
        count = min(rows // 2, RECEIPTS)
        made = [bytes(ledger.prove(fc.Receivable, f"R-{n}")) for n in range(count)]

    def prove() -> Run:
        ledger = workload.opened(template)
        ledger.checkpoint()

        def run() -> int:
            for number in range(count):
                ledger.prove(fc.Receivable, f"R-{number}")
            ledger.close()
            return count

        return run

    trusted: dict[str, Any] = {"log_keys": [trust], "witnesses": [], "witnesses_needed": 0, "operator_alone": True}

    def verify_in_rust() -> int:
        for receipt in made:
            _core.verify_receipt(receipt, **trusted)
        return count

    def verify_together() -> int:
        return len(_core.verify_receipts(made, **trusted))

    def verify_all() -> int:
        return sum(1 for _ in fc.verify_all(made, trust=trust, unwitnessed=True))

    def verify() -> int:
        for receipt in made:
            fc.verify(receipt, trust=trust, unwitnessed=True)
        return count

    entries = [
        Entry("finchain, made", prove, targets=(Target("P5", 20_000),)),
        Entry("finchain, verified in Rust, one by one", lambda: verify_in_rust, targets=(Target("P5", 20_000),)),
        Entry("finchain, verified in Rust, in one call", lambda: verify_together, targets=(Target("P5", 20_000),)),
        Entry("finchain, verified one by one, with a typed answer", lambda: verify),
        Entry("finchain, verified in one call, with a typed answer", lambda: verify_all),
        *present([lambda: _pymerkle(texts, count, made=True), lambda: _pymerkle(texts, count, made=False)]),
    ]
    return Contest("P5: receipts", "receipt", entries)


def pymerkle() -> Any:
    """The library, where somebody has installed it: it is under the GPL, and nothing here does."""
    return needed("pymerkle", "the plain tree", "pip install pymerkle, which is under the GPL")


def _pymerkle(texts: list[bytes], count: int, *, made: bool) -> Entry:
    """Makes or verifies paths of the first leaves of a tree."""
    library = pymerkle()
    tree = library.InmemoryTree()
    tree.append_entries(texts)
    top = tree.get_root()
    paths = [(tree.get_leaf(number + 1), tree.prove_inclusion(number + 1)) for number in range(count)]
    tree.cache_clear()

    def make() -> int:
        for number in range(count):
            tree.prove_inclusion(number + 1)
        return count

    def verify() -> int:
        for leaf, path in paths:
            library.verify_inclusion(leaf, top, path)
        return count

    run, done = (make, "made") if made else (verify, "verified")
    return Entry(f"pymerkle in memory, {done}: a path alone", lambda: run)
