"""Checkpoints under keys of suite ml-dsa-44: founding, proving, witnesses of both kinds, copies, and a rotation there
and back. What each line covers is told in `rust/core/tests/checkpoint_ml_dsa.rs`.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

import finchain as fc
import format_examples as examples
import mutants
import reference as ref
import second_verifier
from book import new_ledger, refused
from finchain import _core
from finchain import instructions as do
from finchain.domain.founding import CHECKPOINT_KEYS_MAX, LedgerRecord
from finchain.key_folder import CheckpointSuite, KeyFolder
from kept_ledger import frames_in
from real_ledger import ORIGIN, claim, found, key, reopen, rotate_checkpoint_key, shape
from witness import Witness

TIME_S = 1_774_000_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A ledger of three blocks and a claim whose checkpoint key is of suite ml-dsa-44."""
    with found(tmp_path, checkpoint_suite="ml-dsa-44") as ledger:
        ledger.submit(claim("r-1"), by=key("shop"))
    return tmp_path


def folder_of(home: Path) -> Path:
    return home / "real.finchain"


def headers_of(home: Path) -> list[bytes]:
    file = folder_of(home) / "blocks" / "00000000.blk"
    content = file.read_bytes()
    return [content[at + 64 : at + size].partition(b"\n")[0] for at, size in frames_in(file)]


def kind_of(verifier_key: str) -> int:
    return base64.b64decode(verifier_key.split("+", 2)[2])[0]


def size_under(note: bytes, log_keys: list[str]) -> int:
    """Blocks under a checkpoint, on the word of one of the keys."""
    return _core.verify_checkpoint(note, log_keys=log_keys, witnesses=[], witnesses_needed=0, operator_alone=True)[1]


def test_a_receipt_is_believed_by_the_verifier_key_alone(home: Path) -> None:
    with reopen(home) as ledger:
        trust = ledger.verifier_key
        receipt = ledger.prove(fc.Receivable, "r-1")
        note = ledger.checkpoint()
    assert kind_of(trust) == 6 and len(receipt) < 8_192
    assert fc.verify(receipt, trust=trust, unwitnessed=True).id == "r-1"
    assert second_verifier.verify_receipt(bytes(receipt), trust, 0, [])["content"]["id"] == "r-1"
    assert second_verifier.verify_checkpoint(note, trust, 0, [])[0] == size_under(note, [trust]) == 4
    with pytest.raises(fc.TamperError, match="signed by none of the 1 trusted keys"):
        fc.verify(receipt, trust=fc.Key.generate("ml-dsa-44").verifier_key(ORIGIN), unwitnessed=True)
    with pytest.raises(fc.TamperError, match="does not belong to this key"):
        fc.verify(bytes(receipt).replace(f"\n{ORIGIN}\n4\n".encode(), f"\n{ORIGIN}\n5\n".encode()), trust=trust,
                  unwitnessed=True)  # fmt: skip


def test_two_checkpoints_over_the_same_blocks_differ_and_both_hold(home: Path) -> None:
    notes = []
    for _ in range(2):
        with reopen(home) as ledger:
            notes.append(ledger.checkpoint())
            trust = ledger.verifier_key
    assert notes[0] != notes[1]
    assert [size_under(note, [trust]) for note in notes] == [4, 4]
    assert fc.check(folder_of(home)).checkpoint_size == 4


def test_witnesses_of_both_kinds_make_one_quorum(home: Path) -> None:
    witnesses = [Witness("old.example"), Witness("new.example", post_quantum=True)]
    keys = [witness.verifier_key for witness in witnesses]
    with reopen(home) as ledger:
        trust, note = ledger.verifier_key, ledger.checkpoint()
        for witness in witnesses:
            note = witness.cosign(note, headers_of(home))
        (folder_of(home) / "checkpoint").write_bytes(note)
        outer = bytes(ledger.prove(fc.Receivable, "r-1")).partition(b"\n\n")[0]
    receipt = outer + b"\n\n" + note
    shown = fc.verify(receipt, trust=trust, witnesses=keys, witnesses_needed=2)
    assert dict(shown.witnessed_by) == {"old.example": TIME_S, "new.example": TIME_S}
    assert second_verifier.verify_receipt(receipt, trust, 2, keys)["witnessed"] == dict(shown.witnessed_by)
    with pytest.raises(fc.TamperError, match="1 known witnesses cosigned, expected 2"):
        fc.verify(receipt, trust=trust, witnesses=[keys[1], keys[1]], witnesses_needed=2)
    with pytest.raises(fc.TamperError, match="0 known witnesses cosigned, expected 1"):
        fc.verify(receipt, trust=trust, witnesses=[trust], witnesses_needed=1)
    with pytest.raises(ValueError, match="0 witnesses, 1 asked for"):
        second_verifier.verify_receipt(receipt, trust, 1, [trust])
    # The same note confirms a copy.
    fc.backup(folder_of(home), home / "copy")
    fc.confirm(home / "copy", checkpoint=note, keys=home / "elsewhere", witnesses=keys, witnesses_needed=2)


