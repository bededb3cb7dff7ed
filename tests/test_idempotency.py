"""Who names no lane never conflicts, however many send; and an idempotency key puts an act into the ledger once."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

import finchain as fc
from finchain import cli, errors
from finchain import instructions as do
from finchain.connection import LANES_BY_CHANCE
from finchain.transaction import ONCE, once_lane
from processes import ended, python, told
from real_ledger import DUE, claim, found, key, reopen, signed, unmoved
from test_lanes import LANES_MAX

SENDING = """
import sys, threading
from pathlib import Path
import finchain as fc
from real_ledger import claim, key

path, name, threads, each = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
faults = []
with fc.connect(path) as ledger:
    def send(thread):
        try:
            for n in range(each):
                ledger.submit(claim(f"{name}-{thread}-{n}"), by=key("shop"))
        except BaseException as error:
            faults.append(error)
    running = [threading.Thread(target=send, args=(thread,)) for thread in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
print(faults or "sent", flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found(tmp_path).close()
    return tmp_path


def folder(home: Path) -> Path:
    return home / "real.finchain"


# ---- lanes that nobody names


def test_any_number_of_processes_and_threads_send_without_a_conflict(home: Path) -> None:
    """Two processes of four threads, one thread of the writer and two connections in this process: one party's key."""
    with reopen(home) as ledger, ledger.serve(), ExitStack() as stack:
        others = [stack.enter_context(python(SENDING, folder(home), name, 4, 25)) for name in ("one", "two")]
        near = [stack.enter_context(fc.connect(folder(home), keys=home / "keys")) for _ in range(2)]
        for n in range(25):
            ledger.submit(claim(f"writer-{n}"), by=key("shop"))
            for number, connection in enumerate(near):
                connection.submit(claim(f"near-{number}-{n}"), by=key("shop"))
        assert [told(process) for process in others] == ["sent", "sent"]
        for process in others:
            ended(process)
        ids = Counter(each.id for each in ledger.find(fc.Receivable))
        assert len(ids) == 2 * 4 * 25 + 25 + 2 * 25 and set(ids.values()) == {1}
        applied = [each.instruction for each in ledger.log(order="receivable.submit", status="applied", texts=False)]
        assert len(applied) == len(ids), "each was applied once"


def test_the_same_order_of_two_who_name_no_lane_is_two_orders(home: Path) -> None:
    """Somebody else's order with the same content in the same place of a lane does not pass for this one."""
    with reopen(home) as ledger, ledger.serve():
        ledger.submit(claim("r-1"), by=key("shop"))
        with ExitStack() as stack:
            # More connections than there are lanes to choose from: some are in one lane with another.
            several = [stack.enter_context(fc.connect(folder(home), keys=home / "keys")) for _ in range(24)]
            start = threading.Barrier(len(several))

            def confirm(connection: fc.Connection) -> None:
                start.wait()
                for _ in range(4):
                    connection.submit(do.ConfirmReceivable("r-1", 100), by=key("core"))

            threads = [threading.Thread(target=confirm, args=(each,)) for each in several]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert ledger.get(fc.Receivable, "r-1").confirmed == 24 * 4 * 100


def test_a_lane_that_somebody_else_took_is_left_for_another(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both choose lane 0 by chance; whoever finds a number taken goes elsewhere, and neither hears of it."""
    with reopen(home) as ledger, ledger.serve():
        one, two = (fc.connect(folder(home), keys=home / "keys") for _ in range(2))
        with one, two:
            chances = iter([0, 0, 7])
            monkeypatch.setattr("finchain.connection.secrets.randbelow", lambda below: next(chances))
            for n in range(3):
                for number, connection in enumerate((one, two)):
                    connection.submit(claim(f"{number}-{n}"), by=key("shop"))
        lanes = [each.lane for each in ledger.log(party="shop", texts=False)]
        assert lanes == ["any/0", "any/0", "any/7", "any/0", "any/7", "any/0"]


def test_who_names_a_lane_that_others_use_is_told_what_helps(home: Path) -> None:
    with reopen(home) as ledger, ledger.serve(), fc.connect(folder(home), keys=home / "keys") as other:
        asked = other._remote.lane_sequence

        def overtaken(lane_id: str) -> int:
            number = asked(lane_id)
            ledger.submit(claim(f"writer-{number}"), by=key("shop"), lane="mine")
            return number

        other._remote.lane_sequence = overtaken  # type: ignore[method-assign]
        with pytest.raises(errors.LaneConflict) as caught:
            other.submit(claim("r-1"), by=key("shop"), lane="mine")
        assert caught.value.advice == "somebody else sends in the lane mine: submit again, or name no lane"
        other._remote.lane_sequence = asked  # type: ignore[method-assign]
        assert other.submit(claim("r-1"), by=key("shop"), lane="mine").status == "applied"


def test_lanes_by_chance_are_few_beside_those_that_a_party_may_have() -> None:
    assert LANES_BY_CHANCE * 10 < LANES_MAX


# ---- keys


def test_an_act_under_a_key_is_in_the_ledger_once_whoever_sends_it_after_whatever(home: Path) -> None:
    with reopen(home) as ledger:
        first = ledger.submit(claim("r-1"), by=key("shop"), idempotency_key="order-4711")
        again = ledger.submit(claim("r-1"), by=key("shop"), idempotency_key="order-4711")
        assert (first.status, again.status) == ("applied", "already")
        with ledger.serve(), fc.connect(folder(home), keys=home / "keys") as other:
            third = other.submit(claim("r-1"), by=key("shop"), idempotency_key="order-4711")
        height = ledger.height
    (folder(home) / "index" / "mark").unlink()
    with reopen(home) as ledger:
        fourth = ledger.submit(claim("r-1"), by=key("shop"), idempotency_key="order-4711")
        assert ledger.height == height
    assert {(each.id, each.height, each.entry) for each in (first, again, third, fourth)} == {
        (first.id, first.height, first.entry)
    }
    assert fc.check(folder(home)).index == "agrees"


def test_one_key_is_one_order_also_where_several_send_it_at_once(home: Path) -> None:
    with reopen(home) as ledger, ledger.serve(), ExitStack() as stack:
        several = [stack.enter_context(fc.connect(folder(home), keys=home / "keys")) for _ in range(8)]
        start, outcomes = threading.Barrier(len(several)), list[fc.Outcome]()

        def send(connection: fc.Connection) -> None:
            start.wait()
            for n in range(20):
                outcomes.append(connection.submit(claim(f"r-{n}"), by=key("shop"), idempotency_key=f"n° {n}"))

        threads = [threading.Thread(target=send, args=(each,)) for each in several]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(each.status for each in outcomes) == {"applied": 20, "already": 140}
        assert len(list(ledger.find(fc.Receivable))) == 20
        assert len(list(ledger.log(order="receivable.submit", texts=False))) == 20


def test_a_key_that_was_used_for_another_order_is_said_with_its_place(home: Path) -> None:
    with reopen(home) as ledger:
        outcome = ledger.submit(claim("r-1"), by=key("shop"), idempotency_key="k")
        for other in (claim("r-2"), [claim("r-1"), claim("r-2")]):
            with unmoved(ledger, fc.IdempotencyConflict) as caught:
                ledger.submit(other, by=key("shop"), idempotency_key="k")
            assert f"block {outcome.height}, entry 0" in caught.value.message and outcome.id in caught.value.message
        with unmoved(ledger, fc.IdempotencyConflict):
            ledger.submit_each([claim("r-1")], by=key("shop"), idempotency_key="k")
        # The key is the sender's own: others have theirs.
        ledger.submit(do.ConfirmReceivable("r-1", 1), by=key("core"), idempotency_key="k")


def test_a_refusal_is_the_answer_of_its_key_for_good(home: Path) -> None:
    """It was kept as evidence. Whoever tries again because things have changed gives another key."""
    with reopen(home) as ledger:
        with pytest.raises(fc.Refused) as first:
            ledger.submit(do.ConfirmReceivable("r-1", 1), by=key("core"), idempotency_key="k")
        ledger.submit(claim("r-1"), by=key("shop"))
        with pytest.raises(fc.Refused) as second:
            ledger.submit(do.ConfirmReceivable("r-1", 1), by=key("core"), idempotency_key="k")
        assert first.value.code == second.value.code == "receivable.not_found"
        assert ledger.submit(do.ConfirmReceivable("r-1", 1), by=key("core"), idempotency_key="k2").status == "applied"


def test_several_rows_under_a_key_are_answered_again_row_by_row(home: Path) -> None:
    with reopen(home) as ledger:
        orders = [claim("r-1"), do.CancelReceivable("r-9"), claim("r-2")]
        first = ledger.submit_each(orders, by=key("shop"), idempotency_key="night")
        again = ledger.submit_each(orders, by=key("shop"), idempotency_key="night")
        assert [type(row) for row in first] == [type(row) for row in again] == [fc.Applied, fc.RefusedRow, fc.Applied]
        assert [(row.height, row.index) for row in first] == [(row.height, row.index) for row in again]


def test_a_key_holds_across_a_change_of_rules(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of the rulebook is part of what is signed; the order is the same all the same."""
    with reopen(home) as ledger:
        other_rules = signed(ledger, claim("r-1"), lane=once_lane("k"), rulebook=1)
        ledger.submit(other_rules)
        monkeypatch.setattr(
            "finchain.submitting.content_of",
            lambda header, instructions, names: "" if "rulebook" in names else str(instructions),
        )
        monkeypatch.setattr(fc.Transaction, "content", lambda self, names: str(self._instructions))
        conflict = errors.LaneConflict("as where the rulebook's number is another")
        monkeypatch.setattr(ledger, "_send", lambda texts: [fc.Outcome(status="rejected", error=conflict)])
        assert ledger.submit(claim("r-1"), by=key("shop"), idempotency_key="k").status == "already"
        with pytest.raises(fc.IdempotencyConflict):
            ledger.submit(claim("r-2"), by=key("shop"), idempotency_key="k")


@pytest.mark.parametrize("text", ["", "x" * 513])
def test_a_key_is_neither_empty_nor_endless(text: str, home: Path) -> None:
    with reopen(home) as ledger:
        with unmoved(ledger, fc.ConfigError):
            ledger.submit(claim("r-1"), by=key("shop"), idempotency_key=text)
        with unmoved(ledger, fc.ConfigError):
            ledger.prepare(claim("r-1"), by=["shop"], idempotency_key=text)


@pytest.mark.parametrize("text", ["a", "x" * 59, "x" * 60, "x" * 511, "Bestellung № 7", "sha256:a", "a b", "\ud800"])
def test_every_other_text_is_a_key(text: str) -> None:
    lane = once_lane(text)
    assert lane.startswith(ONCE) and len(lane) <= 64
    assert len({once_lane(each) for each in (text, text + "'", text.upper() + "!")}) == 3


def test_lanes_of_keys_are_those_of_the_format_page_to_the_byte() -> None:
    assert once_lane("order-4711") == "once/order-4711"
    assert once_lane("Bestellung № 7") == "once/sha256:31c14753087e7178e6837d9db277ecb135998e1e95a787611b0d"


def test_a_lane_and_a_key_are_two_names_for_one_thing(home: Path) -> None:
    with reopen(home) as ledger:
        with unmoved(ledger, fc.ConfigError):
            ledger.submit(claim("r-1"), by=key("shop"), lane="mine", idempotency_key="k")
        with unmoved(ledger, fc.ConfigError):
            ledger.submit(signed(ledger, claim("r-1")), idempotency_key="k")
        with unmoved(ledger, errors.Malformed) as caught:
            ledger.submit(signed(ledger, claim("r-1"), lane="once/k", sequence=2))
        assert "sequence 1 alone" in caught.value.advice


def test_what_is_prepared_uses_up_no_lanes(home: Path) -> None:
    """An act that waits for a co-signer has a lane of its own, and a party may have any number of those."""
    with reopen(home) as ledger:
        lanes = (signed(ledger, claim(f"r-{n}"), lane=f"l-{n}") for n in range(LANES_MAX))
        assert all(outcome.status == "applied" for outcome in ledger.submit_all(lanes))
        for n in range(3):
            prepared = ledger.prepare(claim(f"p-{n}"), by=["shop"])
            assert prepared.lane.startswith(ONCE)
            assert ledger.submit(prepared.sign(key("shop"))).status == "applied"
        keyed = ledger.prepare(claim("p-9"), by=["shop"], idempotency_key="p-9").sign(key("shop"))
        assert ledger.submit(claim("p-9"), by=key("shop"), idempotency_key="p-9").status == "applied"
        assert ledger.submit(keyed).status == "already"
        with pytest.raises(errors.TooManyLanes):
            ledger.submit(claim("q"), by=key("shop"), lane="one-more")
    assert fc.check(folder(home)).blocks


def test_the_command_takes_a_key(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pem = tmp_path / "shop.pem"
    key("shop").save(pem)
    order = {"type": "receivable.submit", "id": "r-1", "creditor": "shop", "debtor": "core", "amount_minor": 1}
    order |= {"currency": "CNY", "due": str(DUE), "invoice": "I 1"}
    (tmp_path / "o.json").write_bytes(msgspec.json.encode(order))
    words = ["submit", str(folder(home)), str(tmp_path / "o.json"), "--key", str(pem), "--keys", str(home / "keys")]
    for status in ("applied", "already"):
        assert cli.run([*words, "--idempotency-key", "o-1"]) == 0
        assert capsys.readouterr().out.startswith(f"{status}: ")
    assert cli.run([*words, "--idempotency-key", "o-1", "--each"]) == 8
    assert "was used for another order" in capsys.readouterr().err
