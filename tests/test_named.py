"""What instructions name is read before the rules ask: at once, each record once, and without changing any answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

import finchain as fc
from book import new_ledger
from default_deal import default
from finchain import instructions as do
from finchain import pipe
from finchain.demo_deal import PARTIES, START
from finchain.domain.rule import RECORDS, RULES, Book, Instruction, Record
from finchain.domain.rulebook import RULEBOOK_1
from finchain.errors import StorageError
from finchain.named import IDS, MEMBERS, named
from played_deal import case_a, case_b
from real_ledger import key
from stories import ISSUE, MANDATE, MATURITY, but, pledge

CLAIM = do.SubmitReceivable(
    "R-1", "shop", "buyer", 100, "CNY", date(2026, 8, 31), "INV 1", contract="order", calendar="CN"
)


def names(*instructions: Instruction) -> dict[str, set[str]]:
    return {kind.kind: ids for kind, ids in named(instructions).items()}


def test_a_claim_names_itself_its_parties_and_its_papers() -> None:
    assert names(CLAIM) == {
        "receivable": {"R-1"}, "party": {"shop", "buyer"}, "contract": {"order"}, "calendar": {"CN"},
        "prospective": set(),
    }  # fmt: skip


def test_lists_and_what_stands_in_them_are_named() -> None:
    shares = [do.ClaimShare("R-1", 60), do.ClaimShare("R-2", 40)]
    named_by_issue = names(but(ISSUE, claims=shares), but(ISSUE, id="D", guarantees=["G", "H"]))
    assert named_by_issue["receivable"] == {"R", "R-1", "R-2"}
    assert named_by_issue["guarantee"] == {"G", "H"}
    assert named_by_issue["certificate"] == {"C", "D"}
    assert named_by_issue["party"] == {"core", "shop", "clearer"}


def test_an_id_is_of_the_kind_that_the_order_is_about() -> None:
    assert names(pledge("C 1", 5), do.AcceptCertificate("C")) == {"lot": {"C 1"}, "loan": {"L"}, "certificate": {"C"}}
    assert names(MANDATE)["account"] == {"acc"}
    assert names(do.SetPolicy(do.DEFAULT_POLICY)) == {}


def test_the_tables_name_what_the_rulebook_has() -> None:
    members = {member for cls in RULES for member in cls.__struct_fields__}
    tags = {str(cls.__struct_config__.tag) for cls in RULES}
    assert {member for named_by in MEMBERS.values() for member in named_by} <= members
    assert {tag for of_kind in IDS.values() for tag in of_kind} <= tags
    assert {*MEMBERS, *IDS} <= set(RECORDS)
    listed = [tag for of_kind in IDS.values() for tag in of_kind]
    assert len(listed) == len(set(listed))


class Foreseen:
    """Counts the records that rules read for the first time, by whether the instruction names them.

    Attributes:
        reads: How many were named, under `True`, and how many were not.
        own: Tags of instructions with the kinds of which they read their own `id` and do not name it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads: Counter[bool] = Counter()
        self.own: set[tuple[str, str]] = set()
        self._seen: set[tuple[type[Record], str]] = set()
        self._orders: list[Instruction] = []
        find, plain = Book.find, dict(RULEBOOK_1.rules)

        def noted(book: Book, kind: type[Any], id: str) -> Any:
            if self._orders and (kind, id) not in self._seen:
                self._note(kind, id)
            return find(book, kind, id)

        def watched(order: Instruction, book: Book) -> None:
            self._orders.append(order)
            try:
                plain[type(order)](order, book)
            finally:
                self._orders.pop()

        monkeypatch.setattr(Book, "find", noted)
        for cls in plain:
            monkeypatch.setitem(RULEBOOK_1.rules, cls, watched)

    def _note(self, kind: type[Record], id: str) -> None:
        order = self._orders[-1]
        foreseen = id in named([order]).get(kind, ())
        self.reads[foreseen] += 1
        self._seen.add((kind, id))
        if id == getattr(order, "id", None) and not foreseen:
            self.own.add((str(order.__struct_config__.tag), kind.kind))


