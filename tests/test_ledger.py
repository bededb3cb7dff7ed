"""What an application does with a ledger, on a real one: register, submit, read, explain, prove, close."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

import pytest

import finchain as fc
from finchain import instructions as do
from finchain.domain.key import PartyKey
from finchain.opening import HashSuite
from real_ledger import ORIGIN, START, claim, found, key, reopen, shape, signed, unmoved

SUITES: tuple[HashSuite, ...] = get_args(HashSuite)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[fc.Ledger]:
    with found(tmp_path) as ledger:
        yield ledger


# ---- parties


def test_a_party_is_registered_with_its_key(ledger: fc.Ledger) -> None:
    outcome = ledger.register(
        "bank",
        "River Bank",
        roles=["lender", "controller"],
        key=key("bank"),
        identifiers={"lei": "5493001KJTIIGC8Y1R12"},
    )
    assert (outcome.status, outcome.height) == ("applied", ledger.height - 1)
    bank = ledger.get(fc.Party, "bank")
    assert (bank.roles, bank.threshold, bank.live) == (("controller", "lender"), 1, (1,))
    assert bank.identifiers == {"lei": "5493001KJTIIGC8Y1R12"}
    assert ledger.get(PartyKey, "bank/1").holder == "River Bank"


def test_a_party_is_registered_once(ledger: fc.Ledger) -> None:
    with pytest.raises(fc.Refused) as refusal:
        ledger.register("shop", "Another shop", roles=["supplier"], key=key("another"))
    assert refusal.value.code == "party.duplicate"
    assert ledger.get(fc.Party, "shop").name == "The shop"


def test_a_party_comes_with_keys_in_one_way_only(ledger: fc.Ledger) -> None:
    with unmoved(ledger, fc.ConfigError):
        ledger.register("bank", "River Bank", roles=["lender"])
    with unmoved(ledger, fc.ConfigError):
        ledger.register("bank", "River Bank", roles=["lender"], key=key("bank"), keys=[fc.Holder(key("b"), "Bo")])


def test_no_private_key_visits_the_registrar(ledger: fc.Ledger, tmp_path: Path) -> None:
    """The bank makes its keys at home; the registrar sees public keys and proofs of possession in a file."""
    holders = [fc.Holder(key("anna"), "Anna", "maker"), fc.Holder(key("bo"), "Bo", "checker")]
    fc.request_enrolment(ledger.name, "bank", holders, threshold=2).save(tmp_path / "bank.json")
    request = fc.EnrolmentRequest.load(tmp_path / "bank.json")
    ledger.register("bank", "River Bank", roles=["lender"], request=request)
    assert ledger.get(fc.Party, "bank").threshold == 2
    assert ledger.get(PartyKey, "bank/2").holder == "Bo"


def test_a_request_is_for_one_party_on_one_ledger(ledger: fc.Ledger, tmp_path: Path) -> None:
    request = fc.request_enrolment(ledger.name, "bank", [fc.Holder(key("anna"), "Anna")])
    with pytest.raises(fc.ConfigError, match="is for bank"):
        ledger.register("bunk", "Other Bank", roles=["lender"], request=request)
    elsewhere = fc.request_enrolment(f"{ORIGIN}#{'0' * 64}", "bank", [fc.Holder(key("anna"), "Anna")])
    with pytest.raises(fc.ConfigError, match="is for bank"):
        ledger.register("bank", "River Bank", roles=["lender"], request=elsewhere)


def test_possession_of_a_key_must_be_shown(ledger: fc.Ledger) -> None:
    """Whoever copies another's public key cannot enrol it."""
    genuine = fc.request_enrolment(ledger.name, "bank", [fc.Holder(key("anna"), "Anna")])
    forged = fc.request_enrolment(ledger.name, "bunk", [fc.Holder(key("anna"), "Anna")])
    stolen = do.RegisterParty("bank", "River Bank", ["lender"], 1, forged.keys)
    with pytest.raises(fc.Refused) as refusal:
        ledger.submit(stolen, by=key("operator"))
    assert refusal.value.code == "key.possession"
    assert ledger.look(fc.Party, "bank") is None
    assert ledger.register("bank", "River Bank", roles=["lender"], request=genuine).status == "applied"


