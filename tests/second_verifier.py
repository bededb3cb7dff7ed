"""A second verifier of receipts and checkpoints, written from docs/format.md alone.

It shares no line with the library: SHA-256 comes from hashlib, BLAKE3 from blake3, Ed25519 from cryptography, JSON and
Base64 from Python, the other suites from `second_suites`. `verify_receipt` and `verify_checkpoint` return what was
shown, or raise ValueError with the reason, as every function here does. They refuse each byte that the format does not
ask for, and judge no rule of the ledger.

Ed25519: cryptography verifies without the cofactor: it computes `[S]B - [k]A` and compares the encoding with R's bytes.
Whatever it accepts has a canonical R, and passes Algorithm 2 once S < L, a canonical A and an A of large order are
checked here. It differs the other way: where A or R has a component of small order, Algorithm 2 multiplies it away and
accepts, and this verifier refuses. No honest signer makes such a signature; `reference.py` has the exact equation.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from second_suites import sm3, verify

PURPOSES = ("instruction", "salt", "entry", "node", "transaction", "record key", "record salt", "record", "state leaf",
            "field")  # fmt: skip
INTEGER_MAX, BYTES_MAX, RECEIPT_BYTES_MAX, DEPTH_MAX = 2**53 - 1, 16_384, 524_288, 8
FORBIDDEN, NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"), re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
FIELD, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
TORSION_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022  # of two points of order 8
SMALL_ORDER_Y = {0, 1, FIELD - 1, TORSION_Y, FIELD - TORSION_Y}


def need(condition: object, reason: str) -> None:
    """Goes on if the condition holds, and otherwise refuses with the reason."""
    if not condition:
        raise ValueError(reason)


# ---- canonical JSON (1), Base64, hashing (2)
def canonical(value: Any, depth_max: int = 2 * DEPTH_MAX) -> bytes:
    """The canonical bytes of a value, which must have some."""
    if isinstance(value, (dict, list)):
        need(depth_max > 0, "canonical JSON: too deep")
        need(all(NAME.fullmatch(name) for name in value if isinstance(value, dict)), "canonical JSON: a member's name")
        for element in value.values() if isinstance(value, dict) else value:
            canonical(element, depth_max - 1)
    elif isinstance(value, str):
        need(not FORBIDDEN.search(value), "canonical JSON: a control character")
    else:
        need(isinstance(value, int) and abs(value) <= INTEGER_MAX, f"canonical JSON: {value!r}")
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def parse(raw: bytes, depth_max: int = 2 * DEPTH_MAX) -> Any:
    """The value of canonical JSON: bytes that are not given back one by one when it is written again are refused."""
    try:
        value = json.loads(raw.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("canonical JSON: too deep") from error
    need(canonical(value, depth_max) == raw, "canonical JSON: not the canonical bytes")
    return value


def unbase64(text: str, length: int) -> bytes:
    """Decodes Base64 of so many bytes (-1: any number) in its only spelling."""
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text and length in (len(raw), -1), f"Base64: not of {length} bytes")
    return raw


def digest(suite: str, purpose: str, material: bytes) -> bytes:
    """`hash(purpose, material)`, where the purposes' bytes start at 2; suite `log` is that of the block log."""
    if suite == "blake3":
        return blake3(material, derive_key_context=f"finchain v1 {purpose}").digest()
    number = ("leaf", "node").index(purpose) if suite == "log" else PURPOSES.index(purpose) + 2
    return (sm3 if suite == "sm3" else sha256)(bytes([number]) + material)