def test_copies_followers_and_a_repair_know_such_a_checkpoint(home: Path) -> None:
    with reopen(home) as ledger:
        note, before = ledger.checkpoint(), shape(ledger)
    assert fc.predecessor(folder_of(home)).size == 4
    fc.backup(folder_of(home), home / "copy")
    (folder_of(home) / "checkpoint").unlink()
    done = fc.repair(folder_of(home), home / "copy", keys=home / "keys", write=True)
    assert done.files == ("checkpoint",) and (folder_of(home) / "checkpoint").read_bytes() == note
    fc.restore(home / "copy", home / "back")
    fc.confirm(home / "back", by_mark=True, keys=home / "keys")
    with fc.follow(folder_of(home), home / "own") as follower:
        assert shape_of(follower) == before
        receipt = follower.prove(fc.Receivable, "r-1")
        assert fc.verify(receipt, trust=follower.verifier_key, unwitnessed=True).size == 4


def shape_of(follower: fc.Follower) -> tuple[int, bytes, str]:
    return follower.height, follower.state_root, "\n".join(map(repr, follower.find_all()))


@pytest.mark.parametrize("harm", ["a byte of the line", "another size", "the line is gone"])
def test_a_spoilt_checkpoint_is_found(home: Path, harm: str) -> None:
    with reopen(home) as ledger:
        note = ledger.checkpoint()
    file = folder_of(home) / "checkpoint"
    if harm == "a byte of the line":
        at = len(note) - 1_000
        file.write_bytes(note[:at] + (b"B" if note[at : at + 1] == b"A" else b"A") + note[at + 1 :])
    elif harm == "another size":
        file.write_bytes(note.replace(b"\n4\n", b"\n3\n"))
    else:
        body = note.decode().partition("\n\n")[0] + "\n"
        file.write_bytes(ref.note("stranger.example", bytes(32), body).encode())
    with pytest.raises(fc.TamperError, match=r"does not belong to this key|not signed by a checkpoint key"):
        fc.check(folder_of(home))


@pytest.mark.parametrize(("first", "second"), [("ed25519", "ml-dsa-44"), ("ml-dsa-44", "ed25519")])
def test_a_checkpoint_key_is_exchanged_for_one_of_the_other_suite_and_back(
    tmp_path: Path, first: CheckpointSuite, second: CheckpointSuite
) -> None:
    keys, notes = [], []
    with found(tmp_path, checkpoint_suite=first) as ledger:
        keys.append(ledger.verifier_key)
        notes.append(ledger.checkpoint())
    with fc.follow(folder_of(tmp_path), tmp_path / "own") as follower:
        for suite in (second, first):
            keys.append(rotate_checkpoint_key(tmp_path, suite))
            # What the key before signed stays signed, and is the newest until the new one signs.
            assert fc.check(folder_of(tmp_path)).former_checkpoint_keys == keys[:-1]
            with reopen(tmp_path) as ledger:
                assert ledger.verifier_key == keys[-1]
                notes.append(ledger.checkpoint())
                receipt = ledger.prove(LedgerRecord, "ledger")
            follower.advance()
            assert fc.verify(receipt, trust=keys[-1], unwitnessed=True).record.checkpoint_keys == [keys[-1]]
            assert second_verifier.verify_receipt(bytes(receipt), keys[-1], 0, [])
            with pytest.raises(fc.TamperError, match="signed by none"):
                fc.verify(receipt, trust=keys[-2], unwitnessed=True)
        assert fc.verify(follower.prove(LedgerRecord, "ledger"), trust=keys[-1], unwitnessed=True).size == 5
    assert [size_under(note, keys) for note in notes] == [3, 4, 5]
    assert [kind_of(text) for text in keys] == [1 if suite == "ed25519" else 6 for suite in (first, second, first)]
    fc.backup(folder_of(tmp_path), tmp_path / "copy")
    fc.confirm(tmp_path / "copy", checkpoint=notes[1], keys=tmp_path / "elsewhere")


