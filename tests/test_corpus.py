"""What was once written stays readable: the pinned ledgers of `tests/corpus/`, and clear words about later versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

import finchain as fc
import reference as ref
import second_verifier
from finchain import _core
from finchain.domain.rulebook import RULEBOOK_1
from finchain.replay import opened_blocks
from kept_ledger import Kept, frames_in, kept_in
from real_ledger import reopen, shape
from write_corpus import CORPUS, LEDGERS, instructions_of, unpacked

ARCHIVES = sorted(path.name.removesuffix(".tar.xz") for path in CORPUS.glob("*.tar.xz"))

FORMAT_ONLY = {"deal-1": "guarantees and loans keep more in their records: fees as a condition, scope, collateral"}
"""Archives over which the rules of today make other records, each with the change that was meant to do so."""

BYTES_MAX = 300_000
"""An archive belongs to a repository."""


@pytest.fixture(params=ARCHIVES)
def pinned(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpacked(request.param, tmp_path)


def expected(pinned: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((pinned / "expected.json").read_text())
    return found


def test_the_corpus_is_there_and_small() -> None:
    assert {name.partition("-")[0] for name in ARCHIVES} == {name.partition("-")[0] for name in LEDGERS}
    assert all((CORPUS / f"{name}.tar.xz").stat().st_size < BYTES_MAX for name in ARCHIVES)


def test_frames_hashes_chain_and_checkpoint_need_no_rules(pinned: Path) -> None:
    known = expected(pinned)
    survey = _core.Survey(pinned)
    assert not survey.faults
    assert survey.ranges == [(0, known["blocks"])]
    origin, size, root_hash, _ = _core.verify_checkpoint(
        (pinned / "checkpoint").read_bytes(), log_keys=[known["trust"]], witnesses=[], witnesses_needed=0,
        operator_alone=True,
    )  # fmt: skip
    assert (origin, size) == (survey.name.partition("#")[0], known["blocks"])
    assert root_hash == survey.root_at(size) == bytes.fromhex(known["log_root"])


def test_the_reference_finds_the_same_hashes(pinned: Path) -> None:
    content = (pinned / "blocks" / "00000000.blk").read_bytes()
    headers = [
        content[at + 64 : at + size].partition(b"\n")[0] for at, size in frames_in(pinned / "blocks" / "00000000.blk")
    ]
    leaves = [ref.log_leaf(header) for header in headers]
    assert ref.tree(ref.log_node, leaves).hex() == expected(pinned)["log_root"]
    assert json.loads(headers[-1])["state"] == expected(pinned)["state_root"]
    assert [json.loads(header)["previous"] for header in headers[1:]] == [leaf.hex() for leaf in leaves[:-1]]
    for at, size in frames_in(pinned / "blocks" / "00000000.blk"):
        height = int.from_bytes(content[at + 8 : at + 16], "little")
        frame = ref.frame(height, leaves[0], content[at + 64 : at + size])
        assert content[at : at + len(frame)] == frame


def test_receipts_hold_for_both_verifiers(pinned: Path) -> None:
    trust = expected(pinned)["trust"]
    receipts = {path.name: path.read_bytes() for path in (pinned / "receipts").iterdir()}
    assert set(receipts) == {"record", "absence", "instruction", "change", "party"}
    for what, receipt in receipts.items():
        verified = fc.verify(receipt, trust=trust, unwitnessed=True)
        assert verified.what == ("record" if what == "party" else what)
        assert second_verifier.verify_receipt(receipt, trust, 0, [])
    assert fc.verify(receipts["instruction"], trust=trust, unwitnessed=True).signers


def test_the_rules_of_today_make_the_same_states(pinned: Path) -> None:
    """Signatures are verified here as well: they are judged by the keys that the rules have enrolled.

    Where a rule was changed on purpose, the difference is found, and everything that needs no rule still stands.
    """
    known = expected(pinned)
    if pinned.name in FORMAT_ONLY:
        with pytest.raises(fc.DamageError, match="not what the rules make of it") as caught:
            fc.check(pinned, other_rules=True)
        assert caught.value.whole == ((0, known["blocks"]),) and caught.value.checkpoint_agrees
        return
    audit = fc.check(pinned, other_rules=True)
    assert (audit.blocks, audit.instructions, audit.records) == (
        known["blocks"], known["instructions"], known["records"]
    )  # fmt: skip
    assert (audit.state_root, audit.log_root) == (known["state_root"], known["log_root"])
    assert audit.other_rules == (digest_of(pinned) != RULEBOOK_1.digest)
    assert ("another digest" in str(audit)) == audit.other_rules


def digest_of(pinned: Path) -> str:
    """The digest of the rule files that the ledger was founded under."""
    with opened_blocks(pinned, blocks_max=1) as (core, _, _):
        (founding,) = json.loads(core.entered(0, 0)["instructions"])
    digest: str = founding["rulebook_digest"]
    return digest


def test_other_rules_are_allowed_only_where_asked_for(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest of the rule files is another one, as after a change of a comment; the records come out the same."""
    monkeypatch.setattr(type(RULEBOOK_1), "digest", property(lambda self: "ab" * 32))
    for refused in (lambda: fc.check(kept.folder), lambda: reopen(kept.home)):
        with pytest.raises(fc.ConfigError, match="has the digest"):
            refused()
    audit = fc.check(kept.folder, other_rules=True)
    assert audit.other_rules and audit.blocks == kept.shape[0]


