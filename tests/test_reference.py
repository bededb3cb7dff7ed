"""Two writings of docs/format.md agree: what the reference builds, the second verifier accepts, and nothing else.

The mutants are exhaustive where that is quick: each byte of a receipt, each edit of its inner half, each path and size.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import format_examples as examples
import mutants
import reference as ref
import second_verifier as verifier

suites = pytest.mark.parametrize("suite", examples.SUITES)

FORMS: dict[str, Callable[[ref.Ledger], Any]] = {
    "instruction": lambda ledger: ledger.of_instruction(2, 0, 0),
    "instruction with signers": lambda ledger: ledger.of_instruction(2, 0, 2, signers=True),
    "record": lambda ledger: ledger.of_record(2, *examples.RECORD),
    "change": lambda ledger: ledger.of_change(2, 0, 1),
    "absence at another leaf": lambda ledger: _absence(ledger, ends_at_leaf=True),
    "absence at nothing": lambda ledger: _absence(ledger, ends_at_leaf=False),
}
forms = pytest.mark.parametrize("form", FORMS)


def _absence(ledger: ref.Ledger, ends_at_leaf: bool) -> Any:
    inners = (ledger.of_absence(2, "receivable", f"r-{number}") for number in range(100))
    return next(inner for inner in inners if ("other" in inner) == ends_at_leaf)


def _verify(receipt: bytes, ledger: ref.Ledger) -> dict[str, Any]:
    return verifier.verify_receipt(receipt, ledger.trust, 0, [])


@functools.cache
def _genuine(suite: str, form: str) -> dict[str, Any]:
    ledger = examples.LEDGERS[suite]
    return _verify(ledger.receipt(FORMS[form](ledger)), ledger)


def _says_no_more(mutant: bytes, form: str, ledger: ref.Ledger) -> bool:
    """Whether a mutant is refused, or says what the genuine receipt says, or less: two kinds of edits are honest.

    Without `signers` a receipt is a lesser one that says so; and an absence may name another record that is absent too.
    """
    genuine = _genuine(ledger.suite, form)
    try:
        shown = _verify(mutant, ledger)
    except ValueError:
        return True
    if shown["what"] == "absence":
        absent = (shown["kind"], shown["id"]) not in ledger.blocks[shown["height"]].state
        return absent and shown | {name: genuine[name] for name in ("kind", "id")} == genuine
    return shown in (genuine, genuine | {"signatures_judged": False})


def _refused(receipt: bytes, ledger: ref.Ledger) -> None:
    with pytest.raises(ValueError, match=r"."):
        _verify(receipt, ledger)


# ---- genuine receipts
@suites
def test_an_instruction_is_shown_with_its_outcome(suite: str) -> None:
    ledger = examples.LEDGERS[suite]
    outcomes = [_verify(ledger.receipt(ledger.of_instruction(2, 0, index)), ledger)["outcome"] for index in range(3)]
    assert outcomes == ["applied", "receivable.amount", "applied"]


@suites
def test_one_refusal_under_all_holds_back_the_others(suite: str) -> None:
    ledger = examples.example_ledger(suite)
    made = _transaction(ledger, ["shop"], {"shop/1": examples.SEEDS["shop/1"]})
    ledger.append(examples.START_MS + 9000, [ref.Step(made, [], [(1, "receivable.dust")])])
    outcomes = [_verify(ledger.receipt(ledger.of_instruction(3, 0, index)), ledger)["outcome"] for index in range(2)]
    assert outcomes == ["held back", "receivable.dust"]


@suites
def test_a_record_a_change_and_an_absence_are_shown(suite: str) -> None:
    ledger = examples.LEDGERS[suite]
    content = {"amount_minor": 125_000, "id": "r-7f3a91", "seller": "shop"}
    for inner in (ledger.of_record(2, *examples.RECORD), ledger.of_change(2, 0, 0)):
        shown = _verify(ledger.receipt(inner), ledger)
        assert (shown["kind"], shown["id"], shown["content"], shown["height"]) == (*examples.RECORD, content, 2)
    before = _verify(ledger.receipt(ledger.of_absence(1, *examples.RECORD)), ledger)
    assert (before["what"], before["content"], before["height"]) == ("absence", None, 1)


@suites
def test_every_record_of_every_block_is_shown_under_every_later_checkpoint(suite: str) -> None:
    ledger = examples.LEDGERS[suite]
    for height, block in enumerate(ledger.blocks):
        for kind, name in block.state:
            for size in range(height + 1, 4):
                receipt = ledger.receipt(ledger.of_record(height, kind, name), ledger.checkpoint(size))
                assert _verify(receipt, ledger)["content"] == block.state[kind, name][1]


@suites
def test_every_write_is_shown_as_a_change_and_the_lane_is_the_last(suite: str) -> None:
    ledger = examples.LEDGERS[suite]
    for height, block in enumerate(ledger.blocks):
        shown = [
            _verify(ledger.receipt(ledger.of_change(height, 0, index)), ledger)["kind"]
            for index in range(block.entries[0]["writes"])
        ]
        assert shown.count("lane") == 1 and shown[-1] == "lane"


def test_a_receipt_of_one_suite_does_not_pass_as_one_of_the_other() -> None:
    ledger = examples.LEDGER
    for make in FORMS.values():
        _refused(ledger.receipt(make(ledger) | {"hash": "sha256"}), ledger)


# ---- tampered receipts
@suites
@forms
def test_no_receipt_says_more_for_one_flipped_bit_in_any_byte(suite: str, form: str) -> None:
    ledger = examples.LEDGERS[suite]
    for mutant in mutants.byte_flips(ledger.receipt(FORMS[form](ledger))):
        assert _says_no_more(mutant, form, ledger), mutant


@suites
@forms
def test_no_receipt_says_more_for_one_edit_of_its_inner_half(suite: str, form: str) -> None:
    ledger = examples.LEDGERS[suite]
    inner = FORMS[form](ledger)
    receipt = ledger.receipt(inner)
    assert mutants.opened(receipt) == inner and mutants.resealed(receipt, inner) == receipt
    for edited in mutants.json_edits(inner):
        assert _says_no_more(mutants.resealed(receipt, edited), form, ledger), edited


@forms
def test_no_receipt_says_more_for_random_mischief(form: str) -> None:
    ledger, chance = examples.LEDGER, random.Random(form)
    receipt = ledger.receipt(FORMS[form](ledger))
    for mutant in (mutants.draw(receipt, chance) for _ in range(300)):
        assert _says_no_more(mutant, form, ledger), mutant


def test_a_receipt_names_its_own_height_and_a_checkpoint_that_holds_it() -> None:
    ledger = examples.LEDGER
    inner = ledger.of_record(1, "party", "shop")
    receipt = ledger.receipt(inner)
    _refused(receipt.replace(b"\nindex 1\n", b"\nindex 2\n"), ledger)
    _refused(receipt.replace(b"\nindex 1\n", b"\nindex 01\n"), ledger)
    top = receipt.split(b"\n\n")[0]
    _refused(top + b"\n\n" + ledger.checkpoint(1).encode(), ledger)
    _refused(top + b"\n\n" + ledger.checkpoint(2).encode(), ledger)


def test_a_receipt_of_another_ledger_or_key_is_refused() -> None:
    ledger, other = examples.LEDGER, ref.Ledger("blake3", examples.ORIGIN, bytes([9]) * 32)
    receipt = ledger.receipt(ledger.of_record(2, *examples.RECORD))
    _refused(receipt, other)
    other.blocks = ledger.blocks
    assert _verify(other.receipt(ledger.of_record(2, *examples.RECORD)), other)["height"] == 2
    renamed = ref.Ledger("blake3", "example.com/other", ledger.seed)
    renamed.blocks = ledger.blocks
    _refused(renamed.receipt(ledger.of_record(2, *examples.RECORD)), renamed)


def test_a_path_takes_at_most_64_lines_and_a_receipt_half_a_mebibyte() -> None:
    ledger = examples.LEDGER
    receipt = ledger.receipt(ledger.of_record(2, *examples.RECORD))
    line = ref.base64_text(bytes(32)).encode() + b"\n"
    for count, reason in ((63, "path: too long"), (64, "not the lines")):
        with pytest.raises(ValueError, match=reason):
            _verify(receipt.replace(b"\nindex 2\n", b"\nindex 2\n" + line * count), ledger)
    for length, reason in ((524_288, "^(?!receipt: too long)"), (524_289, "^receipt: too long")):
        extra = b"A" * (length - len(receipt))
        with pytest.raises(ValueError, match=reason):
            _verify(receipt.replace(b"extra ", b"extra " + extra), ledger)


# ---- trees and the state map
def _paths() -> Iterator[tuple[list[bytes], int, list[str]]]:
    for size in range(1, 18):
        leaves = [bytes([number]) * 32 for number in range(size)]
        for index in range(size):
            yield leaves, index, [one.hex() for one in ref.path(ref.log_node, leaves, index)]


def _includes(leaves: list[bytes], index: int, path: list[str], leaf: bytes | None = None, size: int = 0) -> bool:
    tree_hash = ref.tree(ref.log_node, leaves).hex()
    try:
        verifier.verify_inclusion("log", leaf or leaves[index], index, size or len(leaves), path, tree_hash)
    except ValueError:
        return False
    return True


def test_every_leaf_has_a_path_and_no_other_index_size_or_path_will_do() -> None:
    for leaves, index, path in _paths():
        assert _includes(leaves, index, path)
        assert not _includes(leaves, index, path, leaf=b"\xff" * 32)
        assert not any(_includes(leaves, other, path, leaves[index]) for other in range(20) if other != index)
        assert not any(_includes(leaves, index, path + longer) for longer in (["00" * 32], path[-1:] or ["11" * 32]))
        assert not any(_includes(leaves, index, path[:at] + path[at + 1 :]) for at in range(len(path)))
        for at in range(1, len(path)):
            swapped = [*path[: at - 1], path[at], path[at - 1], *path[at + 1 :]]
            assert not _includes(leaves, index, swapped)


def test_a_path_fits_only_sizes_that_give_the_same_walk() -> None:
    """A size enters a path through its shape alone, which is why a verifier takes it from what was signed."""
    leaves = [bytes([number]) * 32 for number in range(5)]
    path = [one.hex() for one in ref.path(ref.log_node, leaves, 4)]
    assert [size for size in range(5, 20) if _includes(leaves, 4, path, size=size)] == [5]
    path = [one.hex() for one in ref.path(ref.log_node, leaves, 0)]
    assert [size for size in range(1, 20) if _includes(leaves, 0, path, size=size)] == [5, 6, 7, 8]


def _maps(chance: random.Random) -> Iterator[dict[bytes, bytes]]:
    for count in (0, 1, 2, 3, 7, 40):
        yield {chance.randbytes(32): chance.randbytes(32) for _ in range(count)}
    for agreeing in (1, 8, 250, 255):
        key = chance.getrandbits(256)
        late = [one.to_bytes(32, "big") for one in (key, key ^ 1 << (255 - agreeing), key ^ 1 << 255)]
        yield {one: chance.randbytes(32) for one in late}


def _walks(suite: str, key: bytes, end: bytes, siblings: list[bytes], state: bytes) -> bool:
    """The verifier's walk upwards, which hashes the key itself, from an end that is given."""
    for depth in reversed(range(len(siblings))):
        pair = (siblings[depth], end) if ref.bit(key, depth) else (end, siblings[depth])
        end = verifier.digest(suite, "node", b"".join(pair))
    return end == state


