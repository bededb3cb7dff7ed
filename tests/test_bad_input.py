"""Whatever a stranger sends, or a disk gives back, ends in an error of its own class and leaves the ledger as it was.

What is canonical JSON is tested in the core, against other people's vectors; here stand signatures, limits and files.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import finchain as fc
from finchain import errors
from finchain import instructions as do
from finchain.domain import rulebook
from finchain.domain.rule import Instruction
from finchain.key_folder import KeyFolder
from real_ledger import ORIGIN, claim, found, key, reopen, shape, signed, unmoved

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fc.Ledger]:
    """One ledger for all cases, because none of them may change it."""
    with found(tmp_path_factory.mktemp("bad")) as ledger:
        ledger.submit(signed(ledger, claim("r-0"), sequence=1))
        ended = fc.request_enrolment(ledger.name, "old", [fc.Holder(key("old"), "O"), fc.Holder(key("older"), "P")])
        ledger.register("old", "Old friends", roles=["supplier"], request=ended)
        ledger.submit(do.EndKey("old/2"), by=key("old"))
        yield ledger


def good(ledger: fc.Ledger, /, **changes: Any) -> fc.Transaction:
    """A transaction that would be applied."""
    return signed(ledger, claim("r-1"), **{"sequence": 2, **changes})


def resigned(transaction: fc.Transaction, *names: tuple[str, str]) -> bytes:
    """The transaction with exactly these signatures: key ids, and the names of the keys that really sign."""
    text = json.loads(transaction.to_bytes())
    text["signatures"] = []
    bare = fc.Transaction.parse(msgspec.json.encode(text, order="sorted"))
    for key_id, name in names:
        bare.sign(key(name), key_id)
    return bare.to_bytes()


def edited(text: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The transaction with another content, spelt canonically."""
    value = json.loads(text)
    change(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def two_signers(ledger: fc.Ledger, *names: tuple[str, str]) -> bytes:
    act = do.SignContract("c-1", "shop", "core", "ab" * 32, 500_000, "CNY", ledger.today)
    return resigned(ledger.prepare(act, by=["shop", "core"]), *names)


def spoilt(ledger: fc.Ledger, member: str, value: Any) -> bytes:
    """The transaction with another header than the one that was signed."""

    def change(transaction: dict[str, Any]) -> None:
        transaction["header"][member] = value

    return edited(good(ledger).to_bytes(), change)


def one_more_member(transaction: dict[str, Any]) -> None:
    transaction["memo"] = "x"


def other_amount(transaction: dict[str, Any]) -> None:
    transaction["instructions"][0]["amount_minor"] += 1


def flipped_signature(transaction: dict[str, Any]) -> None:
    """S and R stay canonical enough to be read; the signature is simply another one."""
    signature = transaction["signatures"][0]
    signature["signature"] = ("A" if signature["signature"][0] != "A" else "B") + signature["signature"][1:]


def unknown_type(transaction: dict[str, Any]) -> None:
    transaction["instructions"][0]["type"] = "receivable.dream"


def nine_deep(transaction: dict[str, Any]) -> None:
    transaction["instructions"][0] = nested(9)


def nested(depth: int) -> dict[str, Any]:
    """An instruction of that depth, its own brace counted."""
    return {"a": nested(depth - 1)} if depth > 1 else {"a": 1}


class Dream(Instruction, frozen=True, tag="receivable.dream"):
    """An instruction that no rulebook knows."""

    text: str


Case = tuple[str, type[fc.Rejected], Callable[[fc.Ledger], fc.Transaction | bytes]]

CASES: list[Case] = [
    ("another key signed", errors.BadSignature, lambda w: resigned(good(w), ("shop/1", "core"))),
    ("a spoilt signature", errors.BadSignature, lambda w: edited(good(w).to_bytes(), flipped_signature)),
    ("a changed header", errors.BadSignature, lambda w: spoilt(w, "sequence", 3)),
    ("a changed instruction", errors.Malformed, lambda w: edited(good(w).to_bytes(), other_amount)),
    ("an unknown key", errors.UnknownKey, lambda w: resigned(good(w), ("shop/2", "shop"))),
    ("an ended key", errors.UnknownKey, lambda w: resigned(good(w, by=["old"]), ("old/2", "older"))),
    ("an unknown party", errors.UnknownKey, lambda w: resigned(good(w, by=["ghost"]), ("ghost/1", "shop"))),
    ("nobody signed", errors.MissingSignature, lambda w: resigned(good(w))),
    ("one of two signed", errors.MissingSignature, lambda w: two_signers(w, ("shop/1", "shop"))),
    ("a stranger signed too", errors.SuperfluousSignature,
     lambda w: resigned(good(w), ("shop/1", "shop"), ("core/1", "core"))),
    ("expired", errors.Expired, lambda w: good(w, expires_ms=w.clock.now_ms() - 1)),
    ("valid for too long", errors.Expired, lambda w: good(w, expires_ms=w.clock.now_ms() + 30 * DAY_MS + 1)),
    ("another ledger's", errors.WrongLedger, lambda w: good(w, ledger=f"{ORIGIN}#{'0' * 64}")),
    ("another rulebook's", errors.WrongRulebook,
     lambda w: resigned(fc.Transaction.parse(spoilt(w, "rulebook", 2)), ("shop/1", "shop"))),
    ("the number is taken", errors.LaneConflict, lambda w: signed(w, claim("r-9"), sequence=1)),
    ("a number is left out", errors.LaneGap, lambda w: good(w, sequence=3)),
    ("a new lane at 2", errors.LaneGap, lambda w: good(w, lane="new", sequence=2)),
    ("nothing", errors.Malformed, lambda w: b""),
    ("no JSON", errors.Malformed, lambda w: b"\xff\xfe"),
    ("a list", errors.Malformed, lambda w: b"[]"),
    ("a blank", errors.Malformed, lambda w: good(w).to_bytes() + b" "),
    ("one member more", errors.Malformed, lambda w: edited(good(w).to_bytes(), one_more_member)),
    ("an unknown instruction", errors.Malformed, lambda w: signed(w, Dream("of more"), sequence=2)),
    ("a control character", errors.Malformed,
     lambda w: edited(good(w).to_bytes(), lambda t: t["instructions"][0].update(invoice="\u0085"))),
    ("too deep", errors.LimitExceeded, lambda w: edited(good(w).to_bytes(), nine_deep)),
    ("too many bytes", errors.LimitExceeded, lambda w: b" " * ((4 << 20) + 1)),
]  # fmt: skip


@pytest.mark.parametrize(("error", "make"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rejected(ledger: fc.Ledger, error: type[fc.Rejected], make: Callable[[fc.Ledger], Any]) -> None:
    sent = make(ledger)
    with unmoved(ledger, error) as caught:
        if isinstance(sent, fc.Transaction):
            ledger.submit(sent)
        else:
            (outcome,) = ledger.submit_all([sent])
            assert (outcome.status, outcome.id, outcome.height) == ("rejected", "", -1)
            assert outcome.error is not None
            raise outcome.error
    assert caught.value.code == error.code


def test_every_rejection_is_in_the_table() -> None:
    """But for two: a party with ten thousand lanes, and a rule that fails, which have tests of their own."""
    tested = {error for _, error, _ in CASES}
    assert set(errors.REJECTIONS.values()) - tested == {errors.TooManyLanes, errors.InternalError}


def test_an_instruction_may_be_eight_deep(ledger: fc.Ledger) -> None:
    """It is malformed all the same, because it is not what was signed; but not for its depth."""
    text = edited(good(ledger).to_bytes(), lambda transaction: transaction["instructions"].__setitem__(0, nested(8)))
    (outcome,) = ledger.submit_all([text])
    assert isinstance(outcome.error, errors.Malformed)
    assert "root" in outcome.error.message


def test_a_transaction_cut_anywhere_is_malformed(ledger: fc.Ledger) -> None:
    whole = good(ledger).to_bytes()
    before = shape(ledger)
    for outcome in ledger.submit_all(whole[:length] for length in range(len(whole))):
        assert type(outcome.error) is fc.errors.Malformed, outcome
    assert shape(ledger) == before


def test_the_expiry_on_both_sides(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        now = ledger.clock.now_ms()
        assert ledger.submit(signed(ledger, claim("r-1"), expires_ms=now)).status == "applied"
        far = signed(ledger, claim("r-2"), sequence=2, expires_ms=now + 30 * DAY_MS)
        assert ledger.submit(far).status == "applied"


def test_as_many_instructions_as_there_may_be(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        orders = [claim(f"r-{n}") for n in range(4_096)]
        with unmoved(ledger, fc.errors.LimitExceeded):
            ledger.submit([*orders, claim("one more")], by=key("shop"))
        assert ledger.submit(orders, by=key("shop")).status == "applied"
        assert sum(1 for _ in ledger.find(fc.Receivable)) == 4_096


def test_the_limits_of_a_transaction_on_both_sides(ledger: fc.Ledger) -> None:
    """What keeps the limit is judged by the rules, and refused there or elsewhere, but never as over it."""
    bare = len(msgspec.json.encode(claim("r-1"))) - len(claim("r-1").invoice)

    def sized(size: int) -> Instruction:
        return msgspec.structs.replace(claim("r-1"), invoice="x" * (size - bare))

    assert signed(ledger, sized(16_384)).signed_by == ("shop/1",)
    with unmoved(ledger, errors.LimitExceeded):
        signed(ledger, sized(16_385))
    for lane in ("l" * 64, "A-Za.z0_9:/"):
        assert signed(ledger, claim("r-1"), lane=lane).lane == lane
    for lane in ("l" * 65, "", "a b", "ä"):
        with unmoved(ledger, errors.Malformed):
            signed(ledger, claim("r-1"), lane=lane)
    parties = [f"p{n:02}" for n in range(17)]
    assert len(signed(ledger, claim("r-1"), by=parties[:16]).by) == 16
    with unmoved(ledger, errors.LimitExceeded):
        signed(ledger, claim("r-1"), by=parties)
    many = signed(ledger, claim("r-1"), by=parties[:16])
    for name in parties[:16]:
        many.sign(key("shop"), f"{name}/1")
    (outcome,) = ledger.submit_all([many])
    assert isinstance(outcome.error, errors.LimitExceeded)


# ---- files


def cuts(text: bytes) -> list[int]:
    """Every length of a short file, and a spread of a long one with its ends."""
    return list(range(len(text))) if len(text) <= 700 else [*range(64), *range(64, len(text), 37), len(text) - 1]


def test_a_receipt_cut_anywhere_proves_nothing(ledger: fc.Ledger) -> None:
    whole = bytes(ledger.prove(fc.Party, "shop"))
    trust = ledger.verifier_key
    for length in cuts(whole):
        with pytest.raises(fc.TamperError):
            fc.verify(whole[:length], trust=trust, unwitnessed=True)
    assert fc.verify(whole, trust=trust, unwitnessed=True).id == "shop"


def test_a_key_file_cut_anywhere_is_no_key(tmp_path: Path) -> None:
    fc.Key.generate().save(tmp_path / "whole.pem")
    whole = (tmp_path / "whole.pem").read_bytes()
    path = tmp_path / "cut.pem"
    path.touch(mode=0o600)
    for length in range(len(whole.rstrip())):
        path.write_bytes(whole[:length])
        with pytest.raises(fc.KeyFileError):
            fc.Key.load(path)
    path.chmod(0o644)
    path.write_bytes(whole)
    with pytest.raises(fc.KeyFileError):
        fc.Key.load(path)
    with pytest.raises(fc.KeyFileError):
        fc.Key.load(tmp_path / "none.pem")


def test_a_saved_transaction_cut_anywhere_is_none(ledger: fc.Ledger, tmp_path: Path) -> None:
    good(ledger).save(tmp_path / "whole.json")
    whole = (tmp_path / "whole.json").read_bytes()
    for length in range(len(whole) - 1):
        (tmp_path / "cut.json").write_bytes(whole[:length])
        with pytest.raises(errors.Malformed):
            fc.Transaction.load(tmp_path / "cut.json")


def test_ledger_json_cut_or_changed_anywhere(tmp_path: Path) -> None:
    """Whoever changes it makes the folder another ledger's, or nobody's; the blocks are not touched."""
    with found(tmp_path) as ledger:
        ledger.checkpoint()
        before = shape(ledger)
    path = tmp_path / "real.finchain" / "ledger.json"
    whole = path.read_bytes()
    wrong = [whole[:length] for length in range(len(whole))]
    wrong += [whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 128)]
    wrong += [b"null\n", b'{"ledger":"a\\u0000b"}\n', b'{"ledger":5}\n', b'{"ledger":"%b#"}\n' % (b"x" * 5_000)]
    for text in wrong:
        path.write_bytes(text)
        with pytest.raises(fc.TamperError):
            reopen(tmp_path)
        with pytest.raises(fc.TamperError):
            fc.check(path.parent)
    path.write_bytes(whole)
    with reopen(tmp_path) as ledger:
        assert shape(ledger) == before
    with pytest.raises(fc.NotFound):
        fc.open(tmp_path / "nothing", keys=tmp_path / "keys")
    with pytest.raises(fc.NotFound):
        fc.check(tmp_path / "nothing")


@pytest.mark.parametrize("member", ["origin", "root", "size", "type"])
def test_a_signed_mark_that_was_cut_or_changed(tmp_path: Path, member: str) -> None:
    with found(tmp_path) as ledger:
        ledger.checkpoint()
        before = shape(ledger)
    path = KeyFolder.of(tmp_path / "keys", tmp_path / "real.finchain").mark_path
    whole = path.read_bytes()
    values: list[Any] = [0, -1, 10**20, "x", [], 1.5, None]
    wrong = [json.dumps({**json.loads(whole), member: value}).encode() + b"\n" for value in values]
    for text in [*wrong, *(whole[:length] for length in range(0, len(whole), 7))]:
        path.write_bytes(text)
        with pytest.raises(fc.TamperError):
            reopen(tmp_path)
    path.write_bytes(whole)
    with reopen(tmp_path) as ledger:
        assert shape(ledger) == before


def test_a_checkpoint_cut_anywhere_is_noticed_by_the_audit(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        ledger.checkpoint()
    path = tmp_path / "real.finchain" / "checkpoint"
    whole = path.read_bytes()
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(fc.TamperError):
            fc.check(path.parent)
    with reopen(tmp_path) as ledger:
        ledger.checkpoint()
    assert fc.check(path.parent).checkpoint_size == 3


# ---- two writers


OPENING = """
import sys
import finchain as fc
try:
    fc.open(sys.argv[1], keys=sys.argv[2])
except fc.LockedError as error:
    print(error)
"""


def test_a_ledger_has_one_writer(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
        with unmoved(ledger, fc.LockedError):
            reopen(tmp_path)
        for spoil in (False, True):
            # Even an index that the second would not trust is the first one's to write.
            if spoil:
                (ledger.path / "index" / "mark").unlink()
            ran = subprocess.run(
                [sys.executable, "-c", OPENING, str(ledger.path), str(tmp_path / "keys")],
                capture_output=True, text=True, timeout=60, check=True, env={"PYTHONPATH": ":".join(sys.path)},
            )  # fmt: skip
            assert "lock" in ran.stdout
            assert ledger.submit(claim(f"r-{spoil}"), by=key("shop")).status == "applied"
    with reopen(tmp_path) as ledger:
        assert {each.id for each in ledger.find(fc.Receivable)} == {"r-1", "r-False", "r-True"}


# ---- rules that fail, and callers that give up


def test_a_rule_that_fails_drops_its_transaction_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules: dict[Any, Any] = rulebook.RULES
    genuine = rules[do.SubmitReceivable]

    def failing(order: do.SubmitReceivable, book: Any) -> None:
        genuine(order, book)
        if order.id == "r-2":
            raise ZeroDivisionError("a bug")

    monkeypatch.setitem(rules, do.SubmitReceivable, failing)
    with found(tmp_path) as ledger:
        stream = [signed(ledger, claim(f"r-{n}"), lane=f"lane-{n}") for n in (1, 2, 3)]
        outcomes = list(ledger.submit_all(stream))
        assert [outcome.status for outcome in outcomes] == ["applied", "rejected", "applied"]
        assert isinstance(outcomes[1].error, errors.InternalError)
        monkeypatch.undo()
        assert fc.check(ledger.path).state_root == ledger.state_root.hex()
        assert ledger.submit(stream[1]).status == "applied"


def test_a_caller_that_gives_up_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between two transactions of a block: the first was executed, but its block was never sealed."""
    rules: dict[Any, Any] = rulebook.RULES
    genuine = rules[do.SubmitReceivable]

    def interrupted(order: do.SubmitReceivable, book: Any) -> None:
        if order.id == "r-2":
            raise KeyboardInterrupt
        genuine(order, book)

    with found(tmp_path) as ledger:
        before = shape(ledger)
        stream = [signed(ledger, claim(f"r-{n}"), lane=f"lane-{n}") for n in (1, 2)]
        monkeypatch.setitem(rules, do.SubmitReceivable, interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(ledger.submit_all(stream))
        monkeypatch.undo()
        assert shape(ledger) == before
        assert ledger.look(fc.Receivable, "r-1") is None
        assert [outcome.status for outcome in ledger.submit_all(stream)] == ["applied", "applied"]
        assert fc.check(ledger.path).state_root == ledger.state_root.hex()


def test_a_party_has_ten_thousand_lanes_and_no_more(tmp_path: Path) -> None:
    with found(tmp_path) as ledger:
        begun = (signed(ledger, claim(f"r-{n}"), lane=f"act/{n}") for n in range(10_000))
        assert {outcome.status for outcome in ledger.submit_all(begun)} == {"applied"}
        with unmoved(ledger, errors.TooManyLanes):
            ledger.submit(signed(ledger, claim("r-x"), lane="act/x"))
        assert ledger.submit(signed(ledger, claim("r-x"), lane="act/0", sequence=2)).status == "applied"
