"""Anchors of trust: a ledger that somebody made from nothing under the same name, and what tells it from the real one.

The forger keeps every rule: its blocks, signatures, index and checkpoint agree with each other. Only what came another
way shows whose ledger it is: the verifier key, a checkpoint, a receipt.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import finchain as fc
from finchain import cli
from finchain import instructions as do
from finchain.key_folder import CheckpointSuite
from real_ledger import ORIGIN, START, claim, key, reopen, rotate_checkpoint_key

READING = (
    ["show"], ["show", "receivable", "r-1"], ["history", "receivable", "r-1"], ["totals"], ["positions", "shop"],
    ["due"], ["promises", "shop"], ["trace", "r-1"], ["postings"], ["check"],
)  # fmt: skip
"""Commands that take anchors, and end with 0 on the ledgers of these tests."""


def made(home: Path, operator: str, amount_minor: int, suite: CheckpointSuite = "ed25519") -> str:
    """A ledger with a claim of that amount, a checkpoint and a receipt; gives its verifier key."""
    home.mkdir()
    with fc.create(
        home / "real.finchain", name=ORIGIN, keys=home / "keys", operator=key(operator),
        clock=fc.SimulatedClock(START), checkpoint_suite=suite,
    ) as ledger:  # fmt: skip
        ledger.register("shop", "The shop", roles=["supplier"], key=key("shop"))
        ledger.register("core", "The customer", roles=["debtor"], key=key("core"))
        ledger.submit(claim("r-1", amount_minor), by=key("shop"))
        ledger.prove(fc.Receivable, "r-1").save(home / "r-1.receipt")
        (home / "held.checkpoint").write_bytes(ledger.checkpoint())
        ledger.submit(do.ConfirmReceivable("r-1", amount_minor), by=key("core"))
        (home / "real.finchain" / "checkpoint").write_bytes(ledger.checkpoint())
        return ledger.verifier_key


@pytest.fixture(params=["ed25519", "ml-dsa-44"], scope="module")
def ledgers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path, str]:
    """The real one and its verifier key, the forged one and its own."""
    base = tmp_path_factory.mktemp("trust")
    real, forged = base / "real", base / "forged"
    return (
        real, made(real, "operator", 125_000, request.param), forged, made(forged, "forger", 999_000, request.param),
    )  # fmt: skip


def anchors(home: Path, trust: str) -> dict[str, dict[str, Any]]:
    """Each anchor of a ledger, and all of them together."""
    single: dict[str, dict[str, Any]] = {
        "key": {"trust": trust},
        "checkpoint": {"checkpoints": [home / "held.checkpoint"]},
        "receipt": {"receipts": [home / "r-1.receipt"]},
    }
    return {**single, "all": {name: value for each in single.values() for name, value in each.items()}}


def words(given: dict[str, Any]) -> list[str]:
    """The same as options of the command."""
    option = {"trust": "--trust", "checkpoints": "--checkpoint", "receipts": "--receipt"}
    listed = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    return [word for name, values in listed.items() for value in values for word in (option[name], str(value))]


@pytest.mark.parametrize("name", ["key", "checkpoint", "receipt", "all"])
def test_a_forged_ledger_is_told_from_the_real_one_by_each_anchor(
    name: str, ledgers: tuple[Path, str, Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    real, trust, forged, _ = ledgers
    given = anchors(real, trust)[name]
    for asked in READING:
        assert cli.run([asked[0], str(real / "real.finchain"), *asked[1:], *words(given)]) == 0, asked
        assert "nobody but the folder" not in "".join(capsys.readouterr())
        assert cli.run([asked[0], str(forged / "real.finchain"), *asked[1:], *words(given)]) == 12, asked
        assert not capsys.readouterr().out
    with pytest.raises(fc.AnchorError):
        fc.open(forged / "real.finchain", read_only=True, **given)
    with pytest.raises(fc.AnchorError):
        fc.check(forged / "real.finchain", **given)


def test_without_an_anchor_the_output_says_that_nobody_else_vouches(
    ledgers: tuple[Path, str, Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    real, _, forged, _ = ledgers
    for home in (real, forged):
        for asked in READING:
            assert cli.run([asked[0], str(home / "real.finchain"), *asked[1:]]) == 0, asked
            told = capsys.readouterr()
            assert "nobody but the folder itself vouches for its blocks" in told.out + told.err, asked
        assert cli.run(["show", str(home / "real.finchain"), "receivable", "r-1", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["vouched_blocks"] == 0
        assert cli.run(["check", str(home / "real.finchain"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["vouched"] == {"blocks": 0, "by": [], "of": 5}


def test_who_vouches_is_said_with_how_many_blocks(ledgers: tuple[Path, str, Path, str]) -> None:
    real, trust, _, _ = ledgers
    held = real / "held.checkpoint"
    for vouched in (
        fc.check(real / "real.finchain", checkpoints=[held], trust=trust).vouched,
        _reader_vouched(real / "real.finchain", checkpoints=[held], trust=trust),
    ):
        assert (vouched.blocks, vouched.of) == (4, 5)
        assert str(vouched) == (
            f"4 blocks are those of checkpoint {held} over 4 blocks, signed by the trusted key; "
            "1 later block follows, under no anchor"
        )
    (by,) = fc.check(real / "real.finchain", receipts=[real / "r-1.receipt"]).vouched.by
    assert (by.anchor, by.proves, by.signed) == ("receipt", "record of receivable r-1, block 3", False)
    assert str(fc.check(real / "real.finchain", trust=trust).vouched) == (
        "5 blocks are those of the folder's own checkpoint over 5 blocks, signed by the trusted key"
    )


def _reader_vouched(path: Path, **given: Any) -> fc.Vouched:
    with fc.open(path, read_only=True, **given) as reader, reader.snapshot() as snapshot:
        assert snapshot.vouched == reader.vouched
        return reader.vouched


@pytest.fixture
def home(ledgers: tuple[Path, str, Path, str], tmp_path: Path) -> Path:
    """A copy of the real ledger that a test may spoil."""
    shutil.copytree(ledgers[0], tmp_path / "copy")
    return tmp_path / "copy"


def refused(home: Path, error: type[fc.FinchainError], match: str, **given: Any) -> None:
    """Both ways of asking end in this error, which says what would be right."""
    for ask in (fc.check, lambda path, **given: fc.open(path, read_only=True, **given)):
        with pytest.raises(error, match=match) as caught:
            ask(home / "real.finchain", **given)
        assert caught.value.advice or "is not <name>+<8 hex digits>" in caught.value.message


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda text: b"", "no checkpoint"),
        (lambda text: text[: len(text) // 2], "no checkpoint|signed"),
        (lambda text: text.replace(b"\n4\n", b"\n3\n"), "does not belong to this key and message"),
        (lambda text: b"x" * 100_000, "larger than a checkpoint"),
    ],
    ids=["empty", "cut short", "another size", "too large"],
)
def test_a_checkpoint_that_is_none_vouches_for_nothing(
    spoil: Callable[[bytes], bytes], match: str, home: Path, ledgers: tuple[Path, str, Path, str]
) -> None:
    held = home / "held.checkpoint"
    held.write_bytes(spoil(held.read_bytes()))
    refused(home, fc.TamperError, match, checkpoints=[held], trust=ledgers[1])


def test_a_receipt_that_is_none_vouches_for_nothing(home: Path) -> None:
    receipt = home / "r-1.receipt"
    whole = receipt.read_bytes()
    middle = len(whole) // 2
    for text in (b"", whole[:-40], whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]):
        receipt.write_bytes(text)
        refused(home, fc.AnchorError, "r-1.receipt: ", receipts=[receipt])


def test_a_file_that_is_not_there_is_said(home: Path) -> None:
    refused(home, fc.NotFound, "no checkpoint", checkpoints=[home / "nothing"])
    refused(home, fc.NotFound, "no receipt", receipts=[home / "nothing"])


def test_a_key_alone_needs_a_checkpoint_in_the_folder(home: Path, ledgers: tuple[Path, str, Path, str]) -> None:
    (home / "real.finchain" / "checkpoint").unlink()
    refused(home, fc.NotFound, "shows nothing of it", trust=ledgers[1])


def test_a_key_that_cannot_be_read_is_a_wrong_argument(home: Path) -> None:
    refused(home, fc.ConfigError, "verifier key", trust="example.com/real+nonsense")


def test_an_old_state_does_not_hold_the_newest_checkpoint(
    home: Path, ledgers: tuple[Path, str, Path, str], tmp_path: Path
) -> None:
    newest = home / "newest.checkpoint"
    with reopen(home) as ledger:
        ledger.submit(claim("r-2"), by=key("shop"))
        newest.write_bytes(ledger.checkpoint())
    assert fc.check(home / "real.finchain", checkpoints=[newest], trust=ledgers[1]).vouched.blocks == 6
    shutil.copytree(ledgers[0], tmp_path / "old")
    refused(tmp_path / "old", fc.AnchorError, "is over 6 blocks, and this ledger has 5", checkpoints=[newest])


def test_a_fork_holds_what_was_signed_before_it_and_nothing_after(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "fork")
    for side, amount in ((home, 1_000), (tmp_path / "fork", 2_000)):
        # Whoever copies the key folder as well can sign twice; the mark beside the key does not see the other copy.
        with reopen(side) as ledger:
            ledger.submit(claim("r-2", amount), by=key("shop"))
            (side / "after.checkpoint").write_bytes(ledger.checkpoint())
    fork = tmp_path / "fork"
    assert fc.check(fork / "real.finchain", checkpoints=[home / "held.checkpoint"]).vouched.blocks == 4
    refused(fork, fc.AnchorError, "another root than these", checkpoints=[home / "after.checkpoint"])
    # Of several anchors each must hold.
    refused(fork, fc.AnchorError, "root", checkpoints=[home / "held.checkpoint", home / "after.checkpoint"])


def test_what_a_key_signed_before_it_was_replaced_stays_signed(
    home: Path, ledgers: tuple[Path, str, Path, str]
) -> None:
    replaced = rotate_checkpoint_key(home)
    with reopen(home) as ledger:
        ledger.submit(claim("r-2"), by=key("shop"))
        (home / "real.finchain" / "checkpoint").write_bytes(ledger.checkpoint())
    held = home / "held.checkpoint"
    path = home / "real.finchain"
    assert fc.check(path, trust=ledgers[1], checkpoints=[held]).vouched.blocks == 4
    assert fc.check(path, trust=[replaced]).vouched.blocks == 7
    assert fc.check(path, receipts=[home / "r-1.receipt"]).vouched.blocks == 4
    refused(home, fc.AnchorError, "checkpoint", trust=[replaced], checkpoints=[held])
    # A reader does not know the keys of the past, and says what to give.
    with pytest.raises(fc.AnchorError, match=r"r-1\.receipt") as caught:
        fc.open(path, read_only=True, receipts=[home / "r-1.receipt"])
    assert "a key that was replaced" in caught.value.advice


def test_who_trusts_a_key_that_was_replaced_learns_what_that_may_mean(
    home: Path, ledgers: tuple[Path, str, Path, str]
) -> None:
    replaced = rotate_checkpoint_key(home)
    with reopen(home) as ledger:
        ledger.checkpoint()
    with pytest.raises(fc.AnchorError) as caught:
        fc.check(home / "real.finchain", trust=ledgers[1])
    assert "has replaced its checkpoint key" in caught.value.advice
    assert fc.check(home / "real.finchain", trust=[ledgers[1], replaced]).vouched.blocks == 6


def test_one_file_may_stand_alone(home: Path) -> None:
    held, receipt = home / "held.checkpoint", home / "r-1.receipt"
    assert fc.check(home / "real.finchain", checkpoints=held, receipts=str(receipt)).vouched.blocks == 4
    assert _reader_vouched(home / "real.finchain", checkpoints=str(held), receipts=receipt).blocks == 4


def test_a_wrong_file_is_said_before_any_block_is_read(home: Path) -> None:
    done: list[int] = []
    with pytest.raises(fc.NotFound):
        fc.check(home / "real.finchain", receipts="nothing", progress=lambda blocks, _: done.append(blocks))
    assert not done


@pytest.mark.parametrize("text", [b"", b"x" * 70_000, b"example.com/real\n5\n"], ids=["empty", "too large", "cut"])
def test_a_checkpoint_of_the_folder_that_is_none_hides_no_damage(
    text: bytes, home: Path, ledgers: tuple[Path, str, Path, str]
) -> None:
    folder = home / "real.finchain"
    (folder / "checkpoint").write_bytes(text)
    for trust in ((), ledgers[1]):
        with pytest.raises(fc.TamperError):
            fc.check(folder, trust=trust)
    blocks = folder / "blocks" / "00000000.blk"
    content = bytearray(blocks.read_bytes())
    content[3 * 4096 + 100] ^= 1
    blocks.write_bytes(content)
    with pytest.raises(fc.DamageError) as caught:
        fc.check(folder)
    assert caught.value.faults[0].height == 3 and caught.value.checkpoint_agrees is None


def test_damage_is_told_as_such_whatever_the_anchors_say(home: Path, ledgers: tuple[Path, str, Path, str]) -> None:
    path = home / "real.finchain" / "blocks" / "00000000.blk"
    content = bytearray(path.read_bytes())
    content[3 * 4096 + 100] ^= 1
    path.write_bytes(content)
    with pytest.raises(fc.DamageError) as caught:
        fc.check(home / "real.finchain", trust=ledgers[1], checkpoints=home / "held.checkpoint")
    assert caught.value.faults[0].height == 3 and caught.value.verified_blocks == 3
    assert "missing" not in str(caught.value)


def test_anchors_are_for_reading(home: Path) -> None:
    with pytest.raises(fc.ConfigError, match="speak of reading only"):
        fc.open(home / "real.finchain", checkpoints=[home / "held.checkpoint"])  # type: ignore[call-overload]


def test_a_folder_that_follows_says_where_its_blocks_are(home: Path, tmp_path: Path) -> None:
    with fc.follow(home / "real.finchain", tmp_path / "into"):
        pass
    code = cli.run(["show", str(tmp_path / "into"), "--checkpoint", str(home / "held.checkpoint")])
    assert code == 16