@suites
def test_maps_of_any_shape_show_what_they_hold_and_what_they_do_not(suite: str) -> None:
    chance = random.Random(5)
    for values in _maps(chance):
        state = ref.state_root(suite, values)
        near = [(int.from_bytes(key, "big") ^ 1).to_bytes(32, "big") for key in values]
        for key in [*values, *near, *(chance.randbytes(32) for _ in range(5))]:
            siblings, end = ref.state_walk(suite, values, key)
            leaf = ref.state_leaf(suite, *end) if end else ref.EMPTY
            assert _walks(suite, key, leaf, siblings, state)
            assert (key in values) == (end is not None and end[0] == key)
            assert len(siblings) <= 256 and (end is None or end[0] == key or len(siblings) < 256)
            assert len(siblings) == 256 or not _walks(suite, key, leaf, [*siblings, ref.EMPTY], state)
            assert not siblings or not _walks(suite, key, leaf, siblings[1:], state)


@suites
def test_a_map_has_one_root_whatever_the_order_and_another_for_every_change(suite: str) -> None:
    chance = random.Random(6)
    values = {chance.randbytes(32): chance.randbytes(32) for _ in range(12)}
    shuffled = dict(chance.sample(list(values.items()), len(values)))
    assert ref.state_root(suite, shuffled) == ref.state_root(suite, values)
    roots = {ref.state_root(suite, values | {key: bytes(32)}) for key in values}
    roots |= {ref.state_root(suite, {other: one for other, one in values.items() if other != key}) for key in values}
    assert len(roots) == 24 and ref.state_root(suite, values) not in roots


