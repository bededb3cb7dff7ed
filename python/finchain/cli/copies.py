"""`backup`, `restore`, `confirm`, `repair`: copies of a ledger, and what is done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

import finchain as fc
from finchain.cli.exit_codes import DONE, TAMPERED
from finchain.cli.options import FILE, FOLDER, anchored, talks
from finchain.cli.screen import Screen

KEYS = click.option("--keys", type=FOLDER, help="Key folder of all ledgers. [$FINCHAIN_KEYS]")


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("to", type=FOLDER)
@click.option("--check", "verified", is_flag=True, help="Then verifies the whole copy, rules included.")
@talks
def backup(screen: Screen, path: Path, to: Path, verified: bool) -> None:
    """Copies LEDGER to the folder TO, or what is new since the last time, also while it is written."""
    with screen.progress("copying blocks") as advance:
        copied = fc.backup(path, to, progress=advance)
    screen.show(msgspec.to_builtins(copied), str(copied))
    if verified:
        _verify(screen, to)


@click.command()
@click.argument("source", type=FOLDER, metavar="BACKUP")
@click.argument("to", type=FOLDER)
@talks
def restore(screen: Screen, source: Path, to: Path) -> None:
    """Puts BACKUP back into the new folder TO, which opens read-only until `confirm`."""
    with screen.progress("copying blocks") as advance:
        copied = fc.restore(source, to, progress=advance)
    screen.show(msgspec.to_builtins(copied), str(copied))
    screen.talk(f"it is read-only; next: finchain confirm {to} --checkpoint FILE, with the newest one that anybody has")


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.option("--checkpoint", type=FILE, help="The newest checkpoint that anybody has: a witness, a counterparty.")
@click.option("--signed-mark", "by_mark", is_flag=True, help="The key folder was not restored: believes its mark.")
@click.option("--witness", "witnesses", multiple=True, help="Verifier key of a witness that must have cosigned.")
@KEYS
@talks
def confirm(
    screen: Screen, path: Path, checkpoint: Path | None, by_mark: bool, witnesses: tuple[str, ...], keys: Path | None
) -> None:
    """Makes a copy the ledger, once all of it is verified and nothing that was signed is missing."""
    if (checkpoint is None) != by_mark:
        raise click.UsageError("give --checkpoint, or --signed-mark where the key folder was not restored as well")
    with screen.progress("verifying blocks") as advance:
        audit = fc.confirm(
            path, checkpoint=checkpoint, by_mark=by_mark, witnesses=witnesses, witnesses_needed=len(witnesses),
            keys=keys, progress=advance,
        )  # fmt: skip
    screen.show(msgspec.to_builtins(audit), f"confirmed; {audit}")


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.option("--from", "source", type=FOLDER, required=True, help="A backup, or any other copy of the same ledger.")
@click.option("--write", is_flag=True, help="Writes; without it, only says what would be written.")
@click.option("--checkpoint", type=FILE, help="A checkpoint that the blocks must agree with.")
@KEYS
@talks
def repair(
    screen: Screen, path: Path, source: Path, write: bool, checkpoint: Path | None, keys: Path | None
) -> int:  # fmt: skip
    """Puts back damaged and missing blocks of LEDGER, each shown to be the one that was there.

    Exit code 12: a place is left that this copy cannot mend.
    """
    with screen.progress("verifying blocks") as advance:
        done = fc.repair(path, source, write=write, checkpoint=checkpoint, keys=keys, progress=advance)
    screen.show(msgspec.to_builtins(done), str(done))
    if done.mended and not write:
        screen.talk("nothing was written; --write writes it")
    return TAMPERED if done.left else DONE


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.option(
    "--other-rules", is_flag=True, help="Goes on where the rule files here are not the ledger's, and says so."
)  # fmt: skip
@anchored
@talks
def check(screen: Screen, path: Path, other_rules: bool, anchors: dict[str, Any]) -> None:
    """Verifies a whole ledger from its blocks: hashes, signatures, rules, state roots, index. Writes nothing.

    That shows a ledger that is sound in itself. Whose it is, is shown by --trust, --checkpoint or --receipt: what you
    hold that did not come with the folder.
    """
    _verify(screen, path, other_rules=other_rules, **anchors)


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.option(
    "--other-rules", is_flag=True, help="Goes on where the rule files here are not the ledger's, and says so."
)
@anchored
@talks
def audit(screen: Screen, path: Path, other_rules: bool, anchors: dict[str, Any]) -> int:
    """An auditor's page: trust, blocks, rules, index, receipts, and what is unusual. Writes nothing.

    Give what you hold that did not come with the folder: --trust, --checkpoint, --receipt. Exit code 12: something is
    not what it should be, and the page says what.
    """
    with screen.progress("verifying blocks") as advance:
        found = fc.examine(path, progress=advance, other_rules=other_rules, **anchors)
    screen.show(msgspec.to_builtins(found), str(found))
    return TAMPERED if found.faults else DONE


def _verify(screen: Screen, path: Path, **options: Any) -> None:
    with screen.progress("verifying blocks") as advance:
        audit = fc.check(path, progress=advance, **options)
    screen.show(msgspec.to_builtins(audit), str(audit))
