"""What a load leaves behind: its report, the file of rejects, and the note of the run.

All three are advice for people and schedulers. What was committed is said by the ledger alone, and a load that is run
again asks the ledger and not these files. They are written beside their place and moved there when they are whole.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from finchain.batch.reader import Fault, Row
from finchain.money import format_minor

log = logging.getLogger("finchain")

REJECTS_HEADER: Final = b"file,row,offset,code,reason,original\n"

STEM_CHARACTERS_MAX: Final = 48
"""Of a run's stem, so that a lane, which has 64 characters, also holds the phase."""


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a load.

    `rows` is `applied + refused + rejected + waiting + unsent`; where nothing was sent, it is `ready + rejected`.

    Attributes:
        run: The run id.
        files: The files, and the SHA-256 of each in hex.
        rows: Rows without headers and empty lines.
        ready: Rows that could be sent.
        applied: Rows all of whose instructions hold.
        refused: Rows with an instruction that a rule refused; where nothing was sent, would refuse.
        rejected: Rows that never were sent.
        waiting: Rows whose claim is on the ledger and whose confirmation is not signed yet.
        unsent: Rows of which something was not sent because the load was stopped.
        already: Rows, among those applied and refused, that had all been sent by an earlier attempt of this run.
        enrolled: Parties that this run registered; in a dry run, would register.
        prepared: Files that this run wrote for the parties to sign.
        sent: Transactions that this run brought into the ledger, registrations not counted.
        codes: How often each reason occurs among rows that were not applied.
        totals: Sum of the applied rows by currency, in minor units; where nothing was sent, of those that would be.
        rejects: The file of rows that were not applied; `None` where there are none.
        problem: Why nothing was sent, or why sending was stopped; empty where neither is so.
    """

    run: str
    files: dict[str, str]
    rows: int
    ready: int
    applied: int = 0
    refused: int = 0
    rejected: int
    waiting: int = 0
    unsent: int = 0
    already: int = 0
    enrolled: int = 0
    prepared: int = 0
    sent: int = 0
    codes: dict[str, int]
    totals: dict[str, int]
    rejects: str | None
    problem: str = ""
    dry_run: bool = False

    @property
    def exit_code(self) -> Literal[0, 4, 8, 16]:
        """0 all applied; 4 some rows were not; 8 no row was applied; 16 sending was stopped after it had begun."""
        if self.problem:
            return 16 if self.sent else 8
        held = self.ready - self.refused if self.dry_run else self.applied + self.waiting
        if self.rows and not held:
            return 8
        return 4 if self.refused or self.rejected or self.waiting else 0

    def __str__(self) -> str:
        sums = ", ".join(f"{format_minor(minor, currency)} {currency}" for currency, minor in self.totals.items())
        lines = [f"run {self.run}: {self.rows} rows, {self._counts()}; {sums or 'no amounts'}"]
        if self.enrolled:
            lines.append(f"  {self.enrolled} parties {'would be ' if self.dry_run else ''}registered")
        if self.prepared:
            lines.append(f"  {self.prepared} files to be signed")
        if self.already:
            lines.append(f"  {self.already} of them were there already")
        lines += [f"  {count} × {code}" for code, count in self.codes.items()]
        if self.rejects is not None:
            lines.append(f"  see {self.rejects}")
        return "\n".join(lines + self._conclusion())

    def _counts(self) -> str:
        if self.dry_run or (self.problem and not self.sent):
            # The rules were not run over a file that could not be sent anyway.
            refused = f"{self.refused} would be refused, " if self.refused or not self.problem else ""
            return f"{self.ready - self.refused} ready, {refused}{self.rejected} rejected"
        counts = f"{self.applied} applied, {self.refused} refused, {self.rejected} rejected"
        counts += f", {self.waiting} waiting for a signature" if self.waiting else ""
        return counts + (f", {self.unsent} not sent" if self.unsent else "")

    def _conclusion(self) -> list[str]:
        if self.problem and self.sent:
            return [f"  stopped: {self.problem}; {self.sent} transactions of this run are on the ledger"]
        if self.problem and self.enrolled and not self.dry_run:
            return [f"  no row was sent: {self.problem}"]
        if self.problem:
            return [f"  nothing {'more ' if self.already else ''}was committed: {self.problem}"]
        if self.exit_code == 8:
            return ["  no row would be applied" if self.dry_run else "  no row was applied"]
        return []


class RunNote(msgspec.Struct, frozen=True, kw_only=True):
    """The file `run.json` of a run.

    Attributes:
        state: `begun`, and if nothing else follows, the load was ended from outside; `stopped` by a signal, a limit or
            a transaction that was rejected; `done`.
    """

    run: str
    ledger: str
    files: dict[str, str]
    state: Literal["begun", "stopped", "done"]
    report: LoadReport | None = None
    type: Literal["finchain.run.1"] = "finchain.run.1"


def run_stem(run_id: str) -> str:
    """What stands for a run in the names of lanes: its id, or a hash of it where it is long."""
    return run_id if len(run_id) <= STEM_CHARACTERS_MAX else hashlib.sha256(run_id.encode()).hexdigest()[:48]


def run_folder(out: Path, run_id: str) -> Path:
    """Where a run leaves its files. No two runs share a folder: a run id has no `~`."""
    return out / run_stem(run_id).replace("/", "~")


def write_note(folder: Path, note: RunNote) -> None:
    """Writes `run.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "run.json.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(note, order="sorted"), indent=2) + b"\n")
    os.replace(part, folder / "run.json")


def read_notes(out: Path) -> Iterator[RunNote]:
    """The notes of all runs; one that cannot be read is passed over with a warning, for it is advice."""
    for path in sorted(out.glob("*/run.json")):
        try:
            yield msgspec.json.decode(path.read_bytes(), type=RunNote)
        except (msgspec.MsgspecError, OSError) as error:
            log.warning("%s is passed over: %s", path, error)


class RejectsFile:
    """A CSV of rows that were not applied, made whole or not at all. A context manager.

    Attributes:
        codes: How often each reason was written.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._target = folder / name
        self._part = folder / f"{name}.part"
        self._file = self._part.open("wb")
        self._file.write(REJECTS_HEADER)
        self.codes: Counter[str] = Counter()

    def write(self, file: str, row: Row, fault: Fault) -> None:
        """Adds a row with its original bytes, whatever they are, as one quoted field."""
        self.codes[fault.code] += 1
        said = (os.fsencode(file), fault.reason.encode("utf-8", "backslashreplace"), row.raw)
        name, reason, raw = (b'"' + text.replace(b'"', b'""') + b'"' for text in said)
        self._file.write(b"%b,%d,%d,%b,%b,%b\n" % (name, row.number, row.offset, fault.code.encode(), reason, raw))

    @property
    def path(self) -> str | None:
        """Where the file is once it is whole; `None` where no row was written."""
        return str(self._target) if self.codes else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if kind is not None:
            self._part.unlink()
        elif self.codes:
            os.replace(self._part, self._target)
        else:
            self._part.unlink()
            self._target.unlink(missing_ok=True)
