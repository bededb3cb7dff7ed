"""A party has ten thousand lanes and no more: for what is sent, and for what a stored block says was taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import finchain as fc
import reference as ref
from finchain import errors
from kept_ledger import Kept
from real_ledger import claim, found, signed

LANES_MAX = 10_000


def test_the_last_lane_is_taken_once_and_no_stored_block_begins_two(tmp_path: Path) -> None:
    """The lanes that a block begins are counted within it as well: of two senders of a last lane, one comes too late.

    A stored block that holds both was never made by an honest operator.
    """
    with found(tmp_path) as ledger:
        earlier = (signed(ledger, claim(f"r-{n}"), lane=f"l-{n}") for n in range(LANES_MAX - 1))
        assert all(outcome.status == "applied" for outcome in ledger.submit_all(earlier))
        last = [signed(ledger, claim(name), lane=name) for name in ("one", "two")]
        taken, late = ledger.submit_all(last)
        assert taken.status == "applied" and isinstance(late.error, errors.TooManyLanes)
        height = ledger.height - 1
    kept = Kept(tmp_path, (0, b"", ""))
    kept.rewrite(height, with_another_entry(kept.payload(height), last[1].to_bytes()))
    with pytest.raises(fc.DamageError) as caught:
        fc.check(kept.folder)
    (fault,) = caught.value.faults
    assert fault.height == height
    assert "entry 1: too_many_lanes: shop has 10000 lanes" in fault.why


def with_another_entry(payload: bytes, text: bytes) -> bytes:
    """The block with one more transaction in it, under a header that fits the entries; states are left as they are."""
    header, entry, salt, instructions, _ = payload.split(b"\n")
    more = json.loads(text)
    second = ref.canonical(json.loads(entry) | {name: more[name] for name in ("header", "signatures")})
    leaves = [ref.digest("blake3", "entry", each) for each in (entry, second)]
    sealed = json.loads(header) | {"entries": 2, "root": ref.tree(ref.node_of("blake3"), leaves).hex()}
    lines = [ref.canonical(sealed), entry, salt, instructions, second, more["salt"].encode()]
    return b"\n".join([*lines, ref.canonical(more["instructions"]), b""])
