"""Parties, their roles and keys, and whether those have signed whose signature a rule needs.

Registrars enter parties and give roles; from then on a party rules its own keys. It cannot leave itself unable to
sign, and nobody becomes the operator, or a registrar without the operator's signature.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.domain.check import check_identifier, check_not_future, check_reference
from finchain.domain.key import Duty, NewKey, PartyKey, PublicKey, Suite, can_sign, enrol, public_key_id
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, record, refuse, rule

Role = Literal[
    "supplier", "debtor", "guarantor", "lender", "factor", "controller", "settlement_bank", "owner", "contractor",
    "worker", "data_source", "arbiter", "registrar", "regulator", "operator",
]  # fmt: skip
"""`arbiter` is a court or an arbitration commission: its signature stands for those of the parties it judges."""

LIVE_KEYS_MAX: Final = 64
"""Live keys of one party: every officer of a large bank's trade desk, in a record that stays small."""

IDENTIFIERS_MAX: Final = 16
"""Official numbers of one party."""

THRESHOLD_MAX: Final = 16
"""A transaction carries at most 16 signatures (format 3.3)."""


@record
class Party(Record, frozen=True, kw_only=True):
    """A legal entity.

    Attributes:
        keys: Highest key number used so far.
        live: Numbers of the keys that have not ended, rising.
        threshold: How many different holders must sign for the party.
        identifiers: Official numbers by scheme, for example `{"uscc": "9151…", "lei": "5493…"}`.
    """

    kind: ClassVar[str] = "party"

    keys: int
    live: tuple[int, ...]
    name: str
    roles: tuple[Role, ...]
    threshold: int
    identifiers: dict[str, str] | Optional = Absent

    def __str__(self) -> str:
        return f"{self.id} {self.name} ({', '.join(self.roles)}), {self.threshold} of {len(self.live)} keys"


class RegisterParty(Instruction, frozen=True, tag="party.register"):
    """Enters a legal entity and its first keys. Signed by a registrar; the operator too where it enters a registrar."""

    id: str
    name: str
    roles: list[Role]
    threshold: int
    keys: list[NewKey]
    identifiers: dict[str, str] | Optional = Absent


class SetRoles(Instruction, frozen=True, tag="party.set_roles"):
    """Replaces a party's roles. Signed by a registrar; the operator too where the party becomes a registrar."""

    id: str
    roles: list[Role]


class SetThreshold(Instruction, frozen=True, tag="party.set_threshold"):
    """Changes how many holders must sign for the party. Signed by the party."""

    id: str
    threshold: int


class AddKey(Instruction, frozen=True, tag="key.add"):
    """Enrols one more key. Signed by the party, or by a registrar where too few of its keys are left to sign."""

    id: str
    holder: str
    duty: Duty
    suite: Suite
    public_key: str
    possession: str
    identity: str | Optional = Absent


class RotateKey(Instruction, frozen=True, tag="key.rotate"):
    """Puts a new key in the place of an old one, of the same holder and duty, which ends. Signed by the party."""

    id: str
    successor: str
    suite: Suite
    public_key: str
    possession: str
    identity: str | Optional = Absent


class EndKey(Instruction, frozen=True, tag="key.end"):
    """Ends a key. Signed by the party or a registrar.

    Attributes:
        compromised_since: From when on its signatures are doubtful; they stay valid, and readers see the date. It can
            be stated of a key that has ended already, and moved to an earlier day.
    """

    id: str
    compromised_since: date | Optional = Absent


def require(
    book: Book,
    kind: str,
    party_id: str,
    *,
    role: Role | tuple[Role, ...] | None = None,
    field: str = "by",
    service_ok: bool = False,
) -> Party:
    """The party, which has signed and has the role.

    Args:
        book: What the rule reads.
        kind: The instrument that refuses: the codes begin with it.
        party_id: Who must have signed.
        role: The role it needs, or several of which it needs one.
        field: The member of the instruction that names the party.
        service_ok: Whether an unattended machine's key is enough. It always is where the role asked for is
            `settlement_bank`, whose cash facts come from machines.

    Raises:
        Refused: `<kind>.not_signed`, `<kind>.wrong_role`, or `party.not_found`.
    """
    if party_id not in book.by:
        book.get(Party, party_id, field=field)
        refuse(
            f"{kind}.not_signed", f"{party_id} has not signed", field=field, value=party_id,
            advice=f"let {party_id} sign too", signed=", ".join(sorted(book.by)) or "nobody",
        )  # fmt: skip
    party = require_role(book, kind, party_id, role=role, field=field)
    if party_id in book.service and not service_ok and role != "settlement_bank":
        refuse(
            f"{kind}.not_signed", f"only a service key signed for {party_id}, and this act needs a person",
            rule="signatures", field=field, value=party_id, advice=f"let {party.threshold} of its holders sign",
        )  # fmt: skip
    return party


