"""The log: everything that was sent and entered a block, whatever became of it, with all that a refusal said."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import finchain as fc
from finchain import cli
from finchain import instructions as do
from finchain.outcome import Attempt
from finchain.wording import worded
from kept_ledger import frames_in
from real_ledger import claim, found, key, reopen


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two days: claims of which one is refused, an act that is held back by its other half, one refused of several."""
    with found(tmp_path) as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
        with pytest.raises(fc.Refused):
            ledger.submit(do.ConfirmReceivable("r-1", 999_000), by=key("core"))
        clock = ledger.clock
        assert isinstance(clock, fc.SimulatedClock)
        clock.move_to(date(2026, 3, 3))
        with pytest.raises(fc.Refused):
            ledger.submit([claim("r-2"), do.CancelReceivable("r-9")], by=key("shop"))
        ledger.submit_each([claim("r-3"), claim("r-1"), claim("r-4")], by=key("shop"))
        ledger.submit(do.ConfirmReceivable("r-1", 1_000), by=key("core"))
    return tmp_path


def folder(home: Path) -> Path:
    return home / "real.finchain"


def told(attempts: list[Attempt]) -> list[tuple[str, str, str, str]]:
    return [(each.place, each.order, each.status, each.code) for each in attempts]


SENT = [
    ("0.0.0", "ledger.create", "applied", ""),
    ("1.0.0", "party.register", "applied", ""),
    ("2.0.0", "party.register", "applied", ""),
    ("3.0.0", "receivable.submit", "applied", ""),
    ("4.0.0", "receivable.confirm", "refused", "receivable.over_confirm"),
    ("5.0.0", "receivable.submit", "held_back", "receivable.not_found"),
    ("5.0.1", "receivable.cancel", "refused", "receivable.not_found"),
    ("6.0.0", "receivable.submit", "applied", ""),
    ("6.0.1", "receivable.submit", "refused", "receivable.duplicate"),
    ("6.0.2", "receivable.submit", "applied", ""),
    ("7.0.0", "receivable.confirm", "applied", ""),
]


def test_everything_that_was_sent_is_listed_with_what_became_of_it(home: Path) -> None:
    with fc.open(folder(home), read_only=True) as reader:
        assert told(list(reader.log())) == SENT
    with reopen(home) as ledger:
        assert told(list(ledger.log())) == SENT
        with ledger.serve(), fc.connect(folder(home), keys=home / "keys") as other:
            assert list(map(repr, other.log())) == list(map(repr, ledger.log()))


def test_a_refusal_comes_with_all_that_it_said(home: Path) -> None:
    with reopen(home) as ledger:
        with pytest.raises(fc.Refused) as caught:
            ledger.submit(do.ConfirmReceivable("r-1", 999_000), by=key("core"))
        *_, last = ledger.log(status="refused")
        said, asked = caught.value, last.refusal
        assert asked is not None
        assert str(asked) == str(said)
        assert (asked.code, asked.rule, asked.field, asked.value, asked.facts, asked.advice, asked.order) == (
            said.code, said.rule, said.field, said.value, said.facts, said.advice, said.order
        )  # fmt: skip
        assert (last.day, last.by, last.lane, last.sequence, last.mode) == (
            date(2026, 3, 3),
            ("core",),
            "main",
            3,
            "all",
        )
        # Each refusal is said in the state of its own time: then 125,000 were pending, and now 124,000 are.
        first = next(iter(ledger.log(status="refused")))
        assert first.refusal is not None and "1,250.00" in str(first.refusal)
        assert "1,240.00" in str(asked)


