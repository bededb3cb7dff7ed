"""The transactions of a run, in their order: which rows are in which, who signs, and what the ledger said of each row.

What a transaction holds depends on the file, the mapping and the lookup alone, and on which claims were refused. The
same passage is made on paper, where the rules run over the state as it is, and for good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, NamedTuple, Protocol

from finchain.batch.mapping import Mapping
from finchain.batch.parties import Signer
from finchain.batch.reader import Fault
from finchain.batch.report import run_stem
from finchain.batch.rows import Claim
from finchain.domain.rule import Instruction
from finchain.errors import FinchainError, LaneConflict, Rejected, Unknown
from finchain.keys import Key
from finchain.outcome import Outcome
from finchain.rehearsal import Rehearsal
from finchain.submitting import Submitting, raise_unless_known
from finchain.transaction import EXPIRY_MS, Transaction

CHUNK_TRANSACTIONS: Final = 16
"""Transactions that are sent at once; after each chunk a signal is heeded, a limit looked at, and progress told."""

Phase = Literal["claim", "confirm"]


class Parcel(NamedTuple):
    """One transaction of a run, unsigned, and the rows that it holds.

    Attributes:
        ats: The places of the rows in their window.
        held: Why it cannot be sent yet: a claim that it confirms is not on the ledger.
    """

    phase: Phase
    signer: Signer
    ats: list[int]
    claims: list[Claim]
    transaction: Transaction
    held: Fault | None = None


class Delivered(NamedTuple):
    """What became of a parcel.

    Attributes:
        unsent: Why it was not sent; `outcome` is then what the rules say on paper.
    """

    outcome: Outcome
    unsent: Fault | None = None


class Deliver(Protocol):
    """Takes parcels to the ledger, or to paper."""

    def __call__(self, parcels: list[Parcel]) -> Iterable[Delivered]:
        """Gives what became of each, in order."""


class Answer:
    """What became of a row.

    Attributes:
        fault: Why a rule refused it.
        unsent: Why something of it could not be sent.
        answered: How many of its transactions the ledger has.
        fresh: Whether any of them is new.
    """

    __slots__ = ("answered", "fault", "fresh", "unsent")

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.unsent: Fault | None = None
        self.answered = 0
        self.fresh = False


class Passage:
    """The rows of a run on their way through its transactions.

    Args:
        ledger: Where they are for.
        mapping: How many instructions are in a transaction, and whether debtors confirm.
        run: The run id.
        deliver: What is done with each parcel.
        valid_ms: How long the transactions stay valid.
        heed: Called after each chunk with the instructions answered and the rows refused so far; gives why the passage
            ends there, or nothing.

    Attributes:
        sent: Transactions that are new on the ledger.
        ended: Why the passage ended before its end; empty where it did not.
    """

    def __init__(
        self,
        ledger: Submitting,
        mapping: Mapping,
        run: str,
        deliver: Deliver,
        heed: Callable[[int, int], str],
        valid_ms: int = EXPIRY_MS,
    ) -> None:
        self._ledger, self._mapping, self._run, self._valid_ms = ledger, mapping, run, valid_ms
        self._deliver, self._heed = deliver, heed
        self.phases: tuple[Phase, ...] = ("claim", "confirm") if mapping.confirm else ("claim",)
        self._sequences: Counter[tuple[str, str]] = Counter()
        self._done = self._refused = 0
        self.sent = 0
        self.ended = ""

    def window(self, claims: list[Claim]) -> list[Answer]:
        """Takes the claims of a window, and the confirmations of those that hold."""
        answers = [Answer() for _ in claims]
        for phase in self.phases:
            live = [at for at, answer in enumerate(answers) if answer.fault is None]
            self._done += len(claims) - len(live)
            parcels = list(self._parcels(phase, claims, live))
            for start in range(0, len(parcels), CHUNK_TRANSACTIONS):
                if self.ended:
                    return answers
                chunk = [_held(parcel, answers) for parcel in parcels[start : start + CHUNK_TRANSACTIONS]]
                errors = [
                    self._take(parcel, delivered, [answers[at] for at in parcel.ats])
                    for parcel, delivered in zip(chunk, self._deliver(chunk), strict=True)
                ]
                for error in filter(None, errors):
                    # Raised after the whole chunk, so that what stands beside it is counted.
                    error.facts["sent"] = self.sent
                    raise error
                self.ended = self._heed(self._done, self._refused)
        return answers

    def _parcels(self, phase: Phase, claims: list[Claim], live: list[int]) -> Iterator[Parcel]:
        """What one transaction each will hold: rows of one sender, in their order."""
        by_sender: dict[str, tuple[Signer, list[int]]] = {}
        for at in live:
            signer = claims[at].creditor if phase == "claim" else claims[at].debtor
            by_sender.setdefault(signer.id, (signer, []))[1].append(at)
        size = self._mapping.transaction_instructions
        for signer, ats in by_sender.values():
            for start in range(0, len(ats), size):
                part = ats[start : start + size]
                held = [claims[at] for at in part]
                yield Parcel(phase, signer, part, held, self._transaction(phase, signer, held))

    def _transaction(self, phase: Phase, signer: Signer, claims: list[Claim]) -> Transaction:
        self._sequences[signer.id, phase] += 1
        instructions: list[Instruction] = [
            claim.submit if phase == "claim" else claim.confirmation() for claim in claims
        ]  # fmt: skip
        # Expiry and salt are new at every attempt; they do not count where a transaction is found to be the same.
        return Transaction.build(
            instructions, by=[signer.id], ledger=self._ledger.name, lane=f"{run_stem(self._run)}/{phase}",
            sequence=self._sequences[signer.id, phase], mode="each", hash_suite=self._ledger.hash_suite,
            expires_ms=self._ledger.clock.now_ms() + self._valid_ms, rulebook=self._ledger.rulebook,
        )  # fmt: skip

    def _take(self, parcel: Parcel, delivered: Delivered, answers: list[Answer]) -> FinchainError | None:
        """Notes what became of a parcel at each of its rows; gives why it is in no block, or why nobody knows."""
        outcome, unsent = delivered
        self._done += len(answers)
        if isinstance(outcome.error, LaneConflict):
            return LaneConflict(
                f"run {self._run} was begun with another mapping, lookup or file: {outcome.error.message}",
                advice="finish it as it was begun; rows that were mended since go into a file of their own",
            )
        try:
            raise_unless_known(outcome)
        except (Rejected, Unknown) as error:
            return error
        fresh = outcome.status != "already" and unsent is None
        self.sent += fresh
        for answer in answers:
            answer.fresh |= fresh
            answer.answered += unsent is None
            answer.unsent = answer.unsent or unsent
        messages = {refusal.instruction: refusal.message for refusal in outcome.refusals}
        for index, code in outcome.refused:
            reason = messages.get(index, f"refused before, in block {outcome.height}")
            answers[index].fault, answers[index].unsent = Fault(code, reason), None
            self._refused += 1
        return None


def _held(parcel: Parcel, answers: list[Answer]) -> Parcel:
    """The parcel, marked where a claim that it confirms was not sent."""
    unsent = next((answers[at].unsent for at in parcel.ats if answers[at].unsent is not None), None)
    return parcel if unsent is None else parcel._replace(held=unsent)


class OnPaper:
    """Asks the ledger for what it has of the run, and the rules for the rest; sends nothing."""

    def __init__(self, ledger: Submitting, paper: Rehearsal) -> None:
        self._ledger, self._paper = ledger, paper
        self._ended: set[tuple[str, str]] = set()

    def __call__(self, parcels: list[Parcel]) -> Iterator[Delivered]:
        """Gives what became of each, or would."""
        for parcel in parcels:
            yield Delivered(self.known(parcel) or self.rehearsed(parcel))

    def known(self, parcel: Parcel) -> Outcome | None:
        """What an earlier attempt of the run got for a parcel; `None` where it was not sent."""
        lane = parcel.signer.id, parcel.phase
        if lane in self._ended:
            return None
        outcome = self._ledger.resolve(parcel.transaction.ticket)
        if outcome.status in ("applied", "refused"):
            return Outcome(status="already", id=outcome.id, height=outcome.height, entry=outcome.entry,
                           refused=outcome.refused)  # fmt: skip
        if isinstance(outcome.error, LaneConflict):
            return outcome
        self._ended.add(lane)
        return None

    def rehearsed(self, parcel: Parcel) -> Outcome:
        """What the rules say of a parcel."""
        instructions: list[Instruction] = [
            claim.submit if parcel.phase == "claim" else claim.confirmation() for claim in parcel.claims
        ]  # fmt: skip
        by = [parcel.signer.id]
        refusals = self._paper.run(instructions, by=by, service=by if parcel.signer.service else ())
        return self._paper.applied_or_refused(refusals)


class ForGood:
    """Signs each parcel here and sends it."""

    def __init__(self, ledger: Submitting) -> None:
        self._ledger = ledger

    def __call__(self, parcels: list[Parcel]) -> Iterator[Delivered]:
        """Gives what the ledger said of each, once it is durable."""
        sent = [parcel.transaction.sign(_key_of(parcel.signer), parcel.signer.key_id) for parcel in parcels]
        return (Delivered(outcome) for outcome in self._ledger.submit_all(sent))


def _key_of(signer: Signer) -> Key:
    assert signer.key is not None, "a load that signs here has found the keys before"
    return signer.key
