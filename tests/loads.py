"""A desk for batch loads: a mapping, a lookup, orders, and a ledger on which the parties are registered."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import msgspec

import finchain as fc
from finchain import batch

DAY = date(2026, 3, 2)

MAPPING = """
lane = "night"
confirm = true
max_rejects = 20
max_refused = 20
transaction_instructions = 4
[input]
path = "orders.csv"
format = "csv"
[columns]
creditor = "Seller"
debtor = "Buyer"
invoice = "No"
amount = { column = "Sum", currency_column = "Cur" }
due = { column = "Day", format = "%d.%m.%Y", plus_days = 60 }
[parties]
lookup = "parties.csv"
[keys]
seed = "a test"
"""

LOOKUP = """value,id,name,roles,key
Sun,sun,Sonne & Söhne GmbH,supplier,
Sun Ltd,sun,Sonne & Söhne GmbH,supplier,
Moon,moon,月亮电子有限公司,supplier debtor,
Côte d'Ivoire,ci,Ministère de la Santé · Côte d'Ivoire,debtor,
Peru,pe,Ministerio de Salud del Perú,debtor,
"""


def lines_of(*rows: str) -> str:
    return "\n".join(["No,Seller,Buyer,Sum,Cur,Day", *rows, ""])


def orders(count: int) -> str:
    """Good orders of two sellers to two buyers; the n-th is worth n cents more than a hundred."""
    buyers = ("Peru", "Côte d'Ivoire")
    amounts = [f"{100 + n // 100}.{n % 100:02}" for n in range(count)]
    return lines_of(
        *(
            f"I-{n},{('Sun', 'Moon')[n % 2]},{buyers[n // 2 % 2]},{amount},USD,2.6.2025"
            for n, amount in enumerate(amounts)
        )
    )


def founded(desk: Path, name: str = "night.finchain", mapping: str = "mapping.toml") -> fc.Ledger:
    made = fc.create(desk / name, name="example.org/night", clock=fc.SimulatedClock(DAY))
    batch.enrol_parties(made, desk / mapping)
    return made


def loaded(ledger: fc.Ledger, desk: Path, content: str | bytes | None = None, **more: object) -> batch.LoadReport:
    """Loads `orders.csv`, which is written anew where there is a content."""
    if content is not None:
        (desk / "orders.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    report = batch.load(ledger, desk / "mapping.toml", out=desk / "out", **more)  # type: ignore[arg-type]
    assert report.rows == report.ready + report.rejected
    if not report.dry_run and not report.problem:
        assert report.rows == report.applied + report.refused + report.rejected + report.waiting
    return report


def rejects_of(report: batch.LoadReport) -> list[dict[str, str]]:
    assert report.rejects is not None
    text = Path(report.rejects).read_bytes().decode("utf-8", "surrogateescape")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def claims_of(ledger: fc.Ledger) -> dict[str, fc.Receivable]:
    """The claims by id, without their fingerprints, in which the ledger's name is hashed."""
    return {claim.id: msgspec.structs.replace(claim, fingerprint="") for claim in ledger.find(fc.Receivable)}


def altered(desk: Path, old: str, new: str) -> None:
    path = desk / "mapping.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