def test_what_is_asked_for_is_all_that_comes(home: Path) -> None:
    with fc.open(folder(home), read_only=True) as reader:

        def places(**asked: Any) -> list[str]:
            return [each.place for each in reader.log(**asked)]

        assert places(party="core") == ["4.0.0", "7.0.0"]
        assert places(party="nobody") == []
        assert places(code="receivable.duplicate") == ["6.0.1"]
        assert places(code="receivable") == ["4.0.0", "5.0.0", "5.0.1", "6.0.1"]
        assert places(code="receivable.dup") == [], "a word is whole or it is another"
        assert places(order="receivable.confirm") == ["4.0.0", "7.0.0"]
        assert places(order="party") == ["1.0.0", "2.0.0"]
        assert places(status="held_back") == ["5.0.0"]
        assert places(since=date(2026, 3, 3), status="applied") == ["6.0.0", "6.0.2", "7.0.0"]
        assert places(until=date(2026, 3, 2), order="receivable") == ["3.0.0", "4.0.0"]
        assert places(since=date(2026, 3, 4)) == []
        assert places(start=(6, 0)) == ["6.0.0", "6.0.1", "6.0.2", "7.0.0"]
        assert places(start=(6, 1)) == ["7.0.0"]


def test_codes_alone_need_no_rule(home: Path) -> None:
    with fc.open(folder(home), read_only=True) as reader:
        attempts = list(reader.log(status="refused", texts=False))
    assert [each.code for each in attempts] == [code for *_, status, code in SENT if status == "refused"]
    assert all(each.refusal is None for each in attempts)


def test_the_log_is_that_of_the_blocks_and_stops_at_damage(home: Path) -> None:
    path = folder(home) / "blocks" / "00000000.blk"
    damaged = frames_in(path)[5]
    content = bytearray(path.read_bytes())
    content[damaged[0] + 200] ^= 1
    path.write_bytes(content)
    with fc.open(folder(home), read_only=True) as reader, pytest.raises(fc.FinchainError):
        list(reader.log())


