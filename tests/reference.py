"""A slow and simple builder of everything in docs/format.md, written from that page alone.

It recurses where the library iterates, copies where the library shares, and keeps every ledger whole in memory, so
that each function can be read next to the sentence it follows. It runs no rule: the caller says what a transaction
writes and which instructions were refused. It makes the worked examples, and what the second verifier is tested on.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from second_suites import sm3

PURPOSE_BYTES = {
    "instruction": 0x02,
    "salt": 0x03,
    "entry": 0x04,
    "node": 0x05,
    "transaction": 0x06,
    "record key": 0x07,
    "record salt": 0x08,
    "record": 0x09,
    "state leaf": 0x0A,
    "field": 0x0B,
}
EMPTY = bytes(32)
LANE_INSTRUCTION = 2**32 - 1
BLOCK_ALIGNMENT = 4096
DAY_MS = 86_400_000

Json = Any
Id = tuple[str, str]
"""Kind and id of a record."""


# ---- 1 canonical JSON, 2 hashing
def canonical(value: Json) -> bytes:
    """Canonical JSON of a value that is known to lie within the subset."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def digest(suite: str, purpose: str, material: bytes) -> bytes:
    """`hash(purpose, material)`."""
    if suite == "blake3":
        return blake3(material, derive_key_context="finchain v1 " + purpose).digest()
    prefixed = bytes([PURPOSE_BYTES[purpose]]) + material
    return sm3(prefixed) if suite == "sm3" else hashlib.sha256(prefixed).digest()


def node_of(suite: str) -> Callable[[bytes, bytes], bytes]:
    """The inner node of a suite's trees."""
    return lambda left, right: digest(suite, "node", left + right)


def log_leaf(header: bytes) -> bytes:
    """Leaf of the block log, which is the block's hash."""
    return hashlib.sha256(b"\x00" + header).digest()


def log_node(left: bytes, right: bytes) -> bytes:
    """Inner node of the block log."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(count: int) -> int:
    half = 1
    while half * 2 < count:
        half *= 2
    return half


def tree(node: Callable[[bytes, bytes], bytes], leaves: Sequence[bytes], empty: bytes = EMPTY) -> bytes:
    """Root of RFC 9162 section 2.1.1 over leaves that are hashes already."""
    if len(leaves) < 2:
        return leaves[0] if leaves else empty
    half = _split(len(leaves))
    return node(tree(node, leaves[:half]), tree(node, leaves[half:]))


def path(node: Callable[[bytes, bytes], bytes], leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Inclusion proof of RFC 9162 section 2.1.3.1, from the leaf upwards."""
    assert 0 <= index < len(leaves)
    if len(leaves) == 1:
        return []
    half = _split(len(leaves))
    if index < half:
        return [*path(node, leaves[:half], index), tree(node, leaves[half:])]
    return [*path(node, leaves[half:], index - half), tree(node, leaves[:half])]


# ---- 3 transaction
def public_key(seed: bytes) -> bytes:
    """The 32 bytes of the public key that belongs to a seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(seed: bytes, message: bytes) -> bytes:
    """Ed25519 signature of RFC 8032."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def base64_text(raw: bytes) -> str:
    """Base64 with padding."""
    return base64.b64encode(raw).decode()


def instruction_salt(suite: str, salt: bytes, index: int) -> bytes:
    """`salt_i`."""
    return digest(suite, "salt", salt + index.to_bytes(4, "little"))[:16]


def instruction_leaf(suite: str, salt: bytes, index: int, instruction: Json) -> bytes:
    """Leaf `i` of a transaction."""
    return digest(suite, "instruction", instruction_salt(suite, salt, index) + canonical(instruction))


def possession_message(ledger: str, key_id: str, key: bytes) -> bytes:
    """What a key signs when it is enrolled."""
    return canonical(
        {"key": key_id, "ledger": ledger, "public_key": base64_text(key), "suite": "ed25519", "type": "finchain.key.1"}
    )


