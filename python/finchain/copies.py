"""Copies of a ledger: backup, restore, confirming a restored one, repair from a copy, and what a successor states.

A copy is marked as one and stays read-only until somebody confirms that nothing is missing in it, so that no old
backup ever goes on as if it were the ledger. Nothing is written anywhere that hashes or a signature do not show to be
right.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from finchain import _core
from finchain.audit import Audit, check, checkpoint_keys_in
from finchain.domain.founding import Predecessor
from finchain.domain.rulebook import Rulebook
from finchain.errors import ConfigError, Fault, FinchainError, NotFound, TamperError
from finchain.key_folder import KeyFolder
from finchain.opening import Progress, sync_folder
from finchain.outcome import Backup
from finchain.receipt import read_file
from finchain.replay import founding_keys
from finchain.trust import CHECKPOINT

ALL_DURABLE = 2**63 - 1
"""As a height up to which blocks are durable, where nobody writes."""

NOTE_BYTES_MAX = 1 << 20
"""A checkpoint with a few hundred cosignatures; a larger file is none."""

PathLike = str | os.PathLike[str]


class Mended(msgspec.Struct, frozen=True):
    """Blocks that a repair puts back.

    Attributes:
        height: The first.
        until: One more than the last.
        shown: Why they are the ones that were there: `chain`, the block behind them gives their hash; `sum`, the head
            of the damaged frame has the sum of this payload; `signed`, a checkpoint over them was signed; `extends`,
            they follow the last block, verify in full, and nothing that was signed speaks of them.
        size: Blocks under the checkpoint that shows it.
    """

    height: int
    until: int
    shown: Literal["chain", "sum", "signed", "extends"]
    size: int | None = None

    def __str__(self) -> str:
        why = {
            "chain": "their hash stands in the block behind them",
            "sum": "the damaged frame's head has their sum",
            "signed": f"a checkpoint over {self.size} blocks was signed",
            "extends": "they follow the last block; no checkpoint covers them",
        }[self.shown]
        blocks = (
            f"block {self.height}" if self.until == self.height + 1 else f"blocks {self.height} to {self.until - 1}"
        )
        return f"{blocks}: {why}"


class Left(msgspec.Struct, frozen=True):
    """A place that a repair leaves as it is, and why."""

    fault: Fault
    why: str

    def __str__(self) -> str:
        return f"{self.fault}; {self.why}"


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair did, or would do.

    Attributes:
        mended: Blocks that are put back.
        left: Places that the copy cannot mend.
        files: Small files that are made anew: `ledger.json`, where whole blocks show whose folder it is, and
            `checkpoint`, from the copy, where a key of the ledger signed it over these blocks.
        written: Whether anything was written; `False` for a dry run.
        audit: What the check found afterwards; `None` for a dry run, or where a place is left.
    """

    mended: tuple[Mended, ...]
    left: tuple[Left, ...]
    files: tuple[str, ...] = ()
    written: bool
    audit: Audit | None = None

    def __str__(self) -> str:
        verb = "put back" if self.written else "to put back"
        lines = [
            *(f"{verb}: {row}" for row in self.mended),
            *(f"{verb}: {name}" for name in self.files),
            *(f"left: {row}" for row in self.left),
        ]
        return "\n".join([*lines, *([str(self.audit)] if self.audit else [])] or ["nothing to put back"])


def backup(path: PathLike, to: PathLike, *, progress: Progress | None = None) -> Backup:
    """Copies a ledger, or brings a copy up to date, also while another process writes it.

    Whole, durable blocks alone are copied, each verified by its hashes on the way, and then the newest checkpoint. It
    can be interrupted anywhere and begun again.

    Args:
        path: The ledger's folder.
        to: The folder of the copy: new, empty, or one that an earlier backup made.
        progress: Called with blocks copied, twice.

    Raises:
        TamperError: The ledger is damaged, or is no longer what was copied; the copy is not touched.
        ConfigError: The folder is something else than a copy of this ledger.
        LockedError: Another process copies to it.
        NotFound: There is no ledger in this folder.
    """
    return _copied(Path(path), Path(to), None, progress)


def _copied(path: Path, to: Path, durable: int | None, progress: Progress | None) -> Backup:
    advance = None if progress is None else lambda blocks: progress(blocks, blocks)
    return Backup(path=str(to), **_core.backup(path, to, durable=durable, progress=advance))


