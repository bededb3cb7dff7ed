"""Parties, their keys and roles, and who has signed what a rule is about to do.

A key is enrolled only with a signature that shows its holder has it, under one number that is never used again,
and for one party only. No key ever signs twice as two persons, and no party is left unable to sign by its own act.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.domain.check import check_identifier, check_not_future, check_reference
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, record, refuse, rule
from finchain.errors import FinchainError

Duty = Literal["maker", "checker", "any", "service"]
Role = Literal[
    "supplier", "debtor", "guarantor", "lender", "factor", "controller", "settlement_bank", "owner", "contractor",
    "worker", "data_source", "registrar", "regulator", "operator",
]  # fmt: skip
Suite = Literal["ed25519"]

LIVE_KEYS_MAX: Final = 64
"""Live keys of one party: every officer of a large bank's trade desk, in a record that stays small."""

THRESHOLD_MAX: Final = 16
"""A transaction carries at most 16 signatures (format.md 3.3)."""

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


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


@record
class PartyKey(Record, frozen=True, kw_only=True):
    """A public key of one holder: a natural person, or an unattended machine with duty `service`."""

    kind: ClassVar[str] = "key"

    duty: Duty
    holder: str
    party: str
    public_key: str
    suite: Suite
    ended_ms: int | Optional = Absent
    compromised_since: date | Optional = Absent

    def __str__(self) -> str:
        return f"{self.id} {self.holder} ({self.duty})" + (", ended" if self.ended_ms is not Absent else "")