@suites
def test_a_record_is_not_absent_by_its_own_leaf_nor_by_one_off_its_way(suite: str) -> None:
    ledger = examples.LEDGERS[suite]
    there = ledger.of_record(2, *examples.RECORD)
    place = ref.record_key(suite, *examples.RECORD)
    value = ref.record_value(suite, bytes.fromhex(there["salt"]), there["record"])
    absence = {name: there[name] for name in ("block", "hash", "id", "kind", "siblings", "type")} | {"what": "absence"}
    own = {"key": place.hex(), "value": value.hex()}
    with pytest.raises(ValueError, match="own"):
        _verify(ledger.receipt(absence | {"other": own}), ledger)
    _refused(ledger.receipt(absence), ledger)
    elsewhere = ledger.of_absence(2, "receivable", "r-0")
    far = next(
        name
        for name in (f"x-{number}" for number in range(99))
        if ref.record_key(suite, "receivable", name)[0] >> 7
        != bytes.fromhex(elsewhere.get("other", own)["key"])[0] >> 7
    )
    with pytest.raises(ValueError, match=r"on its way|another state"):
        _verify(ledger.receipt(elsewhere | {"id": far, "other": elsewhere.get("other", own)}), ledger)


def test_257_siblings_are_too_many() -> None:
    ledger = examples.LEDGER
    for count, reason in ((256, "another state"), (257, "more than 256")):
        with pytest.raises(ValueError, match=reason):
            _verify(ledger.receipt(ledger.of_record(2, *examples.RECORD) | {"siblings": ["00" * 32] * count}), ledger)


