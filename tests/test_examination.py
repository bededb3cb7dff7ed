"""An auditor's page: one command, everything that was verified, and what somebody should look at."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

import finchain as fc
from finchain import cli
from finchain import instructions as do
from real_ledger import claim, found, key
from test_doctored import Doctored, edited


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A ledger in which everything went well for a day, and less so after two months of silence."""
    with found(tmp_path) as ledger:
        clock = ledger.clock
        assert isinstance(clock, fc.SimulatedClock)
        clock.move_to(date(2026, 3, 3))
        ledger.submit(claim("r-1"), by=key("shop"))
        ledger.submit(do.ConfirmReceivable("r-1", 125_000), by=key("core"))
        clock.move_to(date(2026, 5, 4))
        for amount in (1, 2, 3):
            with pytest.raises(fc.Refused):
                ledger.submit(do.ConfirmReceivable("r-1", amount), by=key("core"))
        with pytest.raises(fc.Refused):
            ledger.submit([claim("r-2"), claim("r-1")], by=key("shop"))
        ledger.register("new", "New Ltd", roles=["supplier"], key=key("new"))
        ledger.submit(do.SubmitReceivable("n-1", "new", "core", 1, "CNY", date(2026, 9, 30), "N 1"), by=key("new"))
        ledger.submit(do.EndKey("new/1", compromised_since=date(2026, 5, 4)), by=[key("operator")])
        (tmp_path / "held.checkpoint").write_bytes(ledger.checkpoint())
        ledger.prove(fc.Receivable, "r-1").save(tmp_path / "r-1.receipt")
        (tmp_path / "trust").write_text(ledger.verifier_key)
    return tmp_path


def folder(home: Path) -> Path:
    return home / "real.finchain"


def test_what_is_unusual_is_told_with_count_and_places(home: Path) -> None:
    page = fc.examine(folder(home))
    assert [(each.count, each.what, each.first, each.last) for each in page.unusual] == [
        (3, "refused: receivable.over_confirm", "5.0.0", "7.0.0"),
        (1, "refused: receivable.duplicate", "8.0.1", "8.0.1"),
        (1, "keys replaced, added or ended", "11.0.0", "11.0.0"),
        (1, "keys stated to be compromised", "11.0.0", "11.0.0"),
        (1, "orders of a party on the day on which it was registered", "10.0.0", "10.0.0"),
        (1, "silences of more than 31 days before an order", "5.0.0", "5.0.0"),
    ]
    assert (page.clock, page.first, page.last, page.faults) == ("simulated", date(2026, 3, 2), date(2026, 5, 4), ())
    assert page.audit == fc.check(folder(home))
    assert [(each.number, each.place) for each in page.rules] == [(1, "0.0.0")]


def test_an_uneventful_ledger_has_nothing_unusual(tmp_path: Path) -> None:
    with found(tmp_path):
        pass
    page = fc.examine(folder(tmp_path))
    assert page.unusual == ()
    assert "unusual\n  nothing" in str(page)


def test_the_page_has_every_section_and_the_code_says_whether_it_is_sound(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = (home / "trust").read_text()
    words = ["--trust", trust, "--checkpoint", str(home / "held.checkpoint"), "--receipt", str(home / "r-1.receipt")]
    assert cli.run(["audit", str(folder(home)), *words]) == 0
    page = capsys.readouterr().out
    titles = [line for line in page.splitlines() if not line.startswith(" ")]
    assert titles == ["trust", "blocks", "rules", "index", "receipts", "unusual"]
    assert "checkpoint over 12 blocks, signed by the trusted key" in page
    assert "proves: record of receivable r-1, block 11; the ledger holds it" in page
    assert "the index agrees" in page and "nobody but the folder" not in page
    assert cli.run(["audit", str(folder(home)), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["audit"]["vouched"]["by"] == [] and len(told["unusual"]) == 6


def test_what_is_wrong_is_told_with_everything_else(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with edited(folder(home)) as index:
        more_than_was_confirmed(index)
    other = home / "other"
    other.mkdir()
    with found(other) as ledger:
        (other / "other.checkpoint").write_bytes(ledger.checkpoint())
    held = ["--checkpoint", str(other / "other.checkpoint"), "--checkpoint", str(home / "held.checkpoint")]
    assert cli.run(["audit", str(folder(home)), *held]) == 12
    page = capsys.readouterr().out
    assert "FAULTS" in page and "other.checkpoint" in page and "changed: receivable r-1 (records)" in page
    assert "held.checkpoint over 12 blocks" in page, "what holds is told as well"
    assert "the index is not what the blocks make" in page


def more_than_was_confirmed(index: Doctored) -> None:
    row_key, row = index.record(b'"confirmed":125000')
    index.put("records", row_key, row.replace(b'"confirmed":125000', b'"confirmed":925000'))


@pytest.mark.parametrize("words", [["--trust", "nonsense"], ["--receipt", "nothing"], ["--checkpoint", "nothing"]])
def test_wrong_words_are_no_fault_of_the_ledger(words: list[str], home: Path) -> None:
    assert cli.run(["audit", str(folder(home)), *words]) == 16


def test_damaged_blocks_are_raised(home: Path) -> None:
    path = folder(home) / "blocks" / "00000000.blk"
    content = bytearray(path.read_bytes())
    content[8192] ^= 1
    path.write_bytes(content)
    assert cli.run(["audit", str(folder(home))]) == 12
    with pytest.raises(fc.TamperError):
        fc.examine(folder(home))