def test_most_of_what_the_rules_read_first_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over whole deals; the rest are journals, fingerprints, papers and what is found through other records."""
    foreseen = Foreseen(monkeypatch)
    for steps in (case_a(), case_b(), default()):
        ledger = new_ledger(today=START)
        for party in PARTIES:
            ledger.register(party.id, *party.roles)
        foreseen.reads.clear()
        foreseen._seen.clear()
        for step in steps:
            ledger.move_to(step.day)
            with suppress(fc.Refused):
                ledger.apply(*step.instructions, by=step.by)
        assert foreseen.reads[True] >= foreseen.reads.total() * 2 // 5, foreseen.reads
    assert not foreseen.own


# ---- through the pipe


class Core:
    """A core that holds some records, and notes what it is asked."""

    def __init__(self, *records: Record) -> None:
        self._held = {(record.kind, record.id): msgspec.json.encode(record, order="sorted") for record in records}
        self.asked: list[list[tuple[str, str]]] = []
        self.alone: list[tuple[str, str]] = []
        self.waited: list[int | None] = []
        self.height = 1
        self.fails = False

    def records(self, names: list[tuple[str, str]]) -> list[bytes | None]:
        self.asked.append(sorted(names))
        if self.fails:
            raise StorageError("record receivable R-1 in the index is not the one in the state")
        return [self._held.get(name) for name in names]

    def record(self, kind: str, id: str) -> bytes | None:
        self.alone.append((kind, id))
        return self._held.get((kind, id))

    def wait_indexed(self, blocks: int | None = None) -> None:
        self.waited.append(blocks)


SHOP, BUYER = (fc.Party(id=id, name=id, roles=(), threshold=1, live=(1,), keys=1) for id in ("shop", "buyer"))


def claims(count: int) -> list[do.SubmitReceivable]:
    return [do.SubmitReceivable(f"R-{n}", "shop", "buyer", 100, "CNY", MATURITY, f"INV {n}") for n in range(count)]


def records_of(core: Core) -> pipe.Records:
    return pipe.Records(core)  # type: ignore[arg-type]  # all that it asks of one


def test_what_is_named_is_read_at_once_and_each_record_once() -> None:
    core = Core(SHOP)
    records = records_of(core)
    records.read_ahead(claims(2))
    assert core.asked == [[("party", "buyer"), ("party", "shop"), ("receivable", "R-0"), ("receivable", "R-1")]]
    assert [records.find(fc.Party, id) for id in ("shop", "buyer")] == [SHOP, None]
    assert records.find(fc.Receivable, "R-1") is None
    records.read_ahead(claims(3))
    assert core.asked[1:] == [[("receivable", "R-2")]]
    records.read_ahead(claims(3))
    assert len(core.asked) == 2 and core.alone == []


def test_what_was_written_is_not_read_again_in_either_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that is being sealed is not in the index yet: what it wrote comes from the cache."""
    core = Core(BUYER)
    records = records_of(core)
    records.commit({(fc.Party, "shop"): SHOP})
    monkeypatch.setattr(pipe, "CACHE_RECORDS", 0)
    records.trim()
    records.read_ahead(claims(1))
    assert core.asked == [[("party", "buyer"), ("receivable", "R-0")]]
    assert (records.find(fc.Party, "shop"), records.find(fc.Party, "buyer")) == (SHOP, BUYER)
    records.trim()
    records.trim()
    records.read_ahead(claims(1))
    assert len(core.asked[1]) == 3


def test_forgetting_waits_for_no_block_but_those_that_wrote_what_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait for all of them would let everything on its way run dry, again and again."""
    core = Core()
    records = records_of(core)
    monkeypatch.setattr(pipe, "CACHE_RECORDS", 2)
    for id, height, waited in [("a", 5, []), ("b", 7, [0]), ("c", 8, [0]), ("d", 9, [0, 7]), ("e", 11, [0, 7])]:
        records.commit({(fc.Party, id): SHOP})
        core.height = height
        records.trim()
        assert core.waited == waited, id
    records.forget()
    assert core.waited == [0, 7, None]


@pytest.mark.parametrize(("most", "reads"), [(8, 1), (7, 2), (1, 8)])
def test_many_names_are_read_in_parts(monkeypatch: pytest.MonkeyPatch, most: int, reads: int) -> None:
    monkeypatch.setattr(pipe, "AHEAD_RECORDS", most)
    core = Core(SHOP, BUYER)
    records = records_of(core)
    records.read_ahead(claims(6))
    assert len(core.asked) == reads and max(map(len, core.asked)) == most
    assert sum(map(len, core.asked)) == 8
    assert (records.find(fc.Party, "shop"), records.find(fc.Party, "buyer")) == (SHOP, BUYER)


def test_what_cannot_be_read_ahead_is_left_to_the_rule_that_asks_for_it() -> None:
    core = Core(SHOP)
    core.fails = True
    records = records_of(core)
    records.read_ahead(claims(1))
    assert len(core.asked) == 1
    assert records.find(fc.Party, "shop") == SHOP
    assert core.alone == [("party", "shop")]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[fc.Ledger]:
    operator = key("operator")
    with fc.create(
        tmp_path / "ledger", name="test.example/named", keys=tmp_path / "keys", operator=operator,
        clock=fc.SimulatedClock(START),
    ) as made:  # fmt: skip
        made.register("shop", "Shop", roles=["supplier"], key=key("shop"))
        made.register("buyer", "Buyer", roles=["debtor"], key=key("buyer"))
        yield made


class Asked:
    """The core of a ledger, and how often it was asked for records."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self.asked: list[list[tuple[str, str]]] = []
        self.alone: list[tuple[str, str]] = []

    def records(self, names: list[tuple[str, str]]) -> Any:
        self.asked.append(names)
        return self._core.records(names)

    def record(self, kind: str, id: str) -> Any:
        self.alone.append((kind, id))
        return self._core.record(kind, id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)


def test_a_night_batch_asks_once_and_is_answered_as_one_by_one(ledger: fc.Ledger) -> None:
    ledger.submit_each(claims(20), by=key("shop"))
    orders = [do.ConfirmReceivable(f"R-{n}", 60) for n in (*range(22), 3, 3)]
    records = ledger._pipe.records
    records.forget()
    asked = Asked(records._core)
    records._core = asked  # type: ignore[assignment]  # it passes everything on
    rows = ledger.submit_each(orders, by=key("buyer"))
    refused = {row.index: row.code for row in rows if isinstance(row, fc.RefusedRow)}
    assert refused == {
        20: "receivable.not_found", 21: "receivable.not_found", 22: "receivable.over_confirm",
        23: "receivable.over_confirm",
    }  # fmt: skip
    assert [sorted(names) for names in asked.asked] == [sorted(("receivable", f"R-{n}") for n in range(22))]
    # What is not named is found through the claims or has no member: parties, their keys, the buyer's dilution.
    assert "receivable" not in {kind for kind, _ in asked.alone}
    assert ledger.get(fc.Receivable, "R-3").confirmed == 60


def test_names_that_are_no_identifiers_are_asked_for_as_they_are(ledger: fc.Ledger) -> None:
    odd = ["", "a b", "ä", '"\\', "x" * 5_000]
    rows = ledger.submit_each([do.ConfirmReceivable(id, 1) for id in odd], by=key("buyer"))
    assert [getattr(row, "code", "applied") for row in rows] == ["receivable.not_found"] * len(odd)