def test_the_command_lists_and_names_the_receipt_of_each(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["log", str(folder(home)), "--refused", "--since", "2026-03-02", "--limit", "1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("4.0.0")
    assert "core: receivable.confirm id=r-1 amount=9,990.00 CNY" in shown and "UNSET" not in shown
    assert "receivable.over_confirm" in shown and "try" in shown
    receipt = tmp_path / "refused.receipt"
    options = ["--keys", str(home / "keys"), "--out", str(receipt)]
    assert cli.run(["prove", str(folder(home)), "--at", "4.0.0", *options]) == 0
    with fc.open(folder(home), read_only=True) as reader:
        verified = fc.verify(receipt, trust=reader.verifier_key, unwitnessed=True)
    assert (verified.outcome, verified.refused, verified.by) == ("refused", "receivable.over_confirm", ("core",))
    assert "refused: receivable.over_confirm" in str(verified)
    assert str(verified).startswith("receivable.confirm id=r-1 "), "in words, and without what is absent"
    capsys.readouterr()
    assert cli.run(["log", str(folder(home)), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["place"], row["order"], row["status"], row["code"]) for row in rows] == SENT
    assert rows[4]["refusal"]["facts"] and rows[4]["refusal"]["advice"] and rows[3]["refusal"] is None
    assert rows[3]["instruction"]["type"] == "receivable.submit" and rows[3]["verified"] is True


@pytest.mark.parametrize(
    "words",
    [
        ["log", "--from", "x"], ["log", "--from", "1.x"], ["log", "--limit", "0"], ["log", "--since", "yesterday"],
        ["prove", "--at", "4", "--out", "f"], ["prove", "--at", "4.0.x", "--out", "f"], ["prove", "--out", "f"],
        ["prove", "receivable", "r-1", "--at", "4.0.0", "--out", "f"], ["prove", "--at", "99.0.0", "--out", "f"],
        ["prove", "--at", "4.0.9", "--out", "f"], ["prove", "--at", "4.0.0", "--absent", "--out", "f"],
    ],
)  # fmt: skip
def test_wrong_words_are_said(words: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([words[0], str(folder(home)), *words[1:], "--keys", str(home / "keys")]) == 16
    assert capsys.readouterr().err.startswith("error: ")


# ---- instructions in words


def test_amounts_are_shown_with_their_currency_or_as_what_they_are() -> None:
    assert worded(claim("r-1")) == (
        "receivable.submit id=r-1 creditor=shop debtor=core amount=1,250.00 CNY currency=CNY due=2026-09-30 "
        'invoice="INV 722d31"'
    )
    confirm = do.ConfirmReceivable("r-1", 1_000)
    assert worded(confirm, "JPY") == "receivable.confirm id=r-1 amount=1,000 JPY"
    assert worded(confirm) == "receivable.confirm id=r-1 amount_minor=1000 (minor units)"


def test_a_signer_sees_the_currency_of_what_he_signs(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The order names a claim and no currency; whoever prepares it states what the ledger says."""
    (tmp_path / "confirm.json").write_text('{"type":"receivable.confirm","id":"r-1","amount_minor":1000}')
    unsent, pem = tmp_path / "confirm.tx", tmp_path / "core.pem"
    key("core").save(pem)
    keys = ["--keys", str(home / "keys")]
    words = ["prepare", str(folder(home)), str(tmp_path / "confirm.json"), "--by", "core", "--out", str(unsent), *keys]
    assert cli.run(words) == 0
    capsys.readouterr()
    assert cli.run(["sign", str(unsent), "--key", str(pem), "--yes"]) == 0
    shown = capsys.readouterr().err
    assert "receivable.confirm id=r-1 amount=10.00 CNY" in shown
    assert "are those that whoever prepared this found" in shown
    assert fc.Transaction.load(unsent).currencies == {0: "CNY"}, "the next signer sees it as well"
    assert cli.run(["submit", str(folder(home)), str(unsent), *keys]) == 0


def test_history_and_records_name_parties_and_leave_out_what_is_absent(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["history", str(folder(home)), "receivable", "r-1"]) == 0
    shown = capsys.readouterr().out
    assert "UNSET" not in shown and "core: receivable.confirm id=r-1 amount=10.00 CNY" in shown
    assert cli.run(["show", str(folder(home)), "receivable"]) == 0
    assert "creditor shop, debtor core" in capsys.readouterr().out
    for party, with_whom in (("shop", "from core"), ("core", "to shop")):
        assert cli.run(["positions", str(folder(home)), party]) == 0
        line = capsys.readouterr().out.splitlines()[0]
        assert line.endswith(f"receivable r-1 {with_whom}")
        assert "CNY" in line[:40], "a terminal of 80 columns breaks no amount"
    assert cli.run(["due", str(folder(home))]) == 0
    assert "10.00 CNY" in capsys.readouterr().out.splitlines()[0][:45]


def test_register_takes_a_key_under_a_passphrase(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pem, word = tmp_path / "new.pem", tmp_path / "word"
    fc.Key.generate().save(pem, b"a passphrase")
    word.write_text("a passphrase\n")
    words = ["register", str(folder(home)), "new", "New Ltd", "--role", "supplier", "--keys", str(home / "keys")]
    words += ["--operator", str(tmp_path / "operator.pem")]
    key("operator").save(tmp_path / "operator.pem")
    assert cli.run([*words, "--passphrase-file", str(word)]) == 16, "a passphrase is of a key"
    assert cli.run([*words, "--key", str(pem)]) == 16
    assert f"{pem}: the key is under a passphrase" in capsys.readouterr().err
    assert cli.run([*words, "--key", str(pem), "--passphrase-file", str(word)]) == 0


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_wrong_with_a_key_names_its_file(content: bytes, tmp_path: Path) -> None:
    pem = tmp_path / "wrong.pem"
    pem.write_bytes(content)
    pem.chmod(0o600)
    with pytest.raises(fc.KeyFileError, match=r"wrong\.pem: "):
        fc.Key.load(pem)
    pem.chmod(0o644)
    with pytest.raises(fc.KeyFileError, match=r"wrong\.pem: .* mode 644"):
        fc.Key.load(pem)
    with pytest.raises(fc.KeyFileError, match="missing"):
        fc.Key.load(tmp_path / "missing")
