"""The worked examples of docs/format.md, made from one tiny ledger with fixed seeds, salts and times.

    python tests/format_examples.py --write    replaces the examples in the page
    python tests/format_examples.py --check    fails where the page differs

An example stands between `<!-- example NAME -->` and `<!-- end -->`. Nothing here reads a clock or draws at random. The
seeds are public: never use one of these keys.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import reference as ref
import second_suites
import second_verifier
from reference import Json

PAGE = Path(__file__).resolve().parent.parent / "docs" / "format.md"
MARKED = re.compile(r"<!-- example ([a-z0-9-]+) -->\n(.*?)<!-- end -->", re.DOTALL)

KEPT_SIGNATURE = Path(__file__).with_name("ml_dsa_44_signature.txt")
"""Base64 of a signature, by the key whose seed is that of `shop/1`, over the header of the example `header`."""

KEPT_LINE = Path(__file__).with_name("ml_dsa_44_checkpoint_line.txt")
"""The line of `reference.post_quantum_line` under the example `checkpoint`, by the key whose seed is the log's."""

ORIGIN = "example.com/finchain"
START_MS = 1_774_000_000_000
WITNESS = "witness.example"
SEEDS = {name: bytes([number]) * 32 for number, name in enumerate(("operator/1", "shop/1", ORIGIN, WITNESS), 1)}
SALTS = [bytes([0xA0 + height]) * 16 for height in range(3)]
SUITES = ("blake3", "sha256", "sm3")

ACCEPTED = [
    "{}",
    "[]",
    '""',
    "0",
    "-1",
    "9007199254740991",
    "true",
    '{"a":[1,2,{"b":""}],"b":false}',
    '{"A":1,"a":2,"a b":3,"aa":4}',
    '"5 \u20ac / \u5e94\u6536 / \U0001f9fe"',
    '"\\"\\\\/"',
]
REFUSED: list[tuple[str | bytes, str]] = [
    ('{"b":1,"a":2}', "members are not sorted"),
    ('{"a":1,"a":1}', "a member twice"),
    ('{"a": 1}', "white space"),
    ("[1,]", "a comma too many"),
    ("{}\n", "something after the value"),
    ("", "no value"),
    ("null", "null"),
    ("1.0", "a fraction"),
    ("1e3", "an exponent"),
    ("-0", "minus zero"),
    ("01", "a leading zero"),
    ("9007199254740992", "beyond 2^53-1"),
    ('"\\u0041"', "another escape"),
    ('"\\n"', "another escape"),
    ('"\\/"', "another escape"),
    ('"\x1f"', "a control character"),
    ('"\x7f"', "a control character"),
    ('"\x85"', "a control character"),
    ('{"":1}', "an empty name"),
    ('{"\u00e9":1}', "a name beyond ASCII"),
    ("\ufeff{}", "a byte order mark"),
    (b'"\xed\xa0\x80"', "a surrogate"),
    (b'"\xc0\xaf"', "not UTF-8"),
]


def example_ledger(suite: str = "blake3") -> ref.Ledger:
    """Three blocks: the ledger is created, a shop is registered, it submits three receivables of which one fails."""
    ledger = ref.Ledger(suite, ORIGIN, SEEDS[ORIGIN])
    create = {"hash": suite, "operator": "operator", "origin": ORIGIN, "type": "ledger.create"}
    operator = [*_party("operator", "operator"), *_key("operator/1", "Ada Lovelace")]
    _append(ledger, "operator", [create], operator, lane="create")
    possession = ref.sign(SEEDS["shop/1"], ref.possession_message(ledger.ledger, "shop/1", _public("shop/1")))
    register = {"party": "shop", "possession": ref.base64_text(possession), "type": "party.register"}
    _append(ledger, "operator", [register], [*_party("shop", "supplier"), *_key("shop/1", "Grace Hopper")])
    amounts = [("r-7f3a91", 125_000), ("r-c04e17", 0), ("r-19bd52", 990)]
    submits: list[Json] = [{"amount_minor": one, "id": name, "type": "receivable.submit"} for name, one in amounts]
    records = [
        ("receivable", name, {"amount_minor": one, "id": name, "seller": "shop"}, index)
        for index, (name, one) in enumerate(amounts)
        if one
    ]
    _append(ledger, "shop", submits, records, mode="each", refused=[(1, "receivable.amount")])
    return ledger


