"""The pipe: a stream keeps its order while others submit, and a block that cannot be sealed ends the handle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

import finchain as fc
from finchain import instructions as do
from finchain import pipe
from finchain.domain import rulebook
from finchain.domain.fingerprint import Fingerprint
from finchain.domain.rule import Book, Instruction
from finchain.keys import Holder, enrolment_key

START = date(2026, 3, 2)
OPERATOR = fc.Key.from_seed(b"operator".ljust(32, b"."))
SHOP = fc.Key.from_seed(b"shop".ljust(32, b"."))
BUYER = fc.Key.from_seed(b"buyer".ljust(32, b"."))


def opened(tmp_path: Path) -> fc.Ledger:
    return fc.open(tmp_path / "ledger", keys=tmp_path / "keys", operator=OPERATOR)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[fc.Ledger]:
    clock = fc.SimulatedClock(START)
    made = fc.create(
        tmp_path / "ledger", name="test.example/pipe", keys=tmp_path / "keys", operator=OPERATOR, clock=clock
    )
    made.register("shop", "Shop", roles=["supplier"], key=SHOP)
    made.register("buyer", "Buyer", roles=["debtor"], key=BUYER)
    yield made
    # One of the stories breaks the ledger, and closes it itself.
    with suppress(fc.FinchainError):
        made.close()


def test_what_is_written_over_was_compared_with_the_state_before() -> None:
    asked = []

    class Core:
        def record(self, kind: str, id: str) -> None:
            asked.append((kind, id))

    records = pipe.Records(Core())  # type: ignore[arg-type]  # all that it asks of one
    number, found = Fingerprint(id="f-1"), Fingerprint(id="f-2")
    assert records.find(Fingerprint, "f-2") is None
    records.commit({(Fingerprint, "f-1"): number, (Fingerprint, "f-2"): found})
    assert asked == [("fingerprint", "f-2"), ("fingerprint", "f-1")]
    assert (records.find(Fingerprint, "f-1"), records.find(Fingerprint, "f-2")) == (number, found)
    assert len(asked) == 2


def claim(id: str) -> do.SubmitReceivable:
    return do.SubmitReceivable(
        id,
        creditor="shop",
        debtor="buyer",
        amount_minor=100,
        currency="CNY",
        due=date(2026, 8, 31),
        invoice=f"INV {id}",
    )


def signed(ledger: fc.Ledger, sequence: int, lane: str = "stream") -> bytes:
    return sent(ledger, "shop", sequence, claim(f"{lane}-{sequence}"), lane)


def sent(ledger: fc.Ledger, by: str, sequence: int, order: Instruction, lane: str) -> bytes:
    transaction = fc.Transaction.build(
        [order], by=[by], ledger=ledger.name, lane=lane, sequence=sequence,
        expires_ms=ledger.clock.now_ms() + 3_600_000,
    )  # fmt: skip
    return transaction.sign(SHOP if by == "shop" else BUYER, f"{by}/1").to_bytes()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 7])
def test_a_stream_is_answered_in_order_however_its_chunks_fall(
    ledger: fc.Ledger, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "CHUNK_TRANSACTIONS", 2)
    before = ledger.height
    outcomes = list(ledger.submit_all(signed(ledger, number) for number in range(1, count + 1)))
    assert [outcome.status for outcome in outcomes] == ["applied"] * count
    places = [(outcome.height - before, outcome.entry) for outcome in outcomes]
    assert places == [(number // 2, number % 2) for number in range(count)]


def test_while_a_stream_is_on_its_way_its_reader_and_its_writer_use_the_ledger(
    ledger: fc.Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "CHUNK_TRANSACTIONS", 1)

    def written() -> Iterator[bytes]:
        for number in range(1, 6):
            ledger.submit(claim(f"writer-{number}"), by=SHOP)
            yield signed(ledger, number)

    for number, outcome in enumerate(ledger.submit_all(written()), 1):
        assert outcome.status == "applied"
        assert ledger.get(fc.Receivable, f"stream-{number}").status == "submitted"
        ledger.submit(claim(f"reader-{number}"), by=SHOP)
    kinds = sorted(record.id.partition("-")[0] for record in ledger.find(fc.Receivable))
    assert kinds == ["reader"] * 5 + ["stream"] * 5 + ["writer"] * 5


def test_a_cache_that_forgets_after_each_block_reads_what_the_last_few_wrote(
    ledger: fc.Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each claim is confirmed in parts, one in every fourth block, when nothing of the one before is kept."""
    monkeypatch.setattr(pipe, "CHUNK_TRANSACTIONS", 4)
    monkeypatch.setattr(pipe, "CACHE_RECORDS", 0)
    claims = [signed(ledger, number) for number in range(1, 17)]
    parts = [
        sent(ledger, "buyer", number + 1, do.ConfirmReceivable(f"stream-{number % 16 + 1}", 4), "parts")
        for number in range(400)
    ]
    assert [outcome.status for outcome in ledger.submit_all([*claims, *parts])] == ["applied"] * 416
    assert [ledger.get(fc.Receivable, f"stream-{number}").confirmed for number in range(1, 17)] == [100] * 16


