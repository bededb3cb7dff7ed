"""The batch load: a file's rows become claims and confirmations, each applied, refused or rejected, none in silence.

The file is read three times. The first pass checks every row, the control totals and the number of rejects; the second
runs the rules over the state as it is, on paper; the third sends, and only where no limit is passed. What is sent
depends on the file, the mapping and the lookup alone: the same run builds the same instructions for the same places of
the same lanes, so that a run which was killed goes on when it is started again, and one that was finished applies
nothing twice.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from finchain.batch.mapping import Mapping, Totals, read_mapping, read_totals
from finchain.batch.parties import PartyBook
from finchain.batch.parties import enrol as enrol_new
from finchain.batch.prepared import AsSigned, Preparing, SignedParts
from finchain.batch.reader import BLOCK_BYTES, Fault, HashedFile, Row, read_rows
from finchain.batch.report import LoadReport, RejectsFile, RunNote, read_notes, run_folder, write_note
from finchain.batch.rows import BadHeader, Claim, RowReader
from finchain.batch.sending import Answer, Deliver, ForGood, OnPaper, Passage
from finchain.errors import ConfigError, NotFound, Rejected, Unknown
from finchain.submitting import Submitting
from finchain.transaction import EXPIRY_MAX_MS, EXPIRY_MS

WINDOW_ROWS: Final = 16_384
"""Rows that are held at once: enough to fill the transactions of many senders, some ten megabytes."""

Progress = Callable[[int, int | None], None]
"""Called with rows checked and `None` before anything is sent, then with instructions answered and their number."""

_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", re.ASCII)


def load(
    ledger: Submitting,
    mapping: str | os.PathLike[str],
    *,
    input: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    run_id: str | None = None,
    enrol: bool = False,
    dry_run: bool = False,
    allow_reload: bool = False,
    prepare: str | os.PathLike[str] | None = None,
    signed: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """Loads a file, or goes on with a load that was ended before its end.

    Args:
        ledger: An open ledger.
        mapping: The mapping's file.
        input: The file, in the place of the one that the mapping names.
        out: Folder for rejects and notes, one subfolder a run; `out` where absent.
        run_id: Names the run; made from the file's digest where absent.
        enrol: Registers the parties of the lookup that the ledger does not have, once nothing else speaks against the
            file.
        dry_run: Runs the rules over the state as it is, registrations among them, and commits nothing.
        allow_reload: Takes a file that was loaded under another run id.
        prepare: A folder for one file a party with what it has to sign. Nothing is committed; no party's key is needed.
        signed: The folder with those files, signed; what came back is sent, and the rest can be by the same run later.
        progress: Told after each chunk.

    Returns:
        Counts, totals, where the rejects are, and the exit code for a scheduler.

    Raises:
        NotFound: Mapping, lookup, input or control totals are not there.
        ConfigError: One of them makes no sense; or the input changed while it was read; or a signed file is not what
            the load makes, or not signed by the party's keys.
        KeyFileError: `enrol` is set, and the key file of a new party, or the operator's key, cannot be read.
        LaneConflict: The run was begun with another mapping, lookup or file.
        Rejected: A transaction never entered a block, for example because a party's lanes are used up; the facts
            `sent` and `enrolled` say how many others of this attempt did, and how many parties were registered.
        KeyboardInterrupt: SIGINT or SIGTERM came; the chunk on its way was finished, and the next attempt goes on
            after it.
    """
    plan = read_mapping(mapping)
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        raise ConfigError(f"{run_id!r} is no run id", advice="1 to 128 of A-Z a-z 0-9 . _ : / -, the first no sign")
    elsewhere = prepare is not None or signed is not None
    if elsewhere and (enrol or (prepare is not None and signed is not None)):
        raise ConfigError(
            "prepare and signed exclude each other, and parties that sign elsewhere are not registered by a load",
            advice="register them by their enrolment requests first",
        )
    place = Path("out" if out is None else out)
    with _deferred_signals() as signals, ledger.rehearse() as paper:
        parties = PartyBook(ledger, plan, paper, elsewhere=elsewhere)
        new, problem = parties.enrol_on_paper() if enrol else ([], "")
        work = _Load(ledger, plan, _inputs(plan, input), parties, signals, progress)
        checked = work.check()
        run = run_id or f"{plan.lane}-{checked.digest()[:24]}"
        note = RunNote(run=run, ledger=ledger.name, files=checked.files, state="begun")
        folder = run_folder(place, run)
        checked.problem = problem or checked.problem or _loaded_before(place, note, allow_reload)
        if prepare is not None:
            return _prepare(work, run, checked, folder, Preparing(ledger, paper, Path(prepare), run))
        parts = None if signed is None else SignedParts(ledger, Path(signed), run)
        first: Deliver = OnPaper(ledger, paper) if parts is None else AsSigned(ledger, paper, parts, None)
        report = work.rehearse(run, checked, folder, first)
        if dry_run or report.problem:
            return msgspec.structs.replace(report, dry_run=dry_run, enrolled=len(new) if dry_run and not problem else 0)
        write_note(folder, note)
        return _send(work, note, checked, folder, enrol_new(ledger, new), parts)


def _prepare(work: _Load, run: str, checked: Checked, folder: Path, preparing: Preparing) -> LoadReport:
    prepared = 0
    try:
        report = work.rehearse(run, checked, folder, preparing, EXPIRY_MAX_MS)
        if not report.problem:
            prepared = preparing.finish()
    finally:
        preparing.drop()
    return msgspec.structs.replace(report, dry_run=True, prepared=prepared)


def _send(
    work: _Load, note: RunNote, checked: Checked, folder: Path, enrolled: int, parts: SignedParts | None
) -> LoadReport:
    ledger = work.ledger
    try:
        # The first rehearsal has written every row on its paper; what is not sent now needs a clean sheet.
        with ledger.rehearse() as paper:
            deliver: Deliver = ForGood(ledger) if parts is None else AsSigned(ledger, paper, parts, ledger.submit_all)
            report = work.send(note.run, checked, folder, deliver)
    except (KeyboardInterrupt, Rejected, Unknown) as error:
        if not isinstance(error, KeyboardInterrupt):
            error.facts["enrolled"] = enrolled
        write_note(folder, msgspec.structs.replace(note, state="stopped"))
        raise
    report = msgspec.structs.replace(report, enrolled=enrolled)
    write_note(folder, msgspec.structs.replace(note, state="stopped" if report.problem else "done", report=report))
    return report


class Checked:
    """What the first pass found.

    Attributes:
        files: The SHA-256 of each file in hex.
        ready: Rows that can be sent.
        totals: Their sum by currency, in minor units.
        sums: The sum of all amounts that can be read, in minor units.
        problem: Why nothing may be committed; empty where there is no reason.
    """

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.rows = self.ready = 0
        self.totals: Counter[str] = Counter()
        self.sums: Counter[str] = Counter()
        self.problem = ""

    def add(self, amount: tuple[int, str] | Fault, claim: Claim | Fault) -> None:
        """Counts a row."""
        self.rows += 1
        if not isinstance(amount, Fault):
            self.sums[amount[1]] += amount[0]
        if not isinstance(claim, Fault):
            self.ready += 1
            self.totals[claim.submit.currency] += claim.submit.amount_minor

    def join(self, other: Checked) -> None:
        """Takes in what was found in one more file."""
        self.files |= other.files
        self.rows += other.rows
        self.ready += other.ready
        self.totals.update(other.totals)
        self.sums.update(other.sums)
        self.problem = self.problem or other.problem

    def contradiction(self, stated: Totals) -> str:
        """What control totals say otherwise; empty where they agree."""
        if stated.rows is not None and stated.rows != self.rows:
            return f"there are {self.rows} rows, and the control totals say {stated.rows}"
        expected = stated.sums_minor()
        if expected and expected != self.sums:
            return f"the amounts add up to {dict(self.sums)} minor units, and the control totals say {expected}"
        return ""

    def digest(self) -> str:
        """One digest for all files, whatever their names."""
        digests = list(self.files.values())
        return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


class _Tally:
    """What became of the rows that were ready."""

    def __init__(self) -> None:
        self.applied = self.refused = self.unsigned = self.waiting = self.unsent = self.already = 0
        self.totals: Counter[str] = Counter()

    def count(self, answer: Answer, phases: int, claim: Claim) -> Fault | None:
        """Counts a row; gives why it is not applied."""
        if answer.fault is not None:
            self.refused += 1
        elif answer.unsent is not None:
            self.waiting += answer.answered > 0
            self.unsigned += answer.answered == 0
            return answer.unsent
        elif answer.answered < phases:
            self.unsent += 1
            return None
        else:
            self.applied += 1
            self.totals[claim.submit.currency] += claim.submit.amount_minor
        self.already += not answer.fresh
        return answer.fault

    def report(
        self, run: str, checked: Checked, rejects: RejectsFile, problem: str, *, sent: int = 0, on_paper: bool = False
    ) -> LoadReport:
        """The counts as a report; what was done on paper is not counted as applied."""
        rejected = checked.rows - checked.ready + self.unsigned
        common: dict[str, Any] = {
            "run": run, "files": checked.files, "rows": checked.rows, "ready": checked.rows - rejected,
            "rejected": rejected, "codes": dict(sorted(rejects.codes.items())), "rejects": rejects.path,
            "problem": problem, "refused": self.refused,
        }  # fmt: skip
        if checked.problem:
            return LoadReport(**common, totals=dict(checked.totals))
        if on_paper:
            return LoadReport(**common, totals=dict(self.totals), already=self.already)
        return LoadReport(
            **common, totals=dict(self.totals), already=self.already, applied=self.applied, waiting=self.waiting,
            unsent=self.unsent, sent=sent,
        )  # fmt: skip


class _Load:
    """One load: the ledger, the mapping, the files, and how far it is."""

    def __init__(
        self, ledger: Submitting, mapping: Mapping, paths: list[Path], parties: PartyBook, signals: list[int],
        progress: Progress | None,
    ) -> None:  # fmt: skip
        self.ledger, self._mapping, self._paths, self._parties = ledger, mapping, paths, parties
        self._signals, self._progress = signals, progress

    # ---- reading

    def check(self) -> Checked:
        """Reads every row and commits nothing."""
        whole = Checked()
        for path in self._paths:
            whole.join(self._check_file(path, whole.rows))
        whole.problem = (
            whole.problem
            or whole.contradiction(self._mapping.control)
            or self._mapping.beyond_limits(whole.rows - whole.ready, 0, whole.rows)
        )
        return whole

    def _check_file(self, path: Path, rows_before: int) -> Checked:
        own = Checked()
        with HashedFile(path) as file:
            try:
                for reader, row in self._rows(file):
                    amount = reader.amount(row)
                    own.add(amount, reader.claim(row, amount))
                    if (rows_before + own.rows) % WINDOW_ROWS == 0:
                        self._pause(rows_before + own.rows, None)
            except BadHeader as error:
                own.problem = f"{path}: {error}"
            while file.read(BLOCK_BYTES):
                pass
            own.files[str(path)] = file.digest
        suffix = self._mapping.control.suffix
        if suffix is not None and not own.problem:
            contradiction = own.contradiction(read_totals(path.with_name(path.name + suffix)))
            own.problem = contradiction and f"{path}: {contradiction}"
        return own

    def _rows(self, file: HashedFile) -> Iterator[tuple[RowReader, Row]]:
        """The rows after the header, each with what reads it."""
        rows = read_rows(file, delimiter=self._mapping.delimiter, encoding=self._mapping.input.encoding)
        header = next(rows, None)
        if header is None:
            raise BadHeader("the file is empty")
        reader = RowReader(self._mapping, header, self._parties)
        for row in rows:
            yield reader, row

    def windows(self, checked: Checked) -> Iterator[list[_Read]]:
        """All rows once more, some thousand at a time.

        Raises:
            ConfigError: A file is not what it was in the first pass.
        """
        window: list[_Read] = []
        for path in self._paths:
            with HashedFile(path) as file:
                # A header that cannot be read was the problem of the first pass, and there is no row after it.
                with contextlib.suppress(BadHeader):
                    for reader, row in self._rows(file):
                        claim = reader.claim(row, reader.amount(row))
                        window.append(_Read(str(path), row._replace(fields=[]), claim))
                        if len(window) == WINDOW_ROWS:
                            yield window
                            window = []
                while file.read(BLOCK_BYTES):
                    pass
                if file.digest != checked.files[str(path)]:
                    raise ConfigError(
                        f"{path} changed while it was loaded", advice="load files that nobody writes to any more"
                    )
        yield window

    # ---- on paper and for good

    def rehearse(
        self, run: str, checked: Checked, folder: Path, deliver: Deliver, valid_ms: int = EXPIRY_MS
    ) -> LoadReport:
        """Runs the rules for every row that is ready, and sends nothing; only lists the rejects of a bad file."""

        def heed(done: int, refused: int) -> str:
            self._pause(done // len(passage.phases), None)
            return ""

        passage = Passage(self.ledger, self._mapping, run, deliver, heed, valid_ms)
        passage.ended = checked.problem
        with RejectsFile(folder, "checked.rejects.csv") as rejects:
            tally = self._run_through(passage, checked, rejects)
        if checked.problem:
            return tally.report(run, checked, rejects, checked.problem)
        problem = self._mapping.beyond_limits(
            checked.rows - checked.ready + tally.unsigned, tally.refused, checked.rows
        )
        if not problem and checked.rows and not tally.applied + tally.waiting:
            problem = "no row would be applied"
        return tally.report(run, checked, rejects, problem, on_paper=True)

    def send(self, run: str, checked: Checked, folder: Path, deliver: Deliver) -> LoadReport:
        """Sends every row that is ready, until more are refused than may be."""

        def heed(done: int, refused: int) -> str:
            self._pause(done, checked.ready * len(passage.phases))
            return self._mapping.beyond_limits(0, refused, checked.rows)

        passage = Passage(self.ledger, self._mapping, run, deliver, heed)
        with RejectsFile(folder, "rejects.csv") as rejects:
            tally = self._run_through(passage, checked, rejects)
        return tally.report(run, checked, rejects, passage.ended, sent=passage.sent)

    def _run_through(self, passage: Passage, checked: Checked, rejects: RejectsFile) -> _Tally:
        """Takes all windows through a passage, and writes down every row that is not applied."""
        tally = _Tally()
        for window in self.windows(checked):
            claims = [read.claim for read in window if not isinstance(read.claim, Fault)]
            answers = iter([Answer() for _ in claims] if passage.ended else passage.window(claims))
            for read in window:
                if isinstance(read.claim, Fault):
                    rejects.write(read.file, read.row, read.claim)
                    continue
                fault = tally.count(next(answers), len(passage.phases), read.claim)
                if fault is not None:
                    rejects.write(read.file, read.row, fault)
        return tally

    def _pause(self, done: int, planned: int | None) -> None:
        """Tells how far it is, and ends the load where a signal came."""
        if self._progress is not None:
            self._progress(done, planned)
        if self._signals:
            raise KeyboardInterrupt(f"stopped by {signal.Signals(self._signals[0]).name}")


class _Read(NamedTuple):
    """A row of the second pass."""

    file: str
    row: Row
    claim: Claim | Fault


def _inputs(mapping: Mapping, given: str | os.PathLike[str] | None) -> list[Path]:
    """The files of a load, in the order of their names."""
    if given is not None:
        return [Path(given)]
    if mapping.input.path is None:
        raise ConfigError("the mapping names no input", advice="give the file, or write input.path into the mapping")
    path = Path(mapping.folder) / mapping.input.path
    if path.exists():
        return [path]
    found = [Path(name) for name in sorted(glob.glob(str(path)))]
    if not found:
        raise NotFound(f"there is no file {path}")
    return found


def _loaded_before(out: Path, note: RunNote, allow_reload: bool) -> str:
    """Why the files may not be loaded under this run id; empty where they may."""
    digests = set(note.files.values())
    for other in read_notes(out):
        if other.ledger != note.ledger:
            continue
        if other.run == note.run and set(other.files.values()) != digests:
            return f"run {note.run} was begun with another file"
        again = digests & set(other.files.values())
        if other.run != note.run and again and not allow_reload:
            return f"the file with SHA-256 {min(again)} was loaded as run {other.run}, and allow_reload is not set"
    return ""


@contextlib.contextmanager
def _deferred_signals() -> Iterator[list[int]]:
    """Notes SIGINT and SIGTERM instead of obeying at once; elsewhere than in the main thread it does nothing."""
    caught: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            # A signal that is ignored, as under nohup, stays so; a handler from outside Python cannot be put back.
            if handler is not signal.SIG_IGN and handler is not None:
                before[number] = signal.signal(number, lambda given, _: caught.append(given))
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
