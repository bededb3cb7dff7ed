"""Runs rules without the core: records in a dict, instructions one by one, refusals that leave nothing behind.

Instructions and records go through their JSON on the way, as they do in a ledger, so a rule never sees a value here
that it could not see there. Signatures of transactions are taken as given in `by`; possession of keys is really proven.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, TypeVar

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import reference
import second_suites
from finchain import instructions as do
from finchain.domain import rulebook
from finchain.domain.founding import LedgerRecord
from finchain.domain.key import Duty, Suite, possession_message, set_possession_verifier
from finchain.domain.party import Role
from finchain.domain.rule import Book, Instruction, Record
from finchain.errors import Refused

ORIGIN = "test.example/ledger"
LEDGER = f"{ORIGIN}#{'5a' * 32}"
ZONE_MINUTES = 480
START = date(2026, 3, 2)
RECORD_BYTES_MAX = 16_384

R = TypeVar("R", bound=Record)
_decoder = msgspec.json.Decoder(rulebook.RULEBOOK_1.instructions)


def digest(text: str) -> str:
    """A SHA-256 in hex that stands for a paper."""
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def signing_key(name: str) -> Ed25519PrivateKey:
    """The test key of a name, the same in every run."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


NAMES: dict[str, str] = {}
"""The name of each public key that was asked for."""


@cache
def public_key(name: str) -> str:
    """Base64 of the public key of a name."""
    encoded = signing_key(name).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    public = base64.b64encode(encoded).decode()
    NAMES[public] = name
    return public


@cache
def possession(name: str, key_id: str, ledger: str = LEDGER) -> str:
    """Base64 of the signature by which the key of a name is enrolled as `key_id`."""
    message = possession_message(ledger, key_id, "ed25519", public_key(name))
    return base64.b64encode(signing_key(name).sign(message)).decode()


def new_key(
    key_id: str, holder: str, duty: Duty = "any", name: str | None = None, *, ledger: str = LEDGER
) -> do.NewKey:  # fmt: skip
    """A key to enrol, whose possession is proven; it is the test key of a name, or of the key's id and holder."""
    name = name or f"{key_id} {holder}"
    return do.NewKey(holder, duty, "ed25519", public_key(name), possession(name, key_id, ledger))


def _verify(public_key: bytes, signature: bytes, message: bytes, *, suite: Suite, identity: str | None) -> None:
    if suite != "ed25519":
        second_suites.verify(suite, public_key, signature, message, identity)
        return
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        raise ValueError("the signature is not the key's") from None


set_possession_verifier(_verify)


class MemoryBook:
    """A ledger of records alone.

    Attributes:
        records: What is committed, by type and id.
        today: The date that the next rule sees; move it with `advance` or `move_to`.
        notes: Warnings of the last `apply`.
        tried: What was applied or refused last, who signed, and for whom a service key did.
    """

    def __init__(self, *, today: date = START, ledger: str = LEDGER) -> None:
        self.records: dict[tuple[type[Record], str], Record] = {}
        self._listed: dict[type[Record], list[Record]] = {}
        self.height = 0
        self.today = today
        self.ledger = ledger
        self.notes: list[str] = []
        self.tried: tuple[tuple[Instruction, ...], frozenset[str], frozenset[str]] | None = None

    def copy(self) -> MemoryBook:
        """Another ledger that goes on from here; records never change, so they are shared."""
        other = MemoryBook(today=self.today, ledger=self.ledger)
        other.records, other.height = dict(self.records), self.height
        return other

    def find(self, kind: type[R], id: str) -> R | None:
        """The committed record, or `None`."""
        return self.records.get((kind, id))  # type: ignore[return-value]

    def get(self, kind: type[R], id: str) -> R:
        """The committed record; `KeyError` where there is none."""
        return self.records[kind, id]  # type: ignore[return-value]

    def all(self, kind: type[R]) -> Sequence[R]:
        """All committed records of a kind, by id."""
        if kind not in self._listed:
            found = {id: record for (each, id), record in self.records.items() if each is kind}
            self._listed[kind] = [found[id] for id in sorted(found)]
        return self._listed[kind]  # type: ignore[return-value]  # listed under its type

    def put(self, record: Record) -> None:
        """Commits a record; a test may put one that no rule would write."""
        self.records[type(record), record.id] = record
        self._listed.pop(type(record), None)

    def advance(self, days: int) -> None:
        """Moves today."""
        self.today += timedelta(days=days)

    def move_to(self, day: date) -> None:
        """Sets today, which never moves back."""
        assert day >= self.today
        self.today = day

    @property
    def time_ms(self) -> int:
        """Noon of today in the ledger's zone."""
        noon = datetime(self.today.year, self.today.month, self.today.day, 12, tzinfo=UTC)
        return int((noon - timedelta(minutes=ZONE_MINUTES)).timestamp() * 1000)

    def book(self, by: Iterable[str] = (), service: Iterable[str] = ()) -> Book:
        """A book over the committed records, for what a rule calls."""
        founded = self.find(LedgerRecord, "ledger")
        book = Book(
            self, ledger=self.ledger, height=self.height, time_ms=self.time_ms, zone_minutes=ZONE_MINUTES,
            rulebook=rulebook.RULEBOOK_1.number if founded is None else founded.rulebook,
        )  # fmt: skip
        signed = frozenset(by) | frozenset(service)
        book.begin(signed, frozenset(service), min(signed, default=""))
        return book

    def apply(self, *instructions: Instruction, by: Iterable[str], service: Iterable[str] = ()) -> None:
        """Runs instructions that hold together, and commits them.

        Args:
            instructions: Each sees what those before it wrote.
            by: The parties that signed.
            service: Parties for which only a service key signed; they need not be in `by` as well.

        Raises:
            Refused: A rule said no; nothing was committed.
        """
        book = self.book(by, service)
        self.tried = (instructions, book.by - book.service, book.service)
        for instruction in instructions:
            wired: Any = _decoder.decode(msgspec.json.encode(instruction, order="sorted"))
            rulebook.RULEBOOK_1.rules[type(wired)](wired, book)
        for (kind, id), written in book.written().items():
            encoded = msgspec.json.encode(written, order="sorted")
            assert len(encoded) <= RECORD_BYTES_MAX, f"{kind.kind} {id} has {len(encoded)} bytes"
            self.put(msgspec.json.decode(encoded, type=kind))
        self.notes = book.notes
        self.height += 1

    def register(self, id: str, *roles: Role, holders: Iterable[tuple[str, Duty]] = (), threshold: int = 1) -> None:
        """Registers a party whose one key is `any`, or with the holders given."""
        held = list(holders) or [(f"Ms {id}", "any")]
        keys = [new_key(f"{id}/{number}", holder, duty) for number, (holder, duty) in enumerate(held, 1)]
        self.apply(do.RegisterParty(id, f"{id} Ltd", list(roles), threshold, keys), by={"registrar"})