def test_a_stream_that_nobody_reads_to_its_end_leaves_the_ledger_usable(
    ledger: fc.Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "CHUNK_TRANSACTIONS", 1)
    stream = ledger.submit_all(signed(ledger, number) for number in range(1, 6))
    assert next(stream).status == "applied"
    del stream
    again = list(ledger.submit_all(signed(ledger, number) for number in range(1, 6)))
    assert again[0].status == "already" and again[-1].status == "applied"


def test_a_record_outside_the_format_ends_the_handle_and_nothing_of_it_stays(
    ledger: fc.Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.submit(claim("sound"), by=SHOP)
    rules: dict[Any, Any] = rulebook.RULEBOOK_1.rules
    rule = rules[do.SubmitReceivable]

    def careless(instruction: do.SubmitReceivable, book: Book) -> None:
        rule(instruction, book)
        book.put(msgspec.structs.replace(book.get(fc.Receivable, instruction.id), claimed=2**53))

    monkeypatch.setitem(rules, do.SubmitReceivable, careless)
    with pytest.raises(fc.FinchainError, match="outside the format"):
        ledger.submit(claim("careless"), by=SHOP)
    monkeypatch.undo()
    # Without this end, the rules would go on from a record that no block holds.
    with pytest.raises(fc.FinchainError, match="outside the format"):
        ledger.submit(claim("later"), by=SHOP)
    with pytest.raises(fc.FinchainError, match="outside the format"):
        ledger.close()
    with opened(tmp_path) as again:
        assert sorted(record.id for record in again.find(fc.Receivable)) == ["sound"]
        again.submit(claim("careless"), by=SHOP)


@pytest.mark.parametrize("behind", [0, 1])
def test_what_follows_a_change_of_keys_is_judged_by_the_new_keys(ledger: fc.Ledger, behind: int) -> None:
    """In one stream: a key gives way to its successor, that one signs, and something of another lane may follow."""
    successor = fc.Key.from_seed(b"successor".ljust(32, b"."))
    new = enrolment_key(ledger.name, "shop/2", Holder(successor, "Shop"))
    assert isinstance(new.possession, str)

    def ordered(order: Instruction, sequence: int, key: fc.Key, key_id: str) -> fc.Transaction:
        transaction = fc.Transaction.build(
            [order], by=[key_id.partition("/")[0]], ledger=ledger.name, lane="stream", sequence=sequence,
            expires_ms=ledger.clock.now_ms() + 3_600_000,
        )  # fmt: skip
        return transaction.sign(key, key_id)

    stream = [
        ordered(do.RotateKey("shop/1", "shop/2", "ed25519", new.public_key, new.possession), 1, SHOP, "shop/1"),
        ordered(claim("claim-1"), 2, successor, "shop/2"),
        ordered(claim("claim-2"), 3, SHOP, "shop/1"),
        ordered(do.RejectReceivable("claim-1", 10, "short delivery"), 1, BUYER, "buyer/1"),
    ]
    outcomes = list(ledger.submit_all(stream[: 3 + behind]))
    assert [each.status for each in outcomes] == ["applied", "applied", "rejected", *["applied"] * behind]
    assert "shop/1 has ended" in str(outcomes[2].error)
