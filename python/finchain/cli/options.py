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
from finchain.cli.screen import Screen
from finchain.domain.rule import Instruction, Record
from finchain.domain.rulebook import RULEBOOK_1
from finchain.errors import Malformed
from finchain.key_folder import FOLLOWED
from finchain.reading import Reading

INDEX_LOOKS = 20
"""How often an index that is behind is looked at for movement: a living writer's is behind by milliseconds."""

INDEX_PAUSE_SECONDS = 0.05

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
        ledger = fc.open(path, progress=advance, **named)
    try:
        _move_clock(ledger, options["today"])
    except BaseException:
        ledger.close()
        raise
    if ledger.recovery["copy"]:
        screen.talk(f"{path} is a copy that was not confirmed: it can be read, and nothing else")
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

    Where the index is missing, cannot be believed or was left behind by a crash, and nobody has the ledger open, it is
    opened for writing, which mends that. A folder that a ledger is followed into answers through its socket.
    """
    with ExitStack() as stack:
        if (path / FOLLOWED).exists():
            yield stack.enter_context(_connected(path, options))
            return
        ledger: Reading | None = _moving(path, stack)
        if ledger is None:
            stack.pop_all().close()
            try:
                ledger = stack.enter_context(open_ledger(screen, path, options))
            except fc.LockedError:
                reader = stack.enter_context(fc.open(path, read_only=True))
                ledger = stack.enter_context(reader.snapshot())
                screen.talk(f"as of {ledger.height} blocks: the ledger is open elsewhere, and its index is behind")
        if isinstance(ledger, fc.Snapshot):
            _move_clock(ledger, options["today"])
        yield ledger


def _moving(path: Path, stack: ExitStack) -> fc.Snapshot | None:
    """The newest state in the index, or `None` where no index keeps up with the blocks."""
    try:
        reader = stack.enter_context(fc.open(path, read_only=True))
        before = reader.height
        for _ in range(INDEX_LOOKS):
            if not reader.behind or reader.height > before:
                return stack.enter_context(reader.snapshot())
            time.sleep(INDEX_PAUSE_SECONDS)
    except fc.StorageError:
        pass
    return None


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
        raise Malformed(f"{path}: {error}", advice="docs/domain.md lists the instructions and their members") from None
    return read if isinstance(read, list) else [read]


def plain(record: Record) -> dict[str, Any]:
    """A record as a dictionary with its kind first."""
    return {"kind": record.kind, **msgspec.to_builtins(record)}


def said(record: Record) -> str:
    """A record as a line for people."""
    text = str(record)
    return f"{record.kind} {text.partition('(')[2].removesuffix(')')}" if text == repr(record) else text