def require_role(
    book: Book, kind: str, party_id: str, *, role: Role | tuple[Role, ...] | None = None, field: str = "by"
) -> Party:
    """The party, which has the role; whether it signed is not asked.

    Raises:
        Refused: `<kind>.wrong_role`, or `party.not_found`.
    """
    party = book.get(Party, party_id, field=field)
    if role is None or role in party.roles:
        return party
    roles = (role,) if isinstance(role, str) else role
    if not any(each in party.roles for each in roles):
        refuse(
            f"{kind}.wrong_role", f"{party_id} is not {' or '.join(roles)}", rule="roles", field=field,
            value=party_id, advice=f"a registrar can give it the role {roles[0]}", roles=", ".join(party.roles),
        )  # fmt: skip
    return party


def require_any(book: Book, kind: str, role: Role) -> Party:
    """The first, by id, of the parties that signed, not only by a service key, and that have the role.

    Raises:
        Refused: `<kind>.not_signed`, where no such party has signed.
    """
    for party_id in sorted(book.by - book.service):
        party = book.find(Party, party_id)
        if party is not None and role in party.roles:
            return party
    refuse(
        f"{kind}.not_signed", f"nobody with the role {role} has signed, or only by a service key", rule="signatures",
        field="by", advice=f"let the {role} sign too, by a person", signed=", ".join(sorted(book.by)) or "nobody",
    )  # fmt: skip


def register(book: Book, do: RegisterParty, *, founding: bool = False) -> Party:
    """Writes a party and its keys, after it was checked who may do so.

    Raises:
        Refused: `party.identifier`, `party.duplicate`, `party.reference`, `party.keys`, `party.threshold`,
            `party.roles`, and what `enrol` raises.
    """
    check_identifier("party", do.id)
    held = book.find(Party, do.id)
    if held is not None:
        refuse(
            "party.duplicate", f"{do.id} is registered as {held.name}", field="id", value=do.id,
            advice="choose another id, or change the party that is there",
        )  # fmt: skip
    check_reference("party", do.name, "name")
    _check_official_numbers(do)
    if not 1 <= len(do.keys) <= LIVE_KEYS_MAX:
        refuse(
            "party.keys", f"{len(do.keys)} keys are declared", field="keys", value=len(do.keys),
            advice=f"declare 1 to {LIVE_KEYS_MAX}",
        )  # fmt: skip
    keys = [enrol(book, do.id, number, new, founding=founding) for number, new in enumerate(do.keys, 1)]
    _check_threshold(do.threshold, keys)
    party = Party(
        id=do.id, keys=len(keys), live=tuple(range(1, len(keys) + 1)), name=do.name, roles=_checked_roles(do.roles),
        threshold=do.threshold, identifiers=do.identifiers,
    )  # fmt: skip
    book.put(party)
    return party


@rule(RegisterParty)
def _register(do: RegisterParty, book: Book) -> None:
    require_any(book, "party", "registrar")
    _check_grant(book, do.roles, had=())
    register(book, do)


@rule(SetRoles)
def _set_roles(do: SetRoles, book: Book) -> None:
    require_any(book, "party", "registrar")
    party = book.get(Party, do.id, field="id")
    _check_grant(book, do.roles, had=party.roles)
    book.put(msgspec.structs.replace(party, roles=_checked_roles(do.roles)))


@rule(SetThreshold)
def _set_threshold(do: SetThreshold, book: Book) -> None:
    party = require(book, "party", do.id, field="id")
    _check_threshold(do.threshold, _live_keys(book, party))
    book.put(msgspec.structs.replace(party, threshold=do.threshold))


@rule(AddKey)
def _add_key(do: AddKey, book: Book) -> None:
    party = _party_of(book, do.id)
    if party.id not in book.by and not can_sign(party.threshold, _live_keys(book, party)):
        require_any(book, "key", "registrar")
    else:
        require(book, "key", party.id)
    if len(party.live) >= LIVE_KEYS_MAX:
        refuse(
            "key.limit", f"{party.id} has {len(party.live)} live keys", field="id", value=do.id,
            advice=f"end one first; {LIVE_KEYS_MAX} are the most",
        )  # fmt: skip
    number = _next_number(party, do.id, "id")
    enrol(book, party.id, number, NewKey(do.holder, do.duty, do.suite, do.public_key, do.possession, do.identity))
    book.put(msgspec.structs.replace(party, keys=number, live=(*party.live, number)))


@rule(RotateKey)
def _rotate_key(do: RotateKey, book: Book) -> None:
    party = _party_of(book, do.id)
    require(book, "key", party.id)
    old = _live_key(book, do.id)
    number = _next_number(party, do.successor, "successor")
    enrol(book, party.id, number, NewKey(old.holder, old.duty, do.suite, do.public_key, do.possession, do.identity))
    book.put(msgspec.structs.replace(old, ended_ms=book.time_ms))
    book.put(msgspec.structs.replace(party, keys=number, live=(*_live_without(party, old), number)))