@record
class PublicKey(Record, frozen=True, kw_only=True):
    """Says which key enrolled a public key first. Its id is the public key in hex, so none is enrolled twice."""

    kind: ClassVar[str] = "public_key"

    key: str


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to enrol.

    Attributes:
        holder: The natural person or machine that holds it.
        public_key: Base64 of 32 bytes.
        possession: Base64 of the key's signature as format.md 3.7 has it. Absent only in block 0, which the founders'
            keys sign themselves.
    """

    holder: str
    duty: Duty
    suite: Suite
    public_key: str
    possession: str | Optional = Absent


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


class RotateKey(Instruction, frozen=True, tag="key.rotate"):
    """Puts a new key in the place of an old one, of the same holder and duty, which ends. Signed by the party."""

    id: str
    successor: str
    suite: Suite
    public_key: str
    possession: str


class EndKey(Instruction, frozen=True, tag="key.end"):
    """Ends a key. Signed by the party or a registrar.

    Attributes:
        compromised_since: From when on its signatures are doubtful; they stay valid, and readers see the date.
    """

    id: str
    compromised_since: date | Optional = Absent


PossessionVerifier = Callable[[bytes, bytes, bytes], None]
"""Takes a public key, a signature and a message, and raises a `FinchainError` or `ValueError` unless they agree."""

_verifiers: dict[Suite, PossessionVerifier] = {}


def set_possession_verifier(verifier: PossessionVerifier, suite: Suite = "ed25519") -> None:
    """Gives the rules the one pure function that they do not have themselves: to verify a signature.

    The rules stay free of the compiled core in this way. Whoever runs them (the ledger, the audit, the tests) sets it
    once, before the first rule runs; every verifier that is set must accept by format.md 3.3.
    """
    _verifiers[suite] = verifier


def possession_message(ledger: str, key_id: str, suite: str, public_key: str) -> bytes:
    """What a key signs to show that its holder has it (format.md 3.7).

    Args:
        ledger: The ledger's name: origin, `#`, hash of block 0.
        key_id: The id that the key will have, for example `shop/1`.
        suite: The signature suite.
        public_key: Base64 of the public key.
    """
    parts = {"key": key_id, "ledger": ledger, "public_key": public_key, "suite": suite, "type": "finchain.key.1"}
    return msgspec.json.encode(parts, order="sorted")


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
        refuse(
            f"{kind}.not_signed", f"{party_id} has not signed", field=field, value=party_id,
            advice=f"let {party_id} sign too", signed=", ".join(sorted(book.by)) or "nobody",
        )  # fmt: skip
    party = require_role(book, kind, party_id, role=role, field=field)
    if party_id in book.service and not service_ok and role != "settlement_bank":
        refuse(
            f"{kind}.not_signed", f"only a service key signed for {party_id}, and this act needs a person",
            rule="domain.md 2.0", field=field, value=party_id, advice=f"let {party.threshold} of its holders sign",
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
    roles = (role,) if isinstance(role, str) else role
    if roles is not None and not any(each in party.roles for each in roles):
        refuse(
            f"{kind}.wrong_role", f"{party_id} is not {' or '.join(roles)}", rule="domain.md 2.0", field=field,
            value=party_id, advice=f"a registrar can give it the role {roles[0]}", roles=", ".join(party.roles),
        )  # fmt: skip
    return party


def require_registrar(book: Book, kind: str) -> Party:
    """The first, by id, of those who signed with the role `registrar`.

    Raises:
        Refused: `<kind>.not_signed`, where no registrar has signed.
    """
    for party_id in sorted(book.by - book.service):
        party = book.find(Party, party_id)
        if party is not None and "registrar" in party.roles:
            return party
    refuse(
        f"{kind}.not_signed", "no registrar has signed", rule="domain.md 2.0", field="by",
        advice="let a registrar sign", signed=", ".join(sorted(book.by)) or "nobody",
    )  # fmt: skip


def enrol(book: Book, party_id: str, number: int, new: NewKey, *, prove: bool = True) -> PartyKey:
    """Writes a new key of the party; `prove` is false for the founders' keys, which sign block 0 itself.

    Raises:
        Refused: `key.reference`, `key.public_key`, `key.duplicate`, or `key.possession`.
    """
    id = f"{party_id}/{number}"
    check_reference("key", new.holder, "holder")
    public_key = _decoded(new.public_key, PUBLIC_KEY_BYTES, "public_key")
    first = book.find(PublicKey, public_key.hex())
    if first is not None:
        refuse(
            "key.duplicate", f"this public key was enrolled as {first.key} already", field="public_key",
            value=new.public_key, advice="let the holder make a key of their own",
        )  # fmt: skip
    if prove:
        _check_possession(book, id, new, public_key)
    key = PartyKey(
        id=id, duty=new.duty, holder=new.holder, party=party_id, public_key=new.public_key, suite=new.suite
    )  # fmt: skip
    book.put(key)
    book.put(PublicKey(id=public_key.hex(), key=id))
    return key


def register(
    book: Book,
    do: RegisterParty,
    *,
    prove: bool = True,
) -> Party:
    """Writes a party and its keys, after whoever may do so was checked.

    Raises:
        Refused: See the rule of `party.register`.
    """
    check_identifier("party", do.id)
    held = book.find(Party, do.id)
    if held is not None:
        refuse("party.duplicate", f"{do.id} is registered as {held.name}", field="id", value=do.id,
               advice="choose another id, or change the party that is there")  # fmt: skip
    check_reference("party", do.name, "name")
    identifiers = do.identifiers
    if identifiers is not Absent:
        for scheme, number in identifiers.items():
            check_identifier("party", scheme, "identifiers")
            check_reference("party", number, "identifiers")
    if not 1 <= len(do.keys) <= LIVE_KEYS_MAX:
        refuse("party.keys", f"{len(do.keys)} keys are declared", field="keys", value=len(do.keys),
               advice=f"declare 1 to {LIVE_KEYS_MAX}")  # fmt: skip
    keys = [enrol(book, do.id, number, new, prove=prove) for number, new in enumerate(do.keys, 1)]
    _check_threshold("party", do.threshold, keys)
    party = Party(
        id=do.id, keys=len(keys), live=tuple(range(1, len(keys) + 1)), name=do.name, roles=_checked_roles(do.roles),
        threshold=do.threshold, identifiers=identifiers,
    )  # fmt: skip
    book.put(party)
    return party


@rule(RegisterParty)
def _register(do: RegisterParty, book: Book) -> None:
    require_registrar(book, "party")
    _check_grant(book, do.roles, had=())
    register(book, do)


@rule(SetRoles)
def _set_roles(do: SetRoles, book: Book) -> None:
    require_registrar(book, "party")
    party = book.get(Party, do.id, field="id")
    _check_grant(book, do.roles, had=party.roles)
    book.put(msgspec.structs.replace(party, roles=_checked_roles(do.roles)))


@rule(SetThreshold)
def _set_threshold(do: SetThreshold, book: Book) -> None:
    party = require(book, "party", do.id, field="id")
    _check_threshold("party", do.threshold, _live_keys(book, party))
    book.put(msgspec.structs.replace(party, threshold=do.threshold))


@rule(AddKey)
def _add_key(do: AddKey, book: Book) -> None:
    party = _party_of(book, do.id)
    if party.id not in book.by and not can_sign(party.threshold, _live_keys(book, party)):
        require_registrar(book, "key")
    else:
        require(book, "key", party.id)
    if len(party.live) >= LIVE_KEYS_MAX:
        refuse("key.limit", f"{party.id} has {len(party.live)} live keys", field="id", value=do.id,
               advice=f"end one first; {LIVE_KEYS_MAX} are the most")  # fmt: skip
    number = _next_number(party, do.id, "id")
    enrol(book, party.id, number, NewKey(do.holder, do.duty, do.suite, do.public_key, do.possession))
    book.put(msgspec.structs.replace(party, keys=number, live=(*party.live, number)))


@rule(RotateKey)
def _rotate_key(do: RotateKey, book: Book) -> None:
    party = _party_of(book, do.id)
    require(book, "key", party.id)
    old = _live_key(book, do.id)
    number = _next_number(party, do.successor, "successor")
    enrol(book, party.id, number, NewKey(old.holder, old.duty, do.suite, do.public_key, do.possession))
    book.put(msgspec.structs.replace(old, ended_ms=book.time_ms))
    live = (*(each for each in party.live if f"{party.id}/{each}" != old.id), number)
    book.put(msgspec.structs.replace(party, keys=number, live=live))


@rule(EndKey)
def _end_key(do: EndKey, book: Book) -> None:
    party = _party_of(book, do.id)
    if party.id in book.by:
        require(book, "key", party.id)
    else:
        require_registrar(book, "key")
    key = _live_key(book, do.id)
    left = [each for each in _live_keys(book, party) if each.id != key.id]
    if party.id in book.by and not can_sign(party.threshold, left):
        refuse(
            "key.bad_state", f"without {key.id}, {party.id} could not reach its threshold of {party.threshold}",
            field="id", value=do.id, advice="rotate the key, add another first, or ask a registrar",
        )  # fmt: skip
    if do.compromised_since is not Absent:
        check_not_future("key", do.compromised_since, book.today, "compromised_since")
    book.put(msgspec.structs.replace(key, ended_ms=book.time_ms, compromised_since=do.compromised_since))
    live = tuple(number for number in party.live if f"{party.id}/{number}" != key.id)
    book.put(msgspec.structs.replace(party, live=live))


def can_sign(threshold: int, keys: Iterable[PartyKey]) -> bool:
    """Whether these keys can reach the threshold: that many holders, and from 2 on of both sides (format.md 3.3)."""
    persons = [key for key in keys if key.duty != "service"]
    if len({key.holder for key in persons}) < threshold:
        return False
    duties = {key.duty for key in persons}
    return threshold == 1 or not (duties <= {"maker"} or duties <= {"checker"})


def _check_threshold(kind: str, threshold: int, keys: list[PartyKey]) -> None:
    if not 1 <= threshold <= THRESHOLD_MAX or not can_sign(threshold, keys):
        refuse(
            f"{kind}.threshold", f"a threshold of {threshold} cannot be reached with these keys", rule="format.md 3.3",
            field="threshold", value=threshold,
            advice=f"1 to {THRESHOLD_MAX}, not above the number of holders, and from 2 on both makers and checkers",
            holders=len({key.holder for key in keys if key.duty != "service"}),
        )  # fmt: skip


def _checked_roles(roles: list[Role]) -> tuple[Role, ...]:
    if not roles or len(set(roles)) != len(roles):
        refuse("party.roles", "roles are missing or doubled", field="roles", value=", ".join(roles),
               advice="state at least one role, each once")  # fmt: skip
    return tuple(sorted(roles))


def _check_grant(book: Book, roles: list[Role], had: tuple[Role, ...]) -> None:
    """Refuses a registrar that makes registrars alone, or an operator at all."""
    if ("operator" in roles) != ("operator" in had):
        refuse("party.wrong_role", "the operator is stated once, in block 0", field="roles", value="operator",
               advice="leave the role operator as it is")  # fmt: skip
    if "registrar" in roles and "registrar" not in had:
        operators = [party_id for party_id in sorted(book.by) if _is_operator(book, party_id)]
        if not operators:
            refuse("party.not_signed", "a new registrar needs the operator's signature", field="roles",
                   value="registrar", advice="let the operator sign too")  # fmt: skip


def _is_operator(book: Book, party_id: str) -> bool:
    party = book.find(Party, party_id)
    return party is not None and "operator" in party.roles and party_id not in book.service


def _party_of(book: Book, key_id: str) -> Party:
    return book.get(Party, key_id.rpartition("/")[0], field="id")


def _live_key(book: Book, key_id: str) -> PartyKey:
    key = book.get(PartyKey, key_id, field="id")
    if key.ended_ms is not Absent:
        refuse("key.bad_state", f"{key_id} has ended", field="id", value=key_id, advice="name a key that is live",
               ended_ms=key.ended_ms)  # fmt: skip
    return key


def _live_keys(book: Book, party: Party) -> list[PartyKey]:
    return [book.get(PartyKey, f"{party.id}/{number}") for number in party.live]


def _next_number(party: Party, key_id: str, field: str) -> int:
    if key_id != f"{party.id}/{party.keys + 1}":
        refuse("key.number", f"{key_id} is not the next key of {party.id}", rule="format.md 3.3", field=field,
               value=key_id, advice=f"name it {party.id}/{party.keys + 1}")  # fmt: skip
    return party.keys + 1


def _decoded(text: str, size: int, field: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    # Comparing with the encoding again refuses trailing bits that are not zero.
    if len(decoded) != size or base64.b64encode(decoded).decode() != text:
        refuse(f"key.{field}", f"{field} is not the Base64 of {size} bytes", rule="format.md 3.7", field=field,
               value=text, advice="encode by RFC 4648 section 4, padded")  # fmt: skip
    return decoded


def _check_possession(book: Book, key_id: str, new: NewKey, public_key: bytes) -> None:
    if new.possession is Absent:
        refuse("key.possession", f"{key_id} has not shown that its holder has it", rule="format.md 3.7",
               field="possession", advice="let the key sign the enrolment message")  # fmt: skip
    signature = _decoded(new.possession, SIGNATURE_BYTES, "possession")
    message = possession_message(book.ledger, key_id, new.suite, new.public_key)
    try:
        _verifiers[new.suite](public_key, signature, message)
    except (FinchainError, ValueError):
        refuse("key.possession", f"the signature is not the key's over its enrolment as {key_id}", rule="format.md 3.7",
               field="possession", value=new.possession, advice=f"sign {message.decode()}")  # fmt: skip
