"""What stands before an answer: one sync, or a second one that tells a destroyed last block from an unfinished one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import finchain as fc
from finchain import cli
from finchain.errors import TamperError
from real_ledger import ORIGIN, START, claim, key, reopen


def found(home: Path, **options: Any) -> fc.Ledger:
    """A ledger with a shop and one claim of it, whose last block no checkpoint covers."""
    ledger = fc.create(
        home / "real.finchain", name=ORIGIN, keys=home / "keys", operator=key("operator"),
        clock=fc.SimulatedClock(START), **options,
    )  # fmt: skip
    ledger.register("shop", "The shop", roles=["supplier"], key=key("shop"))
    ledger.register("core", "The customer", roles=["debtor"], key=key("core"))
    ledger.submit(claim("R"), by=key("shop"))
    return ledger


def destroy_last_block(ledger: fc.Ledger) -> int:
    """Closes the ledger, takes its index away and changes a byte of the last block; gives the blocks that are left."""
    height = ledger.height
    ledger.close()
    shutil.rmtree(ledger.path / "index")
    blocks = ledger.path / "blocks" / "00000000.blk"
    written = bytearray(blocks.read_bytes())
    written[written.rindex(b'"id":"R"')] ^= 1
    blocks.write_bytes(written)
    return height - 1


def reopened_with(home: Path, **options: Any) -> fc.Ledger:
    return fc.open(home / "real.finchain", keys=home / "keys", operator=key("operator"), **options)


def test_under_a_single_sync_a_destroyed_last_block_looks_unfinished(tmp_path: Path) -> None:
    left = destroy_last_block(found(tmp_path))
    with reopen(tmp_path) as ledger:
        assert ledger.height == left
        assert "were no finished block and were cut off" in ledger.recovery["cut"]


def test_under_a_double_sync_it_stops_the_ledger_with_its_place(tmp_path: Path) -> None:
    left = destroy_last_block(found(tmp_path, durability="double"))
    with pytest.raises(TamperError, match=rf"00000000\.blk is damaged at offset \d+, where block {left} is expected"):
        reopen(tmp_path)


def test_it_is_begun_kept_and_ended_when_the_ledger_is_opened(tmp_path: Path) -> None:
    found(tmp_path).close()
    mark = tmp_path / "real.finchain" / "blocks" / "durable"
    assert not mark.exists()
    reopened_with(tmp_path, durability="double").close()
    with reopen(tmp_path) as ledger:
        before = mark.read_bytes()
        ledger.submit(claim("S"), by=key("shop"))
        assert mark.read_bytes() != before
    reopened_with(tmp_path, durability="single").close()
    assert not mark.exists()
    with reopen(tmp_path) as ledger:
        ledger.submit(claim("T"), by=key("shop"))
    assert not mark.exists()


def test_the_command_founds_either(tmp_path: Path) -> None:
    for durability, marked in [("single", False), ("double", True)]:
        path = tmp_path / f"{durability}.finchain"
        named = ["--name", f"example.com/{durability}", "--keys", str(tmp_path / "keys"), "--durability", durability]
        assert cli.run(["init", str(path), *named]) == 0
        assert (path / "blocks" / "durable").exists() == marked