def test_the_key_in_between_may_sign_beside_the_old_one(tmp_path: Path) -> None:
    """While a rotation is on its way the ledger states both keys, and either is enough."""
    with found(tmp_path) as ledger:
        old, new = ledger.verifier_key, fc.Key.generate("ml-dsa-44")
        ledger.submit(do.SetCheckpointKeys([old, new.verifier_key(ORIGIN)]), by=key("operator"))
        before = ledger.checkpoint()
    path = KeyFolder.of(tmp_path / "keys", folder_of(tmp_path)).path
    new.save(path / "new.pem")
    (path / "new.pem").replace(path / "checkpoint.pem")
    assert fc.check(folder_of(tmp_path)).checkpoint_size == 4
    with reopen(tmp_path) as ledger:
        after = ledger.checkpoint()
        both = ledger.get(LedgerRecord, "ledger").checkpoint_keys
    assert fc.check(folder_of(tmp_path)).checkpoint_size == 4
    assert [size_under(note, both) for note in (before, after)] == [4, 4]
    joined = before + after.partition(b"\n\n")[2]
    assert [size_under(joined, [text]) for text in both] == [4, 4]
    spoilt = joined[:-200] + b"A" * 8 + joined[-192:]
    with pytest.raises(fc.TamperError, match="does not belong to this key"):
        size_under(spoilt, both)
    assert size_under(spoilt, [old]) == 4, "a line by nobody who is known is passed over"


@pytest.mark.parametrize("suite", ["p256", "sm2"])
def test_keys_of_other_suites_sign_no_checkpoint(home: Path, suite: CheckpointSuite) -> None:
    folder = KeyFolder.of(home / "keys", folder_of(home))
    with reopen(home) as ledger:
        ledger.checkpoint()
        ledger.submit(claim("r-2"), by=key("shop"))
    mark = folder.mark_path.read_bytes()
    (folder.path / "checkpoint.pem").unlink()
    fc.Key.generate(suite).save(folder.path / "checkpoint.pem")
    with reopen(home) as ledger, pytest.raises(fc.ConfigError, match=f"suite {suite} signs no notes, expected ed25519"):
        ledger.checkpoint()
    assert folder.mark_path.read_bytes() == mark
    with pytest.raises(fc.ConfigError, match=f"suite {suite} signs no notes"):
        fc.create(home / "new", name="example.com/new", keys=home / "keys", checkpoint_suite=suite)
    assert not (home / "new").exists() and len(list((home / "keys").iterdir())) == 1


def test_a_record_has_room_for_eight_such_keys_and_the_rule_counts_their_bytes() -> None:
    ledger = new_ledger()
    origin = ledger.get(LedgerRecord, "ledger").origin

    def stated(*keys: tuple[int, int]) -> do.SetCheckpointKeys:
        """Verifier keys of these kinds and bytes of a public key."""
        stated = enumerate(keys)
        return do.SetCheckpointKeys([ref.verifier_key(origin, bytes([n]) * size, kind) for n, (kind, size) in stated])

    for keys in ([(6, 1_312)] * CHECKPOINT_KEYS_MAX, [(1, 32), (6, 1_312)], [(1, 32)]):
        ledger.apply(stated(*keys), by={"operator"})
        assert len(ledger.get(LedgerRecord, "ledger").checkpoint_keys) == len(keys)
    for keys in ([(6, 1_312)] * (CHECKPOINT_KEYS_MAX + 1), [(6, 32 + 1)], [(6, 1_311)], [(6, 1_313)], [(1, 1_312)]):
        with refused(ledger, "ledger.checkpoint_keys"):
            ledger.apply(stated(*keys), by={"operator"})


def test_the_longest_statement_of_keys_fits_into_a_block(tmp_path: Path) -> None:
    name = "o" * 64
    keys = [fc.Key.generate("ml-dsa-44") for _ in range(CHECKPOINT_KEYS_MAX)]
    with fc.create(tmp_path / "it", name=name, keys=tmp_path / "keys", operator=key("operator")) as ledger:
        ledger.submit(do.SetCheckpointKeys([each.verifier_key(name) for each in keys]), by=key("operator"))
        assert len(ledger.get(LedgerRecord, "ledger").checkpoint_keys) == CHECKPOINT_KEYS_MAX


# ---- what both verifiers refuse, over a checkpoint that the slow builder made
SEED = examples.SEEDS[examples.ORIGIN]
TRUST = ref.post_quantum_verifier_key(examples.ORIGIN, SEED)
BODY = ref.checkpoint_body(examples.ORIGIN, 3, examples.LEDGER.log_root(3))


