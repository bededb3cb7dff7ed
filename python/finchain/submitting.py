"""How a transaction is made and sent, by whatever way the ledger is reached: registered, signed, submitted, prepared.

A submission ends as applied, refused, rejected or unknown. Unknown comes with a ticket, and `resolve` tells later.
"""

from __future__ import annotations

import base64
import secrets
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from finchain.clock import Clock
from finchain.domain.founding import LedgerRecord
from finchain.domain.key import PartyKey, PublicKey, public_key_id
from finchain.domain.party import Party, RegisterParty, Role
from finchain.domain.rule import Absent, Instruction, Optional
from finchain.domain.rulebook import Rulebook
from finchain.errors import ConfigError, IdempotencyConflict, LaneConflict, NotFound, Refused, Rejected, Unknown
from finchain.key_folder import KeyFolder
from finchain.keys import EnrolmentRequest, Holder, Key, enrolment_key
from finchain.outcome import Applied, Outcome, RefusedRow
from finchain.reading import Reading
from finchain.rehearsal import Rehearsal
from finchain.transaction import EXPIRY_MS, Mode, Transaction, content_of, once_lane
from finchain.wording import currency_of

MAIN: Final = "main"
"""The lane of a process that has the ledger open for writing, for everything that names none."""

Send = Callable[[list[bytes]], list[Outcome]]
"""Sends transactions; gives their outcomes, in order, once they are durable or known not to be known."""