# ---- submitting


@pytest.mark.parametrize("suite", SUITES)
def test_an_instruction_is_applied(tmp_path: Path, suite: HashSuite) -> None:
    with found(tmp_path, hash_suite=suite) as ledger:
        before = ledger.state_root
        outcome = ledger.submit(claim("r-1"), by=key("shop"))
        assert (outcome.status, outcome.refused, outcome.refusals) == ("applied", (), ())
        assert len(outcome.id) == 64
        assert ledger.get(fc.Receivable, "r-1").pending == 125_000
        assert ledger.state_root != before
        assert ledger.hash_suite == suite
        done = (ledger.name, ledger.state_root, ledger.height)
    with reopen(tmp_path) as ledger:
        assert (ledger.name, ledger.state_root, ledger.height) == done
    assert fc.check(tmp_path / "real.finchain").state_root == done[1].hex()


def test_several_hold_together_or_not_at_all(ledger: fc.Ledger) -> None:
    with pytest.raises(fc.Refused) as refusal:
        ledger.submit([claim("r-1"), claim("r-2", 0), claim("r-3")], by=key("shop"))
    assert (refusal.value.code, refusal.value.instruction) == ("receivable.amount", 1)
    assert list(ledger.find(fc.Receivable)) == []
    assert ledger.submit([claim("r-1"), claim("r-3")], by=key("shop")).status == "applied"
    assert [each.id for each in ledger.find(fc.Receivable)] == ["r-1", "r-3"]


def test_a_refusal_says_why_and_is_kept_and_moves_nothing(ledger: fc.Ledger) -> None:
    ledger.submit(claim("r-1"), by=key("shop"))
    height, records = ledger.height, shape(ledger)[2]
    with pytest.raises(fc.Refused) as refusal:
        ledger.submit(do.ConfirmReceivable("r-1", 125_001), by=key("core"))
    error = refusal.value
    assert error.code == "receivable.over_confirm"
    assert error.advice
    assert error.facts
    assert error.rule
    assert error.code in str(error)
    assert ledger.height == height + 1
    assert shape(ledger)[2] == records
    assert fc.check(ledger.path).blocks == ledger.height


def test_a_refused_transaction_answers_the_same_when_it_is_sent_again(ledger: fc.Ledger) -> None:
    sent = signed(ledger, claim("r-1", 0))
    with pytest.raises(fc.Refused):
        ledger.submit(sent)
    height = ledger.height
    with pytest.raises(fc.Refused, match="refused before") as refusal:
        ledger.submit(sent)
    assert (refusal.value.code, ledger.height) == ("receivable.amount", height)


def test_each_of_many_stands_alone(ledger: fc.Ledger) -> None:
    orders = [claim("r-1"), claim("r-2", 0), claim("r-3"), claim("r-1")]
    rows = ledger.submit_each(orders, by=key("shop"))
    assert [type(row) for row in rows] == [fc.Applied, fc.RefusedRow, fc.Applied, fc.RefusedRow]
    assert [row.instruction for row in rows] == orders
    assert [row.index for row in rows] == [0, 1, 2, 3]
    refused = [row for row in rows if isinstance(row, fc.RefusedRow)]
    assert [row.code for row in refused] == ["receivable.amount", "receivable.duplicate"]
    assert all(row.refusal is not None and row.refusal.code == row.code for row in refused)
    assert [each.id for each in ledger.find(fc.Receivable)] == ["r-1", "r-3"]