# ---- limits of what is committed to
@pytest.mark.parametrize(("spare", "depth", "fits"), [(0, 8, True), (1, 8, False), (0, 9, False)])
def test_records_and_instructions_end_at_16384_bytes_and_8_levels(spare: int, depth: int, fits: bool) -> None:
    ledger = examples.example_ledger()
    nested: Any = []
    for _ in range(depth - 2):
        nested = [nested]
    content: dict[str, Any] = {"id": "big", "nested": nested, "text": "", "type": "big.make"}
    content["text"] = "x" * (16_384 + spare - len(ref.canonical(content)))
    made = _transaction(ledger, ["shop"], {"shop/1": examples.SEEDS["shop/1"]}, [content])
    ledger.append(examples.START_MS + 9000, [ref.Step(made, [("big", "big", content, 0)])])
    for inner in (ledger.of_instruction(3, 0, 0), ledger.of_record(3, "big", "big"), ledger.of_change(3, 0, 0)):
        if fits:
            assert _verify(ledger.receipt(inner), ledger)["content"] == content
        else:
            _refused(ledger.receipt(inner), ledger)


@pytest.mark.parametrize(
    ("record_id", "fits"),
    [
        ("a" * 64, True),
        ("a" * 65, False),
        ("a b", True),
        ("a  b", False),
        ("a ", False),
        ("é", False),
        ("a/b:c.d_e-f", True),
        (" ".join(["a" * 49] * 4), True),
        (" ".join(["a" * 49] * 4) + "a", True),
        (" ".join(["a" * 50] * 4), False),
    ],
)
def test_ids_have_their_form(record_id: str, fits: bool) -> None:
    ledger = examples.LEDGER
    receipt = ledger.receipt(ledger.of_absence(2, "receivable", record_id))
    if fits:
        assert _verify(receipt, ledger)["id"] == record_id
    else:
        _refused(receipt, ledger)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("mode", "some"),
        ("by", ["shop", "a", "a"]),
        ("by", ["shop", "shop"]),
        ("by", ["shop", "z", "a"]),
        ("lane", "a b"),
        ("lane", ""),
        ("count", 4097),
        ("sequence", 0),
        ("type", "finchain.transaction.2"),
        ("ledger", "example.com/finchain#"),
        ("rulebook", 0),
        ("expires_ms", -1),
        ("more", 1),
    ],
)
def test_a_header_that_an_operator_spoilt_is_refused_though_it_is_committed_to(member: str, value: Any) -> None:
    ledger = examples.example_ledger()
    made = _transaction(ledger, ["shop"], {})
    made.header[member] = value
    made.sign({"shop/1": examples.SEEDS["shop/1"]})
    ledger.append(examples.START_MS + 9000, [ref.Step(made, [])])
    _refused(ledger.receipt(ledger.of_instruction(3, 0, 0)), ledger)