class Submitting(Reading):
    """What all ways to write into a ledger have in common."""

    def __init__(
        self,
        path: Path,
        record: LedgerRecord,
        clock: Clock,
        rulebooks: Iterable[Rulebook],
        folder: KeyFolder,
        operator: Key | None,
    ) -> None:
        super().__init__(path, record, clock, rulebooks)
        self._folder = folder
        self._operator = operator
        self._key_ids: dict[bytes, str] = {}

    @abstractmethod
    def _in_turn(self) -> AbstractContextManager[tuple[Callable[[str], int], Send]]:
        """Gives the last sequence of a lane by its id, and a way to send, with nothing of this handle in between."""

    @abstractmethod
    def _send(self, texts: list[bytes]) -> list[Outcome]:
        """Sends transactions, together with what others send at the same time."""

    @abstractmethod
    def submit_all(self, transactions: Iterable[Transaction | bytes]) -> Iterator[Outcome]:
        """Submits a stream of signed transactions; gives one outcome for each, in order, once it is durable."""

    # ---- parties

    def register(
        self,
        party_id: str,
        name: str,
        *,
        roles: Sequence[Role],
        key: Key | None = None,
        keys: Sequence[Holder] = (),
        threshold: int = 1,
        request: EnrolmentRequest | None = None,
        identifiers: dict[str, str] | Optional = Absent,
        registrar: Key | None = None,
    ) -> Outcome:
        """Registers a party, signed by the registrar.

        Args:
            party_id: 1 to 64 characters of `[A-Za-z0-9._:-]`.
            name: The legal name, at most 128 bytes of UTF-8.
            roles: What it may do.
            key: Its one key; or
            keys: its keys with their holders; or
            request: an enrolment request, made where the private keys are.
            threshold: How many holders must sign for it.
            identifiers: Official numbers, such as `{"lei": "…"}`.
            registrar: The registrar's key; the operator's where absent.

        Raises:
            Refused: A rule says no, for example because the party is registered.
            Unknown: It was sent, and no answer came.
            ConfigError: Not exactly one of `key`, `keys` and `request` is given, or the request is for another party
                or ledger.
        """
        do = self.registration(
            party_id, name, roles=roles, key=key, keys=keys, threshold=threshold, request=request,
            identifiers=identifiers,
        )  # fmt: skip
        return self.submit(do, by=registrar or self._operator_key())

    def registration(
        self,
        party_id: str,
        name: str,
        *,
        roles: Sequence[Role],
        key: Key | None = None,
        keys: Sequence[Holder] = (),
        threshold: int = 1,
        request: EnrolmentRequest | None = None,
        identifiers: dict[str, str] | Optional = Absent,
    ) -> RegisterParty:
        """The instruction that `register` submits, for a registrar who signs elsewhere. Its arguments are the same.

        Raises:
            ConfigError: As `register`.
        """
        if (key is not None) + bool(keys) + (request is not None) != 1:
            raise ConfigError("a party has a key, or keys with holders, or an enrolment request", advice="give one")
        if request is not None:
            if (request.ledger, request.id) != (self.name, party_id):
                raise ConfigError(
                    f"the request is for {request.id} on {request.ledger}, not for {party_id} on {self.name}"
                )
            enrolled, threshold = request.keys, request.threshold
        else:
            holders = [Holder(key, name)] if key is not None else list(keys)
            enrolled = [enrolment_key(self.name, f"{party_id}/{n}", holder) for n, holder in enumerate(holders, 1)]
        return RegisterParty(party_id, name, sorted(roles), threshold, enrolled, identifiers)

    # ---- submitting

    def submit(
        self,
        what: Instruction | Sequence[Instruction] | Transaction,
        *,
        by: Key | Sequence[Key] = (),
        lane: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """Submits one instruction, or several that hold together or not at all, or a signed transaction.

        Args:
            what: The instructions, or a transaction that is signed already.
            by: The keys that sign; the party of the first is the sender.
            lane: The sender's series, for who needs an order of his own among what he sends. Without it any number of
                processes and threads send at the same time.
            idempotency_key: The caller's own name for this act, 1 to 512 characters, for example an order's number.
                The same instructions under the same key of the same sender are in the ledger once, whoever sends them
                however often; the first answer comes again, a refusal too.

        Returns:
            The outcome, durable: `applied`, or `already` where the same was applied before.

        Raises:
            Refused: A rule said no; the attempt is kept, and nothing moved.
            Rejected: It never entered a block.
            IdempotencyConflict: The key was used for another order.
            Unknown: It was sent, and nobody knows what became of it; the error has a ticket for `resolve`.
            StorageError: The ledger has failed before; nothing was sent.
        """
        if isinstance(what, Transaction):
            if lane is not None or idempotency_key is not None:
                raise ConfigError(
                    "a transaction has its lane already", advice="name the lane or the key where it is prepared"
                )
            outcome = self._send([what.to_bytes()])[0]
        else:
            instructions = [what] if isinstance(what, Instruction) else list(what)
            outcome = self._sign_and_submit(instructions, by, lane, "all", idempotency_key)
        raise_unless_known(outcome)
        if outcome.refused:
            raise outcome.refusals[0] if outcome.refusals else _refused_before(outcome)
        return outcome

    def submit_each(
        self,
        instructions: Sequence[Instruction],
        *,
        by: Key | Sequence[Key],
        lane: str | None = None,
        idempotency_key: str | None = None,
    ) -> list[Applied | RefusedRow]:
        """Submits instructions that stand alone under one signature; gives one result for each, in order.

        Args:
            instructions: The instructions.
            by: As for `submit`; and so are
            lane: the sender's series, and
            idempotency_key: the caller's name for all of them together.

        Raises:
            Rejected: The transaction never entered a block; nothing of it was kept.
            IdempotencyConflict: The key was used for other orders.
            Unknown: As `submit`.
        """
        outcome = self._sign_and_submit(list(instructions), by, lane, "each", idempotency_key)
        raise_unless_known(outcome)
        codes = dict(outcome.refused)
        reasons = {refusal.instruction: refusal for refusal in outcome.refusals}
        rows: list[Applied | RefusedRow] = []
        for index, instruction in enumerate(instructions):
            if index in codes:
                refusal = reasons.get(index)
                rows.append(RefusedRow(instruction, codes[index], refusal, outcome.height, outcome.entry, index))
            else:
                rows.append(Applied(instruction, outcome.height, outcome.entry, index))
        return rows

    def prepare(
        self,
        instructions: Instruction | Sequence[Instruction],
        *,
        by: Sequence[str],
        lane: str | None = None,
        mode: Mode = "all",
        expires_ms: int | None = None,
        idempotency_key: str | None = None,
    ) -> Transaction:
        """Builds a transaction that parties sign one after the other, on machines of their own.

        Args:
            instructions: What is ordered.
            by: The parties that must sign; the first is the sender.
            lane: The sender's series; where absent it has no place in any, because such an act may wait.
            mode: `all` or `each`.
            expires_ms: Unix time in ms after which it is void; a week from now where absent.
            idempotency_key: As for `submit`.

        Raises:
            NotFound: A party is not registered.
            Rejected: A limit is broken.
            ConfigError: The idempotency key is empty or too long, or stands beside a lane.
        """
        several = [instructions] if isinstance(instructions, Instruction) else list(instructions)
        key_ids: dict[bytes, str] = {}
        for party_id in by:
            key_ids |= self.key_ids_of(party_id)
        if lane is None:
            lane, sequence = once_lane(secrets.token_hex(16) if idempotency_key is None else idempotency_key), 1
        else:
            _check_one_name(lane, idempotency_key)
            with self._in_turn() as (lane_sequence, _):
                sequence = lane_sequence(f"{by[0]} {lane}") + 1
        transaction = self._build(several, by, lane, sequence, mode, key_ids, expires_ms)
        for index, instruction in enumerate(several):
            currency = currency_of(instruction, self.look)
            if currency is not None and not hasattr(instruction, "currency"):
                transaction.currencies[index] = currency
        return transaction

    def key_ids_of(self, party_id: str) -> dict[bytes, str]:
        """The ids of a party's live keys by public key, for signers who have no ledger.

        Raises:
            NotFound: The party is not registered.
        """
        keys = (self.get(PartyKey, f"{party_id}/{number}") for number in self.get(Party, party_id).live)
        return {base64.b64decode(key.public_key): key.id for key in keys}

    def rehearse(self) -> Rehearsal:
        """The rules over the state as it is, for transactions that are not sent; see `finchain.rehearsal`."""
        self._check_process()
        return Rehearsal(self.look, self._rulebook().rules, self._place())

    def _build(
        self,
        instructions: Sequence[Instruction],
        by: Sequence[str],
        lane: str,
        sequence: int,
        mode: Mode,
        key_ids: dict[bytes, str],
        expires_ms: int | None = None,
    ) -> Transaction:
        return Transaction.build(
            instructions, by=by, ledger=self.name, lane=lane, sequence=sequence, mode=mode,
            expires_ms=expires_ms or self._now_ms() + EXPIRY_MS, hash_suite=self.hash_suite, key_ids=key_ids,
            rulebook=self.rulebook,
        )  # fmt: skip

    def _sign_and_submit(
        self,
        instructions: list[Instruction],
        by: Key | Sequence[Key],
        lane: str | None,
        mode: Mode,
        idempotency_key: str | None,
    ) -> Outcome:
        self._check_process()
        keys = [by] if isinstance(by, Key) else list(by)
        if not keys:
            raise ConfigError("nobody signs", advice="give the keys that sign as by=")
        key_ids = {key.public_key: self._key_id(key) for key in keys}
        parties = list(dict.fromkeys(key_ids[key.public_key].rpartition("/")[0] for key in keys))

        def signed(lane: str, sequence: int) -> Transaction:
            transaction = self._build(instructions, parties, lane, sequence, mode, key_ids)
            for key in keys:
                transaction.sign(key)
            return transaction

        if idempotency_key is not None:
            _check_one_name(lane, idempotency_key)
            return self._submit_once(signed(once_lane(idempotency_key), 1), idempotency_key)
        if lane is None:
            return self._submit_anywhere(parties[0], signed)
        with self._in_turn() as (lane_sequence, send):
            outcome = send([signed(lane, lane_sequence(f"{parties[0]} {lane}") + 1).to_bytes()])[0]
        if isinstance(outcome.error, LaneConflict):
            outcome.error.advice = f"somebody else sends in the lane {lane}: submit again, or name no lane"
        return outcome

    def _submit_anywhere(self, sender: str, signed: Callable[[str, int], Transaction]) -> Outcome:
        """Sends a transaction in whatever lane is free; `signed` makes it for a lane and a number."""
        with self._in_turn() as (lane_sequence, send):
            return send([signed(MAIN, lane_sequence(f"{sender} {MAIN}") + 1).to_bytes()])[0]

    def _submit_once(self, transaction: Transaction, idempotency_key: str) -> Outcome:
        outcome = self._send([transaction.to_bytes()])[0]
        if not isinstance(outcome.error, LaneConflict):
            return outcome
        with self._asking() as source:
            place = source.lane_place(f"{transaction.by[0]} {transaction.lane}", 1)
            assert place is not None
            first = source.entered(*place)
        if content_of(first["header"], first["instructions"], ("by", "mode")) == transaction.content(("by", "mode")):
            # Another rulebook came into force between the two: the order is the same, and was given once.
            return Outcome(
                status="already", id=first["id"], height=place[0], entry=place[1], refused=tuple(first["refused"])
            )
        error = IdempotencyConflict(
            f"the idempotency key {idempotency_key!r} was used for another order: transaction {first['id']} "
            f"(block {place[0]}, entry {place[1]})",
            advice="give a new order a new key; to repeat an order, send the same instructions by the same parties",
        )
        return Outcome(status="rejected", error=error)

    # ---- inside

    def _operator_key(self) -> Key:
        if self._operator is None:
            self._operator = self._folder.operator_key()
        return self._operator

    def _key_id(self, key: Key) -> str:
        known = self._key_ids.get(key.public_key)
        if known is None:
            record = self.look(PublicKey, public_key_id(base64.b64encode(key.public_key).decode()))
            if record is None:
                raise NotFound(f"the key {key.public_key.hex()} is not enrolled", advice="register its party first")
            known = self._key_ids[key.public_key] = record.key
        return known


def unknown_outcomes(texts: Iterable[bytes], hash_suite: str, why: str) -> list[Outcome]:
    """Outcomes of transactions that were sent and not answered; one that is no transaction is rejected, certainly."""
    outcomes: list[Outcome] = []
    for text in texts:
        try:
            ticket = Transaction.parse(text, hash_suite=hash_suite).ticket
        except Rejected as error:
            outcomes.append(Outcome(status="rejected", error=error))
        else:
            outcomes.append(Outcome(status="unknown", ticket=ticket, notes=(why,)))
    return outcomes


def _check_one_name(lane: str | None, idempotency_key: str | None) -> None:
    if lane is not None and idempotency_key is not None:
        raise ConfigError(
            "a lane and an idempotency key were given", advice="give one: an act with a key has a lane of its own"
        )


def raise_unless_known(outcome: Outcome) -> None:
    """Raises what an outcome says of a transaction that is in no block, or that nobody knows of.

    Raises:
        Rejected: It never entered a block.
        Unknown: It was sent, and nobody knows what became of it.
    """
    if outcome.error is not None:
        raise outcome.error
    if outcome.ticket is not None:
        ticket = outcome.ticket
        raise Unknown(
            f"transaction {ticket.id} (lane {ticket.lane}, sequence {ticket.sequence}) was sent, and no answer came: "
            + "; ".join(outcome.notes),
            ticket=ticket,
        )


def _refused_before(outcome: Outcome) -> Refused:
    index, code = outcome.refused[0]
    refusal = Refused(code, f"refused before, in block {outcome.height}", advice="explain() says why it would be now")
    refusal.instruction = index
    return refusal