def test_a_stream_gives_one_outcome_for_each_in_order(ledger: fc.Ledger) -> None:
    def stream() -> Iterator[fc.Transaction | bytes]:
        yield signed(ledger, claim("r-1"), sequence=1)
        yield signed(ledger, claim("r-2", 0), sequence=2).to_bytes()
        yield b"nonsense"
        yield signed(ledger, claim("r-3"), sequence=4)
        yield signed(ledger, claim("r-3"), sequence=3)
        yield signed(ledger, claim("r-1"), sequence=1)

    outcomes = list(ledger.submit_all(stream()))
    assert [outcome.status for outcome in outcomes] == [
        "applied", "refused", "rejected", "rejected", "applied", "already"
    ]  # fmt: skip
    assert [type(outcome.error).__name__ for outcome in outcomes[2:4]] == ["Malformed", "LaneGap"]
    assert outcomes[5].id == outcomes[0].id
    assert (outcomes[5].height, outcomes[5].entry) == (outcomes[0].height, outcomes[0].entry)
    assert [each.id for each in ledger.find(fc.Receivable)] == ["r-1", "r-3"]


def test_a_long_stream_fills_several_blocks(ledger: fc.Ledger) -> None:
    count = 3_000
    stream = (signed(ledger, claim(f"r-{n}"), sequence=n) for n in range(1, count + 1))
    places = [(outcome.height, outcome.entry) for outcome in ledger.submit_all(stream) if outcome.status == "applied"]
    assert len(places) == count
    assert places == sorted(set(places))
    assert len({height for height, _ in places}) >= 2
    assert sum(1 for _ in ledger.find(fc.Receivable)) == count
    assert [each.id for each in ledger.find(fc.Receivable, lambda r: r.id.endswith("999"))] == [
        "r-999",
        "r-1999",
        "r-2999",
    ]
    assert fc.check(ledger.path).transactions == count + 3


def test_nobody_signs(ledger: fc.Ledger) -> None:
    with unmoved(ledger, fc.ConfigError):
        ledger.submit(claim("r-1"))
    with unmoved(ledger, fc.NotFound):
        ledger.submit(claim("r-1"), by=key("stranger"))


def test_no_instruction_is_no_transaction(ledger: fc.Ledger) -> None:
    with unmoved(ledger, fc.errors.Malformed):
        ledger.submit([], by=key("shop"))


# ---- several parties


def test_several_parties_sign_on_machines_of_their_own(ledger: fc.Ledger, tmp_path: Path) -> None:
    """The file travels: the shop's machine and the customer's have a key each, and no ledger."""
    act = do.SignContract("c-1", "shop", "core", "ab" * 32, 500_000, "CNY", ledger.today)
    ledger.prepare(act, by=["shop", "core"]).save(tmp_path / "act.json")
    for party in ("shop", "core"):
        at_home = fc.Transaction.load(tmp_path / "act.json")
        assert at_home.instructions == [act]
        at_home.sign(key(party)).save(tmp_path / "act.json")
    back = fc.Transaction.load(tmp_path / "act.json")
    assert back.signed_by == ("core/1", "shop/1")
    assert ledger.submit(back).status == "applied"


def test_a_signature_is_still_missing(ledger: fc.Ledger) -> None:
    act = do.SignContract("c-1", "shop", "core", "ab" * 32, 500_000, "CNY", ledger.today)
    waiting = ledger.prepare(act, by=["shop", "core"])
    with unmoved(ledger, fc.errors.MissingSignature):
        ledger.submit(waiting)
    waiting.sign(key("shop"))
    with unmoved(ledger, fc.errors.MissingSignature):
        ledger.submit(waiting)
    assert ledger.submit(waiting.sign(key("core"))).status == "applied"


def test_an_act_that_waits_holds_up_nothing_else(ledger: fc.Ledger) -> None:
    act = do.SignContract("c-1", "shop", "core", "ab" * 32, 500_000, "CNY", ledger.today)
    first, second = (ledger.prepare(act, by=["shop", "core"]) for _ in range(2))
    assert first.lane != second.lane
    ledger.submit(claim("r-1"), by=key("shop"))
    assert ledger.submit(first.sign(key("shop")).sign(key("core"))).status == "applied"


