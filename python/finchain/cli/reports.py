"""`totals`: what a ledger holds, in one table per currency that balances, now or at the end of a day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from finchain.cli.options import FOLDER, open_ledger, opens, talks
from finchain.cli.screen import Screen


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="At the end of this day, by a replay until then.")
@opens
@talks
def totals(screen: Screen, path: Path, as_of: datetime | None, ledger_options: dict[str, Any]) -> None:
    """Shows claims, certificates, loans, guarantees, accounts and cash in one balanced table per currency."""
    with open_ledger(screen, path, ledger_options) as ledger:
        made = ledger.totals(None if as_of is None else as_of.date())
    screen.talk(f"as of {made.as_of}, after {made.height} blocks")
    for table in made.currencies:
        told = {"as_of": made.as_of, "height": made.height, "balanced": table.balanced, **msgspec.to_builtins(table)}
        screen.show(told, str(table))
