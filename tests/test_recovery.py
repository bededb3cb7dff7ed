"""A ledger opens as it was after any harm to its index, mends a torn last block, and opens over no other damage.

Evidence that a block was acknowledged is a block after it, the signed mark, or the index; without any of them a bad
last frame is what a crash leaves, and is cut.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import finchain as fc
from finchain.pipe import Pipe
from kept_ledger import PAGE, Kept, kept_in
from real_ledger import claim, key, reopen, shape


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return kept_in(tmp_path)


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Heights of the blocks that are executed again."""
    heights: list[int] = []
    replay = Pipe.replay

    def told(pipe: Pipe, height: int, *, until: int, verify_signatures: bool) -> tuple[int, int]:
        heights.append(height)
        return replay(pipe, height, until=until, verify_signatures=verify_signatures)

    monkeypatch.setattr(Pipe, "replay", told)
    return heights


# ---- the index is a cache


@pytest.mark.parametrize("changes", ["kept", "lost"])
@pytest.mark.parametrize(
    "harm", ["removed", "empty", "cut", "foreign", "no mark", "a torn mark", "another boot's", "another ledger's"]
)  # fmt: skip
def test_an_index_that_cannot_be_believed_is_made_anew(
    kept: Kept, tmp_path: Path, harm: str, changes: str, executed: list[int]
) -> None:
    """From what was kept of each block's changes, or by executing all blocks where nothing was."""
    if changes == "lost":
        shutil.rmtree(kept.changes)
    store, mark = kept.index / "data.mdb", kept.index / "mark"
    if harm == "removed":
        shutil.rmtree(kept.index)
    elif harm == "empty":
        store.write_bytes(b"")
    elif harm == "cut":
        store.write_bytes(store.read_bytes()[: store.stat().st_size // 2])
    elif harm == "foreign":
        store.write_bytes(b"not an index" * 4_000)
    elif harm == "no mark":
        mark.unlink()
    elif harm == "another boot's":
        mark.write_text("finchain-index 6 open 00000000-0000-0000-0000-000000000000\n")
    elif harm == "a torn mark":
        mark.write_bytes(mark.read_bytes()[:20])
    else:
        (tmp_path / "other").mkdir()
        other = kept_in(tmp_path / "other")
        shutil.rmtree(kept.index)
        shutil.copytree(other.index, kept.index)
    with reopen(kept.home) as ledger:
        assert shape(ledger) == kept.shape
        assert ledger.recovery["replay_from"] == 0
        assert (ledger.recovery["index_rebuilt_because"] is None) == (harm == "removed")
        # Block 1 is checked while block 0 is executed, and then taken over from what was kept: nobody asks for it.
        assert ledger._pipe._ahead is None
        assert executed == list(range(ledger.height if changes == "lost" else 1))
        assert ledger.submit(claim("r-4"), by=key("shop")).status == "applied"
    with reopen(kept.home) as ledger:
        assert ledger.recovery["replay_from"] == ledger.height
        assert ledger.recovery["index_rebuilt_because"] is None


def test_an_index_that_lags_is_filled_up(kept: Kept) -> None:
    """The index of an earlier day beside the blocks of today."""
    old = kept.home / "old index"
    shutil.copytree(kept.index, old)
    with reopen(kept.home) as ledger:
        ledger.submit(claim("r-4"), by=key("shop"))
        now = shape(ledger)
    shutil.rmtree(kept.index)
    old.rename(kept.index)
    with reopen(kept.home) as ledger:
        assert shape(ledger) == now
        assert (ledger.recovery["replay_from"], ledger.recovery["blocks"]) == (now[0] - 1, now[0])


def test_the_changes_of_another_copy_are_executed_instead(kept: Kept, tmp_path: Path, executed: list[int]) -> None:
    """A second history of the same ledger: its changes fit our blocks only as far as both are one."""
    twin = tmp_path / "twin"
    shutil.copytree(kept.home, twin)
    for home, name in ((kept.home, "r-ours"), (twin, "r-theirs")):
        with reopen(home) as ledger:
            ledger.submit(claim(name), by=key("shop"))
            height, now = ledger.height, shape(ledger)
    with reopen(kept.home) as ledger:
        now = shape(ledger)
    shutil.rmtree(kept.index)
    shutil.rmtree(kept.changes)
    shutil.copytree(twin / kept.folder.name / "changes", kept.changes)
    executed.clear()
    with reopen(kept.home) as ledger:
        assert shape(ledger) == now
    assert executed == [0, height - 1]


def test_changes_that_cannot_be_written_stop_nothing(kept: Kept, executed: list[int]) -> None:
    shutil.rmtree(kept.changes)
    (kept.changes).write_text("a file where the folder should be")
    with reopen(kept.home) as ledger:
        assert ledger.submit(claim("r-4"), by=key("shop")).status == "applied"
        now = shape(ledger)
    shutil.rmtree(kept.index)
    executed.clear()
    with reopen(kept.home) as ledger:
        assert shape(ledger) == now
        assert executed == list(range(ledger.height))


def test_changed_records_of_the_index_are_noticed(kept: Kept) -> None:
    """A byte of a record's text in the index: the state root of its last block gives it away."""
    store = kept.index / "data.mdb"
    whole = store.read_bytes()
    places = [at for at in range(len(whole)) if whole.startswith(b'"claimed":125000', at)]
    assert places
    for place in places:
        spoilt = bytearray(whole)
        spoilt[place + 10] ^= 1
        store.write_bytes(spoilt)
        with reopen(kept.home) as ledger:
            assert shape(ledger) == kept.shape
    with reopen(kept.home) as ledger:
        assert ledger.recovery["index_rebuilt_because"] is None


def test_a_changed_byte_in_any_page_of_the_index_is_noticed(kept: Kept) -> None:
    """Records, history, places, free pages: the file of a closed index is summed before anything in it is read."""
    index = kept.home / "index as it was"
    shutil.copytree(kept.index, index)
    whole = (index / "data.mdb").read_bytes()
    for page in range(len(whole) // PAGE):
        spoilt = bytearray(whole)
        spoilt[page * PAGE + page * 97 % PAGE] ^= 0x40
        # Each time anew: an index that was made again has pages of its own.
        shutil.rmtree(kept.index)
        shutil.copytree(index, kept.index)
        (kept.index / "data.mdb").write_bytes(spoilt)
        with reopen(kept.home) as ledger:
            assert ledger.recovery["index_rebuilt_because"], f"page {page}"
            assert shape(ledger) == kept.shape
            assert [step.height for step in ledger.history(fc.Receivable, "r-2")] == [4]


# ---- the end of the blocks


def cuts(start: int, size: int) -> list[int]:
    """Lengths within a frame: around its edges, sectors and pages, and a spread of others."""
    edges = {0, 1, 3, 63, 64, 65, size - 2, size - 1}
    return sorted(start + at for at in edges | set(range(0, size, 211)) | set(range(0, size, 512)) if at < size)


@pytest.mark.parametrize("zeros", [False, True], ids=["short file", "zeros"])
def test_a_torn_last_block_is_mended_without_evidence_and_refused_with_it(kept: Kept, zeros: bool) -> None:
    whole = kept.blocks.read_bytes()
    start, size = kept.frames()[-1]
    end = start + -(-size // PAGE) * PAGE
    index = kept.home / "index as it was"
    shutil.copytree(kept.index, index)
    for length in cuts(start, size):
        torn = whole[:length] + (bytes(end - length) if zeros else b"")
        kept.blocks.write_bytes(torn)
        with pytest.raises(fc.TamperError, match=f"block {len(kept.frames()) - 1 if length >= start + 4 else 5}"):
            reopen(kept.home)
        assert kept.blocks.read_bytes() == torn
        kept.forget()
        with reopen(kept.home) as ledger:
            assert ledger.height == kept.shape[0] - 1
            assert (ledger.recovery["cut"] is not None) == any(torn[start:])
            assert ledger.look(fc.Receivable, "r-3") is None
            assert ledger.get(fc.Receivable, "r-2").pending == 125_000
            assert ledger.submit(claim("r-3"), by=key("shop")).status == "applied"
        shutil.rmtree(kept.index)
        shutil.copytree(index, kept.index)
    kept.blocks.write_bytes(whole)
    with reopen(kept.home) as ledger:
        assert shape(ledger) == kept.shape


def test_a_signed_mark_is_evidence_alone(kept: Kept) -> None:
    with reopen(kept.home) as ledger:
        ledger.checkpoint()
    shutil.rmtree(kept.index)
    start, size = kept.frames()[-1]
    kept.spoil(start + size - 2, b"\x00")
    with pytest.raises(fc.TamperError, match="block 5"):
        reopen(kept.home)
    kept.spoil(start, bytes(-(-size // PAGE) * PAGE))
    with pytest.raises(fc.TamperError):
        reopen(kept.home)


def test_an_old_copy_is_not_gone_on_with(kept: Kept) -> None:
    """A backup is put back: the key has signed more than it holds, so nothing is written or signed."""
    backup = kept.home / "backup"
    shutil.copytree(kept.folder, backup)
    with reopen(kept.home) as ledger:
        ledger.submit(claim("r-4"), by=key("shop"))
        ledger.checkpoint()
    shutil.rmtree(kept.folder)
    backup.rename(kept.folder)
    with pytest.raises(fc.TamperError, match=r"block 6"):
        reopen(kept.home)


# ---- damage


def test_a_changed_bit_anywhere_is_found_and_named(kept: Kept) -> None:
    for height, (start, size) in enumerate(kept.frames()):
        whole = kept.blocks.read_bytes()[start : start + size]
        for at in [0, 5, 8, 20, 40, 60, *range(64, size, 401), size - 1]:
            kept.spoil(start + at, bytes([whole[at] ^ (1 << at % 8)]))
            with pytest.raises(fc.TamperError, match=rf"block {height}\b"):
                fc.check(kept.folder)
            kept.spoil(start + at, whole[at : at + 1])
    assert fc.check(kept.folder).blocks == kept.shape[0]


def test_a_changed_block_is_not_opened_over_where_it_is_read(kept: Kept) -> None:
    shutil.rmtree(kept.index)
    for height, (start, size) in enumerate(kept.frames()[:-1]):
        whole = kept.blocks.read_bytes()[start : start + size]
        for at in (30, 64, size // 2, size - 1):
            kept.spoil(start + at, bytes([whole[at] ^ 4]))
            with pytest.raises(fc.TamperError, match=rf"block {height}\b"):
                reopen(kept.home)
            shutil.rmtree(kept.index, ignore_errors=True)
            kept.spoil(start + at, whole[at : at + 1])
    with reopen(kept.home) as ledger:
        assert shape(ledger) == kept.shape


def test_blocks_that_were_swapped_removed_or_repeated(kept: Kept) -> None:
    whole = kept.blocks.read_bytes()
    pages = [whole[start : start + -(-size // PAGE) * PAGE] for start, size in kept.frames()]
    tail = whole[sum(map(len, pages)) :]
    for order in ([0, 1, 2, 4, 3, 5], [0, 1, 3, 4, 5], [1, 2, 3, 4, 5], [0, 1, 2, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]):
        kept.blocks.write_bytes(b"".join(pages[n] for n in order) + tail)
        with pytest.raises(fc.TamperError):
            fc.check(kept.folder)
        shutil.rmtree(kept.index, ignore_errors=True)
        with pytest.raises(fc.TamperError):
            reopen(kept.home)


def test_a_missing_block_file(kept: Kept) -> None:
    kept.blocks.rename(kept.home / "elsewhere")
    with pytest.raises((fc.TamperError, fc.StorageError)):
        reopen(kept.home)
    with pytest.raises((fc.TamperError, fc.StorageError)):
        fc.check(kept.folder)


def test_another_checkpoint_than_that_of_these_blocks(kept: Kept, tmp_path: Path) -> None:
    """Of another ledger with the same origin, and over more blocks than there are."""
    (tmp_path / "other").mkdir()
    other = kept_in(tmp_path / "other")
    with reopen(other.home) as ledger:
        foreign = ledger.checkpoint()
    (kept.folder / "checkpoint").write_bytes(foreign)
    with pytest.raises(fc.TamperError, match="not signed by a checkpoint key"):
        fc.check(kept.folder)
    backup = kept.blocks.read_bytes()
    with reopen(kept.home) as ledger:
        ledger.submit(claim("r-4"), by=key("shop"))
        ledger.checkpoint()
    kept.blocks.write_bytes(backup)
    with pytest.raises(fc.TamperError, match="blocks are missing"):
        fc.check(kept.folder)