def _public(key: str) -> bytes:
    return ref.public_key(SEEDS[key])


def _party(party: str, role: str) -> list[tuple[str, str, Json, int]]:
    record = {"id": party, "keys": 1, "name": f"The {party}", "roles": [role], "threshold": 1}
    return [("party", party, record, 0)]


def _key(key: str, holder: str) -> list[tuple[str, str, Json, int]]:
    record = {
        "duty": "any",
        "holder": holder,
        "id": key,
        "party": key.split("/")[0],
        "public_key": ref.base64_text(_public(key)),
        "suite": "ed25519",
    }
    return [("key", key, record, 0)]


def _append(
    ledger: ref.Ledger,
    party: str,
    instructions: list[Json],
    writes: list[tuple[str, str, Json, int]],
    *,
    lane: str = "main",
    mode: str = "all",
    refused: list[tuple[int, str]] | None = None,
) -> None:
    height = len(ledger.blocks)
    time_ms = START_MS + height * 1000
    made = ref.transaction(
        ledger.suite,
        ledger.ledger,
        [party],
        instructions,
        salt=SALTS[height],
        sequence=1,
        expires_ms=time_ms + ref.DAY_MS,
        lane=lane,
        mode=mode,
    )
    key = f"{party}/1"
    ledger.append(time_ms, [ref.Step(made.sign({key: SEEDS[key]}), writes, refused or [])])


LEDGERS = {suite: example_ledger(suite) for suite in SUITES}
LEDGER = LEDGERS["blake3"]
LAST = LEDGER.blocks[2]
SUBMITTED = LAST.steps[0].transaction
RECORD = ("receivable", "r-7f3a91")


def _lines(*pairs: tuple[str, bytes | str | int]) -> str:
    """A name and a value on each line; bytes in hex."""
    width = max(len(name) for name, _ in pairs)
    return "".join(
        f"{name:<{width}}  {value.hex() if isinstance(value, bytes) else value}".rstrip() + "\n"
        for name, value in pairs
    )


def _text(raw: bytes) -> str:
    return raw.decode().removesuffix("\n") + "\n"


def _numbered(name: str, hashes: list[bytes]) -> list[tuple[str, bytes]]:
    return [(f"{name} {number}", one) for number, one in enumerate(hashes)]


