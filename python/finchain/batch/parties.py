"""Who the names in a file are, what they sign with, and their entry into the ledger.

The lookup is a CSV in UTF-8 with the columns `value` (as the file writes it), `id`, `name`, `roles` (separated by
blanks) and `key` (a key file, or empty where test keys come from a seed). Several values may stand for one party. A
party signs here with one key; one whose threshold asks for more holders is not loaded by a machine.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import msgspec

from finchain.batch.mapping import Mapping, read_mapping
from finchain.batch.reader import Fault, HashedFile, read_rows
from finchain.domain.founding import LedgerRecord
from finchain.domain.key import PartyKey, PublicKey, public_key_id
from finchain.domain.party import Party, Role
from finchain.domain.rule import Absent, R
from finchain.errors import ConfigError, KeyFileError, Refused, Rejected
from finchain.keys import Key
from finchain.rehearsal import Rehearsal
from finchain.submitting import Submitting

LOOKUP_COLUMNS: Final = ["value", "id", "name", "roles", "key"]

_ROLES: Final = frozenset(get_args(Role))


class Entry(msgspec.Struct, frozen=True):
    """A party of the lookup.

    Attributes:
        key: Its key file, relative to the lookup; empty where the mapping has a seed.
    """

    id: str
    name: str
    roles: tuple[Role, ...]
    key: str


class Signer(msgspec.Struct, frozen=True):
    """A party that can sign on this ledger.

    Attributes:
        key: Its key; `None` where it signs elsewhere.
        key_id: The key's id there, such as `shop/1`; empty where it signs elsewhere.
        service: Whether that is a service key, with which not everything may be ordered.
    """

    id: str
    key: Key | None
    key_id: str
    service: bool = False


class PartyBook:
    """The lookup of a mapping, and what the ledger knows of its parties.

    Args:
        ledger: Where they are registered.
        mapping: Names the lookup.
        paper: Sees those too that are registered on paper.
        elsewhere: Whether the parties sign elsewhere; no private key is looked for then.

    Raises:
        NotFound: The lookup cannot be read.
        ConfigError: The lookup contradicts itself; or the mapping has a seed, and the ledger's clock is real.
    """

    def __init__(self, ledger: Submitting, mapping: Mapping, paper: Rehearsal, *, elsewhere: bool = False) -> None:
        if not elsewhere and mapping.keys.seed is not None and ledger.get(LedgerRecord, "ledger").clock != "simulated":
            raise ConfigError(
                "the mapping makes keys from a seed, and this ledger has a real clock",
                advice="name key files in the lookup's column key; whoever knows a seed can sign",
            )
        self._ledger, self._keys, self._paper, self._elsewhere = ledger, mapping.keys, paper, elsewhere
        self._path = Path(mapping.folder) / mapping.parties.lookup
        self._by_value = _read_lookup(self._path)
        self._known: dict[str, Signer | Fault] = {}

    def entries(self) -> Iterator[Entry]:
        """Each party once, in the order of the lookup."""
        seen: set[str] = set()
        for entry in self._by_value.values():
            if entry.id not in seen:
                seen.add(entry.id)
                yield entry

    def signer(self, value: str) -> Signer | Fault:
        """Who signs for a name of the file, or why nobody does."""
        entry = self._by_value.get(value)
        if entry is None:
            return Fault("row.unknown_party", f"{value!r} is not in the lookup {self._path.name}")
        known = self._known.get(entry.id)
        if known is None:
            known = self._known[entry.id] = self._find(entry)
        return known

    def key_of(self, entry: Entry) -> Key:
        """The private key of a party.

        Raises:
            KeyFileError: There is no key file, or it cannot be read.
        """
        if self._keys.seed is not None:
            return Key.from_seed(hashlib.sha256(f"{self._keys.seed}\n{entry.id}".encode()).digest())
        if not entry.key:
            raise KeyFileError(f"{self._path} names no key file for {entry.id}")
        name = self._keys.passphrase_env
        passphrase = os.environ.get(name) if name is not None else None
        if name is not None and passphrase is None:
            raise KeyFileError(f"the environment variable {name}, which has the passphrase, is not set")
        return Key.load(self._path.parent / entry.key, passphrase.encode() if passphrase is not None else None)

    def _look(self, kind: type[R], id: str) -> R | None:
        return self._paper.find(kind, id)  # type: ignore[return-value]  # found under its type

    def _find(self, entry: Entry) -> Signer | Fault:
        party = self._look(Party, entry.id)
        if party is None:
            return Fault("row.not_enrolled", f"{entry.id} is not registered on the ledger")
        if self._elsewhere:
            return Signer(entry.id, None, "")
        try:
            key = self.key_of(entry)
        except KeyFileError as error:
            return Fault("row.key", str(error))
        public_key = base64.b64encode(key.public_key).decode()
        enrolled = self._look(PublicKey, public_key_id(public_key))
        held = None if enrolled is None else self._look(PartyKey, enrolled.key)
        if held is None or held.party != entry.id or held.ended_ms is not Absent:
            return Fault("row.key", f"the key of {entry.id} is not enrolled for it, or has ended")
        service = held.duty == "service"
        if party.threshold > 1 and not service:
            return Fault("row.threshold", f"{party.threshold} holders must sign for {entry.id}, and a load has one key")
        return Signer(entry.id, key, held.id, service)

    def new(self) -> list[tuple[Entry, Key]]:
        """The parties that the ledger does not have, each with its key.

        Raises:
            KeyFileError: A key file cannot be read.
        """
        absent = [entry for entry in self.entries() if self._look(Party, entry.id) is None]
        return [(entry, self.key_of(entry)) for entry in absent]

    def enrol_on_paper(self) -> tuple[list[tuple[Entry, Key]], str]:
        """Registers new parties on paper; gives them, and why one of them would be refused, or nothing.

        Raises:
            KeyFileError: A key file cannot be read.
        """
        new = self.new()
        registrar = self._ledger.get(LedgerRecord, "ledger").registrar
        for entry, key in new:
            do = self._ledger.registration(entry.id, entry.name, roles=entry.roles, key=key)
            (refusal,) = self._paper.run([do], by=[registrar])
            if refusal is not None:
                return new, f"{entry.id} cannot be registered: {refusal.message}"
        return new, ""


def enrol_parties(ledger: Submitting, mapping: str | os.PathLike[str]) -> int:
    """Registers the parties of a mapping's lookup that the ledger does not have yet, signed by the operator.

    Args:
        ledger: An open ledger whose operator's key is at hand.
        mapping: The mapping's file.

    Returns:
        How many were registered.

    Raises:
        NotFound: Mapping or lookup cannot be read.
        ConfigError: One of them makes no sense; or keys are made from a seed and the ledger's clock is real.
        KeyFileError: A key file, or the operator's key, cannot be read.
        Refused: A rule says no, for example to a name that is too long.
    """
    with ledger.rehearse() as paper:
        return enrol(ledger, PartyBook(ledger, read_mapping(mapping), paper).new())


def enrol(ledger: Submitting, new: list[tuple[Entry, Key]]) -> int:
    """Registers parties; gives how many. The fact `enrolled` of what it raises says how many were before."""
    for before, (entry, key) in enumerate(new):
        try:
            ledger.register(entry.id, entry.name, roles=entry.roles, key=key)
        except (Refused, Rejected) as error:
            error.facts["enrolled"] = before
            raise
    return len(new)


def _read_lookup(path: Path) -> dict[str, Entry]:
    """The parties by what the file calls them."""
    by_value: dict[str, Entry] = {}
    by_id: dict[str, Entry] = {}
    with HashedFile(path) as file:
        for row in read_rows(file, delimiter=",", encoding="utf-8"):
            where = f"{path}, row {row.number}"
            if row.fault is not None:
                raise ConfigError(f"{where}: {row.fault.reason}")
            if row.number == 1:
                if row.fields != LOOKUP_COLUMNS:
                    raise ConfigError(f"{where}: the columns are {', '.join(row.fields)}",
                                      advice=f"they must be {', '.join(LOOKUP_COLUMNS)}")  # fmt: skip
                continue
            if len(row.fields) != len(LOOKUP_COLUMNS):
                raise ConfigError(f"{where} has {len(row.fields)} fields", advice=f"{len(LOOKUP_COLUMNS)} are needed")
            value, id, name, roles, key = row.fields
            entry = Entry(id, name, _roles(roles, where), key)
            if by_id.setdefault(id, entry) != entry:
                raise ConfigError(f"{where}: {id} stands above with another name, roles or key")
            if by_value.setdefault(value, entry) != entry:
                raise ConfigError(f"{where}: {value!r} stands above for {by_value[value].id}")
    return by_value


def _roles(text: str, where: str) -> tuple[Role, ...]:
    roles = text.split()
    unknown = [role for role in roles if role not in _ROLES]
    if unknown or not roles:
        raise ConfigError(f"{where}: {text!r} is no list of roles", advice=f"known are {', '.join(sorted(_ROLES))}")
    return msgspec.convert(roles, tuple[Role, ...])