@pytest.mark.parametrize("name", [name for name in LEDGERS if name in ARCHIVES])
def test_the_generator_still_orders_what_is_committed(name: str, tmp_path: Path) -> None:
    make, _, _ = LEDGERS[name]
    with make(tmp_path) as ledger:
        path = ledger.path
    assert instructions_of(path) == instructions_of(unpacked(name, tmp_path))


# ---- what a later version wrote


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return kept_in(tmp_path)


def refused_by_all(kept: Kept, match: str) -> None:
    """Nobody reads it, nobody takes it for damage, and nothing is changed."""
    before = kept.blocks.read_bytes()
    shutil.rmtree(kept.index)
    for act in (
        lambda: reopen(kept.home),
        lambda: fc.check(kept.folder),
        lambda: fc.backup(kept.folder, kept.home / "copy"),
    ):
        with pytest.raises(fc.VersionError, match=match) as caught:
            act()
        assert "a later one" in caught.value.advice
    assert kept.blocks.read_bytes() == before


def test_a_later_ledger_file(kept: Kept) -> None:
    path = kept.folder / "ledger.json"
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2').replace(b"ledger.1", b"ledger.2"))
    refused_by_all(kept, r"has format 2, and this version reads up to 1")


def test_a_later_frame(kept: Kept) -> None:
    start, _ = kept.frames()[4]
    head = bytearray(kept.blocks.read_bytes()[start : start + 48])
    head[3] = 2
    kept.spoil(start, bytes(head) + blake3(bytes(head)).digest()[:16])
    refused_by_all(kept, r"frame version 2; this software reads version 1")


def test_a_later_block_header(kept: Kept) -> None:
    header, _, rest = kept.payload(4).partition(b"\n")
    later = json.loads(header) | {"type": "finchain.block.2", "weather": "fine"}
    kept.rewrite(4, ref.canonical(later) + b"\n" + rest)
    refused_by_all(kept, r"block 4 is of type finchain.block.2, and this version reads finchain.block.1")


def test_an_index_of_another_version_is_made_anew(kept: Kept) -> None:
    mark = kept.index / "mark"
    for other in (b"finchain-index 5 ", b"finchain-index 7 "):
        mark.write_bytes(mark.read_bytes().replace(b"finchain-index 6 ", other))
        with reopen(kept.home) as ledger:
            assert shape(ledger) == kept.shape
            assert ledger.recovery["index_rebuilt_because"]
            assert ledger.recovery["replay_from"] == 0


def test_an_unknown_receipt_is_refused(kept: Kept) -> None:
    with reopen(kept.home) as ledger:
        receipt, trust = bytes(ledger.prove(fc.Receivable, "r-1")), ledger.verifier_key
    with pytest.raises(fc.TamperError):
        fc.verify(receipt.replace(b"tlog-proof@v1", b"tlog-proof@v2"), trust=trust, unwitnessed=True)
