"""What several commands share: their options, and how paths and names on the command line become things.

A passphrase comes from a file or, at a terminal, from the person; never from the command line, which others can read.
"""

from __future__ import annotations

import difflib
import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

import finchain as fc
from finchain.audit import INDEX_LOOKS, INDEX_PAUSE_SECONDS
from finchain.cli.screen import Screen
from finchain.domain.rule import Instruction, Record
from finchain.domain.rulebook import RULEBOOK_1
from finchain.errors import Malformed
from finchain.key_folder import FOLLOWED
from finchain.reading import Reading
from finchain.wording import currency_of

_COPY = "{} is a copy that was not confirmed: it can be read, and nothing else"

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)


def talks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command its `Screen`, with the options `--json` and `--quiet`."""

    @click.option("--json", "as_json", is_flag=True, help="Data, and errors, as JSON lines.")
    @click.option("--quiet", is_flag=True, help="No talk on stderr but errors.")
    @functools.wraps(command)
    def talking(*args: Any, as_json: bool, quiet: bool, **options: Any) -> Any:
        return command(Screen(as_json=as_json, quiet=quiet), *args, **options)

    return talking


def opens(command: F) -> F:
    """Options with which a ledger is opened, handed on as `ledger_options`."""

    @click.option("--keys", type=FOLDER, help="Key folder of all ledgers. [$FINCHAIN_KEYS]")
    @click.option("--operator", type=FILE, help="The operator's key file, where it is not in the key folder.")
    @click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Moves a simulated ledger's clock on to this day.")
    @click.option("--after-silence", is_flag=True, help="The clock is right, though the last block is old.")
    @functools.wraps(command)
    def opening(
        *args: Any, keys: Path | None, operator: Path | None, today: datetime | None, after_silence: bool, **rest: Any
    ) -> Any:
        options = {
            "keys": keys,
            "operator": None if operator is None else load_key(operator),
            "after_silence": after_silence,
            "today": None if today is None else today.date(),
        }
        return command(*args, ledger_options=options, **rest)

    return opening  # type: ignore[return-value]  # click calls it with options by name


def anchored(command: F) -> F:
    """What somebody holds apart from the ledger's folder, handed on as `anchors`, arguments of the library."""

    @click.option("--trust", multiple=True, help="Verifier key of the log, which must have signed what vouches for it.")
    @click.option("--checkpoint", "checkpoints", type=FILE, multiple=True, help="A checkpoint that it must hold.")
    @click.option("--receipt", "receipts", type=FILE, multiple=True, help="A receipt that must be of this ledger.")
    @functools.wraps(command)
    def trusting(
        *args: Any, trust: tuple[str, ...], checkpoints: tuple[Path, ...], receipts: tuple[Path, ...], **rest: Any
    ) -> Any:
        anchors = {"trust": trust, "checkpoints": checkpoints, "receipts": receipts}
        return command(*args, anchors={name: given for name, given in anchors.items() if given}, **rest)

    return trusting  # type: ignore[return-value]  # click calls it with options by name


def reads(command: F) -> F:
    """Options with which a ledger is only read, those of `opens` among them, handed on as `ledger_options`."""

    @anchored
    @click.option(
        "--verified/--unverified", default=True, show_default=True,
        help="Compares all records in the index with the last block first, half a second a million.",
    )  # fmt: skip
    @opens
    @functools.wraps(command)
    def reading(
        *args: Any, verified: bool, anchors: dict[str, Any], ledger_options: dict[str, Any], **rest: Any
    ) -> Any:
        options = ledger_options | {"verified": verified, "anchors": anchors}
        return command(*args, ledger_options=options, **rest)

    return reading  # type: ignore[return-value]  # click calls it with options by name


