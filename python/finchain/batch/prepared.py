"""A party's part of a run in one file: made where no key is, signed where the key is, and taken back.

Each line is one transaction as `Transaction.save` writes it, and the last one is a summary. The summary is for the
person who signs: it is compared with the transactions before it is shown, and whoever takes the file back compares
each transaction with what the load itself makes. No private key is needed but the signer's own.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from finchain.batch.reader import Fault
from finchain.batch.report import run_stem
from finchain.batch.sending import Delivered, OnPaper, Parcel, Phase
from finchain.domain.key import PartyKey
from finchain.domain.party import Party
from finchain.domain.receivable import ConfirmReceivable, SubmitReceivable
from finchain.domain.rule import Absent
from finchain.errors import ConfigError, NotFound, Rejected
from finchain.keys import SigningKey, check_signature
from finchain.money import format_minor
from finchain.outcome import Outcome
from finchain.rehearsal import Rehearsal
from finchain.submitting import Submitting
from finchain.transaction import Transaction

SUFFIX: Final = ".part.jsonl"
"""What the name of a party's file ends with, after the party's id."""

_SUMMARY: Final = b'"type":"finchain.unsent_part.1"}\n'


class PhaseSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a party orders in one phase of a run.

    Attributes:
        sums: Sum of the amounts by currency, in minor units. That of a confirmation, which states none, stands
            beside it, as whoever prepared it found it.
        due_first: The earliest due date of the claims; of confirmations, likewise as it was found.
        due_last: The latest.
    """

    transactions: int
    instructions: int
    sums: dict[str, int]
    due_first: date
    due_last: date


class PartSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of a party's file.

    Attributes:
        ledger: Full name of the ledger.
        claim: What it claims as creditor.
        confirm: What it confirms as debtor.
        expires_ms: Unix time in ms after which none of it is taken.
        digest: SHA-256 in hex over the ids of the transactions, each with a line feed; signatures do not change it.
    """

    ledger: str
    hash_suite: str
    run: str
    party: str
    claim: PhaseSummary | None
    confirm: PhaseSummary | None
    expires_ms: int
    digest: str
    type: Literal["finchain.unsent_part.1"] = "finchain.unsent_part.1"

    def __str__(self) -> str:
        lines = [f"{self.party}, run {self.run} on {self.ledger}"]
        for said, part in (("claims", self.claim), ("confirms", self.confirm)):
            if part is not None:
                sums = ", ".join(f"{format_minor(minor, currency)} {currency}" for currency, minor in part.sums.items())
                lines.append(
                    f"  {said} {part.instructions} in {part.transactions} transactions: {sums}, "
                    f"due {part.due_first} to {part.due_last}"
                )
        return "\n".join([*lines, f"  digest {self.digest}"])


class _Gathered:
    """A summary in the making."""

    def __init__(self) -> None:
        self.phases: dict[str, dict[str, Any]] = {}
        self.ids = hashlib.sha256()
        self.expires_ms: list[int] = []

    def add(self, transaction: Transaction, phase: str, rows: list[tuple[str, int, date]]) -> None:
        self.ids.update(f"{transaction.id}\n".encode())
        self.expires_ms = [min([transaction.expires_ms, *self.expires_ms])]
        dues = [due for *_, due in rows]
        part = self.phases.setdefault(
            phase, {"transactions": 0, "instructions": 0, "sums": Counter(), "due_first": dues[0], "due_last": dues[0]}
        )
        part["transactions"] += 1
        part["instructions"] += len(rows)
        for currency, minor, _ in rows:
            part["sums"][currency] += minor
        part["due_first"] = min([part["due_first"], *dues])
        part["due_last"] = max([part["due_last"], *dues])

    def phase(self, name: str) -> PhaseSummary | None:
        part = self.phases.get(name)
        return None if part is None else PhaseSummary(**{**part, "sums": dict(part["sums"])})


class Preparing(OnPaper):
    """Runs the rules on paper, and writes what each party has to sign.

    Raises:
        ConfigError: The folder holds parts already, which may be signed.
    """

    def __init__(self, ledger: Submitting, paper: Rehearsal, folder: Path, run: str) -> None:
        super().__init__(ledger, paper)
        self._folder, self._run = folder, run
        self._parts: dict[str, _Gathered] = {}
        folder.mkdir(parents=True, exist_ok=True)
        held = sorted(folder.glob(f"*{SUFFIX}"))
        if held:
            raise ConfigError(f"{held[0]} is there already, and may be signed", advice="name an empty folder")
        for left in folder.glob(f"*{SUFFIX}.new"):
            left.unlink()

    def __call__(self, parcels: list[Parcel]) -> Iterator[Delivered]:
        """Says what the rules say, and writes what was not sent before."""
        for parcel in parcels:
            known = self.known(parcel)
            if known is None:
                self._add(parcel)
            yield Delivered(known or self.rehearsed(parcel))

    def _add(self, parcel: Parcel) -> None:
        party, transaction = parcel.signer.id, parcel.transaction
        transaction.key_ids = self._ledger.key_ids_of(party)
        if parcel.phase == "confirm":
            transaction.currencies = {index: claim.submit.currency for index, claim in enumerate(parcel.claims)}
        rows = [(claim.submit.currency, claim.submit.amount_minor, claim.submit.due) for claim in parcel.claims]
        self._parts.setdefault(party, _Gathered()).add(transaction, parcel.phase, rows)
        with self._new(party).open("ab") as file:
            file.write(transaction.saved())

    def finish(self) -> int:
        """Puts the files in their places; gives how many there are."""
        for party, part in self._parts.items():
            summary = PartSummary(
                ledger=self._ledger.name, hash_suite=self._ledger.hash_suite, run=self._run, party=party,
                claim=part.phase("claim"), confirm=part.phase("confirm"), expires_ms=part.expires_ms[0],
                digest=part.ids.hexdigest(),
            )  # fmt: skip
            with self._new(party).open("ab") as file:
                file.write(msgspec.json.encode(summary, order="sorted") + b"\n")
            os.replace(self._new(party), self._folder / f"{party}{SUFFIX}")
        return len(self._parts)

    def drop(self) -> None:
        """Leaves nothing behind."""
        for party in self._parts:
            self._new(party).unlink(missing_ok=True)

    def _new(self, party: str) -> Path:
        return self._folder / f"{party}{SUFFIX}.new"


def is_part(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a party's part of a run, whole or not, and no single transaction."""
    with Path(path).open("rb") as file:
        first = file.readline()
        return first.endswith(_SUMMARY) or bool(file.readline())


def read_summary(path: str | os.PathLike[str]) -> PartSummary:
    """The summary of a part, after everything in it was compared with its transactions.

    Raises:
        ConfigError: The file is cut off, was changed, or is something else.
    """
    summary = _stated(Path(path))
    found = _Gathered()
    for line, transaction in _transactions(Path(path), summary):
        rows: list[tuple[str, int, date]] = []
        phase = transaction.lane.rpartition("/")[2]
        for index, do in enumerate(transaction.instructions):
            if phase == "claim" and isinstance(do, SubmitReceivable):
                rows.append((do.currency, do.amount_minor, do.due))
            elif phase == "confirm" and isinstance(do, ConfirmReceivable) and summary.confirm is not None:
                rows.append((transaction.currencies.get(index, ""), do.amount_minor, summary.confirm.due_first))
            else:
                raise _altered(f"{path}, line {line}: {type(do).__name__} is no part of a load")
        found.add(transaction, phase, rows)
    confirm = found.phase("confirm")
    if confirm is not None and summary.confirm is not None:
        # No transaction says when the claims are due that it confirms.
        stated = summary.confirm
        confirm = msgspec.structs.replace(confirm, due_first=stated.due_first, due_last=stated.due_last)
    if (found.ids.hexdigest(), found.phase("claim"), confirm) != (summary.digest, summary.claim, summary.confirm):
        raise _altered(f"{path}: the summary is not that of the transactions")
    return summary