def follow_advice(ledger: MemoryBook, what: Sequence[Instruction], by: frozenset[str], service: frozenset[str]) -> None:
    """Follows what was advised when an order was refused, as far as its sentence alone says how."""
    import following_advice  # it stands on this module, which calls it for every refusal that a test expects

    following_advice.followed(ledger, following_advice.Trial(what[0], by, service, ledger.today))


@contextmanager
def refused(ledger: MemoryBook, code: str) -> Iterator[pytest.ExceptionInfo[Refused]]:
    """Expects a refusal with this code, whose advice works, and after which nothing has changed."""
    before, height = dict(ledger.records), ledger.height
    with pytest.raises(Refused) as refusal:
        yield refusal
    assert refusal.value.code == code, str(refusal.value)
    assert refusal.value.advice
    assert ledger.records == before
    assert ledger.height == height
    if ledger.tried is not None and len(ledger.tried[0]) == 1:
        follow_advice(ledger, *ledger.tried)


def create_ledger(
    *, origin: str = ORIGIN, policy: do.PolicyTerms = do.DEFAULT_POLICY, registrar: bool = True
) -> do.CreateLedger:
    """The founding instruction of the test ledger, with a registrar of its own or not."""

    def founder(id: str) -> do.Founder:
        return do.Founder(id, f"{id} Ltd", 1, [do.NewKey(f"Ms {id}", "any", "ed25519", public_key(id))])

    checkpoint_key = reference.verifier_key(origin, bytes(range(32)))
    return do.CreateLedger(
        origin, "simulated", "blake3", ZONE_MINUTES, founder("operator"), [checkpoint_key], rulebook.RULEBOOK_1.number,
        rulebook.RULEBOOK_1.digest, policy, registrar=founder("registrar") if registrar else msgspec.UNSET,
    )  # fmt: skip


def new_ledger(policy: do.PolicyTerms = do.DEFAULT_POLICY, *, today: date = START) -> MemoryBook:
    """A ledger with operator and registrar, and nobody else."""
    ledger = MemoryBook(today=today)
    ledger.apply(create_ledger(policy=policy), by={"operator", "registrar"})
    return ledger


def town() -> MemoryBook:
    """A ledger with one party for each part of the stories: a shop, its customer, a bank, and so on."""
    ledger = new_ledger()
    ledger.register("shop", "supplier")
    ledger.register("core", "debtor")
    ledger.register("guarantor", "guarantor")
    ledger.register("bank", "lender", "controller", "settlement_bank")
    ledger.register("factor", "factor")
    ledger.register("tier2", "supplier")
    ledger.register("clearer", "settlement_bank")
    ledger.register("payee", "supplier")
    ledger.register("carrier", "data_source")
    ledger.register("court", "arbiter")
    return ledger