# ---- signers
SIDES = {"m1": ("maker", "Ann"), "m2": ("maker", "Bob"), "c1": ("checker", "Cay"), "c2": ("checker", "Ann")}
SIDES |= {"a1": ("any", "Dan"), "a2": ("any", "Eve"), "s1": ("service", "host"), "e1": ("any", "Fay")}
SEED_OF = {name: bytes([0x40 + number]) * 32 for number, name in enumerate(SIDES)}
NUMBER_OF = {name: number for number, name in enumerate(SIDES, 1)}


def _transaction(
    ledger: ref.Ledger, by: list[str], keys: dict[str, bytes], instructions: list[Any] | None = None
) -> ref.Transaction:
    made = ref.transaction(
        ledger.suite,
        ledger.ledger,
        by,
        instructions or [{"number": number, "type": "note.add"} for number in range(2)],
        salt=bytes([7]) * 16,
        sequence=2,
        expires_ms=examples.START_MS + ref.DAY_MS,
    )
    return made.sign(keys)


def _bank_ledger(threshold: int) -> ref.Ledger:
    """The example ledger and a bank whose keys have every duty; the last key has ended."""
    ledger = examples.example_ledger()
    writes: list[tuple[str, str, Any, int]] = [
        ("party", "bank", {"id": "bank", "keys": len(SIDES), "name": "B", "roles": [], "threshold": threshold}, 0)
    ]
    for name, (duty, holder) in SIDES.items():
        key = f"bank/{NUMBER_OF[name]}"
        record: dict[str, Any] = {"duty": duty, "holder": holder, "id": key, "party": "bank", "suite": "ed25519"}
        record["public_key"] = ref.base64_text(ref.public_key(SEED_OF[name]))
        writes.append(("key", key, record | ({"ended_ms": 5} if name == "e1" else {}), 0))
    made = _transaction(ledger, ["operator"], {"operator/1": examples.SEEDS["operator/1"]})
    ledger.append(examples.START_MS + 9000, [ref.Step(made, writes)])
    return ledger


@pytest.mark.parametrize(
    ("threshold", "signing", "reason"),
    [
        (1, "a1", None),
        (1, "m1", None),
        (1, "c1", None),
        (1, "s1", None),
        (1, "e1", "a member too many"),
        (1, "a1 a2", "threshold"),
        (1, "a1 s1", "threshold"),
        (2, "m1 c1", None),
        (2, "a1 a2", None),
        (2, "m1 a1", None),
        (2, "c1 a1", None),
        (2, "s1", None),
        (2, "m1 m2", "one side"),
        (2, "c1 c2", "one side"),
        (2, "m1 c2", "threshold"),
        (2, "a1", "threshold"),
        (2, "m1 c1 a1", "threshold"),
        (2, "m1 s1", "service"),
        (3, "m1 m2 c1", None),
        (3, "m1 m2 c2", "threshold"),
        (3, "m1 c1", "threshold"),
    ],
)
def test_a_party_is_bound_by_its_threshold_of_holders_on_both_sides(
    threshold: int, signing: str, reason: str | None
) -> None:
    ledger = _bank_ledger(threshold)
    keys = {f"bank/{NUMBER_OF[name]}": SEED_OF[name] for name in signing.split()}
    ledger.append(examples.START_MS + 9999, [ref.Step(_transaction(ledger, ["bank"], keys), [])])
    receipt = ledger.receipt(ledger.of_instruction(4, 0, 1, signers=True))
    if reason is None:
        assert _verify(receipt, ledger)["signatures_judged"] is True
    else:
        with pytest.raises(ValueError, match=reason):
            _verify(receipt, ledger)
    unjudged = _verify(ledger.receipt(ledger.of_instruction(4, 0, 1)), ledger)
    assert unjudged["signatures_judged"] is False


def test_each_party_signs_and_nobody_else() -> None:
    ledger = _bank_ledger(2)
    shop = {"shop/1": examples.SEEDS["shop/1"]}
    bank = {"bank/1": SEED_OF["m1"], "bank/3": SEED_OF["c1"]}
    cases: list[tuple[list[str], dict[str, bytes], str | None]] = [
        (["shop", "bank"], shop | bank, None),
        (["bank", "shop"], shop | bank, None),
        (["shop", "bank"], shop, "threshold of bank"),
        (["shop", "bank"], bank, "threshold of shop"),
        (["shop"], shop | bank, "superfluous"),
        (["shop"], {"shop/1": examples.SEEDS["operator/1"]}, "not the key's"),
    ]
    for by, keys, reason in cases:
        ledger.append(examples.START_MS + 9999, [ref.Step(_transaction(ledger, by, keys), [])])
        receipt = ledger.receipt(ledger.of_instruction(len(ledger.blocks) - 1, 0, 0, signers=True))
        if reason is None:
            assert _verify(receipt, ledger)["signatures_judged"]
        else:
            with pytest.raises(ValueError, match=reason):
                _verify(receipt, ledger)