def sign_part(path: str | os.PathLike[str], keys: Sequence[SigningKey], key_id: str | None = None) -> PartSummary:
    """Adds signatures to every transaction of a party's part; the file is replaced when all are made.

    Args:
        path: The part. Show its `read_summary` first to whoever signs.
        keys: What signs.
        key_id: The key's id, where the file does not know it.

    Raises:
        ConfigError: The file is cut off or was changed, or a key is none of the party's.
    """
    file = Path(path)
    summary = read_summary(file)
    new = file.with_name(file.name + ".new")
    with new.open("wb") as signed:
        for _, transaction in _transactions(file, summary):
            for key in keys:
                transaction.sign(key, key_id)
            signed.write(transaction.saved())
        signed.write(msgspec.json.encode(summary, order="sorted") + b"\n")
    os.replace(new, file)
    return summary


def _stated(path: Path) -> PartSummary:
    """The last line of a part."""
    try:
        with path.open("rb") as file:
            last = deque(file, maxlen=1)
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    try:
        return msgspec.json.decode(last[0] if last else b"", type=PartSummary)
    except msgspec.MsgspecError:
        raise ConfigError(
            f"{path} is cut off, or no party's part of a run: its last line is no summary",
            advice="fetch it again whole",
        ) from None


def _transactions(path: Path, summary: PartSummary) -> Iterator[tuple[int, Transaction]]:
    """The transactions of a part, each with its line."""
    for line, _, text in _lines(path):
        where = f"{path}, line {line}"
        try:
            transaction = Transaction.from_saved(text, hash_suite=summary.hash_suite, where=where)
        except Rejected as error:
            raise _altered(f"{where}: {error.message}") from None
        ticket = transaction.ticket
        if (ticket.ledger, transaction.by, ticket.lane) not in [
            (summary.ledger, (summary.party,), f"{run_stem(summary.run)}/{phase}") for phase in ("claim", "confirm")
        ]:
            raise _altered(f"{where}: the transaction is of {ticket.sender}, lane {ticket.lane}, on {ticket.ledger}")
        yield line, transaction


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Number, place and bytes of each line but the summary."""
    offset = 0
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.endswith(_SUMMARY):
                yield number, offset, text
            offset += len(text)


def _altered(text: str) -> ConfigError:
    return ConfigError(text, advice="the file was changed; prepare it again, and sign what was prepared")


class SignedParts:
    """The parts that came back, signed or not yet.

    Args:
        ledger: The ledger of the load.
        folder: Where they are.
        run: The run that they must be of.

    Raises:
        ConfigError: A part is cut off, was changed, is of another run or ledger, or stands there twice.
    """

    def __init__(self, ledger: Submitting, folder: Path, run: str) -> None:
        self._ledger = ledger
        self._places: dict[tuple[str, str, int], tuple[Path, int, int]] = {}
        if not folder.is_dir():
            raise NotFound(f"{folder} is no folder of signed parts")
        for path in sorted(folder.glob("*.jsonl")):
            summary = read_summary(path)
            if (summary.ledger, summary.run) != (ledger.name, run):
                raise ConfigError(
                    f"{path} is of run {summary.run} on {summary.ledger}, and this is run {run} on {ledger.name}",
                    advice="load the file and the mapping that it was prepared from",
                )
            lengths = {line: (offset, len(text)) for line, offset, text in _lines(path)}
            for line, transaction in _transactions(path, summary):
                place = summary.party, transaction.lane.rpartition("/")[2], transaction.sequence
                if place in self._places:
                    raise ConfigError(f"{path} holds again what {self._places[place][0]} holds", advice="keep one")
                self._places[place] = (path, *lengths[line])

    def take(self, parcel: Parcel) -> Transaction | Fault:
        """The signed transaction of a parcel, or why there is none.

        Raises:
            ConfigError: It is not what the load makes, its time is over, or a signature is not one of the party's.
        """
        party = parcel.signer.id
        place = self._places.get((party, parcel.phase, parcel.transaction.sequence))
        if place is None:
            return _not_signed(f"{party} has not given back its part")
        path, offset, length = place
        with path.open("rb") as file:
            file.seek(offset)
            transaction = Transaction.from_saved(file.read(length), hash_suite=self._ledger.hash_suite, where=str(path))
        where = f"{path}, transaction {transaction.id}"
        if transaction.ticket.content != parcel.transaction.ticket.content:
            raise ConfigError(
                f"{where} is not what the file makes now", advice="file, mapping, lookup or ledger has changed since: "
                "prepare it again",
            )  # fmt: skip
        if transaction.expires_ms <= self._ledger.clock.now_ms():
            raise ConfigError(f"{where} was to be sent before {transaction.expires_ms} ms", advice="prepare it again")
        return self._short_of(party, transaction, where) or transaction

    def _short_of(self, party: str, transaction: Transaction, where: str) -> Fault | None:
        """Why the signatures are not enough; `None` where they are exactly those that the ledger asks for."""
        signed = [self._checked_key(party, id, transaction, where) for id in transaction.signed_by]
        needed, holders = self._ledger.get(Party, party).threshold, {key.holder for key in signed}
        duties = {key.duty for key in signed}
        if "service" in duties:
            needed = 1
        if len(holders) < needed:
            return _not_signed(f"{len(holders)} of {needed} holders of {party} have signed")
        if len(signed) > needed:
            raise ConfigError(
                f"{where} has {len(signed)} signatures, and {needed} are needed", advice="prepare it again"
            )
        if needed > 1 and duties in ({"maker"}, {"checker"}):
            raise ConfigError(f"{where} is signed by {duties.pop()}s alone", advice="a maker and a checker sign")
        return None

    def _checked_key(self, party: str, key_id: str, transaction: Transaction, where: str) -> PartyKey:
        key = self._ledger.look(PartyKey, key_id)
        if key is None or key.party != party or key.ended_ms is not Absent:
            raise ConfigError(f"{where} is signed by {key_id}, which is no live key of {party}")
        identity = None if key.identity is Absent else key.identity
        public_key = _base64(key.public_key)
        try:
            check_signature(
                public_key, transaction.signature_of(key_id), transaction.header, suite=key.suite, identity=identity
            )
        except ValueError as error:
            raise ConfigError(f"{where}: the signature of {key_id} is not that key's: {error}") from None
        return key


class AsSigned(OnPaper):
    """Takes parcels to the ledger as they came back signed, or only to paper.

    A parcel that is not signed, or that follows such a one in its lane, or that confirms a claim which is not on the
    ledger, is not sent; it can be with the same run at another time.
    """

    def __init__(
        self, ledger: Submitting, paper: Rehearsal, parts: SignedParts, send: Callable[[list[Transaction]], Any] | None
    ) -> None:
        super().__init__(ledger, paper)
        self._parts, self._submit = parts, send
        self._stopped: dict[tuple[str, Phase], Fault] = {}

    def __call__(self, parcels: list[Parcel]) -> Iterator[Delivered]:
        """Gives what the ledger says of each, or why it was not sent."""
        known = [self.known(parcel) for parcel in parcels]
        taken = [None if said else self._take(parcel) for said, parcel in zip(known, parcels, strict=True)]
        signed = [found for found in taken if isinstance(found, Transaction)]
        outcomes: Iterator[Outcome] = iter(()) if self._submit is None else iter(self._submit(signed))
        for parcel, said, found in zip(parcels, known, taken, strict=True):
            if said is not None:
                yield Delivered(said)
            elif isinstance(found, Transaction):
                yield Delivered(self.rehearsed(parcel) if self._submit is None else next(outcomes))
            else:
                yield Delivered(self.rehearsed(parcel), found)

    def _take(self, parcel: Parcel) -> Transaction | Fault:
        lane = parcel.signer.id, parcel.phase
        found = self._stopped.get(lane) or parcel.held or self._parts.take(parcel)
        if isinstance(found, Fault):
            self._stopped[lane] = found
        return found


def _not_signed(reason: str) -> Fault:
    return Fault("row.not_signed", reason)


def _base64(text: str) -> bytes:
    return msgspec.convert(text, bytes)