@dataclass
class Transaction:
    """Header, instructions, salt and signatures of one transaction."""

    suite: str
    header: dict[str, Json]
    instructions: list[Json]
    salt: bytes
    signatures: list[dict[str, str]] = field(default_factory=list)

    @property
    def leaves(self) -> list[bytes]:
        """The instructions' leaves."""
        return [instruction_leaf(self.suite, self.salt, i, one) for i, one in enumerate(self.instructions)]

    @property
    def id(self) -> bytes:
        """The transaction's id."""
        return digest(self.suite, "transaction", canonical(self.header))

    def sign(self, keys: Mapping[str, bytes]) -> Transaction:
        """Replaces the signatures by those of the keys, which map a key id to a seed."""
        message = canonical(self.header)
        self.signatures = [{"key": key, "signature": base64_text(sign(keys[key], message))} for key in sorted(keys)]
        return self

    @property
    def text(self) -> bytes:
        """The form in which it travels."""
        return canonical(
            {
                "header": self.header,
                "instructions": self.instructions,
                "salt": self.salt.hex(),
                "signatures": self.signatures,
            }
        )


def transaction(
    suite: str,
    ledger: str,
    by: Sequence[str],
    instructions: Sequence[Json],
    *,
    salt: bytes,
    sequence: int,
    expires_ms: int,
    lane: str = "main",
    mode: str = "all",
) -> Transaction:
    """Builds a transaction without signatures."""
    made = Transaction(suite, {}, list(instructions), salt)
    made.header = {
        "by": [by[0], *sorted(by[1:])],
        "count": len(instructions),
        "expires_ms": expires_ms,
        "lane": lane,
        "ledger": ledger,
        "mode": mode,
        "root": tree(node_of(suite), made.leaves).hex(),
        "rulebook": 1,
        "sequence": sequence,
        "type": "finchain.transaction.1",
    }
    return made


# ---- 5 state map
def record_key(suite: str, kind: str, record_id: str) -> bytes:
    """Place of a record in the state map."""
    return digest(suite, "record key", kind.encode() + b"\x00" + record_id.encode())


def record_salt(suite: str, before: bytes, salt_i: bytes, key: bytes) -> bytes:
    """A record's salt after a transaction; `before` is its salt until then, 16 zero bytes for a new record."""
    return digest(suite, "record salt", before + salt_i + key)[:16]


def record_value(suite: str, salt: bytes, record: Json) -> bytes:
    """What stands for a record in the state map."""
    return digest(suite, "record", salt + canonical(record))


def state_leaf(suite: str, key: bytes, value: bytes) -> bytes:
    """Leaf of the state map."""
    return digest(suite, "state leaf", key + value)


def bit(key: bytes, depth: int) -> int:
    """Bit of a key that decides at a depth: 0 goes left."""
    return int(f"{int.from_bytes(key, 'big'):0256b}"[depth])


def state_root(suite: str, values: Mapping[bytes, bytes], depth: int = 0) -> bytes:
    """Hash of the subtree that holds these keys, all of which agree in the first `depth` bits."""
    if not values:
        return EMPTY
    if len(values) == 1:
        [(key, value)] = values.items()
        return state_leaf(suite, key, value)
    left, right = ({key: value for key, value in values.items() if bit(key, depth) == side} for side in (0, 1))
    return node_of(suite)(state_root(suite, left, depth + 1), state_root(suite, right, depth + 1))


def state_walk(
    suite: str, values: Mapping[bytes, bytes], key: bytes, depth: int = 0
) -> tuple[list[bytes], tuple[bytes, bytes] | None]:
    """Siblings from the top down, and the key and value of the leaf where the walk ends, if it ends at one."""
    if len(values) < 2:
        return [], next(iter(values.items()), None)
    near = {other: value for other, value in values.items() if bit(other, depth) == bit(key, depth)}
    far = {other: value for other, value in values.items() if other not in near}
    siblings, end = state_walk(suite, near, key, depth + 1)
    return [state_root(suite, far, depth + 1), *siblings], end


# ---- 4.4 checkpoint
def key_id(name: str, key: bytes, algorithm: int = 1) -> bytes:
    """Id of a note key: algorithm 1 is a log's, 4 a witness's, 6 either's by ML-DSA-44."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + key).digest()[:4]


def verifier_key(name: str, key: bytes, algorithm: int = 1) -> str:
    """Text of a verifier key."""
    return f"{name}+{key_id(name, key, algorithm).hex()}+{base64_text(bytes([algorithm]) + key)}"


def checkpoint_body(origin: str, size: int, log_root: bytes) -> str:
    """The three lines of a checkpoint."""
    return f"{origin}\n{size}\n{base64_text(log_root)}\n"


def note(name: str, seed: bytes, body: str) -> str:
    """A signed note with one signature."""
    signed = key_id(name, public_key(seed)) + sign(seed, body.encode())
    return f"{body}\n— {name} {base64_text(signed)}\n"


def cosignature_line(name: str, seed: bytes, body: str, seconds: int) -> str:
    """A witness's line under a checkpoint, of C2SP tlog-cosignature."""
    signature = sign(seed, f"cosignature/v1\ntime {seconds}\n{body}".encode())
    return f"— {name} {base64_text(key_id(name, public_key(seed), 4) + seconds.to_bytes(8, 'big') + signature)}\n"


