"""Receipts: small files that prove one instruction, one record, or the absence of a record, to somebody offline.

`verify` returns what a receipt proves or raises; it needs the log's verifier key and nothing else. A receipt shows what
the operator committed to; that the rules were followed is what an audit shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from finchain import _core
from finchain.domain.rule import Instruction, Record
from finchain.domain.rulebook import RULEBOOK_1
from finchain.errors import FinchainError, NotFound, TamperError
from finchain.wording import worded

RECEIPT_BYTES_MAX = 512 * 1024
"""Largest receipt: a record, its proofs and two block headers with room to spare."""

VERIFIED_TOGETHER = 256
"""Receipts that are held at once: enough for all cores, and 128 MiB of the largest."""


class Receipt:
    """A receipt's bytes, as `Ledger.prove` gives them."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the receipt to a file."""
        Path(path).write_bytes(self.content)

    def __bytes__(self) -> bytes:
        return self.content

    def __len__(self) -> int:
        return len(self.content)

    def __repr__(self) -> str:
        return f"Receipt({len(self.content)} bytes)"


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt proves.

    Attributes:
        what: `record`, `absence`, `change` or `instruction`.
        ledger: Full name of the ledger.
        height: The block it speaks about.
        time: That block's time: the claim holds as of then, not as of now.
        size: Blocks under the checkpoint.
        root_hash: Root of the block log over them, in hex.
        witnessed_by: Name and Unix time of each witness that counts, 0 where an ML-DSA-44 witness stated none; empty
            means the operator alone.
        kind: Kind of the record.
        id: Id of the record.
        record: The record, typed where this version knows its kind, else as plain JSON.
        transaction: Id of the transaction, for an instruction or a change.
        entry: Its place in the block.
        instruction: The instruction, typed where this version knows it.
        index: The instruction's place in its transaction.
        by: The parties that the transaction names.
        outcome: What became of the instruction: `held_back` where another one of its transaction was refused, and they
            hold together only.
        refused: The code of the refusal; `None` where it was applied.
        signers: Keys whose signatures were judged; `None` where signatures were not judged.
    """

    what: Literal["record", "absence", "change", "instruction"]
    ledger: str
    height: int
    time: datetime
    size: int
    root_hash: str = ""
    witnessed_by: tuple[tuple[str, int], ...] = ()
    kind: str = ""
    id: str = ""
    record: Any = None
    transaction: str = ""
    entry: int = -1
    instruction: Any = None
    index: int = -1
    by: tuple[str, ...] = ()
    outcome: Literal["applied", "refused", "held_back", ""] = ""
    refused: str | None = None
    signers: tuple[str, ...] | None = None

    def __str__(self) -> str:
        origin = self.ledger.partition("#")[0]
        if self.what == "absence":
            said = f"there was no {self.kind} {self.id}"
        elif self.what == "instruction":
            outcome = f"{self.outcome.replace('_', ' ')}: {self.refused}" if self.refused else "applied"
            judged = "signatures judged" if self.signers is not None else "signatures not judged"
            ordered = worded(self.instruction) if isinstance(self.instruction, Instruction) else str(self.instruction)
            said = f"{ordered}\n  by {', '.join(self.by)}, {outcome}, {judged}"
        else:
            said = str(self.record) if isinstance(self.record, Record) else f"{self.kind} {self.id}: {self.record}"
        witnesses = ", ".join(name for name, _ in self.witnessed_by) or "the operator alone"
        return (
            f"{said}\n  proven for block {self.height} of {origin} at {self.time:%Y-%m-%d %H:%M:%S} UTC"
            f"\n  witnessed by {witnesses}"
        )


def verify(
    receipt: Receipt | bytes | str | os.PathLike[str],
    *,
    trust: str | Sequence[str],
    witnesses: Sequence[str] = (),
    witnesses_needed: int = 0,
    unwitnessed: bool = False,
) -> Verified:
    """Verifies a receipt offline.

    Args:
        receipt: A receipt, its bytes, or the path of its file.
        trust: Verifier key of the log, or several of which one must have signed.
        witnesses: Verifier keys of witnesses; the log itself never counts as one.
        witnesses_needed: How many of them must have cosigned.
        unwitnessed: Accepts a checkpoint on the operator's word alone, which must be asked for.

    Raises:
        TamperError: The receipt proves nothing; the message says which step failed.
        NotFound: There is no such file.
        ConfigError: A verifier key cannot be read.
    """
    facts = _core.verify_receipt(_read(receipt), **_trusted(trust, witnesses, witnesses_needed, unwitnessed))
    return _verified(facts)


def verify_all(
    receipts: Iterable[Receipt | bytes | str | os.PathLike[str]],
    *,
    trust: str | Sequence[str],
    witnesses: Sequence[str] = (),
    witnesses_needed: int = 0,
    unwitnessed: bool = False,
) -> Iterator[Verified | TamperError]:
    """Verifies a stream of receipts offline, on all cores; gives for each, in order, what it proves or why it does not.

    Receipts that were made under one checkpoint are best left together: it is judged once for those in a row.

    Args:
        receipts: Receipts, their bytes, or the paths of their files.
        trust: As for `verify`.
        witnesses: As for `verify`.
        witnesses_needed: As for `verify`.
        unwitnessed: As for `verify`.

    Raises:
        TamperError: Nobody is trusted; a receipt that proves nothing is given and not raised.
        NotFound: There is no such file; what stands before it has been given by then.
        ConfigError: A verifier key cannot be read.
    """
    trusted = _trusted(trust, witnesses, witnesses_needed, unwitnessed)
    coming = iter(receipts)
    while window := [_read_or_error(receipt) for receipt in islice(coming, VERIFIED_TOGETHER)]:
        facts = iter(_core.verify_receipts([text for text in window if isinstance(text, bytes)], **trusted))
        for text in window:
            if not isinstance(text, bytes | TamperError):
                raise text
            answer = next(facts) if isinstance(text, bytes) else text
            yield answer if isinstance(answer, TamperError) else _verified(answer)


def _trusted(trust: str | Sequence[str], witnesses: Sequence[str], needed: int, unwitnessed: bool) -> dict[str, Any]:
    return {
        "log_keys": [trust] if isinstance(trust, str) else list(trust),
        "witnesses": list(witnesses),
        "witnesses_needed": needed,
        "operator_alone": unwitnessed,
    }


def _verified(facts: dict[str, Any]) -> Verified:
    kind = facts.get("kind", "")
    if "record" in facts:
        facts["record"] = _typed(facts["record"], RULEBOOK_1.records.get(kind))
    if "instruction" in facts:
        facts["instruction"] = _typed(facts["instruction"], RULEBOOK_1.instructions)
    time = datetime.fromtimestamp(facts.pop("time_ms") / 1000, UTC)
    return msgspec.convert({**facts, "time": time}, Verified, from_attributes=True, strict=False)


def _read(receipt: Receipt | bytes | str | os.PathLike[str]) -> bytes:
    if isinstance(receipt, Receipt):
        return receipt.content
    if isinstance(receipt, bytes):
        return receipt
    return read_file(receipt, "receipt", RECEIPT_BYTES_MAX)


def _read_or_error(receipt: Receipt | bytes | str | os.PathLike[str]) -> bytes | FinchainError | OSError:
    """The bytes, or why there are none, which is said when it is this one's turn."""
    try:
        return _read(receipt)
    except (FinchainError, OSError) as error:
        return error


def read_file(path: str | os.PathLike[str], what: str, bytes_max: int) -> bytes:
    """A file from a stranger, which may have any length.

    Raises:
        NotFound: There is no such file.
        TamperError: It is longer than what it should be can be.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(bytes_max + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no {what} {os.fspath(path)}", advice=f"name the file of a {what}") from None
    if len(text) > bytes_max:
        raise TamperError(f"{os.fspath(path)} is larger than a {what}", advice=f"at most {bytes_max} bytes")
    return text


def _typed(text: bytes, type: Any) -> Record | Instruction | Any:
    """A typed value where this version knows the type; a newer rulebook's record is plain JSON."""
    if type is not None:
        try:
            return msgspec.json.decode(text, type=type)
        except msgspec.MsgspecError:
            pass
    return msgspec.json.decode(text)
