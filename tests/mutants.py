"""Receipts that somebody tampered with: flipped bytes, moved lines, and every single edit of the inner half.

`json_edits` is exhaustive and `draw` is random by a seed, so that a failure can be made again. Nothing here knows what
a verifier should say, except that a receipt with another meaning must not be accepted.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

Json = Any


def opened(receipt: bytes) -> Json:
    """The inner half of a receipt."""
    return json.loads(base64.b64decode(receipt.split(b"\n")[1].removeprefix(b"extra ")))


def resealed(receipt: bytes, inner: Json) -> bytes:
    """The receipt with another inner half, written canonically."""
    written = json.dumps(inner, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    lines = receipt.split(b"\n")
    lines[1] = b"extra " + base64.b64encode(written)
    return b"\n".join(lines)


def json_edits(value: Json) -> Iterator[Json]:
    """Every value that differs by one edit: another scalar, a member or element dropped, added, doubled or moved."""
    if isinstance(value, dict):
        yield value | {"zz": 0}
        for name, element in value.items():
            yield {other: one for other, one in value.items() if other != name}
            yield {name + "s" if other == name else other: one for other, one in value.items()}
            for edited in json_edits(element):
                yield value | {name: edited}
    elif isinstance(value, list):
        yield [*value, "00" * 32]
        for at, element in enumerate(value):
            yield [*value[:at], *value[at + 1 :]]
            yield [*value[: at + 1], *value[at:]]
            if at and element != value[at - 1]:
                yield [*value[: at - 1], element, value[at - 1], *value[at + 1 :]]
            for edited in json_edits(element):
                yield [*value[:at], edited, *value[at + 1 :]]
    else:
        yield from _other_scalars(value)


def _other_scalars(value: Json) -> list[Json]:
    if isinstance(value, int):
        return [value + 1, value - 1, str(value), True, 2**53]
    flipped = ("1" if value[:1] == "0" else "0") + value[1:]
    other_case = value.upper() if value != value.upper() else f"{value}x"
    return [flipped, value + "0", value[:-1], other_case, 0, [value]]


def byte_flips(raw: bytes) -> Iterator[bytes]:
    """The bytes with one bit of one byte changed, for each byte; the bit goes round."""
    for at in range(len(raw)):
        yield raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :]


def draw(receipt: bytes, chance: random.Random) -> bytes:
    """One mutant of a receipt."""
    kind = chance.choice(["flip", "flip", "byte", "cut", "lines", "json", "json", "spelling"])
    at = chance.randrange(len(receipt))
    if kind == "flip":
        return receipt[:at] + bytes([receipt[at] ^ 1 << chance.randrange(8)]) + receipt[at + 1 :]
    if kind == "byte":
        return receipt[:at] + chance.choice([b"", b"\n", b" ", b"0", b"=", b"\r", b"\x00", b"\xc3"]) + receipt[at:]
    if kind == "cut":
        return chance.choice([receipt[:at], receipt[at:], receipt[:at] + receipt[at + 1 :]])
    if kind == "lines":
        return _moved_lines(receipt, chance)
    if kind == "json":
        return resealed(receipt, chance.choice(list(json_edits(opened(receipt)))))
    return _respelled(receipt, chance)


def _moved_lines(receipt: bytes, chance: random.Random) -> bytes:
    lines = receipt.split(b"\n")
    one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
    action = chance.choice(["swap", "drop", "double"])
    if action == "swap":
        lines[one], lines[two] = lines[two], lines[one]
    elif action == "drop":
        del lines[one]
    else:
        lines.insert(two, lines[one])
    return b"\n".join(lines)


def _respelled(receipt: bytes, chance: random.Random) -> bytes:
    """The same meaning in other bytes, which a strict reader refuses."""
    lines = receipt.split(b"\n")
    inner = opened(receipt)
    other = chance.choice(
        [
            json.dumps(inner, ensure_ascii=False, sort_keys=True).encode(),
            json.dumps(inner, ensure_ascii=False, separators=(",", ":"), indent=0).encode(),
            json.dumps(dict(reversed(inner.items())), ensure_ascii=False, separators=(",", ":")).encode(),
            resealed(receipt, inner).split(b"\n")[1].removeprefix(b"extra ").rstrip(b"="),
            b"\xef\xbb\xbf" + base64.b64decode(lines[1].removeprefix(b"extra ")),
        ]
    )
    lines[1] = b"extra " + base64.b64encode(other)
    return chance.choice([b"\n".join(lines), receipt.replace(b"\n", b"\r\n"), receipt + b"\n", receipt[:-1]])