def post_quantum_key(seed: bytes) -> MLDSA44PrivateKey:
    """The ML-DSA-44 key of a seed."""
    return MLDSA44PrivateKey.from_seed_bytes(seed)


def post_quantum_verifier_key(name: str, seed: bytes) -> str:
    """Text of the verifier key of a log or a witness with an ML-DSA-44 key."""
    return verifier_key(name, post_quantum_key(seed).public_key().public_bytes_raw(), 6)


def cosigned_message(name: str, seconds: int, body: str, start: int = 0) -> bytes:
    """What an ML-DSA-44 cosigner signs of a checkpoint, of C2SP tlog-cosignature."""
    origin, size, log_root = body.splitlines()
    names = [bytes([len(text.encode())]) + text.encode() for text in (name, origin)]
    numbers = [number.to_bytes(8, "big") for number in (seconds, start, int(size))]
    return b"subtree/v1\n\0" + names[0] + numbers[0] + names[1] + b"".join(numbers[1:]) + base64.b64decode(log_root)


def post_quantum_line(name: str, seed: bytes, body: str, seconds: int = 0) -> str:
    """A line by an ML-DSA-44 key: a log's own under its origin and second 0, or a witness's. No two are the same."""
    key = post_quantum_key(seed)
    signature = key.sign(cosigned_message(name, seconds, body))
    signed = key_id(name, key.public_key().public_bytes_raw(), 6) + seconds.to_bytes(8, "big") + signature
    return f"— {name} {base64_text(signed)}\n"


def signed_mark(origin: str, size: int, log_root: bytes) -> bytes:
    """The file that remembers the largest checkpoint that was ever signed."""
    return canonical({"origin": origin, "root": log_root.hex(), "size": size, "type": "finchain.signed.1"}) + b"\n"


# ---- 7 on disk
def ledger_file(ledger: str) -> bytes:
    """`ledger.json`."""
    return canonical({"format": 1, "ledger": ledger, "type": "finchain.ledger.1"}) + b"\n"


def copy_file(ledger: str) -> bytes:
    """`copy`."""
    return canonical({"ledger": ledger, "type": "finchain.copy.1"}) + b"\n"


def frame(height: int, first_block: bytes, payload: bytes) -> bytes:
    """A frame with its padding; `first_block` is the hash of block 0."""
    head = b"FCB\x01" + len(payload).to_bytes(4, "little") + height.to_bytes(8, "little") + first_block[:16]
    head += blake3(payload).digest()[:16]
    head += blake3(head).digest()[:16]
    return head + payload + bytes(-(len(head) + len(payload)) % BLOCK_ALIGNMENT)


# ---- 4 blocks, and a whole ledger
@dataclass
class Step:
    """A transaction with its outcome: what it wrote, in order, each record by the index of the last instruction."""

    transaction: Transaction
    writes: list[tuple[str, str, Json, int]]
    refused: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Block:
    """A block with everything that receipts about it need."""

    header: dict[str, Json]
    steps: list[Step]
    entries: list[dict[str, Json]]
    changes: list[list[tuple[Id, bytes, Json]]]
    state: dict[Id, tuple[bytes, Json]]

    @property
    def hash(self) -> bytes:
        """The block's hash, a leaf of the block log."""
        return log_leaf(canonical(self.header))

    @property
    def payload(self) -> bytes:
        """The lines of its frame."""
        lines = [canonical(self.header)]
        for step, entry in zip(self.steps, self.entries, strict=True):
            made = step.transaction
            lines += [canonical(entry), made.salt.hex().encode(), canonical(made.instructions)]
        return b"".join(line + b"\n" for line in lines)


