"""Founding a ledger and opening it: block 0, recovery by replay, and the checks before the first new block."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple, overload

import msgspec

from finchain import _core
from finchain.clock import Clock, RealClock, SimulatedClock
from finchain.domain.founding import CreateLedger, Founder, LedgerRecord, Predecessor
from finchain.domain.key import set_possession_verifier
from finchain.domain.policy import DEFAULT_POLICY, PolicyTerms
from finchain.domain.rule import Absent, business_date
from finchain.domain.rulebook import RULEBOOK_1, Rulebook
from finchain.errors import ConfigError, StorageError
from finchain.key_folder import CheckpointSuite, KeyFolder
from finchain.keys import Holder, Key, check_signature, founding_key
from finchain.ledger import Ledger
from finchain.pipe import Pipe
from finchain.reader import OwnIndex, Reader
from finchain.replay import first_block_zone, make_index
from finchain.transaction import Transaction
from finchain.trust import Anchors, Held, PathLike, Vouched, vouch

SILENCE_MAX_MS: Final = 31 * 24 * 3_600_000
"""A block this much later than the one before needs the operator's word: a wrong clock would end every open offer."""

HashSuite = Literal["blake3", "sha256", "sm3"]

Durability = Literal["single", "double"]
"""What is synced before an answer: the block; or the block, and then a mark that it was."""

Progress = Callable[[int, int], None]
"""Called with blocks done and blocks in all."""


set_possession_verifier(check_signature)


