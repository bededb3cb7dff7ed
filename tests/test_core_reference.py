"""The blocks of a real ledger, computed again by the reference from the block file alone: every hash in them agrees.

The reference knows `docs/format.md` and hashlib (and blake3); it has no line in common with the core. What the rules
wrote is taken from the ledger's records, which the state root then has to hold, no more and no fewer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

import finchain as fc
import reference as ref
from finchain.opening import HashSuite
from real_ledger import claim, found, key, signed

SUITES: tuple[HashSuite, ...] = ("blake3", "sha256", "sm3")


@dataclass(frozen=True)
class Made:
    """What the library said of its own ledger, and the file that it left."""

    suite: HashSuite
    content: bytes
    name: str
    state: str
    log_root: str
    ids: dict[tuple[int, int], str]
    records: dict[tuple[str, str], Any]
    touches: dict[tuple[str, str], list[tuple[int, int, int]]]


@pytest.fixture(scope="module", params=SUITES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Parties, a refused transaction, one of which some hold, and a stream: every form that a block has."""
    suite: HashSuite = request.param
    home = tmp_path_factory.mktemp("reference")
    with found(home, hash_suite=suite) as ledger:
        with pytest.raises(fc.Refused):
            ledger.submit([claim("r-1"), claim("r-2", 0)], by=key("shop"))
        ledger.submit_each([claim("r-1"), claim("r-1"), claim("r-3")], by=key("shop"))
        stream = [signed(ledger, claim(f"s-{n}"), claim(f"t-{n}"), sequence=n) for n in range(1, 40)]
        ids = {(o.height, o.entry): o.id for o in ledger.submit_all(stream)}
        ledger.submit(signed(ledger, claim("u-1"), sequence=1, lane="more"))
    audit = fc.check(home / "real.finchain")
    with fc.open(home / "real.finchain", keys=home / "keys") as ledger:
        records = {(r.kind, r.id): json.loads(msgspec.json.encode(r)) for r in ledger.find_all()}
        touches = {
            (r.kind, r.id): [(step.height, step.entry, step.indices[-1]) for step in ledger.history(type(r), r.id)]
            for r in ledger.find_all()
        }
    content = (home / "real.finchain" / "blocks" / "00000000.blk").read_bytes()
    return Made(suite, content, audit.ledger, audit.state_root, audit.log_root, ids, records, touches)


@dataclass(frozen=True)
class Stored:
    """One block of the file, in its lines."""

    header: bytes
    entries: list[dict[str, Any]]
    transactions: list[ref.Transaction]


def blocks(made: Made) -> list[Stored]:
    found, at = [], 0
    while made.content[at : at + 4] == b"FCB\x01":
        size = int.from_bytes(made.content[at + 4 : at + 8], "little")
        header, *rest = made.content[at + 64 : at + 64 + size].split(b"\n")[:-1]
        entries = [json.loads(line) for line in rest[::3]]
        transactions = [
            ref.Transaction(made.suite, entry["header"], json.loads(instructions), bytes.fromhex(salt.decode()))
            for entry, salt, instructions in zip(entries, rest[1::3], rest[2::3], strict=True)
        ]
        found.append(Stored(header, entries, transactions))
        at += -(-(64 + size) // 4096) * 4096
    return found


def test_ids_leaves_and_entries_agree(made: Made) -> None:
    node = ref.node_of(made.suite)
    seen = set()
    for block in blocks(made):
        header = json.loads(block.header)
        leaves = [ref.digest(made.suite, "entry", ref.canonical(entry)) for entry in block.entries]
        assert header["root"] == ref.tree(node, leaves).hex()
        for entry, transaction in enumerate(block.transactions):
            assert transaction.header["root"] == ref.tree(node, transaction.leaves).hex()
            expected = made.ids.get((header["height"], entry))
            if expected is not None:
                assert transaction.id.hex() == expected
                seen.add(expected)
    assert seen == set(made.ids.values())


def test_block_hashes_and_the_log_root_agree(made: Made) -> None:
    previous, leaves = bytes(32), []
    for height, block in enumerate(blocks(made)):
        header = json.loads(block.header)
        assert (header["height"], header["previous"]) == (height, previous.hex())
        previous = ref.log_leaf(block.header)
        leaves.append(previous)
    assert made.name.endswith(f"#{leaves[0].hex()}")
    assert ref.tree(ref.log_node, leaves).hex() == made.log_root


def test_the_state_root_holds_these_records_and_no_others(made: Made) -> None:
    """A salt follows from the one before, the last instruction's and the key; lanes follow from the blocks alone."""
    stored = blocks(made)
    values: dict[bytes, bytes] = {}
    for (kind, id), places in made.touches.items():
        key_, salt = ref.record_key(made.suite, kind, id), bytes(16)
        for height, entry, index in places:
            salt_i = ref.instruction_salt(made.suite, stored[height].transactions[entry].salt, index)
            salt = ref.record_salt(made.suite, salt, salt_i, key_)
        values[key_] = ref.record_value(made.suite, salt, made.records[kind, id])
    salts: dict[bytes, bytes] = {}
    for transaction in (transaction for block in stored for transaction in block.transactions):
        header = transaction.header
        lane_id = f"{header['by'][0]} {header['lane']}"
        key_ = ref.record_key(made.suite, "lane", lane_id)
        salt_i = ref.instruction_salt(made.suite, transaction.salt, 2**32 - 1)
        salts[key_] = ref.record_salt(made.suite, salts.get(key_, bytes(16)), salt_i, key_)
        lane = {"id": lane_id, "sequence": header["sequence"], "transaction": transaction.id.hex()}
        values[key_] = ref.record_value(made.suite, salts[key_], lane)
    assert ref.state_root(made.suite, values).hex() == made.state == json.loads(stored[-1].header)["state"]
    assert sum(kind == "receivable" for kind, _ in made.records) == 2 + 2 * 39 + 1