class Ledger:
    """All blocks and states of a ledger, in memory; `seed` is that of its checkpoint key."""

    def __init__(self, suite: str, origin: str, seed: bytes) -> None:
        self.suite, self.origin, self.seed = suite, origin, seed
        self.blocks: list[Block] = []

    @property
    def ledger(self) -> str:
        """The `ledger` member of what is made next."""
        return f"{self.origin}#{self.blocks[0].hash.hex() if self.blocks else ''}"

    @property
    def trust(self) -> str:
        """The verifier key."""
        return verifier_key(self.origin, public_key(self.seed))

    def append(self, time_ms: int, steps: Sequence[Step]) -> Block:
        """Adds a block that holds the transactions in this order."""
        state = dict(self.blocks[-1].state) if self.blocks else {}
        entries, changes = [], []
        for step in steps:
            written = self._write(step, state)
            entries.append(self._entry(step, written))
            changes.append(written)
        header = {
            "entries": len(entries),
            "height": len(self.blocks),
            "ledger": self.ledger,
            "previous": (self.blocks[-1].hash if self.blocks else EMPTY).hex(),
            "root": tree(node_of(self.suite), self._entry_leaves(entries)).hex(),
            "rulebook": 1,
            "state": state_root(self.suite, self._values(state)).hex(),
            "time_ms": time_ms,
            "type": "finchain.block.1",
        }
        self.blocks.append(Block(header, list(steps), entries, changes, state))
        return self.blocks[-1]

    def _write(self, step: Step, state: dict[Id, tuple[bytes, Json]]) -> list[tuple[Id, bytes, Json]]:
        made = step.transaction
        sender = made.header["by"][0]
        lane_id = f"{sender} {made.header['lane']}"
        lane = {"id": lane_id, "sequence": made.header["sequence"], "transaction": made.id.hex()}
        written = []
        for kind, record_id, record, index in [*step.writes, ("lane", lane_id, lane, LANE_INSTRUCTION)]:
            before = state.get((kind, record_id), (bytes(16), None))[0]
            place = record_key(self.suite, kind, record_id)
            salt = record_salt(self.suite, before, instruction_salt(self.suite, made.salt, index), place)
            state[kind, record_id] = (salt, record)
            written.append(((kind, record_id), salt, record))
        return written

    def _leaf(self, name: Id, salt: bytes, record: Json) -> bytes:
        return state_leaf(self.suite, record_key(self.suite, *name), record_value(self.suite, salt, record))

    def _change_leaves(self, written: list[tuple[Id, bytes, Json]]) -> list[bytes]:
        return [self._leaf(*one) for one in written]

    def _entry(self, step: Step, written: list[tuple[Id, bytes, Json]]) -> dict[str, Json]:
        return {
            "changes": tree(node_of(self.suite), self._change_leaves(written)).hex(),
            "header": step.transaction.header,
            "refused": [{"code": code, "instruction": index} for index, code in sorted(step.refused)],
            "signatures": step.transaction.signatures,
            "writes": len(written),
        }

    def _entry_leaves(self, entries: Sequence[Json]) -> list[bytes]:
        return [digest(self.suite, "entry", canonical(entry)) for entry in entries]

    def _values(self, state: Mapping[Id, tuple[bytes, Json]]) -> dict[bytes, bytes]:
        return {
            record_key(self.suite, *name): record_value(self.suite, salt, record)
            for name, (salt, record) in state.items()
        }

    def log_root(self, size: int) -> bytes:
        """Root of the block log over the first blocks."""
        leaves = [block.hash for block in self.blocks[:size]]
        return tree(log_node, leaves, hashlib.sha256(b"").digest())

    def checkpoint(self, size: int | None = None, witnesses: Mapping[str, bytes] | None = None) -> str:
        """A checkpoint over the first `size` blocks; witnesses map a name to a seed and sign at second 1774000000."""
        size = len(self.blocks) if size is None else size
        body = checkpoint_body(self.origin, size, self.log_root(size))
        lines = [cosignature_line(name, seed, body, 1_774_000_000) for name, seed in (witnesses or {}).items()]
        return note(self.origin, self.seed, body) + "".join(lines)

    # ---- 6 receipts
    def receipt(self, inner: Json, checkpoint: str | None = None) -> bytes:
        """The text of a receipt around an inner half."""
        checkpoint = checkpoint or self.checkpoint()
        height, size = inner["block"]["height"], int(checkpoint.split("\n")[1])
        hashes = path(log_node, [block.hash for block in self.blocks[:size]], height)
        top = ["c2sp.org/tlog-proof@v1", f"extra {base64_text(canonical(inner))}", f"index {height}"]
        return ("\n".join([*top, *map(base64_text, hashes)]) + "\n\n" + checkpoint).encode()

    def _frame_of(self, height: int, what: str) -> dict[str, Json]:
        return {
            "block": self.blocks[height].header,
            "hash": self.suite,
            "type": "finchain.receipt.1",
            "what": what,
        }

    def _in_entry(self, height: int, entry: int, what: str) -> dict[str, Json]:
        entries = self.blocks[height].entries
        hashes = path(node_of(self.suite), self._entry_leaves(entries), entry)
        return self._frame_of(height, what) | {
            "entry": entries[entry],
            "entry_index": entry,
            "entry_path": [one.hex() for one in hashes],
        }

    def _at(self, height: int, kind: str, record_id: str) -> dict[str, Json]:
        state = self.blocks[height].state
        siblings, _ = state_walk(self.suite, self._values(state), record_key(self.suite, kind, record_id))
        salt, record = state[kind, record_id]
        return {
            "id": record_id,
            "kind": kind,
            "record": record,
            "salt": salt.hex(),
            "siblings": [one.hex() for one in siblings],
        }

    def of_instruction(self, height: int, entry: int, index: int, signers: bool = False) -> dict[str, Json]:
        """Inner half: this instruction is in this block."""
        made = self.blocks[height].steps[entry].transaction
        inner = self._in_entry(height, entry, "instruction") | {
            "index": index,
            "instruction": made.instructions[index],
            "path": [one.hex() for one in path(node_of(self.suite), made.leaves, index)],
            "salt": instruction_salt(self.suite, made.salt, index).hex(),
        }
        if signers:
            keys = sorted(one["key"] for one in made.signatures)
            names = [("key", key) for key in keys] + [("party", party) for party in sorted(made.header["by"])]
            inner["signers"] = {
                "block": self.blocks[height - 1].header,
                "records": [self._at(height - 1, *name) for name in names],
            }
        return inner

    def of_record(self, height: int, kind: str, record_id: str) -> dict[str, Json]:
        """Inner half: at the end of this block the record was this."""
        return self._frame_of(height, "record") | self._at(height, kind, record_id)

    def of_change(self, height: int, entry: int, index: int) -> dict[str, Json]:
        """Inner half: after this transaction the record was this."""
        written = self.blocks[height].changes[entry]
        (kind, record_id), salt, record = written[index]
        return self._in_entry(height, entry, "change") | {
            "id": record_id,
            "index": index,
            "kind": kind,
            "path": [one.hex() for one in path(node_of(self.suite), self._change_leaves(written), index)],
            "record": record,
            "salt": salt.hex(),
        }

    def of_absence(self, height: int, kind: str, record_id: str) -> dict[str, Json]:
        """Inner half: at the end of this block there was no such record."""
        values = self._values(self.blocks[height].state)
        siblings, end = state_walk(self.suite, values, record_key(self.suite, kind, record_id))
        inner = self._frame_of(height, "absence") | {
            "id": record_id,
            "kind": kind,
            "siblings": [one.hex() for one in siblings],
        }
        if end is not None:
            inner["other"] = {"key": end[0].hex(), "value": end[1].hex()}
        return inner


