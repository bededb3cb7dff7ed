"""Receipts that are verified together: each is judged as alone, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import finchain as fc
from finchain import receipt as receipts_module
from real_ledger import claim, found, key

Judged = fc.Verified | tuple[type[fc.TamperError], str]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[fc.Ledger]:
    with found(tmp_path) as ledger:
        yield ledger


def alone(receipt: bytes, trust: str) -> Judged:
    try:
        return fc.verify(receipt, trust=trust, unwitnessed=True)
    except fc.TamperError as error:
        return type(error), str(error)


def together(receipts: list[bytes], trust: str) -> list[Judged]:
    found = fc.verify_all(receipts, trust=trust, unwitnessed=True)
    return [(type(each), str(each)) if isinstance(each, fc.TamperError) else each for each in found]


def under_two_checkpoints(ledger: fc.Ledger) -> tuple[list[bytes], list[bytes]]:
    """Receipts of every form, as of one checkpoint and as of a later one."""

    def made(number: int) -> list[bytes]:
        outcome = ledger.submit(claim(f"r-{number}"), by=key("shop"))
        step = ledger.history(fc.Receivable, f"r-{number}")[0]
        proven = (
            ledger.prove(fc.Receivable, f"r-{number}"), ledger.prove_absent(fc.Receivable, "nothing"),
            ledger.prove_instruction(outcome, signers=True), ledger.prove_change(step, fc.Receivable, f"r-{number}"),
        )  # fmt: skip
        return [bytes(each) for each in proven]

    return made(1), made(2)


def test_each_is_judged_as_alone(ledger: fc.Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good ones between forged ones, under checkpoints that alternate, in windows and pieces that cut anywhere."""
    earlier, later = under_two_checkpoints(ledger)
    trust = ledger.verifier_key
    notes = [each.index(b"\n\n") + 2 for each in (earlier[0], later[0])]
    other_note = earlier[0][: notes[0]] + later[0][notes[1] :]
    flipped = [
        bytes((byte ^ 1) if at == place else byte for at, byte in enumerate(earlier[0]))
        for place in range(notes[0], len(earlier[0]), 3)
    ]
    mixed = [*earlier, other_note, *later, b"", earlier[0][:-1], *earlier, later[1], earlier[1], later[2]]
    mixed += [each for forged in flipped for each in (earlier[0], forged)]
    expected = [alone(each, trust) for each in mixed]
    assert sum(isinstance(each, fc.Verified) for each in expected) == 4 * 3 + 3 + len(flipped)
    for window in (1, 2, 7, 1_024):
        monkeypatch.setattr(receipts_module, "VERIFIED_TOGETHER", window)
        assert together(mixed, trust) == expected
    assert together([], trust) == []


def test_what_is_no_receipt_keeps_its_place_and_what_is_not_there_is_raised(ledger: fc.Ledger, tmp_path: Path) -> None:
    good = ledger.prove(fc.Party, "shop")
    good.save(tmp_path / "good")
    for name, size in (
        ("largest", receipts_module.RECEIPT_BYTES_MAX),
        ("large", receipts_module.RECEIPT_BYTES_MAX + 1),
    ):
        (tmp_path / name).write_bytes(b"x" * size)
    asked: list[fc.Receipt | bytes | str | Path] = [
        good,
        tmp_path / "large",
        tmp_path / "largest",
        str(tmp_path / "good"),
        b"nothing",
    ]
    found = list(fc.verify_all(asked, trust=ledger.verifier_key, unwitnessed=True))
    assert [isinstance(each, fc.Verified) for each in found] == [True, False, False, True, False]
    assert found[0] == found[3]
    assert "larger than a receipt" in str(found[1])
    assert "larger" not in str(found[2])
    coming = fc.verify_all([good, tmp_path / "no such file", good], trust=ledger.verifier_key, unwitnessed=True)
    assert next(coming) == found[0]
    with pytest.raises(fc.NotFound, match="no such file"):
        next(coming)


def test_nobody_is_trusted_by_default(ledger: fc.Ledger) -> None:
    good = ledger.prove(fc.Party, "shop")
    trust = ledger.verifier_key
    with pytest.raises(fc.TamperError, match="no witness is asked for"):
        list(fc.verify_all([good], trust=trust))
    with pytest.raises(fc.TamperError, match="no log key"):
        list(fc.verify_all([good], trust=[], unwitnessed=True))
    with pytest.raises(fc.ConfigError, match="verifier key"):
        list(fc.verify_all([good], trust="nobody", unwitnessed=True))
    witness = fc.Key.generate("ml-dsa-44").verifier_key("witness.example")
    (found,) = fc.verify_all([good], trust=trust, witnesses=[witness], witnesses_needed=1)
    assert "0 known witnesses cosigned, expected 1" in str(found)