def signs(command: F) -> F:
    """The keys that sign, handed on as `signers`."""

    @click.option(
        "--key", "key_files", type=FILE, multiple=True, help="Key file that signs; several times for several."
    )
    @click.option("--passphrase-file", type=FILE, help="File whose first line is the passphrase of the key files.")
    @functools.wraps(command)
    def signing(*args: Any, key_files: tuple[Path, ...], passphrase_file: Path | None, **rest: Any) -> Any:
        return command(*args, signers=[load_key(path, passphrase_file) for path in key_files], **rest)

    return signing  # type: ignore[return-value]  # click calls it with options by name


def open_ledger(screen: Screen, path: Path, options: dict[str, Any]) -> fc.Ledger:
    """Opens a ledger, with a bar while blocks are replayed, moves its clock, and says what had to be mended."""
    named = {name: value for name, value in options.items() if name != "today"}
    with screen.progress("replaying blocks") as advance:
        ledger: fc.Ledger = fc.open(path, progress=advance, **named)
    try:
        _move_clock(ledger, options["today"])
    except BaseException:
        ledger.close()
        raise
    if ledger.recovery["copy"]:
        screen.talk(_COPY.format(path))
    if ledger.recovery["cut"]:
        screen.talk(f"recovered: {ledger.recovery['cut']}")
    if ledger.recovery["index_rebuilt_because"]:
        screen.talk(f"the index was made anew: {ledger.recovery['index_rebuilt_because']}")
    return ledger


def reach_ledger(screen: Screen, path: Path, options: dict[str, Any]) -> fc.Ledger | fc.Connection:
    """Opens a ledger for writing, or connects to the process that has it open, or follows it, and serves it.

    Raises:
        LockedError: It is open elsewhere and not served there.
    """
    if (path / FOLLOWED).exists():
        return _connected(path, options)
    try:
        return open_ledger(screen, path, options)
    except fc.LockedError as locked:
        try:
            return _connected(path, options)
        except fc.Unreachable:
            raise locked from None


def _connected(path: Path, options: dict[str, Any]) -> fc.Connection:
    connection = fc.connect(path, keys=options["keys"], operator=options["operator"])
    if options["today"] is not None:
        connection.close()
        raise fc.ConfigError("the clock is that of the process that serves the ledger", advice="leave --today out")
    return connection


@contextmanager
def reads_ledger(screen: Screen, path: Path, options: dict[str, Any]) -> Iterator[Reading]:
    """One state of a ledger, out of its index: without the lock, so that no question holds up who writes.

    Nothing is written into the ledger's folder. Where the index is missing, cannot be read or was left behind by a
    crash, one is made from the blocks in a temporary folder. A folder that a ledger is followed into answers through
    its socket.
    """
    with ExitStack() as stack:
        anchors = options["anchors"]
        if (path / FOLLOWED).exists():
            if anchors:
                raise fc.ConfigError(
                    f"{path} follows a ledger and has no blocks of its own", advice="ask the ledger's own folder"
                )
            connection = stack.enter_context(_connected(path, options))
            screen.stands(
                {"verified": True, "vouched_blocks": 0},
                "answered by the process that verifies each block",
                doubtful=False,
            )
            yield connection
            return
        with screen.progress("making an index of the blocks") as advance:
            reader = stack.enter_context(
                fc.open(path, read_only=True, verified=options["verified"], progress=advance, **anchors)
            )
            if not _keeps_up(reader):
                reader.close()
                reader = stack.enter_context(fc.open(path, read_only=True, own_index=True, progress=advance, **anchors))
        if reader.is_copy:
            screen.talk(_COPY.format(path))
        if reader.made_anew:
            screen.talk("answered out of a temporary index: the ledger's own is missing, cannot be read or is behind")
        snapshot = stack.enter_context(reader.snapshot())
        _move_clock(snapshot, options["today"])
        _say_what_stands(screen, snapshot)
        yield snapshot


def _keeps_up(reader: fc.Reader) -> bool:
    """Whether the index has all blocks, or is getting more while it is looked at."""
    before = reader.height
    for _ in range(INDEX_LOOKS):
        if not reader.behind or reader.height > before:
            return True
        time.sleep(INDEX_PAUSE_SECONDS)
    return False