def test_a_transaction_is_prepared_for_parties_that_exist(ledger: fc.Ledger) -> None:
    with pytest.raises(fc.NotFound, match="nobody"):
        ledger.prepare(claim("r-1"), by=["shop", "nobody"])
    with pytest.raises(fc.ConfigError, match="key_id"):
        ledger.prepare(claim("r-1"), by=["shop"]).sign(key("core"))


def test_as_many_holders_as_the_threshold_sign(ledger: fc.Ledger) -> None:
    holders = [
        fc.Holder(key("anna"), "Anna", "maker"), fc.Holder(key("bo"), "Bo", "checker"),
        fc.Holder(key("cy"), "Cy", "maker"), fc.Holder(key("robot"), "Night job", "service"),
    ]  # fmt: skip
    ledger.register("mill", "The mill", roles=["supplier"], keys=holders, threshold=2)
    order = do.SubmitReceivable("m-1", "mill", "core", 100, "CNY", ledger.today, "INV m")
    with unmoved(ledger, fc.errors.MissingSignature):
        ledger.submit(order, by=key("anna"))
    with unmoved(ledger, fc.errors.MissingSignature):
        ledger.submit(order, by=[key("anna"), key("cy")])
    with unmoved(ledger, fc.errors.SuperfluousSignature):
        ledger.submit(order, by=[key("anna"), key("bo"), key("cy")])
    with unmoved(ledger, fc.errors.SuperfluousSignature):
        ledger.submit(order, by=[key("anna"), key("robot")])
    assert ledger.submit(order, by=[key("bo"), key("cy")]).status == "applied"


def test_a_successor_signs_from_the_next_block_on(ledger: fc.Ledger) -> None:
    (new,) = fc.request_enrolment(ledger.name, "shop", [fc.Holder(key("x"), "x"), fc.Holder(key("new"), "n")]).keys[1:]
    assert new.possession is not None
    rotate = do.RotateKey("shop/1", "shop/2", "ed25519", new.public_key, str(new.possession))
    ledger.submit(rotate, by=key("shop"))
    with unmoved(ledger, fc.errors.UnknownKey):
        ledger.submit(claim("r-1"), by=key("shop"))
    assert ledger.submit(claim("r-1"), by=key("new")).status == "applied"


# ---- sending again


def test_what_was_applied_answers_already(ledger: fc.Ledger) -> None:
    sent = signed(ledger, claim("r-1"))
    first = ledger.submit(sent)
    before = shape(ledger)
    again = ledger.submit(sent)
    assert (again.status, again.id, again.height, again.entry) == ("already", first.id, first.height, first.entry)
    # Salt, expiry and signatures do not count: the same words signed anew are the same order.
    anew = signed(ledger, claim("r-1"), expires_ms=ledger.clock.now_ms() + 7_200_000)
    assert anew.id != sent.id
    assert ledger.submit(anew).id == first.id
    assert shape(ledger) == before


def test_what_was_applied_answers_already_after_it_expired(tmp_path: Path) -> None:
    """A sender that was away for a week must learn that its order holds, not that it never entered a block."""
    clock = fc.SimulatedClock(START)
    with found(tmp_path, clock=clock) as ledger:
        sent = signed(ledger, claim("r-1"))
        first = ledger.submit(sent)
        clock.advance(days=10)
        again = ledger.submit(sent)
        assert (again.status, again.id) == ("already", first.id)
        with unmoved(ledger, fc.errors.Expired):
            ledger.submit(signed(ledger, claim("r-2"), sequence=2, expires_ms=clock.now_ms() - 1))


def test_a_repetition_in_one_stream_answers_already(ledger: fc.Ledger) -> None:
    sent = signed(ledger, claim("r-1"))
    first, again = ledger.submit_all([sent, sent])
    assert (first.status, again.status, again.id) == ("applied", "already", first.id)


# ---- explaining


