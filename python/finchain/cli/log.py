"""`log`: everything that was sent and entered a block, applied or refused, with the command that proves each of it."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec

from finchain.cli.options import FOLDER, currency_in, reads, reads_ledger, talks
from finchain.cli.screen import Screen, at_utc, refused_text
from finchain.outcome import Attempt
from finchain.wording import worded


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.option("--party", help="A party that signed.")
@click.option("--code", help="Code of a refusal, such as receivable.over_confirm; or how codes begin, such as payment.")
@click.option("--order", help="Kind of order, such as receivable.confirm; or how they begin, such as receivable.")
@click.option("--refused", "status", flag_value="refused", help="Refused ones alone.")
@click.option("--applied", "status", flag_value="applied", help="Applied ones alone.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="The first day of blocks.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day of blocks.")
@click.option("--from", "start", default="0", show_default=True, help="BLOCK or BLOCK.ENTRY to begin with.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option("--codes-only", is_flag=True, help="Leaves out what refusals said, so that no rule is run for it.")
@reads
@talks
def log(
    screen: Screen,
    path: Path,
    party: str | None,
    code: str | None,
    order: str | None,
    status: Any,
    since: datetime | None,
    until: datetime | None,
    start: str,
    limit: int | None,
    codes_only: bool,
    ledger_options: dict[str, Any],
) -> None:
    """Lists every instruction that was sent and entered a block, oldest first, whatever became of it.

    A refusal comes with all that it said. `finchain prove LEDGER --at PLACE --out FILE` makes the receipt of any line;
    PLACE is what it begins with.
    """
    first, last = (None if day is None else day.date() for day in (since, until))
    place = _place(start)
    with reads_ledger(screen, path, ledger_options) as ledger:
        found = ledger.log(
            party=party, code=code, order=order, status=status, since=first, until=last, start=place,
            texts=not codes_only,
        )  # fmt: skip
        for attempt in islice(found, limit):
            screen.show(_told(attempt), _said(attempt, currency_in(ledger, attempt.instruction)))


def _place(text: str) -> tuple[int, int]:
    height, _, entry = text.partition(".")
    if not (height.isdecimal() and (entry.isdecimal() or not entry)):
        raise click.BadParameter(f"{text!r} is no place; BLOCK or BLOCK.ENTRY, such as 41 or 41.0", param_hint="--from")
    return int(height), int(entry or 0)


def _told(attempt: Attempt) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(attempt, enc_hook=_nothing)
    refusal = attempt.refusal
    if refusal is not None:
        told["refusal"] = {
            "message": refusal.message, "rule": refusal.rule, "field": refusal.field, "value": refusal.value,
            "advice": refusal.advice, "facts": refusal.facts,
        }  # fmt: skip
    return told | {"place": attempt.place, "order": attempt.order}


def _nothing(value: Any) -> None:
    """In the place of a refusal, which is told member by member."""


def _said(attempt: Attempt, currency: str | None) -> str:
    status = attempt.status.replace("_", " ") + (f" ({attempt.code})" if attempt.status == "held_back" else "")
    line = (
        f"{attempt.place:<10}  {at_utc(attempt.time_ms)}  {', '.join(attempt.by)}: "
        f"{worded(attempt.instruction, currency)}  {status}"
    )
    if attempt.refusal is not None:
        return "\n    ".join([line, *refused_text(attempt.refusal).splitlines()])
    return f"{line}: {attempt.code}" if attempt.status == "refused" else line