def _sample(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    printable = isinstance(text, str) and text.isprintable() and text != "" and "\ufeff" not in text
    return raw.decode() if printable else f"hex {raw.hex()}".rstrip()


def canonical_accepted() -> str:
    """Samples within the subset."""
    return "".join(f"{text}\n" for text in ACCEPTED)


def canonical_refused() -> str:
    """Samples outside it, with the reason."""
    return "".join(f"{_sample(text):<20}  {reason}\n" for text, reason in REFUSED)


def hashes() -> str:
    """Every purpose in both suites over the empty input and over `abc`."""
    lines = []
    for suite in SUITES:
        for purpose in ref.PURPOSE_BYTES:
            for written, material in (('""', b""), ('"abc"', b"abc")):
                lines.append((f"{suite} {purpose} {written}", ref.digest(suite, purpose, material)))
    return _lines(*lines)


def trees() -> str:
    """Trees of 0 to 3 leaves, a path, and the block log's counterpart."""
    leaves = [bytes([number]) * 32 for number in (1, 2, 3)]
    lines: list[tuple[str, bytes]] = []
    for suite in SUITES:
        lines += [(f"{suite} tree of {count}", ref.tree(ref.node_of(suite), leaves[:count])) for count in range(4)]
        for index in (0, 2):
            steps = ref.path(ref.node_of(suite), leaves, index)
            lines += _numbered(f"{suite} path of leaf {index} of 3, hash", steps)
    empty = hashlib.sha256(b"").digest()
    lines += [(f"block log tree of {count}", ref.tree(ref.log_node, leaves[:count], empty)) for count in range(4)]
    lines += _numbered("block log path of leaf 0 of 3, hash", ref.path(ref.log_node, leaves, 0))
    return _lines(*lines)


def keys() -> str:
    """Seeds and public keys of everyone in the examples."""
    lines: list[tuple[str, bytes]] = []
    for name, seed in SEEDS.items():
        lines += [(f"{name} seed", seed), (f"{name} public key", ref.public_key(seed))]
    return _lines(*lines)


def header() -> str:
    """Header and id of the shop's transaction."""
    return ref.canonical(SUBMITTED.header).decode() + "\n\n" + _lines(("transaction id", SUBMITTED.id))


def transaction() -> str:
    """The whole transaction as it travels."""
    return SUBMITTED.text.decode() + "\n"


def instructions() -> str:
    """Instructions with their salts and leaves, and the tree over them."""
    lines: list[tuple[str, bytes | str]] = [("salt", SUBMITTED.salt)]
    for index, one in enumerate(SUBMITTED.instructions):
        lines += [
            (f"instruction {index}", ref.canonical(one).decode()),
            (f"salt_{index}", ref.instruction_salt("blake3", SUBMITTED.salt, index)),
            (f"leaf {index}", SUBMITTED.leaves[index]),
        ]
    lines.append(("root", ref.tree(ref.node_of("blake3"), SUBMITTED.leaves)))
    lines += _numbered("path of leaf 0, hash", ref.path(ref.node_of("blake3"), SUBMITTED.leaves, 0))
    return _lines(*lines)


def signature() -> str:
    """The shop's signature over the header."""
    made = SUBMITTED.signatures[0]
    return _lines(("key", made["key"]), ("signature", base64.b64decode(made["signature"])))


def suites() -> str:
    """Signatures over the same header by keys of the other suites."""
    message = ref.canonical(SUBMITTED.header)
    secret = ec.derive_private_key(2**200 + 1, ec.SECP256R1())
    point = secret.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    r, s = decode_dss_signature(secret.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True)))
    p256 = r.to_bytes(32, "big") + min(s, second_suites.P256_ORDER - s).to_bytes(32, "big")
    sm2 = second_suites.compressed(second_suites.times(2**200 + 2, second_suites.G))
    lines: list[tuple[str, bytes | str]] = [
        ("p256 key", point),
        ("p256 signature", p256),
        ("sm2 key", sm2),
        ("sm2 signature, usual identity", second_suites.sm2_sign(2**200 + 2, 2**200 + 3, message)),
        ("sm2 signature, identity CN=Shop", second_suites.sm2_sign(2**200 + 2, 2**200 + 3, message, "CN=Shop")),
    ]
    post_quantum = mldsa.MLDSA44PrivateKey.from_seed_bytes(SEEDS["shop/1"]).public_key().public_bytes_raw()
    # Drawn at random once, and kept: one of very many that hold. It must be drawn anew where the header changes.
    kept = base64.b64decode(KEPT_SIGNATURE.read_text())
    second_suites.verify("ml-dsa-44", post_quantum, kept, message)
    return _lines(*lines, ("ml-dsa-44 key", post_quantum), ("ml-dsa-44 signature", kept))


def possession() -> str:
    """What the shop's key signed when it was enrolled, in the second block."""
    message = ref.possession_message(LEDGER.ledger, "shop/1", _public("shop/1"))
    return message.decode() + "\n\n" + _lines(("signature", ref.sign(SEEDS["shop/1"], message)))


def entry() -> str:
    """The entry of the shop's transaction, the leaves under `changes`, and the entry's leaf."""
    made = LAST.entries[0]
    written = LAST.changes[0]
    leaves: list[tuple[str, bytes | str]] = []
    for (kind, name), salt, record in written:
        place = ref.record_key("blake3", kind, name)
        leaves.append((f"{kind} {name}", ref.state_leaf("blake3", place, ref.record_value("blake3", salt, record))))
    leaves += [("changes", made["changes"]), ("entry leaf", ref.digest("blake3", "entry", ref.canonical(made)))]
    return ref.canonical(made).decode() + "\n\n" + _lines(*leaves)