# ---- 3.3 the exact Algorithm 2 of "Taming the many EdDSAs", in affine coordinates
FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, -1, FIELD) % FIELD
Point = tuple[int, int]


def decode_point(encoded: bytes) -> Point | None:
    """The point of a canonical encoding, else None."""
    number = int.from_bytes(encoded, "little")
    y, sign = number % 2**255, number >> 255
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    if x * x % FIELD != square or y >= FIELD or len(encoded) != 32 or (x == 0 and sign):
        return None
    return (x if x % 2 == sign else FIELD - x, y)


def encode_point(point: Point) -> bytes:
    """The canonical encoding of a point."""
    return (point[1] + (point[0] % 2 << 255)).to_bytes(32, "little")


def add_points(one: Point, two: Point) -> Point:
    """The complete addition law of the curve."""
    (x1, y1), (x2, y2) = one, two
    product = CURVE_D * x1 * x2 * y1 * y2 % FIELD
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, FIELD) % FIELD
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, FIELD) % FIELD


def multiply_point(number: int, point: Point) -> Point:
    """`[number]point`."""
    total = (0, 1)
    for digit in f"{number:b}":
        total = add_points(total, total)
        total = add_points(total, point) if digit == "1" else total
    return total


BASE = decode_point((4 * pow(5, -1, FIELD) % FIELD).to_bytes(32, "little"))


def accepts(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether Algorithm 2 accepts, with the factor 8 that most libraries leave out."""
    a, r, s = decode_point(key), decode_point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER or len(signature) != 64 or multiply_point(8, a) == (0, 1):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    assert BASE is not None
    return multiply_point(8 * s, BASE) == multiply_point(8, add_points(r, multiply_point(k, a)))
