"""The batch load: a file's rows become claims and confirmations, each applied, refused or rejected, none in silence.

The file is read twice. The first pass checks every row, the control totals and the number of rejects, and commits
nothing; the second sends. What is sent depends on the file, the mapping and the lookup alone: the same run builds the
same instructions for the same places of the same lanes, so that a run which was killed goes on when it is started
again, and one that was finished applies nothing twice.
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
from typing import Final, NamedTuple

import msgspec

from finchain.batch.mapping import Mapping, Totals, read_mapping, read_totals
from finchain.batch.parties import PartyBook, Signer
from finchain.batch.reader import BLOCK_BYTES, Fault, HashedFile, Row, read_rows
from finchain.batch.report import LoadReport, RejectsFile, RunNote, read_notes, run_folder, run_stem, write_note
from finchain.batch.rows import BadHeader, Claim, RowReader
from finchain.domain.rule import Instruction
from finchain.errors import ConfigError, LaneConflict, NotFound
from finchain.outcome import Outcome
from finchain.submitting import Submitting, raise_unless_known
from finchain.transaction import EXPIRY_MS, Transaction

WINDOW_ROWS: Final = 16_384
"""Rows that are held at once: enough to fill the transactions of many senders, some ten megabytes."""

CHUNK_TRANSACTIONS: Final = 16
"""Transactions that are sent at once; after each chunk a signal is heeded and progress told."""

Progress = Callable[[int, int | None], None]
"""Called with rows checked and `None` in the first pass, with instructions answered and their number in the second."""

_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", re.ASCII)


def load(
    ledger: Submitting,
    mapping: str | os.PathLike[str],
    *,
    input: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    run_id: str | None = None,
    dry_run: bool = False,
    allow_reload: bool = False,
    progress: Progress | None = None,
) -> LoadReport:
    """Loads a file, or goes on with a load that was ended before its end.

    Args:
        ledger: An open ledger; the parties are registered on it (`enrol_parties`).
        mapping: The mapping's file.
        input: The file, in the place of the one that the mapping names.
        out: Folder for rejects and notes, one subfolder a run; `out` where absent.
        run_id: Names the run; made from the file's digest where absent.
        dry_run: Checks everything and commits nothing.
        allow_reload: Takes a file that was loaded under another run id.
        progress: Told after each chunk.

    Returns:
        Counts, totals, where the rejects are, and the exit code for a scheduler.

    Raises:
        NotFound: Mapping, lookup, input or control totals are not there.
        ConfigError: One of them makes no sense; or the input changed while it was read.
        LaneConflict: The run was begun with another mapping, lookup or file.
        Rejected: A transaction never entered a block, for example because a party's lanes are used up.
        KeyboardInterrupt: SIGINT or SIGTERM came; the chunk on its way was finished, and the next attempt goes on
            after it.
    """
    plan = read_mapping(mapping)
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        raise ConfigError(f"{run_id!r} is no run id", advice="1 to 128 of A-Z a-z 0-9 . _ : / -, the first no sign")
    place = Path("out" if out is None else out)
    with _deferred_signals() as signals:
        work = _Load(ledger, plan, _inputs(plan, input), signals, progress)
        checked = work.check()
        run = run_id or f"{plan.lane}-{checked.digest()[:24]}"
        note = RunNote(run=run, ledger=ledger.name, files=checked.files, state="begun")
        folder = run_folder(place, run)
        problem = checked.problem or _loaded_before(place, note, allow_reload)
        if dry_run or problem:
            return _checked_report(work, run, checked, folder, problem, dry_run)
        return _send(work, note, checked, folder)


def _checked_report(work: _Load, run: str, checked: Checked, folder: Path, problem: str, dry_run: bool) -> LoadReport:
    """The report where nothing is sent. The rejects of a real load are not overwritten."""
    with RejectsFile(folder, "checked.rejects.csv") as rejects:
        for window in work.windows(checked):
            for read in window:
                if isinstance(read.claim, Fault):
                    rejects.write(read.file, read.row, read.claim)
    return LoadReport(
        run=run, files=checked.files, rows=checked.rows, ready=checked.ready, rejected=checked.rows - checked.ready,
        codes=dict(sorted(rejects.codes.items())), totals=dict(checked.totals), rejects=rejects.path, problem=problem,
        dry_run=dry_run,
    )  # fmt: skip


def _send(work: _Load, note: RunNote, checked: Checked, folder: Path) -> LoadReport:
    write_note(folder, note)
    try:
        with RejectsFile(folder, "rejects.csv") as rejects:
            report = work.send(note.run, checked, rejects)
    except KeyboardInterrupt:
        write_note(folder, msgspec.structs.replace(note, state="stopped"))
        raise
    write_note(folder, msgspec.structs.replace(note, state="done", report=report))
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


class _Load:
    """One load: the ledger, the mapping, the files, and how far it is."""

    def __init__(
        self, ledger: Submitting, mapping: Mapping, paths: list[Path], signals: list[int], progress: Progress | None
    ) -> None:
        self._ledger, self._mapping, self._paths = ledger, mapping, paths
        self._signals, self._progress = signals, progress
        self._parties = PartyBook(ledger, mapping)
        self._phases = ("claim", "confirm") if mapping.confirm else ("claim",)
        self._sequences: Counter[tuple[str, str]] = Counter()
        self._done = self._planned = 0

    # ---- reading

    def check(self) -> Checked:
        """Reads every row and commits nothing."""
        whole = Checked()
        for path in self._paths:
            whole.join(self._check_file(path, whole.rows))
        whole.problem = whole.problem or whole.contradiction(self._mapping.control)
        rejected = whole.rows - whole.ready
        if not whole.problem and self._mapping.too_many(rejected, whole.rows):
            whole.problem = (
                f"{rejected} of {whole.rows} rows are rejected, and max_rejects is {self._mapping.max_rejects}"
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

    # ---- sending

    def send(self, run: str, checked: Checked, rejects: RejectsFile) -> LoadReport:
        """Sends every row that is ready."""
        self._planned = checked.ready * len(self._phases)
        totals: Counter[str] = Counter()
        applied = refused = already = 0
        for window in self.windows(checked):
            answers = self._send_window(run, [read.claim for read in window if not isinstance(read.claim, Fault)])
            answer = iter(answers)
            for read in window:
                if isinstance(read.claim, Fault):
                    rejects.write(read.file, read.row, read.claim)
                    continue
                given = next(answer)
                already += not given.fresh
                if given.fault is not None:
                    refused += 1
                    rejects.write(read.file, read.row, given.fault)
                else:
                    applied += 1
                    totals[read.claim.submit.currency] += read.claim.submit.amount_minor
        return LoadReport(
            run=run, files=checked.files, rows=checked.rows, ready=checked.ready, applied=applied, refused=refused,
            rejected=checked.rows - checked.ready, already=already, codes=dict(sorted(rejects.codes.items())),
            totals=dict(totals), rejects=rejects.path,
        )  # fmt: skip

    def _send_window(self, run: str, claims: list[Claim]) -> list[_Answer]:
        """Sends the claims, and the confirmations of those that hold."""
        answers = [_Answer() for _ in claims]
        for phase in self._phases:
            live = [at for at, answer in enumerate(answers) if answer.fault is None]
            self._done += len(claims) - len(live)
            parcels = self._parcels(phase, claims, live)
            for start in range(0, len(parcels), CHUNK_TRANSACTIONS):
                chunk = parcels[start : start + CHUNK_TRANSACTIONS]
                sent = [self._transaction(run, phase, signer, [claims[at] for at in ats]) for signer, ats in chunk]
                for (_, ats), outcome in zip(chunk, self._ledger.submit_all(sent), strict=True):
                    _take_answer(outcome, [answers[at] for at in ats], run)
                    self._done += len(ats)
                self._pause(self._done, self._planned)
        return answers

    def _parcels(self, phase: str, claims: list[Claim], live: list[int]) -> list[tuple[Signer, list[int]]]:
        """What one transaction each will hold: rows of one sender, in their order."""
        by_sender: dict[str, tuple[Signer, list[int]]] = {}
        for at in live:
            signer = claims[at].creditor if phase == "claim" else claims[at].debtor
            by_sender.setdefault(signer.id, (signer, []))[1].append(at)
        size = self._mapping.transaction_instructions
        return [
            (signer, ats[start : start + size])
            for signer, ats in by_sender.values()
            for start in range(0, len(ats), size)
        ]

    def _transaction(self, run: str, phase: str, signer: Signer, claims: list[Claim]) -> Transaction:
        self._sequences[signer.id, phase] += 1
        instructions: list[Instruction] = [
            claim.submit if phase == "claim" else claim.confirmation() for claim in claims
        ]  # fmt: skip
        # Expiry and salt are new at every attempt; they do not count where a transaction is found to be the same.
        return Transaction.build(
            instructions, by=[signer.id], ledger=self._ledger.name, lane=f"{run_stem(run)}/{phase}",
            sequence=self._sequences[signer.id, phase], mode="each", hash_suite=self._ledger.hash_suite,
            expires_ms=self._ledger.clock.now_ms() + EXPIRY_MS, rulebook=self._ledger.rulebook,
        ).sign(signer.key, signer.key_id)  # fmt: skip

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


class _Answer:
    """What became of a row: refused for which reason, and whether any of it was new."""

    __slots__ = ("fault", "fresh")

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.fresh = False


def _take_answer(outcome: Outcome, answers: list[_Answer], run: str) -> None:
    if isinstance(outcome.error, LaneConflict):
        raise LaneConflict(
            f"run {run} was begun with another mapping, lookup or file: {outcome.error.message}",
            advice="finish it as it was begun; rows that were mended since go into a file of their own",
        )
    raise_unless_known(outcome)
    if outcome.status != "already":
        for answer in answers:
            answer.fresh = True
    messages = {refusal.instruction: refusal.message for refusal in outcome.refusals}
    for index, code in outcome.refused:
        answers[index].fault = Fault(code, messages.get(index, f"refused before, in block {outcome.height}"))


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
