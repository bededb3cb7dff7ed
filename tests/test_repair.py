"""A damaged ledger says all that is wrong with it and what still stands, and takes back from a copy nothing but what is
shown to be what was there.
"""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

import finchain as fc
import reference as ref
from finchain.key_folder import KeyFolder
from kept_ledger import PAGE, Kept, kept_in
from real_ledger import claim, found, key, reopen, rotate_checkpoint_key, shape


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return kept_in(tmp_path)


@pytest.fixture
def signed(kept: Kept) -> Kept:
    """The same with a checkpoint over all six blocks."""
    with reopen(kept.home) as ledger:
        ledger.checkpoint()
    return kept


def damage(folder: Path) -> fc.DamageError:
    with pytest.raises(fc.DamageError) as caught:
        fc.check(folder)
    return caught.value


def copy_of(kept: Kept, name: str = "copy") -> Path:
    fc.backup(kept.folder, kept.home / name)
    return kept.home / name


def repair(kept: Kept, source: Path, **options: Any) -> fc.Repair:
    return fc.repair(kept.folder, source, keys=kept.home / "keys", **options)


def flip(kept: Kept, height: int, at: int = 300) -> None:
    """One bit of one block's frame."""
    start, _ = kept.frames()[height]
    whole = kept.blocks.read_bytes()
    kept.spoil(start + at, bytes([whole[start + at] ^ 1]))


# ---- what a check says


def test_every_damaged_place_is_named_and_what_still_stands(signed: Kept) -> None:
    places = signed.frames()
    flip(signed, 2)
    flip(signed, 4, at=8)
    error = damage(signed.folder)
    assert [(f.height, f.until, f.offset) for f in error.faults] == [(2, 3, places[2][0]), (4, 5, places[4][0])]
    assert {Path(f.file) for f in error.faults} == {signed.blocks}
    assert error.verified_blocks == 2
    assert error.whole == ((0, 2), (3, 4), (5, 6))
    assert (error.checkpoint_size, error.checkpoint_agrees) == (6, True)
    text = str(error)
    assert f"block 2: {signed.blocks}, offset {places[2][0]}: the payload's sum is" in text
    assert "blocks 0 to 1 verified in full, blocks 3 to 3 whole by their hashes" in text
    assert "the checkpoint over 6 blocks agrees" in text
    assert f"finchain repair {signed.folder} --from COPY" in text
    assert msgspec.json.encode(error.facts)


def test_two_lost_neighbours_leave_a_checkpoint_that_cannot_be_compared(signed: Kept) -> None:
    """The hash of the first of them is in no block that is left."""
    flip(signed, 2)
    flip(signed, 3)
    error = damage(signed.folder)
    assert [(f.height, f.until) for f in error.faults] == [(2, 4)]
    assert (error.checkpoint_size, error.checkpoint_agrees) == (6, None)


def test_a_block_whose_content_was_exchanged_with_its_sums_is_found(kept: Kept) -> None:
    """Somebody who can write frames changes an amount and makes the checksums again."""
    kept.rewrite(3, kept.payload(3).replace(b'"amount_minor":125000', b'"amount_minor":125001'))
    error = damage(kept.folder)
    assert [(f.height, f.until) for f in error.faults] == [(3, 4)]
    assert "entry 0" in error.faults[0].why
    assert (error.verified_blocks, error.whole) == (3, ((0, 3), (4, 6)))


