"""Anchors of trust: what somebody holds apart from a ledger's folder, and what it shows of the blocks in the folder.

A folder can be forged from nothing under any name: its blocks, its keys and its index then agree with each other. Only
what came another way tells it from the real one: the verifier key of the log, a checkpoint, or a receipt. Each given
anchor must be of this ledger and be held by it, or the ledger is not the one that it speaks of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal

import msgspec

from finchain import _core
from finchain.errors import AnchorError, FinchainError, NotFound, TamperError
from finchain.receipt import RECEIPT_BYTES_MAX, read_file

CHECKPOINT: Final = "checkpoint"
"""The file of a ledger's newest checkpoint, in its folder."""

CHECKPOINT_BYTES_MAX: Final = 64 * 1024
"""Largest signed note (`docs/format.md`)."""

NOBODY: Final = "nobody but the folder itself vouches for its blocks"

PathLike = str | os.PathLike[str]


class Anchors(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody holds apart from the folder.

    Attributes:
        trust: Verifier keys of the log, of which one must have signed each checkpoint and each receipt.
        checkpoints: Files of signed checkpoints.
        receipts: Files of receipts.
    """

    trust: tuple[str, ...] = ()
    checkpoints: tuple[PathLike, ...] = ()
    receipts: tuple[PathLike, ...] = ()

    @classmethod
    def of(cls, trust: str | Sequence[str], checkpoints: Sequence[PathLike], receipts: Sequence[PathLike]) -> Anchors:
        """From the arguments of a function; one key may stand alone."""
        keys = (trust,) if isinstance(trust, str) else tuple(trust)
        return cls(trust=keys, checkpoints=tuple(checkpoints), receipts=tuple(receipts))

    def __bool__(self) -> bool:
        return bool(self.trust or self.checkpoints or self.receipts)


class Voucher(msgspec.Struct, frozen=True):
    """One anchor that holds.

    Attributes:
        anchor: What it is; `key` is the folder's own checkpoint, which a trusted key signed.
        file: Its file.
        size: The first so many blocks are those that it speaks of.
        proves: What a receipt proves beside that, in one line.
        signed: Whether a trusted key signed it; else it is held on the word of whoever gave the file.
    """

    anchor: Literal["key", "checkpoint", "receipt"]
    file: str
    size: int
    proves: str
    signed: bool

    def __str__(self) -> str:
        what = "the folder's own checkpoint" if self.anchor == "key" else f"{self.anchor} {self.file}"
        return f"{what} over {self.size} blocks{', signed by the trusted key' if self.signed else ''}"


class Vouched(msgspec.Struct, frozen=True, kw_only=True):
    """Who vouches for the blocks of a ledger, and for how many.

    Attributes:
        blocks: Blocks from block 0 on that are those of an anchor.
        by: The anchors, in the order in which they were given.
        of: Blocks that the ledger has.
    """

    blocks: int = 0
    by: tuple[Voucher, ...] = ()
    of: int = 0

    def __str__(self) -> str:
        if not self.by:
            return NOBODY
        rest = self.of - self.blocks
        later = "" if not rest else f"; {rest} later block{'s follow' if rest > 1 else ' follows'}, under no anchor"
        return f"{self.blocks} blocks are those of {', '.join(map(str, self.by))}{later}"


def vouch(
    anchors: Anchors,
    folder: Path,
    *,
    name: str,
    blocks: int,
    keys: Sequence[str],
    root_at: Callable[[int], bytes | None],
    faults: list[FinchainError] | None = None,
) -> Vouched:
    """Compares a ledger with every anchor.

    Args:
        anchors: What is held apart from it.
        folder: Its folder, whose newest checkpoint is looked at where nothing but keys is given.
        name: Its full name.
        blocks: How many blocks it has.
        keys: Its own verifier keys, which judge a receipt where no key is trusted.
        root_at: The root of its block log over so many blocks, from blocks that were read and follow one another.
        faults: Takes what is wrong with an anchor, so that the others are compared as well; else it is raised.

    Raises:
        AnchorError: An anchor is of another ledger or another history, names more blocks than there are, or is not
            signed by a trusted key; where `faults` is given, it goes there.
        ConfigError: A verifier key cannot be read.
        NotFound: A file is not there; or only keys are given, and the folder has no checkpoint.
    """
    comparing = _Comparing(anchors, name, blocks, root_at)
    asked: list[Callable[[], Voucher]] = [
        *(partial(comparing.checkpoint, "checkpoint", path) for path in anchors.checkpoints),
        *(partial(comparing.receipt, path, keys) for path in anchors.receipts),
    ]
    if anchors.trust and not asked:
        asked.append(partial(_own_checkpoint, comparing, folder / CHECKPOINT))
    by: list[Voucher] = []
    for ask in asked:
        try:
            by.append(ask())
        except AnchorError as error:
            if faults is None:
                raise
            faults.append(error)
    return Vouched(blocks=max((each.size for each in by), default=0), by=tuple(by), of=blocks)


def _own_checkpoint(comparing: _Comparing, own: Path) -> Voucher:
    if not own.exists():
        raise NotFound(
            f"{own.parent} has no checkpoint, so the trusted key shows nothing of it",
            advice="give a checkpoint or a receipt that you hold, or have the operator sign a checkpoint",
        )
    return comparing.checkpoint("key", own)


class _Comparing:
    """A ledger that anchors are compared with."""

    def __init__(self, anchors: Anchors, name: str, blocks: int, root_at: Callable[[int], bytes | None]) -> None:
        self._trust = list(anchors.trust)
        self._name, self._blocks, self._root_at = name, blocks, root_at

    def checkpoint(self, anchor: Literal["key", "checkpoint"], path: PathLike) -> Voucher:
        file = os.fspath(path)
        note = read_file(path, "checkpoint", CHECKPOINT_BYTES_MAX)
        try:
            origin, size, root_hash = _core.checkpoint_parts(note)
            if self._trust:
                _core.verify_checkpoint(
                    note, log_keys=self._trust, witnesses=[], witnesses_needed=0, operator_alone=True
                )
        except TamperError as error:
            raise AnchorError(f"{file}: {error.message}", advice=error.advice) from None
        self._compare(file, origin, size, root_hash)
        return Voucher(anchor, file, size, "", bool(self._trust))

    def receipt(self, path: PathLike, keys: Sequence[str]) -> Voucher:
        file = os.fspath(path)
        text = read_file(path, "receipt", RECEIPT_BYTES_MAX)
        try:
            facts = _core.verify_receipt(
                text, log_keys=self._trust or list(keys), witnesses=[], witnesses_needed=0, operator_alone=True
            )
        except TamperError as error:
            replaced = "see that it is a receipt; one under a key that was replaced needs that key as the trusted one"
            advice = error.advice if self._trust else replaced
            raise AnchorError(f"{file}: {error.message}", advice=advice) from None
        if facts["ledger"] != self._name:
            raise AnchorError(f"{file} is of the ledger {facts['ledger']}, and this one is {self._name}")
        self._compare(file, self._name.partition("#")[0], facts["size"], bytes.fromhex(facts["root_hash"]))
        what = facts["what"] if facts["what"] == "instruction" else f"{facts['what']} of {facts['kind']} {facts['id']}"
        return Voucher("receipt", file, facts["size"], f"{what}, block {facts['height']}", bool(self._trust))

    def _compare(self, file: str, origin: str, size: int, root_hash: bytes) -> None:
        own = self._name.partition("#")[0]
        told = {"file": file, "signed_blocks": size, "blocks": self._blocks}
        if origin != own:
            raise AnchorError(f"{file} is of the log {origin}, and this ledger is {own}", facts=told)
        if size > self._blocks:
            raise AnchorError(
                f"{file} is over {size} blocks, and this ledger has {self._blocks}: blocks are missing, or this "
                "is an old state",
                advice="look for a newer copy: finchain repair brings blocks back",
                facts=told,
            )
        if self._root_at(size) != root_hash:
            raise AnchorError(
                f"{file} is over {size} blocks with another root than these: this is another history, or another "
                "ledger under the same name",
                facts=told,
            )