def test_explaining_writes_nothing(ledger: fc.Ledger) -> None:
    before = shape(ledger)
    explained = ledger.explain(claim("r-1"), by="shop")
    assert explained.refusal is None
    assert [(was, now.id) for was, now in explained.changes if isinstance(now, fc.Receivable)] == [(None, "r-1")]
    assert "would be applied" in str(explained)
    refused = ledger.explain([claim("r-1"), claim("r-2", 0)], by=key("shop"))
    assert refused.refusal is not None
    assert (refused.refusal.code, refused.refusal.instruction, refused.changes) == ("receivable.amount", 1, ())
    assert "would be refused" in str(refused)
    assert shape(ledger) == before
    assert ledger.look(fc.Receivable, "r-1") is None
    ledger.submit(claim("r-1"), by=key("shop"))
    ((was, now),) = [
        change for change in ledger.explain(do.ConfirmReceivable("r-1", 100_000), by="core").changes
        if isinstance(change[1], fc.Receivable)
    ]  # fmt: skip
    assert isinstance(was, fc.Receivable) and isinstance(now, fc.Receivable)
    assert (was.confirmed, now.confirmed) == (0, 100_000)


# ---- reading


def test_what_is_not_there(ledger: fc.Ledger) -> None:
    assert ledger.look(fc.Receivable, "r-1") is None
    with pytest.raises(fc.NotFound, match="r-1"):
        ledger.get(fc.Receivable, "r-1")
    with pytest.raises(LookupError):
        ledger.history(fc.Receivable, "r-1")


