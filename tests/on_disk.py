"""Everything that a state machine tried, tried once more on a ledger on disk: signed, sealed, audited and replayed.

The town is founded once; each run begins with a copy of it, in the records that a `MemoryBook` goes on from.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import cache
from itertools import combinations, groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

import finchain as fc
import journal
from book import NAMES, START, MemoryBook, public_key
from finchain import instructions as do
from finchain.domain.invariants import check_all
from finchain.domain.key import PartyKey, can_sign
from finchain.domain.party import Party
from finchain.domain.rule import Instruction
from finchain.domain.totals import Totals, totals_of
from finchain.replay import replayed_records
from finchain.transaction import EXPIRY_MS
from orders_house import RULEBOOKS

PARTIES: dict[str, tuple[str, ...]] = {
    "bank": ("lender", "controller", "settlement_bank"), "carrier": ("data_source",), "clearer": ("settlement_bank",),
    "core": ("debtor",), "court": ("arbiter",), "factor": ("factor", "lender", "controller"), "fund": ("guarantor",),
    "mill": ("debtor", "supplier"), "payee": ("worker",), "registrar": ("registrar",), "second": ("guarantor",),
    "shop": ("supplier",), "surety": ("guarantor",), "tier2": ("supplier",),
}  # fmt: skip
"""The town of every run, with several parties for each part."""

POLICY = msgspec.structs.replace(do.DEFAULT_POLICY, min_lot_minor=10)
NAME = "machine.example/ledger"


class Try(NamedTuple):
    """A transaction that was tried, and the code of its refusal, or nothing where it was applied.

    Attributes:
        keys: The keys that signed it.
        rulebook: Number of the rulebook in force.
    """

    day: date
    instructions: tuple[Instruction, ...]
    by: tuple[str, ...]
    keys: tuple[PartyKey, ...]
    rulebook: int
    code: str


def key(name: str) -> fc.Key:
    """The test key of a name, as `book.signing_key` has it."""
    return fc.Key.from_seed(hashlib.sha256(name.encode()).digest())


@cache
def founded() -> tuple[tempfile.TemporaryDirectory[str], MemoryBook]:
    """The home of the town's ledger, and its records; nobody may change either."""
    home = tempfile.TemporaryDirectory(prefix="finchain-machine-")
    place = Path(home.name)
    operator = key("operator")
    with fc.create(
        place / "ledger", name=NAME, keys=place / "keys", operator=operator, clock=fc.SimulatedClock(START),
        policy=POLICY,
    ) as ledger:  # fmt: skip
        for id, roles in PARTIES.items():
            ledger.register(id, f"Ms {id}", roles=roles, key=key(id))  # type: ignore[arg-type]
        for id in ("operator", *PARTIES):
            public_key(id)
        book = MemoryBook(today=START, ledger=ledger.name)
        book.records = {(type(record), record.id): record for record in ledger.find_all()}
        book.height = ledger.height
    return home, book


def town() -> MemoryBook:
    """The town's records, for one run to change."""
    return founded()[1].copy()


def signing_keys(party: str, ledger: MemoryBook, *, service: bool = False) -> list[PartyKey]:
    """Keys that sign for a party: as many as its threshold, or one of a machine; none where too few are left."""
    held = ledger.find(Party, party)
    if held is None:
        return []
    live = [ledger.get(PartyKey, f"{party}/{number}") for number in held.live]
    if service:
        return [each for each in live if each.duty == "service"][:1]
    persons = [each for each in live if each.duty != "service"]
    together = combinations(persons, held.threshold)
    return next((list(each) for each in together if can_sign(held.threshold, each)), [])


def enters_a_block(instruction: Instruction) -> bool:
    """Whether a ledger that has these rulebooks takes it: it could not go on under another one."""
    known = [(each.number, each.digest) for each in RULEBOOKS]
    return not isinstance(instruction, do.ActivateRulebook) or (instruction.number, instruction.digest) in known


def repeat(tries: Sequence[Try], ledger: MemoryBook) -> None:
    """Tries everything once more on disk, and expects the same answers, records, totals and state."""
    with tempfile.TemporaryDirectory(prefix="finchain-machine-") as home:
        place = Path(home) / "copy"
        shutil.copytree(founded()[0].name, place)
        clock = fc.SimulatedClock(START)
        with fc.open(place / "ledger", keys=place / "keys", clock=clock, rulebooks=RULEBOOKS) as real:
            for each, outcome in _submitted(real, clock, tries):
                assert outcome.error is None, f"{outcome.error}: {each}"
                code = outcome.refused[0][1] if outcome.refused else ""
                assert code == each.code, f"{code} on disk: {each}"
            clock.move_to(ledger.today)
            records = list(real.find_all())
            assert {(type(record), record.id): record for record in records} == ledger.records
            totals, state = real.totals(), real.state_root
            journal.kept(real)
        assert fc.check(place / "ledger", rulebooks=RULEBOOKS).state_root == state.hex()
        again = list(replayed_records(place / "ledger", until=totals.height, rulebooks=RULEBOOKS))
        assert again == records
        check_all(again)
        assert balanced(totals_of(again, today=ledger.today, height=totals.height)) == totals


def balanced(totals: Totals) -> Totals:
    """The totals, which balance."""
    assert totals.balanced, str(totals)
    return totals


def _submitted(
    ledger: fc.Ledger, clock: fc.SimulatedClock, tries: Iterable[Try]
) -> Iterator[tuple[Try, fc.Outcome]]:  # fmt: skip
    """Submits the tries of a day together, and gives what came of each: what changes a key ends a block by itself."""
    sequences: dict[str, int] = defaultdict(int)
    for (day, number), together in groupby(tries, lambda each: (each.day, each.rulebook)):
        clock.move_to(day)
        assert ledger.rulebook == number
        signed = [(each, transaction) for each in together if (transaction := _signed(ledger, each, sequences))]
        outcomes = ledger.submit_all(transaction for _, transaction in signed)
        yield from zip((each for each, _ in signed), outcomes, strict=True)


def _signed(ledger: fc.Ledger, tried: Try, sequences: dict[str, int]) -> fc.Transaction | None:
    """The signed transaction; nothing where the format itself forbids it, which the rules then have refused as well."""
    sender = tried.by[0]
    try:
        transaction = fc.Transaction.build(
            tried.instructions, by=tried.by, ledger=ledger.name, lane="machine", sequence=sequences[sender] + 1,
            expires_ms=ledger.clock.now_ms() + EXPIRY_MS, hash_suite=ledger.hash_suite, rulebook=tried.rulebook,
        )  # fmt: skip
    except fc.Rejected:
        assert tried.code, tried
        return None
    sequences[sender] += 1
    for each in tried.keys:
        transaction.sign(key(NAMES[each.public_key]), each.id)
    return transaction