def _say_what_stands(screen: Screen, snapshot: fc.Snapshot) -> None:
    vouched = snapshot.vouched
    text = f"every record is what block {snapshot.height - 1} commits to"
    if not snapshot.verified:
        text = f"NOT VERIFIED: records are what the index says, as of block {snapshot.height - 1}"
    members = {"verified": snapshot.verified, "vouched_blocks": vouched.blocks}
    screen.stands(members, f"{text}; {vouched}", doubtful=not snapshot.verified)


def _move_clock(ledger: Reading, today: date | None) -> None:
    """Moves a simulated clock on, in the ledger's own zone."""
    if today is None:
        return
    if not isinstance(ledger.clock, fc.SimulatedClock):
        raise fc.ConfigError("the ledger was made with a real clock, which nobody moves", advice="leave --today out")
    try:
        ledger.clock.move_to(today)
    except ValueError as error:
        raise fc.ConfigError(str(error), advice="name a later day") from None


def load_key(path: Path, passphrase_file: Path | None = None) -> fc.Key:
    """The key of a file, asking a person for the passphrase where it needs one and no file gives it."""
    return fc.Key.load(path, passphrase(passphrase_file) if passphrase_file else _asked(path))


def passphrase(path: Path) -> bytes:
    """The first line of a passphrase file."""
    lines = path.read_bytes().splitlines()
    if not lines or not lines[0]:
        raise fc.ConfigError(f"{path} is empty", advice="its first line is the passphrase")
    return lines[0]


def _asked(path: Path) -> bytes | None:
    try:
        encrypted = b"ENCRYPTED" in path.read_bytes().partition(b"\n")[0]
    except OSError:
        return None  # Loading the key says what is wrong with the file.
    if not encrypted or not sys.stdin.isatty():
        return None
    asked: str = click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    return asked.encode()


def kind_of(name: str) -> type[Record]:
    """The record type of a kind's name.

    Raises:
        click.BadParameter: There is none; the nearest name is given.
    """
    kinds = RULEBOOK_1.records
    if name in kinds:
        return kinds[name]
    near = difflib.get_close_matches(name, kinds, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(kinds))}"
    raise click.BadParameter(f"there is no kind of record {name!r}; {hint}", param_hint="KIND")


def read_instructions(path: Path) -> list[Instruction]:
    """The instructions of a JSON file, or of stdin for `-`: one object, or a list of them.

    Raises:
        Malformed: It is not JSON, or not of the rulebook.
    """
    union: Any = RULEBOOK_1.instructions
    text = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    try:
        read: list[Instruction] | Instruction = msgspec.json.decode(text, type=list[union] | union)
    except msgspec.MsgspecError as error:
        raise Malformed(f"{path}: {error}", advice="`finchain explain domain` lists the instructions") from None
    return read if isinstance(read, list) else [read]


def currency_in(ledger: Reading, instruction: Instruction) -> str | None:
    """The currency of an instruction's amounts: its own, or that of the records that it names."""
    return currency_of(instruction, ledger.look)


def plain(record: Record) -> dict[str, Any]:
    """A record as a dictionary with its kind first."""
    return {"kind": record.kind, **msgspec.to_builtins(record)}


PARTIES = ("creditor", "debtor", "issuer", "holder", "guarantor", "beneficiary", "lender", "borrower", "owner", "payee")
"""Members of records that say whose it is, and against whom."""


def said(record: Record) -> str:
    """A record as a line for people, with the parties that it is between."""
    text = str(record)
    if text == repr(record):
        members = {name: value for name, value in plain(record).items() if name != "kind"}
        return f"{record.kind} {' '.join(f'{name}={short(value)}' for name, value in members.items())}"
    parties = [(name, getattr(record, name, None)) for name in PARTIES]
    between = ", ".join(f"{name} {party}" for name, party in parties if isinstance(party, str))
    return f"{text}; {between}" if between else text


def short(value: Any) -> str:
    """A member of a record: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