def line_over(message: bytes, *, seconds: int = 0, cut: int = 0, more: bytes = b"") -> str:
    """A line by the log's key over any message; `cut` bytes are missing at its end."""
    signature = ref.post_quantum_key(SEED).sign(message) + more
    signature = signature[: len(signature) - cut]
    signed = bytes.fromhex(TRUST.split("+")[1]) + seconds.to_bytes(8, "big") + signature
    return f"— {examples.ORIGIN} {ref.base64_text(signed)}\n"


def message(body: str = BODY, *, name: str = examples.ORIGIN, seconds: int = 0, start: int = 0) -> bytes:
    return ref.cosigned_message(name, seconds, body, start)


def refused_by_both(note: bytes, trust: str = TRUST) -> None:
    with pytest.raises(ValueError, match=r"."):
        second_verifier.verify_checkpoint(note, trust, 0, [])
    with pytest.raises(fc.FinchainError):
        size_under(note, [trust])


FORGED = {
    "another cosigner": line_over(message(name="other.example")),
    "another origin": line_over(message(BODY.replace("example.com", "example.org"))),
    "a block fewer": line_over(message(BODY.replace("\n3\n", "\n2\n"))),
    "a block more": line_over(message(BODY.replace("\n3\n", "\n4\n"))),
    "another root": line_over(message(ref.checkpoint_body(examples.ORIGIN, 3, examples.LEDGER.log_root(2)))),
    "a time that was not signed": line_over(message(), seconds=1),
    "a time that is not shown": line_over(message(seconds=1)),
    "a time of 2^63": line_over(message(seconds=2**63), seconds=2**63),
    "a subtree that begins later": line_over(message(start=1)),
    "the text, as Ed25519 signs it": line_over(BODY.encode()),
    "a byte too few": line_over(message(), cut=1),
    "a byte too many": line_over(message(), more=b"\0"),
    "no signature": line_over(message(), cut=2_420),
}


def test_a_line_over_the_right_message_holds_whatever_time_it_states() -> None:
    for seconds in (0, 1, 2**63 - 1):
        note = f"{BODY}\n{line_over(message(seconds=seconds), seconds=seconds)}".encode()
        assert second_verifier.verify_checkpoint(note, TRUST, 0, [])[0] == size_under(note, [TRUST]) == 3


@pytest.mark.parametrize("what", FORGED)
def test_a_line_over_anything_else_does_not(what: str) -> None:
    refused_by_both(f"{BODY}\n{FORGED[what]}".encode())
    # A good line before or after it does not excuse it.
    good = line_over(message())
    refused_by_both(f"{BODY}\n{good}{FORGED[what]}".encode())
    refused_by_both(f"{BODY}\n{FORGED[what]}{good}".encode())


def test_no_such_checkpoint_survives_a_flipped_bit_nor_a_fourth_line() -> None:
    note = f"{BODY}\n{line_over(message())}".encode()
    for mutant in mutants.byte_flips(note):
        refused_by_both(mutant)
    refused_by_both(note.replace(b"\n\n", b"\nmore\n\n"))


@pytest.mark.parametrize(("kind", "size"), [(6, 32), (6, 1_311), (6, 1_313), (1, 1_312), (4, 1_312)])
def test_a_verifier_key_has_the_length_of_its_kind(kind: int, size: int) -> None:
    note = f"{BODY}\n{line_over(message())}".encode()
    refused_by_both(note, ref.verifier_key(examples.ORIGIN, bytes([7]) * size, kind))


def test_the_line_on_the_page_convinces_both_verifiers() -> None:
    shown = {match[1]: match[2] for match in examples.MARKED.finditer(examples.PAGE.read_text(encoding="utf-8"))}
    facts, note = shown["checkpoint-ml-dsa-44"].removeprefix("```\n").removesuffix("```\n").split("\n\n", 1)
    named = dict(line.rsplit(maxsplit=1) for line in facts.splitlines())
    trust = named["verifier key"]
    assert trust == ref.post_quantum_verifier_key(examples.ORIGIN, examples.SEEDS[examples.ORIGIN])
    assert trust.startswith(f"{examples.ORIGIN}+")
    # By hand, as the standard has it: label, name, time, origin, start, end, root.
    root_hash = examples.LEDGER.log_root(3).hex()
    origin = "14" + examples.ORIGIN.encode().hex()
    assert named["signed message"] == (
        "737562747265652f76310a00" + origin + "00" * 8 + origin + "00" * 8 + "0000000000000003" + root_hash
    )
    assert size_under(note.encode(), [trust]) == second_verifier.verify_checkpoint(note.encode(), trust, 0, [])[0] == 3
