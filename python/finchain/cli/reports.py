"""`totals`, `positions`, `due`, `promises`, `security`, `holdings`, `trace`, `postings`: what it holds, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from finchain.cli.options import FOLDER, reads, reads_ledger, talks
from finchain.cli.screen import Screen
from finchain.errors import TamperError
from finchain.money import format_minor
from finchain.reading import Reading
from finchain.report import due as due_of
from finchain.report import holdings as holdings_of
from finchain.report import positions as positions_of
from finchain.report import postings as postings_of
from finchain.report import promises as promises_of
from finchain.report import security as security_of
from finchain.report import trace as trace_of
from finchain.report.trace import KINDS


def _list(screen: Screen, path: Path, options: dict[str, Any], ask: Callable[[Reading], Iterable[Any]]) -> None:
    """Shows what answers a question, one after the other."""
    with reads_ledger(screen, path, options) as ledger:
        for each in ask(ledger):
            screen.show(each, str(each))


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="At the end of this day, by a replay until then.")
@reads
@talks
def totals(screen: Screen, path: Path, as_of: datetime | None, ledger_options: dict[str, Any]) -> None:
    """Shows claims, certificates, loans, guarantees, accounts and cash in one balanced table per currency."""
    with reads_ledger(screen, path, ledger_options) as ledger:
        made = ledger.totals(None if as_of is None else as_of.date())
    screen.talk(f"as of {made.as_of}, after {made.height} blocks")
    for table in made.currencies:
        told = {"as_of": made.as_of, "height": made.height, "balanced": table.balanced, **msgspec.to_builtins(table)}
        screen.show(told, str(table))
    if not made.balanced:
        raise TamperError("the statement does not balance", advice="run finchain check, and keep the disk as it is")


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("party")
@reads
@talks
def positions(screen: Screen, path: Path, party: str, ledger_options: dict[str, Any]) -> None:
    """Lists what PARTY holds and owes of claims, certificates and loans."""
    _list(screen, path, ledger_options, lambda ledger: positions_of(ledger, party))


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day that is asked for.")
@reads
@talks
def due(screen: Screen, path: Path, until: datetime | None, ledger_options: dict[str, Any]) -> None:
    """Lists what is to be paid on claims, certificates and loans, the earliest first."""
    _list(screen, path, ledger_options, lambda ledger: due_of(ledger, None if until is None else until.date()))


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("guarantor")
@reads
@talks
def promises(screen: Screen, path: Path, guarantor: str, ledger_options: dict[str, Any]) -> None:
    """Lists what GUARANTOR owes under each of its guarantees, and what it may recover."""
    _list(screen, path, ledger_options, lambda ledger: promises_of(ledger, guarantor))


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("loan")
@reads
@talks
def security(screen: Screen, path: Path, loan: str, ledger_options: dict[str, Any]) -> None:
    """Shows what secures LOAN, and what may still be drawn."""
    with reads_ledger(screen, path, ledger_options) as ledger:
        found = security_of(ledger, loan)
    named = (("lots", found.lots), ("claims", found.claims), ("guarantees", found.guarantees))
    lines = [f"{name:<12}  {', '.join(ids)}" for name, ids in named]
    for name in ("eligible", "guaranteed", "secured", "used", "left", "over_advance"):
        amount = format_minor(getattr(found, f"{name}_minor"), found.currency)
        lines.append(f"{name.replace('_', ' '):<12}  {amount:>22} {found.currency}")
    screen.show(found, "\n".join(lines))


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("certificate")
@reads
@talks
def holdings(screen: Screen, path: Path, certificate: str, ledger_options: dict[str, Any]) -> None:
    """Lists who holds which units of CERTIFICATE, with recourse to whom, and through whose hands they came."""
    _list(screen, path, ledger_options, lambda ledger: holdings_of(ledger, certificate))


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("id")
@click.option("--kind", type=click.Choice([each.kind for each in KINDS]), help="Where several records have this id.")
@reads
@talks
def trace(screen: Screen, path: Path, id: str, kind: str | None, ledger_options: dict[str, Any]) -> None:
    """Follows the receivable, certificate, loan or payment ID: what was made of it, and who got and who paid money.

    It ends at the first payee of a payment; what becomes of the money after that it does not see.
    """
    with reads_ledger(screen, path, ledger_options) as ledger:
        found = trace_of(ledger, id, next((each for each in KINDS if each.kind == kind), None))
    if screen.as_json:
        for part in ("rights", "money", "uses", "checks"):
            for each in getattr(found, part):
                told = {"part": part, "currency": found.currency, **msgspec.to_builtins(each)}
                screen.show(told | ({"balanced": each.balanced} if part == "checks" else {}), "")
    else:
        screen.show(found, str(found))
    if not found.balanced:
        raise TamperError("the sums of the trace differ", advice="run finchain check, and keep the disk as it is")


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.option("--party", help="Whose books; all where absent.")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="The first day of blocks.")
@click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), help="The last day of blocks.")
@reads
@talks
def postings(
    screen: Screen, path: Path, party: str | None, since: datetime | None, until: datetime | None,
    ledger_options: dict[str, Any],
) -> None:  # fmt: skip
    """Lists what each party books of each instruction that moved value, in debits and credits.

    With --json every debit and every credit is a line of its own.
    """
    first, last = (None if day is None else day.date() for day in (since, until))
    balanced = True
    with reads_ledger(screen, path, ledger_options) as ledger:
        for posting in postings_of(ledger, party, first, last):
            balanced = balanced and posting.balanced
            if screen.as_json:
                told = msgspec.to_builtins(posting)
                for line in told.pop("lines"):
                    screen.show(told | line, "")
            else:
                screen.show(posting, str(posting))
    if not balanced:
        raise TamperError("a posting does not balance", advice="run finchain check, and keep the disk as it is")
