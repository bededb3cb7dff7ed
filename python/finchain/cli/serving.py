"""`serve`, `resolve`, `follow`: a ledger for other processes, what became of what they sent, and a ledger watched."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

import finchain as fc
from finchain.cli.exit_codes import BUSY, NOTHING_COMMITTED
from finchain.cli.options import FOLDER, open_ledger, opens, reach_ledger, talks
from finchain.cli.screen import Screen


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@opens
@talks
def serve(screen: Screen, path: Path, ledger_options: dict[str, Any]) -> None:
    """Keeps LEDGER open and lets other processes of this user write and prove through it.

    It ends with SIGTERM or Ctrl-C, within 5 seconds, and leaves a ledger that was closed cleanly (exit code 0).
    """
    try:
        with open_ledger(screen, path, ledger_options) as ledger, ledger.serve() as server:
            screen.show({"serving": str(server.path), "ledger": ledger.name}, f"serving {server.path}")
            sys.stdout.flush()
            server.wait()
    except KeyboardInterrupt:
        screen.talk("stopped")


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("into", type=FOLDER)
@click.option(
    "--every", default=1.0, show_default=True, type=click.FloatRange(0.01, 3_600), help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Ends when it is level with the ledger.")
@click.option("--serve", "serves", is_flag=True, help="Answers other processes of this user through INTO/socket.")
@talks
def follow(screen: Screen, path: Path, into: Path, every: float, once: bool, serves: bool) -> None:
    """Replays the blocks of LEDGER, or of a copy of it, as they come, into the folder INTO.

    Every rule and signature is checked again. It writes nothing into LEDGER, and goes on from where it was. Exit code
    12 says that a block is not what it should be, or another than was followed before. It ends with SIGTERM or Ctrl-C
    (exit code 0).
    """
    try:
        with screen.progress("replaying blocks") as advance:
            follower = fc.follow(path, into, progress=advance)
        with follower:
            _tell(screen, follower)
            if serves:
                socket = follower.serve().path
                screen.show({"serving": str(socket), "ledger": follower.name}, f"serving {socket}")
                sys.stdout.flush()
            while not once:
                time.sleep(every)
                if follower.advance():
                    _tell(screen, follower)
    except KeyboardInterrupt:
        screen.talk("stopped")


def _tell(screen: Screen, follower: fc.Follower) -> None:
    told = {"ledger": follower.name, "blocks": follower.height, "state_root": follower.state_root.hex()}
    screen.show(told, f"{told['blocks']:,} blocks verified")
    sys.stdout.flush()


@click.command()
@click.argument("path", type=FOLDER, metavar="LEDGER")
@click.argument("ticket", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@opens
@talks
def resolve(screen: Screen, path: Path, ticket: Path, ledger_options: dict[str, Any]) -> int:
    """Says what became of a transaction whose answer was lost; TICKET is the JSON that the lost answer left.

    Exit code 0: it was applied; 8: it was refused, or will never be in a block; 20: nobody knows yet.
    """
    text = sys.stdin.buffer.read() if str(ticket) == "-" else ticket.read_bytes()
    try:
        named = msgspec.json.decode(text, type=fc.Ticket)
    except msgspec.MsgspecError as error:
        raise fc.ConfigError(f"{ticket}: not a ticket: {error}") from None
    with reach_ledger(screen, path, ledger_options) as ledger:
        outcome = ledger.resolve(named)
    if outcome.error is not None:
        raise outcome.error
    codes = ", ".join(code for _, code in outcome.refused)
    told = {"status": outcome.status, "id": named.id, "height": outcome.height, "entry": outcome.entry, "codes": codes}
    where = f", block {outcome.height}, entry {outcome.entry}" if outcome.height >= 0 else ""
    screen.show(told, f"{outcome.status}: {named.id}{where}{', ' * bool(codes)}{codes}")
    return {"unknown": BUSY, "refused": NOTHING_COMMITTED}.get(outcome.status, 0)
