"""An auditor's page: whose the ledger is, that it is sound, and what in it somebody should look at.

What is verified is `finchain.check`; what is unusual is read off the orders in the blocks, by the fixed list below.
None of it is wrong by itself: a refusal, for example, shows a rule at work. Each line has a count and the places of the
first and the last order, from which `finchain log --from` and `finchain prove --at` go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from finchain.audit import Audit, verified
from finchain.domain.founding import ActivateRulebook, CreateLedger
from finchain.domain.party import EndKey, RegisterParty
from finchain.domain.rule import Instruction
from finchain.domain.rulebook import Rulebook, by_number
from finchain.errors import FinchainError
from finchain.opening import SILENCE_MAX_MS, Progress
from finchain.outcome import Attempt
from finchain.replay import attempts
from finchain.trust import NOBODY, Anchors, PathLike

CODES_NAMED: Final = 10
"""Codes of refusals that have a line of their own, the most frequent first; the others share one."""

ADMINISTRATION: Final = frozenset(
    {"ledger", "party", "key", "policy", "capacity", "calendar", "reference_rate", "rulebook"}
)
"""What the operator may order by its office: words before the dot of an order's tag."""

ANYBODY: Final = frozenset({"payment.expire"})
"""Orders that say only that a term is over, which whoever keeps the ledger may say for others."""

UNUSUAL_ORDERS: Final = {
    "keys replaced, added or ended": ("key.rotate", "key.add", "key.end"),
    "checkpoint keys replaced": ("ledger.checkpoint_keys",),
    "limits and roles changed": ("policy.set", "capacity.set", "party.set_roles", "party.set_threshold"),
    "rules changed": ("rulebook.activate",),
    "entries taken back": (
        "certificate.reverse_transfer", "guarantee.reverse_fee", "loan.cancel_draw", "loan.reverse_disbursement",
        "receivable.reverse", "receivable.reverse_part", "receivable.reverse_payment",
    ),
    "payments that came back": ("payment.reject", "payment.return", "payment.refund"),
    "rights given up": (
        "certificate.cancel", "certificate.waive", "certificate.write_off", "guarantee.waive", "late_interest.waive",
        "loan.waive_charge", "loan.write_off", "receivable.write_off",
    ),
    "terms changed after they were signed": (
        "loan.change_rate", "loan.extend", "mandate.amend", "receivable.amend",
    ),
    "disputes, dishonour and acceleration": (
        "certificate.dishonour", "guarantee.demand", "loan.accelerate", "receivable.dispute",
    ),
}  # fmt: skip
"""What an auditor looks at where it was applied, by tags."""


class Unusual(msgspec.Struct, frozen=True):
    """Orders that somebody should look at.

    Attributes:
        what: What they have in common.
        count: How many there are.
        first: Place of the first, as `finchain prove --at` takes it.
        last: Place of the last.
    """

    what: str
    count: int
    first: str
    last: str

    def __str__(self) -> str:
        places = f"at {self.first}" if self.count == 1 else f"first at {self.first}, last at {self.last}"
        return f"{self.count:>9,}  {self.what}, {places}"


