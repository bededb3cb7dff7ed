"""`init`, `register`, `show`, `history`: a ledger, who is on it, and what it holds."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

import finchain as fc
from finchain.cli.options import (
    FILE,
    FOLDER,
    currency_in,
    kind_of,
    load_key,
    opens,
    plain,
    reach_ledger,
    reads,
    reads_ledger,
    said,
    short,
    talks,
)
from finchain.cli.screen import Screen, at_utc
from finchain.domain.party import Role
from finchain.key_folder import CheckpointSuite
from finchain.reading import Reading
from finchain.wording import worded


@click.command()
@click.argument("path", type=FOLDER)
@click.option("--name", required=True, help="Origin of the log, such as example.org/deal.")
@click.option("--operator", type=FILE, help="The operator's key file; a new key goes into the key folder without it.")
@click.option("--keys", type=FOLDER, help="Key folder of all ledgers. [$FINCHAIN_KEYS]")
@click.option(
    "--hash", "hash_suite", type=click.Choice(["blake3", "sha256", "sm3"]), default="blake3", show_default=True
)
@click.option(
    "--durability", type=click.Choice(["single", "double"]), default="single", show_default=True,
    help="What is synced before each answer: the block, or the block and then a mark that it was.",
)  # fmt: skip
@click.option("--time-zone-minutes", default=480, show_default=True, help="Where its days begin, east of UTC.")
@click.option(
    "--simulated-from", type=click.DateTime(["%Y-%m-%d"]),
    help="For tests: a clock that stands at this day until it is moved. The ledger says so for ever.",
)  # fmt: skip
@click.option(
    "--checkpoint-suite", type=click.Choice(get_args(CheckpointSuite)), default="ed25519", show_default=True,
    help="Of what suite the key is that signs checkpoints.",
)  # fmt: skip
@click.option("--continues", type=FOLDER, help="Folder of an old ledger that this one continues, as it last signed.")
@talks
def init(
    screen: Screen,
    path: Path,
    name: str,
    operator: Path | None,
    keys: Path | None,
    hash_suite: Any,
    durability: Any,
    time_zone_minutes: int,
    simulated_from: datetime | None,
    checkpoint_suite: Any,
    continues: Path | None,
) -> None:
    """Founds a ledger in the new folder PATH and prints its name and its verifier key."""
    clock = None if simulated_from is None else fc.SimulatedClock(simulated_from.date(), zone_minutes=time_zone_minutes)
    with fc.create(
        path, name=name, operator=None if operator is None else load_key(operator), keys=keys, clock=clock,
        hash_suite=hash_suite, time_zone_minutes=time_zone_minutes, durability=durability,
        predecessor=None if continues is None else fc.predecessor(continues), checkpoint_suite=checkpoint_suite,
    ) as ledger:  # fmt: skip
        told = {"ledger": ledger.name, "verifier_key": ledger.verifier_key, "path": str(path)}
    screen.show(told, f"ledger        {told['ledger']}\nverifier key  {told['verifier_key']}")


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("party")
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(get_args(Role)))
@click.option("--request", type=FILE, help="The party's enrolment request, made where its keys are.")
@click.option("--key", type=FILE, help="Its key file instead, where it is on this machine.")
@click.option("--passphrase-file", type=FILE, help="File whose first line is the passphrase of that key file.")
@opens
@talks
def register(
    screen: Screen,
    path: Path,
    party: str,
    name: str,
    roles: tuple[Any, ...],
    request: Path | None,
    key: Path | None,
    passphrase_file: Path | None,
    ledger_options: dict[str, Any],
) -> None:
    """Registers PARTY with its legal NAME, signed by the operator as registrar."""
    if passphrase_file is not None and key is None:
        raise click.UsageError("--passphrase-file speaks about --key")
    loaded = None if key is None else load_key(key, passphrase_file)
    with reach_ledger(screen, path, ledger_options) as ledger:
        outcome = ledger.register(
            party, name, roles=list(roles), key=loaded,
            request=None if request is None else fc.EnrolmentRequest.load(request),
        )  # fmt: skip
        screen.show(msgspec.to_builtins(outcome), f"{party} is registered, in block {outcome.height}")


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("kind", required=False)
@click.argument("id", required=False)
@reads
@talks
def show(screen: Screen, path: Path, kind: str | None, id: str | None, ledger_options: dict[str, Any]) -> None:
    """Shows a ledger; with KIND its records of that kind, with KIND and ID the one record."""
    with reads_ledger(screen, path, ledger_options) as ledger:
        if kind is None:
            _summary(screen, ledger)
            return
        found = ledger.find(kind_of(kind)) if id is None else [ledger.get(kind_of(kind), id)]
        for record in found:
            screen.show(plain(record), said(record) if id is None else _members(record))


def _summary(screen: Screen, ledger: Reading) -> None:
    kinds = Counter(record.kind for record in ledger.find_all())
    told = {
        "ledger": ledger.name,
        "verifier_key": ledger.verifier_key,
        "today": ledger.today,
        "blocks": ledger.height,
        "state_root": ledger.state_root.hex(),
        "records": dict(sorted(kinds.items())),
    }
    records = "".join(f"\n  {count:>9,} {kind}" for kind, count in sorted(kinds.items()))
    screen.show(
        told,
        f"ledger        {ledger.name}\nverifier key  {ledger.verifier_key}\ntoday         {ledger.today}\n"
        f"blocks        {ledger.height:,}\nstate root    {ledger.state_root.hex()}\nrecords{records}",
    )


def _members(record: Any) -> str:
    members = plain(record)
    width = max(map(len, members))
    lines = [f"{name.ljust(width)}  {short(value)}" for name, value in members.items()]
    return "\n".join([said(record), *(f"  {line}" for line in lines)])


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("kind")
@click.argument("id")
@click.option("--limit", default=1_000, show_default=True, help="At most so many of the newest steps.")
@reads
@talks
def history(screen: Screen, path: Path, kind: str, id: str, limit: int, ledger_options: dict[str, Any]) -> None:
    """Lists the instructions that wrote a record, oldest first.

    Every block is executed again for that, because no block says which instruction wrote which record. With
    --unverified the answer comes at once, out of the index.
    """
    with reads_ledger(screen, path, ledger_options) as ledger:
        for step in ledger.history(kind_of(kind), id, limit=limit):
            what = "; ".join(worded(each, currency_in(ledger, each)) for each in step.instructions)
            screen.show(
                msgspec.to_builtins(step),
                f"{at_utc(step.time_ms)}  block {step.height}, entry {step.entry}  {', '.join(step.by)}: {what}",
            )