def test_reading_keeps_no_more_than_the_cache_may(ledger: fc.Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finchain.pipe.CACHE_RECORDS", 10)
    for n in range(100):
        assert ledger.look(fc.Receivable, f"r-{n}") is None
    records = ledger._pipe.records
    assert sum(len(held) for kinds in (records._young, records._old) for held in kinds.values()) <= 20


def test_a_history_says_who_did_what_and_when(ledger: fc.Ledger) -> None:
    ledger.submit(claim("r-1"), by=key("shop"))
    confirm = do.ConfirmReceivable("r-1", 100_000)
    outcome = ledger.submit(confirm, by=key("core"))
    first, second = ledger.history(fc.Receivable, "r-1")
    assert (first.instructions, first.by) == ((claim("r-1"),), ("shop",))
    assert (second.instructions, second.by, second.transaction) == ((confirm,), ("core",), outcome.id)
    assert (second.height, second.entry, second.indices) == (outcome.height, outcome.entry, (0,))
    assert second.time_ms == ledger.clock.now_ms()
    assert ledger.history(fc.Receivable, "r-1", limit=1) == [second]


# ---- time


def test_the_time_of_a_block_never_falls(tmp_path: Path) -> None:
    """A clock that was set back moves nothing back: not the blocks, not what `explain` and `today` say."""
    with found(tmp_path) as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
        day = ledger.today
    earlier = fc.SimulatedClock(START - timedelta(days=1))
    with fc.open(tmp_path / "real.finchain", keys=tmp_path / "keys", clock=earlier) as ledger:
        assert ledger.today == day
        outcome = ledger.submit(claim("r-2"), by=key("shop"))
        (step,) = ledger.history(fc.Receivable, "r-2")
        assert (outcome.status, step.time_ms) == ("applied", fc.SimulatedClock(START).now_ms())


class WallClock:
    """A real clock as far as the ledger knows."""

    kind: Literal["real", "simulated"] = "real"

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms


def test_a_long_silence_needs_the_operators_word(tmp_path: Path) -> None:
    clock = WallClock(1_774_000_000_000)
    found(tmp_path, clock=clock).close()
    folder, keys, silence = tmp_path / "real.finchain", tmp_path / "keys", 31 * 86_400_000
    fc.open(folder, keys=keys, clock=WallClock(clock.ms + silence)).close()
    with pytest.raises(fc.ConfigError, match="31 days"):
        fc.open(folder, keys=keys, clock=WallClock(clock.ms + silence + 1))
    fc.open(folder, keys=keys, clock=WallClock(clock.ms + silence + 1), after_silence=True).close()
    with pytest.raises(fc.ConfigError, match="simulated"):
        fc.open(folder, keys=keys, clock=fc.SimulatedClock(START))


# ---- proving


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_proven_offline(tmp_path: Path, suite: HashSuite) -> None:
    with found(tmp_path, hash_suite=suite) as ledger:
        outcome = ledger.submit(claim("r-1"), by=key("shop"))
        with pytest.raises(fc.Refused):
            ledger.submit([claim("r-2"), claim("r-3", 0)], by=key("shop"), lane="other")
        kept = ledger.height - 1
        trust, record = ledger.verifier_key, ledger.get(fc.Receivable, "r-1")
        ledger.prove(fc.Receivable, "r-1").save(tmp_path / "r-1.tlog-proof")
        absent = ledger.prove_absent(fc.Receivable, "r-2")
        plain = ledger.prove_instruction(outcome)
        judged = ledger.prove_instruction(ledger.history(fc.Receivable, "r-1")[0], signers=True)
        held_back, refused = (
            ledger.prove_instruction(fc.Outcome(status="refused", height=kept, entry=0), index) for index in (0, 1)
        )
    shown = fc.verify(tmp_path / "r-1.tlog-proof", trust=trust, unwitnessed=True)
    assert (shown.what, shown.kind, shown.id, shown.record) == ("record", "receivable", "r-1", record)
    assert (shown.height, shown.size, shown.witnessed_by) == (kept, kept + 1, ())
    shown = fc.verify(absent, trust=trust, unwitnessed=True)
    assert (shown.what, shown.kind, shown.id) == ("absence", "receivable", "r-2")
    shown = fc.verify(bytes(plain), trust=trust, unwitnessed=True)
    assert (shown.instruction, shown.transaction, shown.by) == (claim("r-1"), outcome.id, ("shop",))
    assert (shown.outcome, shown.signers) == ("applied", None)
    assert fc.verify(judged, trust=trust, unwitnessed=True).signers == ("shop/1",)
    assert fc.verify(refused, trust=trust, unwitnessed=True).refused == "receivable.amount"
    assert fc.verify(held_back, trust=trust, unwitnessed=True).outcome == "held_back"


def test_what_cannot_be_proven(ledger: fc.Ledger) -> None:
    outcome = ledger.submit(claim("r-1"), by=key("shop"))
    with pytest.raises(fc.NotFound):
        ledger.prove(fc.Receivable, "r-2")
    with pytest.raises(fc.NotFound):
        ledger.prove_absent(fc.Receivable, "r-1")
    for nowhere, index in (
        (outcome, 1), (outcome, -1), (outcome, 2**32), (fc.Outcome(status="rejected"), 0),
        (fc.Outcome(status="applied", height=10**6, entry=0), 0), (fc.Outcome(status="applied", height=1, entry=9), 0),
    ):  # fmt: skip
        for signers in (False, True):
            with pytest.raises(fc.NotFound):
                ledger.prove_instruction(nowhere, index, signers=signers)


def test_a_receipt_needs_the_right_log_and_a_word_about_witnesses(ledger: fc.Ledger) -> None:
    receipt = ledger.prove(fc.Party, "shop")
    with pytest.raises(fc.TamperError):
        fc.verify(receipt, trust=ledger.verifier_key)
    stranger = ledger.verifier_key[:-8] + "AAAAAAA="
    with pytest.raises(fc.FinchainError):
        fc.verify(receipt, trust=stranger, unwitnessed=True)
    with pytest.raises(fc.NotFound):
        fc.verify(ledger.path / "no such receipt", trust=ledger.verifier_key, unwitnessed=True)


# ---- handles


def test_closing_twice_and_using_it_afterwards(tmp_path: Path) -> None:
    ledger = found(tmp_path)
    height, state = ledger.height, ledger.state_root
    ledger.close()
    ledger.close()
    for use in (
        lambda: ledger.submit(claim("r-1"), by=key("shop")),
        lambda: ledger.submit(signed(ledger, claim("r-1"))),
        lambda: list(ledger.submit_all([signed(ledger, claim("r-1"))])),
        lambda: list(ledger.find(fc.Party)),
        lambda: ledger.history(fc.Party, "shop"),
        lambda: ledger.prove(fc.Party, "shop"),
        lambda: ledger.checkpoint(),
    ):
        with pytest.raises(fc.ConfigError, match="closed"):
            use()
    assert (ledger.height, ledger.state_root) == (height, state)
    with reopen(tmp_path) as ledger:
        assert (ledger.height, ledger.state_root) == (height, state)


FORKING = """
import os, sys
import finchain as fc
from processes import only_fork_errors
from real_ledger import claim, found, key
from pathlib import Path
from typing import Literal, get_args

ledger = found(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    only_fork_errors(
        lambda: ledger.submit(claim("r-1"), by=key("shop")), lambda: ledger.look(fc.Party, "shop"),
        lambda: list(ledger.find(fc.Party)), lambda: ledger.prove(fc.Party, "shop"), lambda: ledger.checkpoint(),
        lambda: list(ledger.submit_all([b"x"])), lambda: ledger.explain(claim("r-1"), by="shop"),
    )
    ledger.close()
    del ledger
    sys.exit(0)  # the interpreter ends as always, and lets go of every object
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
try:
    fc.open(ledger.path, keys=ledger.path.parent / "keys")
except fc.LockedError:
    pass
else:
    raise SystemExit("the child gave the lock away")
assert ledger.submit(claim("r-1"), by=key("shop")).status == "applied"
ledger.close()
print(ledger.height)
"""


def test_a_forked_child_cannot_use_the_ledger_and_does_no_harm(tmp_path: Path) -> None:
    ran = run_python(FORKING, tmp_path)
    assert ran.returncode == 0, ran.stderr
    with reopen(tmp_path) as ledger:
        assert ledger.height == int(ran.stdout)
        assert ledger.recovery["index_rebuilt_because"] is None


def test_handles_and_keys_are_not_pickled(ledger: fc.Ledger) -> None:
    with pytest.raises(TypeError, match="pass its path"):
        pickle.dumps(ledger)
    with pytest.raises(TypeError, match="key file"):
        pickle.dumps(key("shop"))


def test_threads_share_blocks(ledger: fc.Ledger) -> None:
    """Sixteen senders at once: each has its own answer, and they wait for fewer syncs than there are orders."""
    senders, each = 16, 12
    prepared = [
        [signed(ledger, claim(f"r-{s}-{n}"), sequence=n, lane=f"lane-{s}") for n in range(1, each + 1)]
        for s in range(senders)
    ]
    answers: list[list[fc.Outcome]] = [[] for _ in range(senders)]
    begun, height = threading.Barrier(senders), ledger.height

    def send(sender: int) -> None:
        begun.wait()
        for transaction in prepared[sender]:
            answers[sender].append(ledger.submit(transaction))

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[outcome.id for outcome in own] for own in answers] == [[t.id for t in own] for own in prepared]
    assert len({(o.height, o.entry) for own in answers for o in own}) == senders * each
    assert ledger.height - height < senders * each
    assert fc.check(ledger.path).state_root == ledger.state_root.hex()


def test_threads_sign_and_submit_in_one_lane(ledger: fc.Ledger) -> None:
    failures: list[BaseException] = []

    def send(sender: int) -> None:
        try:
            for n in range(10):
                ledger.submit(claim(f"r-{sender}-{n}"), by=key("shop"))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(1 for _ in ledger.find(fc.Receivable)) == 40


def test_a_public_key_is_one_record(ledger: fc.Ledger) -> None:
    """A key that is enrolled cannot be enrolled again, under whatever name."""
    with pytest.raises(fc.Refused) as refusal:
        ledger.register("twin", "Twin", roles=["supplier"], key=key("shop"))
    assert refusal.value.code == "key.duplicate"


def run_python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a script in a process of its own, with the modules of this folder."""
    here = Path(__file__).parent
    path = [str(here), *sys.path]
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(path)},
    )  # fmt: skip