def test_signers_are_read_from_the_block_before_and_from_no_other() -> None:
    ledger = examples.LEDGER
    inner = ledger.of_instruction(2, 0, 0, signers=True)
    older = inner["signers"] | {"block": ledger.blocks[0].header}
    _refused(ledger.receipt(inner | {"signers": older}), ledger)
    same = inner["signers"] | {"block": ledger.blocks[2].header}
    _refused(ledger.receipt(inner | {"signers": same}), ledger)


# ---- checkpoints
WITNESSES = {name: bytes([0x80 + number]) * 32 for number, name in enumerate(("w.example/1", "w.example/2"))}
WITNESS_KEYS = [ref.verifier_key(name, ref.public_key(seed), 4) for name, seed in WITNESSES.items()]


def test_a_quorum_of_known_witnesses_is_counted_once_each() -> None:
    ledger = examples.LEDGER
    note = ledger.checkpoint(witnesses=WITNESSES)
    one = ledger.checkpoint(witnesses={"w.example/1": WITNESSES["w.example/1"]})
    twice = one + one.splitlines(keepends=True)[-1]
    assert set(verifier.verify_checkpoint(note.encode(), ledger.trust, 2, WITNESS_KEYS)[2]) == set(WITNESSES)
    assert verifier.verify_checkpoint(note.encode(), ledger.trust, 0, [])[2] == {}
    for text, keys, quorum in ((one, WITNESS_KEYS, 2), (twice, WITNESS_KEYS, 2), (note, WITNESS_KEYS[:1], 2)):
        with pytest.raises(ValueError, match="witnesses, 2 asked for"):
            verifier.verify_checkpoint(text.encode(), ledger.trust, quorum, keys)


def test_no_witnessed_checkpoint_survives_a_flipped_bit() -> None:
    ledger = examples.LEDGER
    for mutant in mutants.byte_flips(ledger.checkpoint(witnesses=WITNESSES).encode()):
        with pytest.raises(ValueError, match=r"."):
            verifier.verify_checkpoint(mutant, ledger.trust, 2, WITNESS_KEYS)


def test_unknown_signatures_are_passed_over_and_false_known_ones_are_not() -> None:
    ledger = examples.LEDGER
    note = ledger.checkpoint()
    stranger = ref.cosignature_line("stranger", bytes([3]) * 32, "another text\n", 1)
    assert verifier.verify_checkpoint((note + stranger).encode(), ledger.trust, 0, WITNESS_KEYS)[0] == 3
    false = ref.cosignature_line("w.example/1", WITNESSES["w.example/1"], "another text\n", 1)
    with pytest.raises(ValueError, match="not the key's"):
        verifier.verify_checkpoint((note + false).encode(), ledger.trust, 0, WITNESS_KEYS)


@pytest.mark.parametrize(
    "body",
    [
        "\n3\n{1}\n",
        "{0}\n03\n{1}\n",
        "{0}\n-3\n{1}\n",
        "{0}\n3\n{1}\nmore\n",
        "{0}\n3\n",
        "{0}\n3 \n{1}\n",
        "{0}\r\n3\n{1}\n",
        "{0}\n3\nAAAA\n",
        "{0}\n99999999999999999\n{1}\n",
        "{0}x\n3\n{1}\n",
        "{0}\n3\n{1}\t\n",
        "{0}\n\n3\n{1}\n",
    ],
)
def test_a_checkpoint_has_exactly_three_lines(body: str) -> None:
    text = body.format(examples.ORIGIN, ref.base64_text(examples.LEDGER.log_root(3)))
    note = ref.note(examples.ORIGIN, examples.LEDGER.seed, text)
    with pytest.raises(ValueError, match=r"."):
        verifier.verify_checkpoint(note.encode(), examples.LEDGER.trust, 0, [])


def test_a_verifier_key_must_be_whole() -> None:
    note, trust = examples.LEDGER.checkpoint().encode(), examples.LEDGER.trust
    flipped = [mutant.decode("latin-1") for mutant in mutants.byte_flips(trust.encode())]
    for spoilt in [*flipped, *(trust[:at] for at in range(len(trust)))]:
        with pytest.raises(ValueError, match=r"."):
            verifier.verify_checkpoint(note, spoilt, 0, [])
