"""Backups are taken while a ledger is written and can be interrupted; what is restored stays read-only until it is
known that nothing is missing in it; and no key ever signs two histories from one mark.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import finchain as fc
import reference as ref
from finchain import _core
from finchain.domain.founding import LedgerRecord
from finchain.key_folder import KeyFolder
from kept_ledger import PAGE, Kept, frames_in, kept_in
from real_ledger import START, claim, found, key, reopen, shape
from witness import Inconsistent, Witness


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return kept_in(tmp_path)


def blocks_of(folder: Path) -> bytes:
    """The used part of a ledger's one block file."""
    file = folder / "blocks" / "00000000.blk"
    at, size = frames_in(file)[-1]
    return file.read_bytes()[: at + -(-size // PAGE) * PAGE]


def opened(folder: Path, keys: Path) -> fc.Ledger:
    return fc.open(folder, keys=keys, operator=key("operator"))


def mark_of(kept: Kept) -> Path:
    return KeyFolder.of(kept.home / "keys", kept.folder).mark_path


# ---- backup


def test_a_backup_is_the_ledger_without_what_can_be_made_again(kept: Kept) -> None:
    with reopen(kept.home) as ledger:
        note = ledger.checkpoint()
    copy = kept.home / "copy"
    done = fc.backup(kept.folder, copy)
    assert (done.blocks, done.new_blocks, done.checkpoint_size) == (6, 6, 6)
    assert sorted(item.name for item in copy.iterdir()) == ["blocks", "checkpoint", "copy", "ledger.json", "lock"]
    assert blocks_of(copy) == blocks_of(kept.folder)
    assert done.size_bytes == len(blocks_of(copy)) == (copy / "blocks" / "00000000.blk").stat().st_size
    assert (copy / "checkpoint").read_bytes() == note
    assert str(fc.check(copy)) == str(fc.check(kept.folder)).replace("the index agrees", "there is no index")


def test_a_second_backup_brings_only_what_is_new(kept: Kept) -> None:
    copy = kept.home / "copy"
    fc.backup(kept.folder, copy)
    assert (fc.backup(kept.folder, copy).new_blocks, fc.backup(kept.folder, copy).size_bytes) == (0, 0)
    with reopen(kept.home) as ledger:
        ledger.submit(claim("r-4"), by=key("shop"))
        ledger.submit(claim("r-5"), by=key("shop"))
        assert ledger.backup(copy).new_blocks == 2
    assert fc.backup(kept.folder, copy).new_blocks == 0
    assert blocks_of(copy) == blocks_of(kept.folder)


def test_a_backup_beside_a_writer_leaves_out_what_may_not_be_acknowledged(kept: Kept) -> None:
    """Another process cannot know of the newest block that it was synced, unless a checkpoint covers it."""
    with reopen(kept.home) as ledger:
        assert fc.backup(kept.folder, kept.home / "copy").blocks == 5
        assert ledger.backup(kept.home / "copy").blocks == 6
        ledger.submit(claim("r-4"), by=key("shop"))
        ledger.checkpoint()
        assert fc.backup(kept.folder, kept.home / "other copy").blocks == 7
    assert fc.check(kept.home / "copy").blocks == 6


def test_backups_during_a_load_are_whole_at_every_moment(kept: Kept) -> None:
    copy, stop = kept.home / "copy", threading.Event()
    with reopen(kept.home) as ledger:

        def submitting() -> None:
            for n in range(400):
                ledger.submit(claim(f"l-{n}"), by=key("shop"))
            stop.set()

        thread = threading.Thread(target=submitting)
        thread.start()
        sizes = []
        while not stop.is_set():
            sizes.append(fc.backup(kept.folder, copy).blocks)
            assert not _core.Survey(copy).faults
        thread.join()
        assert len(set(sizes)) > 2, "the load was over before a backup saw it grow"
        assert ledger.backup(copy).blocks == ledger.height
    assert fc.check(copy).state_root == fc.check(kept.folder).state_root


INTERRUPTED = """
import os, sys
from pathlib import Path
from finchain import _core

def stop(blocks):
    os.kill(os.getpid(), 9)

ledger, copy, after = sys.argv[1:]
_core.backup(Path(ledger), Path(copy), durable=2**62, progress=stop)
"""


def test_a_backup_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        for n in range(200):
            ledger.submit(claim(f"r-{n}"), by=key("shop"))
    folder, copy = tmp_path / "real.finchain", tmp_path / "copy"
    killed = subprocess.run([sys.executable, "-c", INTERRUPTED, str(folder), str(copy), "1"], check=False)
    assert killed.returncode == -9
    assert 0 < len(frames_in(copy / "blocks" / "00000000.blk")) < 203
    assert fc.backup(folder, copy).blocks == 203
    assert blocks_of(copy) == blocks_of(folder)


@pytest.mark.parametrize("left", ["nothing", "the mark", "a torn frame", "a hole", "a file without frames"])
def test_whatever_an_interrupted_backup_left_is_gone_on_with(kept: Kept, left: str) -> None:
    """After a loss of power any part of what was not synced may be there."""
    copy = kept.home / "copy"
    fc.backup(kept.folder, copy)
    blocks = copy / "blocks" / "00000000.blk"
    (second, _), (third, size) = frames_in(blocks)[2], frames_in(blocks)[3]
    if left == "nothing":
        shutil.rmtree(copy)
        copy.mkdir()
    elif left == "the mark":
        shutil.rmtree(copy / "blocks")
        (copy / "ledger.json").unlink()
    elif left == "a torn frame":
        os.truncate(blocks, third + size // 2)
    elif left == "a hole":
        with blocks.open("r+b") as file:
            file.seek(second)
            file.write(bytes(PAGE))
    else:
        os.truncate(blocks, 0)
    assert fc.backup(kept.folder, copy).blocks == 6
    assert blocks_of(copy) == blocks_of(kept.folder)


def test_a_backup_is_not_gone_on_with_where_the_histories_part(kept: Kept) -> None:
    """A ledger that was restored from an old state and went another way must not spoil the backup of the first."""
    copy, fork = kept.home / "copy", kept.home / "twin" / "real.finchain"
    shutil.copytree(kept.folder, fork)
    shutil.copytree(kept.home / "keys", kept.home / "twin" / "keys")
    with reopen(kept.home) as ledger:
        ledger.submit(claim("r-4", 1), by=key("shop"))
        ledger.backup(copy)
    before = blocks_of(copy)
    with pytest.raises(fc.TamperError, match="block 6: the copy has this block and the ledger has not"):
        fc.backup(fork, copy)
    with reopen(kept.home / "twin") as ledger:
        ledger.submit(claim("r-4", 2), by=key("shop"))
        with pytest.raises(fc.TamperError, match="two histories"):
            ledger.backup(copy)
    assert blocks_of(copy) == before


def test_damage_is_not_copied(kept: Kept) -> None:
    start, _ = kept.frames()[3]
    kept.spoil(start + 100, b"\x00")
    with pytest.raises(fc.TamperError, match="block 3"):
        fc.backup(kept.folder, kept.home / "copy")
    with pytest.raises(fc.TamperError, match="block 3"):
        fc.restore(kept.folder, kept.home / "restored")
    assert not list(kept.home.glob("restored*"))


def test_a_backup_writes_into_nothing_but_a_backup(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = kept_in(tmp_path / "other")
    fc.backup(other.folder, tmp_path / "other copy")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "letter").write_text("dear all")
    for folder in (other.folder, kept.folder, tmp_path / "files"):
        with pytest.raises(fc.ConfigError, match="no copy that a backup has made"):
            fc.backup(kept.folder, folder)
    with pytest.raises(fc.TamperError, match="not the mark of a copy"):
        fc.backup(kept.folder, tmp_path / "other copy")
    with pytest.raises(fc.NotFound):
        fc.backup(tmp_path / "nowhere", tmp_path / "copy")


# ---- restore and confirm


@pytest.fixture
def restored(kept: Kept) -> Iterator[Kept]:
    """The ledger is gone but for its keys; a backup of six blocks was put back, under a checkpoint over five."""
    with reopen(kept.home) as ledger:
        ledger.checkpoint()
        ledger.backup(kept.home / "copy")
    shutil.rmtree(kept.folder)
    fc.restore(kept.home / "copy", kept.folder)
    yield kept


def confirm(kept: Kept, **how: Any) -> fc.Audit:
    return fc.confirm(kept.folder, keys=kept.home / "keys", **how)


def test_a_restored_ledger_can_be_read_and_nothing_else(restored: Kept) -> None:
    with reopen(restored.home) as ledger:
        assert shape(ledger) == restored.shape
        assert ledger.get(fc.Receivable, "r-3").pending == 125_000
        assert ledger.history(fc.Receivable, "r-3")
        with pytest.raises(fc.UnconfirmedError, match="nothing is written here"):
            ledger.submit(claim("r-4"), by=key("shop"))
        with pytest.raises(fc.UnconfirmedError, match="nothing is signed here"):
            ledger.checkpoint()
        with pytest.raises(fc.UnconfirmedError):
            ledger.prove(fc.Receivable, "r-3")
    assert (restored.folder / "copy").read_bytes() == ref.copy_file(fc.check(restored.folder).ledger)


def test_a_restored_ledger_goes_on_once_the_mark_says_that_it_is_whole(restored: Kept) -> None:
    assert confirm(restored, by_mark=True).blocks == 6
    assert not (restored.folder / "copy").exists()
    with reopen(restored.home) as ledger:
        assert ledger.submit(claim("r-4"), by=key("shop")).status == "applied"
        assert ledger.checkpoint()
    with pytest.raises(fc.ConfigError, match="no copy that waits"):
        confirm(restored, by_mark=True)


def test_a_checkpoint_from_elsewhere_confirms_and_raises_the_mark(restored: Kept) -> None:
    """The key folder came back from an old backup without its mark; a counterparty has the newest checkpoint."""
    note = (restored.folder / "checkpoint").read_bytes()
    mark = mark_of(restored)
    kept_mark = mark.read_bytes()
    mark.unlink()
    with pytest.raises(fc.NotFound, match="no signed mark"):
        confirm(restored, by_mark=True)
    assert confirm(restored, checkpoint=note).blocks == 6
    assert mark.read_bytes() == kept_mark


def test_a_ledger_that_lacks_signed_blocks_is_not_confirmed(kept: Kept) -> None:
    """The backup is of Tuesday, and on Wednesday a checkpoint went out: by the mark, and by the checkpoint itself."""
    with reopen(kept.home) as ledger:
        ledger.backup(kept.home / "copy")
        ledger.submit(claim("r-4"), by=key("shop"))
        note = ledger.checkpoint()
    shutil.rmtree(kept.folder)
    fc.restore(kept.home / "copy", kept.folder)
    mark = mark_of(kept).read_bytes()
    for how in ({"by_mark": True}, {"checkpoint": note}):
        with pytest.raises(fc.TamperError, match="over 7 blocks was signed, and this copy has 6: blocks are missing"):
            confirm(kept, **how)
    mark_of(kept).unlink()
    with pytest.raises(fc.TamperError, match="blocks are missing"):
        confirm(kept, checkpoint=note)
    mark_of(kept).write_bytes(mark)
    assert (kept.folder / "copy").exists()
    with reopen(kept.home) as ledger, pytest.raises(fc.UnconfirmedError):
        ledger.submit(claim("r-4"), by=key("shop"))


def test_missing_blocks_come_back_by_repair_and_then_it_is_confirmed(kept: Kept) -> None:
    with reopen(kept.home) as ledger:
        ledger.backup(kept.home / "old")
        ledger.submit(claim("r-4"), by=key("shop"))
        ledger.checkpoint()
        ledger.backup(kept.home / "new")
        now = shape(ledger)
    shutil.rmtree(kept.folder)
    fc.restore(kept.home / "old", kept.folder)
    done = fc.repair(kept.folder, kept.home / "new", keys=kept.home / "keys", write=True)
    assert [(row.height, row.shown) for row in done.mended] == [(6, "signed")]
    confirm(kept, by_mark=True)
    with reopen(kept.home) as ledger:
        assert shape(ledger) == now


def test_a_checkpoint_must_be_signed_and_witnessed_as_asked(restored: Kept, tmp_path: Path) -> None:
    note = (restored.folder / "checkpoint").read_bytes()
    (tmp_path / "other").mkdir()
    with found(tmp_path / "other") as other:
        foreign = other.checkpoint()
    with pytest.raises(fc.TamperError):
        confirm(restored, checkpoint=foreign)
    witness = Witness("witness.example")
    with pytest.raises(fc.TamperError, match="witness"):
        confirm(restored, checkpoint=note, witnesses=[witness.verifier_key], witnesses_needed=1)
    cosigned = witness.cosign(note, headers_of(restored.folder))
    confirm(restored, checkpoint=cosigned, witnesses=[witness.verifier_key], witnesses_needed=1)


@pytest.mark.parametrize("how", [{}, {"checkpoint": b"x", "by_mark": True}])
def test_a_copy_is_confirmed_in_one_way(restored: Kept, how: dict[str, Any]) -> None:
    with pytest.raises(fc.ConfigError, match="by a checkpoint, or by the signed mark"):
        confirm(restored, **how)


def test_a_backup_is_restored_into_a_new_folder_alone(kept: Kept) -> None:
    with pytest.raises(fc.ConfigError, match="exists"):
        fc.restore(kept.folder, kept.home / "keys")
    with pytest.raises(fc.NotFound):
        fc.restore(kept.home / "nowhere", kept.home / "restored")


RESTORED = """
import os, sys
from finchain import copies

source, target, step = sys.argv[1:]
rename = copies.os.rename

def renaming(*names):
    if step == "before the name":
        os.kill(os.getpid(), 9)
    rename(*names)
    if step == "after the name":
        os.kill(os.getpid(), 9)

def copying(blocks, _):
    if step == f"after {blocks} blocks":
        os.kill(os.getpid(), 9)

copies.os.rename = renaming
copies.restore(source, target, progress=copying)
"""


def test_a_restore_that_was_killed_leaves_nothing_that_could_be_taken_for_the_ledger(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        for n in range(150):
            ledger.submit(claim(f"r-{n}"), by=key("shop"))
        ledger.backup(tmp_path / "copy")
    source, target = tmp_path / "copy", tmp_path / "again.finchain"
    before = blocks_of(source)
    for step in ("after 64 blocks", "after 128 blocks", "before the name", "after the name"):
        killed = subprocess.run([sys.executable, "-c", RESTORED, str(source), str(target), step], check=False)
        assert killed.returncode == -9, step
        assert blocks_of(source) == before, step
        assert target.exists() == (step == "after the name"), step
        # What is left says that it is a copy, however far it came.
        left = [target] if target.exists() else list(tmp_path.glob("again.finchain.restoring-*"))
        assert len(left) == 1 and (left[0] / "copy").exists(), step
        shutil.rmtree(left[0])
        assert fc.restore(source, target).blocks == 153, step
        assert blocks_of(target) == before, step
        shutil.rmtree(target)


def test_the_name_of_what_was_restored_is_durable(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a loss of power would take the name back, and with it blocks that were acknowledged since."""
    fc.backup(kept.folder, kept.home / "copy")
    target = kept.home / "in" / "again.finchain"
    synced: list[tuple[str, bool]] = []

    def sync(handle: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{handle}"), target.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    fc.restore(kept.home / "copy", target)
    assert (str(target.parent), True) in synced


# ---- never two roots for one size from one mark


def test_two_copies_and_one_key_sign_one_history(kept: Kept) -> None:
    """Both copies were made by hand, without a mark of a copy, and both were gone on with."""
    twin = kept.home / "twin.finchain"
    shutil.copytree(kept.folder, twin)
    with reopen(kept.home) as one, opened(twin, kept.home / "keys") as two:
        for n, ledger in enumerate((one, two)):
            ledger.submit(claim("r-4", 100 + n), by=key("shop"))
        assert one.height == two.height
        one.checkpoint()
        with pytest.raises(fc.TamperError, match="is not the root of these blocks"):
            two.checkpoint()
        with pytest.raises(fc.TamperError):
            two.prove(fc.Receivable, "r-4")
    with pytest.raises(fc.TamperError):
        opened(twin, kept.home / "keys")


SIGNING = """
import sys
from pathlib import Path
import finchain as fc
from real_ledger import claim, key

folder, keys, number = sys.argv[1:]
with fc.open(folder, keys=keys, operator=key("operator")) as ledger:
    print("open", flush=True)
    sys.stdin.readline()
    for n in range(40):
        ledger.submit(claim(f"x-{n}", 100 + int(number)), by=key("shop"))
        try:
            sys.stdout.buffer.write(ledger.checkpoint() + b"end\\n")
        except fc.TamperError:
            break
"""


def test_two_processes_that_sign_at_once_from_two_copies(kept: Kept) -> None:
    """The mark is read, compared and written by one at a time."""
    folders = [kept.folder, kept.home / "twin.finchain"]
    shutil.copytree(kept.folder, folders[1])
    path = {"PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path])}
    signing = [
        subprocess.Popen(
            [sys.executable, "-c", SIGNING, str(folder), str(kept.home / "keys"), str(n)], env=path,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for n, folder in enumerate(folders)
    ]  # fmt: skip
    for process in signing:
        assert process.stdout is not None and process.stdout.readline() == b"open\n"
    for process in signing:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    roots: dict[bytes, set[bytes]] = {}
    for process in signing:
        out, _ = process.communicate()
        for note in out.split(b"end\n")[:-1]:
            _, size, root_hash = note.split(b"\n")[:3]
            roots.setdefault(size, set()).add(root_hash)
    assert roots
    assert all(len(found) == 1 for found in roots.values()), "one key has signed two histories"


def headers_of(folder: Path) -> list[bytes]:
    """The public part of a ledger: the header of each block."""
    content = (folder / "blocks" / "00000000.blk").read_bytes()
    return [content[at + 64 : at + size].partition(b"\n")[0] for at, size in frames_in(folder / "blocks/00000000.blk")]


def test_a_cloned_machine_forks_and_a_witness_catches_it(kept: Kept) -> None:
    """Ledger and key folder are both copied, so each clone's mark allows what it signs. Only the witness remembers."""
    witness = Witness("witness.example")
    with reopen(kept.home) as ledger:
        witness.cosign(ledger.checkpoint(), headers_of(kept.folder))
    clone = kept.home / "clone"
    shutil.copytree(kept.folder, clone / "real.finchain")
    shutil.copytree(kept.home / "keys", clone / "keys")
    notes = {}
    for home in (kept.home, clone):
        with reopen(home) as ledger:
            ledger.submit(claim("r-4", 100 + len(home.name)), by=key("shop"))
            receipt = ledger.prove(fc.Receivable, "r-4")
            notes[home] = ledger.checkpoint()
            trust = ledger.verifier_key
        # Whoever believes the operator alone is shown both, each with a true signature.
        assert fc.verify(receipt, trust=trust, unwitnessed=True).id == "r-4"
    sizes = {note.split(b"\n")[1] for note in notes.values()}
    assert len(sizes) == 1 and len({note.split(b"\n")[2] for note in notes.values()}) == 2
    cosigned = witness.cosign(notes[kept.home], headers_of(kept.folder))
    with pytest.raises(Inconsistent):
        witness.cosign(notes[clone], headers_of(clone / "real.finchain"))
    with reopen(clone) as ledger:
        ledger.submit(claim("r-5"), by=key("shop"))
        longer = ledger.checkpoint()
    with pytest.raises(Inconsistent, match="size 8 does not go on from what was cosigned over 7 blocks"):
        witness.cosign(longer, headers_of(clone / "real.finchain"))
    asked: dict[str, Any] = {"witnesses": [witness.verifier_key], "witnesses_needed": 1}
    with reopen(kept.home) as ledger, reopen(clone) as other:
        good = receipt_under(ledger, cosigned)
        assert fc.verify(good, trust=trust, **asked).witnessed_by == (("witness.example", 1_774_000_000),)
        with pytest.raises(fc.TamperError, match="witness"):
            fc.verify(receipt_under(other, longer), trust=trust, **asked)


def receipt_under(ledger: fc.Ledger, note: bytes) -> bytes:
    """A receipt whose checkpoint is that one."""
    return ledger._core.prove_record("receivable", "r-4", note)


def test_a_restored_machine_is_caught_too(kept: Kept) -> None:
    """Ledger and key folder come from one old backup, so the mark is as old as the blocks and shows nothing.

    `by_mark` would believe it; the witness' checkpoint does not.
    """
    witness = Witness("witness.example")
    with reopen(kept.home) as ledger:
        ledger.checkpoint()
        ledger.backup(kept.home / "copy")
        shutil.copytree(kept.home / "keys", kept.home / "old keys")
        ledger.submit(claim("r-4"), by=key("shop"))
        cosigned = witness.cosign(ledger.checkpoint(), headers_of(kept.folder))
    shutil.rmtree(kept.folder)
    shutil.rmtree(kept.home / "keys")
    (kept.home / "old keys").rename(kept.home / "keys")
    fc.restore(kept.home / "copy", kept.folder)
    with pytest.raises(fc.TamperError, match="over 7 blocks was signed, and this copy has 6"):
        confirm(kept, checkpoint=cosigned, witnesses=[witness.verifier_key], witnesses_needed=1)


# ---- a ledger that continues another


def test_a_new_ledger_continues_one_that_is_over(kept: Kept) -> None:
    """Signed blocks are lost for good, so the log is over; the new one says where the old one ended."""
    with reopen(kept.home) as ledger:
        ledger.submit(claim("r-4"), by=key("shop"))
        note, old = ledger.checkpoint(), ledger.name
        root_hash = ledger._core.log_root[1]
    os.truncate(kept.blocks, kept.frames()[6][0])
    before = fc.predecessor(kept.folder)
    assert before == fc.Predecessor(old, 7, root_hash.hex())
    with fc.create(
        kept.home / "new.finchain", name="example.com/real-2", keys=kept.home / "keys", operator=key("operator"),
        clock=fc.SimulatedClock(START), predecessor=before,
    ) as ledger:  # fmt: skip
        receipt, trust = ledger.prove(LedgerRecord, "ledger"), ledger.verifier_key
    audit = fc.check(kept.home / "new.finchain")
    assert audit.predecessor == old
    assert "continues example.com/real" in str(audit)
    said = fc.verify(receipt, trust=trust, unwitnessed=True).record.predecessor
    assert (said.ledger, said.size, bytes.fromhex(said.root)) == (old, 7, root_hash)
    shutil.rmtree(kept.folder / "blocks")
    with pytest.raises(fc.TamperError):
        fc.predecessor(kept.folder)
    keys = KeyFolder.of(kept.home / "keys", kept.folder)
    assert fc.predecessor(kept.folder, checkpoint=note, trust=[keys.verifier_key("example.com/real")]) == before


def test_a_successor_has_an_origin_of_its_own(kept: Kept) -> None:
    """A witness knows a log by its origin, and would take the new one for a fork of the old."""
    with reopen(kept.home) as ledger:
        ledger.checkpoint()
    with pytest.raises(fc.Refused, match="same origin"):
        fc.create(
            kept.home / "new.finchain", name="example.com/real", keys=kept.home / "keys", operator=key("operator"),
            clock=fc.SimulatedClock(START), predecessor=fc.predecessor(kept.folder),
        )  # fmt: skip
    assert not (kept.home / "new.finchain").exists()


def test_what_a_checkpoint_says_of_other_blocks_is_no_predecessor(kept: Kept, tmp_path: Path) -> None:
    with pytest.raises(fc.NotFound, match="no checkpoint"):
        fc.predecessor(kept.folder)
    twin = kept.home / "twin"
    shutil.copytree(kept.folder, twin / "real.finchain")
    shutil.copytree(kept.home / "keys", twin / "keys")
    notes = []
    for home in (kept.home, twin):
        with reopen(home) as ledger:
            ledger.submit(claim("r-4", 100 + len(home.name)), by=key("shop"))
            notes.append(ledger.checkpoint())
    with pytest.raises(fc.TamperError, match="not of the blocks"):
        fc.predecessor(kept.folder, checkpoint=notes[1])