def test_a_block_of_another_ledger_is_found(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = kept_in(tmp_path / "other")
    kept.rewrite(4, other.payload(4))
    error = damage(kept.folder)
    assert error.faults[0].height == 4
    assert "belongs to the ledger" in error.faults[0].why


def test_a_block_whose_signature_does_not_hold_is_named_though_its_hashes_do(kept: Kept) -> None:
    """Whoever can make hashes again can forge the last block; only the shop's key cannot be used."""
    kept.rewrite(5, unsigned(kept.payload(5)))
    error = damage(kept.folder)
    start, _ = kept.frames()[5]
    assert [(f.height, f.until, f.offset) for f in error.faults] == [(5, 6, start)]
    assert "signature" in error.faults[0].why
    assert (error.verified_blocks, error.whole) == (5, ((0, 6),))


def unsigned(payload: bytes) -> bytes:
    """The block with another signature in its one entry, under a header that fits."""
    header, entry, *rest = payload.split(b"\n")
    wrong = json.loads(entry)
    wrong["signatures"][0]["signature"] = base64.b64encode(bytes(64)).decode()
    sealed = json.loads(header) | {"root": ref.digest("blake3", "entry", ref.canonical(wrong)).hex()}
    return b"\n".join([ref.canonical(sealed), ref.canonical(wrong), *rest])


def test_no_block_at_all(kept: Kept) -> None:
    shutil.rmtree(kept.folder / "blocks")
    error = damage(kept.folder)
    assert [(f.height, f.until) for f in error.faults] == [(0, None)]
    assert (error.verified_blocks, error.whole) == (0, ())


def test_an_error_of_the_checkpoint_alone_stays_what_it_is(signed: Kept) -> None:
    (signed.folder / "checkpoint").write_bytes(b"no note")
    with pytest.raises(fc.TamperError, match="checkpoint") as caught:
        fc.check(signed.folder)
    assert not isinstance(caught.value, fc.DamageError)


# ---- what a repair puts back


def test_a_dry_run_writes_nothing(kept: Kept) -> None:
    copy = copy_of(kept)
    flip(kept, 3)
    before = kept.blocks.read_bytes()
    plan = repair(kept, copy)
    assert [(row.height, row.until, row.shown) for row in plan.mended] == [(3, 4, "chain")]
    assert not plan.written and plan.audit is None
    assert kept.blocks.read_bytes() == before
    assert str(plan) == "to put back: block 3: their hash stands in the block behind them"


@pytest.mark.parametrize("heights", [[0], [1], [3], [1, 2], [1, 3], [0, 1, 2, 3, 4], [2, 3, 4]])
def test_blocks_before_a_whole_one_come_back_to_the_last_byte(kept: Kept, heights: list[int]) -> None:
    copy = copy_of(kept)
    before = kept.blocks.read_bytes()
    for height in heights:
        flip(kept, height, at=70 + height)
    done = repair(kept, copy, write=True)
    assert {row.shown for row in done.mended} == {"chain"}
    assert done.audit is not None and done.audit.blocks == kept.shape[0]
    assert kept.blocks.read_bytes() == before
    with reopen(kept.home) as ledger:
        assert shape(ledger) == kept.shape


def test_zeroed_pages_and_stray_bytes_come_back(kept: Kept) -> None:
    copy = copy_of(kept)
    before = kept.blocks.read_bytes()
    (first, _), (last, size) = kept.frames()[1], kept.frames()[4]
    kept.spoil(first, bytes(2 * PAGE))
    kept.spoil(last + size, b"\x01")
    done = repair(kept, copy, write=True)
    assert [(row.height, row.until) for row in done.mended] == [(1, 3), (4, 5)]
    assert kept.blocks.read_bytes() == before


def test_a_last_block_with_a_whole_head_comes_back_by_its_sum(kept: Kept) -> None:
    copy = copy_of(kept)
    before = kept.blocks.read_bytes()
    flip(kept, 5)
    assert [row.shown for row in repair(kept, copy, write=True).mended] == ["sum"]
    assert kept.blocks.read_bytes() == before


def test_a_last_block_comes_back_by_what_was_signed(signed: Kept) -> None:
    copy = copy_of(signed)
    before = signed.blocks.read_bytes()
    flip(signed, 5, at=20)
    done = repair(signed, copy, write=True)
    assert [(row.height, row.shown, row.size) for row in done.mended] == [(5, "signed", 6)]
    assert signed.blocks.read_bytes() == before


def test_a_lost_end_is_taken_over(kept: Kept) -> None:
    """An old copy was put back; a newer one has the rest, part of it under the signed mark."""
    with reopen(kept.home) as ledger:
        ledger.checkpoint()
    old = kept.blocks.read_bytes()
    with reopen(kept.home) as ledger:
        for n in (4, 5, 6):
            ledger.submit(claim(f"r-{n}"), by=key("shop"))
            if n == 5:
                ledger.checkpoint()
        now = shape(ledger)
    copy = copy_of(kept)
    kept.blocks.write_bytes(old)
    (kept.folder / "checkpoint").unlink()
    shutil.rmtree(kept.index)
    with pytest.raises(fc.TamperError, match="block 7 was acknowledged"):
        reopen(kept.home)
    done = repair(kept, copy, write=True)
    assert [(row.height, row.until, row.shown) for row in done.mended] == [
        (6, 7, "signed"), (7, 8, "signed"), (8, 9, "extends")
    ]  # fmt: skip
    with reopen(kept.home) as ledger:
        assert shape(ledger) == now


def test_all_blocks_come_back(signed: Kept) -> None:
    copy = copy_of(signed)
    shutil.rmtree(signed.folder / "blocks")
    shutil.rmtree(signed.index)
    assert repair(signed, copy, write=True).audit is not None
    with reopen(signed.home) as ledger:
        assert shape(ledger) == signed.shape


def test_a_repair_that_was_interrupted_is_done_again(kept: Kept) -> None:
    """Whatever part of the frames reached the disk, in whatever order, the next run puts back the rest."""
    copy = copy_of(kept)
    before = kept.blocks.read_bytes()
    places = kept.frames()
    for keep in range(1, 4):
        for height in (1, 2, 3):
            kept.spoil(places[height][0], bytes(places[height][1]))
        start, size = places[keep]
        kept.spoil(start, before[start : start + size // 2])
        assert repair(kept, copy, write=True).audit is not None
        assert kept.blocks.read_bytes() == before


# ---- what it refuses


def test_the_copy_of_another_ledger_is_refused(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = kept_in(tmp_path / "other")
    flip(kept, 2)
    with pytest.raises(fc.NotFound, match="another ledger"):
        repair(kept, other.folder, write=True)


def test_nothing_is_written_while_somebody_has_the_ledger_open(kept: Kept) -> None:
    copy = copy_of(kept)
    with reopen(kept.home), pytest.raises(fc.LockedError):
        repair(kept, copy, write=True)


def test_a_block_that_the_copy_has_not_is_left_and_the_rest_comes_back(kept: Kept) -> None:
    copy = copy_of(kept)
    start, _ = kept.frames()[1]
    flip(kept, 1)
    flip(kept, 3)
    with (copy / "blocks" / "00000000.blk").open("r+b") as file:
        file.seek(start + 80)
        file.write(b"\x00")
    done = repair(kept, copy, write=True)
    assert [row.height for row in done.mended] == [3]
    assert [(row.fault.height, row.why) for row in done.left] == [(1, "the copy has no whole block 1")]
    assert done.audit is None
    assert [f.height for f in damage(kept.folder).faults] == [1]


def test_another_history_is_never_mixed_in(kept: Kept) -> None:
    """A copy of the ledger that went another way: neither its blocks in a gap nor its end are taken."""
    twin = kept.home / "twin"
    fork = twin / "real.finchain"
    shutil.copytree(kept.folder, fork)
    shutil.copytree(kept.home / "keys", twin / "keys")
    for home in (kept.home, twin):
        with reopen(home) as ledger:
            for n in (4, 5, 6):
                ledger.submit(claim(f"r-{n}", 100 + len(home.name)), by=key("shop"))
    flip(kept, 7)
    plan = repair(kept, fork)
    assert not plan.mended
    assert [row.why for row in plan.left] == ["the copy's block 7 does not follow block 6"]
    before = kept.blocks.read_bytes()
    assert not repair(kept, fork, write=True).written
    assert kept.blocks.read_bytes() == before


def test_an_end_that_is_not_what_was_signed_is_not_taken(signed: Kept) -> None:
    """The copy follows the last whole block, and yet it is not the history under the signed mark."""
    twin = signed.home / "twin"
    shutil.copytree(signed.folder, twin / "real.finchain")
    old = signed.blocks.read_bytes()
    for home in (signed.home, twin):
        with reopen(home) as ledger:
            ledger.submit(claim("r-4", 100 + len(home.name)), by=key("shop"))
            if home == signed.home:
                ledger.checkpoint()
    signed.blocks.write_bytes(old)
    plan = repair(signed, twin / "real.finchain")
    assert [row.why for row in plan.left] == ["the copy is not what was signed over 7 blocks"]
    assert not plan.mended


def test_a_last_block_whose_head_names_another_is_left(kept: Kept) -> None:
    """Nothing is behind it and nothing was signed, but its head says that it was not the copy's."""
    with reopen(kept.home) as ledger:
        ledger.submit(claim("r-4"), by=key("shop"))
    twin = kept.home / "twin"
    shutil.copytree(kept.folder, twin / "real.finchain")
    shutil.copytree(kept.home / "keys", twin / "keys")
    for home, amount in ((kept.home, 1), (twin, 2)):
        with reopen(home) as ledger:
            ledger.submit(claim("r-5", amount), by=key("shop"))
    flip(kept, 7)
    plan = repair(kept, twin / "real.finchain")
    assert [row.why for row in plan.left] == ["nothing shows that the copy's block 7 is the one that was here"]


def test_an_end_that_no_signature_covers_is_verified_in_full_first(kept: Kept) -> None:
    old = kept.blocks.read_bytes()
    with reopen(kept.home) as ledger:
        ledger.submit(claim("r-4"), by=key("shop"))
    copy = copy_of(kept)
    kept.blocks.write_bytes(old)
    shutil.rmtree(kept.index)
    forged = Kept(copy, kept.shape)
    (copy / "real.finchain").symlink_to(copy)
    forged.rewrite(6, unsigned(forged.payload(6)))
    assert [row.shown for row in repair(kept, copy).mended] == ["extends"]
    with pytest.raises(fc.DamageError, match="signature"):
        repair(kept, copy, write=True)
    assert kept.blocks.read_bytes() == old


def test_a_checkpoint_from_elsewhere_must_agree(kept: Kept, tmp_path: Path) -> None:
    old = kept.blocks.read_bytes()
    with reopen(kept.home) as ledger:
        ledger.submit(claim("r-4"), by=key("shop"))
        note = ledger.checkpoint()
    copy = copy_of(kept)
    kept.blocks.write_bytes(old)
    (kept.folder / "checkpoint").unlink()
    KeyFolder.of(kept.home / "keys", kept.folder).mark_path.unlink()
    # The copy's own checkpoint is as good as ours, because the ledger's key signed it.
    dry = repair(kept, copy)
    assert ([row.shown for row in dry.mended], dry.files) == (["signed"], ("checkpoint",))
    (copy / "checkpoint").unlink()
    assert [row.shown for row in repair(kept, copy).mended] == ["extends"]
    assert [row.shown for row in repair(kept, copy, checkpoint=note).mended] == ["signed"]
    (tmp_path / "other").mkdir()
    with found(tmp_path / "other") as other, pytest.raises(fc.TamperError):
        repair(kept, copy, checkpoint=other.checkpoint())


# ---- the two small files


@pytest.mark.parametrize("harm", ["missing", "empty", "cut", "a byte", "another's name"])
def test_the_name_comes_back_from_the_blocks(signed: Kept, tmp_path: Path, harm: str) -> None:
    copy = copy_of(signed)
    file = signed.folder / "ledger.json"
    whole = file.read_bytes()
    if harm == "missing":
        file.unlink()
    elif harm == "another's name":
        file.write_bytes(whole.replace(b"#" + whole.split(b"#")[1][:8], b"#00000000"))
    else:
        file.write_bytes({"empty": b"", "cut": whole[:30], "a byte": whole.replace(b"format", b"fOrmat")}[harm])
    damaged = file.read_bytes() if file.exists() else None
    with pytest.raises(fc.FinchainError):
        fc.check(signed.folder)
    dry = repair(signed, copy)
    assert (dry.files, dry.mended, dry.left, dry.written) == (("ledger.json",), (), (), False)
    assert (file.read_bytes() if file.exists() else None) == damaged
    done = repair(signed, copy, write=True)
    assert (done.files, done.written) == (("ledger.json",), True)
    assert file.read_bytes() == whole
    assert done.audit is not None and done.audit.blocks == 6
    assert repair(signed, copy) == fc.Repair(mended=(), left=(), written=False)
    with reopen(signed.home) as ledger:
        assert shape(ledger) == signed.shape


def test_a_name_comes_back_together_with_blocks(signed: Kept) -> None:
    copy = copy_of(signed)
    (signed.folder / "ledger.json").unlink()
    flip(signed, 0)
    flip(signed, 3)
    done = repair(signed, copy, write=True)
    assert done.files == ("ledger.json",)
    assert [(row.height, row.until) for row in done.mended] == [(0, 1), (3, 4)]
    with reopen(signed.home) as ledger:
        assert shape(ledger) == signed.shape


def test_a_name_is_not_given_to_blocks_that_do_not_show_it(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = kept_in(tmp_path / "other")
    foreign = copy_of(other)
    (kept.folder / "ledger.json").unlink()
    with pytest.raises(fc.ConfigError, match="no whole block"):
        fc.repair(kept.folder, foreign, keys=kept.home / "keys", write=True)
    assert not (kept.folder / "ledger.json").exists()
    # Nor where no block is left that could show it.
    copy = copy_of(other, "second")
    (other.folder / "ledger.json").unlink()
    other.blocks.write_bytes(bytes(8 * PAGE))
    with pytest.raises(fc.ConfigError, match="no whole block"):
        repair(other, copy, write=True)


@pytest.mark.parametrize("harm", ["missing", "empty", "a byte", "of another key"])
def test_the_checkpoint_comes_back_from_the_copy(signed: Kept, harm: str) -> None:
    copy = copy_of(signed)
    file = signed.folder / "checkpoint"
    whole = file.read_bytes()
    if harm == "missing":
        file.unlink()
    elif harm == "of another key":
        file.write_bytes(whole[:-20] + b"A" * 17 + b"==\n")
    else:
        file.write_bytes(b"" if harm == "empty" else whole.replace(b"\n6\n", b"\n5\n"))
    assert repair(signed, copy).files == ("checkpoint",)
    done = repair(signed, copy, write=True)
    assert file.read_bytes() == whole
    assert done.audit is not None and done.audit.checkpoint_size == 6
    # Without one in the copy nothing is made up.
    file.unlink()
    (copy / "checkpoint").unlink()
    assert repair(signed, copy, write=True).files == ()
    assert not file.exists()


def test_a_checkpoint_over_other_blocks_is_not_put_back(signed: Kept, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(signed.home, twin)
    for home in (signed.home, twin):
        with reopen(home) as ledger:
            ledger.submit(claim("r-ours" if home == signed.home else "r-theirs"), by=key("shop"))
    KeyFolder.of(twin / "keys", twin / signed.folder.name).mark_path.unlink()
    with reopen(twin) as ledger:
        ledger.checkpoint()
    (signed.folder / "checkpoint").unlink()
    done = repair(signed, twin / signed.folder.name, write=True)
    assert done.files == () and len(done.left) == 1
    assert not (signed.folder / "checkpoint").exists()


def test_what_a_former_key_signed_stays_signed(signed: Kept) -> None:
    """Between the rotation and the next checkpoint, and of two rotations the key in the middle."""
    rotate_checkpoint_key(signed.home)
    audit = fc.check(signed.folder)
    assert (audit.checkpoint_size, len(audit.checkpoint_keys), len(audit.former_checkpoint_keys)) == (6, 1, 1)
    with reopen(signed.home) as ledger:
        ledger.checkpoint()
    rotate_checkpoint_key(signed.home)
    audit = fc.check(signed.folder)
    assert (audit.checkpoint_size, len(audit.former_checkpoint_keys)) == (7, 2)
    copy = copy_of(signed)
    note = (signed.folder / "checkpoint").read_bytes()
    (signed.folder / "checkpoint").unlink()
    flip(signed, 2)
    done = repair(signed, copy, write=True)
    assert done.files == ("checkpoint",) and (signed.folder / "checkpoint").read_bytes() == note
    # A copy is confirmed by it as well: the newest checkpoint that anybody has may be older than the newest key.
    fc.confirm(copy, checkpoint=note, keys=signed.home / "elsewhere")
    assert not (copy / "copy").exists()


def test_a_block_file_that_cannot_be_read_is_damage_with_a_place(signed: Kept) -> None:
    """As a sector that has gone bad is; here a folder stands where the file was, which opens and gives no bytes."""
    copy = copy_of(signed)
    signed.blocks.unlink()
    signed.blocks.mkdir()
    error = damage(signed.folder)
    assert [(fault.height, fault.offset, fault.file) for fault in error.faults] == [(0, 0, str(signed.blocks))]
    assert "cannot be read" in error.faults[0].why and error.verified_blocks == 0
    with pytest.raises(fc.FinchainError, match=r"block 0: .*00000000\.blk"):
        fc.backup(signed.folder, signed.home / "another")
    assert fc.check(copy).blocks == 6


def test_a_checkpoint_of_a_later_key_comes_back_where_the_blocks_show_the_key(kept: Kept) -> None:
    rotate_checkpoint_key(kept.home)
    with reopen(kept.home) as ledger:
        ledger.checkpoint()
        size = ledger.height
    assert fc.predecessor(kept.folder).size == size
    copy = copy_of(kept)
    whole = (kept.folder / "checkpoint").read_bytes()
    (kept.folder / "checkpoint").write_bytes(b"spoilt")
    flip(kept, 1)
    done = repair(kept, copy, write=True)
    assert done.files == ("checkpoint",)
    assert (kept.folder / "checkpoint").read_bytes() == whole
    assert done.audit is not None and done.audit.checkpoint_size == size