class RulesInForce(msgspec.Struct, frozen=True):
    """A rulebook and the block from whose order on it was in force.

    Attributes:
        digest: SHA-256 over its rule files, in hex.
        place: Place of the order that put it in force.
    """

    number: int
    digest: str
    place: str


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What an auditor is told of a ledger.

    Attributes:
        audit: What was verified: blocks, rules, state, index, and who vouches for it.
        rules: Every rulebook that was in force, in order.
        clock: `real`, or `simulated`: then no time in it was ever true.
        first: Day of block 0.
        last: Day of the last block.
        unusual: What somebody should look at.
        faults: What is wrong with the index or with an anchor, in words; empty where nothing is.
    """

    audit: Audit
    rules: tuple[RulesInForce, ...]
    clock: str
    first: date
    last: date
    unusual: tuple[Unusual, ...]
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        audit = self.audit
        vouched = [f"  {each}" for each in audit.vouched.by] or [f"  {NOBODY}"]
        receipts = [
            f"  {each.file} proves: {each.proves}; the ledger holds it" for each in audit.vouched.by if each.proves
        ]
        covered = "no checkpoint" if audit.checkpoint_size is None else f"a checkpoint over {audit.checkpoint_size}"
        sections = {
            "trust": [f"  {audit.ledger}", *vouched],
            "blocks": [
                f"  {audit.blocks:,} from {self.first} to {self.last}, {audit.transactions:,} transactions, "
                f"{audit.instructions:,} instructions: hashes, signatures and outcomes hold",
                f"  in the folder is {covered}; log root {audit.log_root}",
                *(["  the clock is simulated: no time in it was ever true"] if self.clock != "real" else []),
                *([f"  continues {audit.predecessor}"] if audit.predecessor else []),
            ],
            "rules": [
                *(f"  rulebook {each.number} by order {each.place}, digest {each.digest[:16]}…" for each in self.rules),
                *(
                    ["  executed by rule files with another digest; every state root agrees"]
                    if audit.other_rules
                    else []
                ),
            ],
            "index": [f"  {audit.index_said}; {audit.records:,} records, state root {audit.state_root}"],
            "receipts": receipts or ["  none was given"],
            "unusual": [f"  {each}" for each in self.unusual] or ["  nothing"],
            "FAULTS": [f"  {line}" for fault in self.faults for line in fault.splitlines()],
        }
        return "\n".join(line for title, lines in sections.items() if lines for line in (title, *lines))


def examine(
    path: PathLike,
    *,
    trust: str | Sequence[str] = (),
    checkpoints: PathLike | Sequence[PathLike] = (),
    receipts: PathLike | Sequence[PathLike] = (),
    rulebooks: Sequence[Rulebook] = (),
    other_rules: bool = False,
    progress: Progress | None = None,
) -> Examination:
    """Verifies a ledger as `check` does, and says what in it is unusual.

    A false index or an anchor that does not hold is told with everything else, in `faults`; damaged blocks are raised,
    because nothing can be said of what follows from them.

    Args:
        path: The ledger's folder.
        trust: As for `check`.
        checkpoints: As for `check`.
        receipts: As for `check`.
        rulebooks: Those that the ledger was under, beside the built-in one.
        other_rules: As for `check`.
        progress: Called after each block.

    Raises:
        DamageError: Something in the blocks is not what was signed or what the rules make.
        ConfigError: The rule files here are not the ledger's.
        NotFound: There is no ledger in this folder.
    """
    folder = Path(os.fspath(path))
    faults: list[FinchainError] = []
    anchors = Anchors.of(trust, checkpoints, receipts)
    audit = verified(folder, anchors, rulebooks=rulebooks, progress=progress, other_rules=other_rules, faults=faults)
    founding = next(_orders(folder, 1, rulebooks, 0))
    assert isinstance(founding.instruction, CreateLedger)
    seen = _Seen()
    rules = [RulesInForce(founding.instruction.rulebook, founding.instruction.rulebook_digest, founding.place)]
    last = founding
    for last in _orders(folder, audit.blocks, rulebooks, founding.instruction.time_zone_minutes):
        seen.take(last)
        if isinstance(last.instruction, ActivateRulebook) and last.status == "applied":
            rules.append(RulesInForce(last.instruction.number, last.instruction.digest, last.place))
    return Examination(
        audit=audit, rules=tuple(rules), clock=founding.instruction.clock, first=seen.first or founding.day,
        last=last.day, unusual=tuple(seen.unusual()), faults=tuple(map(str, faults)),
    )  # fmt: skip


def _orders(folder: Path, until: int, rulebooks: Sequence[Rulebook], zone_minutes: int) -> Iterator[Attempt]:
    return attempts(folder, until=until, zone_minutes=zone_minutes, rulebooks=by_number(rulebooks))


class _Seen:
    """What is unusual among the orders so far, by what it is: count, first and last place."""

    def __init__(self) -> None:
        self.first: date | None = None
        self._found: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._registered: dict[str, date] = {}
        self._last_ms = 0

    def take(self, attempt: Attempt) -> None:
        """Looks at the next order."""
        self.first = self.first or attempt.day
        if self._last_ms and attempt.time_ms - self._last_ms > SILENCE_MAX_MS:
            self._note("silences of more than 31 days before an order", attempt)
        self._last_ms = attempt.time_ms
        for what in _unusual(attempt):
            self._note(what, attempt)
        if attempt.status != "applied":
            return
        if isinstance(attempt.instruction, RegisterParty):
            self._registered[attempt.instruction.id] = attempt.day
        elif any(self._registered.get(party) == attempt.day for party in attempt.by):
            self._note("orders of a party on the day on which it was registered", attempt)

    def _note(self, what: str, attempt: Attempt) -> None:
        places = self._found.setdefault(what, [attempt.place, attempt.place])
        places[1] = attempt.place
        self._counts[what] = self._counts.get(what, 0) + 1

    def unusual(self) -> Iterator[Unusual]:
        """Everything, refusals first and the most frequent of them in front."""
        refusals = sorted(
            (what for what in self._found if what.startswith(_REFUSED)), key=lambda what: (-self._counts[what], what)
        )
        yield from self._lines(refusals[:CODES_NAMED])
        if rest := refusals[CODES_NAMED:]:
            first = min((self._found[what][0] for what in rest), key=_order_of_place)
            last = max((self._found[what][1] for what in rest), key=_order_of_place)
            yield Unusual(
                f"refused with one of {len(rest)} other codes", sum(self._counts[what] for what in rest), first, last
            )
        yield from self._lines(sorted(set(self._found).difference(refusals)))

    def _lines(self, those: Iterable[str]) -> Iterator[Unusual]:
        return (Unusual(what, self._counts[what], *self._found[what]) for what in those)


_REFUSED: Final = "refused: "


def _order_of_place(place: str) -> list[int]:
    return [int(part) for part in place.split(".")]


def _unusual(attempt: Attempt) -> Iterator[str]:
    """What is unusual about one order by itself."""
    order = attempt.order
    if attempt.status == "refused":
        yield f"{_REFUSED}{attempt.code}"
    if attempt.status != "applied":
        return
    yield from (what for what, orders in UNUSUAL_ORDERS.items() if order in orders)
    if isinstance(attempt.instruction, EndKey) and isinstance(attempt.instruction.compromised_since, date):
        yield "keys stated to be compromised"
    if _valued_before(attempt.instruction, attempt.day):
        yield "bank facts valued before the day of their block"
    if attempt.by == ("operator",) and order.partition(".")[0] not in ADMINISTRATION and order not in ANYBODY:
        yield "orders about value that the operator alone signed"


def _valued_before(instruction: Instruction, day: date) -> bool:
    valued = getattr(instruction, "value_date", None)
    return isinstance(valued, date) and valued < day
