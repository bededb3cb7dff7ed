"""`prove` and `verify`: receipts, made by who has the ledger and checked by who has only the verifier key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

import finchain as fc
from finchain.cli.options import FILE, FOLDER, kind_of, opens, reach_ledger, talks
from finchain.cli.screen import Screen
from finchain.domain.rule import Record


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("kind", required=False)
@click.argument("id", required=False)
@click.option("--at", help="Proves an instruction by its place BLOCK.ENTRY.INDEX, refused ones too: see finchain log.")
@click.option("--absent", is_flag=True, help="Proves that there is no such record.")
@click.option("--step", type=int, help="Proves a step of the record's history instead: 0 is the oldest, -1 the newest.")
@click.option("--change", is_flag=True, help="With --step: what the record was after that step, not the instruction.")
@click.option("--signers", is_flag=True, help="With --step: shows the signers' keys as they were then.")
@click.option("--out", type=FILE, required=True, help="File of the receipt.")
@opens
@talks
def prove(
    screen: Screen,
    path: Path,
    kind: str | None,
    id: str | None,
    at: str | None,
    absent: bool,
    step: int | None,
    change: bool,
    signers: bool,
    out: Path,
    ledger_options: dict[str, Any],
) -> None:
    """Writes a receipt that a record is what it is, or is not there, or how it came to be; or of an instruction."""
    if at is not None and kind is not None:
        raise click.UsageError("--at speaks about an instruction, and KIND and ID about a record: name one of them")
    if at is None and (kind is None or id is None):
        raise click.UsageError("name KIND and ID of a record, or the place of an instruction with --at")
    if (absent and step is not None) or (at is not None and (absent or step is not None or change)):
        raise click.UsageError("--at, --absent and --step exclude each other")
    if step is None and (change or (signers and at is None)):
        raise click.UsageError("--change and --signers speak about a --step")
    place = None if at is None else _place(at)
    named = None if kind is None or id is None else (kind_of(kind), id)
    with reach_ledger(screen, path, ledger_options) as ledger:
        if place is not None:
            height, entry, index = place
            receipt = ledger.prove_instruction(
                fc.Outcome(status="already", height=height, entry=entry), index, signers=signers
            )
        elif named is not None and step is not None:
            receipt = _step(ledger, *named, step, change, signers)
        elif named is not None:
            receipt = ledger.prove_absent(*named) if absent else ledger.prove(*named)
        trust = ledger.verifier_key
    receipt.save(out)
    screen.show(
        {"receipt": str(out), "size_bytes": len(receipt), "verifier_key": trust},
        f"{out}, {len(receipt):,} bytes; whoever trusts {trust} can verify it",
    )


def _place(text: str) -> tuple[int, int, int]:
    parts = text.split(".")
    if len(parts) not in (2, 3) or not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"{text!r} is no place; BLOCK.ENTRY.INDEX, such as 41.0.0", param_hint="--at")
    height, entry, index = map(int, [*parts, "0"][:3])
    return height, entry, index


def _step(
    ledger: fc.Ledger | fc.Connection, kind: type[Record], id: str, number: int, change: bool, signers: bool
) -> fc.Receipt:
    steps = ledger.history(kind, id)
    try:
        step = steps[number]
    except IndexError:
        raise fc.NotFound(f"{kind.kind} {id} has {len(steps)} steps, and no step {number}") from None
    if change:
        return ledger.prove_change(step, kind, id)
    if not step.indices:
        raise fc.NotFound(f"no instruction wrote {kind.kind} {id} in that step")
    return ledger.prove_instruction(step, step.indices[0], signers=signers)


@click.command()
@click.argument("receipt", type=FILE)
@click.option("--trust", multiple=True, required=True, help="Verifier key of the log; one of several must have signed.")
@click.option("--witness", "witnesses", multiple=True, help="Verifier key of a witness.")
@click.option(
    "--witnesses-needed", type=int, help="How many witnesses must have cosigned; all that are given without it."
)
@click.option("--unwitnessed", is_flag=True, help="Believes the operator's word alone.")
@talks
def verify(
    screen: Screen,
    receipt: Path,
    trust: tuple[str, ...],
    witnesses: tuple[str, ...],
    witnesses_needed: int | None,
    unwitnessed: bool,
) -> None:
    """Verifies the file RECEIPT offline and prints what it proves. Exit code 12 says that it proves nothing."""
    if not witnesses and not unwitnessed:
        raise click.UsageError("give witnesses with --witness, or say --unwitnessed to believe the operator alone")
    needed = len(witnesses) if witnesses_needed is None else witnesses_needed
    verified = fc.verify(receipt, trust=trust, witnesses=witnesses, witnesses_needed=needed, unwitnessed=unwitnessed)
    screen.show(msgspec.to_builtins(verified), str(verified))