def sha256(material: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(material).digest()


def verify_ed25519(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Accepts as 3.3 asks, but for the cofactor (see above)."""
    need(len(public_key) == 32 and len(signature) == 64, "Ed25519: a wrong length")
    need(int.from_bytes(signature[32:], "little") < ORDER, "Ed25519: S is not below L")
    for encoded in (public_key, signature[:32]):
        sign, y = divmod(int.from_bytes(encoded, "little"), 2**255)
        need(y < FIELD, "Ed25519: y is not canonical")
        need(not (sign and y in (1, FIELD - 1)), "Ed25519: x is -0")
        need(encoded is not public_key or y not in SMALL_ORDER_Y, "Ed25519: the key is of small order")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature as error:
        raise ValueError("Ed25519: the signature is not the key's") from error


# ---- trees (2) and the state map (5.1)
def verify_inclusion(suite: str, leaf: bytes, index: int, size: int, path: Sequence[str], tree_hash: str) -> None:
    """RFC 9162 section 2.1.3.2, which also fixes the length of the path; path and tree hash are hex."""
    need(0 <= index < size, f"path: index {index} is not below {size}")
    position, last, current = index, size - 1, leaf
    for sibling in map(bytes.fromhex, path):
        need(last > 0, "path: too long")
        if position & 1 or position == last:
            current = digest(suite, "node", sibling + current)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            current = digest(suite, "node", current + sibling)
        position, last = position >> 1, last >> 1
    need(last == 0 and current.hex() == tree_hash, "path: too short, or it leads to another tree")


def state_leaf(suite: str, at: dict[str, Any]) -> bytes:
    """The leaf of a record, of its kind, id, salt and canonical bytes."""
    written = canonical(at["record"], DEPTH_MAX)
    need(len(written) <= BYTES_MAX, "record: too long")
    key = digest(suite, "record key", f"{at['kind']}\0{at['id']}".encode())
    return digest(suite, "state leaf", key + digest(suite, "record", bytes.fromhex(at["salt"]) + written))


def verify_state(suite: str, at: dict[str, Any], state: str) -> None:
    """The record of `at` is in the state; or none is, where `at` has no record: then the end is nothing or `other`."""
    key, siblings, end = digest(suite, "record key", f"{at['kind']}\0{at['id']}".encode()), at["siblings"], bytes(32)
    need(len(siblings) <= 256, "state: more than 256 siblings")
    if "record" in at:
        end = state_leaf(suite, at)
    elif "other" in at:
        other = bytes.fromhex(at["other"]["key"])
        shared = 256 - (int.from_bytes(other, "big") ^ int.from_bytes(key, "big")).bit_length()
        need(len(siblings) <= shared < 256, "absence: the other leaf is the record's own, or not on its way")
        end = digest(suite, "state leaf", other + bytes.fromhex(at["other"]["value"]))
    for depth in reversed(range(len(siblings))):
        sibling, right = bytes.fromhex(siblings[depth]), key[depth // 8] >> (7 - depth % 8) & 1
        end = digest(suite, "node", sibling + end if right else end + sibling)
    need(end.hex() == state, "state: the siblings lead to another state")


# ---- checkpoints (4.4)
def verifier_key(text: str, algorithm: int) -> tuple[tuple[str, bytes], bytes]:
    """Name and id, and algorithm and public key, of a verifier key: 1 is a log's, 4 a witness's, 6 of either."""
    name, key_id, encoded = [*text.split("+", 2), "", ""][:3]
    raw = unbase64(encoded, -1)
    need(re.fullmatch(r"[^\s+]+", name) and raw[:1] in (bytes([algorithm]), b"\x06"), "verifier key: malformed")
    need(len(raw) == (1313 if raw[0] == 6 else 33), "verifier key: its length")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    need(key_id == expected.hex(), "verifier key: the id is not that of its name and key")
    return (name, expected), raw


def verify_line(key: bytes, name: str, signature: bytes, text: str) -> int:
    """One line by a key of any algorithm under a checkpoint; returns its time, which is 0 for a log's Ed25519 key."""
    if key[0] == 1:
        verify_ed25519(key[1:], signature, text.encode())
        return 0
    seconds = int.from_bytes(signature[:8], "big")
    need(seconds < 2**63, "cosignature: its time")
    if key[0] == 4:
        verify_ed25519(key[1:], signature[8:], f"cosignature/v1\ntime {seconds}\n{text}".encode())
        return seconds
    origin, size, tree_hash, _ = text.split("\n")
    names = [one.encode() for one in (name, origin)]
    need(max(map(len, names)) < 256, "cosignature: a name of more than 255 bytes")
    message = [b"subtree/v1\n\0", bytes([len(names[0])]), names[0], signature[:8], bytes([len(names[1])]), names[1]]
    message += [bytes(8), int(size).to_bytes(8, "big"), unbase64(tree_hash, 32)]
    verify("ml-dsa-44", key[1:], signature[8:], b"".join(message))
    return seconds


def verify_checkpoint(note: bytes, trust: str, quorum: int, witnesses: list[str]) -> tuple[int, str, dict[str, int]]:
    """Verifies a checkpoint by the ledger's verifier key and by `quorum` or more witnesses; 0 is the operator alone.

    Returns the number of blocks, the tree hash in hex, and when each witness signed, in Unix seconds.
    """
    need(not re.search(rb"[\x00-\x09\x0b-\x1f]", note), "note: a control character")
    lines = r"(([^\s+#]+)\n(0|[1-9][0-9]{0,15})\n(\S+)\n)\n((?:— [^\s+]+ \S+\n)+)"
    match = re.fullmatch(lines, note.decode("utf-8"))
    need(match, "checkpoint: not three lines, an empty one and signatures")
    text, origin, size, tree_hash, signatures = match.groups() if match else ("", "", "", "", "")
    trusted, log_key = verifier_key(trust, 1)
    known = dict(verifier_key(witness, 4) for witness in witnesses)
    # A log is no witness of itself, under whatever name.
    known = {by: key for by, key in known.items() if by[0] != origin and key[1:] != log_key[1:]}
    need(origin == trusted[0], "checkpoint: its origin is not the name of the trusted key")
    signed, witnessed = False, {}
    for name, encoded in re.findall(r"— (\S+) (\S+)\n", signatures):
        raw = unbase64(encoded, -1)
        need(len(raw) > 4, "note: a signature without bytes")
        by, signature = (name, raw[:4]), raw[4:]
        if by == trusted:
            verify_line(log_key, name, signature, text)
            signed = True
        elif by in known:
            witnessed[name] = verify_line(known[by], name, signature, text)
    need(signed and len(witnessed) >= quorum, f"note: signed {signed}; {len(witnessed)} witnesses, {quorum} asked for")
    return int(size), unbase64(tree_hash, 32).hex(), witnessed


# ---- receipts (6): a shape gives each member's own shape, or the pattern of its canonical JSON; "?" is optional
# fmt: off
INTEGER, POSITIVE, TEXT, SALT, HASH = "0|[1-9][0-9]*", "[1-9][0-9]*", '".+"', '"[0-9a-f]{32}"', '"[0-9a-f]{64}"'
HASHES, OBJECT, LEDGER = rf"\[({HASH}(,{HASH})*)?\]", r"\{.*\}", r'"[^\s+#"\\]+#([0-9a-f]{64})?"'
PARTY, PART = "[A-Za-z0-9._:-]{1,64}", "[A-Za-z0-9._:/-]{1,64}"
KEY_ID, RECORD_ID = rf'"{PARTY}/[1-9][0-9]*"', rf'"(?=[^"]{{1,200}}"){PART}( {PART})*"'
SIGNATURE = rf'\{{"key":{KEY_ID},"signature":"[A-Za-z0-9+/]+={{0,2}}"\}}'
REFUSED = rf'\{{"code":"[^"\\]+","instruction":({INTEGER})\}}'
BLOCK = {"entries": INTEGER, "height": INTEGER, "ledger": LEDGER, "previous": HASH, "root": HASH, "rulebook": POSITIVE,
         "state": HASH, "time_ms": INTEGER, "type": '"finchain[.]block[.]1"'}
HEADER = {"by": rf'\["{PARTY}"(,"{PARTY}"){{0,15}}\]', "count": POSITIVE, "expires_ms": INTEGER,
          "lane": f'"{PART}"', "ledger": LEDGER, "mode": '"(all|each)"', "root": HASH, "rulebook": POSITIVE,
          "sequence": POSITIVE, "type": '"finchain[.]transaction[.]1"'}
ENTRY = {"changes": HASH, "header": HEADER, "refused": rf"\[({REFUSED}(,{REFUSED})*)?\]",
         "signatures": rf"\[{SIGNATURE}(,{SIGNATURE}){{0,15}}\]", "writes": POSITIVE}
RECORD = {"id": RECORD_ID, "kind": TEXT, "record": OBJECT, "salt": SALT}
AT = {"block": BLOCK, "hash": '"(blake3|sha256|sm3)"', "type": '"finchain[.]receipt[.]1"', "what": TEXT}
IN_ENTRY = AT | {"entry": ENTRY, "entry_index": INTEGER, "entry_path": HASHES, "index": INTEGER, "path": HASHES}
SIGNERS = {"block": BLOCK, "records": [RECORD | {"siblings": HASHES}]}
FORMS: dict[str, dict[str, Any]] = {
    "instruction": IN_ENTRY | {"instruction": OBJECT, "salt": SALT, "signers?": SIGNERS},
    "record": AT | RECORD | {"siblings": HASHES},
    "change": IN_ENTRY | RECORD,
    "absence": AT | {"id": RECORD_ID, "kind": TEXT, "siblings": HASHES, "other?": {"key": HASH, "value": HASH}}}
KEY = {"duty": '"(any|checker|maker|service)"', "holder": TEXT, "id": KEY_ID, "party": TEXT, "public_key": TEXT,
       "suite": '"(ed25519|p256|sm2|ml-dsa-44)"', "identity?": TEXT}
# fmt: on


def fit(value: Any, wanted: Any, where: str) -> None:
    """Refuses a value of another shape than the wanted one."""
    if isinstance(wanted, str):
        need(re.fullmatch(wanted, canonical(value).decode()), f"{where}: {value!r}")
    elif isinstance(wanted, list):
        need(isinstance(value, list), f"{where}: not a list")
        for element in value:
            fit(element, wanted[0], where)
    else:
        least, most = {name for name in wanted if name[-1] != "?"}, {name.rstrip("?") for name in wanted}
        need(isinstance(value, dict) and least <= value.keys() <= most, f"{where}: a member too many or missing")
        for name, element in value.items():
            fit(element, wanted.get(name) or wanted[name + "?"], f"{where}.{name}")


def block_hash(block: dict[str, Any]) -> bytes:
    """Hash of a block, of its header."""
    need(block["ledger"].endswith("#") == (block["height"] == 0), "block: its ledger does not fit its height")
    return digest("log", "leaf", canonical(block))


def judge_signers(suite: str, block: dict[str, Any], entry: dict[str, Any], signers: dict[str, Any]) -> None:
    """Judges the signatures of an entry in full (3.3), by the keys and parties in the state of the block before."""
    before, header = signers["block"], entry["header"]
    need(block_hash(before).hex() == block["previous"] and before["height"] == block["height"] - 1, "signers: not H-1")
    signatures = {one["key"]: one["signature"] for one in entry["signatures"]}
    names = [("key", key) for key in sorted(signatures)] + [("party", party) for party in sorted(header["by"])]
    need([(at["kind"], at["id"]) for at in signers["records"]] == names, "signers: other records than are needed")
    for at in signers["records"]:
        verify_state(suite, at, before["state"])
    records = {at["id"]: at["record"] for at in signers["records"]}
    for name, signature in signatures.items():
        key = records[name]
        fit(key, KEY, "key")
        need(key["id"] == name and key["party"] == name.split("/")[0] in header["by"], "signers: a superfluous key")
        claim = unbase64(key["public_key"], -1), unbase64(signature, -1), canonical(header)
        if key["suite"] == "ed25519":
            need("identity" not in key, "signers: an identity of an Ed25519 key")
            verify_ed25519(*claim)
        else:
            verify(key["suite"], *claim, key.get("identity"))
    for party in header["by"]:
        mine = [records[name] for name in signatures if records[name]["party"] == party]
        duties, threshold = [key["duty"] for key in mine], records[party].get("threshold")
        fit(threshold, POSITIVE, "threshold")
        if duties != ["service"]:
            need(len(mine) == len({key["holder"] for key in mine}) == threshold, f"signers: threshold of {party}")
            need("service" not in duties, f"signers: a service key of {party} beside others")
            need(threshold == 1 or set(duties) not in ({"maker"}, {"checker"}), f"signers: one side only of {party}")


def verify_entry(inner: dict[str, Any]) -> Any:
    """Verifies an entry, its place in the block and what of it is shown; returns an instruction's outcome."""
    suite, block, entry, index = inner["hash"], inner["block"], inner["entry"], inner["index"]
    header, signed_by = entry["header"], [one["key"] for one in entry["signatures"]]
    refused = {one["instruction"]: one["code"] for one in entry["refused"]}
    sender, *others = header["by"]
    need(others == sorted({*others} - {sender}) and header["count"] <= 4096, "header: its parties or its count")
    need(signed_by == sorted({*signed_by}), "entry: signatures are not in order")
    need([one["instruction"] for one in entry["refused"]] == sorted(refused), "entry: refusals are not in order")
    need(max(refused, default=0) < header["count"], "entry: a refused instruction that is not there")
    need(header["mode"] == "each" or len(refused) <= 1, "entry: more than one refusal under all")
    need(header["ledger"] == block["ledger"], "entry: of another ledger")
    leaf = digest(suite, "entry", canonical(entry))
    verify_inclusion(suite, leaf, inner["entry_index"], block["entries"], inner["entry_path"], block["root"])
    if inner["what"] == "change":
        leaf, size, tree_hash = state_leaf(suite, inner), entry["writes"], entry["changes"]
    else:
        written = canonical(inner["instruction"], DEPTH_MAX)
        need(len(written) <= BYTES_MAX and isinstance(inner["instruction"].get("type"), str), "instruction: its form")
        leaf = digest(suite, "instruction", bytes.fromhex(inner["salt"]) + written)
        size, tree_hash = header["count"], header["root"]
    verify_inclusion(suite, leaf, index, size, inner["path"], tree_hash)
    if "signers" in inner:
        judge_signers(suite, block, entry, inner["signers"])
    outcome = refused.get(index, "held back" if refused and header["mode"] == "all" else "applied")
    return outcome if inner["what"] == "instruction" else None


def verify_receipt(receipt: bytes, trust: str, quorum: int, witnesses: list[str]) -> dict[str, Any]:
    """Verifies a receipt of any form; returns what it shows, of when, and who vouched. Quorum 0: the operator alone."""
    need(len(receipt) <= RECEIPT_BYTES_MAX, "receipt: too long")
    top, _, note = receipt.partition(b"\n\n")
    match = re.fullmatch(rb"c2sp\.org/tlog-proof@v1\nextra (\S+)\nindex (0|[1-9][0-9]{0,15})((?:\n\S+){0,64})", top)
    need(match, "receipt: not the lines of one")
    extra, index, lines = [group.decode("latin-1") for group in match.groups()] if match else ["", "", ""]
    inner, path = parse(unbase64(extra, -1)), [unbase64(line, 32).hex() for line in lines.split()]
    need(isinstance(inner, dict) and str(inner.get("what")) in FORMS, "receipt: no known form")
    fit(inner, FORMS[inner["what"]], inner["what"])
    block, (size, tree_hash, witnessed) = inner["block"], verify_checkpoint(note, trust, quorum, witnesses)
    need(block["ledger"].split("#")[0] == trust.split("+")[0], "receipt: block and checkpoint are of two ledgers")
    need(index == str(block["height"]), "receipt: index is not the height")
    verify_inclusion("log", block_hash(block), block["height"], size, path, tree_hash)
    if "entry" not in inner:
        verify_state(inner["hash"], inner, block["state"])
    shown = {"outcome": verify_entry(inner) if "entry" in inner else None, "signatures_judged": "signers" in inner}
    shown |= {"content": inner.get("record", inner.get("instruction")), "witnessed": witnessed}
    shown |= {name: block[name] for name in ("height", "time_ms", "ledger")}
    return shown | {name: inner.get(name) for name in ("what", "kind", "id")}