def block_zero() -> str:
    """Block 0: header and hash."""
    first = LEDGER.blocks[0]
    create = ref.canonical(first.steps[0].transaction.instructions[0]).decode()
    return f"{create}\n{ref.canonical(first.header).decode()}\n\n" + _lines(("block hash", first.hash))


def block() -> str:
    """The last block: header and hash."""
    return ref.canonical(LAST.header).decode() + "\n\n" + _lines(("block hash", LAST.hash))


def checkpoint() -> str:
    """The checkpoint over the three blocks, with a witness, and the keys that verify it."""
    vkeys = [
        ("verifier key", LEDGER.trust),
        ("witness key", ref.verifier_key(WITNESS, _public(WITNESS), 4)),
    ]
    log = [*_numbered("block hash", [one.hash for one in LEDGER.blocks]), ("block log root", LEDGER.log_root(3))]
    witnessed = LEDGER.checkpoint(witnesses={WITNESS: SEEDS[WITNESS]})
    return _lines(*vkeys, *log) + "\n" + witnessed


def checkpoint_by_ml_dsa() -> str:
    """The same checkpoint, signed by a log whose key is of suite ml-dsa-44."""
    trust = ref.post_quantum_verifier_key(ORIGIN, SEEDS[ORIGIN])
    body = ref.checkpoint_body(ORIGIN, 3, LEDGER.log_root(3))
    message = ref.cosigned_message(ORIGIN, 0, body)
    # Drawn at random once, as the signature of the example `suites`; drawn anew where a block of the example changes.
    note = f"{body}\n{KEPT_LINE.read_text(encoding='utf-8')}"
    second_verifier.verify_checkpoint(note.encode(), trust, 0, [])
    return _lines(("verifier key", trust), ("signed message", message)) + "\n" + note


def records() -> str:
    """The records the core reads, and one of the domain: key, salt, record, value, leaf."""
    parts = []
    for kind, name in (("party", "shop"), ("key", "shop/1"), ("lane", "shop main"), RECORD):
        salt, record = LAST.state[kind, name]
        place = ref.record_key("blake3", kind, name)
        value = ref.record_value("blake3", salt, record)
        parts.append(
            _lines(
                ("kind and id", f"{kind}, {name}"),
                ("key", place),
                ("salt", salt),
                ("record", ref.canonical(record).decode()),
                ("value", value),
                ("leaf", ref.state_leaf("blake3", place, value)),
            )
        )
    return "\n".join(parts)


def _values(count: int) -> dict[bytes, bytes]:
    state = list(LAST.state.items())[:count]
    return {ref.record_key("blake3", *name): ref.record_value("blake3", salt, record) for name, (salt, record) in state}


def states() -> str:
    """Roots of maps with 0 to 3 records, and of a pair of keys that part late."""
    lines = [(f"state of {count}", ref.state_root("blake3", _values(count))) for count in range(4)]
    names = [f"record {number} is {kind}, {name}" for number, (kind, name) in enumerate(list(LAST.state)[:3])]
    late = {bytes(32): b"\x01" * 32, bytes(31) + b"\x20": b"\x02" * 32}
    lines.append(("state of two keys that agree in 250 bits", ref.state_root("blake3", late)))
    return "".join(f"{name}\n" for name in names) + "\n" + _lines(*lines)


def presence() -> str:
    """Siblings of a record in the state of the last block."""
    place = ref.record_key("blake3", *RECORD)
    every = _values(len(LAST.state))
    siblings, end = ref.state_walk("blake3", every, place)
    assert end is not None
    lines = [*_numbered("sibling", siblings), ("end: leaf", ref.state_leaf("blake3", *end)), ("key", place)]
    return _lines(*lines, ("state", LAST.header["state"]))