def restore(source: PathLike, to: PathLike, *, progress: Progress | None = None) -> Backup:
    """Puts a backup back into a new folder. It opens read-only until `confirm` says that nothing is missing in it.

    Args:
        source: The backup, or any other copy.
        to: The folder, which must not exist.
        progress: Called with blocks copied, twice.

    Raises:
        ConfigError: The folder exists.
        TamperError: The backup is damaged.
        NotFound: There is no ledger in the backup's folder.
    """
    target = Path(to)
    if target.exists():
        raise ConfigError(f"{target} exists", advice="restore into a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f"{target.name}.restoring-{secrets.token_hex(4)}")
    try:
        copied = _copied(Path(source), building, ALL_DURABLE, progress)
        os.rename(building, target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return msgspec.structs.replace(copied, path=str(target))


def confirm(
    path: PathLike,
    *,
    checkpoint: PathLike | bytes | None = None,
    by_mark: bool = False,
    witnesses: Sequence[str] = (),
    witnesses_needed: int = 0,
    keys: PathLike | None = None,
    rulebooks: Sequence[Rulebook] = (),
    progress: Progress | None = None,
) -> Audit:
    """Makes a copy the ledger, once everything in it is verified and nothing that was signed is missing.

    The checkpoint should be the newest one that anybody has: from a witness, or from a receipt in somebody's hands.
    The signed mark is as good where the key folder is the one that was always used; a key folder that was restored
    together with the ledger knows nothing newer, and shows nothing.

    Args:
        path: The copy's folder.
        checkpoint: A signed checkpoint, or its file; or
        by_mark: takes the signed mark in the key folder for it.
        witnesses: Verifier keys of witnesses.
        witnesses_needed: How many of them must have cosigned the checkpoint.
        keys: The key folder of all ledgers.
        rulebooks: Those that the ledger was under, beside the built-in one.
        progress: Called after each verified block.

    Raises:
        TamperError: Blocks are missing or different from what was signed, or the copy is damaged: it stays read-only.
        ConfigError: Not exactly one of `checkpoint` and `by_mark` is given, or the folder is no such copy.
        NotFound: There is no signed mark.
    """
    if (checkpoint is None) != by_mark:
        raise ConfigError("a copy is confirmed by a checkpoint, or by the signed mark", advice="give one of them")
    folder = Path(path)
    key_folder = KeyFolder.of(keys, folder)
    audit = check(folder, progress=progress, rulebooks=rulebooks)
    survey = _core.Survey(folder)
    mark = _core.signed_mark(key_folder.mark_path)
    if checkpoint is not None:
        origin, size, root_hash, _ = _core.verify_checkpoint(
            _note(checkpoint), log_keys=audit.checkpoint_keys + audit.former_checkpoint_keys, witnesses=list(witnesses),
            witnesses_needed=witnesses_needed, operator_alone=not witnesses_needed,
        )  # fmt: skip
        signed = (origin, size, root_hash)
    elif mark is not None:
        signed = mark
    else:
        raise NotFound(
            f"there is no signed mark at {key_folder.mark_path}", advice="give a checkpoint that somebody else has kept"
        )
    for each in filter(None, (signed, mark)):
        _compare_signed(survey, audit, each)
    key_folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _core.confirm_copy(folder, key_folder.mark_path, signed)
    return audit


def _compare_signed(survey: _core.Survey, audit: Audit, signed: tuple[str, int, bytes]) -> None:
    _, size, root_hash = signed
    if size > audit.blocks:
        raise TamperError(
            f"a checkpoint over {size} blocks was signed, and this copy has {audit.blocks}: blocks are missing",
            advice="bring them back with finchain repair, from a newer copy; if there is none, found a new ledger that "
            "names this one as its predecessor",
            facts={"signed_blocks": size, "blocks": audit.blocks},
        )
    if survey.root_at(size) != root_hash:
        raise TamperError(
            f"the root signed over {size} blocks is not the root of these blocks: this is another history",
            facts={"signed_blocks": size, "blocks": audit.blocks},
        )


def repair(
    path: PathLike,
    source: PathLike,
    *,
    write: bool = False,
    checkpoint: PathLike | bytes | None = None,
    keys: PathLike | None = None,
    rulebooks: Sequence[Rulebook] = (),
    progress: Progress | None = None,
) -> Repair:
    """Puts back blocks that are damaged or missing, from another copy of the same ledger, and never invents any.

    So are `ledger.json`, which block 0 determines, and the newest checkpoint, where one that verifies is in the copy.

    It writes only what it is told to: damage may be evidence, and whoever writes over it should first have seen what
    is written and why.

    Args:
        path: The damaged ledger's folder.
        source: The copy's folder.
        write: Writes; without it the answer says what would be done.
        checkpoint: A signed checkpoint that the blocks must agree with, beside the one in the folder and the mark.
        keys: The key folder of all ledgers, for the signed mark.
        rulebooks: Those that the ledger was under, beside the built-in one.
        progress: Called after each block that is verified in full.

    Raises:
        TamperError: The copy's blocks at the end do not verify, or the repaired ledger does not.
        LockedError: Another process has the ledger open for writing.
        NotFound: There is no ledger in the copy's folder, or it is another one.
        ConfigError: `ledger.json` is lost, and no whole block shows that the folder was this ledger's.
    """
    folder, copy = Path(path), Path(source)
    signed, note = _signed(folder, copy, checkpoint, keys, rulebooks)
    planned = _repair(folder, copy, signed, note, write=False)
    if not write:
        return planned
    if any(row.shown == "extends" for row in planned.mended):
        # No signature speaks of these blocks, so the rules and the parties' signatures must.
        check(copy, rulebooks=rulebooks, progress=progress)
    done = _repair(folder, copy, signed, note, write=True)
    if done.left:
        return done
    return msgspec.structs.replace(done, audit=check(folder, rulebooks=rulebooks, progress=progress))


def _repair(
    path: Path, source: Path, signed: list[tuple[str, int, bytes]], note: bytes | None, *, write: bool
) -> Repair:  # fmt: skip
    found = _core.repair(path, source, signed=signed, note=note, write=write)
    left = tuple(Left(Fault.of(row), why) for row, why in found["left"])
    mended = tuple(Mended(*row) for row in found["mended"])
    files = tuple(found["files"])
    return Repair(mended=mended, left=left, files=files, written=write and bool(mended or files))


def _signed(
    folder: Path,
    copy: Path,
    checkpoint: PathLike | bytes | None,
    keys: PathLike | None,
    rulebooks: Sequence[Rulebook],
) -> tuple[list[tuple[str, int, bytes]], bytes | None]:
    """What is known to be signed, and the copy's checkpoint where the folder has none that says anything.

    Signed were the mark, the checkpoint in the folder, or else in the copy, and the given one.
    """
    mark = _core.signed_mark(KeyFolder.of(keys, copy).mark_path)
    trust = _Trust(folder, copy, rulebooks)
    own, note = trust.judged(folder / CHECKPOINT), None
    if own is None and (copied := trust.judged(copy / CHECKPOINT)) is not None:
        own, note = copied, _note(copy / CHECKPOINT)
    given = None if checkpoint is None else trust.of(_note(checkpoint))
    return [each for each in (mark, own, given) if each is not None], note


class _Trust:
    """The checkpoint keys of a ledger, as far as its blocks here or in the copy show them.

    Those of block 0 are asked first, and where none of them signed, those that all blocks that verify put in force.

    Args:
        folder: The ledger's folder.
        copy: The copy's.
        rulebooks: Those that the ledger was under.
    """

    def __init__(self, folder: Path, copy: Path, rulebooks: Sequence[Rulebook]) -> None:
        self._rulebooks = rulebooks
        self._sources: list[tuple[Callable[[Path], list[str]], Path]] = [
            (founding_keys, copy), (founding_keys, folder), (self._in_force, copy), (self._in_force, folder),
        ]  # fmt: skip
        self._known: list[list[str]] = []

    def _in_force(self, path: Path) -> list[str]:
        return checkpoint_keys_in(path, self._rulebooks)

    def _keys(self) -> Iterator[list[str]]:
        yield from self._known
        while self._sources:
            read, path = self._sources.pop(0)
            # The other folder may still have what this one lost.
            with suppress(FinchainError):
                self._known.append(read(path))
                yield self._known[-1]

    def of(self, note: bytes) -> tuple[str, int, bytes]:
        """What a checkpoint says, once one of the keys signed it.

        Raises:
            TamperError: None did, or it is none.
        """
        why = TamperError("no checkpoint key of this ledger can be read, here or in a copy")
        for keys in self._keys():
            try:
                return _trusted(note, keys)
            except TamperError as error:
                why = error
        raise why

    def judged(self, file: Path) -> tuple[str, int, bytes] | None:
        """What the checkpoint in a file says; `None` where it is missing, damaged, or signed by nobody known."""
        try:
            return self.of(_note(file))
        except (TamperError, NotFound, OSError):
            return None


def _trusted(note: bytes, keys: Sequence[str]) -> tuple[str, int, bytes]:
    return _core.verify_checkpoint(
        note, log_keys=list(keys), witnesses=[], witnesses_needed=0, operator_alone=True
    )[:3]  # fmt: skip


def predecessor(
    path: PathLike, *, checkpoint: PathLike | bytes | None = None, trust: Sequence[str] = ()
) -> Predecessor:
    """What a new ledger states of the one that it continues: its name, and size and root of its newest checkpoint.

    Args:
        path: The old ledger's folder, of which `ledger.json` at least is left.
        checkpoint: Its newest checkpoint, or the file of it; the one in the folder where absent.
        trust: Its verifier keys, where block 0 is lost.

    Raises:
        TamperError: The checkpoint is not signed by the old ledger, or its blocks are others.
        NotFound: There is no checkpoint.
    """
    folder = Path(path)
    survey = _core.Survey(folder)
    note = _note(checkpoint or folder / CHECKPOINT)
    _, size, root_hash = _trusted(note, trust) if trust else _Trust(folder, folder, ()).of(note)
    found = survey.root_at(size)
    if found is not None and found != root_hash:
        raise TamperError(f"the checkpoint over {size} blocks is not of the blocks in {folder}")
    return Predecessor(survey.name, size, root_hash.hex())


def _note(given: PathLike | bytes) -> bytes:
    return given if isinstance(given, bytes) else read_file(given, "checkpoint", NOTE_BYTES_MAX)
