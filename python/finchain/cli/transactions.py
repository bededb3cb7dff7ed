"""`submit`, `explain`, `prepare`, `sign`: instructions, by one party at once or by several one after the other."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

import finchain as fc
from finchain import batch
from finchain.cli.exit_codes import NOT_ALL, NOTHING_COMMITTED
from finchain.cli.options import (
    FILE,
    FOLDER,
    opens,
    plain,
    reach_ledger,
    read_instructions,
    reads,
    reads_ledger,
    said,
    signs,
    talks,
)
from finchain.cli.screen import Screen, refused_text
from finchain.keys import CommandKey, SigningKey
from finchain.references import explain_rule, rules
from finchain.wording import worded

WHAT = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("what", type=WHAT)
@click.option("--each", is_flag=True, help="Every instruction on its own; without it they hold together or not at all.")
@click.option("--lane", help="A series of the sender's, for who needs an order among what he sends.")
@click.option("--idempotency-key", help="Your name for this act: sent again under it, it is in the ledger once.")
@signs
@opens
@talks
def submit(
    screen: Screen,
    path: Path,
    what: Path,
    each: bool,
    lane: str | None,
    idempotency_key: str | None,
    signers: list[fc.Key],
    ledger_options: dict[str, Any],
) -> int:
    """Submits WHAT: instructions in JSON, signed here with --key, or a transaction that is signed already.

    With --each, exit code 4 says that some instructions were refused and the others hold, 8 that none holds.
    """
    if not signers:
        if lane is not None or idempotency_key is not None:
            raise click.UsageError("a transaction has its lane already: give --key, or leave out what names one")
        with reach_ledger(screen, path, ledger_options) as ledger:
            _outcome(screen, ledger.submit(fc.Transaction.load(what, hash_suite=ledger.hash_suite)))
        return 0
    instructions = read_instructions(what)
    with reach_ledger(screen, path, ledger_options) as ledger:
        if not each:
            _outcome(screen, ledger.submit(instructions, by=signers, lane=lane, idempotency_key=idempotency_key))
            return 0
        rows = ledger.submit_each(instructions, by=signers, lane=lane, idempotency_key=idempotency_key)
    refused = 0
    for row in rows:
        told = {"index": row.index, "height": row.height, "entry": row.entry, "instruction": row.instruction}
        if isinstance(row, fc.RefusedRow):
            refused += 1
            screen.show(
                {"status": "refused", "code": row.code, **told},
                f"{row.index}: {refused_text(row.refusal) if row.refusal else row.code}",
            )
        else:
            screen.show({"status": "applied", **told}, f"{row.index}: applied")
    if not refused:
        return 0
    return NOT_ALL if refused < len(rows) else NOTHING_COMMITTED


def _outcome(screen: Screen, outcome: fc.Outcome) -> None:
    for note in outcome.notes:
        screen.talk(f"note: {note}")
    told = {
        "status": outcome.status, "id": outcome.id, "height": outcome.height, "entry": outcome.entry,
        "notes": outcome.notes,
    }  # fmt: skip
    screen.show(told, f"{outcome.status}: {outcome.id}, block {outcome.height}, entry {outcome.entry}")


@click.command()
@click.argument("words", nargs=-1, metavar="[CITATION | LEDGER WHAT]")
@click.option("--by", "parties", multiple=True, help="Party that would sign WHAT; the first is the sender.")
@reads
@talks
def explain(screen: Screen, words: tuple[str, ...], parties: tuple[str, ...], ledger_options: dict[str, Any]) -> int:
    """Explains a rule that a refusal cites; or, with --by, what instructions would do.

    CITATION is a rule, a law, a page with a section, an instruction or a refusal code: I-1, Civil Code 763, format 3.3,
    receivable.confirm. Without one, all rules are listed. With --by, says what the instructions WHAT would do to
    LEDGER, or why they would be refused (exit code 8). Writes nothing.
    """
    if not parties:
        _explain_rule(screen, words)
        return 0
    if len(words) != 2:
        raise click.UsageError("with --by, name LEDGER and WHAT")
    path, what = FOLDER(words[0]), WHAT(words[1])
    instructions = read_instructions(what)
    with reads_ledger(screen, path, ledger_options) as ledger:
        assert isinstance(ledger, fc.Snapshot | fc.Connection)
        explanation = ledger.explain(instructions, by=list(parties))
    if explanation.refusal is not None:
        raise explanation.refusal
    changes = [
        {"before": None if before is None else plain(before), "after": plain(after)}
        for before, after in explanation.changes
    ]
    lines = [f"{'new' if before is None else 'now'} {said(after)}" for before, after in explanation.changes] + [
        f"note {note}" for note in explanation.notes
    ]
    screen.show({"changes": changes, "notes": explanation.notes}, "\n".join(["would be applied", *lines]))
    return 0


def _explain_rule(screen: Screen, words: tuple[str, ...]) -> None:
    if not words:
        for rule in rules():
            screen.show({"name": rule.name, "title": rule.title}, f"{rule.name}: {rule.title}")
        return
    try:
        sections = explain_rule(" ".join(words))
    except fc.NotFound:
        if len(words) == 2 and any(Path(word).exists() for word in words):
            raise click.UsageError("LEDGER and WHAT need --by, the party that would sign") from None
        raise
    for number, section in enumerate(sections):
        screen.show(section, f"\n\n{section}" if number else str(section))


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("what", type=WHAT)
@click.option("--by", "parties", multiple=True, required=True, help="Party that must sign; the first is the sender.")
@click.option("--each", is_flag=True, help="Every instruction on its own.")
@click.option("--lane", help="A series of the sender's; without it the act has no place in any.")
@click.option("--idempotency-key", help="Your name for this act: sent again under it, it is in the ledger once.")
@click.option("--expires-in-days", default=7, show_default=True, type=click.IntRange(1, 30))
@click.option("--out", type=FILE, required=True, help="File for the signers, one after the other.")
@opens
@talks
def prepare(
    screen: Screen,
    path: Path,
    what: Path,
    parties: tuple[str, ...],
    each: bool,
    lane: str | None,
    idempotency_key: str | None,
    expires_in_days: int,
    out: Path,
    ledger_options: dict[str, Any],
) -> None:
    """Builds a transaction of the instructions WHAT that all of --by must sign, and writes it to a file."""
    instructions = read_instructions(what)
    with reach_ledger(screen, path, ledger_options) as ledger:
        expires = ledger.clock.now_ms() + expires_in_days * 86_400_000
        transaction = ledger.prepare(
            instructions,
            by=list(parties),
            lane=lane,
            mode="each" if each else "all",
            expires_ms=expires,
            idempotency_key=idempotency_key,
        )
    transaction.save(out)
    until = datetime.fromtimestamp(expires / 1000, UTC)
    screen.show(
        {"id": transaction.id, "file": str(out), "by": transaction.by, "expires": until},
        f"{transaction.id}\n{out}: to be signed by {', '.join(transaction.by)} before {until:%Y-%m-%d %H:%M} UTC",
    )


@click.command()
@click.argument("file", type=FILE)
@click.option("--key-id", help="Id of the key, such as shop/1, where the file does not know it.")
@click.option("--sign-with", help="Command that gets what is signed on stdin and gives the signature; needs --key-id.")
@click.option("--yes", is_flag=True, help="Signs without asking a person who sits at the terminal.")
@signs
@talks
def sign(
    screen: Screen, file: Path, key_id: str | None, sign_with: str | None, yes: bool, signers: list[fc.Key]
) -> None:
    """Shows what FILE orders, and adds signatures to it. Needs no ledger.

    FILE is a transaction, or a party's part of a load (`load --prepare`).
    """
    keys: list[SigningKey] = [*signers]
    if sign_with is not None:
        if key_id is None or signers:
            raise click.UsageError("--sign-with needs --key-id, and no --key beside it")
        keys = [CommandKey(shlex.split(sign_with))]
    if not keys:
        raise click.UsageError("nobody signs: give --key or --sign-with")
    if batch.is_part(file):
        _sign_part(screen, file, keys, key_id, yes)
        return
    transaction = fc.Transaction.load(file)
    for number, instruction in enumerate(transaction.instructions):
        screen.talk(f"{number}: {worded(instruction, transaction.currencies.get(number))}")
    if transaction.currencies:
        screen.talk("currencies of instructions that state none are those that whoever prepared this found")
    if not yes and sys.stdin.isatty():
        click.confirm(f"Sign for {', '.join(transaction.by)}?", abort=True, err=True)
    for key in keys:
        transaction.sign(key, key_id)
    transaction.save(file)
    screen.show(
        {"id": transaction.id, "signed_by": transaction.signed_by}, f"signed by {', '.join(transaction.signed_by)}"
    )


def _sign_part(screen: Screen, file: Path, keys: list[SigningKey], key_id: str | None, yes: bool) -> None:
    summary = batch.read_summary(file)
    screen.talk(str(summary))
    if not yes and sys.stdin.isatty():
        click.confirm(f"Sign for {summary.party}?", abort=True, err=True)
    batch.sign_part(file, keys, key_id)
    screen.show(msgspec.to_builtins(summary), f"signed for {summary.party}: {summary.digest}")
