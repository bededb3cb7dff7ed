"""The library and the second verifier, which share no code, judge every receipt alike: genuine ones and mutants.

The ledger is made by the library and read here by the formats alone: receipts, checkpoint, files and frames.
"""

from __future__ import annotations

import datetime
import importlib
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mutants
import reference as ref
import second_verifier as verifier

pytest.importorskip("finchain._core", reason="the library is not built")
fc: Any = importlib.import_module("finchain")
errors: Any = importlib.import_module("finchain.errors")
Party: Any = importlib.import_module("finchain.domain.party").Party

ORIGIN = "example.com/second"
MUTANTS_EACH = 300
"""Of each of four receipts, so that more than a thousand are compared in each suite."""

FORMS = ("record", "absence", "instruction", "instruction with signers")


@dataclass(frozen=True)
class Made:
    """A ledger of the library on disk and receipts from it."""

    folder: Path
    suite: str
    trust: str
    receipts: dict[str, bytes]


@pytest.fixture(scope="module", params=("blake3", "sha256", "sm3"))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A ledger with an operator and a shop."""
    home = tmp_path_factory.mktemp("second")
    folder = home / "acme.finchain"
    clock = fc.SimulatedClock(datetime.date(2026, 3, 2))
    with fc.create(folder, name=ORIGIN, keys=home / "keys", clock=clock, hash_suite=request.param) as ledger:
        key = fc.Key.from_seed(bytes([2]) * 32)
        outcome = ledger.register("shop", "The shop", roles=["supplier"], key=key)
        proven = {
            "record": ledger.prove(Party, "shop"),
            "absence": ledger.prove_absent(Party, "nobody"),
            "instruction": ledger.prove_instruction(outcome),
            "instruction with signers": ledger.prove_instruction(outcome, signers=True),
        }
        receipts = {}
        for form, receipt in proven.items():
            receipt.save(home / f"{form}.tlog-proof")
            receipts[form] = (home / f"{form}.tlog-proof").read_bytes()
        return Made(folder, request.param, str(ledger.verifier_key), receipts)


def _library_accepts(receipt: bytes, trust: str) -> bool:
    """Any other exception than finchain's own is a failure of the library, and of the test."""
    try:
        fc.verify(receipt, trust=trust, unwitnessed=True)
    except errors.FinchainError:
        return False
    return True


def _second_shows(receipt: bytes, trust: str) -> dict[str, Any] | None:
    try:
        return verifier.verify_receipt(receipt, trust, 0, [])
    except ValueError:
        return None


@pytest.mark.parametrize("form", FORMS)
def test_both_accept_the_genuine_receipt(made: Made, form: str) -> None:
    assert _library_accepts(made.receipts[form], made.trust)
    shown = verifier.verify_receipt(made.receipts[form], made.trust, 0, [])
    assert (shown["what"], shown["signatures_judged"]) == (form.split()[0], "signers" in form)
    assert shown["ledger"].startswith(f"{ORIGIN}#")
    assert mutants.opened(made.receipts[form])["hash"] == made.suite


def test_the_receipts_say_what_was_done(made: Made) -> None:
    shown = {form: verifier.verify_receipt(receipt, made.trust, 0, []) for form, receipt in made.receipts.items()}
    assert (shown["record"]["kind"], shown["record"]["id"]) == ("party", "shop")
    assert shown["record"]["content"]["name"] == "The shop"
    assert (shown["absence"]["kind"], shown["absence"]["id"]) == ("party", "nobody")
    assert shown["instruction"]["outcome"] == "applied"


@pytest.mark.parametrize("form", FORMS)
def test_both_judge_random_mutants_alike(made: Made, form: str) -> None:
    receipt, chance = made.receipts[form], random.Random(f"{made.suite} {form}")
    for _ in range(MUTANTS_EACH):
        _judged_alike(made, form, mutants.draw(receipt, chance))


@pytest.mark.parametrize("form", FORMS)
def test_both_judge_every_edit_of_the_inner_half_alike(made: Made, form: str) -> None:
    receipt = made.receipts[form]
    for edited in mutants.json_edits(mutants.opened(receipt)):
        _judged_alike(made, form, mutants.resealed(receipt, edited))


def _judged_alike(made: Made, form: str, mutant: bytes) -> None:
    """Both accept or both refuse; what they accept says the same, or honestly less.

    Less is: the signatures were not judged, or the absence is that of another record that is absent too.
    """
    shown = _second_shows(mutant, made.trust)
    assert _library_accepts(mutant, made.trust) == (shown is not None), mutant
    if shown is not None:
        genuine = verifier.verify_receipt(made.receipts[form], made.trust, 0, [])
        if form == "absence":
            assert (shown["kind"], shown["id"]) not in {("party", "shop"), ("key", "shop/1")}
            genuine |= {name: shown[name] for name in ("kind", "id")}
        assert shown in (genuine, genuine | {"signatures_judged": False}), mutant


def test_both_refuse_a_receipt_of_another_key(made: Made) -> None:
    stranger = ref.verifier_key(ORIGIN, ref.public_key(bytes([9]) * 32))
    for receipt in made.receipts.values():
        assert not _library_accepts(receipt, stranger)
        assert _second_shows(receipt, stranger) is None


def _payloads(made: Made) -> list[list[bytes]]:
    """Lines of every frame; each frame must be, byte for byte, what the reference makes of its payload."""
    raw = (made.folder / "blocks" / "00000000.blk").read_bytes()
    payloads: list[list[bytes]] = []
    first, at = b"", 0
    while raw[at : at + 4] == b"FCB\x01":
        length = int.from_bytes(raw[at + 4 : at + 8], "little")
        payload = raw[at + 64 : at + 64 + length]
        lines = payload.split(b"\n")
        assert lines.pop() == b""
        first = first or ref.log_leaf(lines[0])
        frame = ref.frame(len(payloads), first, payload)
        assert raw[at : at + len(frame)] == frame
        payloads.append(lines)
        at += len(frame)
    assert not raw[at:].strip(b"\x00")
    return payloads


def test_the_blocks_on_disk_are_what_the_page_says(made: Made) -> None:
    node = ref.node_of(made.suite)
    previous, leaves = bytes(32), list[bytes]()
    for height, (header, *rest) in enumerate(_payloads(made)):
        block = verifier.parse(header)
        entries = [verifier.parse(entry) for entry in rest[::3]]
        assert (block["height"], block["previous"], block["entries"]) == (height, previous.hex(), len(entries))
        hashes = [ref.digest(made.suite, "entry", ref.canonical(entry)) for entry in entries]
        assert block["root"] == ref.tree(node, hashes).hex()
        for entry, salt, instructions in zip(entries, rest[1::3], rest[2::3], strict=True):
            transaction = ref.Transaction(
                made.suite, entry["header"], verifier.parse(instructions), bytes.fromhex(salt.decode())
            )
            assert entry["header"]["root"] == ref.tree(node, transaction.leaves).hex()
            assert entry["header"]["ledger"] == block["ledger"]
        previous = ref.log_leaf(header)
        leaves.append(previous)
    size, tree_hash, _ = verifier.verify_checkpoint((made.folder / "checkpoint").read_bytes(), made.trust, 0, [])
    assert 0 < size <= len(leaves)
    assert tree_hash == ref.tree(ref.log_node, leaves[:size]).hex()


def test_the_ledger_file_names_block_0(made: Made) -> None:
    first = ref.log_leaf(_payloads(made)[0][0])
    written = (made.folder / "ledger.json").read_bytes()
    assert written == ref.ledger_file(f"{ORIGIN}#{first.hex()}")
    assert json.loads(written)["format"] == 1