def absence() -> str:
    """Two records that are not there: one walk ends at another leaf, one at nothing."""
    every = _values(len(LAST.state))
    parts = []
    for wanted in (True, False):
        for number in range(100):
            place = ref.record_key("blake3", "receivable", f"r-{number}")
            siblings, end = ref.state_walk("blake3", every, place)
            if (end is not None) == wanted:
                break
        ends: list[tuple[str, bytes | str]] = [("end", "nothing")]
        if end is not None:
            ends = [("end: other key", end[0]), ("end: other value", end[1])]
        name = ("kind and id", f"receivable, r-{number}")
        steps = _numbered("sibling", siblings)
        parts.append(_lines(name, ("key", place), *steps, *ends, ("state", LAST.header["state"])))
    return "\n".join(parts)


def receipt() -> str:
    """The receipt of a record, and its inner half."""
    inner = LEDGER.of_record(2, *RECORD)
    return LEDGER.receipt(inner).decode() + "\n" + ref.canonical(inner).decode() + "\n"


def other_receipts() -> str:
    """Inner halves of the other three forms, the first with signers."""
    inners = [
        LEDGER.of_instruction(2, 0, 0, signers=True),
        LEDGER.of_change(2, 0, 0),
        LEDGER.of_absence(2, "receivable", "r-0"),
    ]
    return "\n".join(ref.canonical(inner).decode() + "\n" for inner in inners)


def frame() -> str:
    """Head of the frame of the second block, and its payload."""
    made = LEDGER.blocks[1]
    whole = ref.frame(1, LEDGER.blocks[0].hash, made.payload)
    parts = ((0, 4), (4, 4), (8, 8), (16, 16), (32, 16), (48, 16))
    head = [(f"offset {at}", whole[at : at + size]) for at, size in parts]
    sizes: list[tuple[str, bytes | int]] = [("payload bytes", len(made.payload)), ("frame bytes", len(whole))]
    return _lines(*head, *sizes) + "\n" + made.payload.decode()


def ledger_json() -> str:
    """`ledger.json`."""
    return _text(ref.ledger_file(LEDGER.ledger))


def signed_mark() -> str:
    """`signed`."""
    return _text(ref.signed_mark(ORIGIN, 3, LEDGER.log_root(3)))


def in_suite(suite: str) -> str:
    """The results of the same ledger in another suite."""
    other = LEDGERS[suite]
    lines: list[tuple[str, bytes | str]] = []
    for height, made in enumerate(other.blocks):
        lines += [
            (f"block {height} transaction id", made.steps[0].transaction.id),
            (f"block {height} entry leaf", made.header["root"]),
            (f"block {height} state", made.header["state"]),
            (f"block {height} hash", made.hash),
        ]
    return _lines(*lines, ("block log root", other.log_root(3)))


EXAMPLES: dict[str, Callable[[], str]] = {
    "canonical-accepted": canonical_accepted,
    "canonical-refused": canonical_refused,
    "hashes": hashes,
    "trees": trees,
    "keys": keys,
    "header": header,
    "instructions": instructions,
    "signature": signature,
    "transaction": transaction,
    "possession": possession,
    "entry": entry,
    "block-0": block_zero,
    "block": block,
    "checkpoint": checkpoint,
    "checkpoint-ml-dsa-44": checkpoint_by_ml_dsa,
    "records": records,
    "states": states,
    "presence": presence,
    "absence": absence,
    "receipt": receipt,
    "other-receipts": other_receipts,
    "frame": frame,
    "ledger-json": ledger_json,
    "signed-mark": signed_mark,
    "sha256": partial(in_suite, "sha256"),
    "sm3": partial(in_suite, "sm3"),
    "suites": suites,
}


def filled(page: str) -> str:
    """The page with every example made anew; raises KeyError for a marked name that has no example."""
    return MARKED.sub(lambda match: f"<!-- example {match[1]} -->\n```\n{EXAMPLES[match[1]]()}```\n<!-- end -->", page)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="replace the examples in docs/format.md")
    action.add_argument("--check", action="store_true", help="fail where they differ")
    chosen = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    made = filled(page)
    if chosen.write:
        PAGE.write_text(made, encoding="utf-8")
    elif made != page:
        print("docs/format.md: the examples differ; python tests/format_examples.py --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
