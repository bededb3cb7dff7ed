"""`load`: a CSV or TSV file through a mapping into a ledger, every row once and only once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from finchain import batch
from finchain.cli.exit_codes import FAILED
from finchain.cli.options import FILE, FOLDER, opens, reach_ledger, talks
from finchain.cli.screen import Screen
from finchain.errors import Refused, Rejected


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("mapping", type=FILE)
@click.option("--input", "file", type=FILE, help="The file, in the place of the one that the mapping names.")
@click.option("--out", type=FOLDER, default=Path("out"), show_default=True, help="Folder for rejects and notes.")
@click.option("--run-id", help="Names the run; made from the file's digest without it.")
@click.option("--enrol", is_flag=True, help="Registers those parties of the lookup that the ledger does not have.")
@click.option("--dry-run", is_flag=True, help="Runs the rules over the state as it is, and commits nothing.")
@click.option("--allow-reload", is_flag=True, help="Takes a file that was loaded under another run id.")
@click.option("--prepare", type=FOLDER, help="Writes what each party has to sign into this folder; commits nothing.")
@click.option("--signed", type=FOLDER, help="Sends what the parties have signed, from this folder.")
@opens
@talks
def load(
    screen: Screen,
    path: Path,
    mapping: Path,
    file: Path | None,
    out: Path,
    run_id: str | None,
    enrol: bool,
    dry_run: bool,
    allow_reload: bool,
    prepare: Path | None,
    signed: Path | None,
    ledger_options: dict[str, Any],
) -> int:
    """Loads a file of claims and their confirmations through the TOML file MAPPING.

    Exit code 0: every row was applied; 4: some were refused or rejected, and the rejects file lists them; 8: no row
    was applied; 16: more were refused than may be, after sending had begun. A load
    that was killed is started again with the same words, and goes on.
    """
    try:
        with reach_ledger(screen, path, ledger_options) as ledger, screen.progress("loading") as advance:
            report = batch.load(
                ledger, mapping, input=file, out=out, run_id=run_id, enrol=enrol, dry_run=dry_run,
                allow_reload=allow_reload, prepare=prepare, signed=signed, progress=advance,
            )  # fmt: skip
    except (Refused, Rejected) as error:
        if not error.facts.get("sent") and not error.facts.get("enrolled"):
            raise
        # Something was committed, which is more than the exit code of such an error says.
        sent, enrolled = error.facts.get("sent", 0), error.facts.get("enrolled", 0)
        screen.failed(
            error, f"stopped with {sent} transactions and {enrolled} parties of this run on the ledger: {error}"
        )
        return FAILED
    screen.show({**msgspec.to_builtins(report), "exit_code": report.exit_code}, str(report))
    return report.exit_code