def create(
    path: str | os.PathLike[str],
    *,
    name: str,
    operator: Key | None = None,
    keys: str | os.PathLike[str] | None = None,
    clock: Clock | None = None,
    hash_suite: HashSuite = "blake3",
    time_zone_minutes: int = 480,
    policy: PolicyTerms = DEFAULT_POLICY,
    rulebook: Rulebook = RULEBOOK_1,
    durability: Durability = "single",
    predecessor: Predecessor | None = None,
    checkpoint_suite: CheckpointSuite = "ed25519",
) -> Ledger:
    """Founds a ledger in a new folder and opens it.

    Args:
        path: The folder, which must not exist.
        name: The log's origin, such as `example.org/deal`.
        operator: The operator's key; a new one is put into the key folder where absent.
        keys: The key folder of all ledgers; `$FINCHAIN_KEYS` or the user's own where absent.
        clock: `SimulatedClock` for tests and demonstrations; the machine's clock where absent.
        hash_suite: `blake3`, `sha256` or `sm3`, for everything inside blocks.
        time_zone_minutes: Offset east of UTC in which the ledger's days begin.
        policy: Limits that registrar and operator may change later.
        rulebook: The rules that it is founded under.
        durability: `double` syncs a mark after each block and before its answers. Only with it is a last block that the
            disk destroyed told from one that was never finished; each block costs one sync more.
        predecessor: The ledger that it continues; `finchain.predecessor` gives it.
        checkpoint_suite: `ed25519`, which every tool for transparency logs knows, or `ml-dsa-44`, which a quantum
            computer is not known to break, for the key that signs checkpoints.

    Raises:
        ConfigError: The folder exists, or no key of that suite signs checkpoints.
        Refused: The origin or the policy is not acceptable.
    """
    target = Path(path)
    if target.exists():
        raise ConfigError(f"{target} exists", advice="choose a new folder, or open the ledger that is there")
    clock = clock or RealClock()
    building = target.with_name(f"{target.name}.creating-{secrets.token_hex(4)}")
    folder = KeyFolder.begin(keys, name, operator, checkpoint_suite)
    try:
        building.mkdir(parents=True)
        core = _core.Ledger.create(building, name, hash_suite, rulebook.number, double=durability == "double")
        try:
            _found(core, folder, name, clock, hash_suite, time_zone_minutes, policy, rulebook, predecessor)
            full_name = core.name
        finally:
            core.close()
        folder.settle(full_name)
        os.rename(building, target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        folder.abandon()
        raise
    return open(target, operator=folder.given, keys=keys, clock=clock, rulebooks=[rulebook])


def _found(
    core: _core.Ledger,
    folder: KeyFolder,
    origin: str,
    clock: Clock,
    hash_suite: HashSuite,
    time_zone_minutes: int,
    policy: PolicyTerms,
    rulebook: Rulebook,
    predecessor: Predecessor | None,
) -> None:
    """Seals block 0."""
    operator = folder.operator_key()
    founder = Founder("operator", "Operator", 1, [founding_key(Holder(operator, "Operator"))])
    do = CreateLedger(
        origin, clock.kind, hash_suite, time_zone_minutes, founder, [folder.verifier_key(origin)],
        rulebook.number, rulebook.digest, policy, predecessor=predecessor or Absent,
    )  # fmt: skip
    now = clock.now_ms()
    transaction = Transaction.build(
        [do], by=["operator"], ledger=f"{origin}#", lane="create", sequence=1, expires_ms=now + 24 * 3_600_000,
        hash_suite=hash_suite, rulebook=rulebook.number,
    ).sign(operator, "operator/1")  # fmt: skip
    pipe = Pipe(core, time_zone_minutes, [rulebook])
    (outcome,) = pipe.run([transaction.to_bytes()], lambda: now)
    if outcome.error is not None:
        raise outcome.error


@overload
def open(
    path: str | os.PathLike[str],
    *,
    read_only: Literal[False] = False,
    operator: Key | None = None,
    keys: str | os.PathLike[str] | None = None,
    clock: Clock | None = None,
    after_silence: bool = False,
    progress: Progress | None = None,
    rulebooks: Sequence[Rulebook] = (),
    durability: Durability | None = None,
) -> Ledger: ...
@overload
def open(
    path: str | os.PathLike[str],
    *,
    read_only: Literal[True],
    clock: Clock | None = None,
    progress: Progress | None = None,
    rulebooks: Sequence[Rulebook] = (),
    verified: bool = False,
    own_index: bool = False,
    trust: str | Sequence[str] = (),
    checkpoints: PathLike | Sequence[PathLike] = (),
    receipts: PathLike | Sequence[PathLike] = (),
) -> Reader: ...
def open(
    path: str | os.PathLike[str],
    *,
    read_only: bool = False,
    operator: Key | None = None,
    keys: str | os.PathLike[str] | None = None,
    clock: Clock | None = None,
    after_silence: bool = False,
    progress: Progress | None = None,
    rulebooks: Sequence[Rulebook] = (),
    durability: Durability | None = None,
    verified: bool = False,
    own_index: bool = False,
    trust: str | Sequence[str] = (),
    checkpoints: PathLike | Sequence[PathLike] = (),
    receipts: PathLike | Sequence[PathLike] = (),
) -> Ledger | Reader:
    """Opens a ledger for writing, recovering what a crash left; or for reading only, beside whoever writes.

    Reading writes nothing into the ledger's folder but a place in the index's table of readers. Where there is no index
    that can be read, one is made from the blocks in a temporary folder, which takes the time of an opening for writing.

    A copy that `backup` or `restore` made is opened for reading alone, until `confirm` says that nothing is missing.

    Args:
        path: The ledger's folder.
        read_only: Gives a `Reader`: no lock, no recovery, answers as of the last block in the index.
        operator: The operator's key; from the key folder where absent, once it is needed.
        keys: The key folder of all ledgers.
        clock: As in `create`; a simulated ledger goes on from its last block where absent.
        after_silence: The operator's word that the clock is right although the last block is more than 31 days old.
        progress: Called while blocks are replayed.
        rulebooks: Those that the ledger was or will be under, beside the built-in one.
        durability: `single` or `double` from now on, as in `create`; what the ledger has where absent.
        verified: With `read_only`: verifies each state, as `Reader.verify` does, before anything is answered out of it.
        own_index: With `read_only`: makes an index from the blocks, also where there is one, for example because it is
            behind.
        trust: With `read_only`: an anchor, as for `check`; and so are
        checkpoints: signed checkpoints, and
        receipts: receipts. The blocks that are there when it is opened are compared with them, and each is read for
            that; what is written later is taken as it comes.

    Raises:
        AnchorError: An anchor is of another ledger or another history, or is not signed by a trusted key.
        NotFound: There is no ledger in this folder.
        LockedError: Another process has it open for writing.
        TamperError: Blocks are damaged, missing, or not what was signed.
        ConfigError: The clock is of the wrong kind, or the rulebook in force is not here; or, with `read_only`, this
            process has the ledger open already.
        VersionError: A later version wrote it.
        StorageError: The disk failed, or `$TMPDIR` has no room for an index.
        ForkError: With `read_only`: the process that this one was forked from had the ledger open.
    """
    target = Path(path)
    if read_only:
        held = Anchors.of(trust, checkpoints, receipts).read(target)
        return _reader(_Read(target, clock, rulebooks, held, verified), own_index, progress)
    if verified or own_index or trust or checkpoints or receipts:
        raise ConfigError(
            "verified, own_index and anchors of trust speak of reading only",
            advice="add read_only=True, or leave them out; fc.check compares a ledger with anchors as well",
        )
    folder = KeyFolder.of(keys, target)
    core, recovery = _core.Ledger.open(
        target, target / "index", read_only=False, durable_height=folder.durable_height(),
        double=None if durability is None else durability == "double",
    )  # fmt: skip
    try:
        pipe = Pipe(core, 0, rulebooks)
        zone = first_block_zone(core, pipe, recovery)
        pipe.zone_minutes = zone
        blocks = recovery["blocks"]
        pipe.catch_up(
            recovery["replay_from"], blocks, None if progress is None else lambda done: progress(done, blocks)
        )
        if not recovery["copy"]:
            core.compare_mark(folder.mark_path)
        record = pipe.records.find(LedgerRecord, "ledger")
        assert isinstance(record, LedgerRecord)
        pipe.check_rulebook(record)
        return Ledger(
            target,
            core,
            pipe,
            record,
            clock_for(record, clock, core.time_ms, after_silence or recovery["copy"]),
            folder,
            operator,
            recovery,
        )
    except BaseException:
        core.close()
        raise


class _Read(NamedTuple):
    """How a ledger is opened for reading."""

    path: Path
    clock: Clock | None
    rulebooks: Sequence[Rulebook]
    held: Held
    verified: bool


def _reader(asked: _Read, own_index: bool, progress: Progress | None) -> Reader:
    if not own_index:
        with suppress(StorageError):
            return _reader_of(asked, None)
    own = OwnIndex()
    try:
        make_index(asked.path, own.path, rulebooks=asked.rulebooks, progress=progress)
        # It holds what the blocks commit to; there is nothing to verify a second time.
        return _reader_of(asked._replace(verified=True), own)
    except BaseException:
        own.remove()
        raise


def _reader_of(asked: _Read, own: OwnIndex | None) -> Reader:
    path = asked.path
    core = _core.Reader.open(path, path / "index" if own is None else own.path)
    view = None
    try:
        view = core.view()
        text = view.record(LedgerRecord.kind, "ledger")
        if text is None:
            raise StorageError(f"the index of {path} has no record of the ledger", advice="open it once for writing")
        record = msgspec.json.decode(text, type=LedgerRecord)
        reader = Reader(
            path, core, record, clock_for(record, asked.clock, view.time_ms, True), [RULEBOOK_1, *asked.rulebooks],
            verified=asked.verified, own=own,
        )  # fmt: skip
        if asked.verified:
            # What it is opened with, the ledger's own record among it, is verified as well.
            reader.snapshot().close()
        if asked.held:
            reader.vouched = _vouched(view, record, asked)
        return reader
    except BaseException:
        core.close()
        raise
    finally:
        if view is not None:
            view.close()


def _vouched(view: _core.View, record: LedgerRecord, asked: _Read) -> Vouched:
    """Who vouches for the blocks, every one of which is read for it and is the one that the view has."""
    survey = _core.Survey(asked.path)
    view.compare_blocks(survey)
    return vouch(
        asked.held, name=view.name, blocks=survey.whole, keys=record.checkpoint_keys, root_at=survey.root_at
    )  # fmt: skip


def clock_for(record: LedgerRecord, clock: Clock | None, last_ms: int, after_silence: bool) -> Clock:
    """The clock of a ledger that is opened: the given one, or the machine's, or one that stands at its last block.

    Raises:
        ConfigError: It is of the wrong kind, or the last block is too old and nobody gave his word for the silence.
    """
    if clock is None:
        if record.clock == "real":
            clock = RealClock()
        else:
            last = business_date(last_ms, record.time_zone_minutes)
            clock = SimulatedClock(last, zone_minutes=record.time_zone_minutes)
    if clock.kind != record.clock:
        raise ConfigError(f"the ledger was made with a {record.clock} clock, and this one is {clock.kind}")
    if clock.kind == "real" and not after_silence and clock.now_ms() > last_ms + SILENCE_MAX_MS:
        raise ConfigError(
            "the last block is more than 31 days old, or the clock is wrong",
            advice="open it with after_silence=True once the operator has looked at the clock",
        )
    return clock


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
