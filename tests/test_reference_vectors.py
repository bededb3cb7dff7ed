"""The reference and the second verifier against the world: third-party vectors, and a signature made on purpose.

The vectors are read in place, and skipped, saying so, where they are absent.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

import format_examples as examples
import reference as ref
import second_verifier as verifier

VECTORS = Path(os.environ.get("FINCHAIN_VECTORS", Path(__file__).resolve().parents[2] / "shared" / "vectors"))
needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason=f"no third-party vectors at {VECTORS}")


# ---- canonical JSON
def test_depth_and_integers_end_where_the_format_says() -> None:
    assert verifier.parse(b"[" * 16 + b"]" * 16)
    for refused in (b"[" * 17 + b"]" * 17, b"[" * 100_000, b"9007199254740992", b"-9007199254740992", b"9" * 5000):
        with pytest.raises(ValueError, match=r"."):
            verifier.parse(refused)
    assert verifier.parse(b"-9007199254740991") == -(2**53) + 1


@needs_vectors
def test_what_the_json_suite_calls_malformed_is_refused() -> None:
    files = sorted((VECTORS / "json" / "jsontestsuite").glob("n_*.json"))
    assert len(files) > 50
    for file in files:
        with pytest.raises(ValueError, match=r"."):
            verifier.parse(file.read_bytes())


@needs_vectors
def test_rfc_8785_outputs_within_the_subset_are_canonical() -> None:
    accepted = {}
    for file in sorted((VECTORS / "json" / "jcs" / "output").glob("*.json")):
        try:
            accepted[file.stem] = verifier.canonical(verifier.parse(file.read_bytes())) == file.read_bytes()
        except ValueError:
            accepted[file.stem] = False
    assert accepted == {
        "arrays": False,
        "french": False,
        "structures": False,
        "unicode": True,
        "values": False,
        "weird": False,
    }


# ---- Ed25519
def test_the_exact_equation_accepts_what_cryptography_cannot() -> None:
    """A key of mixed order, made on purpose: Algorithm 2 multiplies the small part away, a plain verifier does not."""
    torsion = ref.decode_point(verifier.TORSION_Y.to_bytes(32, "little"))
    assert torsion is not None and ref.multiply_point(8, torsion) == (0, 1) and ref.BASE is not None
    secret, nonce, message = 12345, 67890, b"mixed order"
    key = ref.encode_point(ref.add_points(ref.multiply_point(secret, ref.BASE), torsion))
    commitment = ref.encode_point(ref.multiply_point(nonce, ref.BASE))
    k = int.from_bytes(hashlib.sha512(commitment + key + message).digest(), "little") % ref.ORDER
    signature = commitment + ((nonce + k * secret) % ref.ORDER).to_bytes(32, "little")
    assert k % 8 and ref.accepts(key, signature, message)
    with pytest.raises(ValueError, match="not the key's"):
        verifier.verify_ed25519(key, signature, message)


def test_the_order_of_a_key_is_8_at_most_for_the_listed_points() -> None:
    for y in verifier.SMALL_ORDER_Y:
        point = ref.decode_point(y.to_bytes(32, "little"))
        assert point is not None and ref.multiply_point(8, point) == (0, 1)
    assert ref.BASE is not None and ref.multiply_point(8, ref.BASE) != (0, 1)


def _accepted(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        verifier.verify_ed25519(key, signature, message)
    except ValueError:
        return False
    return True


def test_s_ends_below_the_order_and_encodings_are_canonical() -> None:
    seed, message = examples.SEEDS["shop/1"], b"message"
    key, signature = ref.public_key(seed), ref.sign(seed, message)
    assert _accepted(key, signature, message) and ref.accepts(key, signature, message)
    larger = signature[:32] + (int.from_bytes(signature[32:], "little") + ref.ORDER).to_bytes(32, "little")
    minus_zero = (1 + 2**255).to_bytes(32, "little")
    spoilt = [(key, larger), (minus_zero, signature), (bytes(32), signature), (key, minus_zero + signature[32:])]
    spoilt += [((ref.FIELD + 3).to_bytes(32, "little"), signature), (key[:-1], signature), (key, signature[:-1])]
    for other_key, other_signature in spoilt:
        assert not _accepted(other_key, other_signature, message)
        assert not ref.accepts(other_key, other_signature, message)


@needs_vectors
def test_wycheproof_and_zip215_are_judged_alike_by_both() -> None:
    groups = json.loads((VECTORS / "ed25519" / "wycheproof_ed25519_test.json").read_text())["testGroups"]
    for group in groups:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            parts = key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
            assert _accepted(*parts) == ref.accepts(*parts) == (case["result"] == "valid"), case["tcId"]
    zip215 = json.loads((VECTORS / "ed25519" / "zip215_196_cases.json").read_text())
    for case in zip215["cases"]:
        parts = bytes.fromhex(case["vk"]), bytes.fromhex(case["sig"]), bytes.fromhex(zip215["msg_hex"])
        assert not _accepted(*parts) and not ref.accepts(*parts)


# ---- logs that others made
@needs_vectors
def test_the_reference_tree_of_rfc_6962() -> None:
    vector = json.loads((VECTORS / "merkle" / "rfc6962_reference_tree.json").read_text())
    leaves = [ref.log_leaf(bytes.fromhex(one)) for one in vector["leaf_inputs_hex"]]
    empty = hashlib.sha256(b"").digest()
    made = [ref.tree(ref.log_node, leaves[:size], empty).hex() for size in range(9)]
    roots = vector["roots"]
    assert made == [roots[str(size)] if isinstance(roots, dict) else roots[size] for size in range(9)]


@needs_vectors
def test_checkpoints_of_another_log_verify() -> None:
    folder = VECTORS / "tlog" / "tessera_log"
    trust = next(text for text in json.loads((folder / "VKEY.json").read_text()).values() if text.count("+") > 1)
    for size in range(16):
        note = (folder / f"checkpoint.{size}").read_bytes()
        assert verifier.verify_checkpoint(note, trust, 0, [])[0] == size
        with pytest.raises(ValueError, match=r"."):
            verifier.verify_checkpoint(note.replace(b"\n\n", b"\nmore\n\n", 1), trust, 0, [])