@rule(EndKey)
def _end_key(do: EndKey, book: Book) -> None:
    party = _party_of(book, do.id)
    if party.id in book.by:
        require(book, "key", party.id)
    else:
        require_any(book, "key", "registrar")
    if do.compromised_since is not Absent:
        _mark_compromised(book.get(PartyKey, do.id, field="id"), do.compromised_since, book)
        if not _is_live(party, do.id):
            return
    key = _live_key(book, do.id)
    left = [each for each in _live_keys(book, party) if each.id != key.id]
    if party.id in book.by and not can_sign(party.threshold, left):
        refuse(
            "key.bad_state", f"without {key.id}, {party.id} could not reach its threshold of {party.threshold}",
            field="id", value=do.id, advice="rotate the key, add another first, or ask a registrar",
        )  # fmt: skip
    book.put(msgspec.structs.replace(key, ended_ms=book.time_ms))
    book.put(msgspec.structs.replace(party, live=_live_without(party, key)))


def _check_threshold(threshold: int, keys: list[PartyKey]) -> None:
    if not 1 <= threshold <= THRESHOLD_MAX or not can_sign(threshold, keys):
        refuse(
            "party.threshold", f"a threshold of {threshold} cannot be reached with these keys", rule="format 3.3",
            field="threshold", value=threshold,
            advice=f"state 1 to {THRESHOLD_MAX}, not above the number of holders; from 2 on both makers and checkers"
            if can_sign(1, keys) else f"{NONE}: a person needs a key first",
            holders=len({key.holder for key in keys if key.duty != "service"}),
        )  # fmt: skip


def _check_official_numbers(do: RegisterParty) -> None:
    if do.identifiers is Absent:
        return
    if len(do.identifiers) > IDENTIFIERS_MAX:
        refuse(
            "party.identifiers", f"{len(do.identifiers)} official numbers are stated", field="identifiers",
            value=len(do.identifiers), advice=f"state up to {IDENTIFIERS_MAX}",
        )  # fmt: skip
    for scheme, number in do.identifiers.items():
        check_identifier("party", scheme, "identifiers")
        check_reference("party", number, "identifiers")


def _checked_roles(roles: list[Role]) -> tuple[Role, ...]:
    if not roles or len(set(roles)) != len(roles):
        refuse(
            "party.roles", "roles are missing or doubled", field="roles", value=", ".join(roles),
            advice="state at least one role, each once",
        )  # fmt: skip
    # Who orders the log has no rights of value in it.
    if "operator" in roles and not set(roles) <= {"operator", "registrar"}:
        refuse(
            "party.roles", "the operator cannot have a part in the business of its ledger", rule="operator",
            field="roles", value=", ".join(roles), advice="register another party for it",
        )  # fmt: skip
    return tuple(sorted(roles))


def _check_grant(book: Book, roles: list[Role], had: tuple[Role, ...]) -> None:
    """Refuses a change of who is the operator at all, and of who is a registrar without the operator."""
    if ("operator" in roles) != ("operator" in had):
        refuse(
            "party.wrong_role", "the operator is stated once, in block 0", field="roles", value=", ".join(roles),
            advice="leave the role operator as it is",
        )  # fmt: skip
    if ("registrar" in roles) != ("registrar" in had):
        require_any(book, "party", "operator")


def _party_of(book: Book, key_id: str) -> Party:
    return book.get(Party, key_id.rpartition("/")[0], field="id")


def _live_key(book: Book, key_id: str) -> PartyKey:
    key = book.get(PartyKey, key_id, field="id")
    if key.ended_ms is not Absent:
        refuse(
            "key.bad_state", f"{key_id} has ended", field="id", value=key_id, advice="name a key that is live",
            ended_ms=key.ended_ms,
        )  # fmt: skip
    return key


def _is_live(party: Party, key_id: str) -> bool:
    return any(key_id == f"{party.id}/{number}" for number in party.live)


def _live_without(party: Party, key: PartyKey) -> tuple[int, ...]:
    return tuple(number for number in party.live if f"{party.id}/{number}" != key.id)


def _mark_compromised(key: PartyKey, since: date, book: Book) -> None:
    check_not_future("key", since, book.today, "compromised_since")
    enrolled = book.get(PublicKey, public_key_id(key.public_key))
    if enrolled.compromised_since is not Absent and enrolled.compromised_since <= since:
        refuse(
            "key.bad_state", f"{key.id} is doubtful since {enrolled.compromised_since} already",
            field="compromised_since", value=str(since), advice="state an earlier date",
        )  # fmt: skip
    book.put(msgspec.structs.replace(enrolled, compromised_since=since))


def _live_keys(book: Book, party: Party) -> list[PartyKey]:
    return [book.get(PartyKey, f"{party.id}/{number}") for number in party.live]


def _next_number(party: Party, key_id: str, field: str) -> int:
    if key_id != f"{party.id}/{party.keys + 1}":
        refuse(
            "key.number", f"{key_id} is not the next key of {party.id}", rule="format 3.3", field=field,
            value=key_id, advice=f"name it {party.id}/{party.keys + 1}",
        )  # fmt: skip
    return party.keys + 1
