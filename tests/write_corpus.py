"""Writes the pinned corpus: small ledgers as backups, with receipts and what they must be found to hold.

`python tests/write_corpus.py NAME…` makes archives in `tests/corpus/`, and never writes over one: what was committed is
what later versions must read. Keys, days and instructions are the same in every run; salts and checkpoint keys are
drawn, so archives differ, and `instructions_of` gives what does not.
"""

from __future__ import annotations

import io
import json
import lzma
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import finchain as fc
from finchain import instructions as do
from finchain.domain.certificate import Certificate
from finchain.domain.party import Party
from finchain.keys import enrolment_key
from finchain.replay import opened_blocks
from played_deal import case_a, played
from real_ledger import claim, found, key

CORPUS = Path(__file__).parent / "corpus"


@contextmanager
def claims(home: Path) -> Iterator[fc.Ledger]:
    """Claims one by one and in lists, refusals, a key that is exchanged: suite sha256."""
    with found(home, hash_suite="sha256") as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
        ledger.submit_each([claim(f"r-{n}", n) for n in (2, 0, 3)], by=key("shop"), lane="night")
        ledger.submit(do.ConfirmReceivable("r-1", 120_000), by=key("core"))
        new = enrolment_key(ledger.name, "shop/2", fc.Holder(key("shop two"), "The shop"))
        ledger.submit(
            do.RotateKey("shop/1", "shop/2", "ed25519", new.public_key, str(new.possession)), by=key("shop")
        )  # fmt: skip
        ledger.submit([claim("r-4"), claim("r-5")], by=key("shop two"))
        yield ledger


@contextmanager
def deal(home: Path) -> Iterator[fc.Ledger]:
    """The worked example in full, from the claim to the last payment: suite blake3."""
    with played(home, case_a()) as ledger:
        yield ledger


LEDGERS: dict[str, tuple[Callable[[Path], Any], type[Any], str]] = {
    "claims-1": (claims, fc.Receivable, "r-1"),
    "deal-3": (deal, Certificate, "cert-1"),
}
"""The ledgers, and a record of each that receipts speak of. The number counts the states of the rules."""


def write(name: str) -> Path:
    """Makes one archive."""
    make, kind, id = LEDGERS[name]
    target = CORPUS / f"{name}.tar.xz"
    if target.exists():
        raise SystemExit(f"{target} is pinned: take another name")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with make(home) as ledger:
            last = ledger.history(kind, id)[-1]
            receipts = {
                "record": ledger.prove(kind, id),
                "absence": ledger.prove_absent(kind, "never"),
                "instruction": ledger.prove_instruction(last, last.indices[0], signers=True),
                "change": ledger.prove_change(last, kind, id),
                "party": ledger.prove(Party, "shop"),
            }
            ledger.backup(home / name)
            trust = ledger.verifier_key
        audit = fc.check(home / name)
        (home / name / "receipts").mkdir()
        for what, receipt in receipts.items():
            receipt.save(home / name / "receipts" / what)
        expected = {
            "blocks": audit.blocks, "instructions": audit.instructions, "log_root": audit.log_root,
            "records": audit.records, "state_root": audit.state_root, "trust": trust,
        }  # fmt: skip
        (home / name / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        pack(home / name, target)
    return target


def pack(folder: Path, target: Path) -> None:
    """Packs a folder without times, owners and the lock."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock"):
            member = tarfile.TarInfo(str(path.relative_to(folder)))
            member.size = path.stat().st_size
            archive.addfile(member, io.BytesIO(path.read_bytes()))
    target.write_bytes(lzma.compress(buffer.getvalue(), preset=9))


def unpacked(name: str, folder: Path) -> Path:
    """A ledger of the corpus in a folder."""
    with tarfile.open(CORPUS / f"{name}.tar.xz") as archive:
        archive.extractall(folder / name, filter="data")
    return folder / name


def instructions_of(path: Path) -> list[list[Any]]:
    """The instructions of every entry, in order, but for what is drawn: block 0, and signatures of new keys."""
    found = []
    with opened_blocks(path) as (core, blocks, _):
        for height in range(1, blocks):
            entry = 0
            while True:
                try:
                    text = core.entered(height, entry)["instructions"]
                except fc.NotFound:
                    break
                found.append([undrawn(each) for each in json.loads(text)])
                entry += 1
    return found


def undrawn(value: Any) -> Any:
    """A value without the proofs of possession in it, which name the ledger's hash."""
    if isinstance(value, dict):
        return {name: undrawn(member) for name, member in value.items() if name != "possession"}
    return [undrawn(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    for each in sys.argv[1:]:
        print(write(each))
